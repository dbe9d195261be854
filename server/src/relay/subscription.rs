//! One subscription of one connection: what is kept back until its stored events are sent, and how it ends.

use std::collections::HashSet;
use std::sync::Arc;

use bytes::Bytes;
use nostr::event::EventId;
use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;

use super::outbox::{Full, Gone, Label, Outbox};
use super::reply;
use super::run::{Run, Runs};

/// Events that are delivered together, by their positions.
#[derive(Debug)]
pub(crate) struct Round {
    pub(crate) ids: Vec<EventId>,
    pub(crate) events: Vec<Bytes>,
    pub(crate) runs: Runs,
}

/// See the module.
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
    KeptBack(Vec<(EventId, Bytes)>),
    /// What comes is sent, but for these, which were found in the store already.
    Live {
        skip: HashSet<EventId>,
    },
    Ended,
}

/// The subscription has ended.
#[derive(Debug)]
pub(crate) struct Ended;

impl Subscription {
    pub(crate) fn new(id: String, outbox: Arc<Outbox>, stop: CancellationToken) -> Self {
        let label = Arc::new(Label::new(&id));
        Self { id, label, outbox, delivery: Mutex::new(Delivery::KeptBack(Vec::new())), stop }
    }

    /// Cancelled when the subscription ends, whoever ends it.
    pub(crate) const fn stop(&self) -> &CancellationToken {
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

    /// Ends the stored part: sends EOSE, then what was kept back and is not among the ids `sent` from the store.
    /// `expected` says which of these are still to be delivered.
    pub(crate) fn go_live(&self, sent: &HashSet<EventId>, expected: impl FnOnce() -> HashSet<EventId>) {
        let mut delivery = self.delivery.lock();
        let Delivery::KeptBack(kept_back) = std::mem::replace(&mut *delivery, Delivery::Ended) else {
            return;
        };
        let skip = expected();
        self.outbox.answer(&reply::eose(&self.id));
        let (known, new): (Vec<_>, Vec<_>) = kept_back.into_iter().partition(|(id, _)| sent.contains(id));
        known.iter().for_each(|(_, json)| self.outbox.release_live(json.len()));
        for (_, json) in new {
            self.outbox.live_reserved(&self.label, Arc::new(Run::new(self.label.head(), [json])));
        }
        *delivery = Delivery::Live { skip };
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
            self.outbox.answer(&reply::closed(&self.id, reason));
        }
    }

    fn end(&self, delivery: &mut Delivery) {
        if let Delivery::KeptBack(kept_back) = std::mem::replace(delivery, Delivery::Ended) {
            kept_back.iter().for_each(|(_, json)| self.outbox.release_live(json.len()));
        }
        self.stop.cancel();
    }

    /// Delivers those events of a round that stand at these positions.
    pub(crate) fn deliver(
        &self,
        positions: impl Iterator<Item = usize> + Clone,
        round: &mut Round,
    ) -> Result<(), Ended> {
        let mut delivery = self.delivery.lock();
        let room = match &mut *delivery {
            Delivery::Ended => return Err(Ended),
            Delivery::Live { skip } if skip.is_empty() => self.send(positions, round),
            Delivery::Live { skip } => {
                let new: Vec<usize> = positions.filter(|at| !skip.remove(&round.ids[*at])).collect();
                if new.is_empty() { Ok(()) } else { self.send(new.into_iter(), round) }
            }
            Delivery::KeptBack(kept_back) => {
                let mut positions = positions;
                positions.try_for_each(|at| {
                    let event = &round.events[at];
                    self.outbox.reserve_live(event.len())?;
                    kept_back.push((round.ids[at], event.clone()));
                    Ok(())
                })
            }
        };
        if room.is_ok() {
            return Ok(());
        }
        self.end(&mut delivery);
        self.outbox.answer(&reply::closed(
            &self.id,
            "error: slow reader: too many events wait to be read here; subscribe again to get what you missed",
        ));
        Err(Ended)
    }

    fn send(&self, positions: impl Iterator<Item = usize> + Clone, round: &mut Round) -> Result<(), Full> {
        let run = round.runs.of(self.label.head(), positions, &round.events);
        self.outbox.live(&self.label, &run)
    }
}
