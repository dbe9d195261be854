//! `refs/nostr/…` of a repository, hosted or a contributor's.

use std::collections::{BTreeMap, BTreeSet};

use super::{EventId, Object};

/// Where each is, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct NostrRefs {
    /// Of events that are served.
    pub(super) served: BTreeMap<EventId, Object>,
    /// That nobody has signed for yet.
    pub(super) uploads: BTreeMap<EventId, Object>,
    /// That may be there or not.
    pub(super) maybe: BTreeMap<EventId, Object>,
    /// That might have been there, were not when it was looked at, and may come later.
    pub(super) later: BTreeMap<EventId, Object>,
}

/// One that is not where it should be.
pub(super) struct Elsewhere {
    pub(super) id: EventId,
    pub(super) expected: Option<Object>,
    pub(super) seen: Option<Object>,
}

impl NostrRefs {
    /// Where this one is, if it is there for certain or perhaps.
    pub(super) fn at(&self, id: EventId) -> Option<Object> {
        let refs = self.served.get(&id).or_else(|| self.uploads.get(&id)).or_else(|| self.maybe.get(&id));
        refs.copied()
    }

    /// From now on it is there for an event that is served.
    pub(super) fn serve(&mut self, id: EventId, tip: Object) {
        self.remove(id);
        self.served.insert(id, tip);
    }

    /// Somebody has pushed it, and nobody has signed for it.
    pub(super) fn upload(&mut self, id: EventId, tip: Object) {
        self.remove(id);
        self.uploads.insert(id, tip);
    }

    /// Whether what was pushed is still there is not said any more.
    pub(super) fn doubt(&mut self, id: EventId) {
        self.maybe.extend(self.uploads.remove(&id).map(|tip| (id, tip)));
    }

    /// It is there no more.
    pub(super) fn remove(&mut self, id: EventId) {
        self.served.remove(&id);
        self.uploads.remove(&id);
        self.maybe.remove(&id);
        self.later.remove(&id);
    }

    /// Whether none is there, not even perhaps.
    pub(super) fn is_empty(&self) -> bool {
        let unsure = self.maybe.is_empty() && self.later.is_empty();
        self.served.is_empty() && self.uploads.is_empty() && unsure
    }

    /// Takes what was seen for what was left open.
    pub(super) fn agree_with(&mut self, shown: &BTreeMap<EventId, Object>) -> Vec<Elsewhere> {
        let mut differ = Vec::new();
        let mut ids: BTreeSet<EventId> = shown.keys().copied().collect();
        ids.extend(self.served.keys().chain(self.uploads.keys()).chain(self.maybe.keys()));
        for id in ids {
            let expected = self.served.get(&id).or_else(|| self.uploads.get(&id)).copied();
            let maybe = self.maybe.remove(&id).or_else(|| self.later.remove(&id));
            match (expected, maybe, shown.get(&id).copied()) {
                (None, Some(maybe), Some(seen)) if seen == maybe => drop(self.maybe.insert(id, maybe)),
                (None, Some(maybe), None) => drop(self.later.insert(id, maybe)),
                (expected, _, seen) if expected != seen => differ.push(Elsewhere { id, expected, seen }),
                _ => {}
            }
        }
        differ
    }
}
