//! One node after the other is restarted, as for an upgrade, and people go on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use grasp_fixtures::{events, keys};
use nostr::event::Event;
use nostr::key::Keys;
use spec_tests::instance;
use spec_tests::project::publish;
use spec_tests::view::as_json;

use crate::mesh::{Mesh, Node};

/// How often somebody says something.
const PACE: Duration = Duration::from_millis(20);

#[tokio::test(flavor = "multi_thread")]
async fn nothing_that_was_taken_is_lost_while_all_nodes_are_restarted_in_turn() {
    let Some(mesh) =
        Mesh::start("nothing_that_was_taken_is_lost_while_all_nodes_are_restarted_in_turn").await
    else {
        return;
    };
    let nodes: [&Node; 3] = mesh.nodes();
    let (mut project, [announcement, _]) = mesh.project("rolling").await;
    let issue = events::issue(&project.coordinate(), "an upgrade", "").sign(&keys::fresh());
    publish(nodes[0], &issue).await;
    mesh.is_level_with(&project, &[&announcement, &issue]).await;

    let over = AtomicBool::new(false);
    let restart = async {
        let mut states = Vec::new();
        for (place, node) in nodes.iter().enumerate() {
            node.docker(&["restart"]).await;
            node.answers().await;
            project.commit(&format!("during the upgrade, {place}\n")).await;
            states.push(project.state_on(*node).await);
        }
        over.store(true, Ordering::Relaxed);
        states
    };
    let (states, (taken, refused)) = tokio::join!(restart, talk(&nodes, &issue, &over));
    println!("{} comments were taken, {refused} met a node that was away", taken.len());
    assert!(!taken.is_empty());

    let last = states.last().unwrap();
    let events: Vec<&Event> = taken.iter().chain([&issue, last]).collect();
    mesh.is_level_with(&project, &events).await;
    mesh.end().await;
}

/// Comments to each node in turn, until it is over: those that were taken, and how many were not.
async fn talk(nodes: &[&Node], issue: &Event, over: &AtomicBool) -> (Vec<Event>, usize) {
    let (author, mut taken, mut refused) = (keys::fresh(), Vec::new(), 0);
    let mut pace = tokio::time::interval(PACE);
    for (number, node) in nodes.iter().cycle().enumerate() {
        pace.tick().await;
        if over.load(Ordering::Relaxed) {
            break;
        }
        match say(node, issue, &author, number).await {
            Some(comment) => taken.push(comment),
            None => refused += 1,
        }
    }
    (taken, refused)
}

/// A comment, if the node takes it.
async fn say(node: &Node, issue: &Event, author: &Keys, number: usize) -> Option<Event> {
    let comment = events::comment(issue, &number.to_string()).sign(author);
    let target = node.is_there().await?;
    let relay = instance::relay(&target).await.ok()?;
    relay.publish(&as_json(&comment)).await.ok()?.accepted.then_some(comment)
}
