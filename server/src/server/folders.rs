//! Where git data is: a folder of the operator's, or with the memory backend one that ends with the process.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::config::{Backend, Config, GitData};
use crate::git::files::{lock, remove_folder};

/// A folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// It cannot be made or written.
    #[error("the folder {0} cannot be used: {1}; set NGIT_GIT_DATA_PATH to one that this user may write")]
    Unusable(PathBuf, io::Error),
    /// It holds what another run must not lose.
    #[error(
        "{0} holds repositories of a server with the lmdb backend, which the memory backend would clear; set \
         NGIT_GIT_DATA_PATH to another folder, or leave it unset for a temporary one"
    )]
    Precious(PathBuf),
    /// The databases' folder cannot be made or written.
    #[error("the folder {0} cannot be used: {1}; set NGIT_RELAY_DATA_PATH to one that this user may write")]
    Databases(PathBuf, io::Error),
    /// Another server has the databases open.
    #[error("{0} is in use by another grasp-server; stop it, or set NGIT_RELAY_DATA_PATH to another folder")]
    InUse(PathBuf),
}

/// Says that everything in a git data folder belongs to a run with the memory backend.
const MARKER: &str = ".grasp/memory";

/// The git data folder, and the temporary one if there is no other; the databases' folder is locked as long as it lives.
#[derive(Debug)]
pub(super) struct Folders {
    git_data: PathBuf,
    _temporary: Option<tempfile::TempDir>,
    _databases: Option<fs::File>,
}

impl Folders {
    pub(super) fn prepare(config: &Config) -> Result<Self, FolderError> {
        let unusable = |path: &Path, error| FolderError::Unusable(path.to_owned(), error);
        let databases = (config.database_backend == Backend::Lmdb)
            .then(|| occupy_databases(&config.relay_data_path))
            .transpose()?;
        match &config.git_data_path {
            GitData::Temporary => {
                let temporary = tempfile::Builder::new().prefix("grasp-server-").tempdir();
                let temporary = temporary.map_err(|error| unusable(&std::env::temp_dir(), error))?;
                Ok(Self {
                    git_data: temporary.path().to_owned(),
                    _temporary: Some(temporary),
                    _databases: databases,
                })
            }
            GitData::Path(path) => {
                fs::create_dir_all(path).map_err(|error| unusable(path, error))?;
                // Absolute, because git runs in other working directories.
                let path = fs::canonicalize(path).map_err(|error| unusable(path, error))?;
                if config.database_backend == Backend::Memory {
                    clear(&path)?;
                }
                Ok(Self { git_data: path, _temporary: None, _databases: databases })
            }
        }
    }

    pub(super) fn git_data(&self) -> &Path {
        &self.git_data
    }
}

/// Makes the databases' folder and takes its lock: two servers would serve each other's events.
fn occupy_databases(path: &Path) -> Result<fs::File, FolderError> {
    let failed = |error| FolderError::Databases(path.to_owned(), error);
    fs::create_dir_all(path).map_err(failed)?;
    let lock = lock(&path.join("lock")).map_err(failed)?;
    lock.ok_or_else(|| FolderError::InUse(path.to_owned()))
}

/// Clears what an earlier run with the memory backend has left, and only that.
fn clear(path: &Path) -> Result<(), FolderError> {
    let unusable = |error| FolderError::Unusable(path.to_owned(), error);
    let marker = path.join(MARKER);
    let mut own = Vec::new();
    for entry in fs::read_dir(path).map_err(unusable)? {
        let entry = entry.map_err(unusable)?;
        let name = entry.file_name().to_string_lossy().into_owned();
        if name.starts_with("npub1") || name == ".grasp" {
            own.push(entry.path());
        }
    }
    if !own.is_empty() && !marker.exists() {
        return Err(FolderError::Precious(path.to_owned()));
    }
    own.iter().try_for_each(|folder| remove_folder(folder)).map_err(unusable)?;
    fs::create_dir_all(path.join(".grasp")).map_err(unusable)?;
    fs::write(marker, "").map_err(unusable)
}
