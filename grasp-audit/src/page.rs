//! The frame of the suite's HTML pages, and what they share: one file each, nothing loaded from anywhere, no scripts.
//!
//! The content security policy inside the page allows neither scripts nor connections, so that text chosen by a server
//! could do nothing even if it were not escaped. It is: maud escapes everything that is not markup of this crate.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use crate::escape::visible;
use crate::report::outcome::{Outcome, Tally};

const STYLE: &str = include_str!("page/style.css");
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; img-src data:; base-uri 'none'; form-action 'none'";

/// A whole page. `made_by` says which suite and catalogue made it, and when.
#[must_use]
pub fn frame(title: &str, made_by: &str, body: &Markup) -> String {
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta http-equiv="Content-Security-Policy" content=(POLICY);
                meta name="generator" content={ "grasp-audit " (crate::VERSION) };
                title { (visible(title)) }
                style { (PreEscaped(STYLE)) }
            }
            body {
                main { (body) }
                footer { p { (made_by) } }
            }
        }
    };
    page.into_string()
}

/// A sentence in which `` `code` `` is code.
#[must_use]
pub fn prose(text: &str) -> Markup {
    let text = visible(text);
    let parts: Vec<&str> = text.split('`').collect();
    html! {
        @if parts.len().is_multiple_of(2) { (text) }
        @else {
            @for (position, part) in parts.iter().enumerate() {
                @if position % 2 == 0 { (part) } @else { code { (part) } }
            }
        }
    }
}

/// Text as it came.
#[must_use]
pub fn verbatim(text: &str) -> Markup {
    // a block that can be scrolled has to be reachable without a mouse
    html! { pre tabindex="0" { (visible(text.trim_end())) } }
}

/// An outcome as a sign and a word.
#[must_use]
pub fn chip(outcome: Outcome) -> Markup {
    chip_saying(outcome, outcome.word())
}

/// An outcome as a sign, with another word.
#[must_use]
pub fn chip_saying(outcome: Outcome, word: &str) -> Markup {
    html! {
        span.chip.(outcome.word()) {
            span aria-hidden="true" { (outcome.sign()) } " " (word)
        }
    }
}

/// Figures of a summary, each with what it counts and its colour.
#[must_use]
pub fn tiles(figures: &[(usize, &str, Outcome)]) -> Markup {
    html! {
        ul.tiles {
            @for (count, label, outcome) in figures {
                li.(outcome.word()).none[*count == 0] { strong { (count) } " " span { (label) } }
            }
        }
    }
}

/// How many ended how, as a bar; the figures have to stand beside it.
#[must_use]
pub fn bar(tally: &Tally) -> Markup {
    html! {
        span.bar aria-hidden="true" {
            @for outcome in [Outcome::Pass, Outcome::Warn, Outcome::Fail, Outcome::Error, Outcome::Skip] {
                @let count = tally.count(outcome);
                @if count > 0 { span.(outcome.word()) style={ "flex-grow:" (count) } {} }
            }
        }
    }
}

/// The name of the part of a page that is about `id`.
#[must_use]
pub fn anchor(id: &str) -> String {
    id.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '-' }).collect()
}
