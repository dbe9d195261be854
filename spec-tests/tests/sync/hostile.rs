//! Peers that lie, and peers that have not heard of a deletion.

use std::time::Duration;

use grasp_audit::target::url::repository_path;
use grasp_fixtures::events::forged;
use grasp_fixtures::{Announcement, events, keys};
use spec_tests::{Instance, instance, view};
use tokio::net::TcpListener;

use crate::foreign::{Foreign, Lying, announced_on};
use crate::network::{Project, arrives, publish, serves, setup};

#[tokio::test]
async fn forged_events_of_a_peer_do_not_get_in_and_do_not_keep_the_true_one_out() {
    let server = setup().start().await;
    let lying = Lying::start().await;
    let project = Project::new("forged").await;
    let announcement = announced_on(&project, &server, &lying.url).await;
    let author = keys::fresh();
    let issue = |text: &str| events::issue(&project.coordinate(), text, "").sign(&author);
    let (wronged, altered, stolen, honest) = (issue("a"), issue("b"), issue("c"), issue("d"));
    let owner = project.owner.public_key();
    lying.events.lock().extend([
        // Under the very id of an event that will come later.
        forged::bad_signature(&wronged),
        forged::bad_id(&altered),
        forged::altered_content(&altered),
        forged::stolen_name(&stolen, &owner),
        view::as_json(&honest),
    ]);
    project.publish_on(&server, &announcement).await;
    // The last of the list has come, so all others have been looked at.
    arrives(&server, &honest).await;
    for event in [&wronged, &altered, &stolen] {
        assert!(!serves(&server, event).await, "{} is served", event.content);
    }
    publish(&server, &wronged).await;
    assert!(serves(&server, &wronged).await);
}

#[tokio::test]
async fn what_was_deleted_here_does_not_come_back_from_a_peer() {
    let mut server = setup().start().await;
    let foreign = Foreign::start().await;
    let project = Project::new("deleted").await;
    let announcement = announced_on(&project, &server, &foreign.url).await;
    let author = keys::fresh();
    let issue = events::issue(&project.coordinate(), "regretted", "").sign(&author);
    foreign.publish(&issue).await;
    project.publish_on(&server, &announcement).await;
    arrives(&server, &issue).await;
    let deletion = events::delete_ids([&issue.id]).sign(&author);
    publish(&server, &deletion).await;
    assert!(!serves(&server, &issue).await);

    // After a restart, nothing but what is on disk keeps it out.
    server.stop().await;
    let later = events::issue(&project.coordinate(), "later", "").sign(&author);
    foreign.publish(&later).await;
    server.restart().await;
    arrives(&server, &later).await;
    assert!(!serves(&server, &issue).await, "it has come back");
}

/// Publishes an announcement that lists a public server and this relay.
async fn announce_publicly(server: &Instance, relay: &str) {
    let owner = keys::fresh();
    let path = repository_path(&owner.public_key(), "public");
    let announcement = Announcement::new("public")
        .clone_url(format!("https://{PUBLIC}{path}"))
        .relay(format!("wss://{PUBLIC}"))
        .relay(relay);
    publish(server, &announcement.draft().sign(&owner)).await;
}

/// The domain of a public server. It is its own, so nobody looks it up.
const PUBLIC: &str = "git.example.org";

#[tokio::test]
async fn a_public_server_does_not_connect_to_its_own_machine() {
    let server = setup().set("NGIT_DOMAIN", PUBLIC).start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    announce_publicly(&server, &format!("ws://{}", listener.local_addr().unwrap())).await;
    instance::eventually("the relay is refused", || async {
        server.log().contains("loopback address 127.0.0.1, which this server does not talk to")
    })
    .await;
    let connected = tokio::time::timeout(Duration::ZERO, listener.accept()).await;
    assert!(connected.is_err(), "it has connected all the same");
}

#[tokio::test]
async fn a_public_server_connects_to_its_own_machine_when_its_operator_says_so() {
    let server =
        setup().set("NGIT_DOMAIN", PUBLIC).set("NGIT_SYNC_ALLOW_NON_GLOBAL_TARGETS", true).start().await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    announce_publicly(&server, &format!("ws://{}", listener.local_addr().unwrap())).await;
    tokio::time::timeout(Duration::from_secs(60), listener.accept()).await.unwrap().unwrap();
}

#[tokio::test]
async fn a_peer_that_floods_with_forgeries_is_left() {
    let server = setup().start().await;
    let lying = Lying::start().await;
    let project = Project::new("flood").await;
    let announcement = announced_on(&project, &server, &lying.url).await;
    let forgeries = (0..150).map(|n| {
        let issue = events::issue(&project.coordinate(), &n.to_string(), "").sign(&keys::fresh());
        forged::altered_content(&issue)
    });
    lying.events.lock().extend(forgeries);
    project.publish_on(&server, &announcement).await;
    instance::eventually("the relay is left", || async { server.log().contains("false ids or signatures") })
        .await;
}
