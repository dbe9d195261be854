//! Files that are there whole or not at all, also after a power cut.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::Path;

/// Replaces a file: written beside it, flushed, renamed over it, and the folder flushed.
pub(crate) fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?.to_owned();
    // git's own lock file name: another git process would respect it. A crash may leave it behind; this server is
    // the only writer, so it is simply written anew.
    name.push(".lock");
    let beside = folder.join(name);
    let mut file = File::create(&beside)?;
    file.write_all(content)?;
    file.sync_all()?;
    drop(file);
    fs::rename(&beside, path)?;
    flush_folder(folder)
}

/// Takes the lock of a file, which is made if need be: it is held as long as the file is open. `None`: another holds it.
pub(crate) fn lock(path: &Path) -> io::Result<Option<File>> {
    let file = File::options().create(true).truncate(false).write(true).open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(file)),
        Err(fs::TryLockError::WouldBlock) => Ok(None),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

/// Makes a folder that is there whole or not at all: filled elsewhere on the same file system, then renamed.
///
/// `scratch` is swept at every start.
pub(crate) fn make_folder(
    path: &Path,
    scratch: &Path,
    fill: impl FnOnce(&Path) -> io::Result<()>,
) -> io::Result<()> {
    let parent = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    fs::create_dir_all(parent)?;
    fs::create_dir_all(scratch)?;
    let making = tempfile::tempdir_in(scratch)?;
    let made = making.path().join("made");
    fs::create_dir(&made)?;
    fill(&made)?;
    fs::rename(&made, path)?;
    flush_folder(parent)
}

/// Makes names in a folder durable.
pub(crate) fn flush_folder(folder: &Path) -> io::Result<()> {
    File::open(folder)?.sync_all()
}

/// Removes a folder and all in it; fine if it is not there.
pub(crate) fn remove_folder(folder: &Path) -> io::Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}
