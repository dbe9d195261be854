//! The result of a run as data, and its forms: terminal, JSON, JUnit.

pub mod junit;
pub mod terminal;

use std::time::Duration;

use serde::Serialize;

use crate::catalogue::{self, Level};
use crate::check::{Check, Verdict};
use crate::target::Target;
use crate::target::transcript::Entry;

/// How many things of a kind there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Checks that passed.
    pub passed: usize,
    /// MUST rows' checks that failed.
    pub failed_must: usize,
    /// Other checks that failed.
    pub failed_other: usize,
    /// Checks that proved nothing.
    pub skipped: usize,
    /// Checks that passed with a remark.
    pub warned: usize,
    /// Checks that could not be carried out.
    pub errors: usize,
}

/// What became of the events a check published.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Cleanup {
    /// How many were taken by the server.
    pub published: usize,
    /// How many of them it was asked to delete, successfully.
    pub deleted: usize,
}

impl Cleanup {
    /// Nothing deleted yet.
    #[must_use]
    pub fn left(published: usize) -> Self {
        Self { published, deleted: 0 }
    }
}

/// One check's result.
#[derive(Debug, Clone, Serialize)]
pub struct CheckReport {
    /// The check.
    pub id: String,
    /// The catalogue row.
    pub requirement: &'static str,
    /// How binding that is.
    pub level: Level,
    /// What the check does.
    pub title: String,
    /// How it ended.
    #[serde(flatten)]
    pub verdict: Verdict,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
    /// What it left behind.
    pub cleanup: Cleanup,
    /// What went over the wire; empty for what passed.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transcript: Vec<Entry>,
}

impl CheckReport {
    /// The result of `check`; the transcript is kept when somebody will want to read it.
    #[must_use]
    pub fn new(
        check: &Check,
        verdict: Verdict,
        duration: Duration,
        transcript: Vec<Entry>,
        cleanup: Cleanup,
    ) -> Self {
        let telling = matches!(verdict, Verdict::Fail { .. } | Verdict::Error { .. } | Verdict::Warn { .. });
        Self {
            id: check.id.clone(),
            requirement: check.requirement,
            level: check.level(),
            title: check.title.clone(),
            verdict,
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            cleanup,
            transcript: if telling { transcript } else { Vec::new() },
        }
    }
}

/// A whole run.
#[derive(Debug, Clone, Serialize)]
pub struct Report {
    /// Version of this suite.
    pub suite: &'static str,
    /// Revision of the catalogue.
    pub catalogue: &'static str,
    /// The server's URL.
    pub url: String,
    /// `name` and `software version` as its NIP-11 document has them.
    pub server: String,
    /// When it began, the server's unix time in seconds.
    pub started: u64,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
    /// How it went.
    pub totals: Totals,
    /// Every check in the order of the specification.
    pub checks: Vec<CheckReport>,
}

impl Report {
    /// Sums the results up.
    #[must_use]
    pub fn new(target: &Target, started: u64, duration: Duration, checks: Vec<CheckReport>) -> Self {
        let mut totals = Totals::default();
        for check in &checks {
            match (&check.verdict, check.level) {
                (Verdict::Pass, _) => totals.passed += 1,
                (Verdict::Fail { .. }, Level::Must) => totals.failed_must += 1,
                (Verdict::Fail { .. }, _) => totals.failed_other += 1,
                (Verdict::Skip { .. }, _) => totals.skipped += 1,
                (Verdict::Warn { .. }, _) => totals.warned += 1,
                (Verdict::Error { .. }, _) => totals.errors += 1,
            }
        }
        let fact = |name: &str| {
            target.nip11.as_ref().and_then(|document| document[name].as_str()).unwrap_or_default()
        };
        Self {
            suite: env!("CARGO_PKG_VERSION"),
            catalogue: catalogue::REVISION,
            url: target.url.base(),
            server: format!("{} {} {}", fact("name"), fact("software"), fact("version")).trim().to_owned(),
            started,
            duration_ms: u64::try_from(duration.as_millis()).unwrap_or(u64::MAX),
            totals,
            checks,
        }
    }

    /// 0: every MUST passed or was skipped with a reason. 1: a MUST failed. 2: a check could not be carried out,
    /// or there was none.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if self.totals.failed_must > 0 {
            1
        } else if self.totals.errors > 0 || self.checks.is_empty() {
            2
        } else {
            0
        }
    }

    /// The whole report as JSON.
    ///
    /// # Errors
    /// Never in practice: every field is plain data.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }
}
