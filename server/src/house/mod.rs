//! Everything that is known here, held together: stores, purgatory, directory, and the locks between them.
//!
//! The house takes no decision: it loads what the pure rooms judge by, and does what they say. Whatever changes a
//! repository, its announcements, states or pull requests runs under the lock of its identifier, one at a time, on a
//! thread that may block; whatever it promises is written first.

pub mod contributors;
pub mod held;
pub mod in_flight;
pub mod locks;
mod observer;
mod open;
mod review;

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, OnceLock};

use nostr::event::{Event, EventId};
use nostr::filter::Filter;
use nostr::key::PublicKey;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use crate::admission::curation::Curation;
use crate::admission::{Family, Hosted, Slot};
use crate::clock::Clock;
use crate::directory::Directory;
use crate::git::RefSnapshot;
use crate::git::family::{Families, FamilyError};
use crate::git::repository::{Repositories, RepositoryError};
use crate::metrics::Meters;
use crate::nip34::{
    ANNOUNCEMENT, Announcement, Coordinate, Identifier, PullRequest, STATE, ServiceDomain, State,
};
use crate::promotion::journal::Unfinished;
use crate::promotion::purge::Shrink;
use crate::purgatory::unsigned::{Place, Unsigned};
use crate::purgatory::{Patience, Purgatory};
use crate::relay::feed::Feed;
use crate::store::EventStore;
use crate::store::events::EventStoreError;
use crate::store::tables::{Tables, TablesError};

use contributors::Contributors;
use held::{Held, HeldIndex};
use in_flight::InFlight;
use locks::{Holds, Locks};
pub use observer::Observer;
pub use open::OpenError;

/// How many operations on repositories run side by side; each occupies a thread that may block.
const OPERATIONS: usize = 64;

/// Bounds of what waits.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Events in purgatory.
    pub waiting_events: usize,
    /// Bytes of memory that these take, as [`crate::purgatory::Waiting::weight`] has it.
    pub waiting_bytes: usize,
    /// Bytes on disk of uploads that no event names.
    pub unsigned_bytes: u64,
    /// Such uploads.
    pub unsigned_uploads: usize,
    /// Such uploads to one repository.
    pub unsigned_per_repository: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self {
            waiting_events: 10_000,
            waiting_bytes: 512 << 20,
            unsigned_bytes: 10 << 30,
            unsigned_uploads: 20_000,
            unsigned_per_repository: 256,
        }
    }
}

/// What a house is built with.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How this service is listed in announcements.
    pub service: ServiceDomain,
    /// The folder of all git data.
    pub git_data: PathBuf,
    /// The operator's lists.
    pub curation: Curation,
    /// How long things wait.
    pub patience: Patience,
    /// How much may wait.
    pub bounds: Bounds,
    /// Contributors have repositories of their own below `/prs/` (GRASP-06).
    pub contributions: bool,
    /// The time.
    pub clock: Clock,
}

/// The house.
#[derive(Debug)]
pub struct House {
    pub(crate) plan: Plan,
    pub(crate) store: EventStore,
    pub(crate) tables: Tables,
    pub(crate) families: Families,
    pub(crate) repositories: Repositories,
    /// The contributors' repositories (GRASP-06).
    pub(crate) contributions: Repositories,
    pub(crate) contributors: Mutex<Contributors>,
    pub(crate) empty: EmptyRepository,
    pub(crate) feed: Arc<Feed>,
    pub(crate) meters: Arc<Meters>,
    pub(crate) purgatory: Mutex<Purgatory>,
    pub(crate) unsigned: Mutex<Unsigned>,
    pub(crate) directory: RwLock<Directory>,
    pub(crate) in_flight: Mutex<InFlight>,
    pub(crate) locks: Locks,
    pub(crate) holds: Holds,
    /// Records that were written but could not be finished; done before anything else about their identifiers.
    /// The lock is held while one is finished, so that nobody does it twice.
    pub(crate) unfinished: tokio::sync::Mutex<BTreeMap<u64, Unfinished>>,
    /// Pull requests that further families are to get.
    pub(crate) spread: Mutex<BTreeSet<EventId>>,
    /// Retired repositories.
    pub(crate) held: Mutex<HeldIndex>,
    /// Families that are to shrink.
    pub(crate) shrink: Mutex<BTreeMap<Identifier, Shrink>>,
    pub(crate) next_record: AtomicU64,
    pub(crate) upkeep: Semaphore,
    observer: OnceLock<Arc<dyn Observer>>,
    operations: Arc<Semaphore>,
    tasks: TaskTracker,
    _lock: std::fs::File,
}

/// What a contributor's repository is before anything was pushed to it; all share one.
#[derive(Debug)]
pub(crate) struct EmptyRepository {
    pub(crate) path: PathBuf,
    pub(crate) refs: Arc<RefSnapshot>,
}

