//! How much is asked of a relay at once: modestly at first, less when it refuses, more when it says that it takes more.
//!
//! NIP-11 says nothing about filters or tag values, and many relays say nothing at all; what is learned from refusals
//! holds for the life of the process.

use super::bounds::{
    CEILING_BYTES, CEILING_FILTERS, CEILING_SUBSCRIPTIONS, HISTORIES_AT_ONCE, MAX_FILTER_VALUES,
};
use super::input::RelayLimits;
use super::paging::PAGE;
use crate::fault;

/// What a relay means by a refusal (CLOSED, NOTICE, NEG-ERR).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Refusal {
    /// Less often, please.
    RateLimited,
    /// Fewer subscriptions at the same time.
    Subscriptions,
    /// Fewer filters in one REQ.
    Filters,
    /// Shorter messages, or fewer values in a filter.
    Size,
    /// Say who you are (NIP-42).
    Identity,
    /// Anything else.
    Other,
}

impl Refusal {
    /// Reads a reason. There is no standard but the prefix (NIP-01), so it goes by the words that relays use.
    #[must_use]
    pub fn of(reason: &str) -> Self {
        let reason: String = reason.chars().take(500).collect::<String>().to_lowercase();
        let says = |words: &[&str]| words.iter().any(|word| reason.contains(word));
        let too_much = says(&["too many", "too much", "at most", "max", "limit", "exceed", "more than"]);
        if reason.starts_with("auth-required") {
            Self::Identity
        } else if too_much && says(&["subscription", "concurrent req", "reconciliations", "open req"]) {
            Self::Subscriptions
        } else if too_much && says(&["filters"]) && !says(&["values", "elements", "items", "tags"]) {
            Self::Filters
        } else if says(&["too large", "too long", "too big", "message size", "payload"])
            || too_much && says(&["values", "elements", "items", "tags", "filter", "bytes", "length"])
        {
            Self::Size
        } else if says(&["rate-limit", "rate limit", "slow down", "too fast", "too many", "try again later"])
        {
            Self::RateLimited
        } else {
            Self::Other
        }
    }
}

/// What a relay is known to take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ceilings {
    /// Subscriptions of a connection, histories and reconciliations included.
    pub subscriptions: usize,
    /// Filters in one REQ.
    pub filters: usize,
    /// Values in one filter.
    pub values: usize,
    /// Bytes of one message.
    pub bytes: usize,
    /// Results that it gives per filter, if it says so.
    pub results: Option<usize>,
}

/// The least that is asked for; who takes less takes nothing.
const LEAST: Ceilings = Ceilings { subscriptions: 2, filters: 3, values: 1, bytes: 4_096, results: None };

impl Default for Ceilings {
    fn default() -> Self {
        Self {
            subscriptions: CEILING_SUBSCRIPTIONS.0,
            filters: CEILING_FILTERS.0,
            values: if fault::is("filters-without-bound") { 1_000 } else { MAX_FILTER_VALUES },
            bytes: CEILING_BYTES.0,
            results: None,
        }
    }
}

impl Ceilings {
    /// Takes what the relay says of itself (NIP-11): it may be more than what one starts with.
    pub fn told(&mut self, limits: &RelayLimits) {
        let within = |told: usize, least: usize, most: usize| told.clamp(least, most);
        if let Some(told) = limits.subscriptions.filter(|_| !fault::is("subscription-limits-unread")) {
            self.subscriptions = within(told, LEAST.subscriptions, CEILING_SUBSCRIPTIONS.1);
        }
        if let Some(told) = limits.filters {
            self.filters = within(told, LEAST.filters, CEILING_FILTERS.1);
        }
        if let Some(told) = limits.message_bytes {
            // Some room for what surrounds the filters.
            self.bytes = within(told / 10 * 9, LEAST.bytes, CEILING_BYTES.1);
        }
        self.results = limits.results.filter(|told| *told > 0).or(self.results);
    }

    /// Halves what was refused; false if it is at its least already.
    pub fn refused(&mut self, refusal: Refusal) -> bool {
        let before = *self;
        match refusal {
            Refusal::Subscriptions => self.subscriptions = (self.subscriptions / 2).max(LEAST.subscriptions),
            Refusal::Filters => self.filters = (self.filters / 2).max(LEAST.filters),
            Refusal::Size => {
                self.values = (self.values / 2).max(LEAST.values);
                self.bytes = (self.bytes / 2).max(LEAST.bytes);
            }
            Refusal::RateLimited | Refusal::Identity | Refusal::Other => {}
        }
        before != *self
    }

    /// How many histories (pages, reconciliations) may be on their way at once.
    #[must_use]
    pub fn histories(&self) -> usize {
        (self.subscriptions / 4).clamp(1, HISTORIES_AT_ONCE)
    }

    /// How many live subscriptions may be open.
    #[must_use]
    pub fn live(&self) -> usize {
        self.subscriptions.saturating_sub(self.histories()).max(1)
    }

    /// How many results to ask for in a page.
    #[must_use]
    pub fn page(&self) -> usize {
        self.results.map_or(PAGE, |cap| cap.min(PAGE))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_read_by_the_words_that_relays_use() {
        for (reason, refusal) in [
            ("auth-required: we only serve members", Refusal::Identity),
            ("rate-limited: slow down there chief", Refusal::RateLimited),
            ("rate-limited: too many queries from here; wait a moment and ask again", Refusal::RateLimited),
            ("Rate limit exceeded", Refusal::RateLimited),
            ("ERROR: too many concurrent REQs", Refusal::Subscriptions),
            ("error: too many subscriptions", Refusal::Subscriptions),
            (
                "rate-limited: at most 200 subscriptions per connection; CLOSE one first",
                Refusal::Subscriptions,
            ),
            (
                "blocked: at most 8 reconciliations per connection; NEG-CLOSE one first",
                Refusal::Subscriptions,
            ),
            ("invalid: 120 filters; at most 100 are taken", Refusal::Filters),
            ("Too many filters", Refusal::Filters),
            ("ERROR: bad req: filter has too many elements", Refusal::Size),
            (
                "rate-limited: the filters of this connection would hold more than 9 values; CLOSE one first",
                Refusal::Size,
            ),
            ("invalid: message too large", Refusal::Size),
            ("error: could not connect to the database", Refusal::Other),
            ("", Refusal::Other),
        ] {
            assert_eq!(Refusal::of(reason), refusal, "{reason}");
        }
    }

    #[test]
    fn ceilings_halve_to_a_floor_and_never_below() {
        let mut ceilings = Ceilings::default();
        for refusal in [Refusal::Subscriptions, Refusal::Filters, Refusal::Size] {
            assert!(ceilings.refused(refusal));
            while ceilings.refused(refusal) {}
        }
        assert_eq!(ceilings, LEAST);
        assert_eq!((ceilings.histories(), ceilings.live()), (1, 1));
        assert!(!ceilings.refused(Refusal::Other));
    }

    #[test]
    fn what_a_relay_says_counts_within_reason() {
        let mut ceilings = Ceilings::default();
        ceilings.told(&RelayLimits {
            subscriptions: Some(0),
            filters: Some(usize::MAX),
            results: Some(300),
            message_bytes: Some(usize::MAX),
            negentropy: None,
        });
        assert_eq!(ceilings.subscriptions, LEAST.subscriptions);
        assert_eq!((ceilings.filters, ceilings.bytes), (CEILING_FILTERS.1, CEILING_BYTES.1));
        assert_eq!(ceilings.page(), 300);
    }
}
