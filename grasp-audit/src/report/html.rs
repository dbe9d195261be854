//! The report as one HTML file: a summary for the first screen, then the specification row by row, with the evidence;
//! how the server stood hostile input, when that was asked for, in a part of its own.
//!
//! It works without scripts: rows open and close by themselves, and the filter is CSS.

mod changes;
mod check;
mod hardening;
mod timeline;

use maud::{Markup, html};

use super::outcome::{Outcome, Tally};
use super::outline::{Row, Section, outline};
use super::{CheckReport, Report};
use crate::calendar::{minute, span};
use crate::escape::visible;
use crate::page::{anchor, bar, chip, frame, prose, tiles};

/// More failed checks than this are shown closed, or nobody would find the second one.
const SHOWN_OPEN: usize = 20;
/// How many failed requirements are named in the summary.
const NAMED: usize = 10;
/// How many checks are listed as the slowest.
const SLOWEST: usize = 10;

/// The HTML text.
#[must_use]
pub fn render(report: &Report) -> String {
    let body = html! {
        @if report.is_about_conformance() { (conformance(report)) } @else { (hostile_only(report)) }
        @if let Some(hostile) = &report.hardening { (hardening::section(hostile)) }
    };
    let made = format!(
        "grasp-audit {}, catalogue {}, begun {}",
        report.suite,
        report.catalogue,
        minute(report.started)
    );
    frame(&format!("GRASP audit of {}", report.url), &made, &body)
}

fn conformance(report: &Report) -> Markup {
    let sections = outline(report);
    let tally = Tally::of(report.checks.iter().map(CheckReport::outcome));
    let failed = tally.fail + tally.error;
    let view = check::View { open: failed <= SHOWN_OPEN, failed };
    html! {
        (summary(report, &tally, &sections))
        @if let Some(baseline) = &report.baseline { (changes::section(baseline)) }
        (filter(&tally))
        @for section in &sections { (section_rows(section, view)) }
        (slowest(report))
    }
}

/// The head of a page about hostile input alone.
fn hostile_only(report: &Report) -> Markup {
    html! {
        p.kind { "GRASP hardening" }
        h1 { (visible(&report.url)) }
        p.server { (server(report)) ". " (capital(&report.sentence())) "." }
    }
}

fn server(report: &Report) -> String {
    if report.server.is_empty() { "no name".to_owned() } else { visible(&report.server) }
}

/// The outcome of the whole run, for colours: as the exit code, 0, 1, 2.
pub(crate) const fn whole(exit_code: u8) -> Outcome {
    match exit_code {
        0 => Outcome::Pass,
        1 => Outcome::Fail,
        _ => Outcome::Error,
    }
}

