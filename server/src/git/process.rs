//! Children: the `git` program with nothing of this machine's or this process's configuration, in a group of its own.

use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use bytes::{Buf, Bytes, BytesMut};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::{Child, Command};

/// A git command with a cleared environment and a group of its own.
pub(crate) fn git() -> Command {
    let mut command = Command::new("git");
    command.env_clear();
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
        .env("HOME", "/nonexistent")
        .env("LC_ALL", "C")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0")
        .args(["-c", "safe.directory=*", "-c", "gc.auto=0", "-c", "maintenance.auto=false"])
        .process_group(0)
        .kill_on_drop(true);
    command
}

/// The value of `GIT_ALTERNATE_OBJECT_DIRECTORIES` for these folders: quoted, because names may contain colons, and
/// absolute, because git changes into the repository before it reads it.
pub(crate) fn alternates<'a>(folders: impl IntoIterator<Item = &'a Path>) -> OsString {
    let mut value = Vec::new();
    for folder in folders {
        if !value.is_empty() {
            value.push(b':');
        }
        value.push(b'"');
        for &byte in absolute(folder).as_os_str().as_bytes() {
            if matches!(byte, b'"' | b'\\') {
                value.push(b'\\');
            }
            value.push(byte);
        }
        value.push(b'"');
    }
    OsString::from_vec(value)
}

/// A path that does not depend on where a child is.
pub(crate) fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}

/// A running child. When this is dropped the whole group is killed.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    group: Option<Pid>,
}

impl Process {
    /// Starts it.
    pub(crate) fn spawn(command: &mut Command) -> io::Result<Self> {
        let child = command.spawn()?;
        let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
        Ok(Self { child, group })
    }

    /// The child, to take its pipes.
    pub(crate) const fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// Waits for its end. What a failed one leaves in its group is killed.
    pub(crate) async fn wait(&mut self) -> io::Result<ExitStatus> {
        let status = self.child.wait().await?;
        if !status.success() {
            self.kill_group();
        }
        self.group = None;
        Ok(status)
    }

    /// Kills the group and waits until the child is gone.
    pub(crate) async fn kill(&mut self) {
        self.kill_group();
        if let Err(error) = self.child.wait().await {
            tracing::warn!(%error, "a killed git process cannot be waited for");
        }
        self.group = None;
    }

    fn kill_group(&self) {
        if let Some(group) = self.group {
            // It may be gone already, which is as good.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill_group();
    }
}

/// The lines a child writes, whether they end with a line feed or, as progress does, with a carriage return.
#[derive(Debug)]
pub(crate) struct Lines<R> {
    from: R,
    buffer: BytesMut,
    ended: bool,
}

/// The longest line that is passed on in one piece.
const MAX_LINE: usize = 4096;

impl<R: AsyncRead + Unpin> Lines<R> {
    pub(crate) fn new(from: R) -> Self {
        Self { from, buffer: BytesMut::new(), ended: false }
    }

    /// The next line with its end; nothing when the child closed the pipe. Safe to cancel.
    pub(crate) async fn next(&mut self) -> Option<Bytes> {
        loop {
            let end = self.buffer.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
            if let Some(end) = end.or((self.buffer.len() >= MAX_LINE).then_some(MAX_LINE - 1)) {
                return Some(self.buffer.split_to(end + 1).freeze());
            }
            if self.ended {
                let rest = self.buffer.split().freeze();
                return rest.has_remaining().then_some(rest);
            }
            self.buffer.reserve(MAX_LINE);
            self.ended = self.from.read_buf(&mut self.buffer).await.unwrap_or(0) == 0;
        }
    }

    /// Reads to the end and keeps the last lines.
    pub(crate) async fn last(mut self, count: usize) -> Vec<String> {
        let mut last = std::collections::VecDeque::with_capacity(count);
        while let Some(line) = self.next().await {
            if last.len() == count {
                last.pop_front();
            }
            last.push_back(String::from_utf8_lossy(&line).trim_end().to_owned());
        }
        last.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn alternates_with_odd_names_are_quoted() {
        let value = alternates([Path::new("/a:b"), Path::new("/c\"d\\e")]);
        assert_eq!(value, r#""/a:b":"/c\"d\\e""#);
    }

    #[tokio::test]
    async fn progress_and_lines_are_told_apart() {
        let mut lines = Lines::new(&b"a 1%\ra 2%\ndone"[..]);
        let mut seen = Vec::new();
        while let Some(line) = lines.next().await {
            seen.push(line);
        }
        assert_eq!(seen, ["a 1%\r", "a 2%\n", "done"]);
    }

    #[tokio::test]
    async fn a_line_without_end_is_cut() {
        let text = vec![b'x'; 3 * MAX_LINE];
        assert_eq!(Lines::new(&text[..]).last(10).await.len(), 3);
    }
}
