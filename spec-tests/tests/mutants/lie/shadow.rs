//! Events that a proxy keeps beside the relay, and serves where the relay does not.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

use grasp_fixtures::faulty_proxy::{Asked, Fate, Heard, Lies, Side, Step};
use nostr::event::Event;
use nostr::filter::{Filter, MatchEventOptions};
use serde_json::{Value, json};

use super::git::{identifier, is_post};
use super::relay::{Answered, Answers, address, is_kind, tag, tags};

/// Where the kept events show.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Shows {
    /// Also events that the relay has sent once, if they are so.
    pub(crate) seen: fn(&Value) -> bool,
    /// In the answers to these questions.
    pub(crate) stored: fn(&Value) -> bool,
    /// In counts.
    pub(crate) counted: bool,
    /// Live, just before the next event that the relay itself delivers.
    pub(crate) live: bool,
}

/// In no place.
pub(crate) const NOWHERE: Shows = Shows { seen: |_| false, stored: |_| false, counted: false, live: false };
/// In the answer to every REQ.
pub(crate) const STORED: Shows = Shows { stored: |_| true, ..NOWHERE };

/// When a kept event is forgotten.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Forgets {
    /// Never.
    Nothing,
    /// When its author deletes it.
    Deleted,
    /// Also when it is replaced, and when somebody pushes to its identifier.
    Settled,
}

/// Whether the event waits in purgatory, by the relay's own words.
pub(crate) fn waits(answered: &Answered) -> bool {
    answered.accepted && answered.words.starts_with("purgatory:")
}

/// What is kept, for all connections of a proxy.
#[derive(Debug, Clone, Default)]
pub(crate) struct Kept(Arc<Mutex<Vec<Value>>>);

impl Kept {
    pub(crate) fn add(&self, event: &Value) {
        self.0.lock().unwrap().push(event.clone());
    }

    /// Whether an event is kept under this id or address.
    pub(crate) fn has(&self, name: &str) -> bool {
        self.0.lock().unwrap().iter().any(|event| event["id"] == name || address(event) == name)
    }

    /// Forgets, and returns, what concerns an identifier that somebody pushes to.
    fn forget_pushed(&self, asked: &Asked) -> Vec<Value> {
        if !is_post(asked, "git-receive-pack") {
            return Vec::new();
        }
        let identifier = identifier(asked);
        let ends = format!(":{identifier}");
        let concerned =
            |event: &Value| tag(event, "d") == identifier || tags(event, "a").any(|a| a.ends_with(&ends));
        let mut kept = self.0.lock().unwrap();
        let (gone, stays) = kept.drain(..).partition(concerned);
        *kept = stays;
        gone
    }

    fn retain(&self, stays: impl FnMut(&Value) -> bool) {
        self.0.lock().unwrap().retain(stays);
    }

    pub(crate) fn matching(&self, filters: &[Filter]) -> Vec<Value> {
        let matches = |event: &&Value| {
            let event: Result<Event, _> = serde_json::from_value((*event).clone());
            event.is_ok_and(|event| {
                filters.iter().any(|filter| filter.match_event(&event, MatchEventOptions::new()))
            })
        };
        self.0.lock().unwrap().iter().filter(matches).cloned().collect()
    }

    /// An event that was taken may withdraw others, or take the place of one.
    pub(crate) fn follow(&self, taken: &Value, forgets: Forgets) {
        let by_same = |event: &Value| event["pubkey"] == taken["pubkey"];
        if is_kind(taken, 5) {
            let named: BTreeSet<&str> = tags(taken, "e").chain(tags(taken, "a")).collect();
            self.retain(|event| {
                let id = event["id"].as_str().unwrap_or_default();
                !by_same(event) || !(named.contains(id) || named.contains(address(event).as_str()))
            });
        } else if forgets == Forgets::Settled && !tag(taken, "d").is_empty() {
            self.retain(|event| address(event) != address(taken));
        }
    }
}

/// Keeps the events that `keep` picks by the relay's answer, until `forgets` says so, and shows them there.
pub(crate) fn shadow(
    keep: impl Fn(&Answered) -> bool + Copy + Send + Sync + 'static,
    shows: Shows,
    forgets: Forgets,
) -> impl Fn() -> Lies {
    move || {
        let kept = Kept::default();
        let pushed = kept.clone();
        Lies::default()
            .head(move |asked, _| {
                if forgets == Forgets::Settled {
                    drop(pushed.forget_pushed(asked));
                }
            })
            .relay(move || {
                let mut listener = Listener::new(kept.clone(), shows);
                move |heard: &Heard| listener.hear(heard, keep, forgets)
            })
    }
}

/// Keeps what waits, and serves it once somebody has pushed to its identifier, whatever came of the push.
pub(crate) fn shown_when_pushed() -> impl Fn() -> Lies {
    move || {
        let (waiting, shown) = (Kept::default(), Kept::default());
        let (from, to) = (waiting.clone(), shown.clone());
        Lies::default()
            .head(move |asked, _| {
                for event in from.forget_pushed(asked) {
                    to.add(&event);
                }
            })
            .relay(move || {
                let mut listener = Listener::new(shown.clone(), STORED);
                let (waiting, mut answers) = (waiting.clone(), Answers::default());
                move |heard: &Heard| {
                    if let Some(answered) = answers.hear(heard).filter(|answered| answered.accepted) {
                        waiting.follow(&answered.event, Forgets::Settled);
                        if waits(&answered) {
                            waiting.add(&answered.event);
                        }
                    }
                    listener.hear(heard, |_| false, Forgets::Settled)
                }
            })
    }
}

