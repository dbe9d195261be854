//! The result of a run as data, and its forms: terminal, JSON, JUnit, Markdown, HTML, a badge.

pub mod badge;
pub mod baseline;
pub mod comparison;
pub mod html;
pub mod junit;
pub mod markdown;
pub mod outcome;
pub mod outline;
pub mod terminal;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use self::baseline::Baseline;
use self::outcome::Outcome;
use crate::attachment::Attachment;
use crate::catalogue::{self, Level};
use crate::check::{Check, Verdict};
use crate::document::Document;
use crate::hardening::HardeningReport;
use crate::peer::timeline::Timeline;
use crate::target::Target;
use crate::target::transcript::{Entry, Traffic, Transcript};

/// How many things of a kind there were.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
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
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cleanup {
    /// How many were taken by the server.
    pub published: usize,
    /// How many of them it was asked to delete at the end, successfully. A check may have deleted others itself.
    pub deleted: usize,
    /// How many it serves afterwards, asked by their ids; where it did not answer, how many were not deleted.
    #[serde(default)]
    pub left: usize,
}

impl Cleanup {
    /// Nothing deleted yet.
    #[must_use]
    pub const fn untouched(published: usize) -> Self {
        Self { published, deleted: 0, left: published }
    }

    /// Both together.
    #[must_use]
    pub const fn and(self, other: Self) -> Self {
        Self {
            published: self.published + other.published,
            deleted: self.deleted + other.deleted,
            left: self.left + other.left,
        }
    }

    /// What is left, in words: `published 3 events; besides deletion requests (NIP-09), 1 is still served`.
    #[must_use]
    pub fn sentence(&self) -> String {
        let events = if self.published == 1 { "event" } else { "events" };
        let left = match self.left {
            0 => "none is still served".to_owned(),
            1 => "1 is still served".to_owned(),
            left => format!("{left} are still served"),
        };
        format!("published {} {events}; besides deletion requests (NIP-09), {left}", self.published)
    }
}

/// One check's result.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct CheckReport {
    /// The check.
    pub id: String,
    /// The catalogue row.
    pub requirement: String,
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
    /// How many messages went over the wire, by kind of conversation: `http`, `ws`, `git`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub traffic: BTreeMap<String, Traffic>,
    /// Evidence that the check has put beside the wire, whatever its verdict.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attachments: Vec<Attachment>,
    /// What the server did at the auditor's peers, whatever the verdict.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub peers: Vec<Timeline>,
    /// What went over the wire; empty for what passed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub transcript: Vec<Entry>,
}

impl CheckReport {
    /// The result of `check`; the transcript is kept when somebody will want to read it.
    #[must_use]
    pub fn new(
        check: &Check,
        verdict: Verdict,
        duration: Duration,
        transcript: &Transcript,
        cleanup: Cleanup,
    ) -> Self {
        let telling = !matches!(verdict.outcome(), Outcome::Pass | Outcome::Skip);
        Self {
            id: check.id.clone(),
            requirement: check.requirement.to_owned(),
            level: check.level(),
            title: check.title.clone(),
            verdict,
            duration_ms: milliseconds(duration),
            cleanup,
            traffic: transcript.traffic(),
            attachments: transcript.attachments(),
            peers: transcript.timelines(),
            transcript: if telling { transcript.entries() } else { Vec::new() },
        }
    }

    /// How it ended, without the words.
    #[must_use]
    pub const fn outcome(&self) -> Outcome {
        self.verdict.outcome()
    }
}

/// A whole run.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Report {
    /// [`Report::FORMAT`].
    pub format: String,
    /// [`Report::SCHEMA`] of the suite that wrote it.
    pub schema: u32,
    /// Version of the suite.
    pub suite: String,
    /// Revision of the catalogue.
    pub catalogue: String,
    /// The server's URL.
    pub url: String,
    /// `name` and `software version` as its NIP-11 document has them.
    pub server: String,
    /// When it began, unix time in seconds by the auditor's clock.
    pub started: u64,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
    /// Only checks whose id matches this were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub filter: Option<String>,
    /// How it went.
    pub totals: Totals,
    /// How it went beside an earlier report, when one was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub baseline: Option<Baseline>,
    /// Every check in the order of the specification.
    pub checks: Vec<CheckReport>,
    /// How the server stood hostile input, when that was asked for. It decides nothing about conformance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hardening: Option<HardeningReport>,
}

impl Document for Report {
    const FORMAT: &'static str = "grasp-audit/report";
    const SCHEMA: u32 = 1;
    const MADE_BY: &'static str = "`grasp-audit audit URL --json FILE`";
}

