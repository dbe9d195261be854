//! Live delivery: from what an event is to the subscriptions that asked for it.

use nostr::event::{Event, EventId};

/// The live subscriptions of all connections.
#[derive(Debug, Default)]
pub struct Feed {}

impl Feed {
    /// Says that events are about to be stored. From here until [`Feed::publish`] or [`Feed::forget`] a query may
    /// already see them although they have not been delivered yet; subscriptions use this to deliver exactly once.
    pub fn expect(&self, _ids: &[EventId]) {}

    /// Delivers a stored event to every live subscription that matches.
    pub fn publish(&self, _event: &Event) {}

    /// Takes back [`Feed::expect`]: these were not stored after all.
    pub fn forget(&self, _ids: &[EventId]) {}
}
