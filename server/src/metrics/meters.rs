//! Counters and histograms. Each is made once, with all the values its label can have, so that none of them is missing
//! before it has happened for the first time.

use std::time::Duration;

use prometheus::{Histogram, HistogramOpts, HistogramVec, IntCounter, IntCounterVec, Opts, Registry};

use super::registered;
use crate::intake::Answer;
use crate::intake::funnel::PURGATORY_MESSAGE;

/// Upper ends of the buckets of all histograms, in seconds: from a query that is in memory to the end of a wait.
const SECONDS: [f64; 17] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0];

/// All of one server.
#[derive(Debug)]
pub struct Meters {
    registry: Registry,
    /// What the relay's clients do.
    pub relay: RelayMeters,
    /// What git clients do.
    pub git: GitMeters,
    /// What becomes of events and repositories.
    pub house: HouseMeters,
    /// What proactive sync brings.
    pub sync: SyncMeters,
}

impl Default for Meters {
    fn default() -> Self {
        let registry = Registry::new();
        Self {
            relay: RelayMeters::new(&registry),
            git: GitMeters::new(&registry),
            house: HouseMeters::new(&registry),
            sync: SyncMeters::new(&registry),
            registry,
        }
    }
}

impl Meters {
    /// All of them as text.
    #[must_use]
    pub fn text(&self) -> String {
        super::gauges::text(&self.registry)
    }
}

/// What the relay's clients do.
#[derive(Debug)]
pub struct RelayMeters {
    /// Connections that were admitted.
    pub admitted: IntCounter,
    /// Connections for which there was no room.
    pub turned_away: IntCounter,
    accepted: IntCounter,
    waiting: IntCounter,
    duplicate: IntCounter,
    refused: IntCounter,
    /// Events that came too fast to be looked at.
    pub rate_limited: IntCounter,
    /// REQs that were answered.
    pub reqs: IntCounter,
    /// COUNTs that were answered.
    pub counts: IntCounter,
    /// Reconciliations that were opened.
    pub reconciliations: IntCounter,
    /// Questions that were refused.
    pub refused_queries: IntCounter,
    query: Histogram,
}

impl RelayMeters {
    fn new(to: &Registry) -> Self {
        let [admitted, turned_away] = counters(
            to,
            ("grasp_relay_connections_total", "Relay connections since the start"),
            ("outcome", ["admitted", "turned_away"]),
        );
        let [accepted, waiting, duplicate, refused, rate_limited] = counters(
            to,
            ("grasp_relay_events_total", "Events that clients have published, by the answer they got"),
            ("outcome", ["accepted", "waiting", "duplicate", "refused", "rate_limited"]),
        );
        let [reqs, counts, reconciliations] = counters(
            to,
            ("grasp_relay_queries_total", "Questions of relay clients that were taken"),
            ("kind", ["req", "count", "neg"]),
        );
        Self {
            admitted,
            turned_away,
            accepted,
            waiting,
            duplicate,
            refused,
            rate_limited,
            reqs,
            counts,
            reconciliations,
            refused_queries: counter(
                to,
                ("grasp_relay_queries_refused_total", "Questions of relay clients that were refused"),
            ),
            query: histogram(
                to,
                (
                    "grasp_relay_query_seconds",
                    "From a REQ or COUNT to the end of what is stored, the reader's time included",
                ),
            ),
        }
    }

    /// A published event has got its answer.
    pub fn answered(&self, answer: &Answer) {
        if !answer.accepted {
            self.refused.inc();
        } else if answer.message.starts_with(PURGATORY_MESSAGE) {
            self.waiting.inc();
        } else if answer.message.starts_with("duplicate:") {
            self.duplicate.inc();
        } else {
            self.accepted.inc();
        }
    }

    /// A published event was refused before anybody looked at it.
    pub fn refused(&self) {
        self.refused.inc();
    }

    /// A question has been answered.
    pub fn queried(&self, took: Duration) {
        self.query.observe(took.as_secs_f64());
    }
}

/// What becomes of fetches.
#[derive(Debug)]
pub struct Fetches {
    /// Served to the end.
    pub served: IntCounter,
    /// git has failed.
    pub failed: IntCounter,
    /// The client has gone, or reads nothing; or the server stops.
    pub aborted: IntCounter,
    /// Its turn did not come.
    pub busy: IntCounter,
}

