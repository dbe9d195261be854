//! The comparison as one HTML file: the servers, then a table per section in which differences can be opened.

use maud::{Markup, html};

use super::super::html::whole;
use super::super::outcome::{Outcome, Tally};
use super::{Cell, CheckRow, Comparison, Row, Server};
use crate::calendar::{minute, span};
use crate::escape::visible;
use crate::page::{anchor, bar, chip, frame, prose};

/// The HTML text. `links` are the addresses of the servers' own reports, in their order, where there are any.
#[must_use]
pub fn render(comparison: &Comparison, links: &[Option<String>]) -> String {
    let (all, differing) = (comparison.requirements.len(), comparison.differing());
    let body = html! {
        header.summary.plain {
            p.kind { "GRASP conformance audit" }
            h1 { (comparison.servers.len()) " servers side by side" }
            p.verdict { (headline(all, differing)) }
            (servers(comparison, links))
            dl.facts {
                div { dt { "Suite" } dd { (comparison.suite) } }
                div { dt { "Catalogue" } dd { (comparison.catalogue) } }
                div { dt { "Begun" } dd { (minute(comparison.started)) } }
            }
        }
        @if differing > 0 {
            fieldset.filter {
                legend { "Show" }
                span { input type="radio" name="show" id="show-all" checked; label for="show-all" { "All " b { (all) } } }
                span {
                    input type="radio" name="show" id="show-different";
                    label for="show-different" { "Where they differ " b { (differing) } }
                }
            }
        }
        @for (id, heading, rows) in comparison.sections() { (section(comparison, id, heading, &rows)) }
    };
    let made = format!(
        "grasp-audit {}, catalogue {}, begun {}",
        comparison.suite,
        comparison.catalogue,
        minute(comparison.started)
    );
    frame(&format!("GRASP audit of {} servers", comparison.servers.len()), &made, &body)
}

fn headline(all: usize, differing: usize) -> String {
    match differing {
        0 => format!("They agree in all {all} requirements"),
        1 => format!("They differ in 1 of {all} requirements"),
        _ => format!("They differ in {differing} of {all} requirements"),
    }
}

fn servers(comparison: &Comparison, links: &[Option<String>]) -> Markup {
    html! {
        ol.servers {
            @for (column, server) in comparison.servers.iter().enumerate() {
                li.(whole(server.exit_code).word()) {
                    p.name {
                        span.number { (column + 1) } " "
                        @match links.get(column).and_then(Option::as_ref) {
                            Some(link) => a href=(link) { (visible(&server.url)) },
                            None => (visible(&server.url)),
                        }
                    }
                    @if !server.server.is_empty() { p.server { (visible(&server.server)) } }
                    (result(server, comparison, column))
                }
            }
        }
    }
}

fn result(server: &Server, comparison: &Comparison, column: usize) -> Markup {
    let rows = comparison.requirements.iter().filter_map(|row| row.servers[column]);
    let tally = Tally::of(rows.map(|cell| cell.outcome));
    html! {
        @match (server.totals, &server.error) {
            (Some(totals), _) => {
                p.said { span aria-hidden="true" { (whole(server.exit_code).sign()) } " " (standing(server.exit_code)) }
                (bar(&tally))
                p {
                    b { (tally.holding()) "/" (tally.asked()) } " requirements hold; checks: "
                    (totals.passed) " passed, " (totals.failed_must) " failed a MUST, " (totals.failed_other)
                    " failed something weaker, " (totals.skipped) " skipped"
                    @if let Some(took) = server.duration_ms { ", in " (span(took)) }
                }
            },
            (None, Some(error)) => p.unreachable { (visible(error)) },
            (None, None) => {}
        }
    }
}

const fn standing(exit_code: u8) -> &'static str {
    match exit_code {
        0 => "Every MUST that was examined holds",
        1 => "A MUST does not hold",
        _ => "Not everything could be examined",
    }
}

fn section(comparison: &Comparison, id: &str, heading: &str, rows: &[&Row]) -> Markup {
    let same = rows.iter().all(|row| !row.differs());
    html! {
        section.spec.same[same] aria-labelledby=(anchor(id)) {
            h2 id=(anchor(id)) { (visible(heading)) " " code { (visible(id)) } }
            div.scroll tabindex="0" role="region" aria-labelledby=(anchor(id)) {
                // the roles say again what the elements say, for a narrow screen lays them out otherwise
                table.compared role="table" style={ "--servers:" (comparison.servers.len()) } {
                    thead role="rowgroup" { tr role="row" {
                        th role="columnheader" scope="col" { "Requirement" }
                        @for (column, server) in comparison.servers.iter().enumerate() {
                            th role="columnheader" scope="col" { span.number { (column + 1) } " " span.host { (visible(host(&server.url))) } }
                        }
                    } }
                    tbody role="rowgroup" { @for row in rows { (requirement(row)) } }
                }
            }
        }
    }
}

fn host(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, rest)| rest)
}

fn requirement(row: &Row) -> Markup {
    let differing: Vec<&CheckRow> = row.checks.iter().filter(|check| check.differs()).collect();
    html! {
        tr.same[differing.is_empty()] role="row" id=(anchor(&row.id)) {
            th role="rowheader" scope="row" {
                code { (visible(&row.id)) } " " span.level { (row.level) }
                span.text { (prose(row.text())) }
            }
            @for seen in &row.servers { td role="cell" { (cell(*seen)) } }
        }
        @for check in differing {
            tr.difference role="row" {
                th role="rowheader" scope="row" { span.title { (prose(&check.title)) } }
                @for seen in &check.servers { td role="cell" { (outcome(*seen)) } }
            }
        }
    }
}

fn cell(seen: Option<Cell>) -> Markup {
    html! {
        (outcome(seen.map(|cell| cell.outcome)))
        @if let Some(cell) = seen { span.count { (cell.checks.holding()) "/" (cell.checks.asked()) " hold" } }
    }
}

fn outcome(seen: Option<Outcome>) -> Markup {
    html! { @match seen { Some(outcome) => (chip(outcome)), None => span.count { "not examined" } } }
}
