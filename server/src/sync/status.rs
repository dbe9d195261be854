//! How sync stands, for people and for monitoring.

use super::millis::Millis;
use super::url::RelayUrl;

/// How a relay has behaved (requirement G02/sync/health).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// Its last connection was of use, or none has been tried yet.
    Healthy,
    /// It has failed; the next attempt is a matter of back-off.
    Degraded,
    /// It has failed for a day: it is tried once a day.
    Dead,
}

/// What kind of thing went wrong. Unlike the words of errors and of the relay itself, it may be told to everybody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// No connection came about, or it broke off.
    Unreachable,
    /// It is at a place where this server does not go.
    Forbidden,
    /// It has refused something, or said so.
    Refused,
    /// It does not answer as it should.
    Unanswered,
    /// It has sent events with false ids or signatures.
    Misbehaved,
}

/// The connection to a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Link {
    /// None; the next attempt is due then.
    Waiting {
        /// When.
        until: Millis,
    },
    /// Being made.
    Connecting {
        /// Since when.
        since: Millis,
    },
    /// There.
    Connected {
        /// Since when.
        since: Millis,
    },
    /// Being ended.
    Leaving {
        /// Since when.
        since: Millis,
    },
}

/// One relay.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RelayStatus {
    /// Which.
    pub relay: RelayUrl,
    /// It is connected whatever announcements say.
    pub bootstrap: bool,
    /// An announcement that is served names it; otherwise only operators and those who wait know of it.
    pub announced: bool,
    /// The connection.
    pub link: Link,
    /// How it has behaved.
    pub health: Health,
    /// Failures in a row.
    pub failures: u32,
    /// When it was last connected.
    pub last_connected: Option<Millis>,
    /// Without a connection: since when, if one was tried.
    pub away_since: Option<Millis>,
    /// Nothing new is asked of it until then, because it has asked for less.
    pub paused_until: Option<Millis>,
    /// What went wrong last, for the operator: it may quote the relay, and name addresses.
    pub trouble: Option<String>,
    /// What kind of thing that was.
    pub cause: Option<Cause>,
    /// Things that are wanted from it.
    pub wanted: usize,
    /// Of these, those whose history is on its way.
    pub in_flight: usize,
    /// Of these, those whose history is here.
    pub confirmed: usize,
    /// Of these, those that new events are subscribed for.
    pub live: usize,
    /// Live subscriptions.
    pub subscriptions: usize,
    /// Filters in them.
    pub filters: usize,
    /// Whether histories go by reconciliation (NIP-77).
    pub negentropy: bool,
    /// When the next full reconciliation is due.
    pub next_reconciliation: Option<Millis>,
}

/// Everything together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Repositories that are known.
    pub repositories: usize,
    /// Root events that are known.
    pub roots: usize,
    /// Relays that are dealt with.
    pub relays: usize,
    /// Relays that wait for one of these to be retired.
    pub relays_waiting: usize,
    /// Repositories, root events and relay URLs that were left out for being too many.
    pub left_out: u64,
}
