//! What other relays have sent and this server has refused: remembered, so that it is not fetched again, and looked at
//! again as soon as what it lacked is here.
//!
//! Pure. An event that was refused for want of a relation is kept whole, under the names of what could change that: its
//! repository, its root, a maintainer. When something of one of these names is accepted, it comes out and is judged anew;
//! so a comment that comes before its root, or a state before its announcement, needs nobody to send it again. What can
//! never be taken is kept as an id only, for a day. Only what has been verified may come in here: under a forged id
//! nothing is remembered. What is pushed out by the bounds is forgotten altogether, and fetched at the next
//! reconciliation.

use std::collections::{HashMap, HashSet, VecDeque};

use nostr::event::{Event, EventId};
use nostr::key::PublicKey;
use nostr::types::Timestamp;

use crate::admission::Prefix;
use crate::admission::related::{Address, Relations, is_about_a_person, opens_doors};
use crate::nip34::tags::first;
use crate::nip34::{
    ANNOUNCEMENT, Announcement, Coordinate, ISSUE, Identifier, PATCH, PULL_REQUEST, PULL_REQUEST_UPDATE,
    STATE,
};

/// How long an id counts as had, in seconds: until the next daily reconciliation.
const REMEMBERED: u64 = 23 * 60 * 60;

/// Bounds of the memory.
#[derive(Debug, Clone, Copy)]
pub struct Bounds {
    /// Ids, with or without their event.
    pub ids: usize,
    /// Bytes of the events that are kept, about.
    pub bytes: usize,
    /// Names under which one event is kept; further ones do not bring it back.
    pub names: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { ids: 100_000, bytes: 64 << 20, names: 64 }
    }
}

/// What an event can lack, and what an accepted event brings.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Name {
    /// An announcement of this identifier, served or waiting: it may list us, or a maintainer.
    Identifier(Identifier),
    /// A repository that is served.
    Repository(Coordinate),
    /// An event that is served.
    Event(EventId),
    /// An address of which an event is served.
    Address(Address),
    /// A served event that names this one.
    Naming(EventId),
    /// A served event that names this address.
    NamingAddress(Address),
    /// Somebody who owns or maintains something, or has written a root event.
    Person(PublicKey),
    /// The end of the newer state by somebody for an identifier, which has waited in vain.
    Newest(PublicKey, Identifier),
}

/// What an event that was refused could have lacked (decision table of the catalogue).
#[must_use]
pub fn lacks(event: &Event) -> Vec<Name> {
    if event.kind == ANNOUNCEMENT || event.kind == STATE {
        let identifier = first(event, "d").and_then(|d| Identifier::new(d).ok());
        let newest = identifier.clone().filter(|_| event.kind == STATE);
        let newest = newest.map(|identifier| Name::Newest(event.pubkey, identifier));
        return identifier.map(Name::Identifier).into_iter().chain(newest).collect();
    }
    let relations = Relations::of(event);
    let mut names: Vec<Name> = relations.repositories.into_iter().map(Name::Repository).collect();
    if event.kind == PULL_REQUEST || event.kind == PULL_REQUEST_UPDATE {
        return names;
    }
    if is_about_a_person(event.kind) {
        names.push(Name::Person(event.pubkey));
    }
    names.push(Name::Naming(event.id));
    names.extend(Address::of(event).map(Name::NamingAddress));
    names.extend(relations.events.into_iter().map(Name::Event));
    names.extend(relations.addresses.into_iter().map(Name::Address));
    names
}

