//! Repositories that are retired: what is kept of each, and until when (see `docs/explanation/repository-lifecycle.md`).
//!
//! Refs and HEAD are put aside below `.grasp/retired`, objects stay in the family, and a row says what else it takes to
//! bring the repository back as it was: its owner's state, and, when nobody but the operator has sent it away, its
//! announcement.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use nostr::event::Event;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::contributors::entries;
use crate::nip34::{Coordinate, Identifier, RefName};
use crate::store::tables::{Table, Tables, TablesError, Write};

/// Why a repository was retired.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Why {
    /// Its owner has deleted the announcement (NIP-09).
    Deleted,
    /// Its owner's new announcement lists this service no longer.
    MovedAway,
    /// The operator's lists do not let it be here any longer.
    Lists,
    /// Its owner has asked to vanish (NIP-62): nothing is brought back.
    Vanished,
}

/// What is kept of a retired repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Held {
    /// Which one.
    pub repository: Coordinate,
    /// When it is removed, in Unix seconds.
    pub until: u64,
    /// Why it was retired.
    pub why: Why,
    /// The branch that HEAD named.
    pub head: Option<RefName>,
    /// What is served again when the repository comes back.
    pub events: Vec<Event>,
    /// The time of the announcement that was retired, in Unix seconds; unknown in rows of earlier versions.
    #[serde(default)]
    pub announced: Option<u64>,
}

impl Held {
    fn key(repository: &Coordinate) -> Vec<u8> {
        [&repository.owner.as_bytes()[..], &Sha256::digest(repository.identifier.as_str())].concat()
    }

    /// The write that keeps it on disk.
    #[must_use]
    pub fn write(&self) -> Write {
        Write::put(Table::Retired, Self::key(&self.repository), serde_json::to_vec(self).unwrap_or_default())
    }

    /// The write that takes it off the disk.
    #[must_use]
    pub fn forget(repository: &Coordinate) -> Write {
        Write::remove(Table::Retired, Self::key(repository))
    }

    /// What is kept of a repository, if it is retired.
    ///
    /// # Errors
    /// When the tables cannot be read.
    pub fn read(tables: &Tables, repository: &Coordinate) -> Result<Option<Self>, TablesError> {
        let row = tables.get(Table::Retired, &Self::key(repository))?;
        Ok(row.and_then(|value| readable(&value)))
    }

    /// All retired repositories.
    ///
    /// # Errors
    /// When the tables cannot be read.
    pub fn all(tables: &Tables) -> Result<Vec<Self>, TablesError> {
        Ok(tables.all(Table::Retired)?.iter().filter_map(|(_, value)| readable(value)).collect())
    }
}

fn readable(value: &[u8]) -> Option<Held> {
    serde_json::from_slice(value)
        .inspect_err(
            |error| tracing::error!(%error, "an entry of the table of retired repositories is not readable"),
        )
        .ok()
}

/// Which repositories are held, and until when. About 200 bytes each.
#[derive(Debug, Default)]
pub struct HeldIndex(BTreeMap<Coordinate, u64>);

impl HeldIndex {
    /// These.
    #[must_use]
    pub fn of(held: &[Held]) -> Self {
        Self(held.iter().map(|held| (held.repository.clone(), held.until)).collect())
    }

    /// One more, or another time for it.
    pub fn insert(&mut self, held: &Held) {
        self.0.insert(held.repository.clone(), held.until);
    }

    /// One less.
    pub fn remove(&mut self, repository: &Coordinate) {
        self.0.remove(repository);
    }

    /// Whether this one is held.
    #[must_use]
    pub fn has(&self, repository: &Coordinate) -> bool {
        self.0.contains_key(repository)
    }

    /// The retired repositories of one identifier.
    #[must_use]
    pub fn of_identifier(&self, identifier: &Identifier) -> Vec<Coordinate> {
        self.0.keys().filter(|held| held.identifier == *identifier).cloned().collect()
    }

    /// Those of one owner.
    #[must_use]
    pub fn of_owner(&self, owner: &nostr::key::PublicKey) -> Vec<Coordinate> {
        self.0.keys().filter(|held| held.owner == *owner).cloned().collect()
    }

    /// Those whose time is over.
    #[must_use]
    pub fn due(&self, now: u64) -> Vec<Coordinate> {
        self.0.iter().filter(|(_, until)| **until <= now).map(|(held, _)| held.clone()).collect()
    }
}

/// The folders `<npub>/<identifier>.git` below `.grasp/retired`.
pub(crate) fn folders(retired: &Path) -> io::Result<Vec<Coordinate>> {
    let mut found = Vec::new();
    for npub in entries(retired)? {
        let repositories = entries(&retired.join(&npub))?;
        found.extend(repositories.iter().filter_map(|name| named(&npub, name)));
    }
    Ok(found)
}

/// Names on disk are not percent-encoded, as those of URLs are.
fn named(npub: &str, name: &str) -> Option<Coordinate> {
    use nostr::nips::nip19::FromBech32 as _;
    let owner = nostr::key::PublicKey::from_bech32(npub).ok()?;
    Some(Coordinate::new(owner, Identifier::new(name.strip_suffix(".git")?).ok()?))
}
