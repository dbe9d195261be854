//! Servers that name each other, and a repository that lives on all of them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use grasp_audit::target::Target;
use grasp_audit::target::websocket::Relay;
use grasp_fixtures::events::coordinate;
use grasp_fixtures::{Announcement, PullRequest, Repository, State, keys};
use nostr::event::Event;
use nostr::key::Keys;
use nostr::types::Timestamp;
use serde_json::json;
use spec_tests::{Backend, Instance, Setup, instance, view};

/// How long anything may take on a busy machine. What is told to be quick is measured and printed.
const WITHIN: Duration = Duration::from_secs(60);

/// A server that fetches from its peers.
pub(crate) fn setup() -> Setup {
    Setup::new(env!("CARGO_BIN_EXE_server-under-test"), Backend::Lmdb)
        .syncing()
        .set("NGIT_SYNC_BASE_BACKOFF_SECS", 1)
        .set("NGIT_LOG_LEVEL", "info,grasp_server::sync=debug")
}

/// So many of them.
pub(crate) async fn servers<const N: usize>() -> [Instance; N] {
    let mut started = Vec::new();
    for _ in 0..N {
        started.push(setup().start().await);
    }
    started.try_into().expect("as many as asked for")
}

/// How far in the past a project's first state lies, in seconds.
const HEAD_START: u64 = 60;

/// Somebody's repository, here and on servers.
pub(crate) struct Project {
    pub(crate) owner: Keys,
    pub(crate) identifier: String,
    pub(crate) repository: Repository,
    pub(crate) tip: String,
    /// When the last state was made: each is a second later than the one before, however fast a test is.
    last: AtomicU64,
}

impl Project {
    pub(crate) async fn new(name: &str) -> Self {
        let repository = Repository::init("main").await.unwrap();
        let tip = repository.commit("readme", "first\n", &[]).await.unwrap();
        repository.branch("main", &tip).await.unwrap();
        let identifier = format!("{name}-{}", keys::random_suffix(8));
        let last = AtomicU64::new(Timestamp::now().as_secs() - HEAD_START);
        Self { owner: keys::fresh(), identifier, repository, tip, last }
    }

    pub(crate) fn coordinate(&self) -> String {
        coordinate(&self.owner.public_key(), &self.identifier)
    }

    pub(crate) async fn url(&self, server: &Instance) -> String {
        server.target().await.url.clone_url(&self.owner.public_key(), &self.identifier)
    }

    /// An announcement that lists these servers.
    pub(crate) async fn announcement(&self, on: &[&Instance]) -> Announcement {
        let mut announcement = Announcement::new(&self.identifier);
        for server in on {
            announcement = announcement.clone_url(self.url(server).await).relay(server.url());
        }
        announcement
    }

    pub(crate) async fn announce(&self, on: &[&Instance]) -> Event {
        self.announcement(on).await.draft().sign(&self.owner)
    }

    pub(crate) fn state(&self, tip: &str) -> Event {
        let at = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        State::new(&self.identifier).branch("main", tip).head("main").draft().at(at).sign(&self.owner)
    }

    /// A new commit on main, here.
    pub(crate) async fn commit(&mut self, text: &str) -> String {
        self.tip = self.repository.commit("readme", text, &[&self.tip]).await.unwrap();
        self.repository.branch("main", &self.tip).await.unwrap();
        self.tip.clone()
    }

    pub(crate) async fn push(&self, server: &Instance, refspec: &str) {
        let output = self.repository.push(&self.url(server).await, &[refspec]).await.unwrap();
        assert!(output.ok(), "{output}");
    }

    /// Announced to, stated on and pushed to one server.
    pub(crate) async fn publish_on(&self, server: &Instance, announcement: &Event) -> Event {
        let state = self.state(&self.tip);
        publish(server, announcement).await;
        publish(server, &state).await;
        self.push(server, "main").await;
        state
    }

    /// A pull request with its data pushed to a server: event and tip.
    pub(crate) async fn pull_request(&self, server: &Instance, text: &str) -> (Event, String) {
        let tip = self.repository.commit("change", text, &[&self.tip]).await.unwrap();
        let event = PullRequest::new(self.coordinate(), &tip).subject(text).draft().sign(&keys::fresh());
        self.push(server, &format!("{tip}:refs/nostr/{}", event.id)).await;
        (event, tip)
    }

    /// Waits until a server shows `name` at `oid`, then clones from it and looks for everything that reaches.
    pub(crate) async fn comes_to_show(&self, server: &Instance, name: &str, oid: &str) {
        let target = server.target().await;
        instance::eventually(&format!("{name} of {} is at {oid}", server.authority()), || async {
            let refs = view::refs(&target, &self.owner.public_key(), &self.identifier).await;
            refs.is_some_and(|refs| refs.refs.get(name).is_some_and(|value| value == oid))
        })
        .await;
        let clone = Repository::init("main").await.unwrap();
        let output = clone.fetch(&self.url(server).await, &[&format!("{name}:refs/fetched")]).await.unwrap();
        assert!(output.ok(), "{output}");
        clone.git(&["rev-list", "--objects", oid]).await.unwrap();
    }
}

pub(crate) async fn relay(server: &Instance) -> (Arc<Target>, Relay) {
    let target = server.target().await;
    let relay = instance::relay(&target).await.unwrap();
    (target, relay)
}

/// Publishes what has to be taken.
pub(crate) async fn publish(server: &Instance, event: &Event) {
    publish_all(server, std::slice::from_ref(event)).await;
}

/// Publishes one after the other what has to be taken.
pub(crate) async fn publish_all(server: &Instance, events: &[Event]) {
    let (_target, relay) = relay(server).await;
    for event in events {
        let reply = relay.publish(&view::as_json(event)).await.unwrap();
        assert!(reply.accepted, "{}: {}", server.authority(), reply.message);
    }
}

/// Waits until a server serves an event; returns when it did.
pub(crate) async fn arrives(server: &Instance, event: &Event) -> Instant {
    let (_target, relay) = relay(server).await;
    let mut live = relay.subscribe(&[json!({"ids": [event.id.to_hex()]})]).await.unwrap();
    if live.stored.is_empty() {
        let came = live.next_event(WITHIN).await.unwrap();
        assert!(came.is_some(), "kind {} never comes to {}", event.kind, server.authority());
    }
    Instant::now()
}

/// Whether a server serves an event now.
pub(crate) async fn serves(server: &Instance, event: &Event) -> bool {
    let (_target, relay) = relay(server).await;
    !relay.req(&[json!({"ids": [event.id.to_hex()]})]).await.unwrap().is_empty()
}

/// Prints how long something took: figures for people, no test fails by them.
pub(crate) fn report(what: &str, since: Instant, at: Instant) {
    println!("{what}: {:.3} s", at.saturating_duration_since(since).as_secs_f64());
}