impl Report {
    /// Sums the results up.
    #[must_use]
    pub fn new(target: &Target, started: u64, duration: Duration, checks: Vec<CheckReport>) -> Self {
        let fact = |name: &str| {
            target.nip11.as_ref().and_then(|document| document[name].as_str()).unwrap_or_default()
        };
        Self {
            format: Self::FORMAT.to_owned(),
            schema: Self::SCHEMA,
            suite: crate::VERSION.to_owned(),
            catalogue: catalogue::REVISION.to_owned(),
            url: target.url.base(),
            server: format!("{} {} {}", fact("name"), fact("software"), fact("version")).trim().to_owned(),
            started,
            duration_ms: milliseconds(duration),
            filter: None,
            totals: Totals::of(&checks),
            baseline: None,
            checks,
            hardening: None,
        }
    }

    /// Without a baseline: 0 when every MUST passed or was skipped with a reason, 1 when a MUST failed, 2 when a check
    /// could not be carried out or nothing was examined. With one, [`Baseline::exit_code`] decides, if anything was.
    /// Hardening changes nothing about it.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if self.checks.is_empty() {
            if self.is_about_conformance() { 2 } else { 0 }
        } else if self.is_all_skipped() {
            2
        } else if let Some(baseline) = &self.baseline {
            baseline.exit_code()
        } else if self.totals.failed_must > 0 {
            1
        } else if self.totals.errors > 0 {
            2
        } else {
            0
        }
    }

    /// Whether anything but hostile input was asked for.
    pub(crate) fn is_about_conformance(&self) -> bool {
        !self.checks.is_empty() || self.hardening.is_none()
    }

    /// Whether there were checks, and none of them proved anything.
    fn is_all_skipped(&self) -> bool {
        !self.checks.is_empty() && self.totals.skipped == self.checks.len()
    }

    /// Whether [`Report::exit_code`] is 0: something was examined, and what decides holds.
    #[must_use]
    pub fn holds(&self) -> bool {
        self.exit_code() == 0
    }

    /// The checks that failed, whatever their level, and those that could not be carried out.
    pub fn failures(&self) -> impl Iterator<Item = &CheckReport> {
        self.checks.iter().filter(|check| matches!(check.outcome(), Outcome::Fail | Outcome::Error))
    }

    /// The verdict on the server in one sentence; it says the same as [`Report::exit_code`].
    #[must_use]
    pub fn sentence(&self) -> String {
        if !self.is_about_conformance() {
            return "conformance was not examined".to_owned();
        }
        if self.is_all_skipped() {
            return match self.checks.len() {
                1 => "nothing was examined: the only check was skipped".to_owned(),
                all => format!("nothing was examined: all {all} checks were skipped"),
            };
        }
        match (&self.baseline, self.exit_code()) {
            (Some(baseline), 1) => {
                let worse = baseline.of(baseline::Kind::Worse).count();
                format!(
                    "{worse} {} worse than in the baseline",
                    if worse == 1 { "check got" } else { "checks got" }
                )
            }
            (Some(_), 0) => "nothing got worse than in the baseline".to_owned(),
            (None, 0) => "every MUST that was examined holds".to_owned(),
            (None, 1) => "a MUST does not hold".to_owned(),
            _ => "no verdict: not everything could be examined".to_owned(),
        }
    }

    /// What became of the events that the checks published, together.
    #[must_use]
    pub fn cleanup(&self) -> Cleanup {
        self.checks.iter().fold(Cleanup::default(), |sum, check| sum.and(check.cleanup))
    }

    /// The whole report as JSON.
    ///
    /// # Errors
    /// Never in practice: every field is plain data.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }
}

/// As on a terminal without colours: `assert!(report.holds(), "{report}")`.
impl std::fmt::Display for Report {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.is_about_conformance() {
            f.write_str(&terminal::render(self, false))?;
        }
        match &self.hardening {
            Some(hostile) => f.write_str(&crate::hardening::terminal::render(hostile, false)),
            None => Ok(()),
        }
    }
}

impl Totals {
    fn of(checks: &[CheckReport]) -> Self {
        let mut totals = Self::default();
        for check in checks {
            *match (check.outcome(), check.level) {
                (Outcome::Pass, _) => &mut totals.passed,
                (Outcome::Fail, Level::Must) => &mut totals.failed_must,
                (Outcome::Fail, _) => &mut totals.failed_other,
                (Outcome::Skip, _) => &mut totals.skipped,
                (Outcome::Warn, _) => &mut totals.warned,
                (Outcome::Error, _) => &mut totals.errors,
            } += 1;
        }
        totals
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
