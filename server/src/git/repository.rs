//! The thin repositories on disk: refs and HEAD; their objects are in the family.
//!
//! All refs of a repository are one `packed-refs` file, so that one rename moves all of them at once: a reader, this
//! server after a crash included, sees the old set or the new one. There are no loose refs.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::fs;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};

use super::family::{Families, FamilyError};
use super::files::{flush_folder, make_folder, remove_folder, replace};
use super::{RefEntry, RefSnapshot};
use crate::nip34::{Coordinate, Oid, RefName};

/// How many refs the snapshots in memory may have together; about 100 bytes each.
const CACHED_REFS: u64 = 2_000_000;
/// How many locks all repositories share.
const STRIPES: usize = 64;

/// Where the repositories of one kind are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Layout {
    /// `<git-data>/<npub>/<identifier>.git`.
    Hosted,
    /// `<git-data>/prs/<pubkey-hex>/<identifier>.git` (GRASP-06).
    Contributed,
}

impl Layout {
    /// From a repository's object folder to the git data folder.
    const fn up(self) -> &'static str {
        match self {
            Self::Hosted => "../../..",
            Self::Contributed => "../../../..",
        }
    }
}

/// The repositories of one kind below one git data folder. Every function blocks on the disk, except [`Repositories::cached`].
#[derive(Debug)]
pub struct Repositories {
    root: PathBuf,
    layout: Layout,
    families: Families,
    cache: moka::sync::Cache<Coordinate, Arc<RefSnapshot>>,
    /// Held for reading while a snapshot is loaded, for writing while refs move: the cache never goes back.
    stripes: Vec<RwLock<()>>,
    hasher: RandomState,
    unsigned: Mutex<HashMap<Coordinate, Vec<RefEntry>>>,
    /// Held while a folder is made in an owner's folder, and while an owner's empty folder is removed.
    owners: Mutex<()>,
}

