//! What the git shells ask of the rest of the server: what is hosted here, and what becomes of a push.

use std::path::PathBuf;
use std::sync::Arc;

use super::RefSnapshot;
use crate::nip34::{Coordinate, Oid, RefName};

/// One line of a push: `<old> <new> <ref>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefCommand {
    /// The ref's name.
    pub name: RefName,
    /// What the client believes the ref to be; zero: it does not exist.
    pub old: Oid,
    /// What it shall become; zero: it shall be deleted.
    pub new: Oid,
}

/// A hosted repository, as somebody who fetches sees it.
#[derive(Debug, Clone)]
pub struct Gate {
    /// Refs and HEAD.
    pub refs: Arc<RefSnapshot>,
    /// The thin bare repository on disk; its alternates lead to the family.
    pub path: PathBuf,
    /// The family's object folder: what `GIT_ALTERNATE_OBJECT_DIRECTORIES` of a quarantine is.
    pub family_objects: PathBuf,
    /// Object folders of unsigned uploads to this repository, to be added as alternates when it is read.
    pub unsigned_objects: Vec<PathBuf>,
    /// Tips that other repositories of the family have: offered as `.have` to those who push. Bounded.
    pub haves: Vec<Oid>,
}

/// The answer to one command of a push.
pub type CommandResult = Result<(), String>;

/// Objects of a push that were checked and are not part of any repository yet. The folder goes when this is dropped.
#[derive(Debug)]
pub struct Quarantine {
    folder: tempfile::TempDir,
}

impl Quarantine {
    /// Takes charge of a folder with a `pack` folder inside, as `GIT_OBJECT_DIRECTORY` has it.
    #[must_use]
    pub const fn new(folder: tempfile::TempDir) -> Self {
        Self { folder }
    }

    /// The object folder.
    #[must_use]
    pub fn objects(&self) -> &std::path::Path {
        self.folder.path()
    }
}

/// Decides about access and pushes; the one place where access to git is decided.
#[async_trait::async_trait]
pub trait PushGate: Send + Sync {
    /// The repository, if it is hosted here (announced to this service; served or waiting in purgatory).
    ///
    /// # Errors
    /// When it is hosted but cannot be read; the text is for the log.
    async fn open(&self, repository: &Coordinate) -> Result<Option<Gate>, String>;

    /// A fresh folder for the objects of a push, on the same file system as the families, swept at start.
    ///
    /// # Errors
    /// When it cannot be made.
    fn quarantine(&self) -> std::io::Result<Quarantine>;

    /// Judges a push before its pack is read, one result per command in order. Nothing is changed.
    /// As long as the returned hold lives, what waits for this repository does not expire.
    async fn judge(&self, repository: &Coordinate, commands: &[RefCommand]) -> (Vec<CommandResult>, Hold);

    /// Lands a push: the objects in quarantine are complete and checked (index-pack `--strict`), every non-zero new
    /// tip exists. Judges again (the world may have moved), promotes, and returns one result per command in order.
    /// `atomic`: all or nothing. When this returns, what it reports `Ok` is durable and served.
    ///
    /// Not cancelled when the client goes: the caller runs it in a task of its own.
    async fn land(
        &self,
        repository: &Coordinate,
        commands: &[RefCommand],
        atomic: bool,
        quarantine: Option<Quarantine>,
    ) -> Vec<CommandResult>;
}

/// Keeps what waits for a repository from expiring while a push for it runs.
#[derive(Debug, Default)]
pub struct Hold {
    _inner: Option<Arc<()>>,
}

impl Hold {
    /// A hold that lasts as long as the shared value has another owner than the keeper's.
    #[must_use]
    pub const fn new(inner: Arc<()>) -> Self {
        Self { _inner: Some(inner) }
    }
}
