//! The key of the relay's owner: from the configuration, or from a file that is made at the first start.

use std::io::{self, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use nostr::key::{Keys, SecretKey};
use nostr::nips::nip19::ToBech32;

use crate::config::OwnerSecret;

/// The file's name, in the working directory.
pub const FILE: &str = ".relay-owner.nsec";

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum OwnerKeyError {
    /// The file cannot be read or made.
    #[error("{}: {source}; set NGIT_RELAY_OWNER_NSEC, or start in a folder that can be written", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The file holds something else.
    #[error("{} holds no private key (one line, nsec1…); repair it, or remove it to get a new key", .0.display())]
    NoKey(PathBuf),
}

/// The configured key, else the one in `folder`, else a new one, which is then in `folder` with mode 0600.
///
/// # Errors
/// When the file is needed and cannot be read, made or understood.
pub fn load_or_create(configured: Option<&OwnerSecret>, folder: &Path) -> Result<Keys, OwnerKeyError> {
    if let Some(OwnerSecret(secret)) = configured {
        return Ok(Keys::new(secret.clone()));
    }
    let path = folder.join(FILE);
    if let Some(keys) = stored(&path)? {
        return Ok(keys);
    }
    let keys = Keys::generate();
    match create(&path, folder, keys.secret_key()) {
        Ok(()) => {
            tracing::info!(path = %path.display(), public_key = %keys.public_key(), "made a key for the relay's owner");
            Ok(keys)
        }
        // Another start was quicker: its key is the one.
        Err(source) if source.kind() == io::ErrorKind::AlreadyExists => read(&path),
        Err(source) => Err(OwnerKeyError::File { path, source }),
    }
}

/// Whether a start could use the configured key or the one in `folder`; one that is not there yet is made by the start.
///
/// # Errors
/// When the file is needed and cannot be read or understood.
pub fn check(configured: Option<&OwnerSecret>, folder: &Path) -> Result<(), OwnerKeyError> {
    if configured.is_some() { Ok(()) } else { stored(&folder.join(FILE)).map(drop) }
}

/// What the file holds, if it is there.
fn stored(path: &Path) -> Result<Option<Keys>, OwnerKeyError> {
    match read(path) {
        Err(OwnerKeyError::File { source, .. }) if source.kind() == io::ErrorKind::NotFound => Ok(None),
        answer => answer.map(Some),
    }
}

fn read(path: &Path) -> Result<Keys, OwnerKeyError> {
    let failed = |source| OwnerKeyError::File { path: path.to_owned(), source };
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let mode = std::fs::metadata(path).map_err(failed)?.permissions().mode();
    if mode & 0o077 != 0 {
        tracing::warn!(path = %path.display(), "the owner's key can be read by others; `chmod 600` it");
    }
    let secret = SecretKey::parse(text.trim()).map_err(|_| OwnerKeyError::NoKey(path.to_owned()))?;
    Ok(Keys::new(secret))
}

/// Whole or not at all, and never in place of a file that is there. Temporary files are made with mode 0600.
fn create(path: &Path, folder: &Path, secret: &SecretKey) -> io::Result<()> {
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    writeln!(file, "{}", secret.to_bech32().unwrap_or_else(|never| match never {}))?;
    file.as_file().sync_all()?;
    file.persist_noclobber(path).map_err(|failed| failed.error)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn the_first_start_makes_a_key_that_the_second_finds() {
        let folder = tempfile::tempdir().unwrap();
        let first = load_or_create(None, folder.path()).unwrap();
        let second = load_or_create(None, folder.path()).unwrap();
        assert_eq!(first.public_key(), second.public_key());
        let mode = std::fs::metadata(folder.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left behind");
    }

    #[test]
    fn the_configured_key_wins_and_touches_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let keys = Keys::generate();
        let secret = OwnerSecret(keys.secret_key().clone());
        let loaded = load_or_create(Some(&secret), folder.path()).unwrap();
        assert_eq!(loaded.public_key(), keys.public_key());
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(!format!("{secret:?}").contains(&keys.secret_key().to_secret_hex()));
    }

    #[test]
    fn a_file_that_holds_something_else_stops_the_start_and_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join(FILE), "not a key\n").unwrap();
        let wrong = load_or_create(None, folder.path()).unwrap_err();
        assert!(matches!(wrong, OwnerKeyError::NoKey(_)), "{wrong}");
        assert_eq!(std::fs::read_to_string(folder.path().join(FILE)).unwrap(), "not a key\n");
    }
}
