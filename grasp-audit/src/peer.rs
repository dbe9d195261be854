//! The auditor as another server (GRASP-02): a relay and a git host on one port, from which the server under test is to
//! fetch. It keeps a record of what the server does there ([`Visits`]), and misbehaves when told ([`Manners`]).
//!
//! The relay is one that nobody here wrote (`nostr-relay-builder`), behind a front of ours; git data is served by `git`
//! itself. A peer lives as long as its value: then its connections end and its folder goes.

mod door;
mod foreign;
mod front;
mod git_host;
pub mod lodging;
pub mod manners;
pub mod timeline;
pub mod visits;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use grasp_fixtures::{GitError, Repository};
use nostr::event::Event;
use nostr::key::PublicKey;
use tokio::sync::watch;
use tokio_util::sync::CancellationToken;

use self::door::Door;
use self::foreign::Foreign;
use self::git_host::GitHost;
pub use self::lodging::{Lodging, PeerAddress};
pub use self::manners::Manners;
pub use self::visits::Visits;
use crate::check::Ending;
use crate::target::url::{ServiceUrl, repository_path};

/// Why there is no peer, or it does not have what it should.
#[derive(Debug, thiserror::Error)]
pub enum PeerError {
    /// The port is not to be had.
    #[error("the auditor's peer cannot listen at {bind}: {source}; --peer-bind names another address")]
    Bind {
        /// Where.
        bind: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
    /// No temporary folder.
    #[error("the auditor's peer has no folder for git data: {0}")]
    Folder(#[from] std::io::Error),
    /// Its own relay does not take an event.
    #[error("the auditor's peer does not take event {event}: {why}")]
    Refused {
        /// Its id.
        event: String,
        /// What the relay said.
        why: String,
    },
}

impl From<PeerError> for Ending {
    fn from(error: PeerError) -> Self {
        Self::CannotRun(error.to_string())
    }
}

/// What is behind a peer's address.
#[derive(Debug)]
struct Room {
    visits: Arc<Visits>,
    manners: Mutex<Manners>,
    relay: Foreign,
    git: GitHost,
    connections: AtomicU64,
    /// Changes when all connections are to end.
    dropped: watch::Sender<u64>,
    /// The peer is there no more.
    gone: CancellationToken,
}

impl Room {
    fn manners(&self) -> Manners {
        self.manners.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn next_connection(&self) -> u64 {
        self.connections.fetch_add(1, Ordering::Relaxed) + 1
    }
}

/// One peer.
#[derive(Debug)]
pub struct Peer {
    room: Arc<Room>,
    door: Arc<Door>,
    token: String,
    relay: String,
    base: String,
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.door.leave(&self.token);
        self.room.gone.cancel();
        self.room.relay.shutdown();
    }
}

impl Peer {
    fn enter(door: Arc<Door>, url: &ServiceUrl, token: String) -> Result<Self, PeerError> {
        let path = if token.is_empty() { String::new() } else { format!("/{token}") };
        let room = Arc::new(Room {
            visits: Arc::default(),
            manners: Mutex::default(),
            relay: Foreign::new(),
            git: GitHost::new()?,
            connections: AtomicU64::new(0),
            dropped: watch::Sender::new(0),
            gone: CancellationToken::new(),
        });
        door.enter(&token, room.clone());
        let (relay, base) = (format!("{}{path}", url.relay()), format!("{}{path}", url.base()));
        Ok(Self { room, door, token, relay, base })
    }

    /// Its relay, as it stands under `relays`.
    #[must_use]
    pub fn relay(&self) -> &str {
        &self.relay
    }

    /// Where it hosts a repository, as it stands under `clone`.
    #[must_use]
    pub fn clone_url(&self, owner: &PublicKey, identifier: &str) -> String {
        format!("{}{}", self.base, repository_path(owner, identifier))
    }

    /// What the server did here.
    #[must_use]
    pub fn visits(&self) -> &Arc<Visits> {
        &self.room.visits
    }

    /// Changes how it behaves; connections that are open stay so.
    pub fn behave(&self, change: impl FnOnce(&mut Manners)) {
        change(&mut self.room.manners.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Ends all connections to its relay without a word; when that was.
    pub fn drop_connections(&self) -> Duration {
        let now = self.room.visits.now();
        self.room.dropped.send_modify(|times| *times += 1);
        now
    }

    /// Its relay has this event from now on, and sends it to whoever has subscribed for it.
    ///
    /// # Errors
    /// When it does not take it: a newer one of its address is there, for example.
    pub async fn publish(&self, event: &Event) -> Result<(), PeerError> {
        self.room.relay.publish(event).await
    }

    /// The same, for many.
    ///
    /// # Errors
    /// As [`Peer::publish`].
    pub async fn publish_all(&self, events: impl IntoIterator<Item = &Event>) -> Result<(), PeerError> {
        for event in events {
            self.publish(event).await?;
        }
        Ok(())
    }

    /// It hosts these refs of a repository from now on, with all that they reach: `<oid>:refs/heads/main`.
    ///
    /// # Errors
    /// When git fails.
    pub async fn host(
        &self,
        owner: &PublicKey,
        identifier: &str,
        repository: &Repository,
        refs: &[String],
    ) -> Result<(), GitError> {
        self.room.git.take(&repository_path(owner, identifier), repository, refs).await
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use futures_util::{SinkExt as _, StreamExt as _};
    use grasp_fixtures::{Draft, events, keys};
    use serde_json::{Value, json};
    use tokio_tungstenite::tungstenite::Message;

    use super::manners::Negentropy;
    use super::visits::{Subscriptions, attempts, most_open};
    use super::*;

    type Socket =
        tokio_tungstenite::WebSocketStream<tokio_tungstenite::MaybeTlsStream<tokio::net::TcpStream>>;

    async fn peer() -> Peer {
        Lodging::default().peer().await.unwrap()
    }

    async fn connect(peer: &Peer) -> Socket {
        tokio_tungstenite::connect_async(peer.relay()).await.unwrap().0
    }

    async fn say(socket: &mut Socket, message: Value) {
        socket.send(Message::text(message.to_string())).await.unwrap();
    }

    async fn hear(socket: &mut Socket) -> Value {
        loop {
            if let Message::Text(text) = socket.next().await.unwrap().unwrap() {
                return serde_json::from_str(text.as_str()).unwrap();
            }
        }
    }

    fn note(text: &str, at: u64) -> Event {
        events::note(text).at(at).sign(&keys::fresh())
    }

    #[tokio::test]
    async fn stored_and_live_events_are_sent_and_everything_is_recorded() {
        let peer = peer().await;
        let (old, new) = (note("old", 1_000), note("new", 2_000));
        peer.publish(&old).await.unwrap();
        let mut socket = connect(&peer).await;
        say(&mut socket, json!(["REQ", "s", {"kinds": [1]}])).await;
        assert_eq!(hear(&mut socket).await[2]["id"], old.id.to_hex());
        assert_eq!(hear(&mut socket).await, json!(["EOSE", "s"]));
        peer.publish(&new).await.unwrap();
        assert_eq!(hear(&mut socket).await[2]["id"], new.id.to_hex());
        peer.visits().read(|visits| {
            assert_eq!(attempts(visits).len(), 1);
            assert_eq!(most_open(visits), (1, 1));
            let (_, open) = Subscriptions::after(visits)
                .iter()
                .map(|(sub, open)| (sub.clone(), open.clone()))
                .next()
                .unwrap();
            assert!(open.answered && open.covers(&new));
        });
        let left = |visits: &[visits::Visit]| (visits::connected(visits) == 0).then_some(());
        peer.drop_connections();
        assert!(peer.visits().until(Duration::from_secs(30), left).await.is_some());
    }

    #[tokio::test]
    async fn it_misbehaves_when_told() {
        let peer = peer().await;
        peer.publish_all(&(0..5).map(|n| note(&n.to_string(), 1_000 + n)).collect::<Vec<_>>()).await.unwrap();
        let forged = events::forged::altered_content(&note("forged", 5));
        peer.behave(|manners| {
            manners.page = 2;
            manners.negentropy = Negentropy::Refused;
            manners.forged = vec![forged.clone()];
        });
        let mut socket = connect(&peer).await;
        say(&mut socket, json!(["REQ", "s", {"kinds": [1], "limit": 100}])).await;
        assert_eq!(hear(&mut socket).await[2], forged);
        assert_eq!(hear(&mut socket).await[0], "EVENT");
        assert_eq!(hear(&mut socket).await[0], "EVENT");
        assert_eq!(hear(&mut socket).await[0], "EOSE");
        say(&mut socket, json!(["NEG-OPEN", "n", {"kinds": [1]}, "61"])).await;
        assert_eq!(hear(&mut socket).await[0], "NEG-ERR");
        peer.behave(|manners| manners.closes = Some("rate-limited: slow down".to_owned()));
        say(&mut socket, json!(["REQ", "t", {}])).await;
        assert_eq!(hear(&mut socket).await, json!(["CLOSED", "t", "rate-limited: slow down"]));
        peer.behave(|manners| manners.relay = manners::Relay::Refuses);
        assert!(tokio_tungstenite::connect_async(peer.relay()).await.is_err());
        let turned = |visits: &[visits::Visit]| attempts(visits).len();
        assert_eq!(peer.visits().read(turned), 2);
    }

    #[tokio::test]
    async fn git_data_is_served_by_every_version_of_the_protocol() {
        let (peer, owner) = (peer().await, keys::fresh().public_key());
        let here = Repository::init("main").await.unwrap();
        let tip = here.commit("a.txt", "one\n", &[]).await.unwrap();
        peer.host(&owner, "a b", &here, &[format!("{tip}:refs/heads/main")]).await.unwrap();
        let url = peer.clone_url(&owner, "a b");
        for version in ["0", "2"] {
            let configured = |git: grasp_fixtures::Git| git.config("protocol.version", version);
            let (clone, output) = Repository::clone_of(&url, &[], configured).await.unwrap();
            assert!(output.ok(), "{output}");
            assert!(clone.has(&tip).await.unwrap());
        }
        let path = repository_path(&owner, "a b");
        assert!(peer.visits().read(|visits| visits::fetches(visits, &path).len()) >= 4);
        peer.behave(|manners| manners.git = manners::Git::Status(429));
        let (_, output) = Repository::clone_of(&url, &[], |git| git).await.unwrap();
        assert!(!output.ok());
        let last = peer.visits().read(|visits| visits::fetches(visits, &path).pop());
        assert_eq!(last.map(|(_, status)| status), Some(429));
    }

    #[tokio::test]
    async fn a_newer_replaceable_event_takes_the_older_ones_place() {
        let (peer, author) = (peer().await, keys::fresh());
        let state = |at: u64| Draft::new(30618, "").tag(["d", "x"]).at(at).sign(&author);
        peer.publish(&state(10)).await.unwrap();
        peer.publish(&state(20)).await.unwrap();
        assert!(matches!(peer.publish(&state(15)).await, Err(PeerError::Refused { .. })));
    }
}
