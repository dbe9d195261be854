//! Whoever wants to know what happens in the house: proactive sync.

use nostr::event::{Event, EventId};

use crate::nip34::{Announcement, Coordinate, State};
use crate::purgatory::Waiting;

/// Is told what has happened, after it is durable. Called under locks: it must not wait.
pub trait Observer: std::fmt::Debug + Send + Sync {
    /// An event is served from now on.
    fn served(&self, event: &Event);

    /// A served event has been deleted.
    fn removed(&self, id: &EventId);

    /// An event waits for its git data from now on.
    fn waits(&self, waiting: &Waiting);

    /// An event waits no longer: it is served, or has been replaced, withdrawn or dropped.
    fn leaves(&self, id: &EventId);

    /// A waiting state has waited in vain: an older one that it has kept out may take its place.
    fn vacated(&self, state: &State);

    /// What is known of a repository has changed: its newest announcement, and whether that is served; or it has gone.
    fn repository(&self, coordinate: &Coordinate, known: Option<(&Announcement, bool)>);
}
