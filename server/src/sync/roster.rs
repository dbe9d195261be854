//! Relays that wait for their turn, first come, first served.

use std::collections::{BTreeMap, HashMap};

use super::url::RelayUrl;

/// See the module.
#[derive(Debug, Default)]
pub(super) struct Roster {
    order: BTreeMap<u64, RelayUrl>,
    of: HashMap<RelayUrl, u64>,
    next: u64,
}

impl Roster {
    /// Adds a relay at the end, unless it waits already.
    pub(super) fn push(&mut self, relay: &RelayUrl) {
        if !self.of.contains_key(relay) {
            self.of.insert(relay.clone(), self.next);
            self.order.insert(self.next, relay.clone());
            self.next += 1;
        }
    }

    /// Takes the first one.
    pub(super) fn pop(&mut self) -> Option<RelayUrl> {
        let (_, relay) = self.order.pop_first()?;
        self.of.remove(&relay);
        Some(relay)
    }

    /// Takes one out.
    pub(super) fn remove(&mut self, relay: &RelayUrl) {
        if let Some(place) = self.of.remove(relay) {
            self.order.remove(&place);
        }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.of.len()
    }
}
