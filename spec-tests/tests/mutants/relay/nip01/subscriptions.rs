//! Subscriptions: lost, repeated and misdirected live events; CLOSE; subscription ids.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use grasp_fixtures::faulty_proxy::{Fate, Heard, Lies, Side, Step};
use serde_json::{Value, json};

use super::ROW;
use crate::lie::relay::{hears, is_kind};
use crate::mutant::{Mutant, proxy};

/// Why the limit on subscription ids shows.
const SUBID: &str = "NIP-11 states the same length, and it is tried out";

/// Gives subscriptions another id on the way to the relay, and their own on the way back.
fn renamed(which: fn(&str) -> bool, name: fn(&str) -> String) -> impl Fn() -> Lies {
    move || {
        Lies::default().relay(move || {
            let mut own: BTreeMap<String, String> = BTreeMap::new();
            move |heard: &Heard| {
                let Some(id) = heard.json[1].as_str() else { return Fate::Pass };
                let mut message = heard.json.clone();
                match (heard.verb_of(Side::Client), heard.verb_of(Side::Relay)) {
                    ("REQ" | "CLOSE", _) if which(id) => {
                        own.insert(name(id), id.to_owned());
                        message[1] = json!(name(id));
                        Fate::ask(message)
                    }
                    (_, "EVENT" | "EOSE" | "CLOSED") if own.contains_key(id) => {
                        message[1] = json!(own[id]);
                        Fate::tell(message)
                    }
                    _ => Fate::Pass,
                }
            }
        })
    }
}

/// What becomes of a live event, told the id of its subscription.
type Lie = Box<dyn FnMut(&str, &Value) -> Fate + Send>;

/// Hears the events of live subscriptions, with the id of the subscription and whether EOSE has come.
fn live(new: fn() -> Lie) -> impl Fn() -> Lies {
    move || {
        Lies::default().relay(move || {
            let (mut ended, mut lie) = (BTreeSet::new(), new());
            move |heard: &Heard| {
                let id = heard.json[1].as_str().unwrap_or_default();
                match (heard.verb_of(Side::Client), heard.verb_of(Side::Relay)) {
                    ("REQ", _) => drop(ended.remove(id)),
                    (_, "EOSE") => drop(ended.insert(id.to_owned())),
                    (_, "EVENT") if ended.contains(id) => return lie(id, &heard.json[2]),
                    _ => {}
                }
                Fate::Pass
            }
        })
    }
}

pub(super) fn mutants() -> Vec<Mutant> {
    [delivery(), ends(), ids()].into_iter().flatten().collect()
}

fn delivery() -> Vec<Mutant> {
    vec![
        proxy("issues-not-live", ROW, "issues are stored and reach no live subscription", {
            live(|| Box::new(|_, event| if is_kind(event, 1621) { Fate::Drop } else { Fate::Pass }))
        })
        .affects("G01/purgatory/not-served/*-live", "the issue shows that the subscription is alive")
        .affects("G01/purgatory/released/*-live", "the issue shows that nothing else comes"),
        proxy("live-unfiltered", ROW, "a live subscription gets what it did not ask for, too", || {
            let unwanted: Arc<Mutex<Vec<Value>>> = Arc::default();
            Lies::default().relay(move || {
                let unwanted = unwanted.clone();
                let mut watched = BTreeSet::new();
                move |heard: &Heard| {
                    let id = heard.json[1].as_str().unwrap_or_default();
                    if heard.verb_of(Side::Client) == "EVENT" && is_kind(&heard.json[1], 1) {
                        unwanted.lock().unwrap().push(heard.json[1].clone());
                    }
                    if heard.verb_of(Side::Client) == "REQ" && !heard.json[2]["#t"].is_null() {
                        watched.insert(id.to_owned());
                    }
                    if heard.verb_of(Side::Relay) == "EVENT" && watched.contains(id) {
                        let event = &heard.json[2];
                        let author = event["pubkey"].clone();
                        let others = unwanted.lock().unwrap();
                        let other = others
                            .iter()
                            .find(|other| other["pubkey"] == author && other["id"] != event["id"]);
                        if let Some(other) = other {
                            let first = Step::ToClient(json!(["EVENT", id, other]));
                            return Fate::Instead(vec![first, Step::ToClient(heard.json.clone())]);
                        }
                    }
                    Fate::Pass
                }
            })
        }),
        proxy("issues-live-twice", ROW, "a live issue comes twice", || {
            Lies::default().relay(|| {
                let mut ended = BTreeSet::new();
                move |heard: &Heard| {
                    let id = heard.json[1].as_str().unwrap_or_default();
                    if heard.verb_of(Side::Relay) == "EOSE" {
                        ended.insert(id.to_owned());
                    }
                    let live = heard.verb_of(Side::Relay) == "EVENT" && ended.contains(id);
                    if live && is_kind(&heard.json[2], 1621) {
                        let again = || Step::ToClient(heard.json.clone());
                        return Fate::Instead(vec![again(), again()]);
                    }
                    Fate::Pass
                }
            })
        }),
        proxy(
            "one-subscription-per-connection",
            ROW,
            "a live event comes for one subscription of a connection",
            {
                live(|| {
                    let mut delivered = BTreeSet::new();
                    Box::new(
                        move |_, event| {
                            if delivered.insert(event["id"].to_string()) { Fate::Pass } else { Fate::Drop }
                        },
                    )
                })
            },
        ),
        proxy("newest-stored-again", ROW, "the newest stored event comes again after EOSE", || {
            Lies::default().relay(|| {
                let mut newest: BTreeMap<String, Value> = BTreeMap::new();
                move |heard: &Heard| {
                    let id = heard.json[1].as_str().unwrap_or_default();
                    if heard.verb_of(Side::Relay) == "EVENT" {
                        newest.entry(id.to_owned()).or_insert_with(|| heard.json.clone());
                    }
                    if heard.verb_of(Side::Relay) == "EOSE"
                        && let Some(again) = newest.remove(id)
                    {
                        let end = Step::ToClient(heard.json.clone());
                        return Fate::Instead(vec![end, Step::ToClient(again)]);
                    }
                    Fate::Pass
                }
            })
        }),
    ]
}

