//! Two servers that one announcement names: whatever comes to one is soon on the other.

use std::time::Instant;

use grasp_audit::target::Target;
use grasp_fixtures::{events, keys};
use serde_json::json;

use crate::network::{Project, arrives, publish, report, servers, setup};

#[tokio::test]
async fn state_and_pack_that_come_to_one_are_served_by_the_other() {
    let [first, second] = servers().await;
    let mut project = Project::new("both").await;
    let announcement = project.announce(&[&first, &second]).await;
    publish(&second, &announcement).await;
    let state = project.publish_on(&first, &announcement).await;
    let pushed = Instant::now();
    let came = arrives(&second, &state).await;
    report("state after the push that ended its repository's wait", pushed, came);
    project.comes_to_show(&second, "refs/heads/main", &project.tip).await;
    arrives(&second, &announcement).await;

    // A second push, to servers that know each other by now.
    let tip = project.commit("second\n").await;
    let state = project.state(&tip);
    publish(&first, &state).await;
    project.push(&first, "main").await;
    let pushed = Instant::now();
    report("state after a push", pushed, arrives(&second, &state).await);
    project.comes_to_show(&second, "refs/heads/main", &tip).await;
    report("refs and objects after a push, cloned", pushed, Instant::now());
}

#[tokio::test]
async fn a_new_issue_its_comment_and_a_pull_request_with_its_ref_follow() {
    let [first, second] = servers().await;
    let project = Project::new("talk").await;
    let announcement = project.announce(&[&first, &second]).await;
    publish(&second, &announcement).await;
    project.publish_on(&first, &announcement).await;
    arrives(&second, &announcement).await;

    let somebody = keys::fresh();
    let issue = events::issue(&project.coordinate(), "broken", "it is").sign(&somebody);
    publish(&first, &issue).await;
    let published = Instant::now();
    report("issue", published, arrives(&second, &issue).await);

    let comment = events::comment(&issue, "indeed").sign(&somebody);
    publish(&first, &comment).await;
    let published = Instant::now();
    report("comment", published, arrives(&second, &comment).await);

    let (pull, tip) = project.pull_request(&first, "mend it").await;
    publish(&first, &pull).await;
    let published = Instant::now();
    report("pull request", published, arrives(&second, &pull).await);
    project.comes_to_show(&second, &format!("refs/nostr/{}", pull.id), &tip).await;
    report("pull request with its ref, fetched", published, Instant::now());
}

#[tokio::test]
async fn a_server_learns_of_a_repository_from_its_bootstrap_relay() {
    let first = setup().start().await;
    let second = setup().set("NGIT_SYNC_BOOTSTRAP_RELAY_URL", first.url()).start().await;
    let project = Project::new("bootstrap").await;
    let announcement = project.announce(&[&first, &second]).await;
    let issue = events::issue(&project.coordinate(), "old", "from before").sign(&keys::fresh());
    // The second server is told nothing by anybody but the first.
    let state = project.publish_on(&first, &announcement).await;
    publish(&first, &issue).await;
    let published = Instant::now();
    report("announcement by the bootstrap relay", published, arrives(&second, &announcement).await);
    arrives(&second, &state).await;
    arrives(&second, &issue).await;
    project.comes_to_show(&second, "refs/heads/main", &project.tip).await;
    report("everything by the bootstrap relay", published, Instant::now());
}

#[tokio::test]
async fn three_servers_that_know_each_other_by_the_announcement_only_end_up_equal() {
    let [first, second, third] = servers().await;
    let project = Project::new("three").await;
    let announcement = project.announce(&[&first, &second, &third]).await;
    publish(&second, &announcement).await;
    publish(&third, &announcement).await;
    let state = project.publish_on(&first, &announcement).await;
    let issue = events::issue(&project.coordinate(), "one", "1").sign(&keys::fresh());
    publish(&second, &announcement).await;
    for server in [&second, &third] {
        arrives(server, &state).await;
        project.comes_to_show(server, "refs/heads/main", &project.tip).await;
    }
    // Each in turn hears of something first.
    publish(&second, &issue).await;
    let comment = events::comment(&issue, "two").sign(&keys::fresh());
    arrives(&third, &issue).await;
    publish(&third, &comment).await;
    let (pull, tip) = project.pull_request(&third, "three").await;
    publish(&third, &pull).await;
    for server in [&first, &second, &third] {
        arrives(server, &issue).await;
        arrives(server, &comment).await;
        arrives(server, &pull).await;
        project.comes_to_show(server, &format!("refs/nostr/{}", pull.id), &tip).await;
    }
}

#[tokio::test]
async fn a_server_says_that_it_syncs_only_when_it_does() {
    let [first] = servers().await;
    let target = first.target().await;
    let grasps = |target: &Target| target.nip11.as_ref().unwrap()["supported_grasps"].clone();
    assert_eq!(grasps(&target), json!(["GRASP-01", "GRASP-02"]));
    let alone = setup().set("NGIT_SYNC_ENABLE", false).start().await;
    assert_eq!(grasps(&*alone.target().await), json!(["GRASP-01"]));
}
