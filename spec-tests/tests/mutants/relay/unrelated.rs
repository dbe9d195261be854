//! Mutants of G01/relay/rejects-unrelated: strays that are taken, people who are not known.

use serde_json::Value;

use crate::lie::relay::{all_tags, is_kind, refuses, says, tag, tags, yes_for_no};
use crate::mutant::{Mutant, fault, proxy};

const ROW: &str = "G01/relay/rejects-unrelated";

/// Why a chain of refused events fails elsewhere.
const REFUSED_FIRST: &str = "it must be refused before it is named";

fn has(event: &Value, names: &[&str]) -> bool {
    all_tags(event).any(|tag| tag[0].as_str().is_some_and(|name| names.contains(&name)))
}

/// Tags that the suite puts on everything.
fn is_mark(tag: &Value) -> bool {
    tag[1] == "grasp-audit"
}

pub(super) fn mutants() -> Vec<Mutant> {
    [strays(), people(), pull_requests(), deletions()].into_iter().flatten().collect()
}

fn strays() -> Vec<Mutant> {
    let welcome =
        |name, what, which: fn(&Value) -> bool| proxy(name, ROW, what, yes_for_no(which, "restricted:"));
    vec![
        welcome("plain-notes-welcome", "a note without tags is answered OK true", |event| {
            is_kind(event, 1)
                && all_tags(event).all(is_mark)
                && !event["content"].to_string().contains("30617")
        })
        .affects("G01/relay/accepts-related/named-*", REFUSED_FIRST)
        .affects("G01/relay/nip01/refused", "it publishes such a note"),
        welcome("topics-welcome", "a note with a topic is answered OK true", |event| {
            is_kind(event, 1) && tags(event, "t").any(|topic| topic == "git")
        }),
        welcome("mentions-welcome", "a note that mentions somebody is answered OK true", |event| {
            is_kind(event, 1) && has(event, &["p"])
        }),
        welcome("links-welcome", "a note with a coordinate in its text is answered OK true", |event| {
            event["content"].as_str().is_some_and(|content| content.contains("nostr:30617"))
        }),
        welcome("any-tag-relates", "a coordinate relates under any tag", |event| {
            has(event, &["d", "r"]) && is_kind(event, 1)
        }),
        welcome("comments-welcome", "a comment on anything is answered OK true", |event| {
            is_kind(event, 1111)
        }),
        welcome("issues-welcome", "an issue about anything is answered OK true", |event| {
            is_kind(event, 1621)
        })
        .affects(
            "G01/relay/accepts-related/either-repository",
            "it compares with an issue about something else",
        ),
        welcome("patches-welcome", "a patch to anything is answered OK true", |event| is_kind(event, 1617)),
        welcome("other-kinds-relate", "an address of another kind relates", |event| {
            is_kind(event, 1) && tags(event, "a").any(|address| address.starts_with("30023:"))
        }),
        welcome("any-id-relates", "whatever tags an event is answered OK true", |event| {
            is_kind(event, 1) && tags(event, "e").any(|id| id.len() == 64)
        }),
        welcome("garbage-relates", "whatever has an `a` tag is answered OK true", |event| {
            is_kind(event, 1) && tags(event, "a").any(|address| address == "30617::")
        }),
        fault("repositories-by-identifier", ROW),
        fault("repositories-by-owner", ROW),
    ]
}

fn people() -> Vec<Mutant> {
    vec![
        proxy(
            "grasp-lists-refused",
            ROW,
            "lists of GRASP servers are refused",
            refuses(|event| is_kind(event, 10_317), "restricted: not of this kind"),
        ),
        fault("maintainers-unknown", ROW),
        fault("root-authors-unknown", ROW),
        proxy(
            "strangers-profiles-welcome",
            ROW,
            "anybody's profile and lists are answered OK true",
            yes_for_no(|event| [0, 10_002, 10_317].iter().any(|kind| is_kind(event, *kind)), "restricted:"),
        ),
        fault("owners-unknown", ROW)
            .affects("G01/relay/nip01/profile-older", "the profile that it publishes is an owner's"),
    ]
}

fn pull_requests() -> Vec<Mutant> {
    vec![
        proxy(
            "pull-requests-to-anything-welcome",
            ROW,
            "a pull request to anything is answered OK true",
            says(|answer| {
                let refused = is_kind(&answer.event, 1618) && answer.words.starts_with("restricted: none of");
                refused.then(|| (true, String::new()))
            }),
        ),
        fault("pull-requests-to-waiting", ROW),
        proxy(
            "pull-requests-without-tip-welcome",
            ROW,
            "a pull request without `c` is answered OK true",
            yes_for_no(|event| is_kind(event, 1618) && !has(event, &["c"]), "invalid:"),
        ),
        proxy(
            "tips-of-any-text-welcome",
            ROW,
            "the tip of a pull request may be the name of a branch",
            yes_for_no(|event| is_kind(event, 1618) && tag(event, "c") == "main", "invalid:"),
        ),
        proxy(
            "short-tips-welcome",
            ROW,
            "the tip of a pull request may have seven digits",
            yes_for_no(|event| is_kind(event, 1618) && tag(event, "c").len() == 7, "invalid:"),
        ),
    ]
}

fn deletions() -> Vec<Mutant> {
    vec![fault("deletions-open-doors", ROW)]
}
