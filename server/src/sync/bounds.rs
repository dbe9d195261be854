//! Every bound of sync, in one place. What is not here for operators to set is what the seed and production taught.

use std::time::Duration;

/// The longest URL of another server, in bytes.
pub const MAX_URL: usize = 2_048;
/// The most relays of one repository that are used; the first that its announcement names.
pub const MAX_RELAYS_PER_REPOSITORY: usize = 20;
/// Values in one filter (requirement G02/sync/consolidation).
pub const MAX_FILTER_VALUES: usize = 100;
/// Live filters of one relay past which they are consolidated (requirement G02/sync/consolidation).
pub const CONSOLIDATION_THRESHOLD: usize = 70;
/// How long consolidation waits for histories that are on their way (requirement G02/sync/consolidation).
pub const CONSOLIDATION_WAIT: Duration = Duration::from_secs(30);
/// Up to here a disconnected relay's confirmed state is kept, and `since` reaches so far behind the end of the last
/// connection (requirement G02/sync/reconnect).
pub const QUICK_RECONNECT_WINDOW: Duration = Duration::from_secs(15 * 60);
/// How long failures last before a relay is dead, and how often a dead one is tried (requirement G02/sync/health).
pub const DEAD_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// How long a relay that asks for less is left in peace (requirement G02/sync/health).
pub const RATE_LIMIT_PAUSE: Duration = Duration::from_secs(65);
/// The shortest and the longest time between two full reconciliations of a relay (requirement G02/sync/daily).
pub const DAILY: (Duration, Duration) =
    (Duration::from_secs(23 * 60 * 60), Duration::from_secs(25 * 60 * 60));
/// How long a relay may be silent after a question.
pub const ANSWER_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a connection may take to be made.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(60);
/// Connections that are being made at the same time.
pub const CONNECTING_AT_ONCE: usize = 16;

/// Bounds of what the planner keeps. What is beyond is left out and counted ([`super::status::Totals::left_out`]).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Repositories.
    pub repositories: usize,
    /// Root events of one repository.
    pub roots_per_repository: usize,
    /// Root events of all repositories.
    pub roots: usize,
    /// Relays that are dealt with at the same time; others wait for one of these to be retired or to die.
    pub relays: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { repositories: 500_000, roots_per_repository: 50_000, roots: 2_000_000, relays: 1_000 }
    }
}
