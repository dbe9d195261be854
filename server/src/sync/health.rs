//! How a relay behaves, and when it is tried again (requirement G02/sync/health).

use std::time::Duration;

use rand::RngCore;

use super::bounds::{DEAD_AFTER, DEAD_RETRY, MAX_TROUBLE};
use super::millis::{Millis, between, jittered};
use super::status::{Cause, Health};
use crate::fault;

/// The health of one relay. A failure is a connection that could not be made or was of no use.
#[derive(Debug, Clone, Default)]
pub struct RelayHealthTracker {
    failures: u32,
    failing_since: Option<Millis>,
    dead: bool,
    trouble: Option<String>,
    cause: Option<Cause>,
}

impl RelayHealthTracker {
    /// How it stands.
    #[must_use]
    pub const fn health(&self) -> Health {
        match (self.dead, self.failures) {
            (true, _) => Health::Dead,
            (false, 0) => Health::Healthy,
            _ => Health::Degraded,
        }
    }

    /// Failures in a row.
    #[must_use]
    pub const fn failures(&self) -> u32 {
        self.failures
    }

    /// What went wrong last.
    #[must_use]
    pub fn trouble(&self) -> Option<&str> {
        self.trouble.as_deref()
    }

    /// What kind of thing that was.
    #[must_use]
    pub const fn cause(&self) -> Option<Cause> {
        self.cause
    }

    /// When the failures began that have not ended yet.
    #[must_use]
    pub const fn failing_since(&self) -> Option<Millis> {
        self.failing_since
    }

    /// Something went wrong, for people to read.
    pub fn note(&mut self, cause: Cause, trouble: &str) {
        self.trouble = Some(trouble.chars().take(MAX_TROUBLE).collect());
        self.cause = Some(cause);
    }

    /// It has been of use.
    pub fn succeeded(&mut self) {
        *self = Self { trouble: self.trouble.take(), cause: self.cause, ..Self::default() };
    }

    /// It has failed; returns how long to wait before the next attempt.
    pub fn failed(
        &mut self,
        now: Millis,
        base: Duration,
        longest: Duration,
        rng: &mut dyn RngCore,
    ) -> Duration {
        self.failures = self.failures.saturating_add(1);
        let since = *self.failing_since.get_or_insert(now);
        self.dead |= now.since(since) >= DEAD_AFTER;
        if self.dead {
            return between(rng, DEAD_RETRY.0, DEAD_RETRY.1);
        }
        let counted = if fault::is("back-off-constant") { 1 } else { self.failures };
        jittered(rng, backoff(base, longest, counted))
    }

    /// It is at a place where no one may go; returns how long to wait before it is looked at again.
    pub fn forbidden(&mut self, now: Millis, rng: &mut dyn RngCore) -> Duration {
        self.failures = self.failures.saturating_add(1);
        self.failing_since.get_or_insert(now);
        self.dead = true;
        between(rng, DEAD_RETRY.0, DEAD_RETRY.1)
    }
}

/// `base · 2^(failures − 1)`, at most `longest`.
#[must_use]
pub fn backoff(base: Duration, longest: Duration, failures: u32) -> Duration {
    let doubled = 2_u32.checked_pow(failures.saturating_sub(1)).and_then(|factor| base.checked_mul(factor));
    doubled.map_or(longest, |wait| wait.min(longest))
}

#[cfg(test)]
mod tests {
    use rand::SeedableRng as _;
    use rand::rngs::StdRng;

    use super::*;

    const BASE: Duration = Duration::from_secs(5);
    const LONGEST: Duration = Duration::from_secs(3_600);

    #[test]
    fn back_off_doubles_up_to_an_hour() {
        let waits = [1, 2, 3, 10, 11, 40, u32::MAX].map(|n| backoff(BASE, LONGEST, n).as_secs());
        assert_eq!(waits, [5, 10, 20, 2_560, 3_600, 3_600, 3_600]);
    }

    #[test]
    fn a_relay_that_fails_for_a_day_is_dead_until_it_is_of_use() {
        let mut rng = StdRng::seed_from_u64(1);
        let (mut health, mut now) = (RelayHealthTracker::default(), Millis(0));
        assert_eq!(health.health(), Health::Healthy);
        while health.health() != Health::Dead {
            let wait = health.failed(now, BASE, LONGEST, &mut rng);
            assert!(health.health() == Health::Dead || wait <= LONGEST);
            assert!(now.since(Millis(0)) < DEAD_AFTER + LONGEST);
            now = now + wait;
        }
        assert!(now.since(Millis(0)) >= DEAD_AFTER);
        assert!(health.failed(now, BASE, LONGEST, &mut rng) >= DEAD_RETRY.0);
        health.succeeded();
        assert_eq!((health.health(), health.failures()), (Health::Healthy, 0));
        assert!(health.failed(now, BASE, LONGEST, &mut rng) <= BASE);
    }

    #[test]
    fn a_forbidden_place_is_dead_at_once() {
        let mut health = RelayHealthTracker::default();
        assert!(health.forbidden(Millis(0), &mut StdRng::seed_from_u64(1)) >= DEAD_RETRY.0);
        assert_eq!(health.health(), Health::Dead);
    }
}
