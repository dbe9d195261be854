//! The one clock of the server. Pure rooms are told the time; shells ask this.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use nostr::types::Timestamp;

/// Tells the time in Unix seconds; tests move it.
#[derive(Debug, Clone, Default)]
pub struct Clock {
    offset: Arc<AtomicI64>,
}

impl Clock {
    /// The system's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::default()
    }

    /// Now, in Unix seconds.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let now = Timestamp::now().as_secs();
        Timestamp::from(now.saturating_add_signed(self.offset.load(Ordering::Relaxed)))
    }

    /// Now, in milliseconds since the Unix epoch.
    #[must_use]
    pub fn millis(&self) -> u64 {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        let now = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
        now.saturating_add_signed(self.offset.load(Ordering::Relaxed).saturating_mul(1_000))
    }

    /// Moves this clock and all its clones ahead, by seconds.
    pub fn advance(&self, seconds: i64) {
        self.offset.fetch_add(seconds, Ordering::Relaxed);
    }
}
