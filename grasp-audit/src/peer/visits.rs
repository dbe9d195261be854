//! What the server under test has done at a peer: each connection, question and fetch, with its time. Bounded.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use nostr::event::Event;
use nostr::filter::{Filter, MatchEventOptions};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::time::timeout_at;

/// How many visits are kept; later ones are only counted.
const MAX_VISITS: usize = 100_000;
/// A question for stored events that asks for more than so many is one for a history.
const FEW: u64 = 50;

/// A subscription or reconciliation of one connection.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Sub {
    /// The connection's number.
    pub connection: u64,
    /// The name that the server has given it.
    pub name: String,
}

/// One thing that the server did, or that the peer answered.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// It wants a WebSocket.
    Connects {
        /// The connection's number.
        connection: u64,
        /// Whether the peer let it in.
        taken: bool,
    },
    /// A connection has ended.
    Leaves {
        /// The connection's number.
        connection: u64,
    },
    /// It reads the relay's document (NIP-11).
    Document,
    /// REQ.
    Asks {
        /// Which.
        sub: Sub,
        /// Its filters, as they came.
        filters: Vec<Value>,
    },
    /// NEG-OPEN.
    Reconciles {
        /// Which.
        sub: Sub,
        /// Its filter, as it came.
        filter: Value,
    },
    /// EOSE was sent.
    Answered(Sub),
    /// An event was sent.
    Delivered {
        /// On which subscription.
        sub: Sub,
        /// Its id, as hex.
        event: String,
        /// After EOSE.
        live: bool,
    },
    /// CLOSE or NEG-CLOSE.
    Closes(Sub),
    /// CLOSED or NEG-ERR was sent.
    Ended {
        /// Which.
        sub: Sub,
        /// The peer's words.
        reason: String,
    },
    /// A request of a git client.
    Git {
        /// The repository's path.
        path: String,
        /// `info/refs`, `git-upload-pack` or what else it was.
        service: String,
        /// HTTP status of the answer.
        status: u16,
    },
}

/// One visit.
#[derive(Debug, Clone, PartialEq)]
pub struct Visit {
    /// Since the peer's beginning.
    pub at: Duration,
    /// What it was.
    pub what: What,
}

#[derive(Debug, Default)]
struct Log {
    visits: Vec<Visit>,
    left_out: usize,
}

/// The record of one peer.
#[derive(Debug)]
pub struct Visits {
    began: Instant,
    log: Mutex<Log>,
    news: Notify,
}

impl Default for Visits {
    fn default() -> Self {
        Self { began: Instant::now(), log: Mutex::default(), news: Notify::new() }
    }
}

