//! What operators decide about sync.

use std::time::Duration;

use super::bounds::Bounds;
use super::url::RelayUrl;
use crate::nip34::ServiceDomain;

/// Settings of the planner.
#[derive(Debug, Clone)]
pub struct Settings {
    /// This service: never a relay to sync from.
    pub service: ServiceDomain,
    /// Relays that are connected always, whatever announcements say (`NGIT_SYNC_BOOTSTRAP_RELAY_URL`).
    pub bootstrap: Vec<RelayUrl>,
    /// Wait after the first failure (`NGIT_SYNC_BASE_BACKOFF_SECS`).
    pub base_backoff: Duration,
    /// Longest wait between two attempts (`NGIT_SYNC_MAX_BACKOFF_SECS`).
    pub max_backoff: Duration,
    /// How often relays that nobody needs are looked for (`NGIT_SYNC_DISCONNECT_CHECK_INTERVAL_SECS`).
    pub disconnect_check: Duration,
    /// No connection is made earlier than this after the start (`NGIT_SYNC_STARTUP_DELAY_SECS`).
    pub startup_delay: Duration,
    /// The connections of the start are spread over so much more (`NGIT_SYNC_STARTUP_JITTER_MS`).
    pub startup_jitter: Duration,
    /// Whether NIP-77 is tried (`NGIT_SYNC_DISABLE_NEGENTROPY`).
    pub negentropy: bool,
    /// How much is kept.
    pub bounds: Bounds,
}

impl Settings {
    /// The seed's figures, no bootstrap relay.
    #[must_use]
    pub fn new(service: ServiceDomain) -> Self {
        Self {
            service,
            bootstrap: Vec::new(),
            base_backoff: Duration::from_secs(5),
            max_backoff: Duration::from_secs(60 * 60),
            disconnect_check: Duration::from_secs(60),
            startup_delay: Duration::ZERO,
            startup_jitter: Duration::from_secs(10),
            negentropy: true,
            bounds: Bounds::default(),
        }
    }
}
