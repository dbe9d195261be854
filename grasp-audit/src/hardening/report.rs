//! The result of a hardening run as data, apart from conformance.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::case::{Area, Case, Grade};
use super::meter::Load;
use super::vital_signs::Vitals;
use crate::report::Cleanup;
use crate::report::outcome::Outcome;
use crate::target::transcript::Entry;

/// How many cases ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HardeningTotals {
    /// The server did what a robust one does.
    pub robust: usize,
    /// It came to no harm, with a remark.
    pub tolerable: usize,
    /// It was weak.
    pub weak: usize,
    /// Nothing was found out, for a reason.
    pub skipped: usize,
    /// The case could not be carried out.
    pub errors: usize,
    /// Not run, because an earlier case left the server unusable.
    pub not_run: usize,
}

/// One case's result.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CaseReport {
    /// The case, `H/http/path-traversal`.
    pub id: String,
    /// Which door.
    pub area: Area,
    /// What was sent.
    pub sends: String,
    /// What a robust server does.
    pub robust: String,
    /// What this one did, in a line.
    pub did: String,
    /// The grade.
    #[serde(flatten)]
    pub grade: Grade,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// What was sent, counted.
    pub load: Load,
    /// The worst vital signs while it ran; absent when it was over before they could be taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub meanwhile: Option<Vitals>,
    /// The vital signs after it; absent when the server was unusable.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub afterwards: Option<Vitals>,
    /// What was published, and deleted again.
    pub cleanup: Cleanup,
    /// What went over the wire; empty for what was robust.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transcript: Vec<Entry>,
}

/// Why a run ended before its last case.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Stopped {
    /// The case that did it; absent when the server was unusable before the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub case: Option<String>,
    /// What was wrong with the server.
    pub why: String,
}

/// A whole hardening run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[non_exhaustive]
pub struct HardeningReport {
    /// Version of this suite.
    pub suite: String,
    /// Revision of the catalogue of cases, [`super::REVISION`].
    pub catalogue: String,
    /// The server's URL.
    pub url: String,
    /// How long it took, in milliseconds.
    pub duration_ms: u64,
    /// The vital signs before the first case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Vitals>,
    /// How it went.
    pub totals: HardeningTotals,
    /// What was sent, all cases together.
    pub load: Load,
    /// Why it ended early, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stopped: Option<Stopped>,
    /// Every case that was run, in order.
    pub cases: Vec<CaseReport>,
}

impl HardeningReport {
    pub(crate) fn new(
        url: String,
        duration: Duration,
        baseline: Option<Vitals>,
        selected: usize,
        stopped: Option<Stopped>,
        cases: Vec<CaseReport>,
    ) -> Self {
        let mut totals = HardeningTotals { not_run: selected - cases.len(), ..HardeningTotals::default() };
        for case in &cases {
            *match case.grade {
                Grade::Robust => &mut totals.robust,
                Grade::Tolerable { .. } => &mut totals.tolerable,
                Grade::Weak { .. } => &mut totals.weak,
                Grade::Skip { .. } => &mut totals.skipped,
                Grade::Error { .. } => &mut totals.errors,
            } += 1;
        }
        Self {
            suite: crate::VERSION.to_owned(),
            catalogue: super::REVISION.to_owned(),
            url,
            duration_ms: milliseconds(duration),
            baseline,
            totals,
            load: cases.iter().fold(Load::default(), |load, case| load.and_then(case.load)),
            stopped,
            cases,
        }
    }

    /// The verdict in one sentence; it says the same as [`HardeningReport::holds`].
    #[must_use]
    pub fn sentence(&self) -> String {
        match (&self.stopped, self.totals.weak) {
            (Some(_), _) => "the server did not stand it".to_owned(),
            (None, 0) => "no case found the server weak".to_owned(),
            (None, 1) => "one case found the server weak".to_owned(),
            (None, weak) => format!("{weak} cases found the server weak"),
        }
    }

    /// The outcome of a run that has the same colour.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        match (self.holds(), self.totals.errors, self.totals.tolerable) {
            (false, ..) => Outcome::Fail,
            (true, 1.., _) => Outcome::Error,
            (true, 0, 1..) => Outcome::Warn,
            (true, 0, 0) => Outcome::Pass,
        }
    }

    /// How many cases ended how, in words.
    #[must_use]
    pub const fn counted(&self) -> [(usize, &'static str, Outcome); 6] {
        let totals = &self.totals;
        [
            (totals.robust, "robust", Outcome::Pass),
            (totals.tolerable, "tolerable", Outcome::Warn),
            (totals.weak, "weak", Outcome::Fail),
            (totals.skipped, "skipped", Outcome::Skip),
            (totals.errors, "not carried out", Outcome::Error),
            (totals.not_run, "not run", Outcome::Error),
        ]
    }

    /// What was sent: `812 messages, 4.5 MB, over up to 200 connections at a time`.
    #[must_use]
    pub fn sent(&self) -> String {
        let Load { at_once, messages, bytes } = self.load;
        let megabytes = bytes as f64 / 1e6;
        format!("{messages} messages, {megabytes:.1} MB, over up to {at_once} connections at a time")
    }

    /// Why cases were not run, if some were not.
    #[must_use]
    pub fn stop(&self) -> Option<String> {
        let Stopped { case, why } = self.stopped.as_ref()?;
        let at = case.as_ref().map_or("before the first case".to_owned(), |case| format!("after {case}"));
        let left = match self.totals.not_run {
            1 => "1 case was".to_owned(),
            left => format!("{left} cases were"),
        };
        Some(format!("stopped {at}: {why}; {left} not run; look whether the server is still up"))
    }

    /// Whether no case found the server weak, and none was left out because the server had become unusable.
    #[must_use]
    pub const fn holds(&self) -> bool {
        self.totals.weak == 0 && self.stopped.is_none()
    }
}

impl CaseReport {
    /// What the server did, in a line; or why nobody knows.
    #[must_use]
    pub fn line(&self) -> &str {
        match &self.grade {
            Grade::Skip { why } => why,
            _ => &self.did,
        }
    }

    pub(crate) fn new(case: &Case, grade: Grade, did: String, duration: Duration) -> Self {
        Self {
            id: case.id.clone(),
            area: case.area,
            sends: case.sends.to_owned(),
            robust: case.robust.to_owned(),
            did,
            grade,
            duration_ms: milliseconds(duration),
            load: Load::default(),
            meanwhile: None,
            afterwards: None,
            cleanup: Cleanup::default(),
            transcript: Vec::new(),
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
