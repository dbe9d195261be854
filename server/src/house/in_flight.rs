//! Events that are decided but not stored yet: what follows them on the wire may already build on them.

use std::collections::{HashMap, HashSet};

use nostr::event::{Event, EventId};

use crate::admission::related::{Address, Relations, opens_doors};

/// Events on their way to the store. As many as the sessions keep in flight together.
#[derive(Debug, Default)]
pub struct InFlight {
    events: HashMap<EventId, usize>,
    named_events: HashMap<EventId, usize>,
    named_addresses: HashMap<String, usize>,
}

fn count<K: std::hash::Hash + Eq>(map: &mut HashMap<K, usize>, key: K, up: bool) {
    let entry = map.entry(key);
    if up {
        *entry.or_default() += 1;
    } else if let std::collections::hash_map::Entry::Occupied(mut entry) = entry {
        *entry.get_mut() -= 1;
        if *entry.get() == 0 {
            entry.remove();
        }
    }
}

impl InFlight {
    /// An event is on its way (`up`), or has arrived.
    pub fn change(&mut self, event: &Event, relations: &Relations, up: bool) {
        if !opens_doors(event.kind) {
            return;
        }
        count(&mut self.events, event.id, up);
        for id in relations.events.iter().collect::<HashSet<_>>() {
            count(&mut self.named_events, *id, up);
        }
        for address in relations.addresses.iter().map(ToString::to_string).collect::<HashSet<_>>() {
            count(&mut self.named_addresses, address, up);
        }
    }

    /// Whether an event is related to one on its way, in either direction.
    pub fn relates_to(&self, event: &Event, relations: &Relations) -> bool {
        if self.events.is_empty() {
            return false;
        }
        relations.events.iter().any(|id| self.events.contains_key(id))
            || self.named_events.contains_key(&event.id)
            || Address::of(event)
                .is_some_and(|address| self.named_addresses.contains_key(&address.to_string()))
    }
}
