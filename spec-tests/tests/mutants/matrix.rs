//! Mutants × checks: which mutant meets which checks, what must come of it, and how it is written down.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use futures_util::{StreamExt, stream};
use grasp_audit::catalogue::{self, REQUIREMENTS, Requirement};
use grasp_audit::check::Check;
use grasp_audit::runner::matches;
use grasp_audit::specs;
use spec_tests::gate::TOO_LONG;

use crate::mutant::{Affected, Mutant, Way};
use crate::trial::{Outcome, trial};

/// Mutants on trial at the same time.
const AT_ONCE: usize = 8;
/// Beside them, those whose trial does little but wait; in the gate, where each meets a few checks only.
const WAITING_AT_ONCE: usize = 24;
/// Of the checks of other requirements, that are not expected to catch a mutant, it meets one of so many.
const SAMPLE: u64 = 48;
/// The same in the gate: a part of that sample.
const GATE_SAMPLE: u64 = 5 * SAMPLE;
/// In the gate, of the checks of its own requirement that are not recorded to catch it.
const GATE_OWN_SAMPLE: u64 = 24;

/// Which checks a mutant meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reach {
    /// Those that are recorded to catch it, and samples of its own requirement and of all others. A mutant without a
    /// record meets everything that may catch it.
    Gate,
    /// Those of its own requirement and those that may be affected, and a sample of all others.
    Requirement,
    /// Every one.
    Everything,
}

/// What came of all trials, in the order of the mutants.
pub(crate) struct Matrix<'m>(pub(crate) Vec<(&'m Mutant, Outcome)>);

/// Which checks catch which mutant, as the recorded matrix has it.
#[derive(Debug, Default)]
pub(crate) struct Recorded(BTreeMap<String, BTreeSet<String>>);

impl Recorded {
    /// Reads what [`Matrix::render`] has written.
    pub(crate) fn read(text: &str) -> Self {
        let mut recorded = Self::default();
        let (mut row, mut mutant) = ("", "");
        for line in text.lines() {
            let words = line.trim_start();
            match line.len() - words.len() {
                0 if words.starts_with("G0") => row = words.split(' ').next().unwrap_or_default(),
                2 => mutant = words.split(' ').next().unwrap_or_default(),
                4 if !words.contains(' ') => {
                    recorded.0.entry(mutant.to_owned()).or_default().insert(format!("{row}/{words}"));
                }
                6 => drop(recorded.0.entry(mutant.to_owned()).or_default().insert(words.to_owned())),
                _ => {}
            }
        }
        recorded
    }

    /// What came of a mutant's trial then, in the order of the suite.
    fn outcome(&self, mutant: &str) -> Outcome {
        let failed = self.0.get(mutant);
        let mut checks = specs::all();
        checks.retain(|check| failed.is_some_and(|failed| failed.contains(&check.id)));
        checks.sort_by_key(|check| check.needs.patient);
        let failed = checks.into_iter().map(|check| (check.id, "recorded".to_owned())).collect();
        Outcome { failed, ..Outcome::default() }
    }
}

impl Affected {
    fn covers(&self, id: &str) -> bool {
        if self.checks.contains('*') { matches(self.checks, id) } else { self.checks == id }
    }
}

impl Mutant {
    fn is_own(&self, check: &str) -> bool {
        check.strip_prefix(self.breaks).is_some_and(|name| name.starts_with('/'))
    }

    /// Whether its server has what the check is about: what is optional is on for the mutants of its own specification.
    fn may_meet(&self, check: &Check) -> bool {
        let too_long = TOO_LONG.iter().any(|(id, _)| *id == check.id);
        let waits_enough = !check.needs.patient || self.patient && !too_long;
        waits_enough
            && (check.needs.grasp.is_none() || specification(&check.id) == specification(self.breaks))
    }

    fn may_fail(&self, check: &str) -> bool {
        self.is_own(check) || self.affected.iter().any(|affected| affected.covers(check))
    }
}

