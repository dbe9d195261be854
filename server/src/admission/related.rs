//! What an event has to do with what is served here (requirement G01/relay/accepts-related).

use nostr::event::{Event, EventId, Kind};
use nostr::key::PublicKey;

use super::{Prefix, Refusal};
use crate::fault;
use crate::nip34::Coordinate;
use crate::nip34::tags::tags;

/// The most relations of one event that are looked at, of each sort; what comes after counts for nothing.
pub const MAX_RELATIONS: usize = 500;

/// The tags that name addresses.
const ADDRESS_TAGS: [&str; 3] = ["a", "A", "q"];
/// The tags that name events.
const EVENT_TAGS: [&str; 3] = ["e", "E", "q"];

/// What an event names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Relations {
    /// Repository coordinates in `a`, `A` and `q` tags.
    pub repositories: Vec<Coordinate>,
    /// Other addresses (`<kind>:<pubkey>:<d>`) in those tags.
    pub addresses: Vec<Address>,
    /// Events in `e`, `E` and `q` tags.
    pub events: Vec<EventId>,
}

/// The address of a replaceable or addressable event: kind, author, `d`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Address {
    /// The event's kind.
    pub kind: u16,
    /// Its author.
    pub author: PublicKey,
    /// Its `d` value; empty for replaceable kinds.
    pub d: String,
}

impl Address {
    /// Reads `<kind>:<pubkey-hex>:<d>`. Kinds whose events have no address name nothing: to look for such an address
    /// would be to look through all that its author has of that kind.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ':');
        let kind: u16 = parts.next()?.parse().ok()?;
        let has_address = Kind::from(kind).is_addressable() || Kind::from(kind).is_replaceable();
        if !has_address {
            return None;
        }
        let author = PublicKey::from_hex(parts.next()?).ok()?;
        Some(Self { kind, author, d: parts.next().unwrap_or_default().to_owned() })
    }

    /// The address of an event, if its kind has one.
    #[must_use]
    pub fn of(event: &Event) -> Option<Self> {
        let d = if event.kind.is_addressable() {
            crate::nip34::tags::first(event, "d").unwrap_or_default().to_owned()
        } else if event.kind.is_replaceable() {
            String::new()
        } else {
            return None;
        };
        Some(Self { kind: event.kind.as_u16(), author: event.pubkey, d })
    }
}

impl std::fmt::Display for Address {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}:{}", self.kind, self.author.to_hex(), self.d)
    }
}

impl Relations {
    /// Reads an event's relations.
    #[must_use]
    pub fn of(event: &Event) -> Self {
        let mut relations = Self::default();
        for tag in tags(event) {
            let name = tag[0].as_str();
            let Some(value) = tag.get(1) else { continue };
            if is_overlooked(name, value) || fault::is("first-relation-only") && relations.names_an_address()
            {
                continue;
            }
            let id = Some(value).filter(|value| value.len() == 64 && EVENT_TAGS.contains(&name));
            if let Some(id) = id.and_then(|id| EventId::from_hex(id).ok()) {
                if relations.events.len() < MAX_RELATIONS {
                    relations.events.push(id);
                }
                continue;
            }
            if ADDRESS_TAGS.contains(&name)
                && relations.addresses.len() + relations.repositories.len() < MAX_RELATIONS
            {
                if let Ok(repository) = value.parse::<Coordinate>() {
                    relations.repositories.push(repository);
                } else if let Some(address) = Address::parse(value) {
                    relations.addresses.push(address);
                }
            }
        }
        relations
    }
}

impl Relations {
    fn names_an_address(&self) -> bool {
        !self.repositories.is_empty() || !self.addresses.is_empty()
    }
}

/// Faults of the test build: a tag that names something and is not looked at.
fn is_overlooked(name: &str, value: &str) -> bool {
    let id = value.len() == 64;
    match name {
        "A" => fault::is("capital-a-ignored"),
        "q" if id => fault::is("quoted-events-ignored"),
        "q" => fault::is("quoted-addresses-ignored"),
        "e" => fault::is("small-e-ignored"),
        "E" => fault::is("capital-e-ignored"),
        _ => false,
    }
}

/// Kinds that open no door for what they name: deletions, and those taken only because their author is known.
#[must_use]
pub fn opens_doors(kind: Kind) -> bool {
    let closed = match kind.as_u16() {
        30_617 => fault::is("announcements-open-no-doors"),
        1111 => fault::is("comments-open-no-doors"),
        1 => fault::is("notes-open-no-doors"),
        1617 => fault::is("patches-open-no-doors"),
        1618 => fault::is("pull-requests-open-no-doors"),
        5 => !fault::is("deletions-open-doors"),
        _ => false,
    };
    !closed && !is_about_a_person(kind)
}

/// Profile (0), relay list (10002) and GRASP server list (10317): taken of everybody who is known here.
#[must_use]
pub fn is_about_a_person(kind: Kind) -> bool {
    matches!(kind.as_u16(), 0 | 10002 | 10317)
}

/// The refusal of what has no relation to anything here.
#[must_use]
pub fn unrelated(event: &Event) -> Refusal {
    let reason = if is_about_a_person(event.kind) {
        "this service keeps such events of owners, maintainers and root authors of its repositories only"
    } else {
        "the event tags no repository, issue, patch or pull request that is served here (`a`, `A`, `q`, `e`, `E`), \
         and none of those tags it"
    };
    Refusal::new(Prefix::Restricted, reason)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_kinds_with_addresses_are_addressed() {
        let author = nostr::key::Keys::generate().public_key().to_hex();
        for (kind, is_address) in
            [(1, false), (5, false), (1618, false), (9842, false), (10002, true), (30617, true)]
        {
            assert_eq!(Address::parse(&format!("{kind}:{author}:x")).is_some(), is_address, "{kind}");
        }
        assert_eq!(Address::parse(&format!("30023:{author}:a:b")).unwrap().d, "a:b");
    }
}