/// What an event brings that is served from now on, or waits.
#[must_use]
pub fn brings(event: &Event, served: bool) -> Vec<Name> {
    let mut names = Vec::new();
    if let Ok(announcement) = Announcement::from_event(event) {
        names.push(Name::Identifier(announcement.identifier.clone()));
        names.extend(announcement.listed.iter().copied().chain([event.pubkey]).map(Name::Person));
        if served {
            names.push(Name::Repository(announcement.coordinate()));
        }
    }
    if !served || !opens_doors(event.kind) {
        return names;
    }
    if [PATCH, PULL_REQUEST, PULL_REQUEST_UPDATE, ISSUE].contains(&event.kind) {
        names.push(Name::Person(event.pubkey));
    }
    names.push(Name::Event(event.id));
    names.extend(Address::of(event).map(Name::Address));
    let relations = Relations::of(event);
    names.extend(relations.events.into_iter().map(Name::Naming));
    let repository = |named: Coordinate| Address {
        kind: ANNOUNCEMENT.as_u16(),
        author: named.owner,
        d: named.identifier.as_str().to_owned(),
    };
    let addresses = relations.addresses.into_iter().chain(relations.repositories.into_iter().map(repository));
    names.extend(addresses.map(Name::NamingAddress));
    names
}

/// What follows from a refusal, by its machine-readable prefix (NIP-01).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Consequence {
    /// It may be taken once something else is here.
    Keep,
    /// It will not be taken, whatever comes.
    Remember,
    /// It could be taken at any moment: nothing is remembered.
    Forget,
}

/// Reads a refusal of a verified event.
#[must_use]
pub fn consequence(event: &Event, message: &str) -> Consequence {
    let is = |prefix: Prefix| message.strip_prefix(prefix.as_str()).is_some_and(|rest| rest.starts_with(':'));
    let changeable =
        (is(Prefix::Blocked) && event.kind == ANNOUNCEMENT) || (is(Prefix::Replaced) && event.kind == STATE);
    if is(Prefix::Restricted) || changeable {
        Consequence::Keep
    } else if is(Prefix::Blocked) || is(Prefix::Replaced) || is(Prefix::Invalid) {
        Consequence::Remember
    } else {
        Consequence::Forget
    }
}

#[derive(Debug)]
struct Entry {
    since: u64,
    /// Tells entries of the same id apart in the queue.
    number: u64,
    kept: Option<Kept>,
}

#[derive(Debug)]
struct Kept {
    event: Event,
    names: Vec<Name>,
    bytes: usize,
}

/// The memory.
#[derive(Debug, Default)]
pub struct Refused {
    bounds: Bounds,
    entries: HashMap<EventId, Entry>,
    by_name: HashMap<Name, HashSet<EventId>>,
    oldest_first: VecDeque<(EventId, u64)>,
    bytes: usize,
    next: u64,
    recent: Recent,
}

/// What has arrived a moment ago: an event that was being judged meanwhile has not seen it.
#[derive(Debug, Default)]
struct Recent {
    at: HashMap<Name, u64>,
    oldest_first: VecDeque<(Name, u64)>,
    arrivals: u64,
}

/// How many names a moment has.
const MAX_RECENT: usize = 20_000;

impl Recent {
    fn enter(&mut self, name: &Name) {
        self.at.insert(name.clone(), self.arrivals);
        self.oldest_first.push_back((name.clone(), self.arrivals));
        if self.oldest_first.len() > MAX_RECENT
            && let Some((name, arrival)) = self.oldest_first.pop_front()
            && self.at.get(&name) == Some(&arrival)
        {
            self.at.remove(&name);
        }
    }
}

/// A moment before an event was offered to the intake.
#[derive(Debug, Clone, Copy)]
pub struct Before(u64);

impl Refused {
    /// An empty memory.
    #[must_use]
    pub fn new(bounds: Bounds) -> Self {
        Self { bounds, ..Self::default() }
    }

