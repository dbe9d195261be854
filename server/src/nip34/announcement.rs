//! Repository announcements (kind 30617).

use std::collections::BTreeSet;

use nostr::event::{Event, EventId};
use nostr::key::PublicKey;
use nostr::types::Timestamp;

use super::tags::{first, tags, values};
use super::{ANNOUNCEMENT, Coordinate, Identifier, ServiceDomain, ShapeError};
use crate::fault;

/// What an announcement says, as far as the protocol acts on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Announcement {
    /// The event.
    pub id: EventId,
    /// Its author: the owner of the repository.
    pub author: PublicKey,
    /// When it was signed.
    pub created_at: Timestamp,
    /// The repository's identifier.
    pub identifier: Identifier,
    /// The name for people, if given.
    pub name: Option<String>,
    /// The description for people, if given.
    pub description: Option<String>,
    /// Where it can be cloned from.
    pub clone: Vec<String>,
    /// Relays that carry its events.
    pub relays: Vec<String>,
    /// The listed maintainers, role tags respected; the author is only here if it lists itself.
    pub listed: BTreeSet<PublicKey>,
    /// The author has a role tag of its own that is no longer active.
    pub author_left: bool,
}

/// Which of the two entries an announcement needs to list a service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Listing {
    /// `clone` has our URL of this repository.
    pub clone: bool,
    /// `relays` has our URL.
    pub relay: bool,
}

impl Listing {
    /// Both are there: the announcement lists the service.
    #[must_use]
    pub const fn complete(self) -> bool {
        self.clone && self.relay
    }
}

impl Announcement {
    /// Reads an announcement.
    ///
    /// # Errors
    /// When the kind is another or the identifier is not usable.
    pub fn from_event(event: &Event) -> Result<Self, ShapeError> {
        if event.kind != ANNOUNCEMENT {
            return Err(ShapeError::Kind(ANNOUNCEMENT.as_u16()));
        }
        let identifier = Identifier::new(first(event, "d").unwrap_or_default())?;
        let roles = Roles::of(event);
        let named = || values(event, "maintainers").filter_map(|key| PublicKey::from_hex(key).ok());
        let mut listed = if roles.any { roles.active } else { named().collect() };
        if fault::is("maintainers-beside-roles") {
            listed.extend(named());
        }
        let author_has_role = roles.author_has_role && !fault::is("owners-never-leave")
            || roles.any && fault::is("owners-without-role-left");
        let owned = |text: &str| Some(text.to_owned()).filter(|text| !text.is_empty());
        Ok(Self {
            id: event.id,
            author: event.pubkey,
            created_at: event.created_at,
            identifier,
            name: first(event, "name").and_then(owned),
            description: first(event, "description").and_then(owned),
            clone: values(event, "clone").map(str::to_owned).collect(),
            relays: values(event, "relays").map(str::to_owned).collect(),
            author_left: author_has_role && !listed.contains(&event.pubkey),
            listed,
        })
    }

    /// The repository it announces.
    #[must_use]
    pub fn coordinate(&self) -> Coordinate {
        Coordinate::new(self.author, self.identifier.clone())
    }

    /// Whether `clone` and `relays` name this service.
    #[must_use]
    pub fn listing(&self, service: &ServiceDomain) -> Listing {
        let coordinate = self.coordinate();
        let looked_at = if fault::is("first-url-only") { 1 } else { usize::MAX };
        Listing {
            clone: self.clone.iter().take(looked_at).any(|url| service.is_clone_url(url, &coordinate)),
            relay: self.relays.iter().take(looked_at).any(|url| service.is_relay_url(url)),
        }
    }
}

/// Role tags: `["M"|"m"|"o", <pubkey>, start, end, start, …]`.
struct Roles {
    any: bool,
    author_has_role: bool,
    active: BTreeSet<PublicKey>,
}

impl Roles {
    fn of(event: &Event) -> Self {
        let mut roles = Self { any: false, author_has_role: false, active: BTreeSet::new() };
        if fault::is("roles-ignored") {
            return roles;
        }
        for tag in tags(event).filter(|tag| matches!(tag[0].as_str(), "M" | "m" | "o")) {
            let Some(key) = tag.get(1).and_then(|key| PublicKey::from_hex(key).ok()) else { continue };
            roles.any = true;
            roles.author_has_role |= key == event.pubkey;
            // No history, or the last of the alternating times is a start.
            let history = tag[2..].iter().filter(|time| !time.is_empty()).count();
            let is_active = match history {
                _ if fault::is("role-history-ignored") => true,
                1.. if fault::is("role-starts-unread") => false,
                2.. if fault::is("role-ends-for-ever") => false,
                _ => history == 0 || history % 2 == 1,
            };
            let counts = match tag[0].as_str() {
                "o" => fault::is("moderators-count"),
                "M" => !fault::is("leads-ignored"),
                _ => true,
            };
            if counts && is_active {
                roles.active.insert(key);
            }
        }
        roles
    }
}
