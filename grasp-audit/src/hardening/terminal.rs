//! The hardening report for a person: per area the cases with their grades; below, what was not robust with the wire.

use super::case::{Area, Grade};
use super::report::{CaseReport, HardeningReport};
use crate::report::terminal::Page;

/// The report as text; `colour` adds terminal colours.
#[must_use]
pub fn render(report: &HardeningReport, colour: bool) -> String {
    let mut page = Page::new(colour);
    page.line(&format!("\nHardening of {} (not conformance)", report.url));
    page.line(&format!("suite {}, cases of {}", report.suite, report.catalogue));
    if let Some(baseline) = &report.baseline {
        page.line(&format!("before the first case: {baseline}"));
    }
    for area in [Area::Http, Area::Git, Area::Relay] {
        let cases: Vec<&CaseReport> = report.cases.iter().filter(|case| case.area == area).collect();
        if !cases.is_empty() {
            page.line(&format!("\n{}  {}", area.id(), area.heading()));
        }
        for case in cases {
            overview(&mut page, case);
        }
    }
    for case in &report.cases {
        details(&mut page, case);
    }
    summary(&mut page, report);
    page.into_text()
}

fn mark(page: &Page, grade: &Grade) -> String {
    match grade {
        Grade::Robust => page.paint(32, "robust   "),
        Grade::Tolerable { .. } => page.paint(33, "tolerable"),
        Grade::Weak { .. } => page.paint(31, "WEAK     "),
        Grade::Skip { .. } => page.paint(33, "skip     "),
        Grade::Error { .. } => page.paint(31, "ERROR    "),
    }
}

fn overview(page: &mut Page, case: &CaseReport) {
    let mark = mark(page, &case.grade);
    page.line(&format!("  {mark}  {:<32} {}", case.id, case.did));
    if let Grade::Skip { why } = &case.grade {
        page.line(&format!("             {why}"));
    }
}

fn details(page: &mut Page, case: &CaseReport) {
    let (seen, remarks) = match &case.grade {
        Grade::Weak { seen, remarks } => (seen.as_slice(), remarks.as_slice()),
        Grade::Tolerable { remarks } => (&[][..], remarks.as_slice()),
        Grade::Error { text } => (std::slice::from_ref(text), &[][..]),
        Grade::Robust | Grade::Skip { .. } => return,
    };
    let mark = mark(page, &case.grade);
    page.line(&format!("\n{} {}", mark.trim_end(), case.id));
    page.line(&format!("  sent:            {}", case.sends));
    page.line(&format!("  a robust server: {}", case.robust));
    for (first, lines) in [("this one:        ", seen), ("remarks:         ", remarks)] {
        for (position, line) in lines.iter().enumerate() {
            page.line(&format!("  {}{line}", if position == 0 { first } else { "                 " }));
        }
    }
    if let Some(meanwhile) = &case.meanwhile {
        page.line(&format!("  meanwhile:       {meanwhile} at worst"));
    }
    page.transcript(&case.transcript);
}

fn summary(page: &mut Page, report: &HardeningReport) {
    let totals = &report.totals;
    page.line(&format!(
        "\n{} cases in {:.1} s: {} robust, {} tolerable, {} weak, {} skipped, {} could not be carried out",
        report.cases.len(),
        report.duration_ms as f64 / 1000.0,
        totals.robust,
        totals.tolerable,
        totals.weak,
        totals.skipped,
        totals.errors,
    ));
    page.line(&format!(
        "sent {} messages, {:.1} MB, over up to {} connections at a time",
        report.load.messages,
        report.load.bytes as f64 / 1e6,
        report.load.at_once
    ));
    if let Some(stopped) = &report.stopped {
        let because = match &stopped.case {
            Some(case) => format!("stopped: after {case} the server is {}", stopped.why),
            None => format!("stopped before the first case: the server is {}", stopped.why),
        };
        page.line(&page.paint(31, &because));
        page.line(&format!("{} cases were not run; is the server still up?", totals.not_run));
    }
}
