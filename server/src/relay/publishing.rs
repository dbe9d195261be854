//! Events of one connection, from the wire to their answers. They are verified side by side and judged one after the
//! other, in the order in which they came; their answers follow as they become durable, in any order.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use nostr::event::{Event, EventId};

use super::outbox::Outbox;
use super::reply;
use super::verifying::{Checked, Verifying};
use crate::intake::{Answer, Intake, Source, ready};
use crate::metrics::{Meters, RelayMeters};

/// The answers to events that were judged, each as soon as it may be told.
type Deciding = Vec<BoxFuture<'static, (EventId, Answer)>>;

/// See the module.
pub(super) struct Publishing {
    intake: Arc<dyn Intake>,
    verifying: Verifying,
    /// A batch that is being judged, and how many events it has.
    judging: Option<(usize, BoxFuture<'static, Deciding>)>,
    deciding: FuturesUnordered<BoxFuture<'static, (EventId, Answer)>>,
}

impl Publishing {
    pub(super) fn new(intake: Arc<dyn Intake>) -> Self {
        Self { intake, verifying: Verifying::default(), judging: None, deciding: FuturesUnordered::new() }
    }

    /// Events whose answer has not been given.
    pub(super) fn unanswered(&self) -> usize {
        self.unjudged() + self.deciding.len()
    }

    /// Events about which no decision was taken: what comes after them has to wait.
    pub(super) fn unjudged(&self) -> usize {
        self.verifying.len() + self.judging.as_ref().map_or(0, |(events, _)| *events)
    }

    /// Whether there is no room for more, however short they are.
    pub(super) const fn is_full(&self) -> bool {
        self.verifying.is_full()
    }

    /// Whether some wait for more to come, or for [`Publishing::start`].
    pub(super) fn is_filling(&self) -> bool {
        self.verifying.is_filling()
    }

    /// Takes an event in that came in a message of so many bytes.
    pub(super) fn push(&mut self, event: Event, bytes: usize) {
        self.verifying.push(event, bytes);
    }

    /// Nothing more comes for now.
    pub(super) fn start(&mut self) {
        self.verifying.start();
    }

    /// The next answers; never ends when none is to come. Safe to cancel.
    pub(super) async fn answers(&mut self, source: &Source) -> Vec<(EventId, Answer)> {
        let mut answers = Vec::new();
        loop {
            while let Some(Some(answer)) = self.deciding.next().now_or_never() {
                answers.push(answer);
            }
            if !answers.is_empty() {
                return answers;
            }
            tokio::select! {
                biased;
                Some(answer) = self.deciding.next() => answers.push(answer),
                decided = judged(&mut self.judging) => {
                    self.judging = None;
                    self.deciding.extend(decided);
                }
                Some(batch) = self.verifying.next(), if self.judging.is_none() => {
                    let judged = judge(Arc::clone(&self.intake), batch.len(), batch, source.clone());
                    self.judging = Some(judged);
                }
            }
        }
    }

    /// Carries what has been taken in to its end; who is still there hears about it.
    pub(super) async fn finish(mut self, source: Source, outbox: Arc<Outbox>, meters: Arc<Meters>) {
        self.start();
        while self.unanswered() > 0 {
            tell(&outbox, &meters.relay, self.answers(&source).await);
        }
    }
}

/// Queues answers, and counts them.
pub(super) fn tell(outbox: &Outbox, meters: &RelayMeters, answers: Vec<(EventId, Answer)>) {
    for (id, answer) in answers {
        meters.answered(&answer);
        outbox.answer(&reply::ok(&id, answer.accepted, &answer.message));
    }
}

async fn judged(judging: &mut Option<(usize, BoxFuture<'static, Deciding>)>) -> Deciding {
    match judging {
        Some((_, judging)) => judging.await,
        None => std::future::pending().await,
    }
}

fn judge(
    intake: Arc<dyn Intake>,
    events: usize,
    batch: Vec<Checked>,
    source: Source,
) -> (usize, BoxFuture<'static, Deciding>) {
    let judging = async move {
        let mut deciding = Vec::with_capacity(batch.len());
        for checked in batch {
            let (id, answer) = match checked {
                Ok(event) => (event.id(), intake.admit(event, &source).await),
                Err((id, answer)) => (id, ready(answer)),
            };
            deciding.push(answer.map(move |answer| (id, answer)).boxed());
        }
        deciding
    };
    (events, judging.boxed())
}
