//! Mutants of G01/relay/deletion: what stays, what goes too far, and what comes back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use grasp_fixtures::faulty_proxy::{Fate, Heard, Lies, Side};
use serde_json::{Value, json};

use crate::lie::git::Remembered;
use crate::lie::relay::{Answers, hears, is_kind, pretends, refuses, tags, yes_for_no};
use crate::mutant::{Mutant, fault, proxy};

const ROW: &str = "G01/relay/deletion";

/// Why what waits is affected.
pub(crate) const WAITING: &str = "what waits is withdrawn by the same request";

/// Says yes to deletion requests that name an event of this kind by id, and does nothing.
pub(crate) fn spares(kind: u16) -> impl Fn() -> Lies {
    move || {
        let known: Arc<Mutex<BTreeMap<String, u64>>> = Arc::default();
        Lies::default().relay(move || {
            let known = known.clone();
            move |heard: &Heard| {
                if heard.verb_of(Side::Client) != "EVENT" {
                    return Fate::Pass;
                }
                let event = &heard.json[1];
                let mut known = known.lock().unwrap();
                if is_kind(event, 5) && tags(event, "e").any(|id| known.get(id) == Some(&u64::from(kind))) {
                    return Fate::tell(json!(["OK", event["id"], true, ""]));
                }
                let id = event["id"].as_str().unwrap_or_default();
                known.insert(id.to_owned(), event["kind"].as_u64().unwrap_or_default());
                Fate::Pass
            }
        })
    }
}

fn deletes(event: &Value, tag: &str) -> bool {
    is_kind(event, 5) && tags(event, tag).next().is_some()
}

pub(super) fn mutants() -> Vec<Mutant> {
    [stays(), goes(), comes_back(), answers()].into_iter().flatten().collect()
}

fn stays() -> Vec<Mutant> {
    vec![
        proxy("issues-cannot-be-deleted", ROW, "a deletion request for an issue has no effect", spares(1621))
            .affects("G01/relay/rejects-unrelated/deletion-opens-no-door", "it deletes an issue"),
        proxy(
            "comments-cannot-be-deleted",
            ROW,
            "a deletion request for a comment has no effect",
            spares(1111),
        ),
        proxy(
            "states-cannot-be-deleted",
            ROW,
            "a deletion request for a state, by its id, has no effect",
            spares(30_618),
        )
        .affects("G01/purgatory/withdrawn/state-by-id", WAITING),
        proxy(
            "announcements-cannot-be-deleted",
            ROW,
            "a deletion request for an announcement, by its id, has no effect",
            spares(30_617),
        )
        .affects("G01/purgatory/withdrawn/announcement-by-id", WAITING),
        proxy(
            "pull-requests-cannot-be-deleted",
            ROW,
            "a deletion request for a pull request has no effect",
            spares(1618),
        )
        .affects("G01/purgatory/withdrawn/pull-request-by-id", WAITING),
        proxy(
            "addresses-cannot-be-deleted",
            ROW,
            "a deletion request by address has no effect",
            pretends(|event| deletes(event, "a")),
        )
        .affects("G01/purgatory/withdrawn/*", WAITING),
        fault("retired-is-served", ROW),
        fault("first-deletion-only", ROW),
        fault("pull-request-refs-stay", ROW),
        fault("refs-stay-when-states-go", ROW),
        proxy(
            "deletions-not-served",
            ROW,
            "deletion requests are carried out and not served",
            hears(|heard| {
                let deletion = heard.verb_of(Side::Relay) == "EVENT" && is_kind(&heard.json[2], 5);
                if deletion { Fate::Drop } else { Fate::Pass }
            }),
        ),
    ]
}

fn goes() -> Vec<Mutant> {
    vec![
        fault("anybody-deletes", ROW).affects("G01/purgatory/withdrawn/by-a-stranger", WAITING),
        fault("owners-delete-issues", ROW),
        fault("deletions-reach-newer-versions", ROW)
            .affects("G01/purgatory/withdrawn/older-than-the-event", WAITING),
        fault("refs-go-with-states", ROW),
    ]
}

fn comes_back() -> Vec<Mutant> {
    vec![
        fault("deleted-comes-again", ROW),
        fault("deleted-addresses-come-again", ROW),
        fault("deleted-for-ever", ROW).affects("G01/purgatory/withdrawn/announced-again", WAITING),
        proxy("deletions-undone", ROW, "who deletes a deletion request gets back what it named", || {
            let (named, undone) =
                (Arc::<Mutex<BTreeMap<String, Vec<String>>>>::default(), Remembered::default());
            Lies::default().relay(move || {
                let (named, undone, mut answers) = (named.clone(), undone.clone(), Answers::default());
                move |heard: &Heard| {
                    let event = &heard.json[1];
                    let id = event["id"].as_str().unwrap_or_default();
                    if heard.verb_of(Side::Client) == "EVENT" && is_kind(event, 5) {
                        let mut named = named.lock().unwrap();
                        let ids: Vec<String> = tags(event, "e").map(str::to_owned).collect();
                        ids.iter()
                            .filter_map(|id| named.get(id))
                            .flatten()
                            .for_each(|id| undone.note(id.as_str()));
                        named.insert(id.to_owned(), ids);
                    }
                    match answers.hear(heard) {
                        Some(answer) if undone.has(answer.event["id"].as_str().unwrap_or_default()) => {
                            Fate::tell(json!(["OK", answer.event["id"], true, ""]))
                        }
                        _ => Fate::Pass,
                    }
                }
            })
        }),
    ]
}

fn answers() -> Vec<Mutant> {
    vec![
        proxy(
            "unknown-deletions-welcome",
            ROW,
            "a deletion request that names nothing known is answered OK true",
            yes_for_no(|event| is_kind(event, 5), "restricted:"),
        )
        .affects("G01/relay/rejects-unrelated/stranger-deletion", "it is such a request"),
        proxy(
            "empty-deletions-welcome",
            ROW,
            "a deletion request that names nothing is answered OK true",
            yes_for_no(|event| is_kind(event, 5), "invalid:"),
        ),
        proxy(
            "mixed-deletions-refused",
            ROW,
            "a deletion request that names events and addresses is refused",
            refuses(|event| deletes(event, "e") && deletes(event, "a"), "invalid: one or the other"),
        ),
    ]
}
