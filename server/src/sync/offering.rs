//! The way of fetched events into the intake: in the order in which they came, several at a time, never more than a
//! bounded number of bytes ahead. What the intake says of each decides what is remembered of it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use nostr::event::{Event, EventId};
use nostr::filter::{Filter, MatchEventOptions};
use nostr::types::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio_util::task::TaskTracker;

use super::refused::{Before, Refused};
use super::relay_client::{Gone, Held, Room};
use crate::admission::Prefix;
use crate::fault;
use crate::house::House;
use crate::intake::{Answer, Intake, Source};
use crate::nip34::Announcement;
use crate::store::events::EventStoreError;

/// Events that wait for the intake, besides those that it is at.
const WAITING: usize = 64;
/// Events whose answer is awaited at the same time: they share the flushes of the disk.
const AT_ONCE: usize = 128;

/// Forged events of one connection after which the relay is left.
pub(super) const MAX_FORGED: usize = 100;

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
    /// Requests that were sent: REQs, and messages of reconciliations.
    pub requests: AtomicU64,
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
    /// Queues that still have something to do. What is promised while they are at it is not left half done.
    pub tasks: TaskTracker,
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
    tally: Arc<Tally>,
    forgeries: Arc<Notify>,
}

impl Offering {
    /// Opens a queue.
    #[must_use]
    pub fn open(reception: Reception, tally: Arc<Tally>) -> Self {
        let (queue, offers) = mpsc::channel(WAITING);
        let forgeries = Arc::new(Notify::new());
        let tasks = reception.tasks.clone();
        let desk = Desk {
            reception,
            tally: Arc::clone(&tally),
            forged: 0,
            forgeries: Arc::clone(&forgeries),
            open: FuturesUnordered::new(),
        };
        tasks.spawn(desk.run(offers));
        Self { queue, tally, forgeries }
    }

    /// What has become of the events.
    #[must_use]
    pub const fn tally(&self) -> &Arc<Tally> {
        &self.tally
    }

    /// Ends when so many events had a false id or signature that it cannot be a mistake.
    pub async fn forgeries(&self) {
        self.forgeries.notified().await;
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
    /// Whether an id counts as had although nothing is served under it: the event waits, was refused, or has waited in
    /// vain.
    #[must_use]
    pub fn counts_as_had(&self, id: &EventId) -> bool {
        let house = &self.house;
        // A table that cannot be read is told by the intake, which asks it the same.
        self.refused.lock().has(id, self.now())
            || house.purgatory.lock().get(id).is_some()
            || house.has_expired(id).unwrap_or(false)
    }

    /// Whether an event that is offered is known. Its id is only a claim as long as it has not been verified; what is
    /// skipped for it is skipped because the true one is known.
    async fn knows(&self, id: &EventId) -> bool {
        self.counts_as_had(id) || self.house.store.contains(id).await.unwrap_or(false)
    }

    /// What is here of a filter: served, or waiting.
    ///
    /// # Errors
    /// When the store fails.
    pub async fn holds(&self, filter: &Filter) -> Result<Vec<(EventId, Timestamp)>, EventStoreError> {
        let mut held = self.house.store.index(filter.clone()).await?;
        let purgatory = self.house.purgatory.lock();
        let waiting = purgatory.iter().map(|waiting| &waiting.event);
        let matching = waiting.filter(|event| filter.match_event(event, MatchEventOptions::new()));
        held.extend(matching.map(|event| (event.id, event.created_at)));
        Ok(held)
    }

    /// Now.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        self.house.plan.clock.now()
    }
}

/// An event, and what the intake has said of it. Until then it counts against what may be held.
struct Judged {
    event: Event,
    before: Before,
    answer: Answer,
    room: Option<Room>,
}

/// Takes what is offered to the intake, and hears what it says.
struct Desk {
    reception: Reception,
    tally: Arc<Tally>,
    forged: usize,
    forgeries: Arc<Notify>,
    open: FuturesUnordered<BoxFuture<'static, Judged>>,
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
                    if self.is_overlooked(&held.event) {
                        continue;
                    }
                    if self.reception.knows(&held.event.id).await {
                        self.tally.known.fetch_add(1, Ordering::Relaxed);
                        self.reception.house.meters.sync.known.inc();
                    } else {
                        self.submit(held.event, Some(held.room)).await;
                    }
                }
                Some(Offer::Again(event)) => self.submit(*event, None).await,
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

    /// Whether a faulty server leaves an event out.
    fn is_overlooked(&self, event: &Event) -> bool {
        let service = &self.reception.house.plan.service;
        let lists = |new: Announcement| new.listing(service).complete();
        fault::is("synced-announcements-must-list")
            && Announcement::from_event(event).is_ok_and(|new| !lists(new))
    }

    async fn submit(&mut self, event: Event, room: Option<Room>) {
        let before = self.reception.refused.lock().before();
        let answer = self.reception.intake.submit(event.clone(), &Source::Sync).await;
        self.open.push(Box::pin(async move { Judged { event, before, answer: answer.await, room } }));
    }

    async fn hear(&mut self, judged: Judged) {
        let Judged { event, before, answer, room } = judged;
        let house = Arc::clone(&self.reception.house);
        let meters = &house.meters.sync;
        if answer.accepted {
            meters.taken.inc();
            self.tally.taken.fetch_add(1, Ordering::Relaxed);
            self.tally.last_taken.store(self.reception.now().as_secs(), Ordering::Relaxed);
            return;
        }
        // The intake has verified before it said anything else.
        if answer.message.starts_with(Prefix::Invalid.as_str()) && event.verify().is_err() {
            meters.forged.inc();
            self.tally.forged.fetch_add(1, Ordering::Relaxed);
            self.forged += 1;
            if self.forged == MAX_FORGED {
                self.forgeries.notify_one();
            }
            return;
        }
        meters.refused.inc();
        self.tally.refused.fetch_add(1, Ordering::Relaxed);
        tracing::debug!(id = %event.id, kind = event.kind.as_u16(), reason = answer.message, "a synced event is refused");
        let now = self.reception.now();
        let again = self.reception.refused.lock().refused(event, &answer.message, before, now);
        if let Some(event) = again {
            self.submit(event, room).await;
        }
    }
}
