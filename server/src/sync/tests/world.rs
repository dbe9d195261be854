//! What a planner's relays see of it, and whether that is in order.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use nostr::event::EventId;
use nostr::filter::Filter;
use nostr::key::{Keys, PublicKey, SecretKey};
use rand::SeedableRng as _;
use rand::rngs::StdRng;

use crate::nip34::{Coordinate, Identifier};
use crate::sync::bounds::{
    CONNECTING_AT_ONCE, HISTORIES_AT_ONCE, MAX_FILTER_VALUES, OPENING_AT_ONCE, OPENING_TIMEOUT,
};
use crate::sync::item::Item;
use crate::sync::status::Link;
use crate::sync::wants::derive_relay_targets;
use crate::sync::{
    Action, Input, Level, Millis, Mode, Page, Planner, RelayUrl, Repository, Settings, SubscriptionId,
    Unreachable,
};

/// A filter's history of one item: by which tag it was asked for.
type Asked = (RelayUrl, Item, String);

pub(super) fn person(n: u8) -> PublicKey {
    let mut secret = [0; 32];
    secret[31] = n + 1;
    Keys::new(SecretKey::from_slice(&secret).unwrap()).public_key()
}

pub(super) fn coordinate(n: u8) -> Coordinate {
    // Some share an identifier.
    Coordinate::new(person(n), Identifier::new(&format!("project-{}", n / 2)).unwrap())
}

pub(super) fn event(n: u32) -> EventId {
    let mut id = [7; 32];
    id[..4].copy_from_slice(&n.to_be_bytes());
    EventId::from_byte_array(id)
}

pub(super) fn url(n: u8) -> RelayUrl {
    RelayUrl::parse(&format!("wss://relay-{n}.example")).unwrap()
}

pub(super) fn repository(n: u8, relays: &[u8], level: Level) -> Input {
    Input::RepositoryKnown(Repository {
        coordinate: coordinate(n),
        announcement: event(1_000_000 + u32::from(n)),
        relays: relays.iter().map(|n| url(*n).to_string()).collect(),
        level,
    })
}

pub(super) fn settings() -> Settings {
    Settings { startup_jitter: Duration::ZERO, ..Settings::new("here.example".parse().unwrap()) }
}

/// What one open subscription asks for: the items, by tag, and whether it goes back to the beginning.
#[derive(Debug, Clone)]
pub(super) struct Open {
    pub(super) mode: Mode,
    pub(super) negotiates: bool,
    pub(super) filters: Vec<Filter>,
    items: Vec<(Item, String)>,
    answered: bool,
    since: Millis,
}

/// One relay, as it sees the planner.
#[derive(Debug, Default)]
pub(super) struct Peer {
    pub(super) connected: bool,
    pub(super) connecting: bool,
    pub(super) leaving: bool,
    pub(super) open: BTreeMap<SubscriptionId, Open>,
}

/// The planner, the time, and all relays.
#[derive(Debug)]
pub(super) struct World {
    pub(super) planner: Planner,
    pub(super) now: Millis,
    pub(super) peers: BTreeMap<RelayUrl, Peer>,
    rng: StdRng,
    used: HashSet<SubscriptionId>,
    wanted: BTreeMap<RelayUrl, BTreeSet<Item>>,
    /// Full histories that have ended, of what is wanted without a break since.
    fetched: BTreeSet<Asked>,
    /// The histories that were asked for, until somebody takes them out.
    pub(super) asked: Vec<Filter>,
    /// Look at the whole inside after each input.
    pub(super) thorough: bool,
}

impl World {
    pub(super) fn new(settings: Settings, seed: u64) -> Self {
        let now = Millis::from_secs(1_800_000_000);
        Self {
            planner: Planner::new(settings, now),
            now,
            peers: BTreeMap::new(),
            rng: StdRng::seed_from_u64(seed),
            used: HashSet::new(),
            wanted: BTreeMap::new(),
            fetched: BTreeSet::new(),
            asked: Vec::new(),
            thorough: true,
        }
    }

