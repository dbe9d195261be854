//! A running server: its folder, its port, its end.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that has no server cannot go on

use std::fs::File;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use grasp_audit::Context;
use grasp_audit::context::Expiry;
use grasp_audit::target::Target;
use grasp_audit::target::transcript::Transcript;
use grasp_audit::target::websocket::{Relay, RelayError};
use grasp_fixtures::keys;
use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

use crate::process;

/// How long a start, and a graceful stop, may take on a busy machine.
pub(crate) const WITHIN: Duration = Duration::from_secs(60);
/// How often a condition is looked at.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_millis(5);

/// Where events are kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// `NGIT_DATABASE_BACKEND=lmdb`
    Lmdb,
    /// `NGIT_DATABASE_BACKEND=memory`
    Memory,
}

/// How a server is to be started.
#[derive(Debug, Clone)]
pub struct Setup {
    program: PathBuf,
    backend: Backend,
    address: SocketAddr,
    environment: Vec<(String, String)>,
}

impl Setup {
    /// `program` is `env!("CARGO_BIN_EXE_server-under-test")` of the test that asks.
    #[must_use]
    pub fn new(program: impl Into<PathBuf>, backend: Backend) -> Self {
        let address = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        Self { program: program.into(), backend, address, environment: Vec::new() }
    }

    /// Where it listens, in a network of the test's own ([`crate::namespace`]).
    #[must_use]
    pub fn at(mut self, address: SocketAddr) -> Self {
        self.address = address;
        self
    }

    /// Sets a variable of the server's environment.
    #[must_use]
    pub fn set(mut self, name: &str, value: impl ToString) -> Self {
        self.unset(name);
        self.environment.push((name.to_owned(), value.to_string()));
        self
    }

    /// Lets it fetch from its peers (GRASP-02). Without this it makes no outgoing connections: most tests name hosts
    /// that nobody shall look for.
    #[must_use]
    pub fn syncing(self) -> Self {
        self.set("NGIT_SYNC_ENABLE", true).set("NGIT_TEST", 1)
    }

    fn unset(&mut self, name: &str) {
        self.environment.retain(|(known, _)| known != name);
    }

    /// Starts it in a fresh folder on a port of the system's choice, and waits until it listens.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn start(self) -> Instance {
        let folder = tempfile::Builder::new().prefix("grasp-gate-").tempdir().unwrap();
        let port = self.address.port();
        let mut instance = Instance { setup: self, folder, port, starts: 0, running: None };
        instance.start().await;
        instance
    }
}

/// A server process and everything it has on disk; both go when this is dropped.
#[derive(Debug)]
pub struct Instance {
    setup: Setup,
    folder: TempDir,
    port: u16,
    starts: usize,
    running: Option<Child>,
}

impl Instance {
    /// `ws://<address>:<port>`, the same after every restart; the address is 127.0.0.1 unless [`Setup::at`] says otherwise.
    #[must_use]
    pub fn url(&self) -> String {
        format!("ws://{}", self.authority())
    }

    /// `<address>:<port>`
    #[must_use]
    pub fn authority(&self) -> String {
        SocketAddr::new(self.setup.address.ip(), self.port).to_string()
    }

    /// The working directory, which holds all folders of the server.
    #[must_use]
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// `NGIT_GIT_DATA_PATH`, when the backend is `lmdb`.
    #[must_use]
    pub fn git_data(&self) -> PathBuf {
        self.folder().join("git")
    }

    /// `NGIT_RELAY_DATA_PATH`.
    #[must_use]
    pub fn relay_data(&self) -> PathBuf {
        self.folder().join("relay")
    }