    /// How many ids are remembered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Bytes of the events that are kept, about.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.bytes
    }

    /// Whether an id counts as had.
    #[must_use]
    pub fn has(&self, id: &EventId, now: Timestamp) -> bool {
        self.entries.get(id).is_some_and(|entry| now.as_secs() < entry.since + REMEMBERED)
    }

    /// This moment.
    #[must_use]
    pub const fn before(&self) -> Before {
        Before(self.recent.arrivals)
    }

    /// A verified event, offered after `before`, was refused with this message. Comes back when it is to be offered again
    /// at once.
    #[must_use]
    pub fn refused(&mut self, event: Event, message: &str, before: Before, now: Timestamp) -> Option<Event> {
        match consequence(&event, message) {
            Consequence::Keep => return self.keep(event, before, now),
            Consequence::Remember => self.remember(event.id, now),
            Consequence::Forget => {}
        }
        None
    }

    /// A verified event, offered after `before`, was refused for want of something. Comes back when that may have
    /// arrived while it was being judged.
    #[must_use]
    pub fn keep(&mut self, event: Event, before: Before, now: Timestamp) -> Option<Event> {
        let names = lacks(&event);
        if names.iter().any(|name| self.recent.at.get(name).is_some_and(|arrival| *arrival > before.0)) {
            return Some(event);
        }
        self.keep_under(names, event, now);
        None
    }

    fn keep_under(&mut self, mut names: Vec<Name>, event: Event, now: Timestamp) {
        names.truncate(self.bounds.names);
        let tags: usize =
            event.tags.iter().flat_map(|tag| tag.as_slice()).map(|value| value.len() + 32).sum();
        let bytes = event.content.len() + tags + 256 + names.len() * 128;
        if names.is_empty() || bytes > self.bounds.bytes {
            return self.remember(event.id, now);
        }
        self.forget(&event.id);
        for name in &names {
            self.by_name.entry(name.clone()).or_default().insert(event.id);
        }
        self.bytes += bytes;
        self.enter(event.id, now, Some(Kept { event, names, bytes }));
    }

    /// A verified event will not be taken.
    pub fn remember(&mut self, id: EventId, now: Timestamp) {
        self.forget(&id);
        self.enter(id, now, None);
    }

    fn enter(&mut self, id: EventId, now: Timestamp, kept: Option<Kept>) {
        let number = self.next;
        self.next += 1;
        self.entries.insert(id, Entry { since: now.as_secs(), number, kept });
        self.oldest_first.push_back((id, number));
        while self.entries.len() > self.bounds.ids || self.bytes > self.bounds.bytes {
            let Some((id, number)) = self.oldest_first.pop_front() else { return };
            if self.entries.get(&id).is_some_and(|entry| entry.number == number) {
                self.forget(&id);
            }
        }
        if self.oldest_first.len() > 2 * self.entries.len() + 1024 {
            let entries = &self.entries;
            self.oldest_first.retain(|(id, number)| entries.get(id).is_some_and(|e| e.number == *number));
        }
    }

    /// Forgets an id: it was taken after all, or has been pushed out.
    pub fn forget(&mut self, id: &EventId) -> Option<Event> {
        let kept = self.entries.remove(id)?.kept?;
        self.bytes -= kept.bytes;
        for name in &kept.names {
            if let Some(ids) = self.by_name.get_mut(name) {
                ids.remove(id);
                if ids.is_empty() {
                    self.by_name.remove(name);
                }
            }
        }
        Some(kept.event)
    }

    /// Something of these names was accepted: takes out what may have lacked it, in the order of their signing.
    pub fn look_again<'a>(&mut self, arrived: impl IntoIterator<Item = &'a Name>) -> Vec<Event> {
        self.recent.arrivals += 1;
        let mut ids: HashSet<EventId> = HashSet::new();
        for name in arrived {
            self.recent.enter(name);
            ids.extend(self.by_name.get(name).into_iter().flatten());
        }
        self.take_out(&ids)
    }

    /// Nobody knows what has arrived: takes out everything that could be taken now.
    pub fn look_at_all(&mut self) -> Vec<Event> {
        let ids = self.by_name.values().flatten().copied().collect();
        self.take_out(&ids)
    }

    fn take_out(&mut self, ids: &HashSet<EventId>) -> Vec<Event> {
        let mut events: Vec<Event> = ids.iter().filter_map(|id| self.forget(id)).collect();
        events.sort_by_key(|event| (event.created_at, event.id));
        events
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nostr::event::{EventBuilder, FinalizeEvent as _, Kind, Tag};
    use nostr::key::Keys;
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    fn event(keys: &Keys, kind: Kind, tags: &[[&str; 2]]) -> Event {
        let tags = tags.iter().map(|tag| Tag::parse(*tag).unwrap());
        EventBuilder::new(kind, "text").tags(tags).finalize(keys).unwrap()
    }

    fn at(seconds: u64) -> Timestamp {
        Timestamp::from(seconds)
    }

    /// Offers `early`, which is refused, then says that `late` was accepted; what is looked at again.
    fn again(early: &Event, late: &Event, served: bool) -> bool {
        let mut refused = Refused::default();
        let before = refused.before();
        assert_eq!(refused.keep(early.clone(), before, at(0)), None);
        assert!(refused.has(&early.id, at(0)));
        let looked = refused.look_again(&brings(late, served));
        assert_eq!(looked.is_empty(), refused.has(&early.id, at(0)), "it is either looked at or remembered");
        looked.first() == Some(early)
    }

    #[test]
    fn a_comment_before_its_root_is_looked_at_again() {
        let keys = Keys::generate();
        let issue = event(&keys, ISSUE, &[["a", "30617:x:y"]]);
        let comment = event(&keys, Kind::Comment, &[["E", &issue.id.to_hex()]]);
        assert!(again(&comment, &issue, true));
        assert!(!again(&comment, &issue, false), "what waits has no relations");
        assert!(!again(&comment, &event(&keys, ISSUE, &[]), true));
    }

    #[test]
    fn a_note_before_the_issue_that_quotes_it_is_looked_at_again() {
        let keys = Keys::generate();
        let note = event(&keys, Kind::TextNote, &[]);
        let issue = event(&keys, ISSUE, &[["q", &note.id.to_hex()]]);
        assert!(again(&note, &issue, true));
        let deletion = event(&keys, Kind::EventDeletion, &[["e", &note.id.to_hex()]]);
        assert!(!again(&note, &deletion, true), "a deletion opens no door");
    }

    #[test]
    fn what_arrives_while_an_event_is_judged_is_not_missed() {
        let keys = Keys::generate();
        let issue = event(&keys, ISSUE, &[]);
        let comment = event(&keys, Kind::Comment, &[["E", &issue.id.to_hex()]]);
        let mut refused = Refused::default();
        let before = refused.before();
        assert!(refused.look_again(&brings(&issue, true)).is_empty());
        assert_eq!(refused.keep(comment.clone(), before, at(0)), Some(comment.clone()));
        let after = refused.before();
        assert_eq!(refused.keep(comment, after, at(0)), None, "it was judged with the issue there");
    }

    #[rstest]
    #[case::state(STATE)]
    #[case::co_maintainers_announcement(ANNOUNCEMENT)]
    fn what_comes_before_an_announcement_is_looked_at_again_when_that_waits(#[case] kind: Kind) {
        let (owner, other) = (Keys::generate(), Keys::generate());
        let early = event(&other, kind, &[["d", "project"]]);
        assert!(again(&early, &event(&owner, ANNOUNCEMENT, &[["d", "project"]]), false));
        assert!(!again(&early, &event(&owner, ANNOUNCEMENT, &[["d", "another"]]), true));
    }

    #[rstest]
    #[case(ISSUE)]
    #[case(PULL_REQUEST)]
    fn a_root_before_its_repository_is_looked_at_again_when_that_is_served(#[case] kind: Kind) {
        let owner = Keys::generate();
        let announcement = event(&owner, ANNOUNCEMENT, &[["d", "project"]]);
        let repository = format!("30617:{}:project", owner.public_key());
        let root = event(&Keys::generate(), kind, &[["a", &repository], ["c", &"1".repeat(40)]]);
        assert!(again(&root, &announcement, true));
        assert!(!again(&root, &announcement, false));
    }

    #[test]
    fn a_profile_is_looked_at_again_when_its_author_is_known() {
        let (owner, maintainer) = (Keys::generate(), Keys::generate());
        let profile = event(&maintainer, Kind::Metadata, &[]);
        let listing =
            event(&owner, ANNOUNCEMENT, &[["d", "x"], ["maintainers", &maintainer.public_key().to_hex()]]);
        assert!(again(&profile, &listing, true));
        assert!(again(&profile, &event(&maintainer, ISSUE, &[]), true));
        assert!(!again(&profile, &event(&owner, ISSUE, &[]), true));
    }

    #[rstest]
    #[case("restricted: you are no maintainer", ISSUE, Consequence::Keep)]
    #[case("blocked: the announcement does not list this service", ANNOUNCEMENT, Consequence::Keep)]
    #[case("blocked: the event was deleted by its author", ISSUE, Consequence::Remember)]
    #[case("replaced: a newer one is known", STATE, Consequence::Keep)]
    #[case("replaced: a newer one is known", ANNOUNCEMENT, Consequence::Remember)]
    #[case("invalid: the `c` tag is missing", PULL_REQUEST, Consequence::Remember)]
    #[case("rate-limited: too much waits", STATE, Consequence::Forget)]
    #[case("error: this server could not store it", STATE, Consequence::Forget)]
    fn what_follows_from_a_refusal(#[case] message: &str, #[case] kind: Kind, #[case] expected: Consequence) {
        let event = event(&Keys::generate(), kind, &[]);
        assert_eq!(consequence(&event, message), expected);
    }

    #[test]
    fn an_id_is_remembered_for_a_day_and_not_longer() {
        let mut refused = Refused::default();
        let id = event(&Keys::generate(), ISSUE, &[]).id;
        refused.remember(id, at(1000));
        assert!(refused.has(&id, at(1000 + REMEMBERED - 1)));
        assert!(!refused.has(&id, at(1000 + REMEMBERED)));
    }

    proptest! {
        #[test]
        fn the_bounds_hold_and_nothing_is_left_of_what_is_forgotten(
            steps in prop::collection::vec((0usize..30, 0u8..4), 1..200),
        ) {
            let keys = Keys::parse("67dea2ed018072d675f5415ecfaed7d2597555e202d85b3d65ea4e58d2d92ffa").unwrap();
            let events: Vec<Event> = (0..30u64)
                .map(|n| {
                    let root = format!("{:064x}", n % 5);
                    let tag = Tag::parse(["e", &root]).unwrap();
                    EventBuilder::new(Kind::Comment, n.to_string()).tag(tag).finalize(&keys).unwrap()
                })
                .collect();
            let mut refused = Refused::new(Bounds { ids: 10, bytes: 3000, names: 8 });
            for (at_event, step) in steps {
                let event = &events[at_event];
                match step {
                    0 | 1 => drop(refused.keep(event.clone(), refused.before(), at(0))),
                    2 => refused.remember(event.id, at(0)),
                    _ => {
                        let root = EventId::from_hex(&format!("{:064x}", at_event % 5)).unwrap();
                        refused.look_again(&[Name::Event(root)]);
                        prop_assert!(!refused.by_name.contains_key(&Name::Event(root)));
                    }
                }
                prop_assert!(refused.len() <= 10 && refused.bytes() <= 3000);
                prop_assert!(refused.oldest_first.len() <= 2 * refused.len() + 1025);
            }
            for event in &events {
                refused.forget(&event.id);
            }
            prop_assert!(refused.is_empty() && refused.bytes() == 0 && refused.by_name.is_empty());
        }
    }
}