    /// Tells the planner, and does what it says. Returns that too.
    pub(super) fn tell(&mut self, input: Input) -> Vec<Action> {
        self.notice_end(&input);
        let actions = self.planner.handle(input, self.now, &mut self.rng);
        if self.thorough {
            self.compare_with_definition();
        }
        for action in &actions {
            self.carry_out(action);
        }
        self.check_bounds();
        if self.thorough {
            self.check_inside();
        }
        actions
    }

    /// What an input says about the peers' side.
    fn notice_end(&mut self, input: &Input) {
        match input {
            Input::Connected { relay } => {
                let peer = self.peers.entry(relay.clone()).or_default();
                (peer.connected, peer.connecting) = (true, false);
            }
            Input::Disconnected { relay, .. } => {
                self.peers.insert(relay.clone(), Peer::default());
            }
            Input::Eose { relay, subscription, page } => {
                let Some(peer) = self.peers.get_mut(relay) else { return };
                let Some(open) = peer.open.get_mut(subscription) else { return };
                open.answered = true;
                if open.mode == Mode::Historic {
                    let open = peer.open.remove(subscription).unwrap();
                    if page.results == 0 {
                        self.fetch(relay, &open);
                    }
                }
            }
            Input::BatchDone { relay, subscription } => {
                let open = self.peers.get_mut(relay).and_then(|peer| peer.open.remove(subscription));
                if let Some(open) = open {
                    self.fetch(relay, &open);
                }
            }
            Input::Closed { relay, subscription, .. }
            | Input::NegentropyUnsupported { relay, subscription } => {
                if let Some(peer) = self.peers.get_mut(relay) {
                    peer.open.remove(subscription);
                }
            }
            _ => {}
        }
    }

    fn fetch(&mut self, relay: &RelayUrl, open: &Open) {
        if open.filters[0].since.is_none() {
            let wanted = self.wanted.get(relay);
            for (item, tag) in open.items.iter().filter(|(item, _)| wanted.is_some_and(|w| w.contains(item)))
            {
                self.fetched.insert((relay.clone(), item.clone(), tag.clone()));
            }
        }
    }

    fn compare_with_definition(&mut self) {
        let wants = self.planner.wants();
        let targets = derive_relay_targets(wants.bootstrap(), wants.repositories(), wants.roots());
        let kept: BTreeMap<RelayUrl, BTreeSet<Item>> =
            targets.keys().map(|url| (url.clone(), wants.target(url).cloned().collect())).collect();
        assert_eq!(kept, targets, "the index is what its definition says");
        assert_eq!(wants.targets(), targets.len(), "and no more");
        let still = |(relay, item, _): &Asked| targets.get(relay).is_some_and(|items| items.contains(item));
        self.fetched.retain(still);
        self.wanted = targets;
    }

    fn carry_out(&mut self, action: &Action) {
        match action {
            Action::Connect { relay } => {
                let peer = self.peers.entry(relay.clone()).or_default();
                assert!(!peer.connected && !peer.connecting && !peer.leaving, "{relay} is connected once");
                peer.connecting = true;
            }
            Action::Disconnect { relay, .. } => {
                let peer = self.peers.get_mut(relay).unwrap();
                assert!((peer.connected || peer.connecting) && !peer.leaving, "{relay} is left once");
                *peer = Peer { leaving: true, ..Peer::default() };
            }
            Action::Unsubscribe { relay, subscription } => {
                let peer = self.peers.get_mut(relay).unwrap();
                peer.open.remove(subscription);
            }
            Action::Subscribe { relay, subscription, mode, filters } => {
                self.open(relay, *subscription, *mode, false, filters.clone());
            }
            Action::Negotiate { relay, subscription, filter } => {
                self.open(relay, *subscription, Mode::Historic, true, vec![filter.clone()]);
            }
        }
    }

