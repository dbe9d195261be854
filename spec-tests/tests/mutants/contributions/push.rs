//! Mutants of G06/push: what may be pushed to a contributor's repository, and what becomes of it.

use crate::lie::contributions::{
    Contributed, author, contributions_ok, is_contributed, is_contribution, lists, place, without,
};
use crate::lie::relay::{found_late, is_kind, tag};
use crate::mutant::{Mutant, fault, proxy};

const ROW: &str = "G06/push";

/// Why other requirements fail when uploads do not show.
const UNSIGNED: &str = "it looks at an upload whose event is not known";
/// Why they fail when contradicted uploads stay.
const CONTRADICTED: &str = "the only upload is one with another tip";
/// Why they fail when data must not come first.
const DATA_FIRST: &str = "its data is pushed first";
/// Why they fail when what a push has released is found late.
const AT_ONCE: &str = "it asks for the pull request when the push has returned";

fn begins(pushed: &Contributed, beginning: &str) -> bool {
    pushed.command.name.starts_with(beginning)
}

/// What stands behind `refs/nostr/`.
fn event_id<'p>(pushed: &'p Contributed) -> Option<&'p str> {
    pushed.command.name.strip_prefix("refs/nostr/")
}

fn has_its_tip(pushed: &Contributed) -> bool {
    pushed.event.is_some_and(|event| tag(event, "c") == pushed.command.new)
}

fn is_in_its_place(pushed: &Contributed) -> bool {
    pushed.event.and_then(place) == Some(pushed.place)
}

pub(super) fn mutants() -> Vec<Mutant> {
    [refs(), contradictions(), orders()].into_iter().flatten().collect()
}

/// Refs that are reported as taken and are none of a contributor's repository.
fn refs() -> Vec<Mutant> {
    let ok = |name, what, which: fn(&Contributed) -> bool| proxy(name, ROW, what, contributions_ok(which));
    vec![
        ok("contributed-branches-ok", "below /prs/, a branch is reported as taken", |pushed| {
            begins(pushed, "refs/heads/")
        }),
        ok("contributed-tags-ok", "below /prs/, a tag is reported as taken", |pushed| {
            begins(pushed, "refs/tags/")
        }),
        ok("contributed-notes-ok", "below /prs/, refs of other namespaces are reported as taken", |pushed| {
            !["refs/heads/", "refs/tags/", "refs/nostr/"].iter().any(|namespace| begins(pushed, namespace))
        }),
        ok("contributed-short-ids-ok", "below /prs/, a part of an event id is reported as taken", |pushed| {
            event_id(pushed).is_some_and(|id| id.len() < 64)
        }),
        ok(
            "contributed-long-ids-ok",
            "below /prs/, what begins with an event id is reported as taken",
            |pushed| event_id(pushed).is_some_and(|id| id.len() > 64),
        ),
        ok(
            "contributed-words-ok",
            "below /prs/, 64 letters are reported as taken for an event id",
            |pushed| event_id(pushed).is_some_and(|id| id.len() == 64 && id.contains('g')),
        ),
        ok("contributed-deletions-ok", "below /prs/, the deletion of a ref is reported as done", |pushed| {
            pushed.command.deletes()
        }),
    ]
}

/// Pushes that the event contradicts, known before or after.
fn contradictions() -> Vec<Mutant> {
    let ok = |name, what, which: fn(&Contributed) -> bool| proxy(name, ROW, what, contributions_ok(which));
    vec![
        ok(
            "contributed-other-tips-ok",
            "below /prs/, another tip than the event names is reported as taken",
            |pushed| is_in_its_place(pushed) && !has_its_tip(pushed) && !pushed.command.deletes(),
        ),
        ok(
            "contributed-by-others-ok",
            "below somebody else's key, what the event names is reported as taken",
            |pushed| has_its_tip(pushed) && pushed.event.is_some_and(|event| author(event) != pushed.place.0),
        ),
        ok(
            "contributed-elsewhere-ok",
            "below another identifier, what the event names is reported as taken",
            |pushed| {
                let (npub, identifier) = pushed.place;
                let named = pushed.event.and_then(place);
                has_its_tip(pushed) && named.is_some_and(|named| named.0 == npub && named.1 != identifier)
            },
        ),
        fault("contributed-other-tips-stay", ROW).affects("G06/clean/other-tip", CONTRADICTED),
        fault("contributed-by-others-stays", ROW),
        fault("contributed-by-others-counts", ROW),
        fault("contributed-elsewhere-stays", ROW),
    ]
}

/// What is lost, late or hidden, by the order in which data and events come.
fn orders() -> Vec<Mutant> {
    vec![
        fault("contributed-data-forgotten", ROW).affects("G06/mirror/data-first", DATA_FIRST),
        fault("contributed-updates-refused", ROW),
        fault("contributions-one-at-a-time", ROW),
        fault("contributed-uploads-stay", ROW).patient(),
        proxy(
            "unsigned-contributions-hidden",
            ROW,
            "an upload shows once its event is known",
            lists(is_contribution, |uploads, body| without(uploads, body, |upload| !upload.is_signed)),
        )
        .affects("G06/mirror/unsigned", UNSIGNED)
        .affects("G06/clean/other-tip", UNSIGNED),
        proxy(
            "contributions-found-late",
            ROW,
            "the first question by its id does not find a released contribution",
            found_late(|event| is_kind(event, 1618) && is_contributed(event)),
        )
        .affects("G06/mirror/never-back", AT_ONCE),
    ]
}
