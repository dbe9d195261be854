//! Where accepted events wait, unserved, for the git data they name; and uploads for the event that names them.
//!
//! The core is pure: it is told the time. What it holds is on disk too (`Table::Waiting`, `Table::Unsigned`), written
//! by promotion before anything is promised; [`Purgatory::load`] reads it back.

mod expiry;
pub mod unsigned;

use std::collections::{BTreeSet, HashMap};

use nostr::event::{Event, EventId};
use serde::{Deserialize, Serialize};

use crate::fault;
use crate::nip34::{ANNOUNCEMENT, Identifier, PULL_REQUEST, PULL_REQUEST_UPDATE, PullRequest, STATE};
use crate::store::tables::{Table, Tables, TablesError, Write};

/// How long things wait, in seconds (requirements G01/purgatory/expires and G01/git/nostr-refs).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Events for their git data: 30 minutes.
    pub events: u64,
    /// Synced events of archived repositories for their git data: 24 hours, because a whole service may have to be
    /// fetched, at 30 fetches a minute.
    pub archived: u64,
    /// Uploads for their event: 20 minutes.
    pub uploads: u64,
    /// The data of retired repositories: 30 days.
    pub retired: u64,
    /// How long the id of an expired event is remembered, for synced copies: 24 hours.
    pub expired_ids: u64,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            events: 30 * 60,
            archived: 24 * 60 * 60,
            uploads: 20 * 60,
            retired: 30 * 24 * 60 * 60,
            expired_ids: 24 * 60 * 60,
        }
    }
}

/// One waiting event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The event.
    pub event: Event,
    /// When it came, in Unix seconds.
    pub since: u64,
    /// When it is dropped, in Unix seconds.
    pub deadline: u64,
    /// It came by sync, not from a client.
    pub synced: bool,
}

impl Waiting {
    /// The identifiers it concerns: one, or for pull requests one per repository named.
    #[must_use]
    pub fn identifiers(&self) -> BTreeSet<Identifier> {
        identifiers(&self.event)
    }

    /// About how many bytes of memory it takes: its text, and what surrounds each tag and each of its values.
    #[must_use]
    pub fn weight(&self) -> usize {
        const EVENT: usize = 512;
        const TAG: usize = 96;
        const VALUE: usize = 32;
        let value = |value: &String| VALUE + value.len();
        let tag = |tag: &nostr::event::Tag| TAG + tag.as_slice().iter().map(value).sum::<usize>();
        EVENT + self.event.content.len() + self.event.tags.iter().map(tag).sum::<usize>()
    }

    /// The write that keeps it on disk.
    #[must_use]
    pub fn write(&self) -> Write {
        let json = serde_json::to_vec(self).unwrap_or_default();
        Write::put(Table::Waiting, self.event.id.as_bytes(), json)
    }
}

/// The identifiers that an announcement, a state, a pull request or an update concerns.
#[must_use]
pub fn identifiers(event: &Event) -> BTreeSet<Identifier> {
    if event.kind == ANNOUNCEMENT || event.kind == STATE {
        let d = crate::nip34::tags::first(event, "d");
        return d.and_then(|d| Identifier::new(d).ok()).into_iter().collect();
    }
    if event.kind == PULL_REQUEST || event.kind == PULL_REQUEST_UPDATE {
        let pull = PullRequest::from_event(event);
        return pull.into_iter().flat_map(|p| p.repositories).map(|named| named.identifier).collect();
    }
    BTreeSet::new()
}

/// The write that takes a waiting event off the disk.
#[must_use]
pub fn forget(id: &EventId) -> Write {
    Write::remove(Table::Waiting, id.as_bytes())
}

/// All waiting events, in memory, by id and by identifier.
#[derive(Debug, Default)]
pub struct Purgatory {
    events: HashMap<EventId, Waiting>,
    by_identifier: HashMap<Identifier, BTreeSet<EventId>>,
    bytes: usize,
}

impl Purgatory {
    /// Reads back what waited.
    ///
    /// # Errors
    /// When the tables cannot be read.
    pub fn load(tables: &Tables) -> Result<Self, TablesError> {
        let mut purgatory = Self::default();
        for (_, value) in tables.all(Table::Waiting)? {
            match serde_json::from_slice::<Waiting>(&value) {
                Ok(waiting) => purgatory.insert(waiting),
                Err(error) => tracing::error!(%error, "an entry of the purgatory table is not readable"),
            }
        }
        Ok(purgatory)
    }

    /// How many events wait.
    #[must_use]
    pub fn len(&self) -> usize {
        self.events.len()
    }

    /// Bytes of memory they take together, as [`Waiting::weight`] has it.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether nothing waits.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// A waiting event.
    #[must_use]
    pub fn get(&self, id: &EventId) -> Option<&Waiting> {
        self.events.get(id)
    }

    /// Everything that waits for one identifier.
    pub fn of<'a>(&'a self, identifier: &Identifier) -> impl Iterator<Item = &'a Waiting> {
        let ids = self.by_identifier.get(identifier).into_iter().flatten();
        ids.filter_map(|id| self.events.get(id))
    }

    /// Everything that waits.
    pub fn iter(&self) -> impl Iterator<Item = &Waiting> {
        self.events.values()
    }

    /// Adds an event, or gives it a new deadline.
    pub fn insert(&mut self, waiting: Waiting) {
        for identifier in waiting.identifiers() {
            self.by_identifier.entry(identifier).or_default().insert(waiting.event.id);
        }
        self.bytes += waiting.weight();
        let before = self.events.insert(waiting.event.id, waiting);
        self.bytes -= before.map_or(0, |before| before.weight());
    }

    /// Takes an event out.
    pub fn remove(&mut self, id: &EventId) -> Option<Waiting> {
        let waiting = self.events.remove(id)?;
        self.bytes -= waiting.weight();
        for identifier in waiting.identifiers() {
            if let Some(ids) = self.by_identifier.get_mut(&identifier) {
                ids.remove(id);
                if ids.is_empty() {
                    self.by_identifier.remove(&identifier);
                }
            }
        }
        Some(waiting)
    }

    /// The events whose time is up: states first, because one that goes may give its announcement more time.
    #[must_use]
    pub fn expired(&self, now: u64) -> Vec<EventId> {
        let now = if fault::is("nothing-expires") { 0 } else { now };
        let mut expired: Vec<&Event> = self
            .events
            .values()
            .filter(|waiting| waiting.deadline <= now)
            .map(|waiting| &waiting.event)
            .collect();
        expired.sort_by_key(|event| (event.kind != STATE, event.id));
        expired.into_iter().map(|event| event.id).collect()
    }
}
