//! The index from what an event is to the subscriptions that asked for it. Pure.
//!
//! Every filter is entered under its most selective condition: ids, else the values of one tag, else authors, each
//! together with the kind when that is cheap, else kinds, else "everything". An event is looked up under each of its own
//! properties, so its cost follows the subscriptions that match, not those that exist. Entries are keyed by keyed
//! hashes; a collision only costs a comparison, because the whole filter is always held against the event.

use std::collections::{BTreeMap, HashMap};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

use nostr::event::{Event, Kind};
use nostr::filter::Filter;

use super::filter;

/// Beyond this many combinations with kinds, a filter is entered without them.
const MAX_KIND_COMBINATIONS: usize = 64;

/// What a filter is entered under.
#[derive(Hash)]
enum Key<'a> {
    Id(&'a [u8; 32]),
    Tag(&'a str, &'a str, Option<Kind>),
    Author(&'a [u8; 32], Option<Kind>),
    Kind(Kind),
    Everything,
}

/// Where an entry stands: hash of its key, its subscription, the number of its filter.
type Place = (u64, u64, u32);

#[derive(Debug)]
struct Entered<T> {
    subscription: Arc<T>,
    filters: Arc<[Filter]>,
}

/// Subscriptions by what they ask for; a subscription is anything that can be shared.
#[derive(Debug)]
pub struct SubscriptionIndex<T> {
    hasher: RandomState,
    entries: BTreeMap<Place, Arc<[Filter]>>,
    entered: HashMap<u64, Entered<T>>,
    next: u64,
}

impl<T> Default for SubscriptionIndex<T> {
    fn default() -> Self {
        Self { hasher: RandomState::new(), entries: BTreeMap::new(), entered: HashMap::new(), next: 0 }
    }
}

impl<T> SubscriptionIndex<T> {
    /// Enters a subscription; the number takes it out again.
    pub fn insert(&mut self, filters: Arc<[Filter]>, subscription: &Arc<T>) -> u64 {
        let number = self.next;
        self.next += 1;
        for (position, key) in self.places(&filters) {
            self.entries.insert((key, number, position), filters.clone());
        }
        self.entered.insert(number, Entered { subscription: subscription.clone(), filters });
        number
    }

    /// Takes a subscription out.
    pub fn remove(&mut self, number: u64) {
        let Some(entered) = self.entered.remove(&number) else { return };
        for (position, key) in self.places(&entered.filters) {
            self.entries.remove(&(key, number, position));
        }
    }

    /// How many subscriptions are in here.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entered.len()
    }

    /// Whether no subscription is in here.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entered.is_empty()
    }

    /// A subscription by its number.
    #[must_use]
    pub fn get(&self, number: u64) -> Option<&Arc<T>> {
        self.entered.get(&number).map(|entered| &entered.subscription)
    }

    /// The numbers of the subscriptions that an event matches, each once, in their order.
    #[must_use]
    pub fn matching(&self, event: &Event) -> Vec<u64> {
        let mut found: Vec<u64> = Vec::new();
        if self.entries.is_empty() {
            return found;
        }
        let mut look_up = |key: Key<'_>| {
            let hash = self.hasher.hash_one(key);
            for (&(_, number, position), filters) in
                self.entries.range((hash, 0, 0)..=(hash, u64::MAX, u32::MAX))
            {
                let filter = filters.get(position as usize);
                if filter.is_some_and(|filter| filter::matches(filter, event)) {
                    found.push(number);
                }
            }
        };
        let kind = event.kind;
        look_up(Key::Id(event.id.as_bytes()));
        for tag in event.tags.iter() {
            if let (true, Some(value)) = (is_letter(tag.kind()), tag.content()) {
                look_up(Key::Tag(tag.kind(), value, None));
                look_up(Key::Tag(tag.kind(), value, Some(kind)));
            }
        }
        look_up(Key::Author(event.pubkey.as_bytes(), None));
        look_up(Key::Author(event.pubkey.as_bytes(), Some(kind)));
        look_up(Key::Kind(kind));
        look_up(Key::Everything);
        // Found in few runs that are in order already, mostly one.
        found.sort();
        found.dedup();
        found
    }

    /// The hashes under which filters are entered, with the number of the filter.
    fn places(&self, filters: &[Filter]) -> Vec<(u32, u64)> {
        let mut places = Vec::new();
        for (position, filter) in (0u32..).zip(filters) {
            for_each_key(filter, |key| places.push((position, self.hasher.hash_one(key))));
        }
        places
    }
}

fn is_letter(name: &str) -> bool {
    matches!(name.as_bytes(), [letter] if letter.is_ascii_alphabetic())
}

