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

use super::input::{Input, Repository};
use super::item::Level;
use super::refused::{Name, brings};
use crate::fault;
use crate::house::Observer;
use crate::nip34::tags::values;
use crate::nip34::{
    Announcement, Coordinate, ISSUE, Identifier, PATCH, PULL_REQUEST, PULL_REQUEST_UPDATE, State,
};
use crate::purgatory::Waiting;

/// How many changes wait for the listener.
const MAX_CHANGES: usize = 50_000;
/// The most repositories of one root event that are looked at.
const MAX_REPOSITORIES: usize = 100;

/// What has changed about what waits for git data.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hunted {
    /// An event waits.
    Waits(EventId),
    /// It waits no longer.
    Leaves(EventId),
    /// There are other announcements of an identifier: other maintainers, other servers.
    Announced(Identifier),
}

/// What has happened since the last look, for the planner.
#[derive(Debug, Default)]
pub struct News {
    /// In the order in which it happened.
    pub changes: Vec<Input>,
    /// Names that could let in what was refused before.
    pub names: Vec<Name>,
    /// Something was left out: everything has to be looked at anew.
    pub incomplete: bool,
}

/// What has happened since the last look, for the hunt.
#[derive(Debug, Default)]
pub struct HuntNews {
    /// In the order in which it happened.
    pub changes: Vec<Hunted>,
    /// Something was left out: everything has to be looked at anew.
    pub incomplete: bool,
}

/// A letter box: filled without waiting, emptied as a whole.
#[derive(Debug, Default)]
struct Letters<T> {
    inside: Mutex<T>,
    bell: Notify,
}

/// What a letter box holds.
trait Bounded: Default {
    fn len(&self) -> usize;
    fn is_incomplete(&self) -> bool;
    fn incomplete() -> Self;
}

impl Bounded for News {
    fn len(&self) -> usize {
        self.changes.len() + self.names.len()
    }
    fn is_incomplete(&self) -> bool {
        self.incomplete
    }
    fn incomplete() -> Self {
        Self { incomplete: true, ..Self::default() }
    }
}

impl Bounded for HuntNews {
    fn len(&self) -> usize {
        self.changes.len()
    }
    fn is_incomplete(&self) -> bool {
        self.incomplete
    }
    fn incomplete() -> Self {
        Self { incomplete: true, ..Self::default() }
    }
}

impl<T: Bounded> Letters<T> {
    async fn take(&self) -> T {
        loop {
            let inside = std::mem::take(&mut *self.inside.lock());
            if inside.len() > 0 || inside.is_incomplete() {
                return inside;
            }
            self.bell.notified().await;
        }
    }