/// What becomes of pushes.
#[derive(Debug)]
pub struct Pushes {
    /// All its refs were taken.
    pub accepted: IntCounter,
    /// Some of them.
    pub partly: IntCounter,
    /// None of them.
    pub refused: IntCounter,
    /// It did not arrive whole.
    pub aborted: IntCounter,
    /// Its turn did not come.
    pub busy: IntCounter,
}

/// What git clients do.
#[derive(Debug)]
pub struct GitMeters {
    /// Lists of refs that were given.
    pub listings: IntCounter,
    /// Packs that were asked for.
    pub fetches: Fetches,
    /// Pushes.
    pub pushes: Pushes,
    accepted_refs: IntCounter,
    refused_refs: IntCounter,
    /// Bytes of packs that were sent.
    pub sent: IntCounter,
    /// Bytes of pushes that came, as they were on the wire.
    pub received: IntCounter,
    fetch: Histogram,
    push: Histogram,
}

impl GitMeters {
    fn new(to: &Registry) -> Self {
        let [served, failed, aborted, busy] = counters(
            to,
            ("grasp_git_fetches_total", "Packs that were asked for, by what became of it"),
            ("outcome", ["served", "failed", "aborted", "busy"]),
        );
        let fetches = Fetches { served, failed, aborted, busy };
        let [accepted, partly, refused, aborted, busy] = counters(
            to,
            ("grasp_git_pushes_total", "Pushes, by what became of their refs"),
            ("outcome", ["accepted", "partly", "refused", "aborted", "busy"]),
        );
        let pushes = Pushes { accepted, partly, refused, aborted, busy };
        let [accepted_refs, refused_refs] = counters(
            to,
            ("grasp_git_pushed_refs_total", "Refs of pushes that were answered"),
            ("outcome", ["accepted", "refused"]),
        );
        Self {
            listings: counter(
                to,
                ("grasp_git_listings_total", "Lists of refs that were given (info/refs, ls-refs)"),
            ),
            fetches,
            pushes,
            accepted_refs,
            refused_refs,
            sent: counter(
                to,
                ("grasp_git_sent_bytes_total", "Bytes of packs that were sent to those who fetch"),
            ),
            received: counter(
                to,
                ("grasp_git_received_bytes_total", "Bytes of pushes that came, as they were on the wire"),
            ),
            fetch: histogram(
                to,
                (
                    "grasp_git_fetch_seconds",
                    "From the start of a fetch's git to its end, the client's time included",
                ),
            ),
            push: histogram(
                to,
                ("grasp_git_push_seconds", "From a push's turn to its answer, the client's sending included"),
            ),
        }
    }

    /// A push has been answered, with so many refs taken and so many refused.
    pub fn pushed(&self, accepted: usize, refused: usize) {
        self.accepted_refs.inc_by(accepted as u64);
        self.refused_refs.inc_by(refused as u64);
        match (accepted, refused) {
            (_, 0) => self.pushes.accepted.inc(),
            (0, _) => self.pushes.refused.inc(),
            _ => self.pushes.partly.inc(),
        }
    }

    /// How long a push took that was answered.
    pub fn push_took(&self, time: Duration) {
        self.push.observe(time.as_secs_f64());
    }

    /// How long a fetch took that was served.
    pub fn fetch_took(&self, time: Duration) {
        self.fetch.observe(time.as_secs_f64());
    }
}

/// What becomes of events and repositories.
#[derive(Debug)]
pub struct HouseMeters {
    promotion: Histogram,
    at_once: Histogram,
    after_waiting: Histogram,
    /// Events that have waited in vain.
    pub expired_events: IntCounter,
    /// Uploads that nobody has signed in time.
    pub expired_uploads: IntCounter,
}

