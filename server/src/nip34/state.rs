//! Repository states (kind 30618): what the refs shall be.

use std::collections::BTreeMap;

use nostr::event::{Event, EventId};
use nostr::key::PublicKey;
use nostr::types::Timestamp;

use super::tags::{first, tags};
use super::{Identifier, Oid, RefName, STATE, ShapeError};
use crate::fault;

/// What a state says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct State {
    /// The event.
    pub id: EventId,
    /// Its author.
    pub author: PublicKey,
    /// When it was signed.
    pub created_at: Timestamp,
    /// The repository's identifier.
    pub identifier: Identifier,
    /// Branches and tags, complete: what is not listed shall not be.
    pub refs: BTreeMap<RefName, Oid>,
    /// The branch HEAD shall point to, if the state says so and lists that branch.
    pub head: Option<RefName>,
}

impl State {
    /// Reads a state. Peeled entries (`^{}`), refs outside `refs/heads/` and `refs/tags/` and symbolic values are
    /// left out.
    ///
    /// # Errors
    /// When the kind is another, the identifier is not usable, or a ref could not exist in a SHA-1 repository.
    pub fn from_event(event: &Event) -> Result<Self, ShapeError> {
        if event.kind != STATE {
            return Err(ShapeError::Kind(STATE.as_u16()));
        }
        let identifier = Identifier::new(first(event, "d").unwrap_or_default())?;
        let mut refs = BTreeMap::new();
        for tag in tags(event) {
            let name = tag[0].as_str();
            let in_state = name.starts_with("refs/heads/") || name.starts_with("refs/tags/");
            let value = tag.get(1).map(String::as_str).unwrap_or_default();
            if !in_state || name.ends_with("^{}") || value.starts_with("ref: ") {
                continue;
            }
            if forgiven(name, value) {
                continue;
            }
            let refname: RefName = name.parse().map_err(|_| ShapeError::RefName(shorten(name)))?;
            let oid = ref_value(&refname, value)?;
            if refs.insert(refname.clone(), oid).is_some_and(|earlier| earlier != oid) {
                return Err(ShapeError::Contradiction(shorten(name)));
            }
        }
        if let Some((folder, inside)) = folder_clash(&refs) {
            return Err(ShapeError::FolderClash(folder.to_string(), inside.to_string()));
        }
        let head = first(event, "HEAD")
            .and_then(|value| match value.strip_prefix("ref: ") {
                None if fault::is("bare-heads-unread") => None,
                named => Some(named.unwrap_or(value)),
            })
            .and_then(|name| name.parse::<RefName>().ok())
            .filter(|name| refs.contains_key(name) || fault::is("unlisted-heads-followed"))
            .filter(|name| name.as_str().starts_with("refs/heads/"));
        Ok(Self { id: event.id, author: event.pubkey, created_at: event.created_at, identifier, refs, head })
    }

    /// Whether this one counts more than another: later, then the lower id.
    #[must_use]
    pub fn is_newer_than(&self, other: &Self) -> bool {
        newer((self.created_at, self.id), (other.created_at, other.id))
    }
}

/// "Newer" everywhere: by time, then the lower id (NIP-01).
#[must_use]
pub fn newer(one: (Timestamp, EventId), other: (Timestamp, EventId)) -> bool {
    let lower = if fault::is("ties-to-the-higher-id") { one.1 > other.1 } else { one.1 < other.1 };
    one.0 > other.0 || (one.0 == other.0 && lower)
}

/// Faults of the test build: an impossible ref is left out instead of making the state invalid.
fn forgiven(name: &str, value: &str) -> bool {
    let sha256 = value.len() == 64;
    fault::is("ref-names-unchecked") && name.parse::<RefName>().is_err()
        || fault::is("ref-values-unchecked") && !sha256 && value.parse::<Oid>().is_err()
        || fault::is("sha256-as-unknown-refs") && sha256
}

fn ref_value(name: &RefName, value: &str) -> Result<Oid, ShapeError> {
    if value.len() == 64 && value.bytes().all(|b| b.is_ascii_hexdigit()) {
        return Err(ShapeError::Sha256(name.to_string()));
    }
    match value.parse::<Oid>() {
        Ok(oid) if !oid.is_zero() => Ok(oid),
        _ => Err(ShapeError::RefValue(name.to_string(), shorten(value))),
    }
}

/// Two refs of which one is a folder of the other, if there are such.
fn folder_clash(refs: &BTreeMap<RefName, Oid>) -> Option<(&RefName, &RefName)> {
    refs.keys().find_map(|name| {
        let text = name.as_str();
        text.match_indices('/').find_map(|(at, _)| {
            let folder = text[..at].parse::<RefName>().ok()?;
            refs.get_key_value(&folder).map(|(folder, _)| (folder, name))
        })
    })
}

fn shorten(text: &str) -> String {
    text.chars().take(120).collect()
}
