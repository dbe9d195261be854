//! A server in a container, whoever made its image: started through testcontainers, reached at a published port.
//!
//! testcontainers runs in the [companion](crate::companion) process, whose end is that of the container and its volumes.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that has no server cannot go on

use std::path::PathBuf;

use grasp_fixtures::keys;
use serde::{Deserialize, Serialize};

use crate::companion::{Companion, Kept};
use crate::engine;

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
    /// A folder of the container that is kept in memory, and how it is mounted: `uid=10001`. It goes with each stop.
    pub in_memory: Option<(String, String)>,
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
            in_memory: None,
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
        let companion = Companion::start(companion, &Kept::Container(self.clone()))?;
        let mut container =
            Container { wanted: self, authority: String::new(), id: String::new(), companion };
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
    companion: Companion,
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
        self.companion.id()
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
        self.companion.say("replace").await;
        self.is_up().await.unwrap_or_else(|why| panic!("{why}"));
    }

    /// Takes it away with everything that belongs to it.
    ///
    /// # Panics
    /// When the companion fails at that.
    pub async fn end(mut self) {
        self.companion.end().await;
    }

    async fn is_up(&mut self) -> Result<(), String> {
        let told = self.companion.hears().await?;
        let text = |name: &str| told[name].as_str().unwrap_or_default().to_owned();
        (self.authority, self.id) = (text("authority"), text("id"));
        Ok(())
    }
}

impl Drop for Container {
    fn drop(&mut self) {
        if std::thread::panicking() && !self.id.is_empty() {
            eprintln!("---- log of the container at {}\n{}", self.authority, engine::log(&self.id, 60));
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
