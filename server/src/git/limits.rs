//! What git requests may cost, in one place.

use std::time::Duration;

/// Bounds of the git shells. Sizes are bytes after decompression unless they say otherwise.
#[derive(Debug, Clone)]
pub struct GitLimits {
    /// The largest pack taken in one push (`NGIT_MAX_PUSH_BYTES`).
    pub max_push_bytes: u64,
    /// How much of a refused push is read and forgotten, in bytes on the wire, so that its client, who looks at the
    /// answer only when it has sent all, gets to see the reason.
    pub max_drain_bytes: u64,
    /// The longest negotiation (wants and haves) of a fetch.
    pub max_negotiation_bytes: u64,
    /// How much of a negotiation is kept in memory; the rest goes to an unnamed temporary file.
    pub negotiation_memory_bytes: usize,
    /// How many refs one push may name.
    pub max_commands: usize,
    /// How long the command list of one push may be, push options and shallow lines included.
    pub max_command_bytes: u64,
    /// A compressed body of more than [`Self::ratio_free_bytes`] may not expand more than this many times.
    pub max_expansion: u64,
    /// Up to here a body may expand as deflate can (about a thousandfold).
    pub ratio_free_bytes: u64,
    /// How many `git upload-pack` run at once.
    pub max_fetches: usize,
    /// How many pushes run at once.
    pub max_pushes: usize,
    /// How long a request waits for its turn before it is told to come back.
    pub queue_wait: Duration,
    /// How long a client may be silent while it sends, or refuse to read while it receives.
    pub idle: Duration,
    /// How long the list of commands of a push may keep us waiting, as may what is read only to be forgotten: a push holds
    /// one of [`Self::max_pushes`] places meanwhile.
    pub pace_grace: Duration,
    /// Every so many bytes of it earn another second.
    pub pace_bytes_a_second: u64,
    /// How long `git index-pack` may take once it has all of the pack.
    pub indexing: Duration,
    /// How long git processes go on after shutdown was asked for.
    pub shutdown_grace: Duration,
    /// The longest silence a pushing client sees while its push is indexed and landed.
    pub keep_alive: Duration,
    /// How much memory rendered advertisements may take.
    pub rendered_bytes: usize,
}

impl Default for GitLimits {
    fn default() -> Self {
        Self {
            max_push_bytes: 2 << 30,
            max_drain_bytes: 8 << 30,
            max_negotiation_bytes: 32 << 20,
            negotiation_memory_bytes: 1 << 20,
            max_commands: 100_000,
            max_command_bytes: 16 << 20,
            max_expansion: 64,
            ratio_free_bytes: 1 << 20,
            max_fetches: 64,
            max_pushes: 128,
            queue_wait: Duration::from_secs(30),
            idle: Duration::from_secs(120),
            pace_grace: Duration::from_secs(15),
            pace_bytes_a_second: 4096,
            indexing: Duration::from_secs(30 * 60),
            shutdown_grace: Duration::from_secs(20),
            keep_alive: Duration::from_millis(2500),
            rendered_bytes: 64 << 20,
        }
    }
}
