//! A node that is new, where there is much already.

use grasp_audit::target::url::ServiceUrl;
use grasp_fixtures::events::coordinate;
use grasp_fixtures::{Announcement, State, events, keys};
use nostr::event::Event;
use nostr::key::Keys;
use spec_tests::instance;
use spec_tests::project::{Project, Service};

use crate::mesh::{self, Mesh, Node};

/// People, each with a repository of every identifier. What is pushed is the same for all of one identifier, so a node
/// fetches for each identifier a few times and not five hundred: it spares other hosts (thirty fetches a minute), which is
/// not what is asked here.
const OWNERS: usize = 100;
const IDENTIFIERS: usize = 5;
const REPOSITORIES: usize = OWNERS * IDENTIFIERS;

#[tokio::test(flavor = "multi_thread")]
async fn a_fresh_node_joins_where_there_are_five_hundred_repositories() {
    let Some(mut mesh) =
        Mesh::two_in_memory("a_fresh_node_joins_where_there_are_five_hundred_repositories").await
    else {
        return;
    };
    let [first, second] = mesh.nodes();
    let content = Project::new("join").await;
    let repositories = repositories();
    let names = mesh::names();
    let announcements: Vec<Event> = repositories.iter().map(|one| one.announcement(&names)).collect();
    let states: Vec<Event> = repositories.iter().map(|one| one.state(&content.tip)).collect();
    let issues: Vec<Event> = repositories.iter().map(Repository::issue).collect();
    let prepare = async |node: &Node| {
        publish(node, &announcements).await;
        publish(node, &states).await;
        for one in repositories.iter().step_by(OWNERS) {
            let url = node.target().await.url.clone_url(&one.owner.public_key(), &one.identifier);
            let output = content.repository.push(&url, &["main"]).await.unwrap();
            assert!(output.ok(), "{output}");
        }
        publish(node, &issues).await;
    };
    tokio::join!(prepare(first), prepare(second));
    mesh.is_level(REPOSITORIES).await;

    mesh.add().await;
    let agreement = mesh.is_level(REPOSITORIES).await;
    // Of each: announcement, state, issue, HEAD, main.
    assert_eq!(agreement.items, REPOSITORIES * 5);
    mesh.end().await;
}

/// One of the five hundred.
struct Repository {
    owner: Keys,
    identifier: String,
}

/// Those of one identifier after each other.
fn repositories() -> Vec<Repository> {
    let identifiers = (0..IDENTIFIERS).map(|number| format!("join-{number}-{}", keys::random_suffix(8)));
    let of_all = |identifier: String| {
        (0..OWNERS).map(move |_| Repository { owner: keys::fresh(), identifier: identifier.clone() })
    };
    identifiers.flat_map(of_all).collect()
}

impl Repository {
    fn announcement(&self, on: &[ServiceUrl]) -> Event {
        let listed = |announcement: Announcement, name: &ServiceUrl| {
            let url = name.clone_url(&self.owner.public_key(), &self.identifier);
            announcement.clone_url(url).relay(name.relay())
        };
        on.iter().fold(Announcement::new(&self.identifier), listed).draft().sign(&self.owner)
    }

    fn state(&self, tip: &str) -> Event {
        State::new(&self.identifier).branch("main", tip).head("main").draft().sign(&self.owner)
    }

    fn issue(&self) -> Event {
        let coordinate = coordinate(&self.owner.public_key(), &self.identifier);
        events::issue(&coordinate, "An issue", "It does not work.").sign(&self.owner)
    }
}

/// Publishes many, without waiting for one answer before the next is sent.
async fn publish(node: &Node, events: &[Event]) {
    let relay = instance::relay(&*node.target().await).await.unwrap();
    for event in events {
        relay.send_publish(event).await.unwrap();
    }
    for event in events {
        let reply = relay.ok_for(event).await.unwrap();
        assert!(reply.accepted, "{reply}");
    }
}
