//! What all sessions of one relay share.

use std::net::IpAddr;
use std::sync::Arc;

use tokio_util::sync::CancellationToken;

use super::addresses::{Addresses, ConnectionPermit};
use super::auth;
use super::feed::Feed;
use super::limits::Limits;
use super::negentropy::Records;
use super::stored::Questions;
use crate::clock::Clock;
use crate::intake::Intake;
use crate::metrics::Meters;
use crate::store::EventStore;

/// What a relay is made of.
pub struct RelayParts {
    /// Where served events are looked up.
    pub store: EventStore,
    /// Where served events come from as they happen; the intake publishes into the same one.
    pub feed: Arc<Feed>,
    /// Who decides about events.
    pub intake: Arc<dyn Intake>,
    /// Every bound.
    pub limits: Limits,
    /// The time, for NIP-40 and NIP-42.
    pub clock: Clock,
    /// The relay's URL as clients know it (`ws://…` or `wss://…`); its host is what NIP-42 asks for.
    pub url: String,
    /// Ends all sessions, in good order, when cancelled.
    pub shutdown: CancellationToken,
    /// What clients do is counted here.
    pub meters: Arc<Meters>,
}

/// One relay.
pub struct Relay {
    pub(crate) feed: Arc<Feed>,
    pub(crate) intake: Arc<dyn Intake>,
    pub(crate) limits: Limits,
    pub(crate) clock: Clock,
    pub(crate) host: Option<String>,
    pub(crate) shutdown: CancellationToken,
    pub(crate) meters: Arc<Meters>,
    pub(crate) addresses: Arc<Addresses>,
    pub(crate) questions: Questions,
    pub(crate) records: Records,
}

impl std::fmt::Debug for Relay {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Relay")
            .field("host", &self.host)
            .field("limits", &self.limits)
            .finish_non_exhaustive()
    }
}

impl Relay {
    /// Puts the parts together.
    #[must_use]
    pub fn new(parts: RelayParts) -> Arc<Self> {
        Arc::new(Self {
            addresses: Arc::new(Addresses::new(&parts.limits)),
            questions: Questions::new(parts.store, parts.clock.clone(), &parts.limits),
            records: Records::new(&parts.limits),
            host: auth::host_of(&parts.url),
            feed: parts.feed,
            intake: parts.intake,
            limits: parts.limits,
            clock: parts.clock,
            shutdown: parts.shutdown,
            meters: parts.meters,
        })
    }

    /// Takes a place for one more connection, or `None` when there are too many, altogether or from this address:
    /// answer 503 then. Hold the permit as long as the connection lives.
    #[must_use]
    pub fn admit(&self, address: IpAddr) -> Option<ConnectionPermit> {
        let place = self.addresses.admit(address);
        let meters = &self.meters.relay;
        if place.is_some() { &meters.admitted } else { &meters.turned_away }.inc();
        place
    }

    /// Every bound.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// How many connections are admitted.
    #[must_use]
    pub fn connections(&self) -> usize {
        self.addresses.connections()
    }

    /// How many subscriptions are open.
    #[must_use]
    pub fn subscriptions(&self) -> usize {
        self.feed.subscriptions()
    }

    /// How many questions are with the event database right now.
    #[must_use]
    pub fn running_store_calls(&self) -> usize {
        self.questions.running()
    }
}
