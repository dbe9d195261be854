//! The commit record: what a promotion is about to do, written before it is done.

use std::collections::{BTreeMap, BTreeSet};

use nostr::event::{Event, EventId};
use serde::{Deserialize, Serialize};

use crate::nip34::{Coordinate, Identifier, Oid, RefName};
use crate::purgatory::unsigned::Upload;

/// What happens to one repository.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum RepositoryChange {
    /// All of its refs, and HEAD where given.
    Refs {
        /// Which one.
        repository: Coordinate,
        /// Heads, tags and `refs/nostr/`: complete.
        refs: BTreeMap<RefName, Oid>,
        /// The branch HEAD shall point to.
        head: Option<RefName>,
    },
    /// All refs of a contributor's repository (GRASP-06).
    Contributed {
        /// Which one.
        repository: Coordinate,
        /// `refs/nostr/` of released pull requests: complete.
        refs: BTreeMap<RefName, Oid>,
    },
    /// A contributor's repository has no ref left and goes.
    RemoveContributed(Coordinate),
    /// It is put aside; its data is kept.
    Retire(Coordinate),
    /// It is retired no longer; what was put aside goes.
    Forget(Coordinate),
    /// It never held anything and goes.
    Remove(Coordinate),
    /// The last repository of an identifier has gone; its family goes too if it is empty.
    Leave(Identifier),
}

/// Everything a promotion does after its point of no return. Every part can be repeated.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommitRecord {
    /// Tips that the families keep.
    pub keep: BTreeMap<Identifier, BTreeSet<Oid>>,
    /// Refs, in the order they are changed.
    pub repositories: Vec<RepositoryChange>,
    /// Events that are served from now on.
    pub serve: Vec<Event>,
    /// Served events that go.
    pub delete: BTreeSet<EventId>,
    /// Events that leave purgatory: served, replaced, withdrawn or expired.
    pub leave: BTreeSet<EventId>,
    /// Unsigned uploads that go: promoted, contradicted or expired.
    pub uploads_gone: Vec<Upload>,
}

/// A record whose steps failed on the way, for example because the disk was full.
#[derive(Debug)]
pub(crate) struct Unfinished {
    /// What nothing may be done about before this is finished.
    pub(crate) identifiers: BTreeSet<Identifier>,
    /// The record.
    pub(crate) record: CommitRecord,
}

impl CommitRecord {
    /// Nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
