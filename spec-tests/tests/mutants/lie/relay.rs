//! Lies about the relay: what is refused or taken, what questions mean, and what answers say.

use std::collections::{BTreeSet, HashMap};

use grasp_fixtures::faulty_proxy::{Fate, Heard, Lies, Side};
use serde_json::{Value, json};

use super::git::Remembered;

/// The first value of every tag of this name.
pub(crate) fn tags<'e>(event: &'e Value, name: &str) -> impl Iterator<Item = &'e str> {
    let named = move |tag: &&Value| tag[0] == name;
    all_tags(event).filter(named).filter_map(|tag| tag[1].as_str())
}

/// Every tag.
pub(crate) fn all_tags(event: &Value) -> impl Iterator<Item = &Value> {
    event["tags"].as_array().into_iter().flatten()
}

/// The first value of the first tag of this name; empty when there is none.
pub(crate) fn tag<'e>(event: &'e Value, name: &str) -> &'e str {
    let first = all_tags(event).find(|tag| tag[0] == name);
    first.and_then(|tag| tag[1].as_str()).unwrap_or_default()
}

/// Whether the event is of this kind.
pub(crate) fn is_kind(event: &Value, kind: u16) -> bool {
    event["kind"] == kind
}

/// Kind, author and `d`.
pub(crate) fn address(event: &Value) -> String {
    format!("{}:{}:{}", event["kind"], event["pubkey"].as_str().unwrap_or_default(), tag(event, "d"))
}

/// Hears every message; remembers nothing.
pub(crate) fn hears(lie: fn(&Heard) -> Fate) -> impl Fn() -> Lies {
    move || Lies::default().relay(move || lie)
}

/// Refuses, with this message, events that the relay would take.
pub(crate) fn refuses(which: fn(&Value) -> bool, message: &'static str) -> impl Fn() -> Lies {
    answers_itself(which, false, message)
}

/// Says yes to events that the relay would refuse, and forgets them.
pub(crate) fn pretends(which: fn(&Value) -> bool) -> impl Fn() -> Lies {
    answers_itself(which, true, "")
}

fn answers_itself(which: fn(&Value) -> bool, accepted: bool, message: &'static str) -> impl Fn() -> Lies {
    move || {
        Lies::default().relay(move || {
            move |heard: &Heard| {
                let event = &heard.json[1];
                if heard.verb_of(Side::Client) == "EVENT" && which(event) {
                    return Fate::tell(json!(["OK", event["id"], accepted, message]));
                }
                Fate::Pass
            }
        })
    }
}

/// Changes the answer to an event: what was published and how it was answered go in, what is said in its place comes out.
pub(crate) fn says(
    change: impl Fn(&Answered) -> Option<(bool, String)> + Copy + Send + Sync + 'static,
) -> impl Fn() -> Lies {
    move || {
        Lies::default().relay(move || {
            let mut answers = Answers::default();
            move |heard: &Heard| {
                let answer = answers.hear(heard);
                let said = answer.as_ref().and_then(|answer| Some((answer, change(answer)?)));
                match said {
                    Some((answer, (accepted, words))) => {
                        Fate::tell(json!(["OK", answer.event["id"], accepted, words]))
                    }
                    None => Fate::Pass,
                }
            }
        })
    }
}

/// The first question by its id does not find an event that `which` picks.
pub(crate) fn found_late(which: fn(&Value) -> bool) -> impl Fn() -> Lies {
    move || {
        let found = Remembered::default();
        Lies::default().relay(move || {
            let (found, mut by_id) = (found.clone(), BTreeSet::new());
            move |heard: &Heard| {
                let subscription = heard.json[1].as_str().unwrap_or_default();
                if heard.verb_of(Side::Client) == "REQ" && heard.json[2]["ids"].is_array() {
                    by_id.insert(subscription.to_owned());
                }
                let event = &heard.json[2];
                let id = event["id"].as_str().unwrap_or_default();
                let answers_by_id = heard.verb_of(Side::Relay) == "EVENT" && by_id.contains(subscription);
                if answers_by_id && which(event) && !found.has(id) {
                    found.note(id);
                    return Fate::Drop;
                }
                Fate::Pass
            }
        })
    }
}

/// Says yes where the relay refuses an event that `which` picks with this prefix.
pub(crate) fn yes_for_no(which: fn(&Value) -> bool, prefix: &'static str) -> impl Fn() -> Lies {
    says(move |answer: &Answered| {
        let refused = !answer.accepted && answer.words.starts_with(prefix) && which(&answer.event);
        refused.then(|| (true, String::new()))
    })
}

/// An event and the relay's answer to it.
#[derive(Debug, Clone)]
pub(crate) struct Answered {
    pub(crate) event: Value,
    pub(crate) accepted: bool,
    pub(crate) words: String,
}

/// The events of a connection that wait for their answer.
#[derive(Debug, Default)]
pub(crate) struct Answers(HashMap<String, Value>);

impl Answers {
    /// The answer, when this message is one.
    pub(crate) fn hear(&mut self, heard: &Heard) -> Option<Answered> {
        let message = &heard.json;
        if heard.verb_of(Side::Client) == "EVENT" {
            let id = message[1]["id"].as_str().unwrap_or_default();
            self.0.insert(id.to_owned(), message[1].clone());
        }
        if heard.verb_of(Side::Relay) != "OK" {
            return None;
        }
        let event = self.0.remove(message[1].as_str().unwrap_or_default())?;
        let words = message[3].as_str().unwrap_or_default().to_owned();
        Some(Answered { event, accepted: message[2] == true, words })
    }
}

/// Changes the filters of every REQ before the relay sees them.
pub(crate) fn asks(change: impl Fn(&mut Vec<Value>) + Copy + Send + Sync + 'static) -> impl Fn() -> Lies {
    move || {
        Lies::default().relay(move || {
            move |heard: &Heard| {
                let parts = heard.json.as_array().map(Vec::as_slice).unwrap_or_default();
                if heard.verb_of(Side::Client) != "REQ" || parts.len() < 3 {
                    return Fate::Pass;
                }
                let mut filters = parts[2..].to_vec();
                change(&mut filters);
                if filters == parts[2..] {
                    return Fate::Pass;
                }
                Fate::ask([&parts[..2], &filters].concat().into())
            }
        })
    }
}

/// The same, one filter after the other.
pub(crate) fn asks_each(change: fn(&mut Value)) -> impl Fn() -> Lies {
    asks(move |filters: &mut Vec<Value>| filters.iter_mut().for_each(change))
}