/// Hears every message beside the events that wait in purgatory at that moment.
pub(crate) fn beside_waiting(lie: fn(&Heard, &Kept) -> Fate) -> impl Fn() -> Lies {
    move || {
        let kept = Kept::default();
        let pushed = kept.clone();
        Lies::default().head(move |asked, _| drop(pushed.forget_pushed(asked))).relay(move || {
            let (kept, mut answers) = (kept.clone(), Answers::default());
            move |heard: &Heard| {
                let fate = lie(heard, &kept);
                if let Some(answered) = answers.hear(heard).filter(|answered| answered.accepted) {
                    kept.follow(&answered.event, Forgets::Settled);
                    if waits(&answered) {
                        kept.add(&answered.event);
                    }
                }
                fate
            }
        })
    }
}

/// What one connection has asked for.
struct Listener {
    kept: Kept,
    shows: Shows,
    answers: Answers,
    subscriptions: HashMap<String, Subscription>,
    counts: HashMap<String, Vec<Filter>>,
}

struct Subscription {
    asked: Vec<Value>,
    filters: Vec<Filter>,
    /// What has been sent, by id.
    sent: BTreeSet<String>,
    live: bool,
}

impl Listener {
    fn new(kept: Kept, shows: Shows) -> Self {
        let (subscriptions, counts) = (HashMap::new(), HashMap::new());
        Self { kept, shows, answers: Answers::default(), subscriptions, counts }
    }

    fn hear(&mut self, heard: &Heard, keep: impl Fn(&Answered) -> bool, forgets: Forgets) -> Fate {
        if let Some(answered) = self.answers.hear(heard) {
            if forgets != Forgets::Nothing && answered.accepted {
                self.kept.follow(&answered.event, forgets);
            }
            if keep(&answered) {
                self.kept.add(&answered.event);
            }
            return Fate::Pass;
        }
        let id = heard.json[1].as_str().unwrap_or_default();
        match (heard.verb_of(Side::Client), heard.verb_of(Side::Relay)) {
            ("REQ", _) => self.open(id, &heard.json),
            ("CLOSE", _) => drop(self.subscriptions.remove(id)),
            ("COUNT", _) => drop(self.counts.insert(id.to_owned(), read(&heard.json))),
            (_, "EVENT") => return self.event(id, &heard.json),
            (_, "EOSE") => return self.end_of_stored(id, &heard.json),
            (_, "COUNT") if self.shows.counted => return self.count(id, &heard.json),
            _ => {}
        }
        Fate::Pass
    }

    fn open(&mut self, id: &str, request: &Value) {
        let asked = request.as_array().map(|parts| parts[2.min(parts.len())..].to_vec());
        let subscription = Subscription {
            asked: asked.unwrap_or_default(),
            filters: read(request),
            sent: BTreeSet::new(),
            live: false,
        };
        self.subscriptions.insert(id.to_owned(), subscription);
    }

    fn event(&mut self, subscription: &str, message: &Value) -> Fate {
        let Some(known) = self.subscriptions.get_mut(subscription) else { return Fate::Pass };
        let id = message[2]["id"].as_str().unwrap_or_default().to_owned();
        if !known.sent.insert(id.clone()) {
            return Fate::Drop;
        }
        if (self.shows.seen)(&message[2]) && !self.kept.has(&id) {
            self.kept.add(&message[2]);
        }
        if !known.live || !self.shows.live {
            return Fate::Pass;
        }
        let mut before = self.kept.matching(&known.filters);
        before.retain(|event| event["id"] != id);
        known.in_front_of(subscription, before, message)
    }

    fn end_of_stored(&mut self, subscription: &str, message: &Value) -> Fate {
        let Some(known) = self.subscriptions.get_mut(subscription) else { return Fate::Pass };
        known.live = true;
        if !known.asked.iter().any(self.shows.stored) {
            return Fate::Pass;
        }
        let before = self.kept.matching(&known.filters);
        known.in_front_of(subscription, before, message)
    }

    fn count(&mut self, id: &str, message: &Value) -> Fate {
        let filters = self.counts.remove(id).unwrap_or_default();
        let counted = message[2]["count"].as_u64().unwrap_or_default();
        let more = u64::try_from(self.kept.matching(&filters).len()).unwrap_or_default();
        Fate::tell(json!(["COUNT", id, {"count": counted + more}]))
    }
}

impl Subscription {
    /// These events, those that were not sent yet, and then the message.
    fn in_front_of(&mut self, subscription: &str, events: Vec<Value>, message: &Value) -> Fate {
        let fresh = |event: &Value| self.sent.insert(event["id"].as_str().unwrap_or_default().to_owned());
        let fresh: Vec<Value> = events.into_iter().filter(fresh).collect();
        if fresh.is_empty() {
            return Fate::Pass;
        }
        let mut steps: Vec<Step> =
            fresh.into_iter().map(|event| Step::ToClient(json!(["EVENT", subscription, event]))).collect();
        steps.push(Step::ToClient(message.clone()));
        Fate::Instead(steps)
    }
}

/// The filters of a REQ or COUNT.
fn read(request: &Value) -> Vec<Filter> {
    let filters = request.as_array().into_iter().flatten().skip(2);
    filters.filter_map(|filter| serde_json::from_value(filter.clone()).ok()).collect()
}
