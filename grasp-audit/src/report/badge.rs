//! The result as a badge (SVG): `GRASP-01 | 469/469 MUST`. Its text is measured, so it fits in every font.

use maud::{Markup, PreEscaped, html};

use super::Report;
use super::outcome::{Outcome, Tally};
use crate::catalogue::Level;

/// Advance widths of the visible ASCII characters, from the space on, in hundredths of a pixel at 11 px: DejaVu Sans,
/// whose measures are those of Verdana, the other font that the badge asks for.
const WIDTHS: [u16; 95] = [
    350, 441, 506, 922, 700, 1045, 858, 302, 429, 429, 550, 922, 350, 397, 350, 371, 700, 700, 700, 700, 700,
    700, 700, 700, 700, 700, 371, 371, 922, 922, 922, 584, 1100, 752, 755, 768, 847, 695, 633, 852, 827, 324,
    324, 721, 613, 949, 823, 866, 663, 866, 764, 698, 672, 805, 752, 1088, 754, 672, 754, 429, 371, 429, 922,
    550, 550, 674, 698, 605, 698, 677, 387, 698, 697, 306, 306, 637, 306, 1072, 697, 673, 698, 698, 452, 573,
    431, 697, 651, 900, 651, 651, 577, 700, 371, 700, 922,
];
/// What any other character is taken for.
const WIDEST: u16 = 1100;
/// Room on either side of a text, in pixels.
const PADDING: u32 = 7;

/// The badge as an SVG document.
#[must_use]
pub fn render(report: &Report) -> String {
    let musts = Tally::of(
        report.checks.iter().filter(|check| check.level == Level::Must).map(super::CheckReport::outcome),
    );
    let (said, colour) = match musts.outcome() {
        Outcome::Skip => ("nothing examined".to_owned(), "#595959"),
        Outcome::Error => (format!("{}/{} MUST", musts.holding(), musts.asked()), "#8a5300"),
        Outcome::Fail => (format!("{}/{} MUST", musts.holding(), musts.asked()), "#b3261e"),
        Outcome::Pass | Outcome::Warn => (format!("{}/{} MUST", musts.holding(), musts.asked()), "#1a7037"),
    };
    let whole = if report.filter.is_some() { " (in part)" } else { "" };
    badge(&format!("{}{whole}", family(report)), &said, colour).into_string()
}

/// The members of the family that were examined: `GRASP-01`, `GRASP-01/02`.
fn family(report: &Report) -> String {
    let mut members: Vec<&str> = report
        .checks
        .iter()
        .filter(|check| check.outcome() != Outcome::Skip)
        .filter_map(|check| check.requirement.split('/').next()?.strip_prefix('G'))
        .collect();
    members.sort_unstable();
    members.dedup();
    if members.is_empty() { "GRASP".to_owned() } else { format!("GRASP-{}", members.join("/")) }
}

fn badge(label: &str, said: &str, colour: &str) -> Markup {
    let (left, right) = (width(label), width(said));
    let split = left + 2 * PADDING;
    let total = split + right + 2 * PADDING;
    let spoken = format!("{label}: {said}");
    html! {
        (PreEscaped(r#"<?xml version="1.0" encoding="UTF-8"?>"#)) "\n"
        svg xmlns="http://www.w3.org/2000/svg" width=(total) height="20" viewBox={"0 0 " (total) " 20"} role="img"
            aria-label=(spoken) {
            title { (spoken) }
            clipPath id="round" { rect width=(total) height="20" rx="4" {} }
            g clip-path="url(#round)" {
                rect width=(split) height="20" fill="#3b3a45" {}
                rect x=(split) width=(total - split) height="20" fill=(colour) {}
            }
            g fill="#fff" font-family="Verdana,'DejaVu Sans',sans-serif" font-size="11" {
                text x=(PADDING) y="14" textLength=(left) lengthAdjust="spacingAndGlyphs" { (label) }
                text x=(split + PADDING) y="14" textLength=(right) lengthAdjust="spacingAndGlyphs" { (said) }
            }
        }
    }
}

/// Width of the text in whole pixels, rounded up.
fn width(text: &str) -> u32 {
    let hundredths: u32 = text.chars().map(|c| u32::from(advance(c))).sum();
    hundredths.div_ceil(100)
}

fn advance(c: char) -> u16 {
    let place = u32::from(c).checked_sub(u32::from(' ')).and_then(|place| usize::try_from(place).ok());
    place.and_then(|place| WIDTHS.get(place)).copied().unwrap_or(WIDEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_as_wide_as_its_characters() {
        assert_eq!(width("ii"), 7);
        assert_eq!(width("WW"), 22);
        assert_eq!(width("469/469 MUST"), 81);
        assert_eq!(width("é"), 11);
        assert_eq!(advance('~'), 922);
    }

    #[test]
    fn the_badge_is_as_wide_as_both_texts_with_room_around_them() {
        let drawn = badge("ii", "WW", "#000").into_string();
        assert!(drawn.contains(r#"<svg xmlns="http://www.w3.org/2000/svg" width="57""#), "{drawn}");
        assert!(badge("a<b", "\"&", "#000").into_string().contains("a&lt;b: &quot;&amp;"));
    }
}
