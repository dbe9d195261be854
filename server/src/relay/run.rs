//! Events on their way to subscribers. What several subscribers get under the same name is one [`Run`]: its frames are
//! made once, by the first connection that can send them, and shared by all. Until then a run is only a list of events,
//! so a reader that has stopped costs no copy of what waits for it.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, OnceLock};

use bytes::Bytes;

use super::frame;

/// Events at least as long as this, in bytes, are not copied into a frame.
const LONG: usize = 16 << 10;

/// Consecutive events under one subscription's name.
#[derive(Debug)]
pub(crate) struct Run {
    /// The part of each frame's text before the event.
    head: Arc<str>,
    events: Box<[Bytes]>,
    bytes: usize,
    frames: OnceLock<Bytes>,
}

impl Run {
    /// These events, each as JSON, under this head (see [`super::reply::event_head`]).
    pub(crate) fn new(head: &Arc<str>, events: impl IntoIterator<Item = Bytes>) -> Self {
        let events: Box<[Bytes]> = events.into_iter().collect();
        let bytes = events.iter().map(Bytes::len).sum();
        Self { head: Arc::clone(head), events, bytes, frames: OnceLock::new() }
    }

    /// How many events it has.
    pub(crate) fn events(&self) -> usize {
        self.events.len()
    }

    /// How many bytes these have, framing apart.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How long each event is, in bytes.
    pub(crate) fn lengths(&self) -> impl Iterator<Item = usize> {
        self.events.iter().map(Bytes::len)
    }

    /// The first so many of its events.
    pub(crate) fn beginning(&self, events: usize) -> Self {
        Self::new(&self.head, self.events.iter().take(events).cloned())
    }

    /// Appends what goes over the wire.
    pub(crate) fn wire(&self, out: &mut VecDeque<Bytes>) {
        if self.events.iter().all(|event| event.len() < LONG) {
            out.push_back(self.frames.get_or_init(|| framed(&self.head, &self.events)).clone());
            return;
        }
        for event in &self.events {
            if event.len() < LONG {
                out.push_back(framed(&self.head, std::slice::from_ref(event)));
            } else {
                out.push_back(frame::text_beginning(self.head.as_bytes(), event.len() + 1));
                out.push_back(event.clone());
                out.push_back(Bytes::from_static(b"]"));
            }
        }
    }
}

fn framed(head: &str, events: &[Bytes]) -> Bytes {
    let longest = |event: &Bytes| frame::MAX_HEADER + head.len() + event.len() + 1;
    let mut frames = Vec::with_capacity(events.iter().map(longest).sum());
    for event in events {
        frame::push_text(&[head.as_bytes(), event, b"]"], &mut frames);
    }
    frames.into()
}

/// The runs of one round of delivery, each made once.
#[derive(Debug, Default)]
pub(crate) struct Runs {
    made: HashMap<Vec<u8>, Arc<Run>>,
    key: Vec<u8>,
}

impl Runs {
    /// The run of the events at these positions among `events`.
    pub(crate) fn of(
        &mut self,
        head: &Arc<str>,
        positions: impl Iterator<Item = usize> + Clone,
        events: &[Bytes],
    ) -> Arc<Run> {
        self.key.clear();
        positions.clone().for_each(|position| self.key.extend(position.to_ne_bytes()));
        // After the first number that is no position, the name begins.
        self.key.extend(usize::MAX.to_ne_bytes());
        self.key.extend_from_slice(head.as_bytes());
        if let Some(run) = self.made.get(&self.key) {
            return Arc::clone(run);
        }
        let chosen = positions.filter_map(|position| events.get(position).cloned());
        let run = Arc::new(Run::new(head, chosen));
        self.made.insert(self.key.clone(), Arc::clone(&run));
        run
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::relay::reply;

    fn texts(run: &Run) -> Vec<String> {
        let mut pieces = VecDeque::new();
        run.wire(&mut pieces);
        let bytes: Vec<u8> = pieces.iter().flatten().copied().collect();
        frame::tests::read(&bytes).iter().map(|frame| frame.to_text().unwrap().to_owned()).collect()
    }

    fn long() -> String {
        format!("{{\"content\":\"{}\"}}", "aé\u{1F600}".repeat(20_000))
    }

    #[test]
    fn every_event_is_a_frame_long_or_short() {
        let head: Arc<str> = reply::event_head("a \"name\"").into();
        let events = ["{}".to_owned(), long(), "{\"a\":1}".to_owned()];
        let run = Run::new(&head, events.iter().cloned().map(Bytes::from));
        assert_eq!(texts(&run), events.map(|event| format!("{head}{event}]")));
        assert_eq!(texts(&run.beginning(1)), [format!("{head}{{}}]")]);
        assert_eq!(run.bytes(), run.lengths().sum::<usize>());
    }

    #[test]
    fn a_long_event_is_not_copied() {
        let event = Bytes::from(long());
        let run = Run::new(&reply::event_head("s").into(), [event.clone()]);
        let mut pieces = VecDeque::new();
        run.wire(&mut pieces);
        assert!(pieces.iter().any(|piece| piece.as_ptr() == event.as_ptr() && piece.len() == event.len()));
    }

    #[test]
    fn a_run_is_made_once_for_all_that_get_the_same_under_the_same_name() {
        let (one, other): (Arc<str>, Arc<str>) =
            (reply::event_head("one").into(), reply::event_head("other").into());
        let events: Vec<Bytes> = ["{}", "{\"a\":1}"].map(Bytes::from).into();
        let mut runs = Runs::default();
        let both = runs.of(&one, 0..2, &events);
        assert!(Arc::ptr_eq(&both, &runs.of(&reply::event_head("one").into(), 0..2, &events)));
        for different in [runs.of(&other, 0..2, &events), runs.of(&one, 0..1, &events)] {
            assert!(!Arc::ptr_eq(&both, &different));
        }
        let (mut first, mut second) = (VecDeque::new(), VecDeque::new());
        both.wire(&mut first);
        both.wire(&mut second);
        assert_eq!(first[0].as_ptr(), second[0].as_ptr(), "framed once");
    }
}
