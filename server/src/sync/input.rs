//! What the planner is told, and what it answers.

use std::fmt;

use nostr::event::EventId;
use nostr::filter::Filter;

use super::item::Level;
use super::paging::Page;
use super::url::RelayUrl;
use crate::nip34::{Coordinate, Identifier};

/// A subscription, a page of a history or a reconciliation: everything that occupies one of a connection's
/// subscriptions. Never used twice by one planner; answers about one that has ended are ignored.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SubscriptionId(pub u64);

/// As it stands on the wire.
impl fmt::Display for SubscriptionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "sync-{}", self.0)
    }
}

/// A repository that is known here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// Which.
    pub coordinate: Coordinate,
    /// The announcement that it is known by: with another one, other people may be maintainers, and what the identifier's
    /// relays have is looked at again.
    pub announcement: EventId,
    /// The `relays` of the announcement, as they stand there. This service and what is no relay URL are left out.
    pub relays: Vec<String>,
    /// How much is wanted.
    pub level: Level,
}

/// What has happened. Order matters per relay only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// A repository is known here, or what is known of it has changed.
    RepositoryKnown(Repository),
    /// A repository is not known any more.
    RepositoryGone(Coordinate),
    /// What relays have of an identifier's announcements and states may be taken now, though it was not before.
    LookAgain(Identifier),
    /// A root event (patch, PR, PR update, issue) is **served** here.
    RootSeen {
        /// Which.
        id: EventId,
        /// The repositories in its `a` tags; those that are not known may become known later.
        coordinates: Vec<Coordinate>,
    },
    /// A root event is not served any more.
    RootGone(EventId),
    /// [`Action::Connect`] has succeeded.
    Connected {
        /// Which relay.
        relay: RelayUrl,
    },
    /// What a relay says about itself (NIP-11). May come at any time, or never.
    Limits {
        /// Which relay.
        relay: RelayUrl,
        /// What it says.
        limits: RelayLimits,
    },
    /// [`Action::Connect`] has failed, or the connection has ended. All its subscriptions have ended with it.
    Disconnected {
        /// Which relay.
        relay: RelayUrl,
        /// Why.
        why: Unreachable,
    },
    /// The stored events of a subscription have come, and were offered to the intake.
    Eose {
        /// Which relay.
        relay: RelayUrl,
        /// Which subscription. A historic one needs no further answer: it is over, the engine closes it.
        subscription: SubscriptionId,
        /// What has come. Of live subscriptions it is not looked at.
        page: Page,
    },
    /// A relay has ended a subscription or a reconciliation (CLOSED, NEG-ERR).
    Closed {
        /// Which relay.
        relay: RelayUrl,
        /// Which subscription.
        subscription: SubscriptionId,
        /// The reason, as it was given.
        reason: String,
    },
    /// A relay has sent a NOTICE.
    Notice {
        /// Which relay.
        relay: RelayUrl,
        /// Its text.
        message: String,
    },
    /// A reconciliation is done: everything that it has found was fetched and offered to the intake.
    BatchDone {
        /// Which relay.
        relay: RelayUrl,
        /// Which one.
        subscription: SubscriptionId,
    },
    /// The engine gives a history up: silence, frames that lie, results without end, events that nobody asked for.
    /// A failed fetch, not a short history; the relay is left when it happens again and again.
    Failed {
        /// Which relay.
        relay: RelayUrl,
        /// Which one.
        subscription: SubscriptionId,
        /// Why, for people.
        why: String,
    },
    /// A relay does not reconcile, or not this filter: pages are used from now on, this filter included.
    NegentropyUnsupported {
        /// Which relay.
        relay: RelayUrl,
        /// Which reconciliation.
        subscription: SubscriptionId,
    },
    /// The relay has taken our proof of identity (NIP-42): what it refused for want of it is asked again at once.
    Authenticated {
        /// Which relay.
        relay: RelayUrl,
    },
    /// Time has passed; due at [`super::Planner::next_wake`], harmless at any time.
    Tick,
}

/// Why there is no connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreachable {
    /// It could not be made, or was lost: a failure.
    Failed(String),
    /// We have ended it because of what the relay does: forged events.
    Misbehaved(String),
    /// The relay is too busy (HTTP 429, or a close that says so): a pause, not a failure.
    RateLimited,
    /// The address guard refuses where the name leads: as dead.
    Forbidden(String),
    /// [`Action::Disconnect`] was carried out.
    Asked,
}

/// What a relay says about itself (NIP-11 `limitation`); `None`: nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct RelayLimits {
    /// `max_subscriptions`.
    pub subscriptions: Option<usize>,
    /// `max_filters`, filters in one REQ.
    pub filters: Option<usize>,
    /// `max_limit`, results per filter.
    pub results: Option<usize>,
    /// `max_message_length`, bytes.
    pub message_bytes: Option<usize>,
    /// Whether `supported_nips` names 77; `None` when there is no such list.
    pub negentropy: Option<bool>,
}

/// What a subscription is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Mode {
    /// New events, until it is ended. Its filters bring a few stored events too: the seam to what was there before.
    Live,
    /// One page of a history: one filter, over at EOSE.
    Historic,
}

/// What is to be done. The order is that of sending.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// Open a connection; answered by [`Input::Connected`] or [`Input::Disconnected`].
    Connect {
        /// To which relay.
        relay: RelayUrl,
    },
    /// End a connection, or the attempt to make one; always answered by [`Input::Disconnected`].
    Disconnect {
        /// To which relay.
        relay: RelayUrl,
        /// Why, for people.
        why: &'static str,
    },
    /// Send a REQ; answered by [`Input::Eose`], [`Input::Closed`] or [`Input::Failed`].
    Subscribe {
        /// To which relay.
        relay: RelayUrl,
        /// Under which id.
        subscription: SubscriptionId,
        /// What for.
        mode: Mode,
        /// The filters; of a historic one exactly one, with `limit`.
        filters: Vec<Filter>,
    },
    /// Send a CLOSE (or NEG-CLOSE) and forget the subscription; not answered.
    Unsubscribe {
        /// To which relay.
        relay: RelayUrl,
        /// Which one.
        subscription: SubscriptionId,
    },
    /// Reconcile what is here with what a relay has for a filter (NIP-77), fetch by id what is missing, with no more than
    /// one REQ open at a time, and offer it to the intake; answered by [`Input::BatchDone`],
    /// [`Input::NegentropyUnsupported`], [`Input::Closed`] or [`Input::Failed`].
    Negotiate {
        /// With which relay.
        relay: RelayUrl,
        /// Under which id.
        subscription: SubscriptionId,
        /// About what; without `limit`.
        filter: Filter,
    },
}