    /// The process id.
    ///
    /// # Panics
    /// When the server does not run.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.running.as_ref().expect("the server runs").id()
    }

    /// Whether the process is alive.
    ///
    /// # Panics
    /// When the system does not tell.
    pub fn is_running(&mut self) -> bool {
        self.running.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    /// Everything the server has logged since its first start.
    #[must_use]
    pub fn log(&self) -> String {
        let of = |start| std::fs::read_to_string(self.log_path(start)).unwrap_or_default();
        (1..=self.starts).map(of).collect()
    }

    fn log_path(&self, start: usize) -> PathBuf {
        self.folder().join(format!("log-{start}"))
    }

    /// Ends the process as a power cut would (SIGKILL).
    ///
    /// # Panics
    /// When the system does not let us.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.running.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Asks the process to end (SIGTERM).
    ///
    /// # Panics
    /// When it does not run.
    pub fn ask_to_stop(&self) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        kill_process(pid, Signal::TERM).unwrap();
    }

    /// Stops the server gracefully and waits for its end.
    ///
    /// # Panics
    /// When it does not end.
    pub async fn stop(&mut self) -> ExitStatus {
        self.ask_to_stop();
        self.ended().await
    }

    /// Waits until the process has ended by itself.
    ///
    /// # Panics
    /// When it does not.
    pub async fn ended(&mut self) -> ExitStatus {
        let deadline = Instant::now() + WITHIN;
        loop {
            if let Some(status) = self.running.as_mut().expect("the server runs").try_wait().unwrap() {
                self.running = None;
                return status;
            }
            assert!(Instant::now() < deadline, "the server does not end:\n{}", self.log());
            tokio::time::sleep(LOOK_AGAIN).await;
        }
    }

    /// Starts it again on the same folders and port; kills it first if it still runs.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn restart(&mut self) {
        self.kill();
        self.start().await;
    }

    /// As [`Instance::restart`], with a variable set, or unset when `value` is empty, from now on.
    ///
    /// # Panics
    /// When it does not start.
    pub async fn restart_with(&mut self, name: &str, value: &str) {
        self.setup.unset(name);
        if !value.is_empty() {
            self.setup.environment.push((name.to_owned(), value.to_owned()));
        }
        self.restart().await;
    }

    /// As [`Instance::restart_with`]; `false` when the process ends before it listens.
    ///
    /// # Panics
    /// When the process cannot be started at all.
    pub async fn tries_to_restart_with(&mut self, name: &str, value: &str) -> bool {
        self.kill();
        self.setup.unset(name);
        self.setup.environment.push((name.to_owned(), value.to_owned()));
        self.starts += 1;
        self.running = Some(self.spawn());
        self.listening(Instant::now() + WITHIN).await.is_ok()
    }

    async fn start(&mut self) {
        let deadline = Instant::now() + WITHIN;
        loop {
            self.starts += 1;
            self.running = Some(self.spawn());
            match self.listening(deadline).await {
                Ok(port) => return self.port = port,
                // Another process has taken the port while nobody listened: it will give it back.
                Err(log) if log.contains("cannot listen on") && Instant::now() < deadline => {
                    tokio::time::sleep(LOOK_AGAIN).await;
                }
                Err(log) => panic!("the server does not start:\n{log}"),
            }
        }
    }

    fn spawn(&self) -> Child {
        let log = File::create(self.log_path(self.starts)).unwrap();
        let backend = match self.setup.backend {
            Backend::Lmdb => "lmdb",
            Backend::Memory => "memory",
        };
        let mut command = Command::new(&self.setup.program);
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .env("TMPDIR", self.folder())
            .env("GRASP_TEST_FOLDER", self.folder())
            .env("RUST_BACKTRACE", "1")
            .env("NGIT_BIND_ADDRESS", self.authority())
            .env("NGIT_SYNC_ENABLE", "false")
            .env("NGIT_DATABASE_BACKEND", backend)
            .env("NGIT_RELAY_DATA_PATH", "relay");
        if self.setup.backend == Backend::Lmdb {
            command.env("NGIT_GIT_DATA_PATH", "git");
        }
        command
            .envs(self.setup.environment.iter().map(|(name, value)| (name, value)))
            .current_dir(self.folder())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(log)
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", self.setup.program.display()))
    }

    /// The port, once the server says that it listens; its log when it ends before.
    async fn listening(&mut self, deadline: Instant) -> Result<u16, String> {
        loop {
            let alive = self.is_running();
            let log = std::fs::read_to_string(self.log_path(self.starts)).unwrap_or_default();
            let port = log.lines().find(|line| line.contains("listening")).and_then(|line| {
                let digits = line.rsplit(':').next()?;
                digits.trim().parse().ok()
            });
            match port {
                Some(port) if log.ends_with('\n') => return Ok(port),
                _ if !alive || Instant::now() > deadline => return Err(log),
                _ => tokio::time::sleep(LOOK_AGAIN).await,
            }
        }
    }

    /// Processor time the server has used so far, children apart, in clock ticks (10 ms).
    #[must_use]
    pub fn processor_ticks(&self) -> u64 {
        process::ticks(self.pid()).unwrap_or_default()
    }

    /// Running git processes below the server.
    #[must_use]
    pub fn children(&self) -> Vec<String> {
        process::children(self.pid())
    }

    /// The server as the suite's clients see it.
    ///
    /// # Panics
    /// When it cannot be reached.
    pub async fn target(&self) -> Arc<Target> {
        Arc::new(Target::discover(&self.url(), None).await.expect("the server answers"))
    }

    /// A world of the suite's: keys, an identifier that begins with `name`, recording clients. It survives restarts.
    ///
    /// # Panics
    /// When the server cannot be reached.
    pub async fn context(&self, name: &str) -> Context {
        context(self.target().await, name)
    }
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(mut child) = self.running.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
        if std::thread::panicking() {
            eprintln!("---- log of the server at {}\n{}", self.authority(), tail(&self.log()));
        }
    }
}

fn tail(log: &str) -> String {
    let lines: Vec<&str> = log.lines().collect();
    lines[lines.len().saturating_sub(60)..].join("\n")
}

/// A world of the suite's at `target`: keys, an identifier that begins with `name`, recording clients.
#[must_use]
pub fn context(target: Arc<Target>, name: &str) -> Context {
    let identifier = format!("{name}-{}", keys::random_suffix(8));
    Context::new(
        target,
        keys::fresh(),
        identifier,
        Expiry::default(),
        Arc::new(Transcript::new()),
        Arc::default(),
    )
}

/// A connection to the relay of `target`.
///
/// # Errors
/// When there is none.
pub async fn relay(target: &Target) -> Result<Relay, RelayError> {
    Relay::connect(target, Arc::new(Transcript::new()), "ws".to_owned()).await
}

/// Waits until `condition` holds.
///
/// # Panics
/// When it does not within a minute.
pub async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let deadline = Instant::now() + WITHIN;
    while !condition().await {
        assert!(Instant::now() < deadline, "it never happens that {what}");
        tokio::time::sleep(LOOK_AGAIN * 4).await;
    }
}
