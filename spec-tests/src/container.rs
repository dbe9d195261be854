//! A server in a container, whoever made its image: started through testcontainers, reached at a published port.
//!
//! testcontainers runs in a companion process (`container-under-test`), which this holds by a pipe: the pipe's end, for
//! whatever reason, is the end of the container, its volumes and the companion.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that has no server cannot go on

use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use grasp_fixtures::keys;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::engine;

/// How long the companion may take to take everything away.
const GONE_WITHIN: Duration = Duration::from_secs(90);

/// A container that is to be started.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Wanted {
    /// `name`, `name:tag`, `registry/name:tag` or `name@sha256:…`.
    pub image: String,
    /// The port that the server listens on in the container.
    pub port: u16,
    /// Its environment. `{authority}`, `{host}` and `{port}` in values are where it will be reached from outside.
    pub environment: Vec<(String, String)>,
    /// A folder of the container that outlives it until the run ends: a volume.
    pub volume: Option<String>,
    /// Read-only root file system, no capabilities, no way to new privileges.
    pub hardened: bool,
    /// How long it may take until it answers, in seconds.
    pub answers_within: u64,
    /// The run that it belongs to: the value of the label [`engine::LABEL`].
    pub run: String,
}

impl Wanted {
    /// A container of `image` whose server listens on `port`.
    #[must_use]
    pub fn new(image: impl Into<String>, port: u16) -> Self {
        Self {
            image: image.into(),
            port,
            environment: Vec::new(),
            volume: None,
            hardened: false,
            answers_within: 120,
            run: keys::random_suffix(16),
        }
    }

    /// Sets a variable of the container's environment.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl ToString) -> Self {
        self.environment.push((name.to_owned(), value.to_string()));
        self
    }

    /// The environment of a server that is reached at `host`:`port`.
    #[must_use]
    pub fn environment_at(&self, host: &str, port: u16) -> Vec<(String, String)> {
        let told = |value: &str| {
            value
                .replace("{authority}", &format!("{host}:{port}"))
                .replace("{host}", host)
                .replace("{port}", &port.to_string())
        };
        self.environment.iter().map(|(name, value)| (name.clone(), told(value))).collect()
    }

    /// Starts it and waits until it answers. `companion` is `env!("CARGO_BIN_EXE_container-under-test")` of the test.
    ///
    /// # Errors
    /// Why there is no such server: no engine, no image, it ends at once, it does not answer.
    pub async fn start(self, companion: impl Into<PathBuf>) -> Result<Container, String> {
        let mut companion = Command::new(companion.into())
            .arg(serde_json::to_string(&self).expect("plain data"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // An interrupt at the terminal is for the test; the companion then sees the pipe end.
            .process_group(0)
            .spawn()
            .map_err(|error| format!("the companion does not start: {error}"))?;
        let told = BufReader::new(companion.stdout.take().expect("piped")).lines();
        let commands = companion.stdin.take();
        let mut container = Container {
            wanted: self,
            authority: String::new(),
            id: String::new(),
            companion,
            commands,
            told,
        };
        container.is_up().await?;
        Ok(container)
    }
}

/// A container that runs; it and its volumes go when this is dropped.
#[derive(Debug)]
pub struct Container {
    wanted: Wanted,
    authority: String,
    id: String,
    companion: Child,
    commands: Option<ChildStdin>,
    told: Lines<BufReader<ChildStdout>>,
}

impl Container {
    /// `127.0.0.1:<published port>`, the same after it was replaced.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// `ws://127.0.0.1:<published port>`
    #[must_use]
    pub fn url(&self) -> String {
        format!("ws://{}", self.authority)
    }

    /// The engine's name for it.
    #[must_use]
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The run that it belongs to.
    #[must_use]
    pub fn run(&self) -> &str {
        &self.wanted.run
    }

    /// The companion's process id.
    ///
    /// # Panics
    /// When it has ended.
    #[must_use]
    pub fn companion(&self) -> u32 {
        self.companion.id().expect("the companion runs")
    }

    /// What `docker inspect --format <format>` says about it.
    ///
    /// # Panics
    /// When the engine does not know it.
    #[must_use]
    pub fn inspect(&self, format: &str) -> String {
        engine::docker(&["inspect", "--format", format, &self.id]).expect("the container is there")
    }

    /// Stops it gracefully, removes it, and starts another one on the same volume and port.
    ///
    /// # Panics
    /// When that does not come up.
    pub async fn replace(&mut self) {
        let commands = self.commands.as_mut().expect("it runs");
        commands.write_all(b"replace\n").await.expect("the companion listens");
        self.is_up().await.unwrap_or_else(|why| panic!("{why}"));
    }

    /// Takes it away with everything that belongs to it.
    ///
    /// # Panics
    /// When the companion fails at that.
    pub async fn end(mut self) {
        self.commands = None;
        let ended = self.companion.wait().await.expect("the companion can be waited for");
        assert!(ended.success(), "the companion failed: {ended}");
    }

    async fn is_up(&mut self) -> Result<(), String> {
        let line = self.told.next_line().await.map_err(|error| error.to_string())?;
        let told: Value = serde_json::from_str(&line.unwrap_or_default())
            .map_err(|_| "the companion ended without a word".to_owned())?;
        if let Some(why) = told["failed"].as_str() {
            return Err(why.to_owned());
        }
        let text = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
        (self.authority, self.id) = (text("authority"), text("id"));
        Ok(())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.id.is_empty() {
            eprintln!(
                "---- log of the container at {}
{}",
                self.authority,
                engine::log(&self.id, 60)
            );
        }
        drop(self.commands.take());
        let deadline = Instant::now() + GONE_WITHIN;
        while matches!(self.companion.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_implementation_can_be_told_where_it_is_reached() {
        let wanted = Wanted::new("any", 80)
            .set("DOMAIN", "{authority}")
            .set("PUBLIC_URL", "wss://{host}:{port}/")
            .set("PLAIN", "as it is");
        let told: Vec<_> = wanted
            .environment_at("127.0.0.1", 4321)
            .into_iter()
            .map(|(name, value)| format!("{name}={value}"))
            .collect();
        assert_eq!(told, ["DOMAIN=127.0.0.1:4321", "PUBLIC_URL=wss://127.0.0.1:4321/", "PLAIN=as it is"]);
    }
}
