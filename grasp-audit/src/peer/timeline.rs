//! What happened at a peer, as a report keeps it: short enough to be stored, complete enough to be drawn again.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::visits::{Visits, What};

/// How many moments of one peer a report keeps; the events that it sent are only counted.
const MAX_MOMENTS: usize = 2_000;
/// How many characters of a filter are kept.
const MAX_TEXT: usize = 160;

/// What a moment is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A connection was made.
    Connect,
    /// A connection was wanted, and the peer turned it away.
    TurnedAway,
    /// A connection ended.
    Leave,
    /// The relay's document was read (NIP-11).
    Document,
    /// REQ.
    Req,
    /// EOSE was sent.
    Eose,
    /// NEG-OPEN.
    Neg,
    /// CLOSE or NEG-CLOSE.
    Close,
    /// CLOSED or NEG-ERR was sent.
    Closed,
    /// A request of a git client.
    Git,
}

/// One moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Moment {
    /// Milliseconds since the peer began.
    pub at_ms: u64,
    /// What it is about.
    pub kind: Kind,
    /// The connection's number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub connection: Option<u64>,
    /// The subscription, by its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
    /// How many filters it has.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub filters: usize,
    /// HTTP status of the answer to git.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    /// Its first filter, a reason, a path: cut when it is long.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub text: String,
}

/// One peer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Timeline {
    /// `peer 1`
    pub name: String,
    /// How long it was there, milliseconds.
    pub took_ms: u64,
    /// Events that it sent.
    pub events: usize,
    /// What happened, in order.
    pub moments: Vec<Moment>,
    /// Moments that were too many.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub left_out: usize,
}

#[allow(clippy::trivially_copy_pass_by_ref)] // what serde asks for
fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Timeline {
    /// What has happened so far.
    #[must_use]
    pub fn of(name: &str, visits: &Visits) -> Self {
        let took_ms = milliseconds(visits.now());
        let (mut moments, mut events, mut left_out) = (Vec::new(), 0, visits.left_out());
        visits.read(|visits| {
            for visit in visits {
                match moment(milliseconds(visit.at), &visit.what) {
                    None => events += 1,
                    Some(_) if moments.len() == MAX_MOMENTS => left_out += 1,
                    Some(moment) => moments.push(moment),
                }
            }
        });
        Self { name: name.to_owned(), took_ms, events, moments, left_out }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// An event that was sent is no moment of its own.
fn moment(at_ms: u64, what: &What) -> Option<Moment> {
    let of = |kind| Moment {
        at_ms,
        kind,
        connection: None,
        subscription: None,
        filters: 0,
        status: None,
        text: String::new(),
    };
    let on = |kind, sub: &super::visits::Sub| Moment {
        connection: Some(sub.connection),
        subscription: Some(sub.name.clone()),
        ..of(kind)
    };
    Some(match what {
        What::Connects { connection, taken } => {
            let kind = if *taken { Kind::Connect } else { Kind::TurnedAway };
            Moment { connection: Some(*connection), ..of(kind) }
        }
        What::Leaves { connection } => Moment { connection: Some(*connection), ..of(Kind::Leave) },
        What::Document => of(Kind::Document),
        What::Asks { sub, filters } => {
            let text = filters.first().map(short).unwrap_or_default();
            Moment { filters: filters.len(), text, ..on(Kind::Req, sub) }
        }
        What::Reconciles { sub, filter } => Moment { filters: 1, text: short(filter), ..on(Kind::Neg, sub) },
        What::Answered(sub) => on(Kind::Eose, sub),
        What::Closes(sub) => on(Kind::Close, sub),
        What::Ended { sub, reason } => Moment { text: cut(reason), ..on(Kind::Closed, sub) },
        What::Git { path, service, status } => {
            Moment { status: Some(*status), text: cut(&format!("{path}/{service}")), ..of(Kind::Git) }
        }
        What::Delivered { .. } => return None,
    })
}

fn short(filter: &Value) -> String {
    cut(&filter.to_string())
}

fn cut(text: &str) -> String {
    let mut kept: String = text.chars().take(MAX_TEXT).collect();
    if kept.len() < text.len() {
        kept.push('…');
    }
    kept
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::super::visits::Sub;
    use super::*;

    #[test]
    fn a_timeline_is_bounded_and_comes_back_from_json() {
        let (visits, sub) = (Visits::default(), Sub { connection: 1, name: "s".to_owned() });
        visits.record(What::Connects { connection: 1, taken: true });
        visits
            .record(What::Asks { sub: sub.clone(), filters: vec![json!({"#e": vec!["a".repeat(64); 100]})] });
        for _ in 0..MAX_MOMENTS {
            visits.record(What::Delivered { sub: sub.clone(), event: String::new(), live: false });
            visits.record(What::Answered(sub.clone()));
        }
        let timeline = Timeline::of("peer 1", &visits);
        assert_eq!((timeline.moments.len(), timeline.left_out), (MAX_MOMENTS, 2));
        assert_eq!(timeline.events, MAX_MOMENTS);
        assert!(timeline.moments[1].text.chars().count() <= MAX_TEXT + 1);
        let json = serde_json::to_string(&timeline).unwrap();
        assert_eq!(serde_json::from_str::<Timeline>(&json).unwrap(), timeline);
    }
}
