//! EVENT and OK: forgeries taken, events changed, answers that say too little.

use grasp_fixtures::faulty_proxy::{Fate, Heard, Lies, Side};
use serde_json::{Value, json};

use super::ROW;
use crate::lie::git::Remembered;
use crate::lie::relay::{Answers, found_late, hears, is_kind, says};
use crate::lie::shadow::{Forgets, STORED, shadow};
use crate::mutant::{Mutant, fault, proxy};

/// Changes the events that the relay sends.
fn served(change: fn(&mut Value)) -> impl Fn() -> Lies {
    move || {
        Lies::default().relay(move || {
            move |heard: &Heard| {
                if heard.verb_of(Side::Relay) != "EVENT" {
                    return Fate::Pass;
                }
                let mut message = heard.json.clone();
                change(&mut message[2]);
                if message == heard.json { Fate::Pass } else { Fate::tell(message) }
            }
        })
    }
}

pub(super) fn mutants() -> Vec<Mutant> {
    vec![
        fault("signature-unchecked", ROW),
        fault("id-unchecked", ROW),
        fault("id-recomputed", ROW),
        proxy("forgery-remembered", ROW, "a forged event stands in the way of the genuine one", || {
            let forged = Remembered::default();
            Lies::default().relay(move || {
                let (forged, mut answers) = (forged.clone(), Answers::default());
                move |heard: &Heard| {
                    let event = &heard.json[1];
                    let id = event["id"].as_str().unwrap_or_default();
                    if heard.verb_of(Side::Client) == "EVENT" && forged.has(id) {
                        return Fate::tell(json!(["OK", id, false, "invalid: it was invalid before"]));
                    }
                    if let Some(answer) = answers.hear(heard)
                        && answer.words.starts_with("invalid: ")
                    {
                        forged.note(answer.event["id"].as_str().unwrap_or_default());
                    }
                    Fate::Pass
                }
            })
        }),
        proxy(
            "refusals-without-words",
            ROW,
            "a refusal has a prefix and no reason",
            says(|answer| {
                let (prefix, _) = answer.words.split_once(": ")?;
                (!answer.accepted).then(|| (false, format!("{prefix}: ")))
            }),
        ),
        proxy(
            "duplicates-refused",
            ROW,
            "an event published again is refused",
            says(|answer| answer.words.starts_with("duplicate:").then(|| (false, answer.words.clone()))),
        ),
        proxy(
            "control-characters-lost",
            ROW,
            "control characters are left out of what is served",
            served(|event| {
                if let Some(content) = event["content"].as_str().filter(|content| content.contains('\u{1}')) {
                    event["content"] = json!(content.replace('\u{1}', ""));
                }
            }),
        ),
        proxy(
            "empty-values-lost",
            ROW,
            "tags without a value are left out of what is served",
            served(|event| {
                if let Some(tags) = event["tags"].as_array_mut() {
                    tags.retain(|tag| tag.as_array().is_some_and(|tag| tag.len() > 1));
                }
            }),
        ),
        proxy(
            "fresh-issues-not-found",
            ROW,
            "the first question by an issue's id does not find it",
            found_late(|event| is_kind(event, 1621)),
        ),
        proxy(
            "ephemeral-not-delivered",
            ROW,
            "ephemeral events are taken and reach nobody",
            hears(|heard| {
                let ephemeral =
                    heard.json[2]["kind"].as_u64().is_some_and(|kind| (20_000..30_000).contains(&kind));
                if heard.verb_of(Side::Relay) == "EVENT" && ephemeral { Fate::Drop } else { Fate::Pass }
            }),
        ),
        proxy(
            "ephemeral-stored",
            ROW,
            "ephemeral events are stored",
            shadow(
                |answer| answer.event["kind"].as_u64().is_some_and(|kind| (20_000..30_000).contains(&kind)),
                STORED,
                Forgets::Nothing,
            ),
        ),
        proxy(
            "ten-in-flight",
            ROW,
            "of many events sent without waiting, those past ten are refused",
            || {
                Lies::default().relay(|| {
                    let mut open = 0;
                    move |heard: &Heard| {
                        if heard.verb_of(Side::Relay) == "OK" {
                            open -= 1;
                        }
                        if heard.verb_of(Side::Client) != "EVENT" {
                            return Fate::Pass;
                        }
                        if open >= 10 {
                            return Fate::tell(json!([
                                "OK",
                                heard.json[1]["id"],
                                false,
                                "error: one at a time"
                            ]));
                        }
                        open += 1;
                        Fate::Pass
                    }
                })
            },
        ),
    ]
}
