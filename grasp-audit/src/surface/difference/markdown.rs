//! The difference as Markdown.

use std::fmt::Write as _;

use super::Difference;
use crate::catalogue;
use crate::escape::{code, fenced, markdown};
use crate::report::html::capital;

/// The Markdown text.
#[must_use]
pub fn render(difference: &Difference) -> String {
    // Writing to a String cannot fail: the results of `write!` are of no interest.
    let mut text = "# Two GRASP servers, seen from outside\n\n".to_owned();
    let _ = writeln!(text, "**{}**\n", capital(&difference.sentence()));
    let _ = writeln!(text, "| | | server | suite | catalogue |\n|---|---|---|---|---|");
    for (sign, side) in [("−", &difference.a), ("+", &difference.b)] {
        let (given, url) = (code(&side.given), code(&side.url));
        let (suite, catalogue) = (markdown(&side.suite), markdown(&side.catalogue));
        let _ = writeln!(text, "| {sign} | {given} | {url} | {suite} | {catalogue} |");
    }
    text.push('\n');
    for remark in &difference.remarks {
        let _ = writeln!(text, "> {}\n", markdown(remark));
    }
    let touched = difference.touched();
    if !touched.is_empty() {
        let _ = writeln!(text, "| touched | level | entries | asks for |\n|---|---|---:|---|");
        for (id, level, count) in touched {
            let asks = catalogue::requirement(id).map_or("", |row| row.text);
            let _ = writeln!(text, "| {} | {level} | {count} | {} |", code(id), markdown(asks));
        }
        text.push('\n');
    }
    for (_, heading, changes) in difference.parts() {
        let _ = writeln!(text, "## {heading}\n");
        for change in changes {
            let touches: Vec<String> = change.requirements.iter().map(|id| code(id)).collect();
            let _ = writeln!(text, "{} {}\n", code(&change.at), touches.join(", "));
            let mut block = String::new();
            for line in &change.lines {
                let at = if line.at.is_empty() { String::new() } else { format!("{}: ", line.at) };
                for (sign, shown) in [('-', &line.a), ('+', &line.b)] {
                    if let Some(shown) = shown {
                        let _ = writeln!(block, "{sign} {at}{}", shown.replace('\n', "\n  "));
                    }
                }
            }
            let _ = writeln!(text, "{}", fenced(&block));
        }
    }
    text
}
