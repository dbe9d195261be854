//! Git data that lies elsewhere: at a pull request's own URL, and in parts on several hosts.

use grasp_fixtures::{PullRequest, State, keys};
use spec_tests::Instance;

use crate::foreign::{Foreign, announced_on};
use crate::network::{Project, arrives, publish, serves, setup};

/// A server that only hosts.
async fn host() -> Instance {
    setup().set("NGIT_SYNC_ENABLE", false).start().await
}

#[tokio::test]
async fn the_data_of_a_pull_request_is_fetched_from_its_own_clone_url() {
    let (server, elsewhere) = (setup().start().await, host().await);
    let foreign = Foreign::start().await;
    let project = Project::new("upstream").await;
    let announcement = announced_on(&project, &server, &foreign.url).await;
    project.publish_on(&server, &announcement).await;

    let mut fork = Project::new("fork").await;
    let tip = fork.commit("a change\n").await;
    let announcement = fork.announce(&[&elsewhere]).await;
    fork.publish_on(&elsewhere, &announcement).await;
    let pull = PullRequest::new(project.coordinate(), &tip).clone_url(fork.url(&elsewhere).await);
    let pull = pull.draft().sign(&keys::fresh());
    foreign.publish(&pull).await;
    arrives(&server, &pull).await;
    project.comes_to_show(&server, &format!("refs/nostr/{}", pull.id), &tip).await;
}

#[tokio::test]
async fn two_hosts_that_each_have_a_part_complete_one_state() {
    let (server, left, right) = (setup().start().await, host().await, host().await);
    let foreign = Foreign::start().await;
    let project = Project::new("parts").await;
    let announcement = project.announcement(&[&server, &left, &right]).await.relay(&foreign.url);
    let announcement = announcement.draft().sign(&project.owner);
    let now = nostr::types::Timestamp::now().as_secs();
    let other = project.repository.commit("other", "other\n", &[]).await.unwrap();
    for (on, branch, tip) in [(&left, "main", &project.tip), (&right, "other", &other)] {
        let state = State::new(&project.identifier).branch(branch, tip).head(branch);
        publish(on, &announcement).await;
        publish(on, &state.draft().at(now - 100).sign(&project.owner)).await;
        project.push(on, &format!("{tip}:refs/heads/{branch}")).await;
    }
    publish(&server, &announcement).await;
    let whole =
        State::new(&project.identifier).branch("main", &project.tip).branch("other", &other).head("main");
    let whole = whole.draft().sign(&project.owner);
    assert!(!serves(&server, &whole).await);
    foreign.publish(&whole).await;
    arrives(&server, &whole).await;
    project.comes_to_show(&server, "refs/heads/main", &project.tip).await;
    project.comes_to_show(&server, "refs/heads/other", &other).await;
}
