//! What the door shows of how the server does: proactive sync for everybody, figures for monitoring systems.

use std::sync::Arc;

use bytes::Bytes;
use serde::Serialize;

/// What the door asks about how the server does.
pub trait Overview: Send + Sync {
    /// How proactive sync stands; `None`: it is off.
    fn sync(&self) -> Option<Arc<SyncView>>;

    /// The figures, in the text format of Prometheus; `None`: they are off.
    fn metrics(&self) -> Option<Bytes>;
}

/// The content type of [`Overview::metrics`].
pub const METRICS_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// How proactive sync stands, as far as everybody may know. Times are Unix seconds.
///
/// Nothing is in here that is not served to everybody anyway: relays and repositories that only announcements in
/// purgatory name are counted, and contributors' repositories (GRASP-06) are not even that.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct SyncView {
    /// When this was looked at.
    pub now: u64,
    /// Relays that announcements or the operator name.
    pub peers: Vec<PeerView>,
    /// Relays that only waiting announcements name.
    pub unlisted_peers: usize,
    /// Relays that wait until there is room for them.
    pub queued_peers: usize,
    /// Repositories that have been announced and wait for their git data.
    pub waiting_repositories: usize,
    /// Repositories whose git data is looked for.
    pub hunted: Vec<HuntedView>,
    /// Waiting events of repositories that wait themselves, whose git data is looked for.
    pub unlisted_hunted: usize,
    /// Fetches of git data that run.
    pub fetches: usize,
}

/// The connection to a relay.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerState {
    /// There.
    Connected,
    /// Being made.
    Connecting,
    /// Being ended.
    Leaving,
    /// None.
    Away,
}

/// How a relay has behaved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PeerHealth {
    /// Of use, or not tried yet.
    Healthy,
    /// It has failed.
    Degraded,
    /// It has failed for a day, or is where this server does not go.
    Dead,
}

/// One relay.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PeerView {
    /// Its URL. One that only the operator names is shown without path and query.
    pub relay: String,
    /// The operator names it: it is always connected.
    pub bootstrap: bool,
    /// The connection.
    pub state: PeerState,
    /// Since when; unknown if no connection was tried yet.
    pub since: Option<u64>,
    /// How it has behaved.
    pub health: PeerHealth,
    /// Failures in a row.
    pub failures: u32,
    /// Why there is no connection, or nothing is asked of it at the moment.
    pub why: Option<&'static str>,
    /// When it is tried or asked again.
    pub next_try: Option<u64>,
    /// When the last event came from it that was taken in, since this server started.
    pub last_event: Option<u64>,
    /// Things that are wanted from it: repositories, their identifiers, root events.
    pub wanted: usize,
    /// Of these, those whose history is here.
    pub confirmed: usize,
    /// Of these, those that it tells news of.
    pub live: usize,
    /// What has become of its events.
    pub events: PeerEvents,
    /// Histories go by reconciliation (NIP-77); otherwise page by page.
    pub reconciles: bool,
    /// When everything is compared the next time.
    pub next_reconciliation: Option<u64>,
}

/// What has become of a relay's events since this server started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct PeerEvents {
    /// Taken in.
    pub taken: u64,
    /// Known already.
    pub known: u64,
    /// Refused.
    pub refused: u64,
    /// With a false id or signature.
    pub forged: u64,
}

/// A repository whose git data is looked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct HuntedView {
    /// The path of its page.
    pub path: String,
    /// Its identifier.
    pub identifier: String,
    /// Waiting states, pull requests and updates of it.
    pub events: usize,
    /// Objects that these name and that are not here.
    pub missing: usize,
    /// Servers that may have them.
    pub servers: usize,
    /// Fetches that did not bring everything.
    pub attempts: u32,
    /// When the next one is due; unknown while one runs or when there is nowhere to look.
    pub next_try: Option<u64>,
}
