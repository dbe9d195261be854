//! The server under measurement: a process of its own on a loopback port, with its data in a temporary folder.

use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use grasp_fixtures::{Announcement, State, events, keys};
use nostr::event::Event;
use nostr::key::Keys;
use rustix::process::{Pid, Signal, kill_process};

use crate::process::Process;
use crate::socket::Socket;
use crate::{Bench, Result};

/// How long a start or a stop may take.
const PATIENCE: Duration = Duration::from_secs(20);
/// The name of the log in a server's folder.
const LOG: &str = "log";
/// Bounds that a load on one address would meet, and what they are raised to.
const SETTINGS: &[(&str, &str)] = &[
    ("NGIT_BIND_ADDRESS", "127.0.0.1:0"),
    ("NGIT_LOG_LEVEL", "info"),
    ("NGIT_SYNC_ENABLE", "false"),
    ("NGIT_EVENTS_PER_MINUTE", "1000000000"),
    ("NGIT_QUERIES_PER_MINUTE", "1000000000"),
    ("NGIT_MAX_CONNECTIONS", "8192"),
    ("NGIT_MAX_CONNECTIONS_PER_ADDRESS", "8192"),
    ("NGIT_IDLE_PING_SECS", "3600"),
    ("NGIT_OUTGOING_QUEUE_BYTES", "64MiB"),
    ("NGIT_GIT_DATA_PATH", "git"),
    ("NGIT_RELAY_DATA_PATH", "relay"),
];

/// A child that is asked to stop, and then ended, when this is dropped.
#[derive(Debug)]
pub(crate) struct Running(pub(crate) Child);

impl Running {
    pub(crate) fn process(&self) -> Process {
        Process(self.0.id())
    }
}

impl Running {
    /// Asks it to stop, and ends it when it does not.
    fn stop(&mut self) {
        if !matches!(self.0.try_wait(), Ok(None)) {
            // Its id may be another's by now.
            return;
        }
        if let Some(id) = i32::try_from(self.0.id()).ok().and_then(Pid::from_raw) {
            let _ = kill_process(id, Signal::TERM);
        }
        let begun = Instant::now();
        while begun.elapsed() < PATIENCE && matches!(self.0.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.stop();
    }
}

/// A running server.
#[derive(Debug)]
pub(crate) struct Server {
    /// Dropped before the folder it writes to.
    running: Running,
    pub(crate) address: SocketAddr,
    folder: tempfile::TempDir,
}

impl Server {
    /// Starts one and waits until it listens.
    pub(crate) async fn start(bench: &Bench) -> Result<Self> {
        Self::start_with(bench, "lmdb").await
    }

    /// Starts one that keeps its events there.
    pub(crate) async fn start_with(bench: &Bench, backend: &str) -> Result<Self> {
        let folder = bench.subfolder()?;
        let (running, address) = spawn(bench, folder.path(), &[("NGIT_DATABASE_BACKEND", backend)]).await?;
        Ok(Self { running, address, folder })
    }

    /// Stops it and starts it again on the same address and data, with some more settings.
    pub(crate) async fn restart(&mut self, bench: &Bench, settings: &[(&str, &str)]) -> Result<()> {
        self.running.stop();
        let address = self.address.to_string();
        let settings: Vec<(&str, &str)> =
            settings.iter().copied().chain([("NGIT_BIND_ADDRESS", address.as_str())]).collect();
        (self.running, self.address) = spawn(bench, self.folder.path(), &settings).await?;
        Ok(())
    }

    /// Stops it in good order; [`Server::restart`] starts it again.
    pub(crate) fn stop(&mut self) {
        self.running.stop();
    }

    /// Ends it as a power cut would.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.running.0.kill()?;
        self.running.0.wait()?;
        Ok(())
    }

    /// What it has said since its last start.
    pub(crate) fn log(&self) -> Result<String> {
        Ok(std::fs::read_to_string(self.folder.path().join(LOG))?)
    }

    /// A repository that may be announced here.
    pub(crate) fn repository(&self, keys: Keys, identifier: String) -> Repository {
        Repository { keys, identifier, address: self.address }
    }

    pub(crate) fn process(&self) -> Process {
        self.running.process()
    }

    /// Publishes an announcement and a state of these refs by a new owner; the data is still missing.
    pub(crate) async fn announce(&self, refs: &[(String, String)], head: &str) -> Result<Repository> {
        let repository = self.repository(keys::fresh(), format!("bench-{}", keys::random_suffix(8)));
        let announcement = announcement(&repository, &[self]);
        let state = State::new(&repository.identifier).references(refs.iter().cloned()).head(head);
        let state = state.draft().sign(&repository.keys);
        let mut socket = Socket::open(self.address).await?;
        socket.publish(&announcement).await?;
        socket.publish(&state).await?;
        Ok(repository)
    }
}

/// Starts one in a folder, with these settings on top of the usual ones, and waits until it listens.
async fn spawn(bench: &Bench, folder: &Path, settings: &[(&str, &str)]) -> Result<(Running, SocketAddr)> {
    let log = folder.join(LOG);
    let child = Command::new(&bench.server)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .envs(SETTINGS.iter().copied())
        .envs(settings.iter().copied())
        .current_dir(folder)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&log)?)
        .spawn()?;
    let mut running = Running(child);
    let begun = Instant::now();
    loop {
        let said = std::fs::read_to_string(&log)?;
        if let Some(address) = listens_on(&said) {
            return Ok((running, address));
        }
        if begun.elapsed() > PATIENCE || running.0.try_wait()?.is_some() {
            return Err(format!("the server did not start: {said}").into());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// The address from the line that says so.
fn listens_on(log: &str) -> Option<SocketAddr> {
    let line = log.lines().find(|line| line.contains("listening"))?;
    let after = line.split_once("address=")?.1;
    after.split_whitespace().next()?.parse().ok()
}

/// An announcement of a repository that lists these servers.
pub(crate) fn announcement(repository: &Repository, on: &[&Server]) -> Event {
    let announcement = on.iter().fold(Announcement::new(&repository.identifier), |announcement, server| {
        let url = format!("http://{}{}", server.address, repository.path());
        announcement.clone_url(url).relay(format!("ws://{}", server.address))
    });
    announcement.draft().sign(&repository.keys)
}

/// A repository that was announced.
#[derive(Debug)]
pub(crate) struct Repository {
    pub(crate) keys: Keys,
    pub(crate) identifier: String,
    address: SocketAddr,
}

impl Repository {
    /// The path of its clone URL.
    pub(crate) fn path(&self) -> String {
        format!("/{}/{}.git", keys::npub(&self.keys.public_key()), self.identifier)
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}{}", self.address, self.path())
    }

    pub(crate) fn coordinate(&self) -> String {
        events::coordinate(&self.keys.public_key(), &self.identifier)
    }
}
