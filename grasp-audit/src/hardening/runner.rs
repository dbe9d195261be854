//! Runs cases one after the other, with the vital signs taken while each runs and after it.

use std::sync::Arc;
use std::time::{Duration, Instant};

use grasp_fixtures::keys;
use tokio::task::JoinHandle;

use super::case::{Case, Findings, Grade};
use super::ground::{Ground, Victim};
use super::meter::Meter;
use super::report::{CaseReport, HardeningReport, Stopped};
use super::vital_signs::{Ailment, VitalSigns, Vitals};
use crate::check::{CheckResult, Ending};
use crate::context::Context;
use crate::ledger::Ledger;
use crate::report::Cleanup;
use crate::runner::{Options, Progress, Silent, clean_up, matches};
use crate::target::transcript::Transcript;
use crate::target::url::repository_path;
use crate::target::{Target, TargetError};

/// How long a server may take after a case until it serves as before.
pub(crate) const RECOVERS_WITHIN: Duration = Duration::from_secs(60);
/// How often it is looked at while a case runs, and while it recovers.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// Hostile cases to run, and how.
pub struct HardeningSuite {
    options: Options,
    cases: Vec<Case>,
    progress: Arc<dyn Progress>,
}

impl HardeningSuite {
    /// Every case of [`super::all`] that the options' filter lets through.
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self::of(super::all(), options)
    }

    /// These cases, as far as the options' filter lets them through.
    #[must_use]
    pub fn of(cases: Vec<Case>, options: Options) -> Self {
        let wanted = |case: &Case| options.filter.as_deref().is_none_or(|filter| matches(filter, &case.id));
        let cases = cases.into_iter().filter(wanted).collect();
        Self { options, cases, progress: Arc::new(Silent) }
    }

    /// Tells `progress` how it goes.
    #[must_use]
    pub fn with_progress(mut self, progress: Arc<dyn Progress>) -> Self {
        self.progress = progress;
        self
    }

    /// The cases that will be run.
    #[must_use]
    pub fn selected(&self) -> &[Case] {
        &self.cases
    }

    /// Runs them against the server at `url`. Ask its operator before; [`super::statement`] says what for.
    ///
    /// # Errors
    /// Only when no case could begin: a wrong URL, an unreachable server.
    pub async fn run(self, url: &str) -> Result<HardeningReport, TargetError> {
        let target = Target::discover(url, self.options.ca.clone()).await?;
        let target = Arc::new(target.with_patience(self.options.patience));
        let clock = Instant::now();
        self.progress.begins(self.cases.len());
        let worlds = Worlds { target: target.clone(), options: self.options };
        let ledger = Arc::new(Ledger::default());
        let (victim, path) = worlds.victim(&ledger).await;
        let (mut reports, mut stopped, mut baseline) = (Vec::new(), None, None);
        match VitalSigns::learn(target.clone(), &path).await {
            Err(ailment) => stopped = Some(Stopped { case: None, why: ailment.to_string() }),
            Ok(signs) => {
                baseline = Some(signs.baseline);
                let signs = Arc::new(signs);
                for case in &self.cases {
                    self.progress.case_begins(case);
                    let (report, ailment) = worlds.run(case, victim.clone(), &signs).await;
                    self.progress.case_ends(&report);
                    reports.push(report);
                    if let Some(ailment) = ailment {
                        stopped = Some(Stopped { case: Some(case.id.clone()), why: ailment.to_string() });
                        break;
                    }
                }
            }
        }
        if worlds.options.cleanup && stopped.is_none() {
            clean_up(&target, &ledger, true).await;
        }
        self.progress.ends();
        let (url, selected) = (target.url.base(), self.cases.len());
        Ok(HardeningReport::new(url, clock.elapsed(), baseline, selected, stopped, reports))
    }
}

/// Makes the world of each case.
struct Worlds {
    target: Arc<Target>,
    options: Options,
}

impl Worlds {
    fn context(&self, name: &str, transcript: Arc<Transcript>, ledger: Arc<Ledger>) -> Context {
        let owner = self.options.owner.clone().unwrap_or_else(keys::fresh);
        let identifier = format!("{}-{name}-{}", self.options.identifier_prefix, keys::random_suffix(8));
        Context::new(self.target.clone(), owner, identifier, self.options.expiry, transcript, ledger)
    }

    /// The repository that cases aim at, or why there is none; and the path under which it would be.
    async fn victim(&self, ledger: &Arc<Ledger>) -> (Result<Arc<Victim>, String>, String) {
        let ctx = self.context("victim", Arc::new(Transcript::new()), ledger.clone());
        let path = repository_path(&ctx.owner.public_key(), &ctx.identifier);
        let npub = keys::npub(&ctx.owner.public_key());
        let victim = ctx.hosted_repository().await;
        (victim.map(|hosted| Arc::new(Victim { hosted, npub })).map_err(|ending| told(&ending)), path)
    }

