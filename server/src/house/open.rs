//! Opening the house: one server per folder, what was begun is finished or undone, what is left over is swept.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use nostr::filter::Filter;
use parking_lot::{Mutex, RwLock};
use tokio::sync::Semaphore;
use tokio_util::task::TaskTracker;

use super::contributors::Contributors;
use super::{EmptyRepository, House, HouseError, OPERATIONS, Plan};
use crate::git::RefSnapshot;
use crate::git::family::Families;
use crate::git::files::{lock, remove_folder};
use crate::git::repository::{self, Repositories};
use crate::nip34::{ANNOUNCEMENT, Announcement};
use crate::purgatory::Purgatory;
use crate::purgatory::unsigned::{self, Unsigned};
use crate::relay::feed::Feed;
use crate::store::EventStore;
use crate::store::tables::Tables;

/// Why a house does not open.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another server uses the folder.
    #[error("{0} is in use by another grasp-server; stop it, or set NGIT_GIT_DATA_PATH to another folder")]
    InUse(std::path::PathBuf),
    /// The folder cannot be used.
    #[error("the folder {0} cannot be used: {1}; NGIT_GIT_DATA_PATH names it")]
    Folder(std::path::PathBuf, std::io::Error),
    /// A store failed.
    #[error(transparent)]
    House(#[from] HouseError),
}

impl House {
    /// Opens the house: finishes or undoes what a crash has interrupted, and reads back what waits.
    ///
    /// # Errors
    /// When the folder is in use or not usable, or a store fails.
    pub async fn open(
        plan: Plan,
        store: EventStore,
        tables: Tables,
        feed: Arc<Feed>,
    ) -> Result<Arc<Self>, OpenError> {
        let lock = occupy(&plan.git_data)?;
        let families = Families::new(&plan.git_data);
        let house = Self {
            repositories: Repositories::hosted(&plan.git_data, families.clone()),
            contributions: Repositories::contributed(&plan.git_data, families.clone()),
            contributors: Mutex::default(),
            empty: empty_repository(&plan.git_data)
                .map_err(|error| OpenError::Folder(plan.git_data.clone(), error))?,
            families,
            plan,
            store,
            tables,
            feed,
            meters: Arc::default(),
            purgatory: Mutex::default(),
            unsigned: Mutex::default(),
            directory: RwLock::default(),
            in_flight: Mutex::default(),
            locks: super::locks::Locks::default(),
            holds: super::locks::Holds::default(),
            unfinished: tokio::sync::Mutex::default(),
            spread: Mutex::default(),
            held: Mutex::default(),
            shrink: Mutex::default(),
            next_record: AtomicU64::new(0),
            upkeep: Semaphore::new(1),
            observer: std::sync::OnceLock::new(),
            operations: Arc::new(Semaphore::new(OPERATIONS)),
            tasks: TaskTracker::new(),
            _lock: lock,
        };
        let house = Arc::new(house);
        house
            .operate(|house| async move {
                house.recover().await?;
                house.read_back().await?;
                house.load_spread()?;
                house.load_shrink()?;
                house.review().await
            })
            .await?;
        house.spread_all().await;
        Ok(house)
    }

    /// Fills what is kept in memory from what is on disk.
    async fn read_back(&self) -> Result<(), HouseError> {
        *self.purgatory.lock() = Purgatory::load(&self.tables).map_err(HouseError::from)?;
        *self.unsigned.lock() = Unsigned::load(&self.tables).map_err(HouseError::from)?;
        sweep_uploads(&self.plan.git_data, &self.unsigned.lock())?;
        for event in self.store.query(Filter::new().kind(ANNOUNCEMENT)).await? {
            if let Ok(announcement) = Announcement::from_event(&event) {
                let announced = self.plan.announced(announcement);
                self.directory.write().enter(&announced, true);
            }
        }
        for waiting in self.purgatory.lock().iter() {
            if let Ok(announcement) = Announcement::from_event(&waiting.event) {
                let announced = self.plan.announced(announcement);
                self.directory.write().enter(&announced, false);
            }
        }
        let unsigned = self.unsigned.lock();
        for (place, repository) in unsigned.repositories() {
            self.at(place).set_unsigned(&repository, unsigned.refs_of(place, &repository));
        }
        drop(unsigned);
        *self.contributors.lock() = Contributors::load(&self.plan.git_data.join("prs"))?;
        self.sweep_contributors()?;
        self.read_back_held()?;
        tracing::info!(
            repositories = self.directory.read().hosted(),
            waiting = self.purgatory.lock().len(),
            "read back what is known"
        );
        Ok(())
    }
}

/// The one empty repository that stands in for all that nothing was pushed to yet.
fn empty_repository(git_data: &Path) -> std::io::Result<EmptyRepository> {
    let path = git_data.join(".grasp/empty.git");
    repository::make_empty(&path, &git_data.join(".grasp/quarantine"))?;
    Ok(EmptyRepository { path, refs: Arc::new(RefSnapshot::empty()) })
}

/// Makes the folders and takes the lock that says one server is at work here; it ends with the process.
fn occupy(git_data: &Path) -> Result<fs::File, OpenError> {
    let failed = |error| OpenError::Folder(git_data.to_owned(), error);
    let own = git_data.join(".grasp");
    for folder in ["families/sha1", "quarantine", "unsigned", "retired"] {
        fs::create_dir_all(own.join(folder)).map_err(failed)?;
    }
    let lock = lock(&own.join("lock")).map_err(failed)?;
    let lock = lock.ok_or_else(|| OpenError::InUse(git_data.to_owned()))?;
    set_aside(&own).map_err(failed)?;
    fs::create_dir_all(own.join("quarantine")).map_err(failed)?;
    Ok(lock)
}

/// Whatever was in quarantine when the last run ended belongs to nobody. A git process that has outlived a killed
/// server may still write there for a moment: so it is put aside first, and what cannot be removed yet goes the next
/// time.
fn set_aside(own: &Path) -> std::io::Result<()> {
    let name = format!("trash-{:016x}", rand::random::<u64>());
    fs::rename(own.join("quarantine"), own.join(name))?;
    for entry in fs::read_dir(own)? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with("trash-")
            && let Err(error) = remove_folder(&entry.path())
        {
            tracing::warn!(%error, folder = %entry.path().display(), "left for the next start to remove");
        }
    }
    Ok(())
}

/// Removes upload folders that no entry names: a crash came between the two.
fn sweep_uploads(git_data: &Path, unsigned: &Unsigned) -> Result<(), HouseError> {
    let known = unsigned.folders();
    for entry in fs::read_dir(unsigned::root(git_data))? {
        let entry = entry?;
        if !known.contains(&*entry.file_name().to_string_lossy()) {
            remove_folder(&entry.path())?;
        }
    }
    Ok(())
}
