//! What a client sees of a repository's refs at one moment.

use std::collections::BTreeMap;

use crate::nip34::{Oid, RefName};

/// One ref.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefEntry {
    /// Its full name.
    pub name: RefName,
    /// The object it points to.
    pub oid: Oid,
    /// For annotated tags: the object at the end of the chain of tags.
    pub peeled: Option<Oid>,
}

/// All refs and HEAD of a repository at one moment. Never changes: a new moment is a new snapshot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefSnapshot {
    /// The branch HEAD points to, whether that exists or not.
    pub head: RefName,
    /// Sorted by name, bytewise, without doubles.
    pub refs: Vec<RefEntry>,
    /// Refs of uploads that no event has named yet (`refs/nostr/…`): shown to those who fetch, not to those who
    /// push, because a pusher must not leave out objects that only these hold. Sorted by name.
    pub unsigned: Vec<RefEntry>,
}

impl RefSnapshot {
    /// Of a repository that has no ref yet.
    #[must_use]
    pub fn empty() -> Self {
        Self { head: super::repository::default_head(), refs: Vec::new(), unsigned: Vec::new() }
    }

    /// The value of one ref among `refs`.
    #[must_use]
    pub fn get(&self, name: &RefName) -> Option<&RefEntry> {
        self.refs.binary_search_by(|entry| entry.name.cmp(name)).ok().map(|at| &self.refs[at])
    }

    /// The values of `refs` by name.
    #[must_use]
    pub fn values(&self) -> BTreeMap<RefName, Oid> {
        self.refs.iter().map(|entry| (entry.name.clone(), entry.oid)).collect()
    }

    /// The object HEAD leads to, if its branch exists.
    #[must_use]
    pub fn head_oid(&self) -> Option<Oid> {
        self.get(&self.head).map(|entry| entry.oid)
    }
}
