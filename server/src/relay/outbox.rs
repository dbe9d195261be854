//! What waits to be sent on one connection. One queue, in order; three classes with a bound each:
//!
//! - **answers** (OK, EOSE, CLOSED, …) are never dropped: when many wait, the session stops reading; at twice as many
//!   the connection ends;
//! - **live events** are refused when too many wait, and the subscription they belong to ends;
//! - **stored events** wait for room, and their query with them.
//!
//! The session takes what waits in batches. While it runs, nobody wakes it: it looks here before it rests.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Waker;

use bytes::Bytes;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;

use super::frame;
use super::limits::Limits;
use super::reply;
use super::run::Run;

/// No more than these are taken at once, in bytes; one that is longer is taken alone.
const BATCH_BYTES: usize = 128 << 10;
/// No more than these are taken at once.
const BATCH: usize = 64;
/// When so many bytes wait, they are sent before more is read.
const PRESSING_BYTES: usize = 32 << 10;
/// When so many wait, they are sent before more is read.
const PRESSING: usize = 64;

/// What all EVENT frames of one subscription share.
#[derive(Debug)]
pub(crate) struct Label {
    head: Arc<str>,
    silent: AtomicBool,
}

impl Label {
    pub(crate) fn new(subscription: &str) -> Self {
        Self { head: reply::event_head(subscription).into(), silent: AtomicBool::new(false) }
    }

    /// The text before each event.
    pub(crate) const fn head(&self) -> &Arc<str> {
        &self.head
    }

    /// From now on nothing is sent under this label, not even what waits already.
    pub(crate) fn silence(&self) {
        self.silent.store(true, Ordering::Relaxed);
    }

    fn is_silent(&self) -> bool {
        self.silent.load(Ordering::Relaxed)
    }
}

#[derive(Debug)]
enum Waiting {
    Answer(Bytes),
    Live(Arc<Label>, Arc<Run>),
    Stored(Arc<Label>, Bytes),
}

impl Waiting {
    fn bytes(&self) -> usize {
        match self {
            Self::Answer(frame) => frame.len(),
            Self::Live(_, run) => run.bytes(),
            Self::Stored(_, event) => event.len(),
        }
    }

    /// Appends what goes over the wire.
    fn wire(self, out: &mut VecDeque<Bytes>) {
        match self {
            Self::Answer(frame) => out.push_back(frame),
            Self::Live(label, run) if !label.is_silent() => run.wire(out),
            Self::Stored(label, event) if !label.is_silent() => Run::new(&label.head, [event]).wire(out),
            Self::Live(..) | Self::Stored(..) => {}
        }
    }
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    answers: usize,
    live_events: usize,
    live_bytes: usize,
    stored_bytes: usize,
    overflown: bool,
    ended: bool,
    /// The session, when it rests.
    writer: Option<Waker>,
}

impl Queue {
    fn push(&mut self, waiting: Waiting) {
        self.bytes += waiting.bytes();
        self.waiting.push_back(waiting);
    }
}

/// The outgoing queue of one connection.
#[derive(Debug)]
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    room: Notify,
    live_events: usize,
    live_bytes: usize,
    stored_bytes: usize,
    answers: usize,
}

/// There is no room for one more live event.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// How the answers that wait stand to their bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Load {
    Light,
    /// No more requests should be read.
    Crowded,
    /// Answers had to be dropped: the connection must end.
    Overflown,
}

/// The connection has ended.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Gone;

/// Wakes the session, if it rests.
fn wake(mut queue: MutexGuard<'_, Queue>) {
    let writer = queue.writer.take();
    drop(queue);
    if let Some(writer) = writer {
        writer.wake();
    }
}

