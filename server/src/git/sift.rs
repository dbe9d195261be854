//! Only what a signed event reaches comes into a family.
//!
//! Anybody may push what has been signed, so a pack may hold more than its tips reach: without this, a family would
//! be a free and lasting file store for strangers (invariant 5). What the new tips reach is counted; a pack that
//! holds anything else is written anew without it.

use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::Path;
use std::process::Stdio;

use tokio::process::Command;

use super::process::{Process, alternates, git};
use crate::nip34::Oid;

/// Where the objects of a push or an upload are, and what they are built on.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Objects<'a> {
    /// The object folder with the new packs.
    pub(crate) new: &'a Path,
    /// The family's bare repository.
    pub(crate) family: &'a Path,
}

/// Returns a folder with a pack of just what the tips reach, if the new packs hold anything else; otherwise nothing.
///
/// # Errors
/// When git fails: an object is missing, or the disk is full.
pub(crate) async fn sift(objects: Objects<'_>, tips: &[Oid]) -> io::Result<Option<tempfile::TempDir>> {
    let held = count_objects(&objects.new.join("pack"))?;
    if held == 0 {
        return Ok(None);
    }
    let mut reached = reachable(objects, tips).await?;
    let count = BufReader::new(&reached).lines().count();
    if count == held {
        return Ok(None);
    }
    reached.seek(SeekFrom::Start(0))?;
    let clean = tempfile::tempdir_in(objects.new)?;
    std::fs::create_dir(clean.path().join("pack"))?;
    let mut command = command(objects);
    command
        .args(["pack-objects", "-q", "--delta-base-offset"])
        .arg(clean.path().join("pack/pack"))
        .stdin(reached)
        .stdout(Stdio::null());
    run(&mut command).await?;
    tracing::debug!(held, reached = count, "a pack was written anew: it held more than its tips reach");
    Ok(Some(clean))
}

/// The new objects that the tips reach, one id per line, in an unnamed temporary file.
async fn reachable(objects: Objects<'_>, tips: &[Oid]) -> io::Result<File> {
    let mut asked = tempfile::tempfile_in(objects.new)?;
    for tip in tips {
        writeln!(asked, "{tip}")?;
    }
    asked.seek(SeekFrom::Start(0))?;
    let mut reached = tempfile::tempfile_in(objects.new)?;
    let mut command = command(objects);
    command
        .args(["rev-list", "--objects", "--no-object-names", "--stdin", "--not", "--all"])
        .stdin(asked)
        .stdout(reached.try_clone()?);
    run(&mut command).await?;
    reached.seek(SeekFrom::Start(0))?;
    Ok(reached)
}

fn command(objects: Objects<'_>) -> Command {
    let mut command = git();
    command
        .env("GIT_DIR", objects.family)
        .env("GIT_OBJECT_DIRECTORY", objects.new)
        .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", alternates([objects.family.join("objects").as_path()]))
        .stderr(Stdio::null());
    command
}

async fn run(command: &mut Command) -> io::Result<()> {
    let status = Process::spawn(command)?.wait().await?;
    if status.success() { Ok(()) } else { Err(io::Error::other(format!("git ended with {status}"))) }
}

/// How many objects the packs of a folder hold, by their indexes: the last entry of the fan-out table
/// (gitformat-pack(5), version 2).
pub(super) fn count_objects(folder: &Path) -> io::Result<usize> {
    const LAST_FAN_OUT: u64 = 8 + 255 * 4;
    let mut count = 0;
    let entries = match std::fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        other => other?,
    };
    for entry in entries {
        let path = entry?.path();
        if path.extension().is_none_or(|extension| extension != "idx") {
            continue;
        }
        let mut index = File::open(path)?;
        index.seek(SeekFrom::Start(LAST_FAN_OUT))?;
        let mut bytes = [0; 4];
        index.read_exact(&mut bytes)?;
        count += u32::from_be_bytes(bytes) as usize;
    }
    Ok(count)
}
