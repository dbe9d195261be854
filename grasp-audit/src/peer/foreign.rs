//! The relay inside a peer: that of `nostr-relay-builder`, so that it is one that nobody here wrote.
//!
//! It brings a `nostr` crate of its own beside ours; nothing of it is seen outside this file. Events go in as JSON.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use nostr::event::Event;
use nostr_relay_builder::prelude::{
    Event as TheirEvent, JsonUtil as _, LocalRelay, MemoryDatabase, MemoryDatabaseOptions, NostrDatabase,
    RateLimit, RelayBuilder,
};
use tokio::io::{AsyncRead, AsyncWrite};

use super::PeerError;

/// Events that it keeps.
const MAX_EVENTS: usize = 35_000;

/// See the module.
#[derive(Debug, Clone)]
pub(super) struct Foreign {
    relay: LocalRelay,
    events: Arc<MemoryDatabase>,
}

impl Foreign {
    pub(super) fn new() -> Self {
        let kept = MemoryDatabaseOptions { events: true, max_events: Some(MAX_EVENTS) };
        let events = Arc::new(MemoryDatabase::with_opts(kept));
        // limits are what the peer's manners say, and nothing else
        let limits = RateLimit { max_reqs: 10_000, notes_per_minute: 100_000 };
        let relay = LocalRelay::new(RelayBuilder::default().database(Arc::clone(&events)).rate_limit(limits));
        Self { relay, events }
    }

    /// Takes an event and sends it to whoever has subscribed for it.
    pub(super) async fn publish(&self, event: &Event) -> Result<(), PeerError> {
        let refused = |why: String| PeerError::Refused { event: event.id.to_hex(), why };
        let json = serde_json::to_string(event).map_err(|error| refused(error.to_string()))?;
        let theirs = TheirEvent::from_json(json).map_err(|error| refused(error.to_string()))?;
        let saved = self.events.save_event(&theirs).await.map_err(|error| refused(error.to_string()))?;
        if !saved.is_success() {
            return Err(refused(format!("{saved:?}")));
        }
        // nobody may be there to hear it
        let _ = self.relay.notify_event(theirs);
        Ok(())
    }

    /// Speaks the relay protocol on a stream that is a WebSocket already, until it ends.
    pub(super) async fn serve(&self, stream: impl AsyncRead + AsyncWrite + Unpin) {
        let nobody = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        if let Err(error) = self.relay.take_connection(stream, nobody).await {
            tracing::debug!(%error, "the peer's relay has ended a connection");
        }
    }

    pub(super) fn shutdown(&self) {
        self.relay.shutdown();
    }
}
