//! Agreement and difference as text.

use super::{Agreement, Difference};
use crate::escape::in_a_line;
use crate::report::terminal::Paint;

/// How many differences are shown; the JSON has them all.
const SHOWN: usize = 50;

/// The result as text; `colour` adds terminal colours.
#[must_use]
pub fn render(agreement: &Agreement, colour: bool) -> String {
    let paint = Paint(colour);
    let mut text = format!("{}\n", agreement.servers.join(", "));
    let mut repository = "";
    for difference in agreement.differences.iter().take(SHOWN) {
        if difference.repository != repository {
            repository = &difference.repository;
            text.push_str(&format!("\n{}\n", in_a_line(repository)));
        }
        text.push_str(&place(difference, agreement, paint));
    }
    let left = agreement.differences.len().saturating_sub(SHOWN);
    if left > 0 {
        text.push_str(&format!("\n… and {left} more\n"));
    }
    text.push_str(&format!("\n{}\n", agreement.sentence()));
    text
}

/// What each server shows, in the order in which they were given.
fn place(difference: &Difference, agreement: &Agreement, paint: Paint) -> String {
    let mut text = format!("  {}\n", in_a_line(&difference.item.to_string()));
    let widest = agreement.servers.iter().map(String::len).max().unwrap_or_default();
    for server in &agreement.servers {
        let Some(seen) = difference.seen.get(server) else { continue };
        let shown = match seen {
            Some(value) => in_a_line(value),
            None => paint.bad("not there"),
        };
        text.push_str(&format!("    {server:<widest$}  {shown}\n"));
    }
    text
}