impl HouseMeters {
    fn new(to: &Registry) -> Self {
        let [at_once, after_waiting] = histograms(
            to,
            ("grasp_event_served_seconds", "From taking an event in to serving it"),
            ("waited", ["no", "yes"]),
        );
        let [expired_events, expired_uploads] = counters(
            to,
            ("grasp_purgatory_expired_total", "What has waited in vain"),
            ("what", ["event", "upload"]),
        );
        Self {
            promotion: histogram(
                to,
                (
                    "grasp_promotion_seconds",
                    "From the decision to the end of a promotion: refs set, events served",
                ),
            ),
            at_once,
            after_waiting,
            expired_events,
            expired_uploads,
        }
    }

    /// A promotion has come to its end.
    pub fn promoted(&self, took: Duration) {
        self.promotion.observe(took.as_secs_f64());
    }

    /// An event is served that did not have to wait.
    pub fn served_at_once(&self, took: Duration) {
        self.at_once.observe(took.as_secs_f64());
    }

    /// An event is served after so many seconds in purgatory.
    pub fn served_after(&self, seconds: u64) {
        self.after_waiting.observe(Duration::from_secs(seconds).as_secs_f64());
    }
}

/// What proactive sync brings, of all relays together.
#[derive(Debug)]
pub struct SyncMeters {
    /// Events that were taken in.
    pub taken: IntCounter,
    /// Events that were known already.
    pub known: IntCounter,
    /// Events that were refused.
    pub refused: IntCounter,
    /// Events with a false id or signature.
    pub forged: IntCounter,
}

impl SyncMeters {
    fn new(to: &Registry) -> Self {
        let [taken, known, refused, forged] = counters(
            to,
            ("grasp_sync_events_total", "Events that other relays have sent, by what became of them"),
            ("outcome", ["taken", "known", "refused", "forged"]),
        );
        Self { taken, known, refused, forged }
    }
}

/// Name and description.
type Named = (&'static str, &'static str);

fn counter(to: &Registry, (name, help): Named) -> IntCounter {
    registered(to, IntCounter::new(name, help))
}

fn counters<const N: usize>(
    to: &Registry,
    (name, help): Named,
    (label, values): (&'static str, [&'static str; N]),
) -> [IntCounter; N] {
    let family = registered(to, IntCounterVec::new(Opts::new(name, help), &[label]));
    values.map(|value| family.with_label_values(&[value]))
}

fn histogram(to: &Registry, (name, help): Named) -> Histogram {
    registered(to, Histogram::with_opts(HistogramOpts::new(name, help).buckets(SECONDS.to_vec())))
}

fn histograms<const N: usize>(
    to: &Registry,
    (name, help): Named,
    (label, values): (&'static str, [&'static str; N]),
) -> [Histogram; N] {
    let options = HistogramOpts::new(name, help).buckets(SECONDS.to_vec());
    let family = registered(to, HistogramVec::new(options, &[label]));
    values.map(|value| family.with_label_values(&[value]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_is_there_before_it_happens() {
        let text = Meters::default().text();
        for line in [
            "grasp_relay_events_total{outcome=\"waiting\"} 0",
            "grasp_event_served_seconds_count{waited=\"yes\"} 0",
            "grasp_git_sent_bytes_total 0",
            "# TYPE grasp_promotion_seconds histogram",
        ] {
            assert!(text.lines().any(|known| known == line), "{line}: {text}");
        }
    }

    #[test]
    fn answers_are_told_apart() {
        let meters = Meters::default();
        for answer in [
            Answer::yes(""),
            Answer::yes(PURGATORY_MESSAGE),
            Answer::yes("duplicate: already have this event"),
            Answer::no("blocked: no"),
        ] {
            meters.relay.answered(&answer);
        }
        let relay = &meters.relay;
        let counted =
            [&relay.accepted, &relay.waiting, &relay.duplicate, &relay.refused].map(IntCounter::get);
        assert_eq!(counted, [1; 4]);
    }

    #[test]
    fn a_push_is_accepted_refused_or_partly_both() {
        let meters = Meters::default();
        for (accepted, refused) in [(2, 0), (1, 1), (0, 3)] {
            meters.git.pushed(accepted, refused);
        }
        let pushes = &meters.git.pushes;
        assert_eq!([&pushes.accepted, &pushes.partly, &pushes.refused].map(IntCounter::get), [1; 3]);
        assert_eq!([&meters.git.accepted_refs, &meters.git.refused_refs].map(IntCounter::get), [3, 4]);
    }
}
