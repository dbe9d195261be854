//! The report for a person: section, requirement with its level, checks; failures with the wire; a summary.

use std::io::IsTerminal as _;

use super::baseline::{Baseline, Kind};
use super::outcome::Outcome;
use super::outline::outline;
use super::{CheckReport, Report};
use crate::calendar::{minute, span};
use crate::check::Verdict;
use crate::counted::counted;
use crate::escape::{in_a_line, visible};
use crate::target::transcript::{Direction, Entry};

/// How many of a transcript's last entries are shown.
const SHOWN_ENTRIES: usize = 24;
/// How many characters of one entry are shown.
const SHOWN_TEXT: usize = 700;

/// Whether standard output takes colours.
#[must_use]
pub fn takes_colour() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Colours, or none.
#[derive(Debug, Clone, Copy)]
pub struct Paint(pub bool);

impl Paint {
    /// Green.
    #[must_use]
    pub fn good(self, text: &str) -> String {
        self.with(32, text)
    }

    /// Red.
    #[must_use]
    pub fn bad(self, text: &str) -> String {
        self.with(31, text)
    }

    /// Yellow.
    #[must_use]
    pub fn odd(self, text: &str) -> String {
        self.with(33, text)
    }

    /// The colour of an outcome.
    #[must_use]
    pub fn of(self, outcome: Outcome, text: &str) -> String {
        match outcome {
            Outcome::Pass => self.good(text),
            Outcome::Fail | Outcome::Error => self.bad(text),
            Outcome::Skip | Outcome::Warn => self.odd(text),
        }
    }

