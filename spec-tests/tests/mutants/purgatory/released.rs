//! Mutants of G01/purgatory/released: what is served late, or not to all who ask.

use std::collections::BTreeSet;

use grasp_fixtures::faulty_proxy::{Fate, Heard, Lies, Side, Step};
use serde_json::{Value, json};

use crate::lie::git::Remembered;
use crate::mutant::{Mutant, fault, proxy};

const ROW: &str = "G01/purgatory/released";

fn waits_for_data(event: &Value) -> bool {
    [30_617, 30_618, 1618].iter().any(|kind| event["kind"] == *kind)
}

/// What becomes of an event of those kinds that comes live.
fn live(lie: fn(&Heard) -> Fate) -> impl Fn() -> Lies {
    move || {
        Lies::default().relay(move || {
            let mut ended = BTreeSet::new();
            move |heard: &Heard| {
                let id = heard.json[1].as_str().unwrap_or_default();
                match (heard.verb_of(Side::Client), heard.verb_of(Side::Relay)) {
                    ("REQ", _) => drop(ended.remove(id)),
                    (_, "EOSE") => drop(ended.insert(id.to_owned())),
                    (_, "EVENT") if ended.contains(id) && waits_for_data(&heard.json[2]) => {
                        return lie(heard);
                    }
                    _ => {}
                }
                Fate::Pass
            }
        })
    }
}

pub(super) fn mutants() -> Vec<Mutant> {
    vec![
        proxy(
            "found-by-tag-the-second-time",
            ROW,
            "the first REQ by a tag does not find what was released",
            || {
                let found = Remembered::default();
                Lies::default().relay(move || {
                    let (found, mut by_tag) = (found.clone(), BTreeSet::new());
                    move |heard: &Heard| {
                        let subscription = heard.json[1].as_str().unwrap_or_default();
                        if heard.verb_of(Side::Client) == "REQ" && heard.json[2].to_string().contains("\"#") {
                            by_tag.insert(subscription.to_owned());
                        }
                        let event = &heard.json[2];
                        let id = event["id"].as_str().unwrap_or_default();
                        let first = heard.verb_of(Side::Relay) == "EVENT"
                            && waits_for_data(event)
                            && by_tag.contains(subscription)
                            && !found.has(id);
                        if first {
                            found.note(id);
                            return Fate::Drop;
                        }
                        Fate::Pass
                    }
                })
            },
        ),
        proxy("released-not-counted", ROW, "COUNT does not count what was released", || {
            Lies::default().relay(|| {
                let mut concerns = false;
                move |heard: &Heard| {
                    if heard.verb_of(Side::Client) == "COUNT" {
                        let kinds = heard.json[2]["kinds"].as_array().into_iter().flatten();
                        concerns = kinds.into_iter().any(|kind| waits_for_data(&json!({"kind": kind})));
                    }
                    if heard.verb_of(Side::Relay) == "COUNT" && concerns {
                        return Fate::tell(json!(["COUNT", heard.json[1], {"count": 0}]));
                    }
                    Fate::Pass
                }
            })
        }),
        proxy(
            "released-not-live",
            ROW,
            "live subscriptions do not get what is released",
            live(|_| Fate::Drop),
        ),
        proxy("released-live-twice", ROW, "live subscriptions get what is released twice", {
            live(|heard| {
                let again = || Step::ToClient(heard.json.clone());
                Fate::Instead(vec![again(), again()])
            })
        }),
        fault("own-data-only", ROW).affects(
            "G01/purgatory/nothing-to-wait-for/second-owner",
            "its data came with another owner's push",
        ),
    ]
}
