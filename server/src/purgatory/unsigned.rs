//! Uploads to `refs/nostr/<event-id>` that no event names yet: kept apart from the family, for their time only.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use nostr::event::EventId;
use serde::{Deserialize, Serialize};

use crate::fault;
use crate::git::RefEntry;
use crate::nip34::{Coordinate, Identifier, Oid, RefName};
use crate::store::tables::{Table, Tables, TablesError, Write};

/// Where an upload was pushed to.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Place {
    /// A hosted repository, `/<npub>/<identifier>.git`.
    #[default]
    Hosted,
    /// A contributor's own, `/prs/<npub>/<identifier>.git` (GRASP-06).
    Contributed,
}

/// One upload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Upload {
    /// To what kind of repository it was pushed.
    #[serde(default)]
    pub place: Place,
    /// To which one. Of a contributed one, the owner is the contributor.
    pub repository: Coordinate,
    /// The event id in the ref's name.
    pub id: EventId,
    /// The commit the ref points to.
    pub tip: Oid,
    /// When it is dropped, in Unix seconds.
    pub deadline: u64,
    /// The object folder's name below `.grasp/unsigned`; `None` when the push brought no new objects.
    pub folder: Option<String>,
    /// Bytes on disk.
    pub bytes: u64,
}

impl Upload {
    fn key(&self) -> Vec<u8> {
        let mut key = self.id.as_bytes().to_vec();
        key.extend(self.repository.owner.as_bytes());
        key.extend(sha(self.repository.identifier.as_str()));
        if self.place == Place::Contributed {
            key.push(1);
        }
        key
    }

    /// The write that keeps it on disk.
    #[must_use]
    pub fn write(&self) -> Write {
        Write::put(Table::Unsigned, self.key(), serde_json::to_vec(self).unwrap_or_default())
    }

    /// The write that takes it off the disk; its folder is removed afterwards.
    #[must_use]
    pub fn forget(&self) -> Write {
        Write::remove(Table::Unsigned, self.key())
    }

    /// Where its objects are.
    #[must_use]
    pub fn objects(&self, git_data: &Path) -> Option<PathBuf> {
        self.folder.as_ref().map(|folder| root(git_data).join(folder))
    }
}

fn sha(text: &str) -> [u8; 32] {
    use sha2::Digest as _;
    sha2::Sha256::digest(text).into()
}

/// `<git-data>/.grasp/unsigned`.
#[must_use]
pub fn root(git_data: &Path) -> PathBuf {
    git_data.join(".grasp/unsigned")
}

/// All such uploads. At most one per repository and event id.
#[derive(Debug, Default)]
pub struct Unsigned {
    uploads: BTreeMap<(EventId, Place, Coordinate), Upload>,
    bytes: u64,
}

impl Unsigned {
    /// Reads back what waited.
    ///
    /// # Errors
    /// When the tables cannot be read.
    pub fn load(tables: &Tables) -> Result<Self, TablesError> {
        let mut unsigned = Self::default();
        for (_, value) in tables.all(Table::Unsigned)? {
            match serde_json::from_slice::<Upload>(&value) {
                Ok(upload) => drop(unsigned.insert(upload)),
                Err(error) => {
                    tracing::error!(%error, "an entry of the table of unsigned uploads is not readable")
                }
            }
        }
        Ok(unsigned)
    }

    /// How many uploads there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.uploads.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.uploads.is_empty()
    }

    /// Bytes of all uploads together.
    #[must_use]
    pub const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// When the first of them is dropped, in Unix seconds.
    #[must_use]
    pub fn first_deadline(&self) -> Option<u64> {
        self.uploads.values().map(|upload| upload.deadline).min()
    }

    /// The folders in use.
    #[must_use]
    pub fn folders(&self) -> BTreeSet<String> {
        self.uploads.values().filter_map(|upload| upload.folder.clone()).collect()
    }

    /// Adds an upload; returns the one whose place it takes.
    pub fn insert(&mut self, upload: Upload) -> Option<Upload> {
        self.bytes += upload.bytes;
        let before = self.uploads.insert((upload.id, upload.place, upload.repository.clone()), upload);
        self.bytes -= before.as_ref().map_or(0, |before| before.bytes);
        before
    }

    /// Takes an upload out.
    pub fn remove(&mut self, upload: &Upload) {
        if let Some(gone) = self.uploads.remove(&(upload.id, upload.place, upload.repository.clone())) {
            self.bytes -= gone.bytes;
        }
    }

    /// The uploads for one event id, to whatever repository.
    #[must_use]
    pub fn for_event(&self, id: &EventId) -> Vec<Upload> {
        self.uploads.values().filter(|upload| upload.id == *id).cloned().collect()
    }

    /// Those of them to repositories of one identifier: what its lock is enough for.
    #[must_use]
    pub fn for_event_in(&self, id: &EventId, identifier: &Identifier) -> Vec<Upload> {
        let mut uploads = self.for_event(id);
        uploads.retain(|upload| upload.repository.identifier == *identifier);
        uploads
    }

    /// The uploads to one repository.
    #[must_use]
    pub fn to(&self, place: Place, repository: &Coordinate) -> Vec<Upload> {
        let same = |upload: &&Upload| upload.place == place && upload.repository == *repository;
        self.uploads.values().filter(same).cloned().collect()
    }

    /// How a repository shows them to those who fetch.
    #[must_use]
    pub fn refs_of(&self, place: Place, repository: &Coordinate) -> Vec<RefEntry> {
        let entry =
            |upload: Upload| RefEntry { name: RefName::nostr(&upload.id), oid: upload.tip, peeled: None };
        self.to(place, repository).into_iter().map(entry).collect()
    }

    /// The repositories that have any.
    #[must_use]
    pub fn repositories(&self) -> BTreeSet<(Place, Coordinate)> {
        self.uploads.keys().map(|(_, place, repository)| (*place, repository.clone())).collect()
    }

    /// The uploads whose time is up, by identifier.
    #[must_use]
    pub fn expired(&self, now: u64) -> Vec<(Identifier, Upload)> {
        let now = if fault::is("unsigned-uploads-stay") { 0 } else { now };
        let stays =
            |upload: &&Upload| upload.place == Place::Contributed && fault::is("contributed-uploads-stay");
        let expired = self.uploads.values().filter(|upload| upload.deadline <= now && !stays(upload));
        expired.map(|upload| (upload.repository.identifier.clone(), upload.clone())).collect()
    }
}
