//! What is known about one identifier: the announcements, states and waiting pull requests of all its owners.

use std::collections::{BTreeMap, BTreeSet};

use nostr::event::{Event, EventId};
use nostr::key::PublicKey;
use nostr::types::Timestamp;

use crate::fault;
use crate::nip34::maintainers::maintainer_set;
use crate::nip34::state::newer;
use crate::nip34::{ANNOUNCEMENT, Announcement, Coordinate, Identifier, PullRequest, STATE, State};

/// An announcement, and whether its repository is here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hosted {
    /// What it says.
    pub announcement: Announcement,
    /// Its repository is here: it lists this service, or it is archived.
    pub hosted: bool,
    /// It does not list this service, and is here because the operator archives it (GRASP-05).
    pub archived: bool,
}

/// The versions of one address that are known: at most one is served and at most one, newer, waits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot<T> {
    /// The served one.
    pub served: Option<T>,
    /// The one in purgatory.
    pub waiting: Option<T>,
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self { served: None, waiting: None }
    }
}

impl<T> Slot<T> {
    /// The newest: a waiting one is always newer than a served one.
    #[must_use]
    pub fn newest(&self) -> Option<&T> {
        self.waiting.as_ref().or(self.served.as_ref())
    }
}

/// Has an id and a time: what "newer" needs.
pub trait Versioned {
    /// Time and id.
    fn version(&self) -> (Timestamp, EventId);
}

impl Versioned for Hosted {
    fn version(&self) -> (Timestamp, EventId) {
        (self.announcement.created_at, self.announcement.id)
    }
}

impl Versioned for State {
    fn version(&self) -> (Timestamp, EventId) {
        (self.created_at, self.id)
    }
}

/// How an event relates to the known versions of its own address.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It is the served one.
    Served,
    /// It is the waiting one.
    Waiting,
    /// A known one is newer.
    Older,
    /// It is newer than all that is known.
    Newest,
}

impl<T: Versioned> Slot<T> {
    /// Where a version stands.
    #[must_use]
    pub fn standing(&self, version: (Timestamp, EventId)) -> Standing {
        let is = |slot: &Option<T>| slot.as_ref().is_some_and(|known| known.version().1 == version.1);
        if is(&self.served) {
            Standing::Served
        } else if is(&self.waiting) {
            Standing::Waiting
        } else if self.newest().is_some_and(|known| newer(known.version(), version)) {
            Standing::Older
        } else {
            Standing::Newest
        }
    }
}

/// Everything the protocol needs to know about one identifier. A value: the house loads it, rooms read it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    /// Which identifier.
    pub identifier: Identifier,
    /// The announcements by author.
    pub announcements: BTreeMap<PublicKey, Slot<Hosted>>,
    /// The states by author.
    pub states: BTreeMap<PublicKey, Slot<State>>,
    /// Pull requests and updates in purgatory that name a repository of this identifier.
    pub pulls: BTreeMap<EventId, PullRequest>,
    /// Those of them that this service takes for its contributors' repositories (GRASP-06), hosted or not.
    pub contributed: BTreeSet<EventId>,
    /// Those of them whose tip is being pushed to a repository of this identifier.
    pub pushed: BTreeSet<EventId>,
}

impl Family {
    /// Nothing known yet.
    #[must_use]
    pub const fn new(identifier: Identifier) -> Self {
        Self {
            identifier,
            announcements: BTreeMap::new(),
            states: BTreeMap::new(),
            pulls: BTreeMap::new(),
            contributed: BTreeSet::new(),
            pushed: BTreeSet::new(),
        }
    }

    /// The newest announcement of each author, as [`maintainer_set`] wants them.
    fn newest_announcements(&self) -> BTreeMap<PublicKey, &Announcement> {
        self.announcements
            .iter()
            .filter_map(|(author, slot)| slot.newest().map(|known| (*author, known)))
            .filter(|(_, known)| known.hosted || !fault::is("hosted-announcements-only"))
            .map(|(author, known)| (author, &known.announcement))
            .collect()
    }

    /// The owners whose repository is hosted here, with their maintainer sets.
    #[must_use]
    pub fn hosted(&self) -> BTreeMap<PublicKey, BTreeSet<PublicKey>> {
        let newest = self.newest_announcements();
        self.announcements
            .iter()
            .filter(|(_, slot)| slot.newest().is_some_and(|known| known.hosted))
            .map(|(owner, _)| (*owner, maintainer_set(owner, &newest)))
            .collect()
    }

    /// Whether the repository of this owner is hosted here, served or waiting.
    #[must_use]
    pub fn is_hosted(&self, owner: &PublicKey) -> bool {
        self.announcements.get(owner).and_then(Slot::newest).is_some_and(|known| known.hosted)
    }

    /// Whether the repository of this owner is here as an archive's copy, served or waiting.
    #[must_use]
    pub fn is_archived(&self, owner: &PublicKey) -> bool {
        self.announcements.get(owner).and_then(Slot::newest).is_some_and(|known| known.archived)
    }

    /// Whether an event is about an archived repository: its announcement, or a state that it authorises.
    #[must_use]
    pub fn archives(&self, event: &Event) -> bool {
        if event.kind == ANNOUNCEMENT {
            return self.is_archived(&event.pubkey);
        }
        let archived = |owner: &PublicKey| self.is_archived(owner);
        event.kind == STATE
            && self
                .hosted()
                .iter()
                .any(|(owner, maintainers)| archived(owner) && maintainers.contains(&event.pubkey))
    }

    /// Whether the repository is hosted here and its announcement is served.
    #[must_use]
    pub fn is_served(&self, owner: &PublicKey) -> bool {
        self.announcements.get(owner).and_then(|slot| slot.served.as_ref()).is_some_and(|known| known.hosted)
    }

    /// The authorised state that is served for a maintainer set: the newest by any member.
    #[must_use]
    pub fn authorised(&self, maintainers: &BTreeSet<PublicKey>) -> Option<&State> {
        let served = maintainers.iter().filter_map(|author| self.states.get(author)?.served.as_ref());
        served.reduce(|best, state| if state.is_newer_than(best) { state } else { best })
    }

    /// The states in purgatory that a maintainer set authorises, newest first.
    #[must_use]
    pub fn waiting_states(&self, maintainers: &BTreeSet<PublicKey>) -> Vec<&State> {
        let mut waiting: Vec<&State> =
            maintainers.iter().filter_map(|author| self.states.get(author)?.waiting.as_ref()).collect();
        waiting.sort_by(|one, other| other.created_at.cmp(&one.created_at).then(one.id.cmp(&other.id)));
        waiting
    }

    /// The coordinate of an owner's repository in this family.
    #[must_use]
    pub fn coordinate(&self, owner: PublicKey) -> Coordinate {
        Coordinate::new(owner, self.identifier.clone())
    }
}
