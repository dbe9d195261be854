//! The comparison for a terminal.

use super::super::outcome::Outcome;
use super::super::terminal::Paint;
use super::{Comparison, Row, Server};
use crate::calendar::minute;
use crate::escape::visible;

/// Width of a column, in characters.
const COLUMN: usize = 14;

/// The comparison as text; `colour` adds terminal colours.
#[must_use]
pub fn render(comparison: &Comparison, colour: bool) -> String {
    let paint = Paint(colour);
    let mut lines = vec![
        format!("Comparison of {} servers", comparison.servers.len()),
        format!(
            "suite {}, catalogue {}, begun {}",
            comparison.suite,
            comparison.catalogue,
            minute(comparison.started)
        ),
        String::new(),
    ];
    for (number, server) in comparison.servers.iter().enumerate() {
        lines.push(described(number, server, paint));
    }
    let width = comparison.requirements.iter().map(|row| row.id.len()).max().unwrap_or(0);
    let numbers: String =
        (1..=comparison.servers.len()).map(|number| format!(" {:<COLUMN$}", format!("[{number}]"))).collect();
    lines.push(format!("\n{:width$}        {}", "", numbers.trim_end()));
    for (id, heading, rows) in comparison.sections() {
        lines.push(format!("\n{id}  {heading}"));
        for row in rows {
            let cells: String = (0..row.servers.len()).map(|column| cell(row, column, paint)).collect();
            lines.push(format!("{:<width$} {:<6} {}", row.id, row.level, cells.trim_end()));
            for check in row.checks.iter().filter(|check| check.differs()) {
                let seen: Vec<&str> =
                    check.servers.iter().map(|seen| seen.map_or("·", Outcome::word)).collect();
                lines.push(format!("    {}: {}", seen.join(" / "), visible(&check.title)));
            }
        }
    }
    let differing = comparison.differing();
    lines.push(format!(
        "\nthe servers differ in {differing} of {} requirements",
        comparison.requirements.len()
    ));
    lines.join("\n") + "\n"
}

fn described(number: usize, server: &Server, paint: Paint) -> String {
    let number = number + 1;
    match (&server.totals, &server.error) {
        (Some(totals), _) => {
            let said = format!(
                "{} passed, {} failed a MUST, {} failed something weaker, {} skipped",
                totals.passed, totals.failed_must, totals.failed_other, totals.skipped
            );
            let said = if server.exit_code == 0 { paint.good(&said) } else { paint.bad(&said) };
            format!("[{number}] {} ({}): {said}", server.url, visible(&server.server))
        }
        (None, error) => {
            let error = visible(error.as_deref().unwrap_or("not examined"));
            format!("[{number}] {}: {}", visible(&server.url), paint.bad(&error))
        }
    }
}

fn cell(row: &Row, column: usize, paint: Paint) -> String {
    let Some(cell) = row.servers[column] else { return format!(" {:<COLUMN$}", "·") };
    let text =
        format!("{} {}/{}", cell.outcome.mark().trim_end(), cell.checks.holding(), cell.checks.asked());
    // padded before it is painted: colours have no width
    format!(" {}", paint.of(cell.outcome, &format!("{text:<COLUMN$}")))
}
