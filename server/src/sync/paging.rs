//! A history page by page: the next page begins in the second where the last one ended.
//!
//! Relays cap the results of a filter, so one answer is rarely the whole history, and a page may end in the midst of a
//! second that has many events.

use std::collections::HashSet;

use nostr::event::EventId;
use nostr::types::Timestamp;

use crate::fault;

/// Results asked for at once: what most relays give at most.
pub const PAGE: usize = 500;
/// A page with fewer results than this is the last, unless NIP-11 says that results are capped lower.
pub const SHORT_PAGE: usize = 20;
/// Pages of one filter; a relay that has more sends without end.
pub const MAX_PAGES: usize = 2_000;
/// Pages that begin in the same second, for relays that give other events of it each time.
pub const MAX_PAGES_OF_A_SECOND: usize = 20;

/// What one page has brought: events that match its filter, verified or not.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// How many.
    pub results: usize,
    /// The earliest `created_at` among them.
    pub oldest: Option<Timestamp>,
    /// The ids of those of that second.
    pub of_oldest: HashSet<EventId>,
}

impl Page {
    /// Counts one more event.
    pub fn count(&mut self, id: EventId, time: Timestamp) {
        self.results += 1;
        if self.oldest.is_none_or(|oldest| time < oldest) {
            self.oldest = Some(time);
            self.of_oldest.clear();
        }
        if self.oldest == Some(time) {
            self.of_oldest.insert(id);
        }
    }
}

/// Where a history stands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pages {
    until: Option<Timestamp>,
    seen: HashSet<EventId>,
    pages: usize,
    of_second: usize,
}

/// What follows after a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// There may be more: ask again.
    Ask,
    /// That was all.
    Done,
    /// It has no end.
    Endless,
}

impl Pages {
    /// The `until` of the page to ask for; `None` for the first.
    #[must_use]
    pub const fn until(&self) -> Option<Timestamp> {
        self.until
    }

    /// Takes in a page. `cap`: the results that the relay gives at most, if it says so.
    pub fn take(&mut self, page: Page, cap: Option<usize>) -> Next {
        self.pages += 1;
        let short = cap.map_or(SHORT_PAGE, |cap| cap.min(PAGE)).max(1);
        let Some(oldest) = page.oldest.filter(|_| page.results >= short) else { return Next::Done };
        if fault::is("first-page-only") {
            return Next::Done;
        }
        if self.pages >= MAX_PAGES || self.until.is_some_and(|until| oldest > until) {
            return Next::Endless;
        }
        if self.until != Some(oldest) {
            (self.until, self.seen, self.of_second) = (Some(oldest), page.of_oldest, 0);
            return Next::Ask;
        }
        let seen = self.seen.len();
        self.seen.extend(page.of_oldest);
        self.of_second += 1;
        if self.seen.len() > seen && self.of_second < MAX_PAGES_OF_A_SECOND {
            return Next::Ask;
        }
        // That second gives nothing more.
        if oldest.as_secs() == 0 || fault::is("crowded-seconds-end-histories") {
            return Next::Done;
        }
        (self.until, self.of_second) = (Some(oldest - 1u64), 0);
        self.seen.clear();
        Next::Ask
    }
}
