//! Served events, on disk (nostr-lmdb) or in memory (nostr-memory).
//!
//! Only what is served is in here: what waits in purgatory is elsewhere, so no query can leak it.

use std::collections::{BTreeSet, HashSet};
use std::path::Path;
use std::sync::Arc;

use nostr::event::{Event, EventId};
use nostr::filter::Filter;
use nostr::types::Timestamp;
use nostr_database::{NostrDatabase, RejectedReason, SaveEventStatus};
use nostr_lmdb::NostrLmdb;
use nostr_memory::MemoryDatabase;

/// Questions to LMDB at the same time: more than tokio has blocking threads (512), which is where they run.
const MAX_READERS: u32 = 1024;

/// The store of served events. Cheap to clone.
#[derive(Debug, Clone)]
pub struct EventStore {
    database: Arc<dyn NostrDatabase>,
}

/// The event database failed; the text is its own.
#[derive(Debug, thiserror::Error)]
#[error("the event database failed: {0}")]
pub struct EventStoreError(#[from] nostr_database::error::Error);

/// What became of an event that was offered to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Saved {
    /// It is stored, durably on the LMDB backend.
    New,
    /// It was there already.
    Duplicate,
    /// A newer one of the same address is there (NIP-01).
    Replaced,
    /// Not a kind that is stored (ephemeral, NIP-01).
    NotStored,
}

impl EventStore {
    /// Opens or creates the LMDB environment in `folder`.
    ///
    /// Deletion (NIP-09) and vanishing (NIP-62) are off in the database: admission decides about both.
    ///
    /// # Errors
    /// When the environment cannot be opened.
    pub async fn lmdb(folder: &Path) -> Result<Self, EventStoreError> {
        let database = NostrLmdb::builder(folder)
            .process_nip09(false)
            .process_nip62(false)
            .max_readers(MAX_READERS)
            .build()
            .await?;
        Ok(Self { database: Arc::new(database) })
    }

    /// An empty store that ends with the process.
    #[must_use]
    pub fn memory() -> Self {
        let database = MemoryDatabase::builder().process_nip09(false).process_nip62(false).build();
        Self { database: Arc::new(database) }
    }

    /// Stores one event; returns when it is durable. Events offered side by side share a commit.
    ///
    /// It goes on when nobody polls it. In memory there is one lock, handed on in turn: whoever has several of these under
    /// way and asks something meanwhile would wait for an answer behind one that waits to be polled.
    ///
    /// # Errors
    /// When the database fails; the event is then not stored.
    pub async fn save(&self, event: &Event) -> Result<Saved, EventStoreError> {
        let (database, event) = (Arc::clone(&self.database), event.clone());
        let saving = tokio::spawn(async move { database.save_event(&event).await });
        let saved = saving.await.map_err(nostr_database::error::Error::storage)?;
        Ok(match saved? {
            SaveEventStatus::Success => Saved::New,
            SaveEventStatus::Rejected(RejectedReason::Duplicate) => Saved::Duplicate,
            SaveEventStatus::Rejected(RejectedReason::Ephemeral) => Saved::NotStored,
            SaveEventStatus::Rejected(_) => Saved::Replaced,
        })
    }