fn ends() -> Vec<Mutant> {
    vec![
        proxy("close-ignored", ROW, "CLOSE does nothing", {
            hears(|heard| if heard.verb_of(Side::Client) == "CLOSE" { Fate::Drop } else { Fate::Pass })
        })
        .affects("G01/nip11/limits/max-subscriptions", "what is closed makes no room"),
        proxy("close-for-all", ROW, "CLOSE ends equal subscriptions of other connections", || {
            let closed: Arc<Mutex<BTreeSet<String>>> = Arc::default();
            Lies::default().relay(move || {
                let closed = closed.clone();
                let mut open: BTreeMap<String, String> = BTreeMap::new();
                move |heard: &Heard| {
                    let id = heard.json[1].as_str().unwrap_or_default();
                    let mut closed = closed.lock().unwrap();
                    match (heard.verb_of(Side::Client), heard.verb_of(Side::Relay)) {
                        ("REQ", _) => {
                            closed.remove(&heard.json.to_string());
                            open.insert(id.to_owned(), heard.json.to_string());
                        }
                        ("CLOSE", _) => closed.extend(open.remove(id)),
                        (_, "EVENT") if open.get(id).is_some_and(|request| closed.contains(request)) => {
                            return Fate::Drop;
                        }
                        _ => {}
                    }
                    Fate::Pass
                }
            })
        }),
        proxy("replaced-lives-on", ROW, "a REQ with an id in use adds to that subscription", || {
            Lies::default().relay(|| {
                let mut open = BTreeSet::new();
                move |heard: &Heard| {
                    let Some(id) = heard.json[1].as_str() else { return Fate::Pass };
                    let mut message = heard.json.clone();
                    match (heard.verb_of(Side::Client), heard.verb_of(Side::Relay)) {
                        ("REQ", _) if !open.insert(id.to_owned()) => {
                            message[1] = json!(format!("again {id}"));
                            Fate::ask(message)
                        }
                        ("CLOSE", _) => {
                            open.remove(id);
                            Fate::Pass
                        }
                        (_, "EVENT" | "EOSE") if id.starts_with("again ") => {
                            message[1] = json!(&id[6..]);
                            Fate::tell(message)
                        }
                        _ => Fate::Pass,
                    }
                }
            })
        }),
        proxy("bad-filter-finds-nothing", ROW, "a filter that is none finds nothing, without a word", {
            hears(|heard| {
                let kinds = &heard.json[2]["kinds"];
                if heard.verb_of(Side::Client) == "REQ" && kinds.is_string() {
                    return Fate::tell(json!(["EOSE", heard.json[1]]));
                }
                Fate::Pass
            })
        }),
        proxy(
            "bad-filter-silences",
            ROW,
            "after a filter that is none the connection gets no events",
            || {
                Lies::default().relay(|| {
                    let mut silent = false;
                    move |heard: &Heard| {
                        silent |= heard.verb_of(Side::Relay) == "CLOSED" && heard.json[1] == "bad";
                        if silent && heard.verb_of(Side::Relay) == "EVENT" { Fate::Drop } else { Fate::Pass }
                    }
                })
            },
        ),
        proxy("unknown-verb-unanswered", ROW, "an unknown verb is not answered", {
            hears(|heard| {
                let known = ["EVENT", "REQ", "CLOSE", "COUNT", "AUTH", "NEG-OPEN", "NEG-MSG", "NEG-CLOSE"];
                let verb = heard.verb_of(Side::Client);
                if verb.is_empty() || known.contains(&verb) { Fate::Pass } else { Fate::Drop }
            })
        }),
    ]
}

fn ids() -> Vec<Mutant> {
    vec![
        proxy("long-ids-refused", ROW, "subscription ids past 60 characters are refused", {
            hears(|heard| {
                let id = heard.json[1].as_str().unwrap_or_default();
                if heard.verb_of(Side::Client) == "REQ" && id.len() > 60 {
                    return Fate::tell(json!(["CLOSED", id, "invalid: the id is too long"]));
                }
                Fate::Pass
            })
        })
        .affects("G01/nip11/limits/max-subid-length", SUBID),
        proxy("quotes-in-ids", ROW, "a quote in a subscription id comes back as another character", {
            hears(|heard| {
                let id = heard.json[1].as_str().unwrap_or_default();
                if heard.from == Side::Relay && id.contains('"') {
                    let mut message = heard.json.clone();
                    message[1] = json!(id.replace('"', "'"));
                    return Fate::tell(message);
                }
                Fate::Pass
            })
        }),
        proxy("ids-cut-at-64", ROW, "longer subscription ids are cut and taken", {
            renamed(|id| id.len() > 64, |id| id.chars().take(64).collect())
        })
        .affects("G01/nip11/limits/max-subid-length", SUBID),
        proxy(
            "empty-id-taken",
            ROW,
            "an empty subscription id is taken",
            renamed(str::is_empty, |_| "-".to_owned()),
        ),
    ]
}
