//! Live delivery: from what an event is to the subscriptions that asked for it, each event exactly once.
//!
//! A subscription is entered here *before* its stored events are looked up; what arrives meanwhile is kept back until
//! EOSE. An event can be met on both ways, because it is in the store a moment before it is delivered: ids that were
//! sent from the store are dropped from what was kept back, and those among them that are still expected are dropped
//! when they come.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use nostr::event::{Event, EventId};
use nostr::filter::Filter;
use parking_lot::{Mutex, RwLock};
use tokio::time::Instant;

use super::gathering::{Due, Gathered, Gathering};
use super::run::Runs;
use super::subscription::{Round, Subscription};
use super::subscriptions::SubscriptionIndex;
use crate::clock::Clock;

/// The live subscriptions of all connections.
#[derive(Debug, Default)]
pub struct Feed {
    index: RwLock<SubscriptionIndex<Subscription>>,
    expected: Mutex<HashMap<EventId, usize>>,
    gathering: Mutex<Gathering>,
    /// Held while events are delivered, so that they come to everybody in one order.
    delivering: Mutex<()>,
    clock: Clock,
}

impl Feed {
    /// A feed without subscriptions that goes by this clock (NIP-40).
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self { clock, ..Self::default() }
    }

    /// Says that events are about to be stored. From here until [`Feed::publish`] or [`Feed::forget`] a query may
    /// already see them although they have not been delivered yet; subscriptions use this to deliver exactly once.
    ///
    /// Every id that is named here is named in exactly one `publish` or `forget` later.
    pub fn expect(&self, ids: &[EventId]) {
        let mut expected = self.expected.lock();
        for id in ids {
            *expected.entry(*id).or_default() += 1;
        }
    }

    /// Delivers a stored event to every subscription that matches and is here now: at once, or together with others
    /// that follow closely, a few milliseconds later. Outside a runtime, always at once.
    pub fn publish(self: &Arc<Self>, event: &Event) {
        let Some(gathered) = self.matched(event) else { return self.forget(&[event.id]) };
        let due = self.gathering.lock().add(gathered, Instant::now());
        match due {
            Due::Now => self.deliver_gathered(),
            Due::At(then) => self.deliver_at(then),
            Due::Cared => {}
        }
    }

    fn matched(&self, event: &Event) -> Option<Gathered> {
        if event.is_expired_at(self.clock.now()) {
            return None;
        }
        let subscriptions = self.index.read().matching(event);
        if subscriptions.is_empty() {
            return None;
        }
        let json = serde_json::to_vec(event).ok()?;
        Some(Gathered { id: event.id, json: json.into(), subscriptions })
    }

    fn deliver_at(self: &Arc<Self>, mut then: Instant) {
        let Ok(runtime) = tokio::runtime::Handle::try_current() else {
            self.gathering.lock().look(then);
            return self.deliver_gathered();
        };
        let feed = Arc::clone(self);
        runtime.spawn(async move {
            loop {
                tokio::time::sleep_until(then).await;
                let due = feed.gathering.lock().look(Instant::now());
                match due {
                    Due::At(later) => then = later,
                    Due::Now => return feed.deliver_gathered(),
                    Due::Cared => return,
                }
            }
        });
    }

    /// Delivers everything that was published before.
    pub(crate) fn deliver_gathered(&self) {
        let _in_one_order = self.delivering.lock();
        let gathered = self.gathering.lock().take(Instant::now());
        if gathered.is_empty() {
            return;
        }
        let round = self.deliver(gathered);
        // Only now: a subscription that goes live meanwhile must learn that these are still on their way.
        self.forget(&round.ids);
    }

    fn deliver(&self, gathered: Vec<Gathered>) -> Round {
        let wanted = gathered.iter().enumerate();
        let mut wanted: Vec<(u64, usize)> = wanted
            .flat_map(|(at, event)| event.subscriptions.iter().map(move |number| (*number, at)))
            .collect();
        // As many runs that are in order as there are events.
        wanted.sort();
        let ids = gathered.iter().map(|event| event.id).collect();
        let events = gathered.into_iter().map(|event| event.json).collect();
        let mut round = Round { ids, events, runs: Runs::default() };
        let mut ended = Vec::new();
        let index = self.index.read();
        for wanted in wanted.chunk_by(|one, other| one.0 == other.0) {
            let number = wanted[0].0;
            let Some(subscription) = index.get(number) else { continue };
            if subscription.deliver(wanted.iter().map(|(_, at)| *at), &mut round).is_err() {
                ended.push(number);
            }
        }
        drop(index);
        ended.into_iter().for_each(|number| self.leave(number));
        round
    }

    /// Takes back [`Feed::expect`]: these were not stored after all.
    pub fn forget(&self, ids: &[EventId]) {
        let mut expected = self.expected.lock();
        for id in ids {
            if let Some(times) = expected.get_mut(id) {
                *times -= 1;
                if *times == 0 {
                    expected.remove(id);
                }
            }
        }
    }

    /// How many subscriptions are live.
    #[must_use]
    pub fn subscriptions(&self) -> usize {
        self.index.read().len()
    }

    /// Enters a subscription, which keeps back what it gets until [`Feed::go_live`].
    pub(crate) fn enter(&self, filters: Arc<[Filter]>, subscription: &Arc<Subscription>) -> u64 {
        self.index.write().insert(filters, subscription)
    }

    /// Takes a subscription out.
    pub(crate) fn leave(&self, number: u64) {
        self.index.write().remove(number);
    }

    /// Ends the stored part of a subscription for which the events `sent` were in the store.
    pub(crate) fn go_live(&self, subscription: &Subscription, sent: &HashSet<EventId>) {
        let expected = || self.expected.lock().keys().filter(|id| sent.contains(id)).copied().collect();
        subscription.go_live(sent, expected);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nostr::event::{EventBuilder, FinalizeEvent, Kind, Tag};
    use nostr::key::Keys;

    use super::*;
    use crate::relay::limits::Limits;
    use crate::relay::outbox::Outbox;
    use crate::relay::outbox::tests::texts;
    use tokio_util::sync::CancellationToken;

    struct Client {
        feed: Arc<Feed>,
        outbox: Arc<Outbox>,
        subscription: Arc<Subscription>,
    }

    fn client(limits: &Limits) -> Client {
        let outbox = Arc::new(Outbox::new(limits));
        let subscription = Subscription::new("s".to_owned(), outbox.clone(), CancellationToken::new());
        let client = Client { feed: Arc::default(), outbox, subscription: Arc::new(subscription) };
        client.feed.enter(vec![Filter::new().kind(Kind::TextNote)].into(), &client.subscription);
        client
    }

    impl Client {
        fn received(&self) -> Vec<String> {
            texts(&self.outbox)
                .into_iter()
                .map(|text| serde_json::from_str::<Vec<serde_json::Value>>(&text).unwrap())
                .map(|parts| match parts[0].as_str().unwrap() {
                    "EVENT" => parts[2]["content"].as_str().unwrap().to_owned(),
                    verb => verb.to_owned(),
                })
                .collect()
        }
    }

    fn note(content: &str) -> Event {
        EventBuilder::new(Kind::TextNote, content).finalize(&Keys::generate()).unwrap()
    }

    #[test]
    fn what_comes_before_eose_is_kept_back_until_then() {
        let client = client(&Limits::default());
        let (stored, new) = (note("stored"), note("new"));
        client.feed.publish(&stored);
        client.feed.publish(&new);
        assert!(client.received().is_empty());
        client.feed.go_live(&client.subscription, &HashSet::from([stored.id]));
        client.feed.publish(&note("live"));
        assert_eq!(client.received(), ["EOSE", "new", "live"]);
    }

    #[test]
    fn an_event_seen_in_the_store_before_it_is_published_comes_once() {
        let client = client(&Limits::default());
        let (seen, unseen) = (note("seen"), note("unseen"));
        client.feed.expect(&[seen.id, unseen.id]);
        client.feed.go_live(&client.subscription, &HashSet::from([seen.id]));
        client.feed.publish(&seen);
        client.feed.publish(&unseen);
        assert_eq!(client.received(), ["EOSE", "unseen"]);
        assert!(client.feed.expected.lock().is_empty());
    }

    #[test]
    fn what_two_expect_is_forgotten_when_both_are_done() {
        let feed = Feed::default();
        let id = note("").id;
        feed.expect(&[id]);
        feed.expect(&[id]);
        feed.forget(&[id]);
        assert_eq!(feed.expected.lock().len(), 1);
        feed.forget(&[id, note("other").id]);
        assert!(feed.expected.lock().is_empty());
    }

    #[test]
    fn a_reader_that_is_too_slow_is_told_and_its_room_is_given_back() {
        for live_before in [true, false] {
            let client = client(&Limits { queue_live_events: 2, ..Limits::default() });
            if live_before {
                client.feed.go_live(&client.subscription, &HashSet::new());
            }
            ["one", "two", "three", "four"].iter().for_each(|content| client.feed.publish(&note(content)));
            let expected: &[&str] = if live_before { &["EOSE", "one", "two", "CLOSED"] } else { &["CLOSED"] };
            assert_eq!(client.received(), expected);
            assert!(client.subscription.stop().is_cancelled() && client.subscription.is_ended());
            assert_eq!(client.feed.subscriptions(), 0);
            assert!(client.outbox.reserve_live(1).is_ok() && client.outbox.reserve_live(1).is_ok());
        }
    }

    #[test]
    fn expired_events_are_not_delivered() {
        let client = client(&Limits::default());
        client.feed.go_live(&client.subscription, &HashSet::new());
        let expired = EventBuilder::new(Kind::TextNote, "old")
            .tag(Tag::parse(["expiration", "1600000000"]).unwrap())
            .finalize(&Keys::generate())
            .unwrap();
        client.feed.publish(&expired);
        client.subscription.drop_silently();
        client.feed.publish(&note("after the end"));
        assert_eq!(client.received(), ["EOSE"]);
    }
}
