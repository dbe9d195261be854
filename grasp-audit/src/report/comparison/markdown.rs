//! The comparison as Markdown.

use std::fmt::Write as _;

use super::super::outcome::Outcome;
use super::{Cell, Comparison, Server};
use crate::calendar::{minute, span};
use crate::escape::{code, markdown};

/// The Markdown text.
#[must_use]
pub fn render(comparison: &Comparison) -> String {
    // Writing to a String cannot fail: the results of `write!` are of no interest.
    let mut text = format!("# GRASP audit of {} servers\n\n", comparison.servers.len());
    let _ = writeln!(
        text,
        "Begun {}. Suite {}, catalogue {}. The servers differ in {} of {} requirements.\n",
        minute(comparison.started),
        comparison.suite,
        comparison.catalogue,
        comparison.differing(),
        comparison.requirements.len()
    );
    let _ =
        writeln!(text, "| | server | passed | failed a MUST | failed something weaker | skipped | took |");
    let _ = writeln!(text, "|---|---|---:|---:|---:|---:|---:|");
    for (number, server) in comparison.servers.iter().enumerate() {
        let _ = writeln!(text, "{}", described(number + 1, server));
    }
    text.push('\n');
    let numbers: String = (1..=comparison.servers.len()).map(|number| format!(" {number} |")).collect();
    let rules = "---|".repeat(comparison.servers.len());
    for (id, heading, rows) in comparison.sections() {
        let _ = writeln!(text, "## {} {}\n", code(id), markdown(heading));
        let _ = writeln!(text, "| requirement | level |{numbers}\n|---|---|{rules}");
        for row in &rows {
            let cells: String = row.servers.iter().map(|seen| format!(" {} |", cell(*seen))).collect();
            let _ = writeln!(text, "| {} | {} |{cells}", code(&row.id), row.level);
        }
        text.push('\n');
        let differing: Vec<_> =
            rows.iter().flat_map(|row| &row.checks).filter(|check| check.differs()).collect();
        if differing.is_empty() {
            continue;
        }
        let _ = writeln!(text, "Where they differ:\n\n| check |{numbers}\n|---|{rules}");
        for check in differing {
            let cells: String = check.servers.iter().map(|seen| format!(" {} |", outcome(*seen))).collect();
            let _ = writeln!(text, "| {} {} |{cells}", code(&check.id), markdown(&check.title));
        }
        text.push('\n');
    }
    text
}

fn described(number: usize, server: &Server) -> String {
    let name = match (&server.error, server.server.is_empty()) {
        (Some(error), _) => format!("⚠️ {}", markdown(error)),
        (None, true) => String::new(),
        (None, false) => markdown(&server.server),
    };
    let url = code(&server.url);
    match (server.totals, server.duration_ms) {
        (Some(totals), Some(took)) => format!(
            "| {number} | {url} {name} | {} | {} | {} | {} | {} |",
            totals.passed,
            totals.failed_must,
            totals.failed_other,
            totals.skipped,
            span(took)
        ),
        _ => format!("| {number} | {url} {name} | | | | | |"),
    }
}

fn cell(seen: Option<Cell>) -> String {
    match seen {
        Some(cell) => {
            format!("{} {}/{}", outcome(Some(cell.outcome)), cell.checks.holding(), cell.checks.asked())
        }
        None => outcome(None),
    }
}

fn outcome(seen: Option<Outcome>) -> String {
    seen.map_or_else(|| "·".to_owned(), super::super::markdown::mark)
}
