//! Somebody's repository, here and on servers, and what clients do with it.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot publish cannot go on

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use grasp_audit::target::Target;
use grasp_audit::target::url::ServiceUrl;
use grasp_audit::target::websocket::Relay;
use grasp_fixtures::events::coordinate;
use grasp_fixtures::{Announcement, PullRequest, Repository, State, keys};
use nostr::event::Event;
use nostr::key::Keys;
use nostr::types::Timestamp;
use serde_json::json;

use crate::{Instance, instance, view};

/// How long anything may take on a busy machine.
const WITHIN: Duration = Duration::from_secs(60);

/// A server that hosts projects.
pub trait Service {
    /// As the suite's clients see it, from here.
    fn target(&self) -> impl Future<Output = Arc<Target>> + Send;

    /// How announcements name it.
    fn name(&self) -> impl Future<Output = ServiceUrl> + Send;
}

impl Service for Instance {
    fn target(&self) -> impl Future<Output = Arc<Target>> + Send {
        Instance::target(self)
    }

    async fn name(&self) -> ServiceUrl {
        self.target().await.url.clone()
    }
}

/// How far in the past a project's first state lies, in seconds.
const HEAD_START: u64 = 60;

/// Somebody's repository, here and on servers.
#[derive(Debug)]
pub struct Project {
    /// Who signs for it.
    pub owner: Keys,
    /// Its `d`.
    pub identifier: String,
    /// The repository here.
    pub repository: Repository,
    /// Where `main` is, here.
    pub tip: String,
    /// When the last state was made: each is a second later than the one before, however fast a test is.
    last: AtomicU64,
}

impl Project {
    /// A project with one commit, whose identifier begins with `name`.
    ///
    /// # Panics
    /// When git fails.
    pub async fn new(name: &str) -> Self {
        let repository = Repository::init("main").await.unwrap();
        let tip = repository.commit("readme", "first\n", &[]).await.unwrap();
        repository.branch("main", &tip).await.unwrap();
        let identifier = format!("{name}-{}", keys::random_suffix(8));
        let last = AtomicU64::new(Timestamp::now().as_secs() - HEAD_START);
        Self { owner: keys::fresh(), identifier, repository, tip, last }
    }

    /// `30617:<owner>:<identifier>`
    #[must_use]
    pub fn coordinate(&self) -> String {
        coordinate(&self.owner.public_key(), &self.identifier)
    }

    /// Where it is on a server, as reached from here.
    pub async fn url(&self, server: &impl Service) -> String {
        server.target().await.url.clone_url(&self.owner.public_key(), &self.identifier)
    }

    /// An announcement that lists these servers.
    pub async fn announcement(&self, on: &[&impl Service]) -> Announcement {
        let mut announcement = Announcement::new(&self.identifier);
        for server in on {
            let name = server.name().await;
            let url = name.clone_url(&self.owner.public_key(), &self.identifier);
            announcement = announcement.clone_url(url).relay(name.relay());
        }
        announcement
    }

    /// The same, signed.
    pub async fn announce(&self, on: &[&impl Service]) -> Event {
        self.announcement(on).await.draft().sign(&self.owner)
    }

    /// A state with `main` there, newer than the last one.
    #[must_use]
    pub fn state(&self, tip: &str) -> Event {
        let at = self.last.fetch_add(1, Ordering::Relaxed) + 1;
        State::new(&self.identifier).branch("main", tip).head("main").draft().at(at).sign(&self.owner)
    }

    /// A new commit on main, here.
    ///
    /// # Panics
    /// When git fails.
    pub async fn commit(&mut self, text: &str) -> String {
        self.tip = self.repository.commit("readme", text, &[&self.tip]).await.unwrap();
        self.repository.branch("main", &self.tip).await.unwrap();
        self.tip.clone()
    }

    /// Pushes what has to be taken.
    ///
    /// # Panics
    /// When it is not.
    pub async fn push(&self, server: &impl Service, refspec: &str) {
        let output = self.repository.push(&self.url(server).await, &[refspec]).await.unwrap();
        assert!(output.ok(), "{output}");
    }

    /// Announced to, stated on and pushed to one server.
    pub async fn publish_on(&self, server: &impl Service, announcement: &Event) -> Event {
        publish(server, announcement).await;
        self.state_on(server).await
    }

    /// Stated on and pushed to one server.
    pub async fn state_on(&self, server: &impl Service) -> Event {
        let state = self.state(&self.tip);
        publish(server, &state).await;
        self.push(server, "main").await;
        state
    }

    /// A pull request with its data pushed to a server: event and tip.
    ///
    /// # Panics
    /// When git fails.
    pub async fn pull_request(&self, server: &impl Service, text: &str) -> (Event, String) {
        let tip = self.repository.commit("change", text, &[&self.tip]).await.unwrap();
        let event = PullRequest::new(self.coordinate(), &tip).subject(text).draft().sign(&keys::fresh());
        self.push(server, &format!("{tip}:refs/nostr/{}", event.id)).await;
        (event, tip)
    }

    /// Waits until a server shows `name` at `oid`, then clones from it and looks for everything that reaches.
    ///
    /// # Panics
    /// When it never does, or something is missing.
    pub async fn comes_to_show(&self, server: &impl Service, name: &str, oid: &str) {
        let target = server.target().await;
        instance::eventually(&format!("{name} of {} is at {oid}", target.url.authority()), || async {
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

/// A connection to a server's relay, and the server.
///
/// # Panics
/// When there is none.
pub async fn relay(server: &impl Service) -> (Arc<Target>, Relay) {
    let target = server.target().await;
    let relay = instance::relay(&target).await.unwrap();
    (target, relay)
}

/// Publishes what has to be taken.
pub async fn publish(server: &impl Service, event: &Event) {
    publish_all(server, std::slice::from_ref(event)).await;
}

/// Publishes one after the other what has to be taken.
///
/// # Panics
/// When it is not.
pub async fn publish_all(server: &impl Service, events: &[Event]) {
    let (target, relay) = relay(server).await;
    for event in events {
        let reply = relay.publish(&view::as_json(event)).await.unwrap();
        assert!(reply.accepted, "{}: {}", target.url.authority(), reply.message);
    }
}

/// Waits until a server serves an event; returns when it did.
///
/// # Panics
/// When it never does.
pub async fn arrives(server: &impl Service, event: &Event) -> Instant {
    let (target, relay) = relay(server).await;
    let mut live = relay.subscribe(&[json!({"ids": [event.id.to_hex()]})]).await.unwrap();
    if live.stored.is_empty() {
        let came = live.next_event(WITHIN).await.unwrap();
        assert!(came.is_some(), "kind {} never comes to {}", event.kind, target.url.authority());
    }
    Instant::now()
}

/// Whether a server serves an event now.
///
/// # Panics
/// When it does not answer.
pub async fn serves(server: &impl Service, event: &Event) -> bool {
    let (_target, relay) = relay(server).await;
    !relay.req(&[json!({"ids": [event.id.to_hex()]})]).await.unwrap().is_empty()
}
