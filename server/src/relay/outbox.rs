//! What waits to be sent on one connection. One queue, in order; three classes with a bound each:
//!
//! - **answers** (OK, EOSE, CLOSED, …) are never dropped: when many wait, the session stops reading; at twice as many
//!   the connection ends;
//! - **live events** are refused when too many wait, and the subscription they belong to ends;
//! - **stored events** wait for room, and their query with them.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::Poll;

use futures_util::task::AtomicWaker;
use parking_lot::{Mutex, MutexGuard};
use tokio::sync::Notify;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::Frame;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

use super::limits::Limits;
use super::reply;

/// Events longer than this, in bytes, are sent in fragments (RFC 6455, 5.4), so that no connection needs a buffer of
/// their size, which it would keep.
const FRAGMENT_ABOVE: usize = 64 << 10;
/// Bytes of an event in one fragment.
const FRAGMENT: usize = 16 << 10;
/// Live events that together are longer than this, in bytes, wait for no more.
const PRESSING_BYTES: usize = 32 << 10;

/// What all EVENT frames of one subscription share.
#[derive(Debug)]
pub(crate) struct Label {
    head: Box<str>,
    silent: AtomicBool,
}

impl Label {
    pub(crate) fn new(subscription: &str) -> Self {
        Self { head: reply::event_head(subscription).into(), silent: AtomicBool::new(false) }
    }

    /// From now on nothing is sent under this label, not even what waits already.
    pub(crate) fn silence(&self) {
        self.silent.store(true, Ordering::Relaxed);
    }
}

#[derive(Debug)]
enum Waiting {
    Answer(String),
    Ping,
    Live(Arc<Label>, Arc<str>),
    Stored(Arc<Label>, Arc<str>),
}

/// A long event of which some has been sent.
#[derive(Debug)]
struct Partly {
    event: Arc<str>,
    sent: usize,
}

impl Partly {
    /// The next fragment of the message; `head` goes before it. Says whether it was the last.
    fn fragment(&mut self, head: &str) -> (Message, bool) {
        let end = self.event.len();
        let mut next = (self.sent + FRAGMENT).min(end);
        while !self.event.is_char_boundary(next) {
            next += 1;
        }
        let code = if head.is_empty() { Data::Continue } else { Data::Text };
        let last = next == end;
        let mut text = String::with_capacity(head.len() + (next - self.sent) + 1);
        text.push_str(head);
        text.push_str(&self.event[self.sent..next]);
        if last {
            text.push(']');
        }
        self.sent = next;
        (Message::Frame(Frame::message(text, OpCode::Data(code), last)), last)
    }
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    partly: Option<Partly>,
    answers: usize,
    live_events: usize,
    live_bytes: usize,
    stored_bytes: usize,
    overflown: bool,
    ended: bool,
    /// Whether something waits that is not to be gathered.
    pressing: bool,
}

/// The outgoing queue of one connection.
#[derive(Debug)]
pub(crate) struct Outbox {
    queue: Mutex<Queue>,
    writer: AtomicWaker,
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

impl Outbox {
    pub(crate) fn new(limits: &Limits) -> Self {
        Self {
            queue: Mutex::default(),
            writer: AtomicWaker::new(),
            room: Notify::new(),
            live_events: limits.queue_live_events,
            live_bytes: limits.queue_live_bytes,
            stored_bytes: limits.queue_stored_bytes,
            answers: limits.queue_answers,
        }
    }

    /// Wakes the writer, unless it gathers live events and knows already that there are some.
    fn wake(&self, queue: MutexGuard<'_, Queue>) {
        let wanted = queue.pressing || queue.waiting.len() == 1 || queue.live_bytes >= PRESSING_BYTES;
        drop(queue);
        if wanted {
            self.writer.wake();
        }
    }

    /// Queues an answer.
    pub(crate) fn answer(&self, text: String) {
        self.push_answer(Waiting::Answer(text));
    }

    /// Queues a WebSocket ping.
    pub(crate) fn ping(&self) {
        self.push_answer(Waiting::Ping);
    }

    fn push_answer(&self, answer: Waiting) {
        let mut queue = self.queue.lock();
        if queue.ended {
            return;
        }
        if queue.answers >= 2 * self.answers {
            queue.overflown = true;
        } else {
            queue.answers += 1;
            queue.waiting.push_back(answer);
        }
        queue.pressing = true;
        self.wake(queue);
    }