/// Why refs could not be read.
#[derive(Debug, thiserror::Error)]
pub enum RepositoryError {
    /// The file system failed.
    #[error("the repository's files: {0}")]
    Io(#[from] io::Error),
    /// The objects could not be read.
    #[error(transparent)]
    Family(#[from] FamilyError),
    /// A file is not what this server writes.
    #[error("{0} is damaged: {1:?}")]
    Damaged(&'static str, String),
}

impl Repositories {
    /// The hosted repositories, below `<git-data>`.
    #[must_use]
    pub fn hosted(git_data: &Path, families: Families) -> Self {
        Self::new(git_data.to_owned(), Layout::Hosted, families)
    }

    /// The contributors' repositories, below `<git-data>/prs`.
    #[must_use]
    pub fn contributed(git_data: &Path, families: Families) -> Self {
        Self::new(git_data.join("prs"), Layout::Contributed, families)
    }

    fn new(root: PathBuf, layout: Layout, families: Families) -> Self {
        let weight = |_: &Coordinate, refs: &Arc<RefSnapshot>| {
            u32::try_from(refs.refs.len() + refs.unsigned.len() + 10).unwrap_or(u32::MAX)
        };
        Self {
            root,
            layout,
            families,
            cache: moka::sync::Cache::builder().max_capacity(CACHED_REFS).weigher(weight).build(),
            stripes: (0..STRIPES).map(|_| RwLock::new(())).collect(),
            hasher: RandomState::new(),
            unsigned: Mutex::default(),
            owners: Mutex::default(),
        }
    }

    /// `<git-data>/<npub>/<identifier>.git`, or `<git-data>/prs/<pubkey-hex>/<identifier>.git`.
    #[must_use]
    pub fn path(&self, repository: &Coordinate) -> PathBuf {
        let owner = match self.layout {
            Layout::Hosted => repository.npub(),
            Layout::Contributed => repository.owner.to_hex(),
        };
        self.root.join(owner).join(format!("{}.git", repository.identifier))
    }

    fn stripe(&self, repository: &Coordinate) -> &RwLock<()> {
        let hash = usize::try_from(self.hasher.hash_one(repository) % STRIPES as u64).unwrap_or_default();
        &self.stripes[hash]
    }

    /// Makes an empty repository and its family, durably; fine if they are there.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn ensure(&self, repository: &Coordinate) -> io::Result<()> {
        self.families.ensure(&repository.identifier)?;
        let path = self.path(repository);
        if path.join("HEAD").exists() {
            return Ok(());
        }
        let _writing = self.stripe(repository).write();
        let _owners = self.owners.lock();
        let up = self.layout.up();
        let family = format!("{up}/.grasp/families/sha1/{}.git/objects\n", repository.identifier);
        make_folder(&path, &self.families.scratch, |folder| {
            fill(folder)?;
            replace(&folder.join("objects/info/alternates"), family.as_bytes())
        })?;
        flush_folder(&self.root)
    }

    /// The refs, if they are in memory: never blocks on the disk.
    #[must_use]
    pub fn cached(&self, repository: &Coordinate) -> Option<Arc<RefSnapshot>> {
        self.cache.get(repository)
    }

    /// The refs; `None` when there is no such repository on disk.
    ///
    /// # Errors
    /// When the files cannot be read or are damaged.
    pub fn snapshot(&self, repository: &Coordinate) -> Result<Option<Arc<RefSnapshot>>, RepositoryError> {
        if let Some(refs) = self.cache.get(repository) {
            return Ok(Some(refs));
        }
        let _reading = self.stripe(repository).read();
        let Some(mut refs) = load(&self.path(repository))? else { return Ok(None) };
        refs.unsigned = self.unsigned.lock().get(repository).cloned().unwrap_or_default();
        let refs = Arc::new(refs);
        self.cache.insert(repository.clone(), Arc::clone(&refs));
        Ok(Some(refs))
    }

    /// Sets all refs, and HEAD where `head` is given, durably. Writes nothing when nothing changes. Can be repeated.
    ///
    /// # Errors
    /// When the file system fails or an object is missing.
    pub fn write(
        &self,
        repository: &Coordinate,
        refs: &BTreeMap<RefName, Oid>,
        head: Option<&RefName>,
    ) -> Result<(), RepositoryError> {
        let before = self.snapshot(repository)?;
        let known = before.as_deref();
        let unknown: Vec<Oid> = refs
            .iter()
            .filter(|(name, oid)| {
                known.and_then(|known| known.get(name)).is_none_or(|entry| entry.oid != **oid)
            })
            .map(|(_, oid)| *oid)
            .collect();
        let mut peeled: HashMap<Oid, Option<Oid>> =
            known.into_iter().flat_map(|known| &known.refs).map(|entry| (entry.oid, entry.peeled)).collect();
        let found = self.families.peel(&repository.identifier, &unknown)?;
        peeled.extend(unknown.into_iter().zip(found));
        let entries: Vec<RefEntry> = refs
            .iter()
            .map(|(name, oid)| RefEntry {
                name: name.clone(),
                oid: *oid,
                peeled: peeled.get(oid).copied().flatten(),
            })
            .collect();

        let path = self.path(repository);
        let _writing = self.stripe(repository).write();
        let old_head = known.map(|known| known.head.clone());
        if known.is_none_or(|known| known.refs != entries) {
            replace(&path.join("packed-refs"), render(&entries).as_bytes())?;
        }
        if let Some(head) = head.filter(|head| old_head.as_ref() != Some(*head)) {
            replace(&path.join("HEAD"), format!("ref: {head}\n").as_bytes())?;
        }
        let head = head.cloned().or(old_head).unwrap_or_else(default_head);
        let unsigned = self.unsigned.lock().get(repository).cloned().unwrap_or_default();
        self.cache.insert(repository.clone(), Arc::new(RefSnapshot { head, refs: entries, unsigned }));
        Ok(())
    }

    /// Says which uploads to a repository no event has named yet.
    pub fn set_unsigned(&self, repository: &Coordinate, mut entries: Vec<RefEntry>) {
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        let _writing = self.stripe(repository).write();
        if entries.is_empty() {
            self.unsigned.lock().remove(repository);
        } else {
            self.unsigned.lock().insert(repository.clone(), entries);
        }
        self.cache.invalidate(repository);
    }

    /// Removes a repository's folder, and its owner's if that is empty then. Its objects, if there are any, stay in the
    /// family.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn remove(&self, repository: &Coordinate) -> io::Result<()> {
        let _writing = self.stripe(repository).write();
        self.cache.invalidate(repository);
        let path = self.path(repository);
        remove_folder(&path)?;
        let _owners = self.owners.lock();
        match path.parent().map(fs::remove_dir) {
            Some(Err(error)) if !is_in_use(&error) => Err(error),
            _ => Ok(()),
        }
    }

    /// Puts a repository's folder aside, under `.grasp/retired`: its refs are kept, its path is free. Can be repeated.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn retire(&self, repository: &Coordinate) -> io::Result<()> {
        let _writing = self.stripe(repository).write();
        self.cache.invalidate(repository);
        let from = self.path(repository);
        if !from.exists() {
            return Ok(());
        }
        let into = self.retired_path(repository);
        let folder = into.parent().ok_or(io::ErrorKind::InvalidInput)?;
        fs::create_dir_all(folder)?;
        remove_folder(&into)?;
        // One folder further down than before; whoever reads it meanwhile has found the family already.
        let family = format!("../../../../families/sha1/{}.git/objects\n", repository.identifier);
        replace(&from.join("objects/info/alternates"), family.as_bytes())?;
        fs::rename(&from, &into)?;
        flush_folder(folder)
    }