    fn with(self, code: u8, text: &str) -> String {
        if self.0 { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

/// The report as text; `colour` adds terminal colours.
#[must_use]
pub fn render(report: &Report, colour: bool) -> String {
    let mut page = Page::of(report, colour);
    for section in outline(report) {
        page.line(&format!("\n{}  {}", in_a_line(section.id), section.heading));
        for row in section.rows {
            page.line(&format!("  {:<6} {}", row.level, in_a_line(row.id)));
            for check in row.checks {
                page.check(check);
            }
        }
    }
    page.failures(report);
    page.summary(report);
    page.text
}

/// The same without a line for what passed: remarks, skips by their reason, failures, the summary.
#[must_use]
pub fn render_brief(report: &Report, colour: bool) -> String {
    let mut page = Page::of(report, colour);
    page.remarks(report);
    page.skips(report);
    page.failures(report);
    page.summary(report);
    page.text
}

/// What went over the wire, for reading: the last entries, each cut when it is long, control characters visible.
#[must_use]
pub fn wire(entries: &[Entry]) -> String {
    let hidden = entries.len().saturating_sub(SHOWN_ENTRIES);
    let mut text = String::new();
    if hidden > 0 {
        text.push_str(&format!("({hidden} earlier entries are in the JSON report)\n"));
    }
    for entry in &entries[hidden..] {
        let head = format!("{:>6} ms {:<5} {} ", entry.at_ms, entry.channel, arrow(entry.direction));
        text.push_str(&head);
        text.push_str(&indented(&shortened(&entry.text, SHOWN_TEXT), 16));
        text.push('\n');
    }
    text
}

/// The first `length` characters of a text, with a sign when that is not all.
#[must_use]
pub fn shortened(text: &str, length: usize) -> String {
    let mut kept: String = text.chars().take(length).collect();
    if kept.len() < text.len() {
        kept.push('…');
    }
    kept
}

/// Who said it, as an arrow.
#[must_use]
pub const fn arrow(direction: Direction) -> &'static str {
    match direction {
        Direction::Sent => "→",
        Direction::Received => "←",
        Direction::Note => "·",
    }
}

struct Page {
    text: String,
    paint: Paint,
}

impl Page {
    /// With the lines that say what the report is about.
    fn of(report: &Report, colour: bool) -> Self {
        let mut page = Self { text: String::new(), paint: Paint(colour) };
        let server = if report.server.is_empty() { "no name".to_owned() } else { in_a_line(&report.server) };
        page.line(&format!("GRASP audit of {} ({server})", report.url));
        let made = minute(report.started);
        page.line(&format!("suite {}, catalogue {}, begun {made}", report.suite, report.catalogue));
        page
    }

    fn line(&mut self, text: &str) {
        self.text.push_str(text);
        self.text.push('\n');
    }

    fn mark(&self, check: &CheckReport) -> String {
        self.paint.of(check.outcome(), check.outcome().mark())
    }

    fn check(&mut self, check: &CheckReport) {
        self.line(&format!("    {}  {}", self.mark(check), in_a_line(&check.title)));
        if let Verdict::Skip { why: remark } | Verdict::Warn { text: remark } = &check.verdict {
            self.line(&format!("          {}", in_a_line(remark)));
        }
    }

    fn remarks(&mut self, report: &Report) {
        for check in &report.checks {
            let Verdict::Warn { text } = &check.verdict else { continue };
            self.line(&format!("\n{} {} ({})", self.mark(check), in_a_line(&check.id), check.level));
            self.line(&format!("  {}\n  {}", in_a_line(&check.title), in_a_line(text)));
        }
    }

    /// The reasons for which checks were skipped, the most frequent first; what is alone with its reason is named.
    fn skips(&mut self, report: &Report) {
        let mut reasons: Vec<(&str, Vec<&CheckReport>)> = Vec::new();
        for check in &report.checks {
            let Verdict::Skip { why } = &check.verdict else { continue };
            match reasons.iter_mut().find(|(known, _)| known == why) {
                Some((_, checks)) => checks.push(check),
                None => reasons.push((why, vec![check])),
            }
        }
        if reasons.is_empty() {
            return;
        }
        reasons.sort_by_key(|(_, checks)| std::cmp::Reverse(checks.len()));
        self.line(&format!("\n{}", self.paint.odd("skipped")));
        for (why, checks) in reasons {
            let name = match checks[..] {
                [check] => format!("{}: ", in_a_line(&check.id)),
                _ => String::new(),
            };
            self.line(&format!("{:>5}  {name}{}", checks.len(), in_a_line(why)));
        }
    }

    fn failures(&mut self, report: &Report) {
        for check in &report.checks {
            let (expected, seen) = match &check.verdict {
                Verdict::Fail { expected, seen } => (expected.as_str(), seen.as_str()),
                Verdict::Error { text } => ("the check can be carried out", text.as_str()),
                _ => continue,
            };
            self.line(&format!("\n{} {} ({})", self.mark(check), in_a_line(&check.id), check.level));
            self.line(&format!("  {}", in_a_line(&check.title)));
            self.line(&format!("  expected: {}", indented(expected, 12)));
            self.line(&format!("  seen:     {}", indented(seen, 12)));
            if !check.transcript.is_empty() {
                self.line("  on the wire:");
                self.line(&format!("    {}", indented(&wire(&check.transcript), 4)));
            }
        }
    }

    fn baseline(&mut self, baseline: &Baseline) {
        self.line(&format!("\ncompared with {}", in_a_line(&baseline.description())));
        for remark in &baseline.remarks {
            self.line(&format!("  note: {}", in_a_line(remark)));
        }
        for kind in Kind::ALL {
            let changes: Vec<_> = baseline.of(kind).collect();
            if changes.is_empty() {
                continue;
            }
            let heading = format!("{} {}", changes.len(), kind.heading());
            let heading = match kind {
                Kind::Worse | Kind::Broken => self.paint.bad(&heading),
                Kind::Better => self.paint.good(&heading),
                _ => heading,
            };
            self.line(&format!("  {heading}"));
            for change in changes {
                let word = |outcome: Option<Outcome>| outcome.map_or("not there", Outcome::word);
                let (before, now) = (word(change.before), word(change.now));
                self.line(&format!("    {:<6} {}  {before} → {now}", change.level, in_a_line(&change.id)));
            }
        }
        if baseline.not_asked > 0 {
            self.line(&format!(
                "  of the baseline, {} not asked for (--filter)",
                counted(baseline.not_asked, "check")
            ));
        }
    }

    fn summary(&mut self, report: &Report) {
        let (totals, cleanup) = (&report.totals, report.cleanup());
        self.line(&format!(
            "\n{} in {}: {} passed, {} failed a MUST, {} failed something weaker, {} skipped, {} with a remark, {} could not be carried out",
            counted(report.checks.len(), "check"),
            span(report.duration_ms),
            totals.passed,
            totals.failed_must,
            totals.failed_other,
            totals.skipped,
            totals.warned,
            totals.errors,
        ));
        if cleanup.published > 0 {
            self.line(&cleanup.sentence());
        }
        if let Some(baseline) = &report.baseline {
            self.baseline(baseline);
        }
        let sentence = report.sentence();
        let sentence =
            if report.exit_code() == 0 { self.paint.good(&sentence) } else { self.paint.bad(&sentence) };
        self.line(&sentence);
    }
}

/// The text with every line but the first moved in, control characters visible.
pub(crate) fn indented(text: &str, by: usize) -> String {
    visible(text.trim_end()).replace('\n', &format!("\n{}", " ".repeat(by)))
}