    fn open(
        &mut self,
        relay: &RelayUrl,
        id: SubscriptionId,
        mode: Mode,
        negotiates: bool,
        filters: Vec<Filter>,
    ) {
        assert!(self.used.insert(id), "{id} is used once");
        let peer = self.peers.get_mut(relay).unwrap();
        assert!(peer.connected, "{relay} is asked while it is connected");
        assert!(!filters.is_empty() && (mode == Mode::Live || filters.len() == 1));
        assert_eq!(filters[0].limit.is_none(), negotiates, "pages and live filters have a limit");
        let items: Vec<(Item, String)> = filters.iter().flat_map(items_of).collect();
        for (other, open) in peer.open.iter().filter(|(_, open)| open.mode == mode) {
            let both = open.items.iter().find(|item| items.contains(item));
            assert!(both.is_none(), "{id} and {other} of {relay} are both about {both:?}");
        }
        if self.thorough {
            // A history may go on for an item that is wanted no more; a new subscription is for what is wanted.
            let wanted = self.wanted.get(relay);
            let mut needless = items.iter().filter(|(item, _)| wanted.is_none_or(|all| !all.contains(item)));
            assert!(mode == Mode::Historic || needless.next().is_none(), "{relay}: nobody wants all of {id}");
        }
        if mode == Mode::Historic {
            self.asked.extend(filters.iter().cloned());
        }
        peer.open.insert(id, Open { mode, negotiates, filters, items, answered: false, since: self.now });
    }

    fn check_bounds(&self) {
        let connecting = self.peers.values().filter(|peer| peer.connecting).count();
        assert!(connecting <= CONNECTING_AT_ONCE);
        for (url, peer) in &self.peers {
            let Some(ceilings) = self.planner.ceilings(url) else {
                assert!(!peer.connected && !peer.connecting, "{url} is connected and not dealt with");
                continue;
            };
            let historic = peer.open.values().filter(|open| open.mode == Mode::Historic).count();
            // A relay that does not answer is taken to have done so after a while.
            let is_new = |open: &&Open| {
                open.mode == Mode::Live && !open.answered && self.now.since(open.since) < OPENING_TIMEOUT
            };
            let unanswered = peer.open.values().filter(is_new).count();
            assert!(peer.open.len() <= ceilings.subscriptions, "{url}: {} subscriptions", peer.open.len());
            assert!(historic <= HISTORIES_AT_ONCE);
            assert!(unanswered <= OPENING_AT_ONCE, "{url}: {unanswered} are being opened");
            for open in peer.open.values() {
                assert!(open.filters.len() <= 100);
                let values = |filter: &Filter| filter.generic_tags.values().map(BTreeSet::len).sum::<usize>();
                assert!(open.filters.iter().all(|filter| values(filter) <= MAX_FILTER_VALUES));
                assert!(serde_json::to_string(&open.filters).unwrap().len() < 128 << 10);
            }
        }
    }

    /// What is wanted is somewhere, exactly once; what is not is nowhere.
    fn check_inside(&self) {
        for (url, live, history, link) in self.planner.lanes() {
            let wanted = self.wanted.get(url).cloned().unwrap_or_default();
            assert_eq!(history.items(), wanted, "{url}: want = to do + in flight + confirmed");
            for item in &wanted {
                let places = history.places(item);
                assert_eq!(places.iter().filter(|is| **is).count(), 1, "{url}: {item:?} is at {places:?}");
            }
            if matches!(link, Link::Connected { .. }) {
                let live_items: BTreeSet<Item> = wanted.into_iter().filter(Item::is_live).collect();
                assert_eq!(live.items(), live_items, "{url}: what is wanted is subscribed for or waits");
            }
            assert!(live.most_subscribed() <= 1, "{url}");
        }
    }

    /// Lets time pass: the planner is woken whenever it wants to be.
    pub(super) fn pass(&mut self, wait: Duration) {
        let until = self.now + wait;
        while let Some(wake) = self.planner.next_wake().filter(|wake| *wake <= until) {
            self.now = self.now.max(wake);
            self.tell(Input::Tick);
        }
        self.now = until;
        self.tell(Input::Tick);
    }

    /// Everything that waits for an answer, in order.
    pub(super) fn unanswered(&self) -> Vec<(RelayUrl, Option<SubscriptionId>)> {
        let mut all = Vec::new();
        for (url, peer) in &self.peers {
            if peer.connecting || peer.leaving {
                all.push((url.clone(), None));
            }
            let open = peer.open.iter().filter(|(_, open)| !open.answered);
            all.extend(open.map(|(id, _)| (url.clone(), Some(*id))));
        }
        all
    }

