//! One check in the HTML report: what was asked, how it ended, and the evidence: what went over the wire, how long it
//! took, and what the check put beside it.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use maud::{Markup, html};

use super::super::CheckReport;
use super::super::outcome::Outcome;
use super::super::terminal::{arrow, shortened};
use crate::attachment::{Attachment, Media};
use crate::calendar::span;
use crate::check::Verdict;
use crate::escape::visible;
use crate::page::{chip, prose, verbatim};
use crate::target::transcript::{Direction, Entry, Traffic};

/// How many transcript entries a page shows in all, so that a server that fails everything makes no page that no browser opens.
const ENTRIES_IN_ALL: usize = 6_000;
/// How many characters of one entry are shown.
const SHOWN_TEXT: usize = 1_200;

/// What is the same for all checks of a page.
#[derive(Debug, Clone, Copy)]
pub(super) struct View {
    /// Whether failed checks are shown open.
    pub(super) open: bool,
    /// How many checks failed or could not be carried out.
    pub(super) failed: usize,
}

impl View {
    /// How many entries of one transcript are shown.
    pub(super) fn entries(self) -> usize {
        (ENTRIES_IN_ALL / self.failed.max(1)).clamp(10, 80)
    }
}

/// The check as an item of a list.
pub(super) fn item(check: &CheckReport, view: View) -> Markup {
    let outcome = check.outcome();
    let failed = matches!(outcome, Outcome::Fail | Outcome::Error);
    html! {
        li.check data-outcome=(outcome.word()) {
            details open[failed && view.open] {
                summary {
                    (chip(outcome))
                    span.title { (prose(&check.title)) @if let Some(remark) = remark(check) { span.text { (prose(remark)) } } }
                    span.time { (span(check.duration_ms)) }
                }
                div.evidence {
                    p.id { code { (visible(&check.id)) } }
                    (judged(&check.verdict))
                    p.traffic { (capital_traffic(check)) }
                    @for peer in &check.peers { (super::timeline::drawing(peer)) }
                    @for attachment in &check.attachments { (attached(attachment)) }
                    @if !check.transcript.is_empty() { (transcript(&check.transcript, view.entries())) }
                }
            }
        }
    }
}

fn remark(check: &CheckReport) -> Option<&str> {
    match &check.verdict {
        Verdict::Skip { why: remark } | Verdict::Warn { text: remark } => Some(remark),
        _ => None,
    }
}

fn judged(verdict: &Verdict) -> Markup {
    html! {
        @match verdict {
            Verdict::Fail { expected, seen } => dl.judged {
                dt { "Expected" } dd { (verbatim(expected)) }
                dt { "Seen" } dd { (verbatim(seen)) }
            },
            Verdict::Error { text } => dl.judged { dt { "What stood in its way" } dd { (verbatim(text)) } },
            Verdict::Pass | Verdict::Skip { .. } | Verdict::Warn { .. } => {}
        }
    }
}

fn capital_traffic(check: &CheckReport) -> String {
    let over = traffic(&check.traffic);
    let took = span(check.duration_ms);
    match (check.outcome(), over.is_empty()) {
        (Outcome::Skip, true) => "Nothing was sent.".to_owned(),
        (Outcome::Pass, false) => format!("Proved with {over}, in {took}."),
        (_, false) => format!("Examined with {over}, in {took}."),
        (_, true) => format!("Nothing was sent in {took}."),
    }
}

/// `3 HTTP requests, 5 relay messages (2 sent, 3 received) and 1 run of git`.
fn traffic(traffic: &BTreeMap<String, Traffic>) -> String {
    let some =
        |count: usize, one: &str, many: &str| format!("{count} {}", if count == 1 { one } else { many });
    let parts: Vec<String> = traffic
        .iter()
        .map(|(kind, Traffic { sent, received })| match kind.as_str() {
            "http" => some(*sent, "HTTP request", "HTTP requests"),
            "git" => some(*sent, "run of git", "runs of git"),
            "ws" => {
                let messages = some(sent + received, "relay message", "relay messages");
                format!("{messages} ({sent} sent, {received} received)")
            }
            other => format!("{} of {}", some(sent + received, "message", "messages"), visible(other)),
        })
        .collect();
    match parts.as_slice() {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

fn attached(attachment: &Attachment) -> Markup {
    html! {
        @match attachment.media {
            Media::Text => details.attachment { summary { (visible(&attachment.title)) } (verbatim(&attachment.body)) },
            // as an image, not as markup: in an image no script runs and nothing is loaded
            Media::Svg => figure.attachment {
                img src={ "data:image/svg+xml;base64," (STANDARD.encode(&attachment.body)) } alt=(visible(&attachment.title));
                figcaption { (visible(&attachment.title)) }
            },
        }
    }
}

pub(super) fn transcript(entries: &[Entry], most: usize) -> Markup {
    let hidden = entries.len().saturating_sub(most);
    html! {
        details.transcript {
            summary { "On the wire (" (entries.len()) @if entries.len() == 1 { " entry)" } @else { " entries)" } }
            @if hidden > 0 { p { (hidden) " earlier entries are in the JSON report." } }
            ol {
                @for entry in &entries[hidden..] {
                    li.(direction(entry.direction)) {
                        span.at { (entry.at_ms) " ms" }
                        span.channel { (visible(&entry.channel)) }
                        span.arrow title=(direction(entry.direction)) { (arrow(entry.direction)) }
                        (verbatim(&shortened(&entry.text, SHOWN_TEXT)))
                    }
                }
            }
        }
    }
}

const fn direction(direction: Direction) -> &'static str {
    match direction {
        Direction::Sent => "sent",
        Direction::Received => "received",
        Direction::Note => "note",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn traffic_is_told_in_words() {
        let of = |sent, received| Traffic { sent, received };
        let seen = [("http".to_owned(), of(1, 1)), ("ws".to_owned(), of(2, 3)), ("git".to_owned(), of(2, 2))];
        assert_eq!(
            traffic(&seen.into_iter().collect()),
            "2 runs of git, 1 HTTP request and 5 relay messages (2 sent, 3 received)"
        );
        assert_eq!(traffic(&BTreeMap::new()), "");
    }

    #[test]
    fn a_drawing_is_an_image_and_no_markup() {
        let drawing = attached(&Attachment::svg("when", "<svg><script>x</script></svg>")).into_string();
        assert!(drawing.contains("<img src=\"data:image/svg+xml;base64,"), "{drawing}");
        assert!(!drawing.contains("<script"), "{drawing}");
    }
}