    fn put(&self, put: impl FnOnce(&mut T)) {
        {
            let mut inside = self.inside.lock();
            put(&mut inside);
            if inside.len() > MAX_CHANGES {
                *inside = T::incomplete();
            }
        }
        self.bell.notify_one();
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct SelfSubscriber {
    news: Letters<News>,
    hunted: Letters<HuntNews>,
}

impl SelfSubscriber {
    /// Waits until something has happened that the planner is to know, and takes it. Safe to cancel.
    pub async fn news(&self) -> News {
        self.news.take().await
    }

    /// Waits until something has happened that the hunt is to know, and takes it. Safe to cancel.
    pub async fn hunted(&self) -> HuntNews {
        self.hunted.take().await
    }
}

impl Observer for SelfSubscriber {
    fn served(&self, event: &Event) {
        let (names, root) = (brings(event, true), root(event));
        self.news.put(|news| {
            news.names.extend(names);
            news.changes.extend(root);
        });
    }

    fn removed(&self, id: &EventId) {
        self.news.put(|news| news.changes.push(Input::RootGone(*id)));
    }

    fn waits(&self, waiting: &Waiting) {
        let names = brings(&waiting.event, false);
        if !names.is_empty() {
            self.news.put(|news| news.names.extend(names));
        }
        self.hunted.put(|news| news.changes.push(Hunted::Waits(waiting.event.id)));
    }

    fn leaves(&self, id: &EventId) {
        self.hunted.put(|news| news.changes.push(Hunted::Leaves(*id)));
    }

    fn vacated(&self, state: &State) {
        self.news.put(|news| {
            news.names.push(Name::Newest(state.author, state.identifier.clone()));
            news.changes.push(Input::LookAgain(state.identifier.clone()));
        });
    }

    fn repository(&self, coordinate: &Coordinate, known: Option<(&Announcement, bool)>) {
        let change = known.map_or_else(
            || Input::RepositoryGone(coordinate.clone()),
            |(announcement, served)| repository(announcement, served),
        );
        self.news.put(|news| news.changes.push(change));
        let identifier = coordinate.identifier.clone();
        self.hunted.put(|news| news.changes.push(Hunted::Announced(identifier)));
    }
}

/// A repository as an announcement describes it.
#[must_use]
pub fn repository(announcement: &Announcement, served: bool) -> Input {
    Input::RepositoryKnown(Repository {
        coordinate: announcement.coordinate(),
        announcement: announcement.id,
        relays: if served || !fault::is("waiting-repositories-left-alone") {
            announcement.relays.clone()
        } else {
            Vec::new()
        },
        level: if served { Level::Full } else { Level::StatesOnly },
    })
}

/// A served event, if it is a root event.
#[must_use]
pub fn root(event: &Event) -> Option<Input> {
    if ![PATCH, PULL_REQUEST, PULL_REQUEST_UPDATE, ISSUE].contains(&event.kind) {
        return None;
    }
    let named = values(event, "a").filter_map(|value| value.parse().ok());
    Some(Input::RootSeen { id: event.id, coordinates: named.take(MAX_REPOSITORIES).collect() })
}

/// The shortest wait for changes that follow others.
const SHORTEST: Duration = Duration::from_millis(200);

/// When changes go out: the first after a quiet moment at once, those that follow together, after a wait. It doubles as
/// long as they go on coming, up to the window, so a few that follow each other are not late and a flood comes in one
/// piece.
#[derive(Debug)]
pub struct Batching {
    window: Duration,
    wait: Duration,
    last: Option<Instant>,
}

impl Batching {
    /// Gathers for so long at most.
    #[must_use]
    pub const fn new(window: Duration) -> Self {
        Self { window, wait: Duration::ZERO, last: None }
    }

    /// When changes that are there now go out: now, or at the end of the wait.
    #[must_use]
    pub fn due(&self, now: Instant) -> Instant {
        self.last.map_or(now, |last| (last + self.wait).max(now))
    }

    /// They have gone out.
    pub fn sent(&mut self, now: Instant) {
        let goes_on = self.last.is_some_and(|last| now.duration_since(last) <= 2 * self.wait);
        self.wait = if goes_on { 2 * self.wait } else { SHORTEST }.min(self.window);
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
        let soon = start + Duration::from_millis(1);
        assert_eq!(batching.due(soon), start + SHORTEST);
        let quiet = start + Duration::from_secs(1);
        assert_eq!(batching.due(quiet), quiet);
    }

    #[test]
    fn a_flood_is_gathered_for_longer_and_longer_up_to_the_window() {
        let window = Duration::from_secs(5);
        let (mut batching, mut now) = (Batching::new(window), Instant::now());
        let mut waits = Vec::new();
        for _ in 0..8 {
            // The next change is there at once.
            let due = batching.due(now);
            waits.push((due - now).as_millis());
            now = due;
            batching.sent(now);
        }
        assert_eq!(waits, [0, 200, 400, 800, 1_600, 3_200, 5_000, 5_000]);
        let quiet = now + 3 * window;
        assert_eq!(batching.due(quiet), quiet);
        batching.sent(quiet);
        assert_eq!(batching.due(quiet), quiet + SHORTEST);
        let mut short = Batching::new(Duration::ZERO);
        short.sent(now);
        assert_eq!(short.due(now), now, "a window of nothing gathers nothing");
    }

    #[tokio::test]
    async fn too_much_news_is_told_as_such() {
        let subscriber = SelfSubscriber::default();
        let note = EventBuilder::new(Kind::TextNote, "").finalize(&Keys::generate()).unwrap();
        subscriber.served(&note);
        let news = subscriber.news().await;
        assert_eq!((news.names.as_slice(), news.incomplete), (&[Name::Event(note.id)][..], false));
        (0..=MAX_CHANGES).for_each(|_| subscriber.served(&note));
        let news = subscriber.news().await;
        assert!(news.incomplete && news.names.is_empty());
    }
}
