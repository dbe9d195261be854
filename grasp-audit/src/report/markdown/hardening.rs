//! How the server stood hostile input, as Markdown: a part of its own below conformance.

use std::fmt::Write as _;

use super::super::outcome::Outcome;
use super::super::terminal::wire;
use super::{SHOWN_IN_FULL, mark_saying};
use crate::calendar::span;
use crate::escape::{code, fenced, markdown};
use crate::hardening::Area;
use crate::hardening::report::{CaseReport, HardeningReport};

/// Appends the part.
pub(super) fn part(text: &mut String, report: &HardeningReport) {
    let _ = writeln!(text, "## Hardening (not conformance)\n");
    let _ = writeln!(text, "{}\n", mark_saying(report.outcome(), &format!("**{}**", report.sentence())));
    let counted = report.counted();
    let _ = writeln!(text, "| {} |", counted.map(|(_, label, _)| label).join(" | "));
    let _ = writeln!(text, "|{}", "---:|".repeat(counted.len()));
    let _ = writeln!(text, "| {} |\n", counted.map(|(count, ..)| count.to_string()).join(" | "));
    let (took, sent) = (span(report.duration_ms), report.sent());
    let (suite, cases) = (code(&report.suite), code(&report.catalogue));
    let _ = writeln!(text, "Sent {sent}, in {took}; suite {suite}, cases of {cases}.\n");
    if let Some(stop) = report.stop() {
        let _ = writeln!(text, "> {}.\n", markdown(&stop));
    }
    for area in Area::ALL {
        table(text, area, report);
    }
    let telling = report
        .cases
        .iter()
        .filter(|case| matches!(case.grade.outcome(), Outcome::Fail | Outcome::Error | Outcome::Warn));
    for (position, case) in telling.enumerate() {
        details(text, case, position < SHOWN_IN_FULL);
    }
}

fn table(text: &mut String, area: Area, report: &HardeningReport) {
    let cases: Vec<&CaseReport> = report.cases.iter().filter(|case| case.area == area).collect();
    if cases.is_empty() {
        return;
    }
    let _ = writeln!(text, "### {} {}\n", code(area.id()), markdown(area.heading()));
    let _ = writeln!(text, "| | case | what it did | time |\n|---|---|---|---:|");
    for case in cases {
        let (mark, id) = (mark(case), code(&case.id));
        let _ = writeln!(text, "| {mark} | {id} | {} | {} |", markdown(case.line()), span(case.duration_ms));
    }
    text.push('\n');
}

fn mark(case: &CaseReport) -> String {
    mark_saying(case.grade.outcome(), &case.grade.word().to_lowercase())
}

fn details(text: &mut String, case: &CaseReport, with_wire: bool) {
    let _ = writeln!(text, "#### {} {}\n", mark(case), code(&case.id));
    let _ = writeln!(text, "- Sent: {}", markdown(&case.sends));
    let _ = writeln!(text, "- A robust server {}", markdown(&case.robust));
    for (heading, texts) in case.grade.told() {
        for told in texts {
            let _ = writeln!(text, "- {heading}: {}", markdown(told));
        }
    }
    text.push('\n');
    let wire = wire(&case.transcript);
    if with_wire && !wire.is_empty() {
        let _ = writeln!(text, "<details><summary>On the wire</summary>\n\n{}\n</details>\n", fenced(&wire));
    }
}
