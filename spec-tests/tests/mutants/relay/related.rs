//! Mutants of G01/relay/accepts-related: relations that are not seen, kinds that are not taken.

use serde_json::Value;

use crate::lie::relay::{is_kind, refuses, tags};
use crate::mutant::{Mutant, fault, proxy};

const ROW: &str = "G01/relay/accepts-related";

pub(super) fn mutants() -> Vec<Mutant> {
    [tags_ignored(), doors(), kinds()].into_iter().flatten().collect()
}

fn tags_ignored() -> Vec<Mutant> {
    vec![
        fault("capital-a-ignored", ROW),
        fault("quoted-addresses-ignored", ROW),
        fault("small-e-ignored", ROW),
        fault("capital-e-ignored", ROW),
        fault("quoted-events-ignored", ROW),
        fault("first-relation-only", ROW),
        fault("named-events-not-looked-up", ROW),
        fault("named-by-e-only", ROW),
        fault("named-by-q-only", ROW),
        fault("named-addresses-not-looked-up", ROW),
    ]
}

fn doors() -> Vec<Mutant> {
    vec![
        fault("announcements-open-no-doors", ROW),
        fault("comments-open-no-doors", ROW),
        fault("notes-open-no-doors", ROW),
        fault("patches-open-no-doors", ROW),
        fault("pull-requests-open-no-doors", ROW),
    ]
}

fn kinds() -> Vec<Mutant> {
    let refused = |name, what, which: fn(&Value) -> bool| {
        proxy(name, ROW, what, refuses(which, "blocked: not of this kind"))
    };
    vec![
        refused("labels-refused", "labels are refused", |event| is_kind(event, 1985)),
        refused("reactions-refused", "reactions are refused", |event| is_kind(event, 7)),
        refused("ci-results-refused", "CI results are refused", |event| is_kind(event, 9842)),
        refused("reposts-refused", "generic reposts are refused", |event| is_kind(event, 16)),
        refused("status-open-refused", "a status may not be `open`", |event| is_kind(event, 1630)),
        refused("status-applied-refused", "a status may not be `applied`", |event| is_kind(event, 1631)),
        refused("status-closed-refused", "a status may not be `closed`", |event| is_kind(event, 1632)),
        refused("status-draft-refused", "a status may not be `draft`", |event| is_kind(event, 1633)),
        refused("comments-refused", "comments are refused", |event| is_kind(event, 1111)),
        refused("patches-refused", "patches are refused", |event| is_kind(event, 1617)),
        refused("updates-refused", "updates of pull requests are refused", |event| is_kind(event, 1619))
            .affects("G01/purgatory/ok-message/update", "it publishes an update")
            .affects("G01/git/nostr-refs/update", "it publishes updates"),
        refused("notes-about-repositories-refused", "notes about repositories are refused", |event| {
            is_kind(event, 1) && tags(event, "a").next().is_some()
        })
        .affects("G01/relay/nip01/*", "what it asks for are notes about a repository")
        .affects(
            "G01/relay/rejects-unrelated/other-kind",
            "it is refused for its kind, and with no `restricted:`",
        ),
        refused("issues-for-two-refused", "an issue may name one repository", |event| {
            is_kind(event, 1621) && tags(event, "a").count() > 1
        }),
    ]
}
