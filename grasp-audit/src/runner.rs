//! Runs checks side by side, each in its own world, and never lets one stop the rest.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use grasp_fixtures::keys as fresh_keys;
use nostr::event::EventId;
use nostr::key::Keys;
use nostr::types::Timestamp;
use serde_json::json;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::check::{Check, Verdict};
use crate::context::{Context, Expiry, MARK};
use crate::hardening::Case;
use crate::hardening::report::CaseReport;
use crate::ledger::Ledger;
use crate::peer::{Lodging, PeerAddress};
use crate::report::{CheckReport, Cleanup, Report};
use crate::target::patience::Patience;
use crate::target::transcript::Transcript;
use crate::target::websocket::Relay;
use crate::target::{Target, TargetError};

/// How long taking back what one check published may take.
const CLEANUP_WITHIN: Duration = Duration::from_secs(20);
/// Why a check is skipped when a run is ended early.
const INTERRUPTED: &str = "the run was interrupted";
/// How many events are asked for in one REQ when it is over.
const IDS_AT_ONCE: usize = 100;

/// How a run is to be done.
#[derive(Debug, Clone)]
pub struct Options {
    /// Checks at the same time, at least 1.
    pub jobs: usize,
    /// Only checks whose id matches: a substring, or a pattern with `*`.
    pub filter: Option<String>,
    /// Owner of everything, for servers with allow lists; otherwise a fresh key per check.
    pub owner: Option<Keys>,
    /// Identifiers begin with this.
    pub identifier_prefix: String,
    /// Further root certificates, PEM.
    pub ca: Option<PathBuf>,
    /// Run the checks that take tens of minutes.
    pub patient: bool,
    /// The server's expiry times.
    pub expiry: Expiry,
    /// Delete at the end of each check what it published.
    pub cleanup: bool,
    /// How long to wait for the server's answers.
    pub patience: Patience,
    /// Where the server finds the auditor's own peers.
    pub peers: PeerAddress,
    /// An identifier that the server archives whoever owns the repository, among others that it does not (GRASP-05).
    pub archived: Option<String>,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            jobs: 4,
            filter: None,
            owner: None,
            identifier_prefix: MARK.to_owned(),
            ca: None,
            patient: false,
            expiry: Expiry::default(),
            cleanup: true,
            patience: Patience::default(),
            peers: PeerAddress::default(),
            archived: None,
        }
    }
}

/// Is told how a run goes on.
pub trait Progress: Send + Sync {
    /// The run begins with that many checks or cases.
    fn begins(&self, _checks: usize) {}
    /// A check begins.
    fn check_begins(&self, _check: &Check) {}
    /// A check has ended.
    fn check_ends(&self, _report: &CheckReport) {}
    /// A hostile case begins.
    fn case_begins(&self, _case: &Case) {}
    /// A hostile case has ended.
    fn case_ends(&self, _report: &CaseReport) {}
    /// The run is over.
    fn ends(&self) {}
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}

/// Tells a closure of every check that has ended.
struct Told<F>(F);

impl<F: Fn(&CheckReport) + Send + Sync> Progress for Told<F> {
    fn check_ends(&self, report: &CheckReport) {
        (self.0)(report);
    }
}

/// The checks to run, and how. [`Suite::default`] is every check with the default [`Options`]; methods change what is to
/// be different, and [`Suite::run`] or [`Suite::run_blocking`] runs it against a URL.
///
/// ```no_run
/// # async fn example() -> Result<(), grasp_audit::TargetError> {
/// use grasp_audit::Suite;
///
/// let report = Suite::default()
///     .filter("G01/cors")
///     .jobs(2)
///     .on_check(|check| println!("{} {}", check.outcome().word(), check.id))
///     .run("http://127.0.0.1:8080")
///     .await?;
/// assert!(report.holds(), "{report}");
/// # Ok(())
/// # }
/// ```
#[must_use = "a suite does nothing until it is run"]
pub struct Suite {
    options: Options,
    checks: Vec<Check>,
    progress: Arc<dyn Progress>,
    stop: CancellationToken,
}

