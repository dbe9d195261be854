//! Mutants of G01/purgatory/ok-message and not-served: waiting in silence, and leaks.

use grasp_fixtures::faulty_proxy::{Heard, Lies};
use serde_json::Value;

use crate::lie::reconcile::Reconciliations;
use crate::lie::relay::{Answered, Answers, is_kind, says};
use crate::lie::shadow::{Forgets, Kept, NOWHERE, Shows, shadow, waits};
use crate::mutant::{Mutant, proxy};

const MESSAGE: &str = "G01/purgatory/ok-message";
const UNSERVED: &str = "G01/purgatory/not-served";

/// Says this to a waiting event of this kind.
fn words(kind: u16, words: &'static str) -> impl Fn() -> Lies {
    says(move |answer: &Answered| {
        (waits(answer) && is_kind(&answer.event, kind)).then(|| (true, words.to_owned()))
    })
}

/// Whether a filter asks by a tag.
fn by_tag(filter: &Value) -> bool {
    filter.as_object().is_some_and(|fields| fields.keys().any(|name| name.starts_with('#')))
}

pub(super) fn mutants() -> Vec<Mutant> {
    vec![
        proxy(
            "announcements-wait-in-silence",
            MESSAGE,
            "nothing says that an announcement waits",
            words(30_617, ""),
        ),
        proxy(
            "states-pending",
            MESSAGE,
            "a state that waits is called pending",
            words(30_618, "pending: it waits"),
        ),
        proxy(
            "pull-requests-wait-in-silence",
            MESSAGE,
            "nothing says that a pull request waits",
            words(1618, ""),
        ),
        proxy(
            "updates-in-purgatory",
            MESSAGE,
            "an update that waits is told so in other words",
            words(1619, "purgatory: it waits"),
        ),
        proxy("waiting-found-by-tag", UNSERVED, "a REQ by a tag finds what waits", {
            shadow(waits, Shows { stored: by_tag, ..NOWHERE }, Forgets::Settled)
        }),
        proxy("waiting-counted", UNSERVED, "COUNT counts what waits", {
            shadow(waits, Shows { counted: true, ..NOWHERE }, Forgets::Settled)
        }),
        proxy("waiting-delivered", UNSERVED, "a live subscription gets what waits, beside something else", {
            shadow(waits, Shows { live: true, ..NOWHERE }, Forgets::Settled)
        }),
        proxy("waiting-reconciled", UNSERVED, "negentropy lists what waits", || {
            let kept = Kept::default();
            Lies::default().relay(move || {
                let (kept, mut answers, mut sessions) =
                    (kept.clone(), Answers::default(), Reconciliations::default());
                move |heard: &Heard| {
                    if let Some(answered) = answers.hear(heard).filter(|answered| answered.accepted) {
                        kept.follow(&answered.event, Forgets::Settled);
                        kept.add(&answered.event);
                    }
                    sessions.hear(heard, &kept)
                }
            })
        }),
        proxy(
            "refused-pushes-release",
            UNSERVED,
            "a push releases what waits, refused or not",
            crate::lie::shadow::shown_when_pushed(),
        )
        .affects("G01/git/push-unauthorised/*", "it looks whether a refused push has released something")
        .affects("G01/git/nostr-refs/other-tip", "it looks whether a refused push has released something"),
    ]
}
