//! Mutants of G06/events: pull requests that are refused although they name their author's repository here, and others
//! that are taken although they do not.

use grasp_fixtures::faulty_proxy::{Fate, Heard, Lies, Side};
use serde_json::{Value, json};

use crate::lie::contributions::{Taken, author, clone_urls, is_contributed, place};
use crate::lie::relay::{all_tags, is_kind, refuses, says, tags, yes_for_no};
use crate::lie::shadow::{Forgets, STORED, shadow, waits};
use crate::mutant::{Mutant, proxy};

const ROW: &str = "G06/events";

/// Whether a repository that it is for has the identifier of the place that it names.
fn is_for_its_identifier(event: &Value) -> bool {
    let identifier = place(event).map(|(_, identifier)| format!(":{identifier}"));
    identifier.is_some_and(|identifier| tags(event, "a").any(|a| a.ends_with(&identifier)))
}

fn is_by_its_contributor(event: &Value) -> bool {
    place(event).is_some_and(|(npub, _)| npub == author(event))
}

fn is_elsewhere(event: &Value) -> bool {
    is_contributed(event) && clone_urls(event).any(|url| url.starts_with("https://elsewhere.example/"))
}

/// The events under `E` that the relay has taken.
fn roots(event: &Value, known: &Taken) -> impl Iterator<Item = Value> {
    tags(event, "E").filter_map(|id| known.by_id(id))
}

/// Refuses, with this message, events that the relay would take: by them and by what it has taken before.
fn refuses_beside(which: fn(&Value, &Taken) -> bool, message: &'static str) -> impl Fn() -> Lies {
    move || {
        let known = Taken::default();
        Lies::default().relay(move || {
            let (known, mut hear) = (known.clone(), known.hear());
            move |heard: &Heard| {
                let event = &heard.json[1];
                if heard.verb_of(Side::Client) == "EVENT" && which(event, &known) {
                    return Fate::tell(json!(["OK", event["id"], false, message]));
                }
                hear(heard)
            }
        })
    }
}

pub(super) fn mutants() -> Vec<Mutant> {
    [refused(), taken()].into_iter().flatten().collect()
}

fn refused() -> Vec<Mutant> {
    vec![
        proxy(
            "contributions-wait-in-silence",
            ROW,
            "a contribution that waits is not told so",
            says(|answered| {
                (waits(answered) && is_contributed(&answered.event)).then(|| (true, String::new()))
            }),
        ),
        proxy(
            "contributions-served-while-they-wait",
            ROW,
            "a contribution is served before its data is here",
            shadow(|answered| waits(answered) && is_contributed(&answered.event), STORED, Forgets::Settled),
        )
        .affects("G06/push/*", "it asks whether a contribution is served that waits"),
        proxy(
            "contributions-of-one-clone-tag",
            ROW,
            "a contribution with several `clone` tags is refused",
            refuses(
                |event| is_contributed(event) && all_tags(event).filter(|tag| tag[0] == "clone").count() > 1,
                "invalid: one `clone` tag is enough",
            ),
        ),
        proxy(
            "contributed-updates-of-known-only",
            ROW,
            "an update is refused when it is no update of a contribution that was taken here",
            refuses_beside(
                |event, known| {
                    is_kind(event, 1619) && is_contributed(event) && roots(event, known).next().is_none()
                },
                "restricted: the pull request is not known here",
            ),
        ),
        proxy(
            "comments-on-contributions-refused",
            ROW,
            "a comment on a contribution is refused",
            refuses_beside(
                |event, known| is_kind(event, 1111) && roots(event, known).any(|root| is_contributed(&root)),
                "restricted: no comments",
            ),
        ),
    ]
}

fn taken() -> Vec<Mutant> {
    let welcome =
        |name, what, which: fn(&Value) -> bool| proxy(name, ROW, what, yes_for_no(which, "restricted:"));
    vec![
        proxy(
            "contributions-to-nowhere",
            ROW,
            "a pull request to what is not here is taken without a `clone` tag",
            yes_for_no(
                |event| is_kind(event, 1618) && clone_urls(event).next().is_none(),
                "restricted: none of the repositories",
            ),
        )
        .affects("G01/relay/rejects-unrelated/pr-unknown-repository", "it has no `clone` tag"),
        welcome("contributions-by-others", "a contribution may name somebody else's repository", |event| {
            is_contributed(event) && !is_by_its_contributor(event)
        }),
        welcome("contributions-to-any-identifier", "a contribution may name any identifier", |event| {
            let names_any = tags(event, "a").next().is_some();
            is_contributed(event)
                && names_any
                && is_by_its_contributor(event)
                && !is_for_its_identifier(event)
        }),
        welcome(
            "contributions-elsewhere",
            "a contribution may name the same path of any service",
            is_elsewhere,
        ),
        welcome("contributions-for-nothing", "a contribution need not name a repository", |event| {
            is_contributed(event) && tags(event, "a").next().is_none()
        }),
        welcome("issues-as-contributions", "an issue with such a `clone` tag is taken", |event| {
            is_kind(event, 1621) && place(event).is_some()
        }),
    ]
}