    /// Takes room for a live event that is sent later, with [`Outbox::live_reserved`].
    pub(crate) fn reserve_live(&self, bytes: usize) -> Result<(), Full> {
        self.reserve(&mut self.queue.lock(), bytes)
    }

    fn reserve(&self, queue: &mut Queue, bytes: usize) -> Result<(), Full> {
        // One event always fits, however long it is.
        let full = queue.live_events >= self.live_events
            || (queue.live_events > 0 && queue.live_bytes + bytes > self.live_bytes);
        if full {
            return Err(Full);
        }
        queue.live_events += 1;
        queue.live_bytes += bytes;
        Ok(())
    }

    /// Gives room back that [`Outbox::reserve_live`] took.
    pub(crate) fn release_live(&self, bytes: usize) {
        let mut queue = self.queue.lock();
        queue.live_events -= 1;
        queue.live_bytes -= bytes;
    }

    /// Queues a live event for which room was taken.
    pub(crate) fn live_reserved(&self, label: &Arc<Label>, event: Arc<str>) {
        let mut queue = self.queue.lock();
        if queue.ended {
            return;
        }
        queue.waiting.push_back(Waiting::Live(label.clone(), event));
        self.wake(queue);
    }

    /// Queues a live event, if there is room.
    pub(crate) fn live(&self, label: &Arc<Label>, event: &Arc<str>) -> Result<(), Full> {
        let mut queue = self.queue.lock();
        self.reserve(&mut queue, event.len())?;
        if queue.ended {
            return Ok(());
        }
        queue.waiting.push_back(Waiting::Live(label.clone(), event.clone()));
        self.wake(queue);
        Ok(())
    }

    /// Queues a stored event as soon as there is room.
    pub(crate) async fn stored(&self, label: &Arc<Label>, event: Arc<str>) -> Result<(), Gone> {
        loop {
            let room = self.room.notified();
            {
                let mut queue = self.queue.lock();
                if queue.ended {
                    return Err(Gone);
                }
                if queue.stored_bytes == 0 || queue.stored_bytes + event.len() <= self.stored_bytes {
                    queue.stored_bytes += event.len();
                    queue.waiting.push_back(Waiting::Stored(label.clone(), event));
                    queue.pressing = true;
                    self.wake(queue);
                    return Ok(());
                }
            }
            room.await;
        }
    }