fn meets(mutant: &Mutant, reach: Reach, recorded: &Recorded) -> Vec<Check> {
    let record = recorded.0.get(mutant.name).filter(|_| reach == Reach::Gate);
    let one_of = if reach == Reach::Gate { GATE_SAMPLE } else { SAMPLE };
    let is_met = |check: &Check| {
        let expected = match record {
            Some(record) => {
                let own = mutant.is_own(&check.id) && is_sampled(mutant, check, GATE_OWN_SAMPLE);
                own || record.contains(&check.id)
            }
            None => mutant.may_fail(&check.id),
        };
        let sampled = !check.needs.patient && is_sampled(mutant, check, one_of);
        (reach == Reach::Everything || expected || sampled) && mutant.may_meet(check)
    };
    specs::all().into_iter().filter(is_met).collect()
}

/// Whether a check is in a mutant's sample, which is one of so many. The names decide: a new mutant or check moves nothing
/// else into a sample or out of it.
fn is_sampled(mutant: &Mutant, check: &Check, one_of: u64) -> bool {
    let mut hasher = DefaultHasher::new();
    (mutant.name, &check.id).hash(&mut hasher);
    hasher.finish().is_multiple_of(one_of)
}

impl<'m> Matrix<'m> {
    /// Holds the trials of the mutants that `wanted` picks; progress goes to standard error.
    pub(crate) async fn of(
        mutants: &'m [Mutant],
        wanted: impl Fn(&Mutant) -> bool,
        reach: Reach,
        recorded: &Recorded,
    ) -> Self {
        let numbers = (0..mutants.len()).filter(|number| wanted(&mutants[*number]));
        let (mut waiting, busy): (Vec<usize>, Vec<usize>) =
            numbers.partition(|number| mutants[*number].mostly_waits());
        waiting.sort_by_key(|number| !mutants[*number].patient);
        let hold = |number: usize| async move {
            let started = std::time::Instant::now();
            let checks = meets(&mutants[number], reach, recorded);
            let outcome = trial(&mutants[number], checks).await;
            eprintln!(
                "{:<44} {:>3} checks, {:>2} failed, {:>5.1} s",
                mutants[number].name,
                outcome.ran,
                outcome.failed.len(),
                started.elapsed().as_secs_f32()
            );
            (number, outcome)
        };
        let hold_all = |numbers: Vec<usize>, at_once| {
            stream::iter(numbers.into_iter().map(&hold)).buffer_unordered(at_once).collect::<Vec<_>>()
        };
        let at_once = if reach == Reach::Gate { WAITING_AT_ONCE } else { AT_ONCE };
        let (mut outcomes, busy) = tokio::join!(hold_all(waiting, at_once), hold_all(busy, AT_ONCE));
        outcomes.extend(busy);
        outcomes.sort_by_key(|(number, _)| *number);
        Self(outcomes.into_iter().map(|(number, outcome)| (&mutants[number], outcome)).collect())
    }

