//! How the server stood hostile input, in the HTML report: apart from conformance, and without a say in its verdict.

use maud::{Markup, html};

use super::capital;
use super::check::{View, transcript};
use crate::calendar::span;
use crate::escape::visible;
use crate::hardening::Area;
use crate::hardening::report::{CaseReport, HardeningReport};
use crate::page::{anchor, chip_saying, prose, tiles};
use crate::report::outcome::Outcome;

/// The part of the page.
pub(super) fn section(report: &HardeningReport) -> Markup {
    let telling = report.cases.iter().filter(|case| !case.transcript.is_empty()).count();
    let view = View { open: false, failed: telling };
    html! {
        section.hardening aria-labelledby="hardening" {
            (summary(report))
            @for area in Area::ALL {
                @let cases: Vec<&CaseReport> = report.cases.iter().filter(|case| case.area == area).collect();
                @if !cases.is_empty() {
                    h3 { (area.heading()) " " code { (area.id()) } }
                    ul.rows { @for case in cases { (item(case, view)) } }
                }
            }
        }
    }
}

fn summary(report: &HardeningReport) -> Markup {
    let outcome = report.outcome();
    html! {
        div.summary.(outcome.word()) {
            p.kind { "Not conformance" }
            h2 id="hardening" { "Hardening: what hostile input does to it" }
            p.verdict { span.seal aria-hidden="true" { (outcome.sign()) } " " (capital(&report.sentence())) }
            (tiles(&report.counted()))
            @if let Some(stop) = report.stop() { p.named { (capital(&visible(&stop))) "." } }
            (weak(report))
            dl.facts {
                div { dt { "Suite" } dd { (visible(&report.suite)) } }
                div { dt { "Cases of" } dd { (visible(&report.catalogue)) } }
                div { dt { "Took" } dd { (span(report.duration_ms)) } }
                div { dt { "Sent" } dd { (report.sent()) } }
                @if let Some(before) = report.baseline { div { dt { "Before the first case" } dd { (before) } } }
            }
        }
    }
}

fn weak(report: &HardeningReport) -> Markup {
    let weak: Vec<&CaseReport> =
        report.cases.iter().filter(|case| case.grade.outcome() == Outcome::Fail).collect();
    html! {
        @if !weak.is_empty() {
            p.named {
                "Weak against: "
                @for (position, case) in weak.iter().enumerate() {
                    @if position > 0 { ", " }
                    a href={ "#" (anchor(&case.id)) } { (visible(&case.id)) }
                }
            }
        }
    }
}

fn item(case: &CaseReport, view: View) -> Markup {
    let outcome = case.grade.outcome();
    html! {
        li.check.case id=(anchor(&case.id)) {
            details open[outcome == Outcome::Fail] {
                summary {
                    (chip_saying(outcome, &case.grade.word().to_lowercase()))
                    span.title { code { (visible(&case.id)) } span.text { (visible(case.line())) } }
                    span.time { (span(case.duration_ms)) }
                }
                div.evidence {
                    dl.judged {
                        dt { "Sent" } dd { (prose(&case.sends)) }
                        dt { "A robust server" } dd { (prose(&case.robust)) }
                        @for (heading, texts) in case.grade.told() {
                            dt { (heading) }
                            dd { ul.remarks { @for text in texts { li { (visible(text)) } } } }
                        }
                        @if let Some(meanwhile) = case.meanwhile { dt { "Meanwhile, at worst" } dd { (meanwhile) } }
                        @if let Some(afterwards) = case.afterwards { dt { "Afterwards" } dd { (afterwards) } }
                    }
                    @if !case.transcript.is_empty() { (transcript(&case.transcript, view.entries())) }
                }
            }
        }
    }
}