fn for_each_key(filter: &Filter, mut enter: impl FnMut(Key<'_>)) {
    if let Some(ids) = &filter.ids {
        return ids.iter().for_each(|id| enter(Key::Id(id.as_bytes())));
    }
    let kinds: Option<Vec<Kind>> = filter.kinds.as_ref().map(|kinds| kinds.iter().copied().collect());
    let with_kinds = |values: usize| match &kinds {
        Some(kinds) if values.saturating_mul(kinds.len()) <= MAX_KIND_COMBINATIONS.max(values) => {
            kinds.iter().copied().map(Some).collect()
        }
        _ => vec![None],
    };
    if let Some((letter, values)) = filter.generic_tags.iter().min_by_key(|(_, values)| values.len()) {
        for kind in with_kinds(values.len()) {
            values.iter().for_each(|value| enter(Key::Tag(letter.as_str(), value, kind)));
        }
    } else if let Some(authors) = &filter.authors {
        for kind in with_kinds(authors.len()) {
            authors.iter().for_each(|author| enter(Key::Author(author.as_bytes(), kind)));
        }
    } else if let Some(kinds) = kinds {
        kinds.into_iter().for_each(|kind| enter(Key::Kind(kind)));
    } else {
        enter(Key::Everything);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nostr::event::{EventId, Signature, Tag};
    use nostr::filter::SingleLetterTag;
    use nostr::key::PublicKey;
    use nostr::types::Timestamp;
    use proptest::collection::{btree_set, vec};
    use proptest::option;
    use proptest::prelude::*;

    use super::*;

    fn bytes(number: u8) -> [u8; 32] {
        [number; 32]
    }

    fn letter(name: &str) -> SingleLetterTag {
        SingleLetterTag::from_byte(name.as_bytes()[0]).unwrap()
    }

    prop_compose! {
        fn an_event()(
            id in 0u8..4, author in 0u8..3, kind in 1u16..4, time in 0u64..5,
            tags in vec(("[eEp]|name", option::of("[a-c]")), 0..4),
        ) -> Event {
            let tags = tags.into_iter().map(|(name, value)| Tag::parse(std::iter::once(name).chain(value)).unwrap());
            Event::new(
                EventId::from_byte_array(bytes(id)), PublicKey::from_byte_array(bytes(author)),
                Timestamp::from(time), Kind::from_u16(kind), tags, "", Signature::from_byte_array([0; 64]),
            )
        }
    }

    prop_compose! {
        fn a_filter()(
            ids in option::weighted(0.3, btree_set(0u8..4, 1..3)),
            authors in option::weighted(0.3, btree_set(0u8..3, 1..3)),
            kinds in option::weighted(0.5, btree_set(1u16..4, 1..3)),
            tags in vec(("[eEp]", btree_set("[a-c]", 1..3)), 0..3),
            since in option::weighted(0.2, 0u64..5), until in option::weighted(0.2, 0u64..5),
        ) -> Filter {
            let mut filter = Filter::new();
            filter.ids = ids.map(|set| set.into_iter().map(|n| EventId::from_byte_array(bytes(n))).collect());
            filter.authors = authors.map(|set| set.into_iter().map(|n| PublicKey::from_byte_array(bytes(n))).collect());
            filter.kinds = kinds.map(|set| set.into_iter().map(Kind::from_u16).collect());
            filter.since = since.map(Timestamp::from);
            filter.until = until.map(Timestamp::from);
            filter.generic_tags = tags.into_iter().map(|(name, values)| (letter(&name), values)).collect();
            filter
        }
    }

    proptest! {
        #[test]
        fn the_index_finds_what_holding_every_filter_against_the_event_finds(
            subscriptions in vec(vec(a_filter(), 0..4), 0..12),
            removed in vec(any::<bool>(), 12),
            events in vec(an_event(), 1..8),
        ) {
            let mut index = SubscriptionIndex::default();
            let entered: Vec<_> = subscriptions
                .iter()
                .map(|filters| index.insert(filters.clone().into(), &Arc::new(filters.clone())))
                .collect();
            let mut expected: Vec<_> = entered.iter().zip(&subscriptions).collect();
            for (number, _) in entered.iter().zip(&removed).filter(|(_, removed)| **removed) {
                index.remove(*number);
                expected.retain(|(n, _)| *n != number);
            }
            for event in &events {
                let found = index.matching(event);
                let naive: Vec<u64> = expected
                    .iter()
                    .filter(|(_, filters)| filters.iter().any(|filter| filter::matches(filter, event)))
                    .map(|(number, _)| **number)
                    .collect();
                prop_assert_eq!(found, naive);
            }
            for number in entered {
                index.remove(number);
            }
            prop_assert!(index.entries.is_empty() && index.is_empty());
        }
    }

    #[test]
    fn a_filter_is_entered_under_its_most_selective_condition() {
        let places = |filter: Filter| {
            let mut index = SubscriptionIndex::default();
            index.insert(vec![filter].into(), &Arc::new(()));
            index.entries.len()
        };
        let kinds = || (0..50).map(Kind::from_u16);
        assert_eq!(places(Filter::new().kinds(kinds()).id(EventId::from_byte_array([0; 32]))), 1);
        assert_eq!(places(Filter::new().kinds(kinds()).hashtag("one")), 50);
        assert_eq!(places(Filter::new().kinds(kinds()).hashtags(["one", "two"])), 2);
        let many = (0..100).map(|n| format!("tag {n}"));
        assert_eq!(places(Filter::new().kind(Kind::TextNote).hashtags(many).identifier("d")), 1);
        assert_eq!(places(Filter::new()), 1);
    }
}