    /// How the answers that wait stand to their bound.
    pub(crate) fn load(&self) -> Load {
        let queue = self.queue.lock();
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
            if self.load() != Load::Crowded {
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
        queue.partly = None;
        drop(queue);
        self.room.notify_waiters();
    }

    /// The next message to send, if one waits.
    pub(crate) fn try_next(&self) -> Option<Message> {
        let mut queue = self.queue.lock();
        if let Some(mut partly) = queue.partly.take() {
            let (message, last) = partly.fragment("");
            queue.partly = (!last).then_some(partly);
            return Some(message);
        }
        loop {
            let Some(next) = queue.waiting.pop_front() else {
                // A burst must not hold its memory for as long as the connection idles.
                if queue.waiting.capacity() > 64 {
                    queue.waiting = VecDeque::new();
                }
                queue.pressing = false;
                return None;
            };
            let (label, event) = match next {
                Waiting::Answer(text) => {
                    self.answer_taken(queue);
                    return Some(Message::text(text));
                }
                Waiting::Ping => {
                    self.answer_taken(queue);
                    return Some(Message::Ping(Default::default()));
                }
                Waiting::Live(label, event) => {
                    queue.live_events -= 1;
                    queue.live_bytes -= event.len();
                    (label, event)
                }
                Waiting::Stored(label, event) => {
                    queue.stored_bytes -= event.len();
                    self.room.notify_waiters();
                    (label, event)
                }
            };
            if !label.silent.load(Ordering::Relaxed) {
                if event.len() > FRAGMENT_ABOVE {
                    let mut partly = Partly { event, sent: 0 };
                    let (message, _) = partly.fragment(&label.head);
                    queue.partly = Some(partly);
                    return Some(message);
                }
                drop(queue);
                return Some(Message::text(reply::event(&label.head, &event)));
            }
        }
    }

    fn answer_taken(&self, mut queue: MutexGuard<'_, Queue>) {
        queue.answers -= 1;
        if queue.answers + 1 == self.answers {
            self.room.notify_waiters();
        }
    }

    /// Waits until there is something to send.
    pub(crate) async fn filled(&self) {
        self.until(|queue| !queue.waiting.is_empty() || queue.partly.is_some()).await;
    }

    /// Waits until there is something to send that should not wait for more.
    pub(crate) async fn pressed(&self) {
        self.until(|queue| queue.pressing || queue.partly.is_some() || queue.live_bytes >= PRESSING_BYTES)
            .await;
    }

    async fn until(&self, holds: impl Fn(&Queue) -> bool) {
        poll_fn(|context| {
            if !holds(&self.queue.lock()) {
                self.writer.register(context.waker());
                if !holds(&self.queue.lock()) {
                    return Poll::Pending;
                }
            }
            Poll::Ready(())
        })
        .await;
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
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

    fn texts(outbox: &Outbox) -> Vec<String> {
        std::iter::from_fn(|| outbox.try_next()).map(|m| m.into_text().unwrap().to_string()).collect()
    }

    #[test]
    fn live_events_are_refused_beyond_their_number_and_their_bytes() {
        let (outbox, label) = (outbox(), Arc::new(Label::new("s")));
        assert_eq!(outbox.live(&label, &"a long event, alone".into()), Ok(()));
        assert_eq!(outbox.live(&label, &"{}".into()), Err(Full));
        assert_eq!(texts(&outbox).len(), 1);
        assert_eq!(outbox.live(&label, &"{}".into()), Ok(()));
        assert_eq!(outbox.live(&label, &"{}".into()), Ok(()));
        assert_eq!(outbox.live(&label, &"{}".into()), Err(Full));
        assert_eq!(texts(&outbox), [r#"["EVENT","s",{}]"#, r#"["EVENT","s",{}]"#]);
    }

    #[tokio::test]
    async fn stored_events_wait_for_room_and_end_with_the_connection() {
        let (outbox, label) = (outbox(), Arc::new(Label::new("s")));
        outbox.stored(&label, "{}".into()).await.unwrap();
        outbox.stored(&label, "{}".into()).await.unwrap();
        let third = outbox.stored(&label, "{}".into());
        tokio::pin!(third);
        assert!(third.as_mut().now_or_never().is_none());
        assert!(outbox.try_next().is_some());
        third.await.unwrap();
        let fourth = outbox.stored(&label, "{}".into());
        tokio::pin!(fourth);
        assert!(fourth.as_mut().now_or_never().is_none());
        outbox.end();
        assert_eq!(fourth.await, Err(Gone));
    }

    #[tokio::test]
    async fn answers_keep_their_order_and_say_when_they_crowd() {
        let outbox = outbox();
        outbox.answer("1".to_owned());
        assert_eq!(outbox.load(), Load::Light);
        outbox.answer("2".to_owned());
        assert_eq!(outbox.load(), Load::Crowded);
        outbox.answer("3".to_owned());
        outbox.answer("4".to_owned());
        assert_eq!(outbox.load(), Load::Crowded);
        outbox.answer("5".to_owned());
        assert_eq!(outbox.load(), Load::Overflown);
        assert_eq!(texts(&outbox), ["1", "2", "3", "4"]);
    }

    #[test]
    fn a_long_event_goes_in_fragments_that_are_the_same_text() {
        let outbox = Outbox::new(&Limits::default());
        let label = Arc::new(Label::new("s"));
        let event: Arc<str> = format!("{{\"content\":\"{}\"}}", "aé\u{1F600}".repeat(20_000)).into();
        outbox.live(&label, &event).unwrap();
        outbox.answer("after".to_owned());
        let (mut text, mut frames) = (String::new(), 0);
        loop {
            let Some(Message::Frame(frame)) = outbox.try_next() else { panic!("a fragment") };
            let code = if frames == 0 { Data::Text } else { Data::Continue };
            assert_eq!(frame.header().opcode, OpCode::Data(code));
            assert!(frame.payload().len() < FRAGMENT + 100);
            text.push_str(frame.to_text().unwrap());
            frames += 1;
            if frame.header().is_final {
                break;
            }
        }
        assert_eq!(text, reply::event(&label.head, &event));
        assert_eq!(texts(&outbox), ["after"]);
    }

    #[test]
    fn a_silenced_label_sends_nothing_that_waits() {
        let (outbox, label) = (outbox(), Arc::new(Label::new("s")));
        outbox.live(&label, &"{}".into()).unwrap();
        outbox.answer("after".to_owned());
        label.silence();
        assert_eq!(texts(&outbox), ["after"]);
    }
}
