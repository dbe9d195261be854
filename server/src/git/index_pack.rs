//! A pack on its way into quarantine: git's own `index-pack` reads, completes and checks it.

use std::collections::VecDeque;
use std::process::Stdio;

use bytes::Bytes;
use tokio::io::AsyncWriteExt;
use tokio::process::{ChildStderr, ChildStdin};

use super::body::{BodyError, RequestBody};
use super::gate::{Gate, Quarantine};
use super::limits::GitLimits;
use super::process::{Lines, Process, absolute, alternates, git};
use crate::fault;

/// Flaws of old commits and trees that real histories have and that hurt nobody (ids of git-fsck(1)). What could
/// step out of a work tree or deceive a checkout stays an error.
const TOLERATED: &str = "--strict=badDateOverflow=ignore,badEmail=ignore,badName=ignore,badTimezone=ignore,\
                         missingEmail=ignore,missingNameBeforeEmail=ignore,missingSpaceBeforeDate=ignore,\
                         missingSpaceBeforeEmail=ignore,multipleAuthors=ignore,nulInCommit=ignore,\
                         zeroPaddedDate=ignore,zeroPaddedFilemode=ignore";

/// How many of its last lines are kept while nobody reads them.
const KEPT_LINES: usize = 50;

/// A pack without objects: `PACK`, version 2, no objects, and the SHA-1 of that.
pub(crate) const EMPTY_PACK: [u8; 32] = [
    b'P', b'A', b'C', b'K', 0, 0, 0, 2, 0, 0, 0, 0, 0x02, 0x9d, 0x08, 0x82, 0x3b, 0xd8, 0xa8, 0xea, 0xb5,
    0x10, 0xad, 0x6a, 0xc7, 0x5c, 0x82, 0x3c, 0xfd, 0x3e, 0xd3, 0x1e,
];

/// A running `git index-pack --stdin` and the folder it writes to.
///
/// Dropped, it kills the group; [`IndexPack::abort`] also waits for its end, so that nothing is written into the
/// folder while it is removed.
#[derive(Debug)]
pub(crate) struct IndexPack {
    // Dropped in this order: first the writer, then the folder.
    process: Process,
    stdin: Option<ChildStdin>,
    said: Lines<ChildStderr>,
    kept: VecDeque<Bytes>,
    quarantine: Quarantine,
}

impl IndexPack {
    /// Starts it. `quiet`: the client wants no progress.
    pub(crate) fn start(
        gate: &Gate,
        quarantine: Quarantine,
        limits: &GitLimits,
        quiet: bool,
    ) -> std::io::Result<Self> {
        let mut command = git();
        command
            .env("GIT_DIR", absolute(&gate.path))
            .env("GIT_OBJECT_DIRECTORY", absolute(quarantine.objects()))
            .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", alternates([gate.family_objects.as_path()]))
            .env("GIT_QUARANTINE_PATH", absolute(quarantine.objects()))
            .args(["-c", "core.fsync=pack,pack-metadata", "-c", "core.fsyncMethod=fsync"])
            .args(["index-pack", "--stdin"])
            .args((!fault::is("thin-packs-refused")).then_some("--fix-thin"))
            .arg(TOLERATED)
            .arg(format!("--max-input-size={}", limits.max_push_bytes));
        if !quiet {
            command.arg("--show-resolving-progress");
        }
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut process = Process::spawn(&mut command)?;
        let stdin = process.child().stdin.take();
        let stderr = process.child().stderr.take().ok_or_else(|| std::io::Error::other("no pipe"))?;
        Ok(Self { process, stdin, said: Lines::new(stderr), kept: VecDeque::new(), quarantine })
    }

    /// Feeds it the rest of a body. When it has refused to read on, `false`: there is something left to drain.
    pub(crate) async fn feed(&mut self, body: &mut RequestBody) -> Result<bool, BodyError> {
        let Some(mut stdin) = self.stdin.take() else { return Ok(false) };
        let pump = async {
            while let Some(chunk) = body.chunk().await? {
                if stdin.write_all(&chunk).await.is_err() {
                    return Ok(false);
                }
            }
            drop(stdin);
            Ok(true)
        };
        tokio::pin!(pump);
        let mut open = true;
        loop {
            // What it says must be read all the time, or it blocks on a full pipe and we on its input.
            tokio::select! {
                fed = &mut pump => return fed,
                line = self.said.next(), if open => match line {
                    Some(line) => keep(&mut self.kept, line),
                    None => open = false,
                },
            }
        }
    }

    /// What it says, line by line, until it has closed its end. Safe to cancel.
    pub(crate) async fn line(&mut self) -> Option<String> {
        let line = match self.kept.pop_front() {
            Some(line) => line,
            None => self.said.next().await?,
        };
        let folder = self.quarantine.objects().to_string_lossy();
        Some(String::from_utf8_lossy(&line).replace(&*folder, "quarantine"))
    }

    /// Waits for its end: the checked objects, or `Err` when it failed for the reason it has told line by line.
    pub(crate) async fn finish(mut self) -> Result<Quarantine, ()> {
        match self.process.wait().await {
            Ok(status) if status.success() => Ok(self.quarantine),
            Ok(_) => Err(()),
            Err(error) => {
                tracing::error!(%error, "git index-pack cannot be waited for");
                self.process.kill().await;
                Err(())
            }
        }
    }

    /// Ends it and removes its folder.
    pub(crate) async fn abort(mut self) {
        self.process.kill().await;
    }
}

fn keep(kept: &mut VecDeque<Bytes>, line: Bytes) {
    if kept.len() == KEPT_LINES {
        kept.pop_front();
    }
    kept.push_back(line);
}
