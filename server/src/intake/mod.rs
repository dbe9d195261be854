//! The one funnel for events, whatever their source: verify → admission → serve, wait or refuse.

mod deletions;
pub mod funnel;
pub(crate) mod tombstones;
mod vanishing;
mod verified;

pub use funnel::Funnel;
pub use verified::Verified;

use std::net::IpAddr;
use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use nostr::event::Event;
use nostr::key::PublicKey;

/// Where an event came from.
#[derive(Debug, Clone)]
pub enum Source {
    /// A relay client.
    Client {
        /// The client's address (behind trusted proxies: the one they name).
        address: IpAddr,
        /// The keys it has proved to hold (NIP-42).
        authenticated: Arc<[PublicKey]>,
    },
    /// Proactive sync (GRASP-02).
    Sync,
}

/// The answer to an event, as `OK` carries it (NIP-01).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// Whether the event was taken.
    pub accepted: bool,
    /// Machine-readable prefix and a reason a person understands; may be empty when accepted.
    pub message: String,
}

impl Answer {
    /// Taken, with a message that may be empty.
    #[must_use]
    pub fn yes(message: impl Into<String>) -> Self {
        Self { accepted: true, message: message.into() }
    }

    /// Refused; the message begins with a machine-readable prefix (NIP-01).
    #[must_use]
    pub fn no(message: impl Into<String>) -> Self {
        Self { accepted: false, message: message.into() }
    }
}

/// Takes events in. What the relay sessions (and later sync) see of the intake.
#[async_trait::async_trait]
pub trait Intake: Send + Sync {
    /// Judges one event. When this returns the decision is made, so that a later event of the same connection may build
    /// on it; the returned future ends when the decision is durable and may be told.
    ///
    /// A caller that pipelines keeps order by awaiting `admit` one after the other and collecting the futures. Events may
    /// be verified side by side before.
    async fn admit(&self, event: Verified, source: &Source) -> BoxFuture<'static, Answer>;

    /// Verifies and judges one event, as [`Intake::admit`].
    async fn submit(&self, event: Event, source: &Source) -> BoxFuture<'static, Answer> {
        // Id and signature first: nothing is remembered under an id that was only claimed.
        let checked = match source {
            Source::Client { .. } => Verified::check(event).await,
            Source::Sync => Verified::check_synced(event).await,
        };
        match checked {
            Ok(event) => self.admit(event, source).await,
            Err(answer) => ready(answer),
        }
    }
}

/// An answer that needs no waiting for.
pub(crate) fn ready(answer: Answer) -> BoxFuture<'static, Answer> {
    futures_util::future::ready(answer).boxed()
}
