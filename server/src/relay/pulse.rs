//! Signs of life: the bytes of a connection are counted, and decisions follow from them. A peer from which nothing comes
//! is pinged and then dropped; one that takes none of what waits for it is dropped. Pure.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::limits::Limits;

/// What has gone over a connection.
#[derive(Debug, Default)]
pub(crate) struct Activity {
    pub(crate) read: AtomicU64,
    pub(crate) written: AtomicU64,
    /// Whether the writer holds something that is not yet written.
    pub(crate) writing: AtomicBool,
}

/// What a beat tells the session to do.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Beat {
    Fine,
    Ping,
    /// Nothing came, not even the answer to a ping.
    Silent,
    /// Nothing of what waits was taken.
    Stuck,
}

/// Watches one connection.
#[derive(Debug)]
pub(crate) struct Pulse {
    activity: Arc<Activity>,
    idle_ping: Duration,
    pong_timeout: Duration,
    write_timeout: Duration,
    read: u64,
    last_read: Instant,
    pinged: Option<Instant>,
    written: u64,
    last_written: Instant,
}

impl Pulse {
    pub(crate) fn new(activity: Arc<Activity>, limits: &Limits, now: Instant) -> Self {
        Self {
            activity,
            idle_ping: limits.idle_ping,
            pong_timeout: limits.pong_timeout,
            write_timeout: limits.write_timeout,
            read: 0,
            last_read: now,
            pinged: None,
            written: 0,
            last_written: now,
        }
    }

    /// How often to ask.
    pub(crate) fn interval(&self) -> Duration {
        let shortest = self.idle_ping.min(self.pong_timeout).min(self.write_timeout);
        (shortest / 4).clamp(Duration::from_millis(10), Duration::from_secs(15))
    }

    /// Looks at what has gone over the connection since the last beat; `reading` says whether the session reads at all.
    pub(crate) fn beat(&mut self, now: Instant, reading: bool) -> Beat {
        let written = self.activity.written.load(Ordering::Relaxed);
        if written != self.written || !self.activity.writing.load(Ordering::Relaxed) {
            (self.written, self.last_written) = (written, now);
        }
        if now - self.last_written >= self.write_timeout {
            return Beat::Stuck;
        }
        let read = self.activity.read.load(Ordering::Relaxed);
        if read != self.read || !reading {
            (self.read, self.last_read, self.pinged) = (read, now, None);
        }
        match self.pinged {
            Some(pinged) if now - pinged >= self.pong_timeout => Beat::Silent,
            None if now - self.last_read >= self.idle_ping => {
                self.pinged = Some(now);
                Beat::Ping
            }
            _ => Beat::Fine,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pulse() -> (Pulse, Arc<Activity>, Instant) {
        let (activity, start) = (Arc::new(Activity::default()), Instant::now());
        (Pulse::new(activity.clone(), &Limits::default(), start), activity, start)
    }

    #[test]
    fn a_silent_peer_is_pinged_and_then_dropped() {
        let (mut pulse, activity, start) = pulse();
        let at = |seconds| start + Duration::from_secs(seconds);
        assert_eq!(pulse.beat(at(59), true), Beat::Fine);
        assert_eq!(pulse.beat(at(60), true), Beat::Ping);
        assert_eq!(pulse.beat(at(61), true), Beat::Fine);
        activity.read.fetch_add(1, Ordering::Relaxed);
        assert_eq!(pulse.beat(at(119), true), Beat::Fine);
        assert_eq!(pulse.beat(at(179), true), Beat::Ping);
        assert_eq!(pulse.beat(at(238), true), Beat::Fine);
        assert_eq!(pulse.beat(at(239), true), Beat::Silent);
    }

    #[test]
    fn a_peer_is_not_silent_while_nobody_listens() {
        let (mut pulse, _, start) = pulse();
        for minute in 1..10 {
            assert_eq!(pulse.beat(start + Duration::from_secs(60 * minute), false), Beat::Fine);
        }
    }

    #[test]
    fn a_peer_that_takes_nothing_is_dropped() {
        let (mut pulse, activity, start) = pulse();
        let at = |seconds| start + Duration::from_secs(seconds);
        activity.writing.store(true, Ordering::Relaxed);
        assert_eq!(pulse.beat(at(59), false), Beat::Fine);
        activity.written.fetch_add(1, Ordering::Relaxed);
        assert_eq!(pulse.beat(at(60), false), Beat::Fine);
        assert_eq!(pulse.beat(at(119), false), Beat::Fine);
        assert_eq!(pulse.beat(at(120), false), Beat::Stuck);
    }
}
