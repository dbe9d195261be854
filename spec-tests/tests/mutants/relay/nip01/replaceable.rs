//! Replaceable and addressable events: older ones taken, newer ones that replace nothing, ties the other way.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use grasp_fixtures::faulty_proxy::{Fate, Heard, Lies, Side};
use serde_json::{Value, json};

use super::ROW;
use crate::lie::relay::{Answered, Answers, address, is_kind};
use crate::lie::shadow::{Forgets, STORED, shadow};
use crate::mutant::{Mutant, proxy};

/// Says yes to versions of this kind that are not the newest.
fn older_taken(kind: u16) -> impl Fn() -> Lies {
    move || {
        Lies::default().relay(move || {
            let mut answers = Answers::default();
            move |heard: &Heard| match answers.hear(heard) {
                Some(answer) if is_kind(&answer.event, kind) && answer.words.starts_with("replaced:") => {
                    Fate::tell(json!(["OK", answer.event["id"], true, ""]))
                }
                _ => Fate::Pass,
            }
        })
    }
}

/// Hides the events that were taken before another one of the same `key`.
fn last_one_only(key: fn(&Value) -> Option<String>) -> impl Fn() -> Lies {
    move || {
        let newest: Arc<Mutex<BTreeMap<String, Value>>> = Arc::default();
        Lies::default().relay(move || {
            let (newest, mut answers) = (newest.clone(), Answers::default());
            move |heard: &Heard| {
                if let Some(answer) = answers.hear(heard).filter(|answer| answer.accepted)
                    && let Some(key) = key(&answer.event)
                {
                    newest.lock().unwrap().insert(key, answer.event["id"].clone());
                }
                let event = &heard.json[2];
                let hidden = heard.verb_of(Side::Relay) == "EVENT"
                    && key(event).is_some_and(|key| {
                        newest.lock().unwrap().get(&key).is_some_and(|id| *id != event["id"])
                    });
                if hidden { Fate::Drop } else { Fate::Pass }
            }
        })
    }
}

pub(super) fn mutants() -> Vec<Mutant> {
    let mut mutants = vec![
        proxy("ties-to-the-first", ROW, "of two versions of one second the first to arrive stays", || {
            let known: Arc<Mutex<BTreeSet<(String, String)>>> = Arc::default();
            Lies::default().relay(move || {
                let (known, mut answers) = (known.clone(), Answers::default());
                move |heard: &Heard| {
                    let version = |event: &Value| (address(event), event["created_at"].to_string());
                    let event = &heard.json[1];
                    let replaceable = [0, 10_002, 30_023, 30_617].iter().any(|kind| is_kind(event, *kind));
                    if heard.verb_of(Side::Client) == "EVENT"
                        && replaceable
                        && known.lock().unwrap().contains(&version(event))
                    {
                        return Fate::tell(json!([
                            "OK",
                            event["id"],
                            false,
                            "replaced: by one of the same second"
                        ]));
                    }
                    if let Some(answer) = answers.hear(heard).filter(|answer| answer.accepted) {
                        known.lock().unwrap().insert(version(&answer.event));
                    }
                    Fate::Pass
                }
            })
        })
        .affects("G01/purgatory/withdrawn/tie-of-announcements-lower-second", "the same rule, in purgatory"),
        proxy("one-article-per-author", ROW, "of an author's articles one is served, whatever their `d`", {
            last_one_only(|event| is_kind(event, 30_023).then(|| event["pubkey"].to_string()))
        }),
        proxy("one-issue-per-author", ROW, "of an author's issues one is served", {
            last_one_only(|event| is_kind(event, 1621).then(|| event["pubkey"].to_string()))
        }),
    ];
    for (older, newer, kind) in [
        ("older-profiles-taken", "older-profiles-served", 0),
        ("older-relay-lists-taken", "older-relay-lists-served", 10_002),
        ("older-articles-taken", "older-articles-served", 30_023),
        ("older-announcements-taken", "older-announcements-served", 30_617),
    ] {
        let what = "an older version is answered OK true";
        mutants.push(proxy(older, ROW, what, older_taken(kind)));
        let what = "a version that was replaced is still served";
        let keeps = move |answer: &Answered| answer.accepted && is_kind(&answer.event, kind);
        mutants.push(proxy(newer, ROW, what, shadow(keeps, STORED, Forgets::Deleted)));
    }
    mutants
}