    fn retired_path(&self, repository: &Coordinate) -> PathBuf {
        let folder = self.root.join(".grasp/retired").join(repository.npub());
        folder.join(format!("{}.git", repository.identifier))
    }

    /// The refs of a repository that was put aside, if it was.
    ///
    /// # Errors
    /// When the files cannot be read or are damaged.
    pub fn retired(&self, repository: &Coordinate) -> Result<Option<RefSnapshot>, RepositoryError> {
        load(&self.retired_path(repository))
    }

    /// Removes what was put aside of a repository. Can be repeated.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn remove_retired(&self, repository: &Coordinate) -> io::Result<()> {
        let _owners = self.owners.lock();
        let path = self.retired_path(repository);
        remove_folder(&path)?;
        match path.parent().map(fs::remove_dir) {
            Some(Err(error)) if !is_in_use(&error) => Err(error),
            _ => Ok(()),
        }
    }
}

/// Makes an empty repository without a family; fine if it is there.
///
/// # Errors
/// When the file system fails.
pub(crate) fn make_empty(path: &Path, scratch: &Path) -> io::Result<()> {
    if path.join("HEAD").exists() { Ok(()) } else { make_folder(path, scratch, fill) }
}

fn fill(folder: &Path) -> io::Result<()> {
    fs::create_dir_all(folder.join("objects/info"))?;
    fs::create_dir_all(folder.join("objects/pack"))?;
    fs::create_dir_all(folder.join("refs/heads"))?;
    fs::create_dir_all(folder.join("refs/tags"))?;
    replace(&folder.join("config"), CONFIG.as_bytes())?;
    replace(&folder.join("HEAD"), b"ref: refs/heads/main\n")
}

/// The owner has other repositories, or the folder has gone already.
fn is_in_use(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::DirectoryNotEmpty | io::ErrorKind::NotFound)
}

const CONFIG: &str = "[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = true
[uploadpack]
\tallowFilter = true
\tallowAnySHA1InWant = true
[gc]
\tauto = 0
";

pub(super) fn default_head() -> RefName {
    #[allow(clippy::expect_used)] // A constant that is a valid name.
    "refs/heads/main".parse().expect("a valid ref name")
}

fn render(entries: &[RefEntry]) -> String {
    let mut text = String::with_capacity(entries.len() * 64 + 64);
    text.push_str("# pack-refs with: peeled fully-peeled sorted \n");
    for entry in entries {
        let _ = writeln!(text, "{} {}", entry.oid, entry.name);
        if let Some(peeled) = entry.peeled {
            let _ = writeln!(text, "^{peeled}");
        }
    }
    text
}

fn load(path: &Path) -> Result<Option<RefSnapshot>, RepositoryError> {
    let head = match fs::read_to_string(path.join("HEAD")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let head = head
        .trim_end()
        .strip_prefix("ref: ")
        .and_then(|name| name.parse().ok())
        .ok_or_else(|| RepositoryError::Damaged("HEAD", head.chars().take(80).collect()))?;
    let text = match fs::read_to_string(path.join("packed-refs")) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
        other => other?,
    };
    let mut refs: Vec<RefEntry> = Vec::new();
    for line in text.lines().filter(|line| !line.starts_with('#')) {
        let damaged = || RepositoryError::Damaged("packed-refs", line.chars().take(80).collect());
        if let Some(peeled) = line.strip_prefix('^') {
            let entry = refs.last_mut().ok_or_else(damaged)?;
            entry.peeled = Some(peeled.parse().map_err(|_| damaged())?);
        } else {
            let (oid, name) = line.split_once(' ').ok_or_else(damaged)?;
            let (oid, name) = (oid.parse().map_err(|_| damaged())?, name.parse().map_err(|_| damaged())?);
            refs.push(RefEntry { name, oid, peeled: None });
        }
    }
    refs.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(Some(RefSnapshot { head, refs, unsigned: Vec::new() }))
}
