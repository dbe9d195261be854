//! The difference for a terminal.

use super::{Change, Difference, Line};
use crate::escape::visible;
use crate::report::terminal::Paint;

/// The difference as text; `colour` adds terminal colours.
#[must_use]
pub fn render(difference: &Difference, colour: bool) -> String {
    let paint = Paint(colour);
    let mut text = String::new();
    for (sign, side) in [("-", &difference.a), ("+", &difference.b)] {
        let url = if side.given == side.url { String::new() } else { format!(" ({})", side.url) };
        text.push_str(&format!(
            "{sign} {}{url}, suite {}, catalogue {}\n",
            visible(&side.given),
            visible(&side.suite),
            visible(&side.catalogue)
        ));
    }
    for remark in &difference.remarks {
        text.push_str(&format!("note: {}\n", visible(remark)));
    }
    for (_, heading, changes) in difference.parts() {
        text.push_str(&format!("\n{heading}\n"));
        for change in changes {
            text.push_str(&entry(change, paint));
        }
    }
    let touched = difference.touched();
    if !touched.is_empty() {
        text.push_str("\nRequirements that are touched\n");
    }
    for (id, level, count) in touched {
        text.push_str(&format!("  {level:<6} {id:<40} {count}\n"));
    }
    text.push_str(&format!("\n{}\n", difference.sentence()));
    text
}

fn entry(change: &Change, paint: Paint) -> String {
    let mut text = format!("  {}", visible(&change.at));
    if !change.requirements.is_empty() {
        text.push_str(&format!("  [{}]", change.requirements.join(", ")));
    }
    text.push('\n');
    for line in &change.lines {
        text.push_str(&side(line, "-", line.a.as_deref(), |text| paint.bad(text)));
        text.push_str(&side(line, "+", line.b.as_deref(), |text| paint.good(text)));
    }
    text
}

fn side(line: &Line, sign: &str, shown: Option<&str>, paint: impl Fn(&str) -> String) -> String {
    let Some(shown) = shown else { return String::new() };
    let at = if line.at.is_empty() { String::new() } else { format!("{}: ", visible(&line.at)) };
    let lines = visible(shown).replace('\n', "\n        ");
    format!("    {}\n", paint(&format!("{sign} {at}{lines}")))
}
