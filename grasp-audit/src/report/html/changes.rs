//! What has changed since the baseline, in the HTML report.

use maud::{Markup, html};

use super::super::baseline::{Baseline, Change, Kind};
use super::super::outcome::Outcome;
use super::capital;
use crate::escape::visible;
use crate::page::chip;

/// The section.
pub(super) fn section(baseline: &Baseline) -> Markup {
    html! {
        section.changes aria-labelledby="baseline" {
            h2 id="baseline" { "Beside the baseline" }
            p { "Compared with " (visible(&baseline.description())) "." }
            @for remark in &baseline.remarks { p.note { (capital(&visible(remark))) "." } }
            @if baseline.changes.is_empty() { p { "Nothing has changed." } }
            @for kind in Kind::ALL {
                @let changes: Vec<&Change> = baseline.of(kind).collect();
                @if !changes.is_empty() {
                    details open[matches!(kind, Kind::Worse | Kind::Broken | Kind::Better)] {
                        summary { b { (changes.len()) } " " (kind.heading()) }
                        ul { @for change in changes { (item(change)) } }
                    }
                }
            }
            @if baseline.not_asked > 0 {
                p { (baseline.not_asked) " checks of the baseline were not asked for, because of the filter." }
            }
        }
    }
}

fn item(change: &Change) -> Markup {
    html! {
        li {
            (outcome(change.before)) span aria-label="became" { " → " } (outcome(change.now)) " "
            span.level { (change.level) } " " code { (visible(&change.id)) }
        }
    }
}

fn outcome(outcome: Option<Outcome>) -> Markup {
    html! { @match outcome { Some(outcome) => (chip(outcome)), None => span.chip.skip { "not there" } } }
}
