//! Stored events: found by id and time first, then read and sent in small chunks, so that a large result holds little
//! memory, waits for a slow reader, and stops between chunks when nobody wants it any more.

use std::cmp::Reverse;
use std::collections::HashSet;
use std::future::Future;
use std::sync::Arc;

use nostr::event::EventId;
use nostr::filter::{Filter, SingleLetterTag};
use nostr::types::Timestamp;
use tokio::sync::Semaphore;

use super::filter;
use super::limits::Limits;
use super::subscription::Subscription;
use crate::clock::Clock;
use crate::store::EventStore;
use crate::store::events::EventStoreError;

/// Events in the first chunk of a result.
const FIRST_CHUNK: usize = 16;
/// Events in a later chunk, at most.
const MAX_CHUNK: usize = 256;
/// JSON bytes aimed at in a later chunk.
const CHUNK_BYTES: usize = 512 << 10;

/// Why a question has no answer; the text is for the client.
#[derive(Debug, thiserror::Error)]
pub(crate) enum QueryError {
    #[error("error: the event database failed")]
    Store,
    #[error(
        "error: more than {0} stored events match; ask for less at once, with `limit`, `since` and `until`"
    )]
    TooMany(usize),
    /// Nobody wants the answer any more.
    #[error("error: the connection has ended")]
    Gone,
}

impl From<EventStoreError> for QueryError {
    fn from(error: EventStoreError) -> Self {
        tracing::error!(%error, "a query failed");
        Self::Store
    }
}

/// Asks the store, a bounded number of questions at a time.
#[derive(Debug)]
pub(crate) struct Questions {
    store: EventStore,
    calls: Arc<Semaphore>,
    most_calls: usize,
    clock: Clock,
    default_limit: usize,
    max_limit: usize,
    max_results: usize,
    max_count: usize,
}

impl Questions {
    pub(crate) fn new(store: EventStore, clock: Clock, limits: &Limits) -> Self {
        let most_calls = limits.running_store_calls.max(1);
        Self {
            store,
            clock,
            calls: Arc::new(Semaphore::new(most_calls)),
            most_calls,
            default_limit: limits.default_limit,
            max_limit: limits.max_limit,
            max_results: limits.max_results,
            max_count: limits.max_count,
        }
    }

    /// How many questions are being asked right now.
    pub(crate) fn running(&self) -> usize {
        self.most_calls - self.calls.available_permits()
    }

    /// Sends what is stored for these filters, newest first, each event once; returns the ids that were sent.
    pub(crate) async fn send(
        &self,
        filters: &[Filter],
        subscription: &Subscription,
    ) -> Result<HashSet<EventId>, QueryError> {
        let mut found = Vec::new();
        for filter in filters {
            let limit = filter.limit.unwrap_or(self.default_limit).min(self.max_limit);
            found.append(&mut self.index(filter, limit).await?);
            if found.len() > self.max_results {
                newest_first(&mut found);
            }
            if found.len() > self.max_results {
                return Err(QueryError::TooMany(self.max_results));
            }
        }
        newest_first(&mut found);
        let mut sent = HashSet::with_capacity(found.len());
        let (mut rest, mut size) = (found.as_slice(), FIRST_CHUNK);
        while !rest.is_empty() {
            let (chunk, later) = rest.split_at(size.min(rest.len()));
            rest = later;
            let ids: Vec<EventId> = chunk.iter().map(|(id, _)| *id).collect();
            let store = self.store.clone();
            let events = self.ask(async move { store.by_ids(&ids).await }).await?;
            let (now, mut bytes) = (self.clock.now(), 1);
            for event in events {
                let wanted = filters.iter().any(|filter| filter::matches(filter, &event));
                if !wanted || event.is_expired_at(now) {
                    continue;
                }
                let Ok(json) = serde_json::to_string(&event) else { continue };
                bytes += json.len();
                subscription.send_stored(json).await.map_err(|_| QueryError::Gone)?;
                sent.insert(event.id);
            }
            size = (CHUNK_BYTES / (bytes / chunk.len()).max(1)).clamp(1, MAX_CHUNK);
        }
        Ok(sent)
    }

    /// How many stored events match any of the filters, and whether there may be more.
    pub(crate) async fn count(&self, filters: &[Filter]) -> Result<(usize, bool), QueryError> {
        let mut found = Vec::new();
        let mut more = false;
        for filter in filters {
            let mut matching = self.index(filter, self.max_count).await?;
            more |= matching.len() >= self.max_count;
            found.append(&mut matching);
            newest_first(&mut found);
            if found.len() >= self.max_count {
                return Ok((self.max_count, true));
            }
        }
        Ok((found.len(), more))
    }

    /// Ids and times of the newest `limit` events that match, newest first, then lowest id.
    ///
    /// The backends are asked in a way that gets the right events from each: one applies `limit` before it sorts when
    /// it looks up ids, or tags of an author's kinds; the other looks only at the first `d` of an address.
    pub(crate) async fn index(
        &self,
        filter: &Filter,
        limit: usize,
    ) -> Result<Vec<(EventId, Timestamp)>, QueryError> {
        if limit == 0 {
            return Ok(Vec::new());
        }
        let mut found = match addresses(filter) {
            Some(addresses) => {
                let mut found = Vec::new();
                for address in addresses {
                    let store = self.store.clone();
                    let events = self.ask(async move { store.query(address).await }).await?;
                    let now = self.clock.now();
                    let matching = events
                        .iter()
                        .filter(|event| filter::matches(filter, event) && !event.is_expired_at(now));
                    found.extend(matching.map(|event| (event.id, event.created_at)));
                }
                found
            }
            None => {
                let sorted_late = filter.ids.is_some()
                    || (filter.authors.is_some()
                        && filter.kinds.is_some()
                        && !filter.generic_tags.is_empty());
                let mut asked = filter.clone();
                asked.limit = (!sorted_late).then_some(limit);
                let store = self.store.clone();
                self.ask(async move { store.index(asked).await }).await?
            }
        };
        newest_first(&mut found);
        found.truncate(limit);
        Ok(found)
    }

