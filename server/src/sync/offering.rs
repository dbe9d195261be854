//! The way of fetched events into the intake: in the order in which they came, several at a time, never more than a
//! bounded number of bytes ahead. What the intake says of each decides what is remembered of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use nostr::event::{Event, EventId};
use nostr::types::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use tokio_util::task::AbortOnDropHandle;

use crate::admission::Prefix;
use super::refused::{Before, Consequence, Refused, consequence};
use super::relay_client::{Gone, Held};
use crate::house::House;
use crate::intake::{Answer, Intake, Source};

/// Events that wait for the intake, besides those that it is at.
const WAITING: usize = 64;
/// Events whose answer is awaited at the same time: they share the flushes of the disk.
const AT_ONCE: usize = 128;

/// What has become of what a relay has sent.
#[derive(Debug, Default)]
pub struct Tally {
    /// Taken in.
    pub taken: AtomicU64,
    /// Refused.
    pub refused: AtomicU64,
    /// Known already.
    pub known: AtomicU64,
    /// Id or signature was false.
    pub forged: AtomicU64,
    /// When the last one came that was taken in, in Unix seconds; 0: never.
    pub last_taken: AtomicU64,
}

/// Where fetched events go, and what is remembered of them. One for all relays.
#[derive(Clone)]
pub struct Reception {
    /// What is known here.
    pub house: Arc<House>,
    /// Takes events in.
    pub intake: Arc<dyn Intake>,
    /// What was refused.
    pub refused: Arc<Mutex<Refused>>,
}

impl std::fmt::Debug for Reception {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Reception")
    }
}

enum Offer {
    Fetched(Box<Held>),
    Again(Box<Event>),
    Flush(oneshot::Sender<()>),
}

/// A handle on one queue into the intake. The queue ends with its last handle.
#[derive(Debug, Clone)]
pub struct Offering {
    queue: mpsc::Sender<Offer>,
    /// What has become of the events.
    pub tally: Arc<Tally>,
    _task: Arc<AbortOnDropHandle<()>>,
}

impl Offering {
    /// Opens a queue.
    #[must_use]
    pub fn open(reception: Reception) -> Self {
        let (queue, offers) = mpsc::channel(WAITING);
        let tally = Arc::new(Tally::default());
        let desk = Desk { reception, tally: Arc::clone(&tally), open: FuturesUnordered::new() };
        let task = AbortOnDropHandle::new(tokio::spawn(desk.run(offers)));
        Self { queue, tally, _task: Arc::new(task) }
    }

    /// Offers an event that came from a relay.
    ///
    /// # Errors
    /// When the queue has ended.
    pub async fn offer(&self, held: Held) -> Result<(), Gone> {
        self.queue.send(Offer::Fetched(Box::new(held))).await.map_err(|_| Gone)
    }

    /// Offers an event again that was refused before.
    ///
    /// # Errors
    /// When the queue has ended.
    pub async fn offer_again(&self, event: Event) -> Result<(), Gone> {
        self.queue.send(Offer::Again(Box::new(event))).await.map_err(|_| Gone)
    }

    /// Waits until everything that was offered before has been judged, durably.
    ///
    /// # Errors
    /// When the queue has ended.
    pub async fn flush(&self) -> Result<(), Gone> {
        let (done, flushed) = oneshot::channel();
        self.queue.send(Offer::Flush(done)).await.map_err(|_| Gone)?;
        flushed.await.map_err(|_| Gone)
    }
}

impl Reception {
    /// Whether an event need not be fetched: it is served, waits, was refused, or has waited in vain. The id is only a
    /// claim until the event has been verified; what is skipped for it is skipped because the true one is known.
    pub async fn has(&self, id: &EventId) -> bool {
        let house = &self.house;
        if self.refused.lock().has(id, self.now()) || house.purgatory.lock().get(id).is_some() {
            return true;
        }
        // A store that fails is told by the intake, which asks it the same.
        house.has_expired(id).unwrap_or(false) || house.store.contains(id).await.unwrap_or(false)
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.house.plan.clock.now()
    }
}

/// Takes what is offered to the intake, and hears what it says.
struct Desk {
    reception: Reception,
    tally: Arc<Tally>,
    open: FuturesUnordered<BoxFuture<'static, (Event, Before, Answer)>>,
}

impl Desk {
    async fn run(mut self, mut offers: mpsc::Receiver<Offer>) {
        loop {
            let offer = tokio::select! {
                biased;
                Some(judged) = self.open.next(), if !self.open.is_empty() => {
                    self.hear(judged).await;
                    continue;
                }
                offer = offers.recv(), if self.open.len() < AT_ONCE => offer,
            };
            match offer {
                Some(Offer::Fetched(held)) => {
                    if self.reception.has(&held.event.id).await {
                        self.tally.known.fetch_add(1, Ordering::Relaxed);
                    } else {
                        self.submit(held.event).await;
                    }
                }
                Some(Offer::Again(event)) => self.submit(*event).await,
                Some(Offer::Flush(done)) => {
                    while let Some(judged) = self.open.next().await {
                        self.hear(judged).await;
                    }
                    // Who has gone need not be told.
                    let _ = done.send(());
                }
                None => break,
            }
        }
        while let Some(judged) = self.open.next().await {
            self.hear(judged).await;
        }
    }

    async fn submit(&mut self, event: Event) {
        let before = self.reception.refused.lock().before();
        let answer = self.reception.intake.submit(event.clone(), &Source::Sync).await;
        self.open.push(Box::pin(async move { (event, before, answer.await) }));
    }

    async fn hear(&mut self, (event, before, answer): (Event, Before, Answer)) {
        if answer.accepted {
            self.tally.taken.fetch_add(1, Ordering::Relaxed);
            self.tally.last_taken.store(self.reception.now().as_secs(), Ordering::Relaxed);
            return;
        }
        // The intake has verified before it said anything else.
        if answer.message.starts_with(Prefix::Invalid.as_str()) && event.verify().is_err() {
            self.tally.forged.fetch_add(1, Ordering::Relaxed);
            return;
        }
        self.tally.refused.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(id = %event.id, kind = event.kind.as_u16(), reason = answer.message, "a synced event is refused");
        let now = self.reception.now();
        let again = match consequence(&event, &answer.message) {
            Consequence::Keep => self.reception.refused.lock().keep(event, before, now),
            Consequence::Remember => {
                self.reception.refused.lock().remember(event.id, now);
                None
            }
            Consequence::Forget => None,
        };
        if let Some(event) = again {
            self.submit(event).await;
        }
    }
}
