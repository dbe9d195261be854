//! Which repositories and which people are known here, in memory: what every event is asked about first.

use std::collections::{BTreeSet, HashMap};

use nostr::event::EventId;
use nostr::key::PublicKey;

use crate::admission::Hosted;
use crate::fault;
use crate::nip34::{Coordinate, Identifier};

/// What is known of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Entry {
    event: EventId,
    served: bool,
    hosted: bool,
    people: BTreeSet<PublicKey>,
}

/// How a repository stands here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// Its announcement is served; otherwise it waits.
    pub served: bool,
    /// It lists this service: its git data is here.
    pub hosted: bool,
}

/// The directory. About 300 bytes a repository.
#[derive(Debug, Default)]
pub struct Directory {
    repositories: HashMap<Coordinate, Entry>,
    people: HashMap<PublicKey, usize>,
    owners: HashMap<Identifier, BTreeSet<PublicKey>>,
}

impl Directory {
    /// Enters an announcement, or what has changed about it; returns whether anything has.
    pub fn enter(&mut self, announced: &Hosted, served: bool) -> bool {
        let announcement = &announced.announcement;
        let before = self.repositories.get(&announcement.coordinate());
        if before.is_some_and(|known| (known.event, known.served) == (announcement.id, served)) {
            return false;
        }
        self.remove(&announcement.coordinate(), None);
        let people: BTreeSet<PublicKey> =
            announcement.listed.iter().copied().chain([announcement.author]).collect();
        for person in &people {
            *self.people.entry(*person).or_default() += 1;
        }
        self.owners.entry(announcement.identifier.clone()).or_default().insert(announcement.author);
        let entry = Entry { event: announcement.id, served, hosted: announced.hosted, people };
        self.repositories.insert(announcement.coordinate(), entry);
        true
    }

    /// Takes a repository out, with an event only if that is the announcement it is known by; returns whether it was
    /// known.
    pub fn remove(&mut self, repository: &Coordinate, event: Option<&EventId>) -> bool {
        if event.is_some_and(|event| self.repositories.get(repository).is_none_or(|e| e.event != *event)) {
            return false;
        }
        let Some(entry) = self.repositories.remove(repository) else { return false };
        if let Some(owners) = self.owners.get_mut(&repository.identifier) {
            owners.remove(&repository.owner);
            if owners.is_empty() {
                self.owners.remove(&repository.identifier);
            }
        }
        for person in entry.people {
            if let Some(count) = self.people.get_mut(&person) {
                *count -= 1;
                if *count == 0 {
                    self.people.remove(&person);
                }
            }
        }
        true
    }

    /// How a repository stands here; `None` when it is not known.
    #[must_use]
    pub fn standing(&self, repository: &Coordinate) -> Option<Standing> {
        let entry = self.repositories.get(repository)?;
        Some(Standing { served: entry.served, hosted: entry.hosted })
    }

    /// Whether somebody owns or maintains a repository that is known here.
    #[must_use]
    pub fn knows(&self, person: &PublicKey) -> bool {
        let owns = || self.repositories.keys().any(|known| known.owner == *person);
        let overlooked = match () {
            () if fault::is("owners-unknown") => owns(),
            () if fault::is("maintainers-unknown") => !owns(),
            () => false,
        };
        self.people.contains_key(person) && !overlooked
    }

    /// Whether anybody's repository of this identifier is known here.
    #[must_use]
    pub fn knows_identifier(&self, identifier: &Identifier) -> bool {
        self.owners.contains_key(identifier)
    }

    /// The other hosted repositories of the same identifier.
    #[must_use]
    pub fn siblings(&self, of: &Coordinate) -> BTreeSet<Coordinate> {
        let owners =
            self.owners.get(&of.identifier).into_iter().flatten().filter(|owner| **owner != of.owner);
        owners
            .map(|owner| Coordinate::new(*owner, of.identifier.clone()))
            .filter(|repository| self.standing(repository).is_some_and(|standing| standing.hosted))
            .collect()
    }

    /// Whether a repository of this identifier is hosted here, served or waiting.
    #[must_use]
    pub fn hosts(&self, identifier: &Identifier) -> bool {
        let owners = self.owners.get(identifier).into_iter().flatten();
        owners
            .map(|owner| Coordinate::new(*owner, identifier.clone()))
            .any(|repository| self.standing(&repository).is_some_and(|standing| standing.hosted))
    }

    /// All repositories that are known.
    pub fn all(&self) -> impl Iterator<Item = &Coordinate> {
        self.repositories.keys()
    }

    /// How many repositories are hosted here.
    #[must_use]
    pub fn hosted(&self) -> usize {
        self.repositories.values().filter(|entry| entry.hosted).count()
    }

    /// How many of these wait for their git data.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.repositories.values().filter(|entry| entry.hosted && !entry.served).count()
    }
}