impl Default for Suite {
    fn default() -> Self {
        Self::new(Options::default())
    }
}

impl Suite {
    /// Every check of [`crate::specs::all`].
    pub fn new(options: Options) -> Self {
        Self::of(crate::specs::all(), options)
    }

    /// These checks.
    pub fn of(checks: Vec<Check>, options: Options) -> Self {
        Self { options, checks, progress: Arc::new(Silent), stop: CancellationToken::new() }
    }

    /// Only checks whose id matches: a substring (`G01/cors`), or a pattern with `*`.
    pub fn filter(mut self, filter: impl Into<String>) -> Self {
        self.options.filter = Some(filter.into());
        self
    }

    /// So many checks at the same time, at least one.
    pub fn jobs(mut self, jobs: usize) -> Self {
        self.options.jobs = jobs;
        self
    }

    /// Multiplies every wait for the server, a hundredth to a hundred times: more than 1 for a slow one.
    pub fn patience(mut self, factor: f64) -> Self {
        self.options.patience = Patience::new(factor);
        self
    }

    /// One key that owns everything, for a server with an allow list; otherwise every check makes its own.
    pub fn owner(mut self, owner: Keys) -> Self {
        self.options.owner = Some(owner);
        self
    }

    /// Calls `told` with the result of every check, as soon as it has ended; from whatever thread that was.
    pub fn on_check(self, told: impl Fn(&CheckReport) + Send + Sync + 'static) -> Self {
        self.with_progress(Arc::new(Told(told)))
    }

    /// Tells `progress` how it goes, in place of whoever was told before.
    pub fn with_progress(mut self, progress: Arc<dyn Progress>) -> Self {
        self.progress = progress;
        self
    }

    /// Ends the run early when `stop` is cancelled: no check begins any more, those that run are broken off, and what they
    /// have published is taken back. In the report they are skipped.
    pub fn until(mut self, stop: CancellationToken) -> Self {
        self.stop = stop;
        self
    }

    /// The checks that the filter lets through.
    #[must_use]
    pub fn selected(&self) -> Vec<Check> {
        let wanted =
            |check: &&Check| self.options.filter.as_deref().is_none_or(|filter| matches(filter, &check.id));
        self.checks.iter().filter(wanted).cloned().collect()
    }

    /// As [`Suite::run`], for a harness without a runtime: makes one, and blocks this thread until the report is there.
    ///
    /// # Errors
    /// As [`Suite::run`], and when the system gives no threads.
    pub fn run_blocking(self, url: &str) -> Result<Report, TargetError> {
        let run = move || {
            let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
            runtime.map_err(TargetError::Runtime)?.block_on(self.run(url))
        };
        // A thread of its own: the caller's may belong to a runtime, which would not let itself be blocked.
        let ended = std::thread::scope(|scope| scope.spawn(run).join());
        ended.unwrap_or_else(|panic| std::panic::resume_unwind(panic))
    }