    /// This matrix, and of the mutants that were not on trial what is recorded.
    pub(crate) fn completed(self, mutants: &'m [Mutant], recorded: &Recorded) -> Self {
        let tried = self.0.into_iter().map(|(mutant, outcome)| (mutant.name, outcome));
        let mut tried: BTreeMap<&str, Outcome> = tried.collect();
        let outcome = |mutant: &'m Mutant| {
            let outcome = tried.remove(mutant.name).unwrap_or_else(|| recorded.outcome(mutant.name));
            (mutant, outcome)
        };
        Self(mutants.iter().map(outcome).collect())
    }

    /// Whether every mutant has been on trial, now or when this was recorded: every one of them was caught by something.
    pub(crate) fn is_complete(&self) -> bool {
        self.0.iter().all(|(_, outcome)| !outcome.failed.is_empty())
    }

    /// What is wrong with mutants or checks; nothing is how it should be.
    pub(crate) fn complaints(&self) -> Vec<String> {
        self.0.iter().flat_map(|(mutant, outcome)| complaints_about(mutant, outcome)).collect()
    }

    /// The checks that some mutant kills.
    pub(crate) fn killed_checks(&self) -> BTreeSet<&str> {
        self.0.iter().flat_map(|(_, outcome)| outcome.failed.iter().map(|(id, _)| id.as_str())).collect()
    }

    fn is_killed(mutant: &Mutant, outcome: &Outcome) -> bool {
        outcome.failed.iter().any(|(id, _)| mutant.is_own(id))
    }

    /// `N mutants, N killed`, and the checks they kill, section by section.
    pub(crate) fn summary(&self) -> String {
        let killed = |section: Option<&str>| {
            let within = |id: &str| section.is_none_or(|section| id.starts_with(&format!("{section}/")));
            let mutants: Vec<_> = self.0.iter().filter(|(mutant, _)| within(mutant.breaks)).collect();
            let dead = mutants.iter().filter(|(mutant, outcome)| Self::is_killed(mutant, outcome)).count();
            let checks = specs::all().into_iter().filter(|check| within(&check.id)).count();
            let caught = self.killed_checks().into_iter().filter(|id| within(id)).count();
            format!("{} mutants, {dead} killed; {caught} of {checks} checks kill one", mutants.len())
        };
        let mut text = format!("{}\n", killed(None));
        let sections: BTreeSet<&str> = self.0.iter().map(|(mutant, _)| section(mutant)).collect();
        for section in sections {
            let _ = writeln!(text, "  {section:<14} {}", killed(Some(section)));
        }
        text
    }

    /// The whole matrix, for the snapshot: mutant → the checks that fail.
    pub(crate) fn render(&self) -> String {
        let mut text = self.summary();
        for row in REQUIREMENTS {
            let own: Vec<_> = self.0.iter().filter(|(mutant, _)| mutant.breaks == row.id).collect();
            if own.is_empty() {
                continue;
            }
            let _ = writeln!(text, "\n{} ({})", row.id, row.level);
            own.into_iter().for_each(|(mutant, outcome)| write_mutant(&mut text, mutant, outcome));
        }
        text
    }
}

/// `G02` of `G02/sync/health` and of a check of it.
fn specification(id: &str) -> Option<&str> {
    id.split('/').next()
}

fn section(mutant: &Mutant) -> &'static str {
    catalogue::requirement(mutant.breaks).map_or("", Requirement::section)
}

fn write_mutant(text: &mut String, mutant: &Mutant, outcome: &Outcome) {
    let way = if matches!(mutant.way, Way::Fault) { "fault" } else { "proxy" };
    let _ = writeln!(text, "\n  {} ({way}): {}", mutant.name, mutant.what);
    let prefix = format!("{}/", mutant.breaks);
    for (id, _) in &outcome.failed {
        if let Some(name) = id.strip_prefix(&prefix) {
            let _ = writeln!(text, "    {name}");
        }
    }
    let mut by_reason: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (id, _) in outcome.failed.iter().filter(|(id, _)| !mutant.is_own(id)) {
        let reason = mutant.affected.iter().find(|affected| affected.covers(id));
        by_reason.entry(reason.map_or("UNRELATED", |affected| affected.because)).or_default().push(id);
    }
    for (reason, ids) in by_reason {
        let _ = writeln!(text, "    affected: {reason}");
        for id in ids {
            let _ = writeln!(text, "      {id}");
        }
    }
}

fn complaints_about(mutant: &Mutant, outcome: &Outcome) -> Vec<String> {
    let mut complaints: Vec<String> =
        outcome.errors.iter().map(|error| format!("{}: {error}", mutant.name)).collect();
    if !Matrix::is_killed(mutant, outcome) {
        complaints.push(format!("{}: no check of {} catches it", mutant.name, mutant.breaks));
    }
    for (id, why) in outcome.failed.iter().filter(|(id, _)| !mutant.may_fail(id)) {
        complaints.push(format!("{}: caught by {id}, which is about something else: {why}", mutant.name));
    }
    for affected in &mutant.affected {
        if !outcome.failed.iter().any(|(id, _)| affected.covers(id)) {
            complaints.push(format!("{}: {} is listed as affected and is not", mutant.name, affected.checks));
        }
    }
    complaints
}
