//! The difference as one HTML file.

use maud::{Markup, html};

use super::{Change, Difference, Line, Side};
use crate::catalogue;
use crate::escape::visible;
use crate::page::{anchor, frame, prose};
use crate::report::html::capital;

/// The HTML text.
#[must_use]
pub fn render(difference: &Difference) -> String {
    let body = html! {
        (summary(difference))
        @for (part, heading, changes) in difference.parts() {
            section.spec aria-labelledby=(anchor(part)) {
                h2 id=(anchor(part)) { (heading) " " code { (changes.len()) } }
                ul.rows { @for change in changes { (entry(change)) } }
            }
        }
    };
    let made = format!("grasp-audit {}, catalogue {}", crate::VERSION, catalogue::REVISION);
    frame("Two GRASP servers, seen from outside", &made, &body)
}

fn summary(difference: &Difference) -> Markup {
    html! {
        header.summary.plain {
            p.kind { "GRASP servers, seen from outside" }
            h1 { (capital(&difference.sentence())) }
            dl.sides {
                (side("−", "first", "removed", &difference.a))
                (side("+", "second", "added", &difference.b))
            }
            @for remark in &difference.remarks { p { (capital(&visible(remark))) "." } }
            @if !difference.touched().is_empty() { (touched(difference)) }
        }
    }
}

fn side(sign: &str, place: &str, class: &str, side: &Side) -> Markup {
    html! {
        div.(class) {
            dt { span aria-hidden="true" { (sign) } " " (place) }
            dd {
                code { (visible(&side.given)) }
                span.text {
                    @if side.given != side.url { (visible(&side.url)) ", " }
                    "suite " (visible(&side.suite)) ", catalogue " (visible(&side.catalogue))
                }
            }
        }
    }
}

fn touched(difference: &Difference) -> Markup {
    html! {
        table.touched {
            caption { "Requirements that are touched" }
            thead { tr { th scope="col" { "Requirement" } th scope="col" { "Level" } th scope="col" { "Entries" } } }
            tbody {
                @for (id, level, count) in difference.touched() {
                    tr {
                        th scope="row" {
                            code { (id) }
                            @if let Some(row) = catalogue::requirement(id) { span.text { (prose(row.text)) } }
                        }
                        td { span.level { (level) } }
                        td { (count) }
                    }
                }
            }
        }
    }
}

fn entry(change: &Change) -> Markup {
    html! {
        li.entry {
            h3 { code { (visible(&change.at)) } }
            @if !change.requirements.is_empty() {
                p.touches {
                    @for (position, id) in change.requirements.iter().enumerate() {
                        @if position > 0 { ", " }
                        (visible(id))
                    }
                }
            }
            dl.lines { @for line in &change.lines { (shown(line)) } }
        }
    }
}

fn shown(line: &Line) -> Markup {
    html! {
        div.whole[line.at.is_empty()] {
            dt { (visible(&line.at)) }
            @if let Some(a) = &line.a { dd.removed { span { "−" span.unseen { " the first shows" } } pre { (visible(a)) } } }
            @if let Some(b) = &line.b { dd.added { span { "+" span.unseen { " the second shows" } } pre { (visible(b)) } } }
        }
    }
}