    /// Runs them against the server at `url`: `http(s)://`, `ws(s)://`, or a bare `host[:port]`. Needs a tokio runtime, and
    /// the program `git`.
    ///
    /// # Errors
    /// Only when no check could begin: a wrong URL, an unreachable server.
    pub async fn run(self, url: &str) -> Result<Report, TargetError> {
        let target = Target::discover(url, self.options.ca.clone()).await?;
        let target = target.with_patience(self.options.patience).archiving(self.options.archived.clone());
        let target = Arc::new(target);
        let (started, clock) = (Timestamp::now().as_secs(), Instant::now());
        let checks = self.selected();
        self.progress.begins(checks.len());
        let permits = Arc::new(Semaphore::new(self.options.jobs.max(1)));
        let lodging = Arc::new(Lodging::new(self.options.peers.clone()));
        let options = Arc::new(self.options);
        let mut running = JoinSet::new();
        for (position, check) in checks.into_iter().enumerate() {
            let (permits, target, options, progress) =
                (permits.clone(), target.clone(), options.clone(), self.progress.clone());
            let (lodging, stop) = (lodging.clone(), self.stop.clone());
            running.spawn(async move {
                // the semaphore is never closed; without a permit the check would merely run at once
                let _permit = permits.acquire_owned().await;
                progress.check_begins(&check);
                let report = run_one(&check, target, lodging, &options, &stop).await;
                progress.check_ends(&report);
                (position, report)
            });
        }
        let mut reports = Vec::new();
        while let Some(joined) = running.join_next().await {
            // run_one catches what a check does; nothing else in the task can panic
            reports.extend(joined.ok());
        }
        self.progress.ends();
        reports.sort_by_key(|(position, _)| *position);
        let reports = reports.into_iter().map(|(_, report)| report).collect();
        let report = Report::new(&target, started, clock.elapsed(), reports);
        Ok(Report { filter: options.filter.clone(), ..report })
    }
}

/// Whether a check's id matches a filter: a substring, or a pattern in which `*` stands for anything.
#[must_use]
pub fn matches(filter: &str, id: &str) -> bool {
    if !filter.contains('*') {
        return id.contains(filter);
    }
    let parts: Vec<&str> = filter.split('*').collect();
    let Some(mut rest) = id.strip_prefix(parts[0]) else {
        return false;
    };
    for part in &parts[1..parts.len() - 1] {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(parts[parts.len() - 1])
}

async fn run_one(
    check: &Check,
    target: Arc<Target>,
    lodging: Arc<Lodging>,
    options: &Options,
    stop: &CancellationToken,
) -> CheckReport {
    let (transcript, ledger, clock) =
        (Arc::new(Transcript::new()), Arc::new(Ledger::default()), Instant::now());
    let interrupted = stop.is_cancelled().then(|| INTERRUPTED.to_owned());
    let verdict = match interrupted.or_else(|| not_now(check, &target, options)) {
        Some(why) => Verdict::Skip { why },
        None => {
            let owner = options.owner.clone().unwrap_or_else(fresh_keys::fresh);
            let name = check.id.trim_start_matches(check.requirement).trim_matches('/');
            // in small letters: only the checks that say so are about case
            let character = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '-' };
            let name: String = name.chars().take(40).map(character).collect();
            let identifier = format!("{}-{name}-{}", options.identifier_prefix, fresh_keys::random_suffix(8));
            let context = Context::new(
                target.clone(),
                owner,
                identifier,
                options.expiry,
                transcript.clone(),
                ledger.clone(),
            )
            .with_lodging(lodging);
            bounded(check, context, stop).await
        }
    };
    let duration = clock.elapsed();
    let cleanup = clean_up(&target, &ledger, options.cleanup).await;
    CheckReport::new(check, verdict, duration, &transcript, cleanup)
}

fn not_now(check: &Check, target: &Target, options: &Options) -> Option<String> {
    if check.needs.patient && !options.patient {
        let minutes = check.bound.as_secs().div_ceil(60);
        return Some(format!("takes up to {minutes} minutes; give --patient to run it"));
    }
    let grasp = check.needs.grasp.filter(|grasp| !target.supports(grasp))?;
    let fix = match grasp {
        "GRASP-02" => {
            "; if it fetches from other servers, let it say so (grasp-server: NGIT_SYNC_ENABLE=true)"
        }
        _ => "",
    };
    Some(format!("the server does not list {grasp} in supported_grasps{fix}"))
}

