//! People, objects and events of a history.
//!
//! Signatures are not computed: an event carries one of two marks, and what stands for verification tells them apart.
//! That a signature is true is for the `nostr` crate to say; what follows from a false one is held here.

use std::sync::{Arc, OnceLock};

use nostr::event::{Event, EventId, Kind, Signature, Tag, Tags};
use nostr::filter::Filter;
use nostr::key::PublicKey;
use nostr::types::Timestamp;

use super::super::world::person;
use crate::nip34::Oid;
use crate::nip34::tags::tags;

/// How many people there are.
pub(super) const PEOPLE: usize = 8;
/// Ids of commits that pull requests bring begin here.
pub(super) const PULL_LINES: u16 = 1_000;

const TRUE: [u8; 64] = [1; 64];
const FALSE: [u8; 64] = [2; 64];

/// One of the people.
pub(super) fn somebody(n: usize) -> PublicKey {
    static PEOPLE_KEYS: OnceLock<Vec<PublicKey>> = OnceLock::new();
    PEOPLE_KEYS.get_or_init(|| (0..PEOPLE as u8).map(person).collect())[n]
}

/// An event as its author has signed it.
pub(super) fn sign(author: usize, at: u64, kind: Kind, tags: &[Vec<String>], text: &str) -> Arc<Event> {
    let (author, at) = (somebody(author), Timestamp::from_secs(at));
    let tags = Tags::from_list(tags.iter().map(|tag| Tag::parse(tag.clone()).unwrap()).collect());
    let id = EventId::compute(&author, &at, &kind, &tags, text);
    Arc::new(Event::new(id, author, at, kind, tags, text, Signature::from_byte_array(TRUE)))
}

/// Something that nobody has signed, under an id of its own or under that of the event that it imitates.
pub(super) fn forge(like: &Event, own_id: Option<u64>) -> Arc<Event> {
    let mut event = like.clone();
    event.content = format!("forged {own_id:?}");
    event.sig = Signature::from_byte_array(FALSE);
    if let Some(n) = own_id {
        let mut id = [0xff; 32];
        id[..8].copy_from_slice(&n.to_be_bytes());
        event.id = EventId::from_byte_array(id);
    }
    Arc::new(event)
}

/// Stands for the verification of id and signature.
pub(super) fn is_true(event: &Event) -> bool {
    *event.sig.as_bytes() == TRUE
}

/// Whether a relay gives an event for a filter.
pub(super) fn matches(filter: &Filter, event: &Event) -> bool {
    filter.ids.as_ref().is_none_or(|ids| ids.contains(&event.id))
        && filter.kinds.as_ref().is_none_or(|kinds| kinds.contains(&event.kind))
        && filter.since.is_none_or(|since| event.created_at >= since)
        && filter.until.is_none_or(|until| event.created_at <= until)
        && filter.generic_tags.iter().all(|(letter, values)| {
            let named =
                |tag: &[String]| tag[0] == letter.as_str() && tag.get(1).is_some_and(|v| values.contains(v));
            tags(event).any(named)
        })
}

/// The n-th commit of a line of development; it has all that came before it on the line.
pub(super) fn commit(line: u16, n: u32) -> Oid {
    let mut bytes = [9; 20];
    bytes[..2].copy_from_slice(&line.to_be_bytes());
    bytes[2..6].copy_from_slice(&n.to_be_bytes());
    Oid::from_bytes(bytes)
}

/// A commit and everything that it reaches.
pub(super) fn closure(oid: Oid) -> impl Iterator<Item = Oid> {
    let bytes = oid.as_bytes();
    let line = u16::from_be_bytes([bytes[0], bytes[1]]);
    let n = u32::from_be_bytes([bytes[2], bytes[3], bytes[4], bytes[5]]);
    (1..=n).map(move |n| commit(line, n))
}