impl Outbox {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            queue: Mutex::default(),
            room: Notify::new(),
            live_events: limits.queue_live_events,
            live_bytes: limits.queue_live_bytes,
            stored_bytes: limits.queue_stored_bytes,
            answers: limits.queue_answers,
        }
    }

    /// Queues an answer.
    pub(crate) fn answer(&self, text: &str) {
        self.push_answer(frame::text(text));
    }

    /// Queues a WebSocket ping.
    pub(crate) fn ping(&self) {
        self.push_answer(frame::ping());
    }

    fn push_answer(&self, frame: Bytes) {
        let mut queue = self.queue.lock();
        if queue.ended {
            return;
        }
        if queue.answers >= 2 * self.answers {
            queue.overflown = true;
        } else {
            queue.answers += 1;
            queue.push(Waiting::Answer(frame));
        }
        wake(queue);
    }

    /// Takes room for a live event that is sent later, with [`Outbox::live_reserved`].
    pub(crate) fn reserve_live(&self, bytes: usize) -> Result<(), Full> {
        self.reserve(&mut self.queue.lock(), 1, bytes)
    }

    fn reserve(&self, queue: &mut Queue, events: usize, bytes: usize) -> Result<(), Full> {
        let alone = events == 1 && queue.live_events == 0;
        let fits =
            queue.live_events + events <= self.live_events && queue.live_bytes + bytes <= self.live_bytes;
        // One event always fits, however long it is.
        if !fits && !alone {
            return Err(Full);
        }
        queue.live_events += events;
        queue.live_bytes += bytes;
        Ok(())
    }

    /// Gives room back that [`Outbox::reserve_live`] took.
    pub(crate) fn release_live(&self, bytes: usize) {
        let mut queue = self.queue.lock();
        queue.live_events -= 1;
        queue.live_bytes -= bytes;
    }

    /// Queues live events for which room was taken.
    pub(crate) fn live_reserved(&self, label: &Arc<Label>, run: Arc<Run>) {
        let mut queue = self.queue.lock();
        if !queue.ended {
            queue.push(Waiting::Live(Arc::clone(label), run));
            wake(queue);
        }
    }

    /// Queues live events: those from the beginning for which there is room.
    pub(crate) fn live(&self, label: &Arc<Label>, run: &Arc<Run>) -> Result<(), Full> {
        let mut queue = self.queue.lock();
        let reserved = self.reserve(&mut queue, run.events(), run.bytes());
        let run = match reserved {
            Ok(()) => Arc::clone(run),
            Err(Full) => {
                let fitting = |bytes: &usize| self.reserve(&mut queue, 1, *bytes).is_ok();
                let count = run.lengths().take_while(fitting).count();
                Arc::new(run.beginning(count))
            }
        };
        if !queue.ended && run.events() > 0 {
            queue.push(Waiting::Live(Arc::clone(label), run));
            wake(queue);
        }
        reserved
    }

    /// Queues a stored event as soon as there is room.
    pub(crate) async fn stored(&self, label: &Arc<Label>, event: Bytes) -> Result<(), Gone> {
        loop {
            let room = self.room.notified();
            {
                let mut queue = self.queue.lock();
                if queue.ended {
                    return Err(Gone);
                }
                if queue.stored_bytes == 0 || queue.stored_bytes + event.len() <= self.stored_bytes {
                    queue.stored_bytes += event.len();
                    queue.push(Waiting::Stored(Arc::clone(label), event));
                    wake(queue);
                    return Ok(());
                }
            }
            room.await;
        }
    }

    /// How the answers that wait stand to their bound.
    fn load(&self, queue: &Queue) -> Load {
        if queue.overflown {
            Load::Overflown
        } else if queue.answers >= self.answers {
            Load::Crowded
        } else {
            Load::Light
        }
    }

    /// Waits until requests may be read again.
    pub(crate) async fn uncrowded(&self) {
        loop {
            let room = self.room.notified();
            if self.load(&self.queue.lock()) != Load::Crowded {
                return;
            }
            room.await;
        }
    }

    /// Drops what waits, and refuses more: the connection has ended.
    pub(crate) fn end(&self) {
        let mut queue = self.queue.lock();
        queue.ended = true;
        queue.waiting = VecDeque::new();
        queue.writer = None;
        drop(queue);
        self.room.notify_waiters();
    }

    /// The session runs, and need not be woken. Says how the answers that wait stand to their bound.
    pub(crate) fn attend(&self) -> Load {
        let mut queue = self.queue.lock();
        queue.writer = None;
        self.load(&queue)
    }

    /// Whether so much waits that it should be sent before more is read.
    pub(crate) fn is_pressing(&self) -> bool {
        let queue = self.queue.lock();
        queue.bytes >= PRESSING_BYTES || queue.waiting.len() >= PRESSING
    }

    /// Whether nothing waits; then `writer` is woken when something does.
    pub(crate) fn rest(&self, writer: &Waker) -> bool {
        let mut queue = self.queue.lock();
        let rests = queue.waiting.is_empty();
        queue.writer = rests.then(|| writer.clone());
        rests
    }

    /// Moves a batch of what waits, if anything does, as it goes over the wire.
    pub(crate) fn take(&self, into: &mut VecDeque<Bytes>) {
        let taken = self.batch(&mut self.queue.lock());
        // Frames are made while others may queue more.
        taken.into_iter().for_each(|waiting| waiting.wire(into));
    }

    fn batch(&self, queue: &mut Queue) -> VecDeque<Waiting> {
        let (answers, stored_bytes) = (queue.answers, queue.stored_bytes);
        let taken = if queue.waiting.len() <= BATCH && queue.bytes <= BATCH_BYTES {
            std::mem::take(&mut queue.waiting)
        } else {
            let mut room = BATCH_BYTES;
            let fits = |waiting: &&Waiting| {
                let fits = room >= waiting.bytes();
                room = room.saturating_sub(waiting.bytes());
                fits
            };
            let count = queue.waiting.iter().take(BATCH).take_while(fits).count();
            queue.waiting.drain(..count.max(1)).collect()
        };
        for waiting in &taken {
            queue.bytes -= waiting.bytes();
            match waiting {
                Waiting::Answer(_) => queue.answers -= 1,
                Waiting::Live(_, run) => {
                    queue.live_events -= run.events();
                    queue.live_bytes -= run.bytes();
                }
                Waiting::Stored(_, event) => queue.stored_bytes -= event.len(),
            }
        }
        let uncrowded = answers >= self.answers && queue.answers < self.answers;
        if uncrowded || queue.stored_bytes < stored_bytes {
            self.room.notify_waiters();
        }
        taken
    }
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::AtomicUsize;
    use std::task::Wake;

    use futures_util::FutureExt;

    use super::*;

    fn outbox() -> Outbox {
        Outbox::new(&Limits {
            queue_live_events: 2,
            queue_live_bytes: 10,
            queue_stored_bytes: 5,
            queue_answers: 2,
            ..Limits::default()
        })
    }

    /// The texts of all that waits.
    pub(crate) fn texts(outbox: &Outbox) -> Vec<String> {
        let mut pieces = VecDeque::new();
        while !outbox.queue.lock().waiting.is_empty() {
            outbox.take(&mut pieces);
        }
        let bytes: Vec<u8> = pieces.iter().flatten().copied().collect();
        frame::tests::read(&bytes).iter().map(|frame| frame.to_text().unwrap().to_owned()).collect()
    }

    fn run(label: &Label, events: &[&str]) -> Arc<Run> {
        Arc::new(Run::new(&label.head, events.iter().map(|event| Bytes::from((*event).to_owned()))))
    }

    #[test]
    fn live_events_are_refused_beyond_their_number_and_their_bytes() {
        let (outbox, label) = (outbox(), Arc::new(Label::new("s")));
        let live = |event: &str| outbox.live(&label, &run(&label, &[event]));
        assert_eq!(live("a long event, alone"), Ok(()));
        assert_eq!(live("{}"), Err(Full));
        assert_eq!(texts(&outbox).len(), 1);
        assert_eq!([live("{}"), live("{}"), live("{}")], [Ok(()), Ok(()), Err(Full)]);
        assert_eq!(texts(&outbox), [r#"["EVENT","s",{}]"#, r#"["EVENT","s",{}]"#]);
    }

    #[test]
    fn of_a_run_that_does_not_fit_the_beginning_is_sent() {
        let (outbox, label) = (outbox(), Arc::new(Label::new("s")));
        assert_eq!(outbox.live(&label, &run(&label, &["1", "2", "3", "4"])), Err(Full));
        assert_eq!(texts(&outbox), [r#"["EVENT","s",1]"#, r#"["EVENT","s",2]"#]);
        assert_eq!(outbox.live(&label, &run(&label, &["a long event, first", "2"])), Err(Full));
        assert_eq!(texts(&outbox), [r#"["EVENT","s",a long event, first]"#]);
        assert_eq!(outbox.live(&label, &run(&label, &["1", "2"])), Ok(()));
        assert_eq!(outbox.live(&label, &run(&label, &["3", "4"])), Err(Full));
        assert_eq!(texts(&outbox).len(), 2);
    }

    #[tokio::test]
    async fn stored_events_wait_for_room_and_end_with_the_connection() {
        let (outbox, label) = (outbox(), Arc::new(Label::new("s")));
        let stored = || outbox.stored(&label, Bytes::from_static(b"{}"));
        stored().await.unwrap();
        stored().await.unwrap();
        let third = stored();
        tokio::pin!(third);
        assert!(third.as_mut().now_or_never().is_none());
        assert_eq!(texts(&outbox), [r#"["EVENT","s",{}]"#, r#"["EVENT","s",{}]"#]);
        third.await.unwrap();
        stored().await.unwrap();
        let fifth = stored();
        tokio::pin!(fifth);
        assert!(fifth.as_mut().now_or_never().is_none());
        outbox.end();
        assert_eq!(fifth.await, Err(Gone));
    }

    #[tokio::test]
    async fn answers_keep_their_order_and_say_when_they_crowd() {
        let outbox = outbox();
        outbox.answer("1");
        assert_eq!(outbox.attend(), Load::Light);
        outbox.answer("2");
        assert_eq!(outbox.attend(), Load::Crowded);
        outbox.answer("3");
        outbox.answer("4");
        assert_eq!(outbox.attend(), Load::Crowded);
        outbox.answer("5");
        assert_eq!(outbox.attend(), Load::Overflown);
        assert_eq!(texts(&outbox), ["1", "2", "3", "4"]);
    }

    #[tokio::test]
    async fn whoever_waits_until_fewer_answers_wait_is_told() {
        let outbox = outbox();
        outbox.answer("1");
        outbox.answer("2");
        let uncrowded = outbox.uncrowded();
        tokio::pin!(uncrowded);
        assert!(uncrowded.as_mut().now_or_never().is_none());
        texts(&outbox);
        uncrowded.await;
    }

    #[derive(Debug, Default)]
    struct Woken(AtomicUsize);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn the_session_is_woken_once_and_only_when_it_rests() {
        let outbox = outbox();
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(Arc::clone(&woken));
        outbox.answer("while it runs");
        assert!(!outbox.rest(&waker), "something waits");
        texts(&outbox);
        assert!(outbox.rest(&waker));
        outbox.answer("while it rests");
        outbox.answer("and once more");
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
        texts(&outbox);
        assert!(outbox.rest(&waker));
        outbox.attend();
        outbox.answer("while it runs again");
        assert_eq!(woken.0.load(Ordering::SeqCst), 1);
    }

    #[test]
    fn a_batch_is_bounded_and_a_longer_event_goes_alone() {
        let outbox = Outbox::new(&Limits::default());
        let label = Arc::new(Label::new("s"));
        let long = "x".repeat(BATCH_BYTES + 1);
        for event in [long.as_str(), "{}", "{}"] {
            outbox.live(&label, &run(&label, &[event])).unwrap();
        }
        let mut sizes = Vec::new();
        while !outbox.queue.lock().waiting.is_empty() {
            let mut pieces = VecDeque::new();
            outbox.take(&mut pieces);
            sizes.push(frame::tests::read(&pieces.iter().flatten().copied().collect::<Vec<u8>>()).len());
        }
        assert_eq!(sizes, [1, 2]);
        (0..2 * BATCH).for_each(|number| outbox.answer(&number.to_string()));
        assert!(outbox.is_pressing());
        let mut pieces = VecDeque::new();
        outbox.take(&mut pieces);
        assert_eq!(pieces.len(), BATCH);
        assert_eq!(texts(&outbox).len(), BATCH);
        assert!(!outbox.is_pressing() && outbox.queue.lock().bytes == 0);
    }

    #[test]
    fn a_silenced_label_sends_nothing_that_waits() {
        let (outbox, label) = (outbox(), Arc::new(Label::new("s")));
        outbox.live(&label, &run(&label, &["{}"])).unwrap();
        outbox.answer("after");
        label.silence();
        assert_eq!(texts(&outbox), ["after"]);
    }
}
