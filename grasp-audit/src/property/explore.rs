//! Many stories, several side by side; the first that fails is made short.
//!
//! Which story a case is follows from the seed alone. Cases begin in their order, and of several that fail side by side
//! the first one counts, so a seed finds the same thing again whatever the number of jobs.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::generate::{Scope, story_tree};
use super::model::{Coverage, Row};
use super::play::{Outcome, Telling, Told, tell};
use super::record::Record;
use super::rehearse::reaching;
use super::shrink::Shrinking;
use super::story::Story;
use crate::report::Cleanup;
use crate::target::Target;
use crate::target::http::HttpClient;
use crate::target::transcript::{Entry, Transcript};

/// How long one story may take before it counts as not carried out.
const STORY_WITHIN: Duration = Duration::from_secs(120);
/// How long a failing story may be made shorter.
const SHRINK_WITHIN: Duration = Duration::from_secs(300);
/// How often a failing story is told again to see whether it fails always.
const CONFIRMATIONS: usize = 3;
/// A failing story of more steps than this is compared with short ones …
const SHORT: usize = 4;
/// … of which so many are rehearsed …
const REHEARSED: u64 = 2_000;
/// … and so many told …
const SHORT_TRIES: usize = 100;
/// … with numbers that no run of cases reaches.
const SHORT_ONES: u64 = 1 << 40;
/// After how many stories that limits have stopped in a row the run ends.
const MAX_LIMITED: u64 = 20;

/// What is to be done.
#[derive(Debug, Clone)]
pub struct Plan {
    /// How many stories.
    pub cases: u64,
    /// The number of the first one.
    pub first: u64,
    /// How many steps a story may have.
    pub steps: usize,
    /// What they are about.
    pub scope: Scope,
    /// How many stories at the same time.
    pub jobs: usize,
    /// No story begins after this time.
    pub within: Option<Duration>,
    /// How each is told; the seed is in here.
    pub telling: Telling,
}

/// Is told how it goes on.
pub trait Progress: Send + Sync {
    /// A case has ended.
    fn case_ends(&self, _case: u64, _told: &Told) {}
    /// A case has failed and is being made shorter.
    fn shrinking(&self, _case: u64, _steps: usize, _tellings: usize) {}
}

/// Tells nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl Progress for Silent {}

/// A story that fails.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The shortest that was found, replayable.
    pub record: Record,
    /// How many steps it had when it failed first.
    pub first_steps: usize,
    /// How often it was told while it was made shorter.
    pub tellings: usize,
    /// Whether it failed when it was told again; if not it could not be made shorter.
    pub reproducible: bool,
    /// Nobody answered after it: the server has ended, and there was nobody to tell it to again.
    pub server_gone: bool,
    /// What went over the wire when the shortest was told.
    pub transcript: Vec<Entry>,
}

/// What a run has found.
#[derive(Debug, Clone, Default)]
pub struct Findings {
    /// Cases that were told to their end.
    pub held: u64,
    /// Cases that ended early because the table leaves too much open.
    pub undecided: u64,
    /// Cases that a limit of the server has stopped, and its words for one of them.
    pub limited: (u64, String),
    /// Cases that could not be carried out, and why one of them could not.
    pub not_carried_out: (u64, String),
    /// Cases that fitted into the time.
    pub begun: u64,
    /// Steps that were done.
    pub steps: u64,
    /// What became of the events that were published.
    pub cleanup: Cleanup,
    /// How often each row of the table was exercised.
    pub coverage: Coverage,
    /// The case that failed.
    pub failure: Option<Failure>,
    /// How long it took.
    pub elapsed: Duration,
}

struct Shared {
    plan: Plan,
    next: AtomicU64,
    /// The first case that failed.
    failed: AtomicU64,
    limited_in_a_row: AtomicU64,
    began: Instant,
}

