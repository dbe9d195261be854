//! Which contributors' repositories (GRASP-06) there are on disk, by identifier.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::path::Path;

use nostr::key::PublicKey;

use crate::nip34::{Coordinate, Identifier};

/// The contributors' repositories. About 200 bytes each.
#[derive(Debug, Default)]
pub struct Contributors(BTreeMap<Identifier, BTreeSet<PublicKey>>);

impl Contributors {
    /// Reads the folders `<pubkey-hex>/<identifier>.git` below `prs`; what is named otherwise is nobody's.
    ///
    /// # Errors
    /// When a folder cannot be read.
    pub fn load(prs: &Path) -> io::Result<Self> {
        let mut contributors = Self::default();
        for owner in entries(prs)? {
            let Ok(key) = PublicKey::from_hex(&owner) else { continue };
            for repository in entries(&prs.join(&owner))? {
                let identifier = repository.strip_suffix(".git").map(Identifier::new);
                if let Some(Ok(identifier)) = identifier {
                    contributors.insert(&Coordinate::new(key, identifier));
                }
            }
        }
        Ok(contributors)
    }

    /// One more.
    pub fn insert(&mut self, repository: &Coordinate) {
        self.0.entry(repository.identifier.clone()).or_default().insert(repository.owner);
    }

    /// One less.
    pub fn remove(&mut self, repository: &Coordinate) {
        if let Some(owners) = self.0.get_mut(&repository.identifier) {
            owners.remove(&repository.owner);
            if owners.is_empty() {
                self.0.remove(&repository.identifier);
            }
        }
    }

    /// Whether this one is there.
    #[must_use]
    pub fn has(&self, repository: &Coordinate) -> bool {
        self.of(&repository.identifier).any(|owner| *owner == repository.owner)
    }

    /// The contributors that have one of this identifier.
    pub fn of(&self, identifier: &Identifier) -> impl Iterator<Item = &PublicKey> {
        self.0.get(identifier).into_iter().flatten()
    }

    /// All of them.
    pub fn all(&self) -> impl Iterator<Item = Coordinate> {
        self.0.iter().flat_map(|(identifier, owners)| {
            owners.iter().map(|owner| Coordinate::new(*owner, identifier.clone()))
        })
    }
}

/// The names in a folder; none when it is not there.
pub(super) fn entries(folder: &Path) -> io::Result<Vec<String>> {
    match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
        entries => entries?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect(),
    }
}