fn summary(report: &Report, tally: &Tally, sections: &[Section<'_>]) -> Markup {
    let (whole, cleanup) = (whole(report.exit_code()), report.cleanup());
    html! {
        header.summary.(whole.word()) {
            p.kind { "GRASP conformance audit" }
            h1 { (visible(&report.url)) }
            p.server { (server(report)) }
            p.verdict { span.seal aria-hidden="true" { (whole.sign()) } " " (capital(&report.sentence())) }
            (tiles(&figures(report)))
            @if tally.fail > 0 { (failed_requirements(sections)) }
            (overview(sections))
            dl.facts {
                div { dt { "Suite" } dd { (report.suite) } }
                div { dt { "Catalogue" } dd { (report.catalogue) } }
                div { dt { "Begun" } dd { (minute(report.started)) } }
                div { dt { "Took" } dd { (span(report.duration_ms)) } }
                @if cleanup.published > 0 {
                    div { dt { "Events" } dd { (cleanup.published) " published, " (cleanup.left) " still served" } }
                }
                @if let Some(filter) = &report.filter { div { dt { "Only" } dd { code { (visible(filter)) } } } }
                @if let Some(hostile) = &report.hardening {
                    div { dt { "Hardening, apart" } dd { a href="#hardening" { (hostile.sentence()) } } }
                }
            }
        }
    }
}

fn figures(report: &Report) -> [(usize, &'static str, Outcome); 6] {
    let totals = &report.totals;
    [
        (totals.passed, "passed", Outcome::Pass),
        (totals.failed_must, "failed a MUST", Outcome::Fail),
        (totals.failed_other, "failed something weaker", Outcome::Fail),
        (totals.skipped, "skipped", Outcome::Skip),
        (totals.warned, "with a remark", Outcome::Warn),
        (totals.errors, "not carried out", Outcome::Error),
    ]
}

fn failed_requirements(sections: &[Section<'_>]) -> Markup {
    let rows = sections.iter().flat_map(|section| &section.rows);
    let failed: Vec<&Row<'_>> = rows.filter(|row| row.outcome() == Outcome::Fail).collect();
    html! {
        p.named {
            (failed.len()) @if failed.len() == 1 { " requirement does" } @else { " requirements do" } " not hold: "
            @for (position, row) in failed.iter().take(NAMED).enumerate() {
                @if position > 0 { ", " }
                a href={ "#" (anchor(row.id)) } { (visible(row.id)) }
            }
            @if failed.len() > NAMED { " and " (failed.len() - NAMED) " more" }
        }
    }
}

fn overview(sections: &[Section<'_>]) -> Markup {
    html! {
        table.overview {
            caption.unseen { "Sections of the specification" }
            thead { tr {
                th scope="col" { "Section" }
                th scope="col" { "Requirements" }
                th.wide scope="col" { span.unseen { "Share of checks by outcome" } }
                th scope="col" { "Checks" }
                th scope="col" { "Time, added up" }
            } }
            tbody {
                @for section in sections {
                    @let tally = section.tally();
                    @let rows = Tally::of(section.rows.iter().map(Row::outcome));
                    tr {
                        th scope="row" { a href={ "#" (anchor(section.id)) } { (visible(section.heading)) } }
                        td { (share(&rows)) }
                        td.wide { (bar(&tally)) }
                        td { (share(&tally)) }
                        td { (span(section.duration_ms())) }
                    }
                }
            }
        }
    }
}

/// How many of those that were examined hold.
fn share(tally: &Tally) -> String {
    if tally.asked() == 0 { "–".to_owned() } else { format!("{}/{}", tally.holding(), tally.asked()) }
}

fn filter(tally: &Tally) -> Markup {
    let choices = [
        (Outcome::Fail, "Failed"),
        (Outcome::Error, "Not carried out"),
        (Outcome::Warn, "With a remark"),
        (Outcome::Skip, "Skipped"),
        (Outcome::Pass, "Passed"),
    ];
    html! {
        fieldset.filter {
            legend { "Show" }
            span { input type="radio" name="show" id="show-all" checked; label for="show-all" { "All " b { (tally.all()) } } }
            @for (outcome, label) in choices {
                @let id = format!("show-{}", outcome.word());
                @let count = tally.count(outcome);
                @if count > 0 {
                    span { input type="radio" name="show" id=(id); label for=(id) { (label) " " b { (count) } } }
                }
            }
        }
    }
}

fn section_rows(section: &Section<'_>, view: check::View) -> Markup {
    html! {
        section.spec aria-labelledby=(anchor(section.id)) {
            h2 id=(anchor(section.id)) { (visible(section.heading)) " " code { (visible(section.id)) } }
            ul.rows {
                @for row in &section.rows { (requirement(row, view)) }
            }
        }
    }
}

fn requirement(row: &Row<'_>, view: check::View) -> Markup {
    let tally = row.tally();
    let open = tally.fail + tally.error > 0;
    html! {
        li.requirement id=(anchor(row.id)) {
            details open[open] {
                summary {
                    (chip(tally.outcome()))
                    span.level { (row.level) }
                    span.what { code { (visible(row.id)) } span.text { (prose(row.text)) } }
                    span.count {
                        (tally.holding()) "/" (tally.asked()) " hold"
                        @if tally.skip > 0 { span.more { (tally.skip) " skipped" } }
                    }
                    span.time { (span(row.duration_ms())) }
                }
                ul.checks {
                    @for check in worst_first(&row.checks) { (check::item(check, view)) }
                }
            }
        }
    }
}

/// What asks for attention first; the rest in the order of the suite.
fn worst_first<'a>(checks: &[&'a CheckReport]) -> Vec<&'a CheckReport> {
    let mut checks = checks.to_vec();
    checks.sort_by_key(|check| match check.outcome() {
        Outcome::Fail => 0,
        Outcome::Error => 1,
        Outcome::Warn => 2,
        Outcome::Pass | Outcome::Skip => 3,
    });
    checks
}

fn slowest(report: &Report) -> Markup {
    let mut checks: Vec<_> = report.checks.iter().filter(|check| check.outcome() != Outcome::Skip).collect();
    checks.sort_by_key(|check| std::cmp::Reverse(check.duration_ms));
    html! {
        @if checks.len() > SLOWEST {
            details.slowest {
                summary { "The slowest checks" }
                ol {
                    @for check in checks.iter().take(SLOWEST) {
                        li { (span(check.duration_ms)) " " code { (visible(&check.id)) } " " (prose(&check.title)) }
                    }
                }
            }
        }
    }
}

/// The sentence with a capital letter at its beginning.
#[must_use]
pub fn capital(sentence: &str) -> String {
    let mut rest = sentence.chars();
    rest.next().map(|first| first.to_uppercase().chain(rest).collect()).unwrap_or_default()
}
