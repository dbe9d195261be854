//! Live delivery: from what an event is to the subscriptions that asked for it, each event exactly once.
//!
//! A subscription is entered here *before* its stored events are looked up; what arrives meanwhile is kept back until
//! EOSE. An event can be met on both ways, because it is in the store a moment before it is published: ids that were
//! sent from the store are dropped from what was kept back, and those among them that are still expected are dropped
//! when they come.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use nostr::event::{Event, EventId};
use nostr::filter::Filter;
use parking_lot::{Mutex, RwLock};
use tokio_util::sync::CancellationToken;

use super::outbox::{Gone, Label, Outbox};
use super::reply;
use super::subscriptions::SubscriptionIndex;
use crate::clock::Clock;

/// The live subscriptions of all connections.
#[derive(Debug, Default)]
pub struct Feed {
    index: RwLock<SubscriptionIndex<Subscription>>,
    expected: Mutex<HashMap<EventId, usize>>,
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

    /// Delivers a stored event to every live subscription that matches.
    pub fn publish(&self, event: &Event) {
        if !event.is_expired_at(self.clock.now()) {
            self.deliver(event);
        }
        // Only now: a subscription that goes live meanwhile must learn that this one is still on its way.
        self.forget(&[event.id]);
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

    fn deliver(&self, event: &Event) {
        let matching = self.index.read().matching(event);
        if matching.is_empty() {
            return;
        }
        let Ok(json) = serde_json::to_string(event) else { return };
        let json: Arc<str> = json.into();
        for (number, subscription) in matching {
            if subscription.deliver(&event.id, &json).is_err() {
                self.index.write().remove(number);
            }
        }
    }

    /// Enters a subscription, which keeps back what it gets until [`Feed::go_live`].
    pub(crate) fn enter(&self, filters: Arc<[Filter]>, subscription: &Arc<Subscription>) -> u64 {
        self.index.write().insert(filters, subscription)
    }

    /// Takes a subscription out.
    pub(crate) fn leave(&self, number: u64) {
        self.index.write().remove(number);
    }

    /// Ends the stored part: sends EOSE, then what was kept back and is not among the ids `sent` from the store.
    pub(crate) fn go_live(&self, subscription: &Subscription, sent: &HashSet<EventId>) {
        let mut delivery = subscription.delivery.lock();
        let Delivery::KeptBack(kept_back) = std::mem::replace(&mut *delivery, Delivery::Ended) else {
            return;
        };
        let skip = self.expected.lock().keys().filter(|id| sent.contains(id)).copied().collect();
        subscription.outbox.answer(reply::eose(&subscription.id));
        for (id, json) in kept_back {
            if sent.contains(&id) {
                subscription.outbox.release_live(json.len());
            } else {
                subscription.outbox.live_reserved(&subscription.label, json);
            }
        }
        *delivery = Delivery::Live { skip };
    }
}

/// One subscription of one connection.
#[derive(Debug)]
pub(crate) struct Subscription {
    id: String,
    label: Arc<Label>,
    outbox: Arc<Outbox>,
    delivery: Mutex<Delivery>,
    /// Ends the query for stored events.
    stop: CancellationToken,
}

#[derive(Debug)]
enum Delivery {
    /// The stored events are being sent; this comes after them.
    KeptBack(Vec<(EventId, Arc<str>)>),
    /// What comes is sent, but for these, which were found in the store already.
    Live {
        skip: HashSet<EventId>,
    },
    Ended,
}

/// The subscription has ended.
struct Ended;

impl Subscription {
    pub(crate) fn new(id: String, outbox: Arc<Outbox>, stop: CancellationToken) -> Self {
        let label = Arc::new(Label::new(&id));
        Self { id, label, outbox, delivery: Mutex::new(Delivery::KeptBack(Vec::new())), stop }
    }

    /// Cancelled when the subscription ends, whoever ends it.
    pub(crate) fn stop(&self) -> &CancellationToken {
        &self.stop
    }

    /// Whether it has ended.
    pub(crate) fn is_ended(&self) -> bool {
        matches!(*self.delivery.lock(), Delivery::Ended)
    }

    /// Sends a stored event as soon as there is room.
    pub(crate) async fn send_stored(&self, json: String) -> Result<(), Gone> {
        self.outbox.stored(&self.label, json.into()).await
    }

    /// Ends it by the client's wish: nothing more is sent, not even what waits already.
    pub(crate) fn drop_silently(&self) {
        self.label.silence();
        self.end(&mut self.delivery.lock());
    }

    /// Ends it by ours, and says why.
    pub(crate) fn close(&self, reason: &str) {
        let mut delivery = self.delivery.lock();
        if !matches!(*delivery, Delivery::Ended) {
            self.end(&mut delivery);
            self.outbox.answer(reply::closed(&self.id, reason));
        }
    }

    fn end(&self, delivery: &mut Delivery) {
        if let Delivery::KeptBack(kept_back) = std::mem::replace(delivery, Delivery::Ended) {
            kept_back.iter().for_each(|(_, json)| self.outbox.release_live(json.len()));
        }
        self.stop.cancel();
    }

    fn deliver(&self, id: &EventId, json: &Arc<str>) -> Result<(), Ended> {
        let mut delivery = self.delivery.lock();
        let room = match &mut *delivery {
            Delivery::Ended => return Err(Ended),
            Delivery::Live { skip } => {
                if !skip.is_empty() && skip.remove(id) {
                    return Ok(());
                }
                self.outbox.live(&self.label, json)
            }
            Delivery::KeptBack(kept_back) => {
                self.outbox.reserve_live(json.len()).map(|()| kept_back.push((*id, json.clone())))
            }
        };
        if room.is_ok() {
            return Ok(());
        }
        self.end(&mut delivery);
        self.outbox.answer(reply::closed(
            &self.id,
            "error: slow reader: too many events wait to be read here; subscribe again to get what you missed",
        ));
        Err(Ended)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nostr::event::{EventBuilder, FinalizeEvent, Kind, Tag};
    use nostr::key::Keys;

    use super::*;
    use crate::relay::limits::Limits;

    struct Client {
        feed: Feed,
        outbox: Arc<Outbox>,
        subscription: Arc<Subscription>,
    }

    fn client(limits: &Limits) -> Client {
        let outbox = Arc::new(Outbox::new(limits));
        let subscription = Subscription::new("s".to_owned(), outbox.clone(), CancellationToken::new());
        let client = Client { feed: Feed::default(), outbox, subscription: Arc::new(subscription) };
        client.feed.enter(vec![Filter::new().kind(Kind::TextNote)].into(), &client.subscription);
        client
    }

    impl Client {
        fn received(&self) -> Vec<String> {
            let texts = std::iter::from_fn(|| self.outbox.try_next()).map(|m| m.into_text().unwrap());
            texts
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
