//! What happens here, told to sync: repositories, root events, and what waits for git data. Fed in-process by promotion
//! and the intake, not by dialling ourselves (the seed's `SelfSubscriber`).
//!
//! Never blocks those who feed it. It is bounded: when nobody listens for too long, the list is thrown away and the
//! listener told to look at everything anew.

use std::time::Duration;

use nostr::event::{Event, EventId};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::time::Instant;

use super::refused::{Name, brings};
use crate::house::Observer;
use crate::nip34::{Announcement, Coordinate, ISSUE, PATCH, PULL_REQUEST, PULL_REQUEST_UPDATE, tags::values};
use crate::purgatory::Waiting;

/// How many changes wait for the listener.
const MAX_CHANGES: usize = 50_000;
/// The most repositories of one root event that are looked at.
const MAX_REPOSITORIES: usize = 100;

/// What has changed about what sync wants from other relays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// A repository is known, or its announcement is a new one, or it is served now.
    Repository {
        /// Which.
        coordinate: Coordinate,
        /// The relays that its announcement names.
        relays: Vec<String>,
        /// Its announcement is served; otherwise it waits.
        served: bool,
    },
    /// A repository is not known any more.
    Gone(Coordinate),
    /// A root event is served.
    Root {
        /// Which.
        id: EventId,
        /// The repositories that it names.
        repositories: Vec<Coordinate>,
    },
}

/// What has happened since the last look.
#[derive(Debug, Default)]
pub struct News {
    /// In the order in which it happened.
    pub changes: Vec<Change>,
    /// Names that could let in what was refused before.
    pub names: Vec<Name>,
    /// Events that wait for git data, and whether they came by sync.
    pub waiting: Vec<(EventId, bool)>,
    /// Something was left out: everything has to be looked at anew.
    pub incomplete: bool,
}

impl News {
    fn len(&self) -> usize {
        self.changes.len() + self.names.len() + self.waiting.len()
    }

    /// Whether nothing has happened.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0 && !self.incomplete
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct SelfSubscriber {
    news: Mutex<News>,
    bell: Notify,
}

impl SelfSubscriber {
    /// Waits until something has happened, and takes it. Safe to cancel.
    pub async fn next(&self) -> News {
        loop {
            let news = std::mem::take(&mut *self.news.lock());
            if !news.is_empty() {
                return news;
            }
            self.bell.notified().await;
        }
    }

    fn tell(&self, tell: impl FnOnce(&mut News)) {
        let mut news = self.news.lock();
        tell(&mut news);
        if news.len() > MAX_CHANGES {
            *news = News { incomplete: true, ..News::default() };
        }
        drop(news);
        self.bell.notify_one();
    }
}

impl Observer for SelfSubscriber {
    fn served(&self, event: &Event) {
        let names = brings(event, true);
        let root = root(event);
        self.tell(|news| {
            news.names.extend(names);
            news.changes.extend(root);
        });
    }

    fn waits(&self, waiting: &Waiting) {
        let names = brings(&waiting.event, false);
        self.tell(|news| {
            news.names.extend(names);
            news.waiting.push((waiting.event.id, waiting.synced));
        });
    }

    fn repository(&self, coordinate: &Coordinate, known: Option<(&Announcement, bool)>) {
        let change = known.map_or_else(
            || Change::Gone(coordinate.clone()),
            |(announcement, served)| repository(announcement, served),
        );
        self.tell(|news| news.changes.push(change));
    }
}

/// A repository as an announcement describes it.
#[must_use]
pub fn repository(announcement: &Announcement, served: bool) -> Change {
    Change::Repository { coordinate: announcement.coordinate(), relays: announcement.relays.clone(), served }
}

/// A served event, if it is a root event.
#[must_use]
pub fn root(event: &Event) -> Option<Change> {
    if ![PATCH, PULL_REQUEST, PULL_REQUEST_UPDATE, ISSUE].contains(&event.kind) {
        return None;
    }
    let named = values(event, "a").filter_map(|value| value.parse().ok());
    Some(Change::Root { id: event.id, repositories: named.take(MAX_REPOSITORIES).collect() })
}

/// When changes go out: the first after a quiet moment at once, those that follow together, after the window at most.
#[derive(Debug)]
pub struct Batching {
    window: Duration,
    last: Option<Instant>,
}

impl Batching {
    /// Gathers for so long.
    #[must_use]
    pub const fn new(window: Duration) -> Self {
        Self { window, last: None }
    }

    /// When changes that are there now go out: now, or at the end of the window.
    #[must_use]
    pub fn due(&self, now: Instant) -> Instant {
        self.last.map_or(now, |last| (last + self.window).max(now))
    }

    /// They have gone out.
    pub const fn sent(&mut self, now: Instant) {
        self.last = Some(now);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nostr::event::{EventBuilder, FinalizeEvent as _, Kind};
    use nostr::key::Keys;

    use super::*;

    #[test]
    fn the_first_change_goes_out_at_once_and_a_burst_together() {
        let (start, window) = (Instant::now(), Duration::from_secs(5));
        let mut batching = Batching::new(window);
        assert_eq!(batching.due(start), start);
        batching.sent(start);
        let soon = start + Duration::from_secs(1);
        assert_eq!(batching.due(soon), start + window);
        let quiet = start + Duration::from_secs(9);
        assert_eq!(batching.due(quiet), quiet);
    }

    #[tokio::test]
    async fn too_much_news_is_told_as_such() {
        let subscriber = SelfSubscriber::default();
        let note = EventBuilder::new(Kind::TextNote, "").finalize(&Keys::generate()).unwrap();
        subscriber.served(&note);
        let news = subscriber.next().await;
        assert_eq!((news.names.as_slice(), news.incomplete), (&[Name::Event(note.id)][..], false));
        (0..=MAX_CHANGES).for_each(|_| subscriber.served(&note));
        let news = subscriber.next().await;
        assert!(news.incomplete && news.names.is_empty());
    }
}
