//! One operation at a time per identifier; and holds that keep what waits from expiring meanwhile.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Weak};

use parking_lot::Mutex;
use tokio::sync::OwnedMutexGuard;

use crate::nip34::Identifier;

/// A map of weak values is swept when it has grown to so many entries.
const SWEEP_AT: usize = 1024;

/// Locks by identifier. Entries live as long as somebody uses them.
#[derive(Debug, Default)]
pub struct Locks(Mutex<HashMap<Identifier, Weak<tokio::sync::Mutex<()>>>>);

impl Locks {
    /// Locks some identifiers, in their order, so that two callers never wait for each other.
    pub async fn lock(&self, identifiers: &BTreeSet<Identifier>) -> Vec<OwnedMutexGuard<()>> {
        let mut guards = Vec::with_capacity(identifiers.len());
        for identifier in identifiers {
            let lock = shared(&mut self.0.lock(), identifier);
            guards.push(lock.lock_owned().await);
        }
        guards
    }
}

/// Holds by identifier (requirement G01/purgatory/expires: a running push holds the clock).
#[derive(Debug, Default)]
pub struct Holds(Mutex<HashMap<Identifier, Weak<()>>>);

impl Holds {
    /// As long as the result lives, what waits for this identifier does not expire.
    pub fn hold(&self, identifier: &Identifier) -> Arc<()> {
        shared(&mut self.0.lock(), identifier)
    }

    /// Whether somebody holds it.
    pub fn is_held(&self, identifier: &Identifier) -> bool {
        self.0.lock().get(identifier).is_some_and(|hold| hold.strong_count() > 0)
    }
}

fn shared<T: Default>(map: &mut HashMap<Identifier, Weak<T>>, identifier: &Identifier) -> Arc<T> {
    if let Some(value) = map.get(identifier).and_then(Weak::upgrade) {
        return value;
    }
    if map.len() >= SWEEP_AT {
        map.retain(|_, value| value.strong_count() > 0);
    }
    let value = Arc::new(T::default());
    map.insert(identifier.clone(), Arc::downgrade(&value));
    value
}
