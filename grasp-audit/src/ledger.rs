//! What was published during a check, so that it can be deleted afterwards (NIP-09).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use grasp_fixtures::{Draft, events};
use nostr::event::{Event, EventId};
use nostr::key::Keys;
use serde_json::Value;

/// How many ids one deletion request names.
const IDS_PER_DELETION: usize = 50;

#[derive(Debug, Default)]
struct Entries {
    keys: BTreeMap<String, Keys>,
    /// What the server has taken, and what it may have fetched.
    events: BTreeMap<EventId, Event>,
    /// Which of them it has taken for sure.
    taken: BTreeSet<EventId>,
}

/// Everything one check published, and the keys to delete it with.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<Entries>);

impl Ledger {
    /// Remembers a key pair.
    pub fn know(&self, keys: &Keys) {
        self.lock().keys.insert(keys.public_key().to_hex(), keys.clone());
    }

    /// Remembers an event that was taken; deletions are not deleted.
    pub fn published(&self, event: &Value) {
        let event: Result<Event, _> = serde_json::from_value(event.clone());
        if let Ok(event) = event
            && event.kind.as_u16() != events::DELETION
        {
            let mut entries = self.lock();
            entries.taken.insert(event.id);
            entries.events.insert(event.id, event);
        }
    }

    /// Remembers an event that was put where the server fetches: it is taken back, whether it came or not.
    pub fn offered(&self, event: &Event) {
        self.lock().events.insert(event.id, event.clone());
    }

    /// How many events were taken.
    #[must_use]
    pub fn len(&self) -> usize {
        self.lock().taken.len()
    }

    /// Whether nothing was taken, nor may have been.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().events.is_empty()
    }

    /// Everything that was taken or may have been.
    #[must_use]
    pub fn ids(&self) -> Vec<EventId> {
        self.lock().events.keys().copied().collect()
    }

    /// The deletion requests that take everything back, each with the number of events that it names and that were
    /// taken.
    #[must_use]
    pub fn deletions(&self, now: u64) -> Vec<(Event, usize)> {
        let entries = self.lock();
        let mut deletions = Vec::new();
        for (author, keys) in &entries.keys {
            let own: Vec<&Event> =
                entries.events.values().filter(|event| event.pubkey.to_hex() == *author).collect();
            for some in own.chunks(IDS_PER_DELETION) {
                let latest = some.iter().map(|event| event.created_at.as_secs()).max().unwrap_or(0);
                let draft = some.iter().fold(Draft::new(events::DELETION, "end of audit"), |draft, event| {
                    let draft = draft.tag(["e".to_owned(), event.id.to_hex()]);
                    match address(event) {
                        Some(address) => draft.tag(["a".to_owned(), address]),
                        None => draft,
                    }
                });
                let draft = draft.tag(["t", crate::context::MARK]).tag(["client", crate::context::MARK]);
                let taken = some.iter().filter(|event| entries.taken.contains(&event.id)).count();
                deletions.push((draft.at(now.max(latest)).sign(keys), taken));
            }
        }
        deletions
    }

    fn lock(&self) -> MutexGuard<'_, Entries> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn address(event: &Event) -> Option<String> {
    let kind = event.kind.as_u16();
    let identifier = event.tags.identifier()?;
    (30_000..40_000).contains(&kind).then(|| format!("{kind}:{}:{identifier}", event.pubkey.to_hex()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn everything_is_taken_back_by_its_author() {
        let (ledger, author, other) =
            (Ledger::default(), grasp_fixtures::keys::fresh(), grasp_fixtures::keys::fresh());
        ledger.know(&author);
        ledger.know(&other);
        for number in 0..60 {
            let event = events::note(&number.to_string()).at(900).sign(&author);
            ledger.published(&serde_json::to_value(event).unwrap());
        }
        let announcement = grasp_fixtures::Announcement::new("x").draft().at(1000).sign(&other);
        ledger.published(&serde_json::to_value(&announcement).unwrap());
        let deletions = ledger.deletions(950);
        assert_eq!(deletions.iter().map(|(_, count)| count).sum::<usize>(), 61);
        assert_eq!(deletions.len(), 3);
        let (last, _) = deletions.iter().find(|(event, _)| event.pubkey == other.public_key()).unwrap();
        assert_eq!(last.created_at.as_secs(), 1000, "not older than what it deletes");
    }

    #[test]
    fn what_may_have_come_is_taken_back_and_not_counted() {
        let (ledger, author) = (Ledger::default(), grasp_fixtures::keys::fresh());
        ledger.know(&author);
        let [one, other] = ["one", "other"].map(|text| events::note(text).at(900).sign(&author));
        ledger.offered(&one);
        ledger.offered(&other);
        assert!((ledger.len(), ledger.is_empty()) == (0, false));
        ledger.published(&serde_json::to_value(&one).unwrap());
        ledger.published(&serde_json::to_value(&one).unwrap());
        let deletions = ledger.deletions(950);
        assert_eq!(
            (ledger.len(), deletions.len(), deletions[0].1),
            (1, 1, 1),
            "once, however often it was seen"
        );
        let named: Vec<_> = deletions[0].0.tags.event_ids().collect();
        assert!(named.contains(&one.id) && named.contains(&other.id), "{named:?}");
        assert_eq!(ledger.ids().len(), 2);
    }
}
