//! NIPs that NIP-11 lists and that are not kept to.

use grasp_fixtures::faulty_proxy::{Fate, Heard, Lies, Side};
use serde_json::{Value, json};

use super::ROW;
use crate::lie::relay::{Answered, all_tags, hears, is_kind, says};
use crate::lie::shadow::{Forgets, STORED, shadow};
use crate::mutant::{Mutant, fault, proxy};

fn has_tag(event: &Value, name: &str) -> bool {
    all_tags(event).any(|tag| tag[0] == name)
}

pub(super) fn mutants() -> Vec<Mutant> {
    vec![
        proxy("expired-still-served", ROW, "an event is served after it has expired", {
            shadow(|answer| answer.accepted && has_tag(&answer.event, "expiration"), STORED, Forgets::Deleted)
        }),
        proxy("expired-taken", ROW, "an event that has expired already is served", {
            shadow(
                |answer| !answer.accepted && has_tag(&answer.event, "expiration"),
                STORED,
                Forgets::Deleted,
            )
        }),
        fault("auth-signature-unchecked", ROW),
        fault("auth-challenge-unchecked", ROW),
        fault("auth-relay-unchecked", ROW),
        fault("auth-time-unchecked", ROW),
        fault("auth-kind-unchecked", ROW),
        proxy("auth-one-key-only", ROW, "a second key cannot authenticate on a connection", || {
            Lies::default().relay(|| {
                let mut first = Value::Null;
                move |heard: &Heard| {
                    let event = &heard.json[1];
                    if heard.verb_of(Side::Client) == "AUTH" {
                        if !first.is_null() && first != event["pubkey"] {
                            return Fate::tell(json!(["OK", event["id"], false, "restricted: one key only"]));
                        }
                        first = event["pubkey"].clone();
                    }
                    Fate::Pass
                }
            })
        }),
        proxy("authentications-served", ROW, "answers to challenges are stored and served", {
            shadow(|answer: &Answered| is_kind(&answer.event, 22_242), STORED, Forgets::Nothing)
        }),
        proxy("count-adds-filters-up", ROW, "COUNT counts an event once per filter", || {
            Lies::default().relay(|| {
                let mut filters = 1;
                move |heard: &Heard| {
                    if heard.verb_of(Side::Client) == "COUNT" {
                        filters = heard.json.as_array().map_or(1, |parts| parts.len().saturating_sub(2));
                    }
                    if heard.verb_of(Side::Relay) != "COUNT" || filters < 2 {
                        return Fate::Pass;
                    }
                    let count = heard.json[2]["count"].as_u64().unwrap_or_default() * 2;
                    Fate::tell(json!(["COUNT", heard.json[1], {"count": count}]))
                }
            })
        }),
        fault("protected-from-anybody", ROW),
        fault("protected-from-any-key", ROW),
        proxy("protected-restricted", ROW, "a protected event is refused without a hint to authenticate", {
            says(|answer| {
                let (_, words) = answer.words.split_once("auth-required:")?;
                Some((false, format!("restricted:{words}")))
            })
        }),
        proxy("reconciliations-refused", ROW, "NEG-OPEN is refused, though NIP-77 is listed", {
            hears(|heard| {
                if heard.verb_of(Side::Client) == "NEG-OPEN" {
                    return Fate::tell(json!(["NEG-ERR", heard.json[1], "blocked: not today"]));
                }
                Fate::Pass
            })
        }),
        fault("reconciliations-without-the-newest", ROW)
            .affects("G01/purgatory/released/*-neg", "what was released is the newest"),
    ]
}
