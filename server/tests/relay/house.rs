//! A relay on loopback whose intake takes everything, stores it in memory and publishes it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::future::BoxFuture;
use grasp_server::clock::Clock;
use grasp_server::intake::{Answer, Intake, Source, Verified};
use grasp_server::relay::{self, ClientInfo, Feed, Limits, Relay, RelayParts};
use grasp_server::store::EventStore;
use grasp_server::store::events::Saved;
use nostr::key::PublicKey;
use parking_lot::Mutex;
use tokio::net::{TcpListener, TcpStream};
use tokio_util::sync::CancellationToken;

use super::client::Client;

pub(crate) struct House {
    pub(crate) relay: Arc<Relay>,
    pub(crate) feed: Arc<Feed>,
    pub(crate) store: EventStore,
    pub(crate) clock: Clock,
    pub(crate) shutdown: CancellationToken,
    intake: Arc<TakesEverything>,
    address: SocketAddr,
    _stop: tokio_util::sync::DropGuard,
}

struct TakesEverything {
    store: EventStore,
    feed: Arc<Feed>,
    submitted: AtomicUsize,
    authenticated: Mutex<Vec<PublicKey>>,
}

#[async_trait::async_trait]
impl Intake for TakesEverything {
    async fn admit(&self, event: Verified, source: &Source) -> BoxFuture<'static, Answer> {
        if let Source::Client { authenticated, .. } = source {
            self.authenticated.lock().extend(authenticated.iter());
        }
        let event = event.into_event();
        self.feed.expect(&[event.id]);
        self.submitted.fetch_add(1, Ordering::SeqCst);
        let (store, feed) = (self.store.clone(), self.feed.clone());
        let saved = tokio::spawn(async move {
            let saved = store.save(&event).await.unwrap();
            // A commit and its delivery are never one moment; make the gap wide enough to be met.
            for _ in 0..5 {
                tokio::task::yield_now().await;
            }
            if saved == Saved::New {
                feed.publish(&event);
            } else {
                feed.forget(&[event.id]);
            }
        });
        Box::pin(async move {
            saved.await.unwrap();
            Answer::yes("")
        })
    }
}

impl House {
    pub(crate) async fn start(limits: Limits) -> Self {
        let (store, clock) = (EventStore::memory(), Clock::system());
        let feed = Arc::new(Feed::new(clock.clone()));
        let shutdown = CancellationToken::new();
        let intake = Arc::new(TakesEverything {
            store: store.clone(),
            feed: feed.clone(),
            submitted: AtomicUsize::new(0),
            authenticated: Mutex::default(),
        });
        let relay = Relay::new(RelayParts {
            store: store.clone(),
            feed: feed.clone(),
            intake: intake.clone(),
            limits,
            clock: clock.clone(),
            url: "ws://127.0.0.1/".to_owned(),
            shutdown: shutdown.clone(),
            meters: Arc::default(),
        });
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (door, stop) = (Arc::downgrade(&relay), CancellationToken::new());
        let stopped = stop.clone();
        tokio::spawn(async move {
            stopped
                .run_until_cancelled(async {
                    while let Ok((stream, peer)) = listener.accept().await {
                        let Some(relay) = door.upgrade() else { return };
                        tokio::spawn(open(stream, peer, relay));
                    }
                })
                .await
        });
        Self { relay, feed, store, clock, shutdown, intake, address, _stop: stop.drop_guard() }
    }

    pub(crate) async fn connect(&self) -> Client {
        Client::connect(self.address).await
    }

    /// A connection whose handshake is done, for bytes that no client library would send.
    pub(crate) async fn connect_raw(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).await.unwrap();
        let (socket, _) = tokio_tungstenite::client_async("ws://127.0.0.1/", stream).await.unwrap();
        socket.into_inner()
    }

    /// Who holds the relay: this house, and every connection and query.
    pub(crate) fn handles(&self) -> usize {
        Arc::strong_count(&self.relay)
    }

    pub(crate) fn submitted(&self) -> usize {
        self.intake.submitted.load(Ordering::SeqCst)
    }

    pub(crate) fn authenticated(&self) -> Vec<PublicKey> {
        self.intake.authenticated.lock().clone()
    }
}

async fn open(stream: TcpStream, peer: SocketAddr, relay: Arc<Relay>) {
    stream.set_nodelay(true).unwrap();
    let Some(_permit) = relay.admit(peer.ip()) else { return };
    let Ok(socket) = tokio_tungstenite::accept_async(stream).await else { return };
    relay::serve(socket.into_inner(), ClientInfo { address: peer.ip() }, relay).await;
}

/// Waits until something is so, for ten seconds at most.
pub(crate) async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let waited = tokio::time::timeout(Duration::from_secs(10), async {
        while !is_so() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    });
    waited.await.unwrap_or_else(|_| panic!("in vain: {what}"));
}
