//! The report for a person: section, requirement with its level, checks; failures with the wire; a summary.

use std::fmt::Write;

use super::{CheckReport, Report};
use crate::catalogue::{self, REQUIREMENTS};
use crate::check::Verdict;
use crate::target::transcript::{Direction, Entry};

/// How many of a transcript's last entries are shown.
const SHOWN_ENTRIES: usize = 24;
/// How many characters of one entry are shown.
const SHOWN_TEXT: usize = 700;

/// The report as text; `colour` adds terminal colours.
#[must_use]
pub fn render(report: &Report, colour: bool) -> String {
    let mut page = Page::new(colour);
    page.line(&format!(
        "GRASP audit of {} ({})",
        report.url,
        if report.server.is_empty() { "no name" } else { &report.server }
    ));
    page.line(&format!("suite {}, catalogue {}", report.suite, report.catalogue));
    let mut section = "";
    for row in REQUIREMENTS {
        let checks: Vec<&CheckReport> =
            report.checks.iter().filter(|check| check.requirement == row.id).collect();
        if checks.is_empty() {
            continue;
        }
        if row.section() != section {
            section = row.section();
            page.line(&format!("\n{section}  {}", catalogue::heading(section)));
        }
        page.line(&format!("  {:<6} {}", row.level, row.id));
        for check in checks {
            page.check(check);
        }
    }
    page.failures(report);
    page.summary(report);
    page.into_text()
}

/// A text in the making, with colours or without.
pub(crate) struct Page {
    text: String,
    colour: bool,
}

impl Page {
    pub(crate) const fn new(colour: bool) -> Self {
        Self { text: String::new(), colour }
    }

    pub(crate) fn into_text(self) -> String {
        self.text
    }

    pub(crate) fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    pub(crate) fn paint(&self, code: u8, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn mark(&self, verdict: &Verdict) -> String {
        match verdict {
            Verdict::Pass => self.paint(32, "pass"),
            Verdict::Fail { .. } => self.paint(31, "FAIL"),
            Verdict::Skip { .. } => self.paint(33, "skip"),
            Verdict::Warn { .. } => self.paint(33, "warn"),
            Verdict::Error { .. } => self.paint(31, "ERR "),
        }
    }

    fn check(&mut self, check: &CheckReport) {
        self.line(&format!("    {}  {}", self.mark(&check.verdict), check.title));
        match &check.verdict {
            Verdict::Skip { why: remark } | Verdict::Warn { text: remark } => {
                self.line(&format!("          {remark}"))
            }
            _ => {}
        }
    }

    fn failures(&mut self, report: &Report) {
        for check in &report.checks {
            let (expected, seen) = match &check.verdict {
                Verdict::Fail { expected, seen } => (expected.as_str(), seen.as_str()),
                Verdict::Error { text } => ("the check can be carried out", text.as_str()),
                _ => continue,
            };
            self.line(&format!("\n{} {} ({})", self.mark(&check.verdict), check.id, check.level));
            self.line(&format!("  {}", check.title));
            self.line(&format!("  expected: {}", indented(expected, 12)));
            self.line(&format!("  seen:     {}", indented(seen, 12)));
            self.transcript(&check.transcript);
        }
    }

    pub(crate) fn transcript(&mut self, entries: &[Entry]) {
        let hidden = entries.len().saturating_sub(SHOWN_ENTRIES);
        if hidden > 0 {
            self.line(&format!("  on the wire ({hidden} earlier entries are in the JSON report):"));
        } else if !entries.is_empty() {
            self.line("  on the wire:");
        }
        for entry in &entries[hidden..] {
            let arrow = match entry.direction {
                Direction::Sent => "→",
                Direction::Received => "←",
                Direction::Note => "·",
            };
            let mut text: String = entry.text.chars().take(SHOWN_TEXT).collect();
            if text.len() < entry.text.len() {
                text.push('…');
            }
            let head = format!("    {:>6} ms {:<5} {arrow} ", entry.at_ms, entry.channel);
            let text = indented(&text, 20);
            self.line(&format!("{head}{text}"));
        }
    }

    fn summary(&mut self, report: &Report) {
        let totals = &report.totals;
        let (published, deleted) = report.checks.iter().fold((0, 0), |(published, deleted), check| {
            (published + check.cleanup.published, deleted + check.cleanup.deleted)
        });
        let mut summary = String::new();
        // writing to a String cannot fail
        let _ = write!(
            summary,
            "\n{} checks in {:.1} s: {} passed, {} failed a MUST, {} failed something weaker, {} skipped, {} with a remark, {} could not be carried out",
            report.checks.len(),
            report.duration_ms as f64 / 1000.0,
            totals.passed,
            totals.failed_must,
            totals.failed_other,
            totals.skipped,
            totals.warned,
            totals.errors,
        );
        self.line(&summary);
        if published > 0 {
            self.line(&format!("published {published} events, {deleted} of them deleted again (NIP-09)"));
        }
        let verdict = match report.exit_code() {
            0 => self.paint(32, "every MUST that was examined holds"),
            1 => self.paint(31, "a MUST does not hold"),
            _ => self.paint(31, "no verdict: not everything could be examined"),
        };
        self.line(&verdict);
    }
}

fn indented(text: &str, by: usize) -> String {
    text.trim_end().replace('\n', &format!("\n{}", " ".repeat(by)))
}
