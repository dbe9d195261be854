//! What comes of a subscription, one event after the other: what was asked for, what was not, and when it is too much.
//!
//! Pure: the workers at relays read with it, and the simulated network does.

use nostr::event::Event;
use nostr::filter::{Filter, MatchEventOptions};

use super::paging::Page;
use super::retrieval::RetrievalError;
use crate::fault;

/// The most results of one page that are read.
const MAX_RESULTS: usize = 10_000;
/// Events that match nothing that was asked for, before a subscription is not listened to any more.
const MAX_FOREIGN: usize = 100;

/// One subscription, as far as it has been read.
#[derive(Debug, Clone)]
pub struct Reading {
    asked: Vec<Filter>,
    most: usize,
    page: Page,
    foreign: usize,
}

impl Reading {
    /// A live subscription: it has no end.
    #[must_use]
    pub fn live(asked: Vec<Filter>) -> Self {
        Self { asked, most: usize::MAX, page: Page::default(), foreign: 0 }
    }

    /// One page of a history.
    #[must_use]
    pub fn page(asked: Filter) -> Self {
        Self { asked: vec![asked], most: MAX_RESULTS, page: Page::default(), foreign: 0 }
    }

    /// Takes in an event; whether it was asked for.
    ///
    /// # Errors
    /// [`RetrievalError::Endless`] when it is not worth listening to any more.
    pub fn take(&mut self, event: &Event) -> Result<bool, RetrievalError> {
        let is_asked = |filter: &Filter| filter.match_event(event, MatchEventOptions::new());
        if !self.asked.iter().any(is_asked) && !fault::is("unrelated-from-peers-taken") {
            self.foreign += 1;
            if self.foreign > MAX_FOREIGN {
                return Err(RetrievalError::Endless("events that nobody asked for"));
            }
            return Ok(false);
        }
        if self.most < usize::MAX {
            self.page.count(event.id, event.created_at);
        }
        if self.page.results > self.most {
            return Err(RetrievalError::Endless("a page without end"));
        }
        Ok(true)
    }

    /// What the page has brought. Of live subscriptions nothing is counted.
    #[must_use]
    pub fn finish(self) -> Page {
        self.page
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nostr::event::{EventBuilder, FinalizeEvent as _, Kind};
    use nostr::key::Keys;

    use super::*;

    fn note(kind: Kind) -> Event {
        EventBuilder::new(kind, "").finalize(&Keys::generate()).unwrap()
    }

    #[test]
    fn a_page_has_an_end_and_a_live_subscription_none() {
        let (event, filter) = (note(Kind::TextNote), Filter::new().kind(Kind::TextNote));
        let mut page = Reading::page(filter.clone());
        (0..MAX_RESULTS).for_each(|_| assert_eq!(page.take(&event), Ok(true)));
        assert!(page.take(&event).is_err());
        let mut live = Reading::live(vec![filter]);
        (0..=MAX_RESULTS).for_each(|_| assert_eq!(live.take(&event), Ok(true)));
        assert_eq!(live.finish(), Page::default());
    }

    #[test]
    fn what_nobody_asked_for_is_left_out_and_not_listened_to_for_ever() {
        let event = note(Kind::Comment);
        let filter = Filter::new().kind(Kind::TextNote);
        for mut reading in [Reading::page(filter.clone()), Reading::live(vec![filter])] {
            (0..MAX_FOREIGN).for_each(|_| assert_eq!(reading.take(&event), Ok(false)));
            assert!(reading.take(&event).is_err());
        }
    }
}
