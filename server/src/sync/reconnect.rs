//! What a new connection has to make good (requirement G02/sync/reconnect).

use nostr::types::Timestamp;

use super::bounds::QUICK_RECONNECT_WINDOW;
use super::millis::Millis;
use crate::fault;

/// What kind of connection this is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reconnect {
    /// The first one: full history.
    Fresh,
    /// The last one ended a short while ago: what was confirmed stays so, and only what is newer is asked for.
    Quick {
        /// Newer than this.
        since: Timestamp,
    },
    /// The last one ended too long ago: full history.
    Stale,
}

impl Reconnect {
    /// `ended`: when the last connection ended, if there was one.
    #[must_use]
    pub fn of(ended: Option<Millis>, now: Millis) -> Self {
        match ended {
            None => Self::Fresh,
            Some(_) if fault::is("every-reconnect-from-nothing") => Self::Stale,
            Some(ended) if fault::is("reconnects-without-overlap") => {
                Self::Quick { since: ended.timestamp() }
            }
            Some(ended) if now.since(ended) < QUICK_RECONNECT_WINDOW => {
                Self::Quick { since: (ended - QUICK_RECONNECT_WINDOW).timestamp() }
            }
            Some(_) => Self::Stale,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fifteen_minutes_are_the_line() {
        let ended = Millis::from_secs(10_000);
        let after = |seconds: u64| Reconnect::of(Some(ended), Millis::from_secs(10_000 + seconds));
        let quick = Reconnect::Quick { since: Timestamp::from_secs(10_000 - 900) };
        assert_eq!(after(0), quick);
        assert_eq!(after(899), quick);
        assert_eq!(after(900), Reconnect::Stale);
        assert_eq!(Reconnect::of(None, ended), Reconnect::Fresh);
    }
}
