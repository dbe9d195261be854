//! The hardening report for a person: per area the cases with their grades; below, what was not robust with the wire.

use super::case::{Area, Grade};
use super::report::{CaseReport, HardeningReport};
use crate::counted::counted;
use crate::escape::visible;
use crate::report::terminal::{Paint, indented, wire};

/// The report as text; `colour` adds terminal colours.
#[must_use]
pub fn render(report: &HardeningReport, colour: bool) -> String {
    let paint = Paint(colour);
    let mut lines = vec![
        format!("\nHardening of {} (not conformance)", report.url),
        format!("suite {}, cases of {}", report.suite, report.catalogue),
    ];
    lines.extend(report.baseline.map(|baseline| format!("before the first case: {baseline}")));
    for area in Area::ALL {
        let cases: Vec<&CaseReport> = report.cases.iter().filter(|case| case.area == area).collect();
        if !cases.is_empty() {
            lines.push(format!("\n{}  {}", area.id(), area.heading()));
        }
        lines.extend(cases.into_iter().flat_map(|case| overview(paint, case)));
    }
    lines.extend(report.cases.iter().flat_map(|case| details(paint, case)));
    lines.extend(summary(paint, report));
    lines.join("\n") + "\n"
}

fn mark(paint: Paint, grade: &Grade) -> String {
    let word = format!("{:<9}", grade.word());
    match grade {
        Grade::Robust => paint.good(&word),
        Grade::Tolerable { .. } | Grade::Skip { .. } => paint.odd(&word),
        Grade::Weak { .. } | Grade::Error { .. } => paint.bad(&word),
    }
}

fn overview(paint: Paint, case: &CaseReport) -> Vec<String> {
    let mark = mark(paint, &case.grade);
    let why = visible(case.line());
    vec![format!("  {mark}  {:<34} {why}", case.id)]
}

fn details(paint: Paint, case: &CaseReport) -> Vec<String> {
    if matches!(case.grade, Grade::Robust | Grade::Skip { .. }) {
        return Vec::new();
    }
    let mut lines = vec![
        format!("\n{} {}", mark(paint, &case.grade).trim_end(), case.id),
        format!("  sent:            {}", case.sends),
        format!("  a robust server: {}", case.robust),
    ];
    for (heading, texts) in case.grade.told() {
        let heading = format!("{}:", heading.to_lowercase());
        for (position, text) in texts.iter().enumerate() {
            let heading = if position == 0 { heading.as_str() } else { "" };
            lines.push(format!("  {heading:<16} {}", indented(text, 19)));
        }
    }
    lines.extend(case.meanwhile.map(|meanwhile| format!("  meanwhile:       {meanwhile} at worst")));
    if !case.transcript.is_empty() {
        lines.push("  on the wire:".to_owned());
        lines.push(format!("    {}", indented(&wire(&case.transcript), 4)));
    }
    lines
}

fn summary(paint: Paint, report: &HardeningReport) -> Vec<String> {
    let seconds = report.duration_ms as f64 / 1000.0;
    let grades = report.counted().map(|(count, what, _)| format!("{count} {what}")).join(", ");
    let mut lines = vec![
        format!("\n{} in {seconds:.1} s: {grades}", counted(report.cases.len(), "case")),
        format!("sent {}", report.sent()),
    ];
    lines.extend(report.stop().map(|stop| paint.bad(&visible(&stop))));
    let sentence = report.sentence();
    lines.push(if report.holds() { paint.good(&sentence) } else { paint.bad(&sentence) });
    lines
}
