//! Events of one connection on their way to the intake: verified a few at a time, side by side on all processors, and
//! handed on in the order in which they came.

use std::collections::VecDeque;
use std::sync::LazyLock;
use std::thread::available_parallelism;

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesOrdered;
use futures_util::{FutureExt as _, StreamExt as _};
use nostr::event::{Event, EventId};

use crate::intake::{Answer, Verified};

/// Events that are verified by one task, one after the other. A signature takes about 50 µs.
const BATCH: usize = 4;
/// Batches of one connection that are verified at the same time: enough for every processor, and others' work is not
/// far behind.
static AT_ONCE: LazyLock<usize> = LazyLock::new(|| 2 * available_parallelism().map_or(1, usize::from));
/// Bytes of messages whose events may be here before reading pauses.
const MAX_BYTES: usize = 8 << 20;

/// What became of one event: it is what it says, or the answer to it.
pub(super) type Checked = Result<Verified, (EventId, Answer)>;

/// Some events, and how long their messages were.
#[derive(Debug, Default)]
struct Batch {
    events: Vec<Event>,
    bytes: usize,
}

/// See the module.
#[derive(Default)]
pub(super) struct Verifying {
    /// The batch that is being filled.
    filling: Batch,
    /// Batches whose turn has not come.
    waiting: VecDeque<Batch>,
    running: FuturesOrdered<BoxFuture<'static, (Vec<Checked>, usize)>>,
    events: usize,
    bytes: usize,
}

impl Verifying {
    /// How many events are here.
    pub(super) const fn len(&self) -> usize {
        self.events
    }

    /// Whether there is no room for more, however short they are.
    pub(super) const fn is_full(&self) -> bool {
        self.bytes >= MAX_BYTES
    }

    /// Whether some wait for more to come, or for [`Verifying::start`].
    pub(super) fn is_filling(&self) -> bool {
        !self.filling.events.is_empty()
    }

    /// Takes an event in that came in a message of so many bytes.
    pub(super) fn push(&mut self, event: Event, bytes: usize) {
        self.events += 1;
        self.bytes += bytes;
        self.filling.bytes += bytes;
        self.filling.events.push(event);
        if self.filling.events.len() == BATCH {
            self.start();
        }
    }

    /// Nothing more comes for now.
    pub(super) fn start(&mut self) {
        if self.is_filling() {
            self.waiting.push_back(std::mem::take(&mut self.filling));
            self.run();
        }
    }

    fn run(&mut self) {
        while self.running.len() < *AT_ONCE
            && let Some(Batch { events, bytes }) = self.waiting.pop_front()
        {
            // One alone is not worth a thread that would have to be woken.
            let alone = events.len() == 1 && self.running.is_empty();
            let checked = if alone { check(events).boxed() } else { beside(events).boxed() };
            self.running.push_back(checked.map(move |checked| (checked, bytes)).boxed());
        }
    }

    /// The next events that were verified, in their order; `None` when none is being verified. Safe to cancel.
    pub(super) async fn next(&mut self) -> Option<Vec<Checked>> {
        let (checked, bytes) = self.running.next().await?;
        self.events -= checked.len();
        self.bytes -= bytes;
        self.run();
        Some(checked)
    }
}

async fn check(batch: Vec<Event>) -> Vec<Checked> {
    let mut checked = Vec::with_capacity(batch.len());
    for event in batch {
        let id = event.id;
        checked.push(Verified::check(event).await.map_err(|answer| (id, answer)));
    }
    checked
}

/// In a task of its own, which any thread may run.
fn beside(batch: Vec<Event>) -> impl Future<Output = Vec<Checked>> + Send + 'static {
    let ids: Vec<EventId> = batch.iter().map(|event| event.id).collect();
    let task = tokio::spawn(check(batch));
    async move {
        let failed = || ids.into_iter().map(|id| Err((id, Verified::failed()))).collect();
        task.await.unwrap_or_else(|_| failed())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nostr::event::{EventBuilder, FinalizeEvent, Kind};
    use nostr::key::Keys;

    use super::*;

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn events_come_out_in_their_order_and_the_forged_are_told() {
        let keys = Keys::generate();
        let mut verifying = Verifying::default();
        let mut sent = Vec::new();
        for number in 0..10 * BATCH + 1 {
            // Some take much longer than others.
            let content = "x".repeat(if number % 7 == 0 { 200_000 } else { 10 });
            let mut event = EventBuilder::new(Kind::TextNote, content).finalize(&keys).unwrap();
            if number % 3 == 0 {
                event.content.push('!');
            }
            sent.push((event.id, number % 3 != 0));
            verifying.push(event, 1);
        }
        assert_eq!((verifying.len(), verifying.bytes), (sent.len(), sent.len()));
        assert!(verifying.is_filling());
        verifying.start();
        let mut seen = Vec::new();
        while let Some(checked) = verifying.next().await {
            seen.extend(checked.into_iter().map(|checked| match checked {
                Ok(event) => (event.id(), true),
                Err((id, answer)) => {
                    assert!(answer.message.starts_with("invalid: "), "{answer:?}");
                    (id, false)
                }
            }));
        }
        assert_eq!(seen, sent);
        assert_eq!((verifying.len(), verifying.bytes), (0, 0));
    }

    #[tokio::test]
    async fn reading_pauses_when_what_is_here_is_large() {
        let mut verifying = Verifying::default();
        let event = EventBuilder::new(Kind::TextNote, "").finalize(&Keys::generate()).unwrap();
        verifying.push(event.clone(), MAX_BYTES - 1);
        assert!(!verifying.is_full());
        verifying.push(event, 1);
        assert!(verifying.is_full());
        verifying.start();
        assert_eq!(verifying.next().await.unwrap().len(), 2);
        assert!(!verifying.is_full());
    }
}