/// One of the stores failed: what the person is told is "error:", what the operator reads is this.
#[derive(Debug, thiserror::Error)]
pub enum HouseError {
    /// The event database.
    #[error(transparent)]
    Events(#[from] EventStoreError),
    /// Our own database.
    #[error(transparent)]
    Tables(#[from] TablesError),
    /// A family.
    #[error(transparent)]
    Family(#[from] FamilyError),
    /// A repository.
    #[error(transparent)]
    Repository(#[from] RepositoryError),
    /// The file system.
    #[error("the file system failed: {0}")]
    Io(#[from] std::io::Error),
    /// The task died.
    #[error("an operation ended early: {0}")]
    Ended(String),
}

impl Plan {
    /// An announcement, with the answer to whether its repository is here.
    #[must_use]
    pub fn announced(&self, announcement: Announcement) -> Hosted {
        Hosted::new(announcement, &self.service, &self.curation.archive)
    }
}

impl House {
    /// Now, in Unix seconds.
    pub(crate) fn now(&self) -> u64 {
        self.plan.clock.now().as_secs()
    }

    /// The server's counters.
    #[must_use]
    pub const fn meters(&self) -> &Arc<Meters> {
        &self.meters
    }

    /// From now on this one is told what happens. There is one at most; a second is not told anything.
    pub(crate) fn observe(&self, observer: Arc<dyn Observer>) {
        if self.observer.set(observer).is_err() {
            tracing::error!("the house has an observer already");
        }
    }

    /// Who is told what happens.
    pub(crate) fn observer(&self) -> Option<&Arc<dyn Observer>> {
        self.observer.get()
    }

    /// The repositories of one kind.
    pub(crate) const fn at(&self, place: Place) -> &Repositories {
        match place {
            Place::Hosted => &self.repositories,
            Place::Contributed => &self.contributions,
        }
    }

    /// Whether a pull request names its author's own repository of one of its identifiers here (G06/events).
    pub(crate) fn is_contributed(&self, pull: &PullRequest) -> bool {
        self.plan.contributions && pull.contributed(&self.plan.service).next().is_some()
    }

    /// Runs an operation to its end on a thread that may block, whatever becomes of the caller.
    pub(crate) async fn operate<T, F>(
        self: &Arc<Self>,
        operation: impl FnOnce(Arc<Self>) -> F + Send + 'static,
    ) -> Result<T, HouseError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, HouseError>>,
    {
        let ended = |error: &dyn std::fmt::Display| HouseError::Ended(error.to_string());
        let permit = Arc::clone(&self.operations).acquire_owned().await.map_err(|error| ended(&error))?;
        let house = Arc::clone(self);
        let runtime = tokio::runtime::Handle::current();
        let task = self.tasks.spawn_blocking(move || {
            let _permit = permit;
            runtime.block_on(operation(house))
        });
        task.await.map_err(|error| ended(&error))?
    }

    /// Runs an operation about some identifiers under their locks, once what was left unfinished about them is done.
    ///
    /// The locks come before the thread: who waits for one does not keep others from theirs.
    pub(crate) async fn operate_on<T, F>(
        self: &Arc<Self>,
        identifiers: BTreeSet<Identifier>,
        operation: impl FnOnce(Arc<Self>) -> F + Send + 'static,
    ) -> Result<T, HouseError>
    where
        T: Send + 'static,
        F: Future<Output = Result<T, HouseError>>,
    {
        let locked = self.locks.lock(&identifiers).await;
        self.operate(move |house| async move {
            let _locked = locked;
            house.finish_all(&identifiers).await?;
            operation(house).await
        })
        .await
    }

    /// Waits until the running operations have ended. New ones may still begin: close the doors first.
    pub async fn rest(&self) {
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// What is kept of somebody's retired repositories.
    pub(crate) fn held_of(&self, owner: &PublicKey) -> Result<Vec<Held>, HouseError> {
        let retired = self.held.lock().of_owner(owner);
        let held = retired.iter().filter_map(|retired| Held::read(&self.tables, retired).transpose());
        Ok(held.collect::<Result<_, _>>()?)
    }

    /// Everything known about one identifier.
    pub(crate) async fn load(&self, identifier: &Identifier) -> Result<Family, HouseError> {
        let mut family = Family::new(identifier.clone());
        let filter = Filter::new().kinds([ANNOUNCEMENT, STATE]).identifier(identifier.as_str());
        for event in self.store.query(filter).await? {
            self.enter(&mut family, &event, true);
        }
        for waiting in self.purgatory.lock().of(identifier) {
            self.enter(&mut family, &waiting.event, false);
        }
        Ok(family)
    }

    /// Enters an event into the facts about its identifier.
    pub(crate) fn enter(&self, family: &mut Family, event: &Event, served: bool) {
        fn put<T>(slot: &mut Slot<T>, value: T, served: bool) {
            if served {
                slot.served = Some(value);
            } else {
                slot.waiting = Some(value);
            }
        }
        if event.kind == ANNOUNCEMENT {
            let Ok(announcement) = Announcement::from_event(event) else { return };
            if announcement.identifier == family.identifier {
                let announced = self.plan.announced(announcement);
                put(family.announcements.entry(event.pubkey).or_default(), announced, served);
            }
        } else if event.kind == STATE {
            let Ok(state) = State::from_event(event) else { return };
            if state.identifier == family.identifier {
                put(family.states.entry(event.pubkey).or_default(), state, served);
            }
        } else if !served && let Ok(pull) = PullRequest::from_event(event) {
            let own = Coordinate::new(pull.author, family.identifier.clone());
            if self.plan.contributions && pull.contributed(&self.plan.service).any(|named| named == own) {
                family.contributed.insert(pull.id);
            }
            family.pulls.insert(pull.id, pull);
        }
    }

    /// A served or waiting event.
    pub(crate) async fn known_event(&self, id: &EventId) -> Result<Option<Event>, HouseError> {
        let waiting = self.purgatory.lock().get(id).map(|waiting| waiting.event.clone());
        match waiting {
            Some(event) => Ok(Some(event)),
            None => Ok(self.store.by_id(id).await?),
        }
    }

    /// The other owners whose repository of an identifier is hosted here.
    pub(crate) fn siblings(&self, of: &crate::nip34::Coordinate) -> BTreeSet<crate::nip34::Coordinate> {
        self.directory.read().siblings(of)
    }
}

#[cfg(test)]
mod tests;
