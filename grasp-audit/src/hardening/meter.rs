//! What a case may cost the server: stated beforehand, counted, and enforced.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::check::{CheckResult, Ending};

/// An amount of hostile traffic. What a case does to prepare itself (a repository is announced and pushed) and the vital
/// signs come on top.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Connections open at the same time.
    pub at_once: usize,
    /// Requests, frames and messages sent.
    pub messages: usize,
    /// Bytes sent.
    pub bytes: u64,
}

impl Load {
    /// At most so many connections at the same time, messages in all, and bytes in all.
    #[must_use]
    pub const fn new(at_once: usize, messages: usize, bytes: u64) -> Self {
        Self { at_once, messages, bytes }
    }

    /// What one run of both, one after the other, costs.
    #[must_use]
    pub fn and_then(self, other: Self) -> Self {
        Self {
            at_once: self.at_once.max(other.at_once),
            messages: self.messages + other.messages,
            bytes: self.bytes + other.bytes,
        }
    }
}

/// Counts what one case sends, and stops it at its bounds.
#[derive(Debug)]
pub(crate) struct Meter {
    allowed: Load,
    open: AtomicUsize,
    most_open: AtomicUsize,
    messages: AtomicUsize,
    bytes: AtomicU64,
    unanswered: AtomicUsize,
}

/// After so many inputs without an answer, nobody waits as long for the next.
const SILENCES: usize = 3;
/// What part of the wait is left then.
const SHORTENED: u32 = 50;

/// A connection that counts for as long as it is kept.
#[derive(Debug)]
pub(crate) struct Opened(Arc<Meter>);

impl Drop for Opened {
    fn drop(&mut self) {
        self.0.open.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Meter {
    pub(crate) fn new(allowed: Load) -> Arc<Self> {
        Arc::new(Self {
            allowed,
            open: AtomicUsize::new(0),
            most_open: AtomicUsize::new(0),
            messages: AtomicUsize::new(0),
            bytes: AtomicU64::new(0),
            unanswered: AtomicUsize::new(0),
        })
    }

    /// What was used so far.
    pub(crate) fn used(&self) -> Load {
        Load {
            at_once: self.most_open.load(Ordering::Relaxed),
            messages: self.messages.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
        }
    }

    /// How long to wait for an answer that may take `within`: a server that leaves everything unanswered is not given all
    /// that time for each of a hundred inputs, or the case would never be over.
    pub(crate) fn wait(&self, within: Duration) -> Duration {
        if self.unanswered.load(Ordering::Relaxed) < SILENCES { within } else { within / SHORTENED }
    }

    /// An input was left without an answer.
    pub(crate) fn unanswered(&self) {
        self.unanswered.fetch_add(1, Ordering::Relaxed);
    }

    /// One more connection.
    pub(crate) fn open(self: &Arc<Self>) -> CheckResult<Opened> {
        let open = self.open.fetch_add(1, Ordering::Relaxed) + 1;
        self.most_open.fetch_max(open, Ordering::Relaxed);
        let opened = Opened(self.clone());
        if open > self.allowed.at_once { Err(exceeded("connections")) } else { Ok(opened) }
    }

    /// So many more messages, of so many bytes together.
    pub(crate) fn send(&self, messages: usize, bytes: usize) -> CheckResult {
        let messages = self.messages.fetch_add(messages, Ordering::Relaxed) + messages;
        let bytes = self.bytes.fetch_add(bytes as u64, Ordering::Relaxed) + bytes as u64;
        if messages > self.allowed.messages {
            return Err(exceeded("messages"));
        }
        if bytes > self.allowed.bytes {
            return Err(exceeded("bytes"));
        }
        Ok(())
    }
}

/// A mistake in the case, never the server's.
fn exceeded(what: &str) -> Ending {
    Ending::CannotRun(format!("the case would send more {what} than it states; nothing more was sent"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn nothing_goes_beyond_what_was_stated() {
        let meter = Meter::new(Load::new(2, 3, 100));
        let first = meter.open().unwrap();
        let _second = meter.open().unwrap();
        assert!(meter.open().is_err());
        drop(first);
        assert!(meter.open().is_ok());
        meter.send(2, 90).unwrap();
        assert!(meter.send(1, 20).is_err());
        let meter = Meter::new(Load::new(1, 3, 100));
        assert!(meter.send(4, 1).is_err());
    }

    #[test]
    fn whoever_never_answers_is_not_waited_for_a_hundred_times() {
        let (meter, second) = (Meter::new(Load::default()), Duration::from_secs(1));
        for _ in 0..SILENCES {
            assert_eq!(meter.wait(second), second);
            meter.unanswered();
        }
        assert!(meter.wait(second) * 100 < second * 5);
    }

    #[test]
    fn loads_add_up_as_cases_follow_each_other() {
        let both = Load::new(5, 10, 100).and_then(Load::new(3, 1, 1));
        assert_eq!(both, Load::new(5, 11, 101));
    }
}
