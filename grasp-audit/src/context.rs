//! What a check has in its hands: its own identity, clients that record, and sentences of the protocol.
//!
//! Every check gets a fresh owner key (unless `--nsec` names one) and an identifier nobody else uses. Whatever it
//! publishes is marked, remembered and deleted afterwards. Events signed here carry the server's time, each a
//! second later than the one before, so that "newer" never depends on how fast a check runs.

mod peers;
mod publish;
mod repository;
mod shown;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use grasp_fixtures::{Draft, keys};
use nostr::event::Event;
use nostr::key::Keys;
use tokio::sync::Mutex;

pub use self::peers::SYNCED_WITHIN;
pub use self::publish::is_served_by;
pub use self::repository::{Hosted, pushed, refused_push};
pub use self::shown::Shown;

use crate::attachment::Attachment;
use crate::check::{CheckResult, expect};
use crate::ledger::Ledger;
use crate::peer::Lodging;
use crate::target::Target;
use crate::target::git::GitClient;
use crate::target::http::HttpClient;
use crate::target::transcript::Transcript;
use crate::target::websocket::Relay;

/// The topic everything published is marked with, so that an operator can find it.
pub const MARK: &str = "grasp-audit";
/// How long the server may take to do what it does in the background.
pub const SETTLES_WITHIN: Duration = Duration::from_secs(10);
/// How far in the past a check's first event lies: room for a second per event before the present.
const HEAD_START: u64 = 120;

/// After how long the server forgets, as the operator stated it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Expiry {
    /// Waiting events, default 1800 s.
    pub purgatory: Duration,
    /// `refs/nostr/…` without an event, default 1200 s.
    pub nostr_ref: Duration,
}

/// For a server that looks only once in a while whether something has expired.
const MARGIN: Duration = Duration::from_secs(60);

/// After how long something is gone for sure that expires after this. A server with short times, set for a test, looks
/// more often than its times.
#[must_use]
pub fn gone_after(expiry: Duration) -> Duration {
    expiry + MARGIN.min(expiry)
}

impl Default for Expiry {
    fn default() -> Self {
        Self { purgatory: Duration::from_secs(1800), nostr_ref: Duration::from_secs(1200) }
    }
}

/// One check's world.
#[derive(Debug)]
pub struct Context {
    /// The server under test.
    pub target: Arc<Target>,
    /// Owner of this check's repositories.
    pub owner: Keys,
    /// The identifier of this check's repository.
    pub identifier: String,
    /// HTTP, recorded.
    pub http: HttpClient,
    /// The git program, recorded.
    pub git: GitClient,
    /// The server's expiry times.
    pub expiry: Expiry,
    transcript: Arc<Transcript>,
    ledger: Arc<Ledger>,
    lodging: Arc<Lodging>,
    publisher: Mutex<Option<Arc<Relay>>>,
    connections: AtomicUsize,
    last_time: AtomicU64,
}

impl Context {
    /// A world for the check `name`; used by the runner.
    #[must_use]
    pub fn new(
        target: Arc<Target>,
        owner: Keys,
        identifier: String,
        expiry: Expiry,
        transcript: Arc<Transcript>,
        ledger: Arc<Ledger>,
    ) -> Self {
        let http = HttpClient::new(target.url.clone(), target.dialer.clone(), transcript.clone())
            .with_patience(target.patience);
        let git = GitClient::new(target.clone(), transcript.clone());
        let start = target.now().saturating_sub(HEAD_START);
        ledger.know(&owner);
        Self {
            target,
            owner,
            identifier,
            http,
            git,
            expiry,
            transcript,
            ledger,
            lodging: Arc::default(),
            publisher: Mutex::new(None),
            connections: AtomicUsize::new(0),
            last_time: AtomicU64::new(start),
        }
    }

    /// The same world, with peers that live there; without this, each on a loopback port of its own.
    #[must_use]
    pub fn with_lodging(mut self, lodging: Arc<Lodging>) -> Self {
        self.lodging = lodging;
        self
    }

    /// Another person: fresh keys.
    #[must_use]
    pub fn someone(&self) -> Keys {
        let keys = keys::fresh();
        self.ledger.know(&keys);
        keys
    }

    /// Another identifier of this check.
    #[must_use]
    pub fn other_identifier(&self) -> String {
        format!("{}-{}", self.identifier, keys::random_suffix(4))
    }

    /// The server's time in unix seconds, as well as we know it.
    #[must_use]
    pub fn now(&self) -> u64 {
        self.target.now()
    }

    /// A time later than every time this check has used so far.
    #[must_use]
    pub fn later(&self) -> u64 {
        self.last_time.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Signs a draft: the mark added, [`Context::later`] as its time unless the draft has one.
    #[must_use]
    pub fn sign(&self, keys: &Keys, draft: impl Into<Draft>) -> Event {
        self.ledger.know(keys);
        let mut draft: Draft = draft.into();
        let created_at = draft.created_at.unwrap_or_else(|| self.later());
        if !draft.tags.iter().any(|tag| tag.len() > 1 && tag[0] == "t" && tag[1] == MARK) {
            draft = draft.tag(["t", MARK]);
        }
        draft.tag(["client", MARK]).at(created_at).sign(keys)
    }

    /// Writes a remark into the transcript.
    pub fn note(&self, text: &str) {
        self.transcript.note("check", text);
    }

    /// Puts a piece of evidence into the report of this check.
    pub fn attach(&self, attachment: Attachment) {
        self.transcript.attach(attachment);
    }

    /// A fresh connection to the relay.
    ///
    /// # Errors
    /// A failure when there is none.
    pub async fn relay(&self) -> CheckResult<Relay> {
        let number = self.connections.fetch_add(1, Ordering::Relaxed) + 1;
        let relay = Relay::connect(&self.target, self.transcript.clone(), format!("ws {number}")).await?;
        Ok(relay)
    }

    /// Asks `probe` again and again until it says yes.
    ///
    /// # Errors
    /// A failure that names `what` when it never does within `within`; the probe's own ending.
    pub async fn eventually<F, Fut>(&self, what: &str, within: Duration, probe: F) -> CheckResult
    where
        F: FnMut() -> Fut,
        Fut: Future<Output = CheckResult<bool>>,
    {
        let within = self.target.patience.of(within);
        let happened = comes_true(within, probe).await?;
        expect(happened, format!("{what} within {within:?}"), "it did not happen")
    }
}

/// Asks `probe` again and again until it says yes; whether it did within `within`.
async fn comes_true<F, Fut>(within: Duration, mut probe: F) -> CheckResult<bool>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = CheckResult<bool>>,
{
    let deadline = Instant::now() + within;
    let mut pause = Duration::from_millis(50);
    while !probe().await? {
        if Instant::now() >= deadline {
            return Ok(false);
        }
        tokio::time::sleep(pause).await;
        pause = (pause * 2).min(Duration::from_secs(1));
    }
    Ok(true)
}
