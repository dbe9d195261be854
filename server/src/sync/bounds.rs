//! Every bound of sync, in one place. What is not here for operators to set is what the seed and production taught.

use std::time::Duration;

/// The longest URL of another server, in bytes.
pub const MAX_URL: usize = 2_048;
/// The most relays of one repository that are used; the first that its announcement names.
pub const MAX_RELAYS_PER_REPOSITORY: usize = 20;
/// The most repositories of one root event that are looked at.
pub const MAX_REPOSITORIES_PER_ROOT: usize = 100;
/// Values in one filter (requirement G02/sync/consolidation).
pub const MAX_FILTER_VALUES: usize = 100;
/// Subscriptions of a connection: where one starts, and the most that are used of what a relay says it takes.
pub const CEILING_SUBSCRIPTIONS: (usize, usize) = (20, 100);
/// Filters in one REQ: where one starts, and the most that are used of what a relay says it takes.
pub const CEILING_FILTERS: (usize, usize) = (10, 100);
/// Bytes of one message: where one starts (strfry takes 128 KiB), and the most that are used of what a relay says.
pub const CEILING_BYTES: (usize, usize) = (96 << 10, 256 << 10);
/// Histories of one relay that are on their way at the same time, at most.
pub const HISTORIES_AT_ONCE: usize = 4;
/// Live subscriptions that are being opened at the same time: 146 filters in one burst drew refusals.
pub const OPENING_AT_ONCE: usize = 4;
/// Live filters of one relay past which they are consolidated (requirement G02/sync/consolidation).
pub const CONSOLIDATION_THRESHOLD: usize = 70;
/// How long consolidation waits for histories that are on their way (requirement G02/sync/consolidation).
pub const CONSOLIDATION_WAIT: Duration = Duration::from_secs(30);
/// Up to here a disconnected relay's confirmed state is kept, and `since` reaches so far behind the end of the last
/// connection (requirement G02/sync/reconnect).
pub const QUICK_RECONNECT_WINDOW: Duration = Duration::from_secs(15 * 60);
/// How far `since` reaches back where live subscriptions have left a gap: what waits for its git data at a peer (half an hour,
/// requirement G01/purgatory/expires) is served long after it was signed.
pub const LATE: Duration = Duration::from_secs(45 * 60);
/// How long after a gap everything is looked at again, for the shortest and at most: of a relay that reconciles, and of one
/// that is read page by page. What was served first during the gap may have been signed before whatever `since` says.
pub const SECOND_LOOK: [(Duration, Duration); 2] = [
    (Duration::from_secs(45 * 60), Duration::from_secs(60 * 60)),
    (Duration::from_secs(5 * 60 * 60), Duration::from_secs(6 * 60 * 60)),
];
/// How long failures last before a relay is dead (requirement G02/sync/health).
pub const DEAD_AFTER: Duration = Duration::from_secs(24 * 60 * 60);
/// A connection that fails sooner than this has not shown that the relay is well, whatever it was of use for: the wait
/// after it grows each time.
pub const PROVEN_AFTER: Duration = Duration::from_secs(5 * 60);
/// The longest wait after such a connection, unless the relay has misbehaved: others drop connections for no bad reason.
pub const SHORT_LIVED_BACKOFF: Duration = Duration::from_secs(5 * 60);
/// The shortest and the longest wait between two attempts at a dead relay: once a day (requirement G02/sync/health).
pub const DEAD_RETRY: (Duration, Duration) =
    (Duration::from_secs(24 * 60 * 60), Duration::from_secs(25 * 60 * 60));
/// Characters that are kept of what went wrong last.
pub const MAX_TROUBLE: usize = 200;
/// How long a relay that asks for less is left in peace (requirement G02/sync/health).
pub const RATE_LIMIT_PAUSE: (Duration, Duration) = (Duration::from_secs(65), Duration::from_secs(75));
/// The shortest and the longest time between two full reconciliations of a relay (requirement G02/sync/daily); a gap brings
/// the next one forward ([`SECOND_LOOK`]).
pub const DAILY: (Duration, Duration) =
    (Duration::from_secs(23 * 60 * 60), Duration::from_secs(25 * 60 * 60));
/// How long a page may take, and a reconciliation with all that it fetches. Silence ends them earlier: that is for the
/// engine to notice.
pub const ANSWER_TIMEOUT: [Duration; 2] = [Duration::from_secs(120), Duration::from_secs(30 * 60)];
/// How long a relay may take to answer a live subscription before the next is opened all the same.
pub const OPENING_TIMEOUT: Duration = Duration::from_secs(30);
/// Questions that fail in a row before a relay is left, which is a failure.
pub const MAX_STRIKES: u32 = 5;
/// Stored events that a live filter asks for: as few as possible when histories follow anyway, enough to close the gap
/// when subscriptions are consolidated.
pub const LIVE_STORED: (usize, usize) = (1, 20);
/// The shortest and the longest time between two looks for what no live subscription covers.
pub const POLL: (Duration, Duration) = (Duration::from_secs(10 * 60), Duration::from_secs(15 * 60));
/// How long proving who we are (NIP-42) may take.
pub const IDENTITY_WAIT: Duration = Duration::from_secs(30);
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

/// How long fetches for synced events are gathered.
pub const SYNCED_WAIT: Duration = Duration::from_millis(500);
/// How long the push for a published event is waited for, at least and at most.
pub const PUBLISHED_WAIT: (Duration, Duration) = (Duration::from_secs(3 * 60), Duration::from_secs(200));
/// The first wait after a fetch that did not complete what it was for; it doubles, up to the setting.
pub const HUNT_BACKOFF: Duration = Duration::from_secs(10);
/// How long a fetch may take before a second server is asked for the same.
pub const HEDGE_AFTER: Duration = Duration::from_secs(10);
/// Fetches at the same time: in all, for one repository, at one host.
pub const FETCHES_AT_ONCE: usize = 20;
/// See [`FETCHES_AT_ONCE`].
pub const FETCHES_PER_REPOSITORY: usize = 3;
/// See [`FETCHES_AT_ONCE`].
pub const FETCHES_PER_HOST: usize = 5;
/// Fetches at one host within a minute.
pub const FETCHES_A_MINUTE: usize = 30;
/// Waiting events that are hunted for.
pub const MAX_QUARRIES: usize = 20_000;
/// Servers that are tried for one waiting event.
pub const MAX_SERVERS: usize = 50;
/// Objects that one fetch asks for; a single state may name more.
pub const MAX_WANTS: usize = 20_000;
/// Hosts whose pace is remembered; those that were idle for a minute go first.
pub const MAX_HOSTS: usize = 10_000;