async fn bounded(check: &Check, context: Context, stop: &CancellationToken) -> Verdict {
    // a task of its own: a panic ends it and nothing else
    let mut task = AbortOnDropHandle::new(tokio::spawn(check.start(context)));
    tokio::select! {
        ended = &mut task => match ended {
            Ok(result) => result.into(),
            Err(error) => Verdict::Error { text: format!("the check itself broke: {}", broken(error)) },
        },
        () = tokio::time::sleep(check.bound) => {
            Verdict::Error { text: format!("the check was not over after {:?}", check.bound) }
        }
        () = stop.cancelled() => Verdict::Skip { why: INTERRUPTED.to_owned() },
    }
}

fn broken(error: tokio::task::JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()))
            .unwrap_or_else(|| "panic".to_owned()),
        Err(error) => error.to_string(),
    }
}

/// Deletes what a ledger holds, as far as that is wanted and the server agrees, and asks what is left.
pub(crate) async fn clean_up(target: &Target, ledger: &Ledger, delete: bool) -> Cleanup {
    let mut cleanup = Cleanup::untouched(ledger.len());
    if ledger.is_empty() {
        return cleanup;
    }
    let work = async {
        let relay = Relay::connect(target, Arc::new(Transcript::new()), "cleanup".to_owned()).await.ok()?;
        if delete {
            for (deletion, count) in ledger.deletions(target.now()) {
                let event = serde_json::to_value(deletion).ok()?;
                if relay.publish(&event).await.ok()?.accepted {
                    cleanup.deleted += count;
                    cleanup.left -= count;
                }
            }
        }
        cleanup.left = served_of(&relay, &ledger.ids()).await?;
        Some(())
    };
    // best effort: what is left is in the report
    let _ = tokio::time::timeout(CLEANUP_WITHIN, work).await;
    cleanup
}

/// How many events of these ids the server serves.
async fn served_of(relay: &Relay, ids: &[EventId]) -> Option<usize> {
    let mut served = 0;
    for some in ids.chunks(IDS_AT_ONCE) {
        let ids: Vec<String> = some.iter().map(EventId::to_hex).collect();
        served += relay.req(&[json!({ "ids": ids })]).await.ok()?.len();
    }
    Some(served)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use grasp_fixtures::events;

    use super::*;

    #[tokio::test]
    async fn what_is_left_is_what_the_server_serves() {
        let peer = Lodging::default().peer().await.unwrap();
        let target = Target::discover(peer.relay(), None).await.unwrap();
        let (ledger, author) = (Ledger::default(), fresh_keys::fresh());
        ledger.know(&author);
        let [taken, came, never] = ["taken", "came", "never"].map(|text| events::note(text).sign(&author));
        ledger.published(&serde_json::to_value(&taken).unwrap());
        ledger.offered(&came);
        ledger.offered(&never);
        peer.publish_all([&taken, &came]).await.unwrap();
        let kept = clean_up(&target, &ledger, false).await;
        assert_eq!(kept, Cleanup { published: 1, deleted: 0, left: 2 });
        let deleted = clean_up(&target, &ledger, true).await;
        assert_eq!(deleted, Cleanup { published: 1, deleted: 1, left: 0 });
        drop(peer);
        assert_eq!(clean_up(&target, &ledger, false).await.left, 1, "nobody answers");
    }

    #[test]
    fn what_is_left_is_said_in_a_sentence() {
        let said = |published, left| Cleanup { published, deleted: 0, left }.sentence();
        assert_eq!(said(1, 0), "published 1 event; besides deletion requests (NIP-09), none is still served");
        assert_eq!(said(3, 1), "published 3 events; besides deletion requests (NIP-09), 1 is still served");
        assert_eq!(said(3, 2), "published 3 events; besides deletion requests (NIP-09), 2 are still served");
    }

    #[test]
    fn filters_are_substrings_or_patterns() {
        assert!(matches("cors", "G01/cors/origin/on-404"));
        assert!(matches("G01/*/on-404", "G01/cors/origin/on-404"));
        assert!(matches("*origin*", "G01/cors/origin/on-404"));
        assert!(!matches("G01/*/on-405", "G01/cors/origin/on-404"));
        assert!(!matches("git", "G01/cors/origin/on-404"));
    }
}
