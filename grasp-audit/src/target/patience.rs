//! How long the auditor waits for anything.

use std::time::Duration;

/// A factor on every wait of a run: 1 suits a server that answers within seconds, more a slow or distant one; a
/// test against a server that is meant to fail takes less.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Patience(f64);

impl Patience {
    /// The factor, kept between a hundredth and a hundred.
    #[must_use]
    pub fn new(factor: f64) -> Self {
        // what is no number at all is no factor
        Self(if factor.is_nan() { 1.0 } else { factor.clamp(0.01, 100.0) })
    }

    /// A wait, stretched or shortened.
    #[must_use]
    pub fn of(self, wait: Duration) -> Duration {
        wait.mul_f64(self.0)
    }
}

impl Default for Patience {
    fn default() -> Self {
        Self(1.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_factor_makes_a_wait_endless_or_nothing() {
        let second = Duration::from_secs(1);
        assert_eq!(Patience::new(2.0).of(second), Duration::from_secs(2));
        assert_eq!(Patience::new(0.0).of(second), Duration::from_millis(10));
        assert_eq!(Patience::new(f64::INFINITY).of(second), Duration::from_secs(100));
        assert_eq!(Patience::new(f64::NAN).of(second), second);
    }
}