    /// One question; it keeps its place among the running ones until the store is done, even if nobody waits.
    async fn ask<T: Send + 'static>(
        &self,
        question: impl Future<Output = Result<T, EventStoreError>> + Send + 'static,
    ) -> Result<T, QueryError> {
        let place = self.calls.clone().acquire_owned().await.map_err(|_| QueryError::Gone)?;
        let answer = tokio::spawn(async move {
            let answer = question.await;
            drop(place);
            answer
        });
        Ok(answer.await.map_err(|_| QueryError::Store)??)
    }
}

fn newest_first(found: &mut Vec<(EventId, Timestamp)>) {
    found.sort_unstable_by_key(|(id, time)| (Reverse(*time), *id));
    found.dedup();
}

/// One filter per address, when a filter names addresses (one author, one addressable kind, some `d`).
fn addresses(filter: &Filter) -> Option<Vec<Filter>> {
    let d = SingleLetterTag::LOWERCASE_D;
    let (kinds, authors) = (filter.kinds.as_ref()?, filter.authors.as_ref()?);
    let names = filter.generic_tags.get(&d)?;
    let one_kind = kinds.len() == 1 && kinds.iter().all(|kind| kind.is_addressable());
    if !one_kind || authors.len() != 1 || filter.ids.is_some() {
        return None;
    }
    let address = |name: &String| {
        let mut address = Filter::new().identifier(name);
        (address.kinds, address.authors) = (filter.kinds.clone(), filter.authors.clone());
        address
    };
    Some(names.iter().map(address).collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nostr::event::{Event, EventBuilder, FinalizeEvent, Kind, Tag};
    use nostr::key::Keys;
    use rstest::rstest;

    use super::*;

    async fn store(lmdb: bool, folder: &std::path::Path) -> EventStore {
        if lmdb { EventStore::lmdb(folder).await.unwrap() } else { EventStore::memory() }
    }

    fn questions(store: &EventStore) -> Questions {
        Questions::new(store.clone(), Clock::system(), &Limits::default())
    }

    fn event(keys: &Keys, kind: u16, time: u64, tags: &[[&str; 2]]) -> Event {
        EventBuilder::new(Kind::from_u16(kind), "")
            .tags(tags.iter().map(|tag| Tag::parse(*tag).unwrap()))
            .custom_created_at(Timestamp::from(time))
            .finalize(keys)
            .unwrap()
    }

    #[rstest]
    #[tokio::test]
    async fn the_newest_are_found_whatever_the_filter_asks(#[values(false, true)] lmdb: bool) {
        let folder = tempfile::tempdir().unwrap();
        let (store, keys) = (store(lmdb, folder.path()).await, Keys::generate());
        let events: Vec<Event> =
            (0..40).map(|n| event(&keys, 1, 1000 + n / 3, &[["t", "x"], ["n", &n.to_string()]])).collect();
        for event in &events {
            store.save(event).await.unwrap();
        }
        let mut expected: Vec<_> = events.iter().map(|event| (event.id, event.created_at)).collect();
        newest_first(&mut expected);
        expected.truncate(7);
        let questions = questions(&store);
        let author = keys.public_key();
        for filter in [
            Filter::new(),
            Filter::new().ids(events.iter().map(|event| event.id)),
            Filter::new().author(author),
            Filter::new().kind(Kind::TextNote),
            Filter::new().hashtag("x"),
            Filter::new().author(author).kind(Kind::TextNote),
            Filter::new().author(author).hashtag("x"),
            Filter::new().kind(Kind::TextNote).hashtag("x"),
            Filter::new().author(author).kind(Kind::TextNote).hashtag("x"),
        ] {
            assert_eq!(questions.index(&filter, 7).await.unwrap(), expected, "{filter:?}");
        }
        assert_eq!(questions.count(&[Filter::new(), Filter::new().hashtag("x")]).await.unwrap(), (40, false));
    }

    #[rstest]
    #[tokio::test]
    async fn several_addresses_of_one_author_are_all_found_and_other_tags_count(
        #[values(false, true)] lmdb: bool,
    ) {
        let folder = tempfile::tempdir().unwrap();
        let (store, keys) = (store(lmdb, folder.path()).await, Keys::generate());
        for (name, topic) in [("a", "x"), ("b", "y"), ("c", "x")] {
            store.save(&event(&keys, 30_617, 1000, &[["d", name], ["t", topic]])).await.unwrap();
        }
        let filter = Filter::new().author(keys.public_key()).kind(Kind::from_u16(30_617));
        let questions = questions(&store);
        let all = filter.clone().identifiers(["a", "b", "none"]);
        assert_eq!(questions.index(&all, 10).await.unwrap().len(), 2);
        let some = filter.identifiers(["a", "b"]).hashtag("x");
        assert_eq!(questions.index(&some, 10).await.unwrap().len(), 1);
    }
}
