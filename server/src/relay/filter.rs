//! Filters: read strictly from JSON, held against events.
//!
//! The `nostr` crate takes an empty list for "no condition" and reads several spellings of a key; NIP-01 says that an
//! empty list matches nothing and that ids and keys are lowercase hex. So filters are read here, and what can match
//! nothing never reaches the store or the index.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use nostr::event::{Event, EventId, Kind};
use nostr::filter::{Filter, SingleLetterTag};
use nostr::key::PublicKey;
use nostr::types::Timestamp;
use serde::de::{Deserialize, DeserializeOwned, Deserializer, Error as _, IgnoredAny, MapAccess, Visitor};

use super::hex_value::Hex;

/// A filter as a client sent it.
#[derive(Debug, Clone, PartialEq)]
pub struct ClientFilter {
    /// The conditions; `None` when a list is empty, so that nothing can match.
    pub conditions: Option<Filter>,
}

impl<'de> Deserialize<'de> for ClientFilter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FilterVisitor)
    }
}

struct FilterVisitor;

impl<'de> Visitor<'de> for FilterVisitor {
    type Value = ClientFilter;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("a filter (a JSON object)")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<ClientFilter, A::Error> {
        let mut filter = Filter::new();
        let mut impossible = false;
        let mut set = |empty: bool| impossible |= empty;
        while let Some(key) = map.next_key::<Cow<'de, str>>()? {
            match key.as_ref() {
                "ids" => {
                    let ids: Vec<Hex<32>> = value(&mut map, "ids")?;
                    set(ids.is_empty());
                    filter.ids = Some(ids.into_iter().map(|id| EventId::from_byte_array(id.0)).collect());
                }
                "authors" => {
                    let keys: Vec<Hex<32>> = value(&mut map, "authors")?;
                    set(keys.is_empty());
                    filter.authors =
                        Some(keys.into_iter().map(|key| PublicKey::from_byte_array(key.0)).collect());
                }
                "kinds" => {
                    let kinds: Vec<u16> = value(&mut map, "kinds")?;
                    set(kinds.is_empty());
                    filter.kinds = Some(kinds.into_iter().map(Kind::from_u16).collect());
                }
                "since" => filter.since = Some(Timestamp::from(value::<u64, A>(&mut map, "since")?)),
                "until" => filter.until = Some(Timestamp::from(value::<u64, A>(&mut map, "until")?)),
                "limit" => {
                    let limit: u64 = value(&mut map, "limit")?;
                    filter.limit = Some(usize::try_from(limit).unwrap_or(usize::MAX));
                }
                name => match tag_name(name) {
                    Some(letter) => {
                        let values: BTreeSet<String> = value(&mut map, name)?;
                        set(values.is_empty());
                        filter.generic_tags.insert(letter, values);
                    }
                    None => {
                        map.next_value::<IgnoredAny>()?;
                    }
                },
            }
        }
        if let (Some(since), Some(until)) = (filter.since, filter.until) {
            set(since > until);
        }
        Ok(ClientFilter { conditions: (!impossible).then_some(filter) })
    }
}

fn value<'de, T: DeserializeOwned, A: MapAccess<'de>>(map: &mut A, name: &str) -> Result<T, A::Error> {
    map.next_value().map_err(|error| A::Error::custom(format_args!("filter field `{name}`: {error}")))
}

/// `#x` for one ASCII letter.
fn tag_name(name: &str) -> Option<SingleLetterTag> {
    match name.as_bytes() {
        [b'#', letter] => SingleLetterTag::from_byte(*letter).ok(),
        _ => None,
    }
}

/// How many ids, authors, kinds and tag values a filter holds: what it costs to keep.
#[must_use]
pub fn size(filter: &Filter) -> usize {
    let length = |set: Option<usize>| set.unwrap_or(0);
    1 + length(filter.ids.as_ref().map(BTreeSet::len))
        + length(filter.authors.as_ref().map(BTreeSet::len))
        + length(filter.kinds.as_ref().map(BTreeSet::len))
        + filter.generic_tags.values().map(BTreeSet::len).sum::<usize>()
}

/// Whether an event matches, by NIP-01; `limit` and `search` play no part.
#[must_use]
pub fn matches(filter: &Filter, event: &Event) -> bool {
    filter.ids.as_ref().is_none_or(|ids| ids.contains(&event.id))
        && filter.kinds.as_ref().is_none_or(|kinds| kinds.contains(&event.kind))
        && filter.authors.as_ref().is_none_or(|authors| authors.contains(&event.pubkey))
        && filter.since.is_none_or(|since| event.created_at >= since)
        && filter.until.is_none_or(|until| event.created_at <= until)
        && filter.generic_tags.iter().all(|(letter, values)| {
            event
                .tags
                .iter()
                .any(|tag| tag.kind() == letter.as_str() && tag.content().is_some_and(|v| values.contains(v)))
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn read(json: &str) -> Result<Option<Filter>, String> {
        serde_json::from_str::<ClientFilter>(json).map(|f| f.conditions).map_err(|error| error.to_string())
    }

    #[test]
    fn an_empty_list_matches_nothing() {
        for json in [
            r#"{"ids":[]}"#,
            r#"{"authors":[],"kinds":[1]}"#,
            r#"{"kinds":[]}"#,
            r##"{"#e":[]}"##,
            r#"{"since":5,"until":4}"#,
        ] {
            assert_eq!(read(json), Ok(None), "{json}");
        }
        assert_eq!(read("{}"), Ok(Some(Filter::new())));
    }

    #[test]
    fn unknown_fields_are_ignored() {
        let filter = read(r##"{"search":"x","&t":["a"],"#long":[1],"#é":3,"kinds":[1],"x":{"y":[]}}"##);
        assert_eq!(filter, Ok(Some(Filter::new().kind(Kind::TextNote))));
    }

    #[test]
    fn wrong_shapes_are_told_by_field() {
        for (json, words) in [
            (r#"{"ids":["AB"]}"#, "filter field `ids`"),
            (r#"{"ids":"x"}"#, "filter field `ids`"),
            (r#"{"authors":[null]}"#, "filter field `authors`"),
            (r#"{"kinds":[70000]}"#, "filter field `kinds`"),
            (r#"{"kinds":["1"]}"#, "filter field `kinds`"),
            (r#"{"since":-1}"#, "filter field `since`"),
            (r#"{"until":1.5}"#, "filter field `until`"),
            (r#"{"limit":"many"}"#, "filter field `limit`"),
            (r##"{"#e":[1]}"##, "filter field `#e`"),
            ("[]", "a filter (a JSON object)"),
        ] {
            let error = read(json).unwrap_err();
            assert!(error.contains(words), "{json}: {error}");
        }
    }
}