impl Shared {
    /// The next case to tell, unless it is over.
    fn next(&self) -> Option<u64> {
        let late = self.plan.within.is_some_and(|within| self.began.elapsed() >= within);
        if late || self.limited_in_a_row.load(Ordering::Relaxed) >= MAX_LIMITED {
            return None;
        }
        let case = self.next.fetch_add(1, Ordering::Relaxed);
        let end = self.plan.first.saturating_add(self.plan.cases);
        (case < end && case < self.failed.load(Ordering::Relaxed)).then_some(case)
    }
}

/// Tells the stories of `plan` to the server.
pub async fn explore(target: &Arc<Target>, plan: &Plan, progress: &Arc<dyn Progress>) -> Findings {
    let shared = Arc::new(Shared {
        plan: plan.clone(),
        next: AtomicU64::new(plan.first),
        failed: AtomicU64::new(u64::MAX),
        limited_in_a_row: AtomicU64::new(0),
        began: Instant::now(),
    });
    let mut workers = JoinSet::new();
    for _ in 0..plan.jobs.max(1) {
        workers.spawn(work(shared.clone(), target.clone(), progress.clone()));
    }
    let mut findings = Findings::default();
    let mut failed: Option<(u64, Told)> = None;
    while let Some(worker) = workers.join_next().await {
        // a worker that panics loses what it has found; the count of cases begun shows it
        let Ok((found, broken)) = worker else { continue };
        findings.join(&found);
        failed = failed.into_iter().chain(broken).min_by_key(|(case, _)| *case);
    }
    if let Some((case, told)) = failed {
        findings.failure = shortest(target, plan, case, told, progress).await;
    }
    findings.elapsed = shared.began.elapsed();
    findings
}

/// Tells one story after the other; what was found, and the one that failed.
async fn work(
    shared: Arc<Shared>,
    target: Arc<Target>,
    progress: Arc<dyn Progress>,
) -> (Findings, Option<(u64, Told)>) {
    let scope = shared.plan.scope;
    let mut findings = Findings::default();
    while let Some(case) = shared.next() {
        let story = story_tree(shared.plan.telling.seed, case, shared.plan.steps, scope).current();
        let told = bounded(&target, &story, &shared.plan.telling).await;
        match told.outcome {
            Outcome::Limited(_) => drop(shared.limited_in_a_row.fetch_add(1, Ordering::Relaxed)),
            _ => shared.limited_in_a_row.store(0, Ordering::Relaxed),
        }
        progress.case_ends(case, &told);
        findings.add(&told);
        if matches!(told.outcome, Outcome::Broken(_)) {
            // cases begin in order: what this worker would tell next comes after this one
            shared.failed.fetch_min(case, Ordering::Relaxed);
            return (findings, Some((case, told)));
        }
    }
    (findings, None)
}

async fn bounded(target: &Arc<Target>, story: &Story, telling: &Telling) -> Told {
    let within = target.patience.of(STORY_WITHIN);
    match tokio::time::timeout(within, tell(target, story, telling)).await {
        Ok(told) => told,
        Err(_) => Told::untold(Outcome::CannotRun(format!("a story was not over after {within:?}"))),
    }
}

impl Findings {
    fn join(&mut self, other: &Self) {
        self.held += other.held;
        self.undecided += other.undecided;
        self.begun += other.begun;
        self.steps += other.steps;
        self.cleanup = self.cleanup.and(other.cleanup);
        self.coverage.add(&other.coverage);
        join(&mut self.limited, &other.limited);
        join(&mut self.not_carried_out, &other.not_carried_out);
    }

    fn add(&mut self, told: &Told) {
        self.begun += 1;
        self.steps += told.sentences.len() as u64;
        self.cleanup = self.cleanup.and(told.cleanup);
        self.coverage.add(&told.coverage);
        match &told.outcome {
            Outcome::Held => self.held += 1,
            Outcome::Undecided => self.undecided += 1,
            Outcome::Limited(why) => join(&mut self.limited, &(1, why.clone())),
            Outcome::CannotRun(why) => join(&mut self.not_carried_out, &(1, why.clone())),
            Outcome::Broken(_) => {}
        }
    }
}

