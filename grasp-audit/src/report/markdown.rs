//! The report as Markdown, for issues, pull requests and job summaries: a table per section, failures in full below.

mod hardening;

use std::fmt::Write as _;

use super::baseline::{Baseline, Kind};
use super::html::capital;
use super::outcome::Outcome;
use super::outline::{Section, outline};
use super::terminal::wire;
use super::{CheckReport, Report};
use crate::calendar::{minute, span};
use crate::check::Verdict;
use crate::counted::counted;
use crate::escape::{code, fenced, markdown};

/// How many failures are shown with their transcripts: hosts cut documents of more than about a megabyte.
const SHOWN_IN_FULL: usize = 40;

/// The Markdown text.
#[must_use]
pub fn render(report: &Report) -> String {
    let mut text = format!("# GRASP audit of {}\n\n", code(&report.url));
    if report.is_about_conformance() {
        conformance(&mut text, report);
    } else {
        let sentence = capital(&report.sentence());
        let _ = writeln!(text, "{}. {sentence}; {}.\n", server(report), made(report));
    }
    if let Some(hostile) = &report.hardening {
        hardening::part(&mut text, hostile);
    }
    text
}

// Writing to a String cannot fail: the results of `write!` below are of no interest.

fn conformance(text: &mut String, report: &Report) {
    summary(text, report);
    if let Some(baseline) = &report.baseline {
        changes(text, baseline);
    }
    for section in outline(report) {
        table(text, &section);
    }
    remarks(text, report);
    failures(text, report);
}

fn server(report: &Report) -> String {
    if report.server.is_empty() { "a server without a name".to_owned() } else { code(&report.server) }
}

fn made(report: &Report) -> String {
    format!("begun {}, suite {}, catalogue {}", minute(report.started), report.suite, report.catalogue)
}

fn summary(text: &mut String, report: &Report) {
    let totals = &report.totals;
    let sign = match report.exit_code() {
        0 => "✅",
        1 => "❌",
        _ => "⚠️",
    };
    let _ = writeln!(text, "{sign} **{}**\n", report.sentence());
    let _ = writeln!(
        text,
        "| passed | failed a MUST | failed something weaker | skipped | with a remark | not carried out |"
    );
    let _ = writeln!(text, "|---:|---:|---:|---:|---:|---:|");
    let _ = writeln!(
        text,
        "| {} | {} | {} | {} | {} | {} |\n",
        totals.passed, totals.failed_must, totals.failed_other, totals.skipped, totals.warned, totals.errors
    );
    let (checks, took) = (counted(report.checks.len(), "check"), span(report.duration_ms));
    let _ = writeln!(text, "{}, {checks} in {took}, {}.\n", server(report), made(report));
    if let Some(filter) = &report.filter {
        let _ = writeln!(text, "Only checks that match {}.\n", code(filter));
    }
}

fn changes(text: &mut String, baseline: &Baseline) {
    let _ =
        writeln!(text, "## Beside the baseline\n\nCompared with {}.\n", markdown(&baseline.description()));
    for remark in &baseline.remarks {
        let _ = writeln!(text, "> {}\n", markdown(remark));
    }
    if baseline.changes.is_empty() {
        let _ = writeln!(text, "Nothing has changed.\n");
    }
    for kind in Kind::ALL {
        let changes: Vec<_> = baseline.of(kind).collect();
        if changes.is_empty() {
            continue;
        }
        let _ = writeln!(text, "**{}** {}:\n", changes.len(), kind.heading());
        for change in changes {
            let word = |outcome: Option<Outcome>| outcome.map_or("not there", Outcome::word);
            let (before, now) = (word(change.before), word(change.now));
            let _ = writeln!(text, "- {} ({}): {before} → {now}", code(&change.id), change.level);
        }
        text.push('\n');
    }
    if baseline.not_asked > 0 {
        let _ = writeln!(text, "Of the baseline, {} not asked for.\n", counted(baseline.not_asked, "check"));
    }
}

fn table(text: &mut String, section: &Section<'_>) {
    let _ = writeln!(text, "## {} {}\n", code(section.id), markdown(section.heading));
    let _ = writeln!(text, "| | level | requirement | checks that hold | time |\n|---|---|---|---:|---:|");
    for row in &section.rows {
        let tally = row.tally();
        let skipped = if tally.skip > 0 { format!(", {} skipped", tally.skip) } else { String::new() };
        let _ = writeln!(
            text,
            "| {} | {} | {} {} | {}/{}{skipped} | {} |",
            mark(row.outcome()),
            row.level,
            code(row.id),
            markdown(row.text),
            tally.holding(),
            tally.asked(),
            span(row.duration_ms())
        );
    }
    text.push('\n');
}

pub(super) fn mark(outcome: Outcome) -> String {
    mark_saying(outcome, outcome.word())
}

fn mark_saying(outcome: Outcome, word: &str) -> String {
    let sign = match outcome {
        Outcome::Pass => "✅",
        Outcome::Fail => "❌",
        Outcome::Skip => "➖",
        Outcome::Warn | Outcome::Error => "⚠️",
    };
    format!("{sign} {word}")
}

fn remarks(text: &mut String, report: &Report) {
    let remarked: Vec<(&CheckReport, &str)> = report
        .checks
        .iter()
        .filter_map(|check| match &check.verdict {
            Verdict::Skip { why: remark } | Verdict::Warn { text: remark } => Some((check, remark.as_str())),
            _ => None,
        })
        .collect();
    if remarked.is_empty() {
        return;
    }
    let _ = writeln!(text, "## Skipped, or with a remark\n\n| | check | why |\n|---|---|---|");
    for (check, remark) in remarked {
        let (mark, id) = (mark(check.outcome()), code(&check.id));
        let _ = writeln!(text, "| {mark} | {id} {} | {} |", markdown(&check.title), markdown(remark));
    }
    text.push('\n');
}

fn failures(text: &mut String, report: &Report) {
    let failed: Vec<&CheckReport> = report.failures().collect();
    if failed.is_empty() {
        return;
    }
    let _ = writeln!(text, "## What failed\n");
    for check in failed.iter().take(SHOWN_IN_FULL) {
        let _ = writeln!(text, "### {} {} ({})\n", mark(check.outcome()), code(&check.id), check.level);
        let _ = writeln!(text, "{}\n", markdown(&check.title));
        match &check.verdict {
            Verdict::Fail { expected, seen } => {
                let _ = writeln!(text, "Expected:\n\n{}\nSeen:\n\n{}", fenced(expected), fenced(seen));
            }
            Verdict::Error { text: why } => {
                let _ = writeln!(text, "It could not be carried out:\n\n{}", fenced(why));
            }
            _ => {}
        }
        let wire = wire(&check.transcript);
        if !wire.is_empty() {
            let _ =
                writeln!(text, "<details><summary>On the wire</summary>\n\n{}\n</details>\n", fenced(&wire));
        }
    }
    if failed.len() > SHOWN_IN_FULL {
        let hidden = failed.len() - SHOWN_IN_FULL;
        let _ = writeln!(text, "{hidden} more are in the JSON and HTML reports:\n");
        for check in &failed[SHOWN_IN_FULL..] {
            let _ = writeln!(text, "- {} ({}): {}", code(&check.id), check.level, markdown(&check.title));
        }
    }
}
