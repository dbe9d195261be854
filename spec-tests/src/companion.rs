//! The companion process that keeps something of the engine's for a test: a container, or a network. The test holds it by
//! a pipe, whose end, for whatever reason, is the end of the companion and of all that it keeps.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that has no companion cannot go on

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::container::Wanted;

/// How long the companion may take to take everything away.
const GONE_WITHIN: Duration = Duration::from_secs(90);

/// What a companion keeps.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Kept {
    /// A container with what belongs to it.
    Container(Wanted),
    /// A network, for the run of this name.
    Network {
        /// The value of the label [`crate::engine::LABEL`].
        run: String,
    },
}

impl Kept {
    /// The run that all of it belongs to.
    #[must_use]
    pub fn run(&self) -> &str {
        match self {
            Self::Container(wanted) => &wanted.run,
            Self::Network { run } => run,
        }
    }
}

/// A companion that runs; what it keeps goes when this is dropped.
#[derive(Debug)]
pub struct Companion {
    process: Child,
    commands: Option<ChildStdin>,
    told: Lines<BufReader<ChildStdout>>,
}

impl Companion {
    /// Starts one. `program` is `env!("CARGO_BIN_EXE_container-under-test")` of the test.
    ///
    /// # Errors
    /// When the program cannot be started.
    ///
    /// # Panics
    /// Never: what is kept is plain data.
    pub fn start(program: impl Into<PathBuf>, kept: &Kept) -> Result<Self, String> {
        let mut process = Command::new(program.into())
            .arg(serde_json::to_string(kept).expect("plain data"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // An interrupt at the terminal is for the test; the companion then sees the pipe end.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("the companion does not start: {error}"))?;
        let told = BufReader::new(process.stdout.take().expect("piped")).lines();
        let commands = process.stdin.take();
        Ok(Self { process, commands, told })
    }

    /// The next thing that it tells.
    ///
    /// # Errors
    /// Why it has failed, in its own words, or that it has ended.
    pub async fn hears(&mut self) -> Result<Value, String> {
        let line = self.told.next_line().await.map_err(|error| error.to_string())?;
        let told: Value = serde_json::from_str(&line.unwrap_or_default())
            .map_err(|_| "the companion ended without a word".to_owned())?;
        match told["failed"].as_str() {
            Some(why) => Err(why.to_owned()),
            None => Ok(told),
        }
    }

    /// Tells it to do something.
    ///
    /// # Panics
    /// When it has ended.
    pub async fn say(&mut self, command: &str) {
        let commands = self.commands.as_mut().expect("it runs");
        commands.write_all(format!("{command}\n").as_bytes()).await.expect("the companion listens");
    }

    /// Its process id.
    ///
    /// # Panics
    /// When it has ended.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.process.id().expect("the companion runs")
    }

    /// Ends it with all that it keeps.
    ///
    /// # Panics
    /// When it fails at that.
    pub async fn end(&mut self) {
        self.commands = None;
        let ended = self.process.wait().await.expect("the companion can be waited for");
        assert!(ended.success(), "the companion failed: {ended}");
    }
}

impl Drop for Companion {
    fn drop(&mut self) {
        drop(self.commands.take());
        let deadline = Instant::now() + GONE_WITHIN;
        while matches!(self.process.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}
