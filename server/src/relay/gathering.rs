//! When live events are delivered. The first after a pause goes out at once; those that follow closely are gathered for
//! a moment and go out together: what delivering costs is to wake a subscriber's connection and to write to its socket,
//! however many events that is for. So the moment is as long as the subscribers are many: for a few it is next to
//! nothing. Pure.

use std::time::Duration;

use bytes::Bytes;
use nostr::event::EventId;
use tokio::time::Instant;

/// How long events that follow others wait for more, for each subscription that the others went to. To wake and to write
/// takes about 5 µs, so gathering leaves a tenth of one processor for it.
const PAUSE_EACH: Duration = Duration::from_micros(50);
/// How long they wait at most.
const MAX_PAUSE: Duration = Duration::from_millis(10);
/// Events that together are longer than this, in bytes, wait for no more.
const PRESSING_BYTES: usize = 64 << 10;
/// Nor do events that together go to more subscriptions than this.
const PRESSING_DELIVERIES: usize = 64 << 10;

/// An event on its way to the subscriptions that it matched when it was published.
#[derive(Debug)]
pub(crate) struct Gathered {
    pub(crate) id: EventId,
    pub(crate) json: Bytes,
    /// In their order, each once.
    pub(crate) subscriptions: Vec<u64>,
}

/// When what was gathered is to be delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    Now,
    /// Look again then.
    At(Instant),
    /// Somebody looks already, or nothing is there.
    Cared,
}

/// See the module.
#[derive(Debug, Default)]
pub(crate) struct Gathering {
    events: Vec<Gathered>,
    bytes: usize,
    deliveries: usize,
    /// When there was a delivery, and for how long the next one is put off.
    delivered: Option<(Instant, Duration)>,
    /// Whether somebody will look again.
    watched: bool,
}

impl Gathering {
    /// Takes an event in.
    pub(crate) fn add(&mut self, event: Gathered, now: Instant) -> Due {
        self.bytes += event.json.len();
        self.deliveries += event.subscriptions.len();
        self.events.push(event);
        match self.rests_until(now) {
            None => Due::Now,
            Some(_) if self.watched => Due::Cared,
            Some(then) => {
                self.watched = true;
                Due::At(then)
            }
        }
    }

    /// Asked when a time that [`Gathering::add`] or this has named has come.
    pub(crate) fn look(&mut self, now: Instant) -> Due {
        let due = match self.rests_until(now) {
            _ if self.events.is_empty() => Due::Cared,
            Some(then) => Due::At(then),
            None => Due::Now,
        };
        self.watched = matches!(due, Due::At(_));
        due
    }

    /// All that was gathered, to be delivered now.
    pub(crate) fn take(&mut self, now: Instant) -> Vec<Gathered> {
        if let Some(most) = self.events.iter().map(|event| event.subscriptions.len()).max() {
            let pause = PAUSE_EACH.saturating_mul(u32::try_from(most).unwrap_or(u32::MAX));
            self.delivered = Some((now, pause.min(MAX_PAUSE)));
        }
        (self.bytes, self.deliveries) = (0, 0);
        std::mem::take(&mut self.events)
    }

    fn rests_until(&self, now: Instant) -> Option<Instant> {
        let pressing = self.bytes >= PRESSING_BYTES || self.deliveries >= PRESSING_DELIVERIES;
        let (delivered, pause) = self.delivered?;
        let then = delivered + pause;
        (!pressing && now < then).then_some(then)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pause after an event for 100.
    const PAUSE_100: Duration = Duration::from_millis(5);

    fn event(bytes: usize, subscriptions: u64) -> Gathered {
        Gathered {
            id: EventId::from_byte_array([0; 32]),
            json: vec![b'x'; bytes].into(),
            subscriptions: (0..subscriptions).collect(),
        }
    }

    #[test]
    fn the_first_after_a_pause_goes_at_once_and_those_that_follow_go_together() {
        let (mut gathering, start) = (Gathering::default(), Instant::now());
        assert_eq!(gathering.add(event(1, 100), start), Due::Now);
        assert_eq!(gathering.take(start).len(), 1);
        let soon = start + PAUSE_100 / 2;
        assert_eq!(gathering.add(event(1, 100), soon), Due::At(start + PAUSE_100));
        assert_eq!(gathering.add(event(1, 100), soon), Due::Cared);
        assert_eq!(gathering.look(start + PAUSE_100), Due::Now);
        assert_eq!(gathering.take(start + PAUSE_100).len(), 2);
        assert_eq!(gathering.add(event(1, 100), start + 2 * PAUSE_100), Due::Now);
    }

    #[test]
    fn the_pause_is_as_long_as_the_subscribers_are_many() {
        for (subscriptions, pause) in [(1, PAUSE_EACH), (40, 40 * PAUSE_EACH), (4_000, MAX_PAUSE)] {
            let (mut gathering, start) = (Gathering::default(), Instant::now());
            gathering.add(event(1, 1), start);
            gathering.add(event(1, subscriptions), start);
            gathering.take(start);
            assert_eq!(gathering.add(event(1, 1), start), Due::At(start + pause));
        }
    }

    #[test]
    fn many_wait_for_no_more() {
        for many in [event(PRESSING_BYTES, 100), event(1, PRESSING_DELIVERIES as u64)] {
            let (mut gathering, start) = (Gathering::default(), Instant::now());
            gathering.add(event(1, 100), start);
            gathering.take(start);
            assert_eq!(gathering.add(event(1, 100), start), Due::At(start + PAUSE_100));
            assert_eq!(gathering.add(many, start), Due::Now);
            assert_eq!(gathering.take(start).len(), 2);
        }
    }

    #[test]
    fn whoever_looks_when_others_have_delivered_looks_again_only_if_more_has_come() {
        let (mut gathering, start) = (Gathering::default(), Instant::now());
        gathering.add(event(1, 100), start);
        gathering.take(start);
        gathering.add(event(1, 100), start);
        let asked = start + PAUSE_100 / 2;
        gathering.take(asked);
        assert_eq!(gathering.add(event(1, 100), asked), Due::Cared, "somebody looks already");
        assert_eq!(gathering.look(start + PAUSE_100), Due::At(asked + PAUSE_100));
        gathering.take(asked);
        assert_eq!(gathering.look(asked + PAUSE_100), Due::Cared);
        assert_eq!(gathering.add(event(1, 100), asked), Due::At(asked + PAUSE_100), "nobody looks any more");
    }

    #[test]
    fn to_take_nothing_is_no_delivery() {
        let (mut gathering, start) = (Gathering::default(), Instant::now());
        assert!(gathering.take(start).is_empty());
        assert_eq!(gathering.add(event(1, 100), start), Due::Now);
    }
}