    /// Answers one question as a well-behaved relay with nothing to tell does.
    pub(super) fn answer_well(&mut self, relay: &RelayUrl, id: Option<SubscriptionId>) {
        let relay = relay.clone();
        let Some(peer) = self.peers.get(&relay) else { return };
        let input = match id.and_then(|id| Some((id, peer.open.get(&id)?))) {
            Some((subscription, open)) if open.negotiates => Input::BatchDone { relay, subscription },
            Some((subscription, _)) => Input::Eose { relay, subscription, page: Page::default() },
            None if peer.leaving => Input::Disconnected { relay, why: Unreachable::Asked },
            None if peer.connecting => Input::Connected { relay },
            None => return,
        };
        self.tell(input);
    }

    /// Answers everything well until nobody waits for an answer.
    pub(super) fn answer_all(&mut self) {
        loop {
            let unanswered = self.unanswered();
            if unanswered.is_empty() {
                return;
            }
            for (relay, id) in unanswered {
                self.answer_well(&relay, id);
            }
        }
    }

    /// What is wanted and was not fetched to its beginning since.
    pub(super) fn forgotten(&self) -> Vec<Asked> {
        let all = self.wanted.iter().flat_map(|(relay, items)| items.iter().map(move |item| (relay, item)));
        let asked = all.flat_map(|(relay, item)| {
            tags_of(item).iter().map(move |tag| (relay.clone(), item.clone(), (*tag).to_owned()))
        });
        asked.filter(|asked| !self.fetched.contains(asked)).collect()
    }

    /// What is wanted and not subscribed for, at relays that are connected.
    pub(super) fn not_live(&self) -> Vec<(RelayUrl, Item)> {
        let mut missing = Vec::new();
        for (url, peer) in self.peers.iter().filter(|(_, peer)| peer.connected) {
            let live = peer.open.values().filter(|open| open.mode == Mode::Live);
            let live: HashSet<&(Item, String)> = live.flat_map(|open| &open.items).collect();
            for item in self.wanted.get(url).into_iter().flatten().filter(|item| item.is_live()) {
                if !tags_of(item).iter().all(|tag| live.contains(&(item.clone(), (*tag).to_owned()))) {
                    missing.push((url.clone(), item.clone()));
                }
            }
        }
        missing
    }

    /// Whether a question is a reconciliation.
    pub(super) fn negotiates(&self, relay: &RelayUrl, id: SubscriptionId) -> bool {
        self.peers[relay].open.get(&id).is_some_and(|open| open.negotiates)
    }

    /// Up to when a page is asked for, in Unix seconds.
    pub(super) fn until(&self, relay: &RelayUrl, id: SubscriptionId) -> Option<u64> {
        Some(self.peers[relay].open.get(&id)?.filters[0].until?.as_secs())
    }

    /// The relays that are wanted.
    pub(super) fn wanted(&self) -> Vec<RelayUrl> {
        self.wanted.keys().cloned().collect()
    }
}

/// By which tags an item has to be asked for.
fn tags_of(item: &Item) -> &'static [&'static str] {
    match item {
        Item::Announcements => &[""],
        Item::Identifier(_) => &["d"],
        Item::Repository(_) => &["a", "A", "q"],
        Item::Root(_) => &["e", "E", "q"],
    }
}

/// What a filter asks for.
fn items_of(filter: &Filter) -> Vec<(Item, String)> {
    if filter.generic_tags.is_empty() {
        return vec![(Item::Announcements, String::new())];
    }
    let item = |tag: &str, value: &String| match tag {
        "d" => Item::Identifier(Identifier::new(value).unwrap()),
        _ => value
            .parse::<Coordinate>()
            .map_or_else(|_| Item::Root(EventId::from_hex(value).unwrap()), Item::Repository),
    };
    let tags = filter.generic_tags.iter();
    tags.flat_map(|(tag, values)| {
        values.iter().map(move |value| (item(tag.as_str(), value), tag.as_str().to_owned()))
    })
    .collect()
}
