//! What lies in the folders of a server: repositories, families, leftovers.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot look cannot go on

use std::fs;
use std::path::{Path, PathBuf};

use grasp_fixtures::Git;

/// The thin repositories below a git data folder.
#[must_use]
pub fn repositories(git_data: &Path) -> Vec<PathBuf> {
    let owners = folders(git_data).into_iter().filter(|path| name(path).starts_with("npub1"));
    owners.flat_map(|owner| folders(&owner)).collect()
}

/// The contributors' repositories below a git data folder.
#[must_use]
pub fn contributed(git_data: &Path) -> Vec<PathBuf> {
    folders(&git_data.join("prs")).iter().flat_map(|owner| folders(owner)).collect()
}

/// The families below a git data folder.
#[must_use]
pub fn families(git_data: &Path) -> Vec<PathBuf> {
    folders(&git_data.join(".grasp/families/sha1"))
}

/// What is left in the quarantine.
#[must_use]
pub fn quarantine(git_data: &Path) -> Vec<String> {
    folders(&git_data.join(".grasp/quarantine")).iter().map(|path| name(path)).collect()
}

/// Every file below a folder, relative to it, sorted.
#[must_use]
pub fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut open = vec![folder.to_owned()];
    while let Some(next) = open.pop() {
        for entry in fs::read_dir(&next).into_iter().flatten().flatten() {
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(entry.path());
            } else {
                found.push(entry.path().strip_prefix(folder).unwrap().to_owned());
            }
        }
    }
    found.sort();
    found
}

/// `git fsck` must find nothing missing, broken or wrong in these repositories.
///
/// # Panics
/// When it does.
pub async fn fsck(repositories: impl IntoIterator<Item = PathBuf>) {
    let home = tempfile::tempdir().unwrap();
    let git = Git::new(home.path()).config("safe.directory", "*");
    for repository in repositories {
        let checked = git.run(&repository, &["fsck", "--full", "--strict", "--no-dangling"]).await.unwrap();
        assert!(checked.ok(), "{}: {checked}", repository.display());
    }
}

fn folders(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    found.sort();
    found
}

fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}