    /// Whether an event is served.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn contains(&self, id: &EventId) -> Result<bool, EventStoreError> {
        Ok(self.database.event_by_id(id).await?.is_some())
    }

    /// One event by its id.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn by_id(&self, id: &EventId) -> Result<Option<Event>, EventStoreError> {
        Ok(self.database.event_by_id(id).await?)
    }

    /// All events that match, newest first, then lowest id. Holds the whole result: for small questions only.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn query(&self, filter: Filter) -> Result<Vec<Event>, EventStoreError> {
        if matches_nothing(&filter) {
            return Ok(Vec::new());
        }
        Ok(self.database.query(filter).await?.into_iter().collect())
    }

    /// Ids and times of all events that match, newest first; cheap, for results that are then read in chunks.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn index(&self, filter: Filter) -> Result<Vec<(EventId, Timestamp)>, EventStoreError> {
        if matches_nothing(&filter) {
            return Ok(Vec::new());
        }
        Ok(self.database.negentropy_items(filter).await?)
    }

    /// The events of a few ids, newest first; ids that are unknown are left out.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn by_ids(&self, ids: &[EventId]) -> Result<Vec<Event>, EventStoreError> {
        self.query(Filter::new().ids(ids.iter().copied())).await
    }

    /// How many events match.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn count(&self, filter: Filter) -> Result<usize, EventStoreError> {
        if matches_nothing(&filter) {
            return Ok(0);
        }
        Ok(self.database.count(filter).await?)
    }

    /// Removes events for good; returns when that is durable.
    ///
    /// # Errors
    /// When the database fails.
    pub async fn delete(&self, ids: &HashSet<EventId>) -> Result<(), EventStoreError> {
        let filter = Filter::new().ids(ids.iter().copied());
        if matches_nothing(&filter) {
            return Ok(());
        }
        Ok(self.database.delete(filter).await?)
    }
}

/// A list of alternatives that is empty: no event is one of them. The database would take it for no condition at all.
fn matches_nothing(filter: &Filter) -> bool {
    let tags = filter.generic_tags.values();
    filter.ids.as_ref().is_some_and(BTreeSet::is_empty)
        || filter.authors.as_ref().is_some_and(BTreeSet::is_empty)
        || filter.kinds.as_ref().is_some_and(BTreeSet::is_empty)
        || tags.into_iter().any(BTreeSet::is_empty)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use futures_util::stream::FuturesUnordered;
    use futures_util::{FutureExt as _, StreamExt as _};
    use nostr::event::{EventBuilder, FinalizeEvent as _, Kind};
    use nostr::key::Keys;

    use super::*;

    #[tokio::test]
    async fn an_empty_list_of_alternatives_finds_and_deletes_nothing() {
        let folder = tempfile::tempdir().unwrap();
        for store in [EventStore::memory(), EventStore::lmdb(folder.path()).await.unwrap()] {
            let event = EventBuilder::new(Kind::from(1), "here").finalize(&Keys::generate()).unwrap();
            store.save(&event).await.unwrap();
            assert_eq!(store.by_ids(&[]).await.unwrap(), []);
            store.delete(&HashSet::new()).await.unwrap();
            let nothing: [EventId; 0] = [];
            for empty in [
                Filter::new().ids(nothing),
                Filter::new().authors([]),
                Filter::new().kinds([]),
                Filter::new().hashtags([""; 0]),
            ] {
                assert_eq!(store.query(empty.clone()).await.unwrap(), [], "{empty:?}");
                assert_eq!(store.index(empty.clone()).await.unwrap(), [], "{empty:?}");
                assert_eq!(store.count(empty.clone()).await.unwrap(), 0, "{empty:?}");
            }
            assert_eq!(store.by_ids(&[event.id]).await.unwrap(), [event]);
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a_question_is_answered_while_nobody_polls_what_is_being_stored() {
        let (store, keys) = (EventStore::memory(), Keys::generate());
        let event = |n: usize| EventBuilder::new(Kind::from(1), n.to_string()).finalize(&keys).unwrap();
        let (own, others): (Vec<Event>, Vec<Event>) =
            ((0..200).map(event).collect(), (200..600).map(event).collect());
        let other = store.clone();
        let busy = tokio::spawn(async move {
            for event in &others {
                other.save(event).await.unwrap();
                other.query(Filter::new()).await.unwrap();
            }
        });
        let mut saving = FuturesUnordered::new();
        for event in &own {
            saving.push(store.save(event));
            // Each takes its place, and is not polled while something is asked.
            let _ = saving.next().now_or_never();
            let asked = tokio::time::timeout(Duration::from_secs(30), store.contains(&event.id));
            assert!(asked.await.is_ok(), "the store does not answer");
        }
        while let Some(saved) = saving.next().await {
            assert!(matches!(saved, Ok(Saved::New)));
        }
        busy.await.unwrap();
    }
}