impl Visits {
    /// How long the peer has been there.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.began.elapsed()
    }

    pub(super) fn record(&self, what: What) {
        let mut log = self.lock();
        if log.visits.len() < MAX_VISITS {
            // the time is taken under the lock, so that visits are in the order of their times
            let at = self.began.elapsed();
            log.visits.push(Visit { at, what });
        } else {
            log.left_out += 1;
        }
        drop(log);
        self.news.notify_waiters();
    }

    /// Looks at everything so far.
    pub fn read<T>(&self, look: impl FnOnce(&[Visit]) -> T) -> T {
        look(&self.lock().visits)
    }

    /// How many visits were not kept.
    #[must_use]
    pub fn left_out(&self) -> usize {
        self.lock().left_out
    }

    /// Waits until `look` finds something; `None` when it does not within `within`.
    pub async fn until<T>(&self, within: Duration, mut look: impl FnMut(&[Visit]) -> Option<T>) -> Option<T> {
        let deadline = tokio::time::Instant::now() + within;
        loop {
            let news = self.news.notified();
            tokio::pin!(news);
            // from here on nothing is missed
            news.as_mut().enable();
            if let Some(found) = self.read(&mut look) {
                return Some(found);
            }
            if timeout_at(deadline, news).await.is_err() {
                return self.read(&mut look);
            }
        }
    }

    /// All that happened, in one line.
    #[must_use]
    pub fn summary(&self) -> String {
        self.read(|visits| {
            let count = |is: fn(&What) -> bool| visits.iter().filter(|visit| is(&visit.what)).count();
            format!(
                "at the peer: {} connections ({} turned away), {} REQ, {} NEG-OPEN, {} events sent, {} git requests",
                count(|what| matches!(what, What::Connects { .. })),
                count(|what| matches!(what, What::Connects { taken: false, .. })),
                count(|what| matches!(what, What::Asks { .. })),
                count(|what| matches!(what, What::Reconciles { .. })),
                count(|what| matches!(what, What::Delivered { .. })),
                count(|what| matches!(what, What::Git { .. })),
            )
        })
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.log.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// When connections were tried.
#[must_use]
pub fn attempts(visits: &[Visit]) -> Vec<Duration> {
    let tried = |visit: &Visit| matches!(visit.what, What::Connects { .. }).then_some(visit.at);
    visits.iter().filter_map(tried).collect()
}

/// How many connections are open.
#[must_use]
pub fn connected(visits: &[Visit]) -> usize {
    let of = |visit: &Visit| match visit.what {
        What::Connects { taken: true, .. } => 1,
        What::Leaves { .. } => -1,
        _ => 0,
    };
    usize::try_from(visits.iter().map(of).sum::<i64>()).unwrap_or(0)
}

/// An open subscription.
#[derive(Debug, Clone, Default)]
pub struct Open {
    /// When it was asked for.
    pub since: Duration,
    /// Its filters.
    pub filters: Vec<Value>,
    /// Whether EOSE was sent.
    pub answered: bool,
}

impl Open {
    /// Whether an event that is published now is to be sent on it.
    #[must_use]
    pub fn covers(&self, event: &Event) -> bool {
        self.filters.iter().any(|filter| covers(filter, event))
    }
}

/// Whether a filter matches an event.
#[must_use]
pub fn covers(filter: &Value, event: &Event) -> bool {
    let filter: Option<Filter> = serde_json::from_value(filter.clone()).ok();
    filter.is_some_and(|filter| filter.match_event(event, MatchEventOptions::new()))
}

/// Follows subscriptions through the visits, one after the other.
#[derive(Debug, Default)]
pub struct Subscriptions(BTreeMap<Sub, Open>);

impl Subscriptions {
    /// Those that are open after all these visits.
    #[must_use]
    pub fn after(visits: &[Visit]) -> Self {
        let mut open = Self::default();
        visits.iter().for_each(|visit| open.take(visit));
        open
    }

    /// Takes in the next visit.
    pub fn take(&mut self, visit: &Visit) {
        match &visit.what {
            What::Asks { sub, filters } => {
                let open = Open { since: visit.at, filters: filters.clone(), answered: false };
                self.0.insert(sub.clone(), open);
            }
            What::Answered(sub) => {
                if let Some(open) = self.0.get_mut(sub) {
                    open.answered = true;
                }
            }
            What::Closes(sub) | What::Ended { sub, .. } => drop(self.0.remove(sub)),
            What::Leaves { connection } => self.0.retain(|sub, _| sub.connection != *connection),
            _ => {}
        }
    }

    /// Each.
    pub fn iter(&self) -> impl Iterator<Item = (&Sub, &Open)> {
        self.0.iter()
    }

    /// How many are open.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// How many filters they have.
    #[must_use]
    pub fn filters(&self) -> usize {
        self.0.values().map(|open| open.filters.len()).sum()
    }
}

/// The most subscriptions, and the most filters, that were open at the same time.
#[must_use]
pub fn most_open(visits: &[Visit]) -> (usize, usize) {
    let mut open = Subscriptions::default();
    visits.iter().fold((0, 0), |most, visit| {
        open.take(visit);
        (most.0.max(open.count()), most.1.max(open.filters()))
    })
}

/// Every filter of every question since `from`, REQ and NEG-OPEN, with its time.
pub fn filters(visits: &[Visit], from: Duration) -> impl Iterator<Item = (Duration, &Value)> {
    visits.iter().filter(move |visit| visit.at >= from).flat_map(|visit| {
        let filters: Vec<&Value> = match &visit.what {
            What::Asks { filters, .. } => filters.iter().collect(),
            What::Reconciles { filter, .. } => vec![filter],
            _ => Vec::new(),
        };
        filters.into_iter().map(|filter| (visit.at, filter))
    })
}

/// Every filter by which a history was asked for since `from`: by NEG-OPEN, or by a REQ that wants more than a few stored
/// events. `true` when it was a NEG-OPEN.
#[must_use]
pub fn histories(visits: &[Visit], from: Duration) -> Vec<(bool, Value)> {
    let many = |filter: &&Value| filter["limit"].as_u64().is_none_or(|limit| limit > FEW);
    let of = |visit: &Visit| match &visit.what {
        What::Asks { filters, .. } => {
            filters.iter().filter(many).map(|filter| (false, filter.clone())).collect()
        }
        What::Reconciles { filter, .. } => vec![(true, filter.clone())],
        _ => Vec::new(),
    };
    visits.iter().filter(|visit| visit.at >= from).flat_map(of).collect()
}

/// The filters of histories that have come to their end: their questions were answered, or ended by the server.
#[must_use]
pub fn ended_histories(visits: &[Visit]) -> Vec<Value> {
    let (mut open, mut ended): (BTreeMap<&Sub, Vec<Value>>, Vec<Value>) = Default::default();
    for visit in visits {
        match &visit.what {
            What::Asks { sub, .. } | What::Reconciles { sub, .. } => {
                let asked = histories(std::slice::from_ref(visit), Duration::ZERO);
                open.insert(sub, asked.into_iter().map(|(_, filter)| filter).collect());
            }
            What::Closes(sub) | What::Answered(sub) => ended.extend(open.remove(sub).unwrap_or_default()),
            What::Ended { sub, .. } => drop(open.remove(sub)),
            What::Leaves { connection } => open.retain(|sub, _| sub.connection != *connection),
            _ => {}
        }
    }
    ended
}

/// How many values the longest list of a filter has.
#[must_use]
pub fn values(filter: &Value) -> usize {
    let lists = filter.as_object().into_iter().flat_map(|fields| fields.values());
    lists.filter_map(|list| Some(list.as_array()?.len())).max().unwrap_or(0)
}

/// When git asked for `path`, and what it was answered.
#[must_use]
pub fn fetches(visits: &[Visit], path: &str) -> Vec<(Duration, u16)> {
    let of = |visit: &Visit| match &visit.what {
        What::Git { path: asked, status, .. } if asked == path => Some((visit.at, *status)),
        _ => None,
    };
    visits.iter().filter_map(of).collect()
}

#[cfg(test)]
mod tests {
    use grasp_fixtures::{events, keys};
    use serde_json::json;

    use super::*;

    fn sub(connection: u64, name: &str) -> Sub {
        Sub { connection, name: name.to_owned() }
    }

    fn log(visits: Vec<What>) -> Vec<Visit> {
        let second = |(number, what)| Visit { at: Duration::from_secs(number), what };
        (0..).zip(visits).map(second).collect()
    }

    #[test]
    fn subscriptions_are_followed_until_they_end() {
        let asks = |connection, name, filters: Value| What::Asks {
            sub: sub(connection, name),
            filters: filters.as_array().cloned().unwrap_or_default(),
        };
        let visits = log(vec![
            What::Connects { connection: 1, taken: true },
            asks(1, "a", json!([{"kinds": [1]}, {"kinds": [2]}])),
            asks(1, "b", json!([{"kinds": [3]}])),
            What::Answered(sub(1, "a")),
            What::Closes(sub(1, "b")),
            asks(1, "b", json!([{"kinds": [4], "limit": 1}])),
            What::Reconciles { sub: sub(1, "n"), filter: json!({"#d": ["x", "y"]}) },
        ]);
        let open = Subscriptions::after(&visits);
        assert_eq!((open.count(), open.filters()), (2, 3));
        assert_eq!(open.iter().map(|(_, open)| open.answered).collect::<Vec<_>>(), [true, false]);
        assert_eq!(most_open(&visits), (2, 3));
        assert_eq!(histories(&visits, Duration::ZERO).len(), 4, "a limit of one is no history");
        assert_eq!(filters(&visits, Duration::from_secs(5)).map(|(_, filter)| values(filter)).max(), Some(2));
        assert_eq!(ended_histories(&visits).len(), 3, "two by EOSE, one by CLOSE");
        let mut left = visits;
        left.push(Visit { at: Duration::from_secs(9), what: What::Leaves { connection: 1 } });
        assert_eq!((Subscriptions::after(&left).count(), connected(&left)), (0, 0));
    }

    #[test]
    fn a_subscription_covers_what_its_filters_match() {
        let author = keys::fresh();
        let issue = events::issue("30617:aa:x", "one", "").sign(&author);
        let open = |filter: Value| Open { filters: vec![filter], ..Open::default() };
        assert!(open(json!({"#a": ["30617:aa:x", "30617:bb:y"], "limit": 1})).covers(&issue));
        assert!(!open(json!({"#a": ["30617:bb:y"]})).covers(&issue));
        assert!(!open(json!("nonsense")).covers(&issue));
    }

    #[tokio::test]
    async fn what_is_waited_for_is_noticed_and_waiting_ends() {
        let visits = std::sync::Arc::new(Visits::default());
        let (told, wanted) = (visits.clone(), |seen: &[Visit]| (!seen.is_empty()).then_some(seen.len()));
        let waiting = tokio::spawn(async move { told.until(Duration::from_secs(60), wanted).await });
        visits.record(What::Document);
        assert_eq!(waiting.await.ok().flatten(), Some(1));
        assert_eq!(visits.until(Duration::from_millis(1), |_| None::<()>).await, None);
    }
}