    /// Runs one case; also what is wrong with the server afterwards, if it does not recover.
    async fn run(
        &self,
        case: &Case,
        victim: Result<Arc<Victim>, String>,
        signs: &Arc<VitalSigns>,
    ) -> (CaseReport, Option<Ailment>) {
        let (transcript, ledger, clock) =
            (Arc::new(Transcript::new()), Arc::new(Ledger::default()), Instant::now());
        let meter = Meter::new(case.load);
        let name = case.id.rsplit('/').next().unwrap_or_default();
        let ctx = self.context(name, transcript.clone(), ledger.clone());
        let ground = Ground::new(ctx, victim, meter.clone(), transcript.clone());
        let pulse = Pulse::start(signs.clone(), self.target.patience.of(LOOK_AGAIN).min(LOOK_AGAIN));
        let result = bounded(case, ground).await;
        let (meanwhile, ailments) = pulse.stop();
        let mut findings = Findings::new();
        let interrupted = match result {
            Ok(found) => {
                findings = found;
                None
            }
            Err(Ending::Skip(why)) => Some(Grade::Skip { why }),
            Err(Ending::CannotRun(text)) => Some(Grade::Error { text }),
            Err(ending @ (Ending::Fail { .. } | Ending::Warn(_))) => {
                findings.weak("an ordinary step of the case", told(&ending));
                None
            }
        };
        for ailment in ailments {
            // How slow it may become under a flood is a matter of taste; whether it serves is none.
            match ailment {
                Ailment::Unreachable(what) => findings.weak("meanwhile, others", what),
                other => findings.tolerable("meanwhile", other),
            }
        }
        let (afterwards, ailment) = self.recovered(signs, &mut findings).await;
        let did = findings.told();
        let grade = match interrupted {
            Some(grade) if ailment.is_none() => grade,
            _ => findings.grade(),
        };
        let mut report = CaseReport::new(case, grade, did, clock.elapsed());
        if !matches!(report.grade, Grade::Robust | Grade::Skip { .. }) {
            report.transcript = transcript.entries();
        }
        (report.load, report.meanwhile, report.afterwards) = (meter.used(), meanwhile, afterwards);
        report.cleanup = if self.options.cleanup && ailment.is_none() {
            clean_up(&self.target, &ledger, true).await
        } else {
            Cleanup::untouched(ledger.len())
        };
        (report, ailment)
    }

    /// Waits until the server serves as before.
    async fn recovered(
        &self,
        signs: &VitalSigns,
        findings: &mut Findings,
    ) -> (Option<Vitals>, Option<Ailment>) {
        let clock = Instant::now();
        let within = self.target.patience.of(RECOVERS_WITHIN);
        let mut first = None;
        loop {
            let ailment = match signs.healthy().await {
                Ok(vitals) => {
                    if let Some(ailment) = first {
                        let after = clock.elapsed().as_secs_f64();
                        findings.tolerable("afterwards", format!("{ailment}; as before after {after:.1} s"));
                    }
                    return (Some(vitals), None);
                }
                Err(ailment) => ailment,
            };
            if clock.elapsed() >= within {
                findings.weak("afterwards", format!("{ailment}, still after {} s", within.as_secs()));
                return (None, Some(ailment));
            }
            first.get_or_insert(ailment);
            tokio::time::sleep(self.target.patience.of(LOOK_AGAIN)).await;
        }
    }
}

async fn bounded(case: &Case, ground: Ground) -> CheckResult<Findings> {
    // a patient auditor waits longer for each answer
    let within = ground.patience().of(case.bound).max(case.bound);
    // a task of its own: a panic ends it and nothing else
    let mut task = tokio::spawn(case.start(ground));
    match tokio::time::timeout(within, &mut task).await {
        Ok(Ok(result)) => result,
        Ok(Err(error)) => Err(Ending::CannotRun(format!("the case itself broke: {error}"))),
        Err(_) => {
            task.abort();
            Err(Ending::CannotRun(format!("the case was not over after {within:?}")))
        }
    }
}

fn told(ending: &Ending) -> String {
    match ending {
        Ending::Fail { expected, seen } => format!("expected {expected}, seen: {seen}"),
        Ending::Skip(text) | Ending::Warn(text) | Ending::CannotRun(text) => text.clone(),
    }
}

/// Takes the vital signs again and again beside a case.
struct Pulse {
    beating: JoinHandle<()>,
    seen: Arc<std::sync::Mutex<Seen>>,
}

#[derive(Default)]
struct Seen {
    worst: Option<Vitals>,
    ailments: Vec<Ailment>,
}

/// How many different ailments are kept.
const MAX_AILMENTS: usize = 8;

impl Pulse {
    fn start(signs: Arc<VitalSigns>, every: Duration) -> Self {
        let seen = Arc::new(std::sync::Mutex::new(Seen::default()));
        let kept = seen.clone();
        let beating = tokio::spawn(async move {
            loop {
                tokio::time::sleep(every).await;
                let taken = signs.take().await;
                let mut seen = kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                match taken {
                    Ok(vitals) => seen.worst = Some(seen.worst.map_or(vitals, |worst| worst.worst(vitals))),
                    Err(ailment) if seen.ailments.len() < MAX_AILMENTS => seen.ailments.push(ailment),
                    Err(_) => {}
                }
            }
        });
        Self { beating, seen }
    }

    fn stop(self) -> (Option<Vitals>, Vec<Ailment>) {
        self.beating.abort();
        let seen = std::mem::take(&mut *self.seen.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        (seen.worst, seen.ailments)
    }
}
