//! Instants of the pure rooms: milliseconds, told by whoever calls.

use std::fmt;
use std::ops::{Add, Sub};
use std::time::Duration;

use nostr::types::Timestamp;
use rand::{Rng as _, RngCore};

/// Milliseconds since the Unix epoch. A clock that is set back makes waits longer, never negative.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Millis(pub u64);

impl Millis {
    /// From Unix seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1_000))
    }

    /// The Unix second it lies in, as events carry it.
    #[must_use]
    pub const fn timestamp(self) -> Timestamp {
        Timestamp::from_secs(self.0 / 1_000)
    }

    /// How long ago another instant was; zero if it is still to come.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_millis(self.0.saturating_sub(earlier.0))
    }
}

impl Add<Duration> for Millis {
    type Output = Self;

    fn add(self, wait: Duration) -> Self {
        Self(self.0.saturating_add(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)))
    }
}

impl Sub<Duration> for Millis {
    type Output = Self;

    fn sub(self, wait: Duration) -> Self {
        Self(self.0.saturating_sub(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)))
    }
}

impl fmt::Display for Millis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:03}", self.0 / 1_000, self.0 % 1_000)
    }
}

/// A wait, chosen evenly between two: servers that woke at the same moment do not act at the same moment.
pub fn between(rng: &mut dyn RngCore, shortest: Duration, longest: Duration) -> Duration {
    let (shortest, longest) = (shortest.as_millis() as u64, longest.as_millis() as u64);
    Duration::from_millis(rng.random_range(shortest..=longest.max(shortest)))
}

/// A wait of up to a sixth less, so that what is said of its length stays true.
pub fn jittered(rng: &mut dyn RngCore, wait: Duration) -> Duration {
    between(rng, wait - wait / 6, wait)
}
