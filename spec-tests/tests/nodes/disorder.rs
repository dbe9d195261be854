//! A node that stands still, one that is stopped while a push comes, one that is killed while it fetches.

use std::time::Duration;

use grasp_audit::target::url::repository_path;
use grasp_fixtures::{events, keys};
use nostr::event::Event;
use serde_json::json;
use spec_tests::project::{Project, Service, arrives, publish, publish_all, relay};
use spec_tests::raw_push::RawPush;

use crate::mesh::Mesh;

/// How long the first comment may take on a busy machine.
const WITHIN: Duration = Duration::from_secs(60);
/// Comments that a node is killed among.
const COMMENTS: usize = 600;

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_paused_has_what_it_missed() {
    let Some(mesh) = Mesh::start("a_node_that_was_paused_has_what_it_missed").await else {
        return;
    };
    let [first, second, third] = mesh.nodes();
    let (mut project, _) = mesh.project("pause").await;

    second.docker(&["pause"]).await;
    project.commit("meanwhile\n").await;
    let state = project.state_on(first).await;
    let issue = events::issue(&project.coordinate(), "meanwhile", "").sign(&keys::fresh());
    publish(third, &issue).await;
    arrives(third, &state).await;
    arrives(first, &issue).await;
    second.docker(&["unpause"]).await;
    mesh.is_level_with(&project, &[&state, &issue]).await;
    mesh.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_push_that_a_stop_cut_off_and_one_that_a_stopped_node_missed_are_everywhere_at_the_end() {
    let Some(mesh) = Mesh::start(
        "a_push_that_a_stop_cut_off_and_one_that_a_stopped_node_missed_are_everywhere_at_the_end",
    )
    .await
    else {
        return;
    };
    let [first, second, third] = mesh.nodes();
    let (mut project, _) = mesh.project("stop").await;

    // One is stopped when the push comes, to another node.
    third.docker(&["stop"]).await;
    project.commit("missed\n").await;
    let missed = project.state_on(first).await;
    arrives(second, &missed).await;

    // Another one is stopped when half of a push has come. What it said yes to waits there for the rest.
    let (url, path) = (
        second.target().await.url.clone(),
        repository_path(&project.owner.public_key(), &project.identifier),
    );
    let (pull, change) = pull_request(&project).await;
    publish(second, &pull).await;
    let name = format!("refs/nostr/{}", pull.id);
    let push = RawPush::new(&url, &path, &project.repository, &name, &change).await;
    let begun = push.begin(&url).await;
    second.docker(&["stop"]).await;
    drop(begun);
    second.start_again().await;
    project.push(second, &format!("{change}:{name}")).await;
    arrives(first, &pull).await;

    third.start_again().await;
    mesh.is_level_with(&project, &[&missed, &pull]).await;
    for node in [first, second, third] {
        project.comes_to_show(node, &name, &change).await;
    }
    mesh.end().await;
}

/// A pull request whose data is nowhere yet: event and tip.
async fn pull_request(project: &Project) -> (Event, String) {
    let tip = project.repository.commit("change", "a change\n", &[&project.tip]).await.unwrap();
    let event = grasp_fixtures::PullRequest::new(project.coordinate(), &tip).draft().sign(&keys::fresh());
    (event, tip)
}

#[tokio::test(flavor = "multi_thread")]
async fn a_node_that_was_killed_while_it_fetched_has_all_of_it_after_its_start() {
    let Some(mesh) =
        Mesh::start("a_node_that_was_killed_while_it_fetched_has_all_of_it_after_its_start").await
    else {
        return;
    };
    let [first, second, third] = mesh.nodes();
    let project = Project::new("kill").await;
    let announcement = project.announce(&[first, second, third]).await;
    let state = project.publish_on(first, &announcement).await;
    let author = keys::fresh();
    let issue = events::issue(&project.coordinate(), "root", "").sign(&author);
    publish(first, &issue).await;
    let comments: Vec<Event> =
        (0..COMMENTS).map(|n| events::comment(&issue, &n.to_string()).sign(&author)).collect();
    publish_all(first, &comments).await;
    publish(second, &announcement).await;

    // Where one comment is, the others are on their way.
    let (_target, relay) = relay(third).await;
    let mut comes = relay.subscribe(&[json!({"kinds": [events::COMMENT]})]).await.unwrap();
    publish(third, &announcement).await;
    assert!(comes.next_event(WITHIN).await.unwrap().is_some(), "no comment comes to the third node");
    third.docker(&["kill"]).await;
    third.start_again().await;
    mesh.is_level_with(&project, &[&state, &issue, &comments[0], &comments[COMMENTS - 1]]).await;
    mesh.end().await;
}