/// Adds up two counts; the last words stay.
fn join(count: &mut (u64, String), more: &(u64, String)) {
    count.0 += more.0;
    if !more.1.is_empty() {
        count.1.clone_from(&more.1);
    }
}

/// The failing case, confirmed and made as short as it can be.
async fn shortest(
    target: &Arc<Target>,
    plan: &Plan,
    case: u64,
    told: Told,
    progress: &Arc<dyn Progress>,
) -> Option<Failure> {
    let tree = story_tree(plan.telling.seed, case, plan.steps, plan.scope);
    let mut story = tree.current();
    let first_steps = story.steps.len();
    let Outcome::Broken(broken) = &told.outcome else { return None };
    story.steps.truncate(broken.step + 1);
    let again = async |story: &Story| {
        let told = bounded(target, story, &plan.telling).await;
        let gone = matches!(told.outcome, Outcome::Broken(_)) && !is_there(target).await;
        if gone {
            Told::untold(Outcome::CannotRun("the server cannot be reached any more".to_owned()))
        } else {
            told
        }
    };
    let server_gone = !is_there(target).await;
    let mut reproducible = false;
    for _ in 0..if server_gone { 0 } else { CONFIRMATIONS } {
        reproducible |= matches!(again(&story).await.outcome, Outcome::Broken(_));
        if reproducible {
            break;
        }
    }
    let on_progress = |steps, tellings| progress.shrinking(case, steps, tellings);
    let until = Instant::now() + SHRINK_WITHIN;
    let mut shrinking = Shrinking::new(story, told, until, &on_progress);
    if reproducible {
        shrinking.run(tree, &again).await;
    }
    let mut tellings = shrinking.tellings;
    let (mut story, mut told) = shrinking.best;
    // Leaving out cannot turn one way into a shorter other one: short stories that lead to the same row are tried, too.
    let rows = broken_rows(&told);
    let short = if reproducible { shorter(plan, &story, &rows) } else { Vec::new() };
    for (case, length) in short {
        if length >= story.steps.len() || Instant::now() >= until {
            break;
        }
        let mut tree = story_tree(plan.telling.seed, case, story.steps.len() - 1, plan.scope);
        tree.steps.truncate(length);
        let candidate = tree.current();
        let other = again(&candidate).await;
        tellings += 1;
        if matches!(other.outcome, Outcome::Broken(_)) {
            let mut shrinking = Shrinking::new(candidate, other, until, &on_progress);
            shrinking.run(tree, &again).await;
            tellings += shrinking.tellings;
            (story, told) = shrinking.best;
            break;
        }
    }
    let Outcome::Broken(broken) = told.outcome else { return None };
    let record = Record::new(plan.telling.seed, case, story, told.sentences, &broken);
    Some(Failure { record, first_steps, tellings, reproducible, server_gone, transcript: told.transcript })
}

/// Whether anybody answers: a server that has crashed would fail every story.
async fn is_there(target: &Target) -> bool {
    let client = HttpClient::new(target.url.clone(), target.dialer.clone(), Arc::new(Transcript::new()));
    client.get("/", &[("accept", "application/nostr+json")]).await.is_ok()
}

fn broken_rows(told: &Told) -> BTreeSet<Row> {
    match &told.outcome {
        Outcome::Broken(broken) => broken.rows.clone(),
        _ => BTreeSet::new(),
    }
}

/// Short stories that, by the model alone, lead to these rows.
fn shorter(plan: &Plan, story: &Story, rows: &BTreeSet<Row>) -> Vec<(u64, usize)> {
    if story.steps.len() <= SHORT || rows.is_empty() {
        return Vec::new();
    }
    let cases = SHORT_ONES..SHORT_ONES + REHEARSED;
    let mut short = reaching(plan.telling.seed, cases, story.steps.len() - 1, plan.scope, rows);
    short.truncate(SHORT_TRIES);
    short
}
