//! A server that was away, or was killed in the midst of it, ends up level all the same.

use std::time::Instant;

use grasp_fixtures::{events, keys};
use rstest::rstest;

use crate::network::{Project, arrives, publish, publish_all, report, servers};

#[tokio::test]
async fn a_server_that_was_stopped_during_the_push_has_it_after_its_restart() {
    let [first, mut second] = servers().await;
    let mut project = Project::new("away").await;
    let announcement = project.announce(&[&first, &second]).await;
    publish(&second, &announcement).await;
    project.publish_on(&first, &announcement).await;
    arrives(&second, &announcement).await;

    assert!(second.stop().await.success(), "a graceful stop ends sync, too");
    let tip = project.commit("while it was away\n").await;
    let state = project.state(&tip);
    publish(&first, &state).await;
    project.push(&first, "main").await;
    let issue = events::issue(&project.coordinate(), "while it was away", "").sign(&keys::fresh());
    publish(&first, &issue).await;
    let (pull, change) = project.pull_request(&first, "a change").await;
    publish(&first, &pull).await;

    let restarted = Instant::now();
    second.restart().await;
    report("state after a restart, process start included", restarted, arrives(&second, &state).await);
    project.comes_to_show(&second, "refs/heads/main", &tip).await;
    arrives(&second, &issue).await;
    project.comes_to_show(&second, &format!("refs/nostr/{}", pull.id), &change).await;
    report("everything after a restart", restarted, Instant::now());
}

#[rstest]
#[case::waiting_for_git_data("waiting-written")]
#[case::objects_linked("objects-moved")]
#[case::promotion_recorded("record-written")]
#[case::refs_written("refs-written")]
#[case::before_it_serves("before-serve")]
#[tokio::test]
async fn a_server_that_is_killed_in_the_midst_of_it_has_it_after_its_restart(#[case] point: &str) {
    let [first, mut second] = servers().await;
    let mut project = Project::new("killed").await;
    let announcement = project.announce(&[&first, &second]).await;
    publish(&second, &announcement).await;
    project.publish_on(&first, &announcement).await;
    project.comes_to_show(&second, "refs/heads/main", &project.tip).await;

    second.restart_with("GRASP_CRASH_AT", point).await;
    let tip = project.commit("a change\n").await;
    let state = project.state(&tip);
    publish(&first, &state).await;
    project.push(&first, "main").await;
    second.ended().await;
    second.restart_with("GRASP_CRASH_AT", "").await;
    let restarted = Instant::now();
    report(&format!("state after a crash at {point}"), restarted, arrives(&second, &state).await);
    project.comes_to_show(&second, "refs/heads/main", &tip).await;
}

#[tokio::test]
async fn a_server_that_is_killed_while_a_history_comes_has_all_of_it_after_its_restart() {
    let [first, mut second] = servers().await;
    let project = Project::new("history").await;
    let announcement = project.announce(&[&first, &second]).await;
    project.publish_on(&first, &announcement).await;
    let author = keys::fresh();
    let issue = events::issue(&project.coordinate(), "root", "").sign(&author);
    publish(&first, &issue).await;
    let comments: Vec<_> = (0..300).map(|n| events::comment(&issue, &n.to_string()).sign(&author)).collect();
    publish_all(&first, &comments).await;

    // Once the root is there, its comments are on their way.
    publish(&second, &announcement).await;
    arrives(&second, &issue).await;
    second.kill();
    second.restart().await;
    let restarted = Instant::now();
    for comment in &comments {
        arrives(&second, comment).await;
    }
    report("300 comments after a kill", restarted, Instant::now());
    project.comes_to_show(&second, "refs/heads/main", &project.tip).await;
}
