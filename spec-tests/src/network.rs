//! A network of the container engine's, made for a test: who is on it finds the others by name, and nobody else.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that has no network cannot go on

use std::path::PathBuf;

use grasp_fixtures::keys;

use crate::companion::{Companion, Kept};
use crate::engine;

/// A network; it goes when this is dropped.
#[derive(Debug)]
pub struct Network {
    run: String,
    name: String,
    companion: Companion,
}

impl Network {
    /// Makes one. `companion` is `env!("CARGO_BIN_EXE_container-under-test")` of the test.
    ///
    /// # Errors
    /// Why there is none.
    pub async fn start(companion: impl Into<PathBuf>) -> Result<Self, String> {
        let run = keys::random_suffix(16);
        let mut companion = Companion::start(companion, &Kept::Network { run: run.clone() })?;
        let told = companion.hears().await?;
        let name = told["network"].as_str().unwrap_or_default().to_owned();
        Ok(Self { run, name, companion })
    }

    /// The run that it belongs to.
    #[must_use]
    pub fn run(&self) -> &str {
        &self.run
    }

    /// Puts a container on it, where the others find it as `name`.
    ///
    /// # Panics
    /// When the engine does not let it.
    pub async fn join(&self, container: &str, name: &str) {
        engine::run(&["network", "connect", "--alias", name, &self.name, container]).await;
    }

    /// Takes a container off it: as when a cable is drawn, connections are not ended but lead nowhere.
    ///
    /// # Panics
    /// When the engine does not let it.
    pub async fn leave(&self, container: &str) {
        engine::run(&["network", "disconnect", &self.name, container]).await;
    }

    /// Takes it away.
    ///
    /// # Panics
    /// When the companion fails at that.
    pub async fn end(mut self) {
        self.companion.end().await;
    }
}
