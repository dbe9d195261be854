//! A simulated server: the real planner and the real hunt, and around them what the engine and the hunter do.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::sync::Arc;

use futures_util::FutureExt as _;
use nostr::event::{Event, EventId};
use nostr::filter::Filter;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use super::breakage::Breakage;
use super::scenario::{Character, Role, Setup, domain};
use super::watch::Watch;
use super::wire::Offer;
use super::world::{Happening, LinkId, World};
use crate::admission::Family;
use crate::nip34::{Announcement, Coordinate, Identifier, Oid, PullRequest, STATE, State};
use crate::sync::hunt::{End, FetchId, Hunt, HuntAction, HuntInput, HuntSettings, Lead, Origin, Quarry};
use crate::sync::refused::{Bounds as RefusedBounds, Refused};
use crate::sync::self_subscriber::{self, Batching, Hunted, News, SelfSubscriber};
use crate::sync::{Action, CloneUrl, Input, Millis, Planner, RelayUrl, Settings};

/// The most servers of one waiting event.
const MAX_SERVERS: usize = 50;

/// A fetch that runs.
pub(super) struct Fetch {
    pub(super) repository: Coordinate,
    server: CloneUrl,
    oids: BTreeSet<Oid>,
}

/// What a restart loses.
pub(super) struct Server {
    pub(super) planner: Planner,
    hunt: Hunt,
    pub(super) subscriber: Arc<SelfSubscriber>,
    batching: Batching,
    gathered: Vec<Input>,
    pub(super) refused: Refused,
    pub(super) ever_refused: HashSet<EventId>,
    pub(super) links: HashMap<RelayUrl, LinkId>,
    /// Relays that were connected to before.
    pub(super) seen: HashSet<RelayUrl>,
    hunted: HashMap<EventId, Identifier>,
    parts: BTreeMap<Identifier, BTreeSet<Oid>>,
    pub(super) running: BTreeMap<FetchId, Fetch>,
    again: VecDeque<Offer>,
    woken: Option<Millis>,
    pub(super) expiry: Option<Millis>,
    rng: StdRng,
    pub(super) watch: Watch,
}

impl Server {
    /// When the planner and the hunt are due.
    pub(super) fn next_wakes(&self) -> [Option<Millis>; 2] {
        [self.planner.next_wake(), self.hunt.next_wake()]
    }

    fn new(node: usize, setup: &Setup, now: Millis, seed: u64, bootstrap: Vec<RelayUrl>) -> Self {
        let settings = Settings {
            bootstrap,
            negentropy: setup.negentropy,
            startup_jitter: setup.startup,
            ..Settings::new(domain(node))
        };
        let small = RefusedBounds { ids: 8, bytes: 6_000, names: 2 };
        let bounds = if setup.forgetful { small } else { RefusedBounds::default() };
        Self {
            planner: Planner::new(settings, now),
            hunt: Hunt::new(HuntSettings::new(domain(node))),
            subscriber: Arc::default(),
            batching: Batching::new(setup.window),
            gathered: Vec::new(),
            refused: Refused::new(bounds),
            ever_refused: HashSet::new(),
            links: HashMap::new(),
            seen: HashSet::new(),
            hunted: HashMap::new(),
            parts: BTreeMap::new(),
            running: BTreeMap::new(),
            again: VecDeque::new(),
            woken: None,
            expiry: None,
            rng: StdRng::seed_from_u64(seed),
            watch: Watch::new(now),
        }
    }
}

impl World {
    /// A server starts, with what it has on its disk.
    pub(super) fn start(&mut self, node: usize) {
        let scenario = Arc::clone(&self.scenario);
        let Role::Server(setup) = &scenario.cast[node].role else { return };
        if self.nodes[node].server.is_some() {
            return;
        }
        let bootstrap = setup.bootstrap.iter().map(|node| self.nodes[*node].url.clone()).collect();
        let server = Server::new(node, setup, self.now, self.rng.random(), bootstrap);
        self.nodes[node].up = true;
        self.nodes[node].server = Some(Box::new(server));
        self.look_at_everything(node);
        self.tell(node, Input::Tick);
        let waiting = self.waiting(node);
        waiting.into_iter().for_each(|id| self.want(node, id));
        self.follow_up(node);
    }

    /// Everything that is known, for the planner.
    fn look_at_everything(&mut self, node: usize) {
        let house = &self.nodes[node].house;
        let served = house.served.values();
        let announced = served.clone().filter_map(|event| Announcement::from_event(event).ok());
        let mut inputs: Vec<Input> =
            announced.map(|known| self_subscriber::repository(&known, true)).collect();
        let mut waiting: Vec<&Event> = house.purgatory.iter().map(|waiting| &waiting.event).collect();
        waiting.sort_by_key(|event| event.id);
        let waiting = waiting.into_iter().filter_map(|event| Announcement::from_event(event).ok());
        inputs.extend(waiting.map(|known| self_subscriber::repository(&known, false)));
        inputs.extend(served.filter_map(|event| self_subscriber::root(event)));
        inputs.into_iter().for_each(|input| self.tell(node, input));
    }

    fn waiting(&self, node: usize) -> Vec<EventId> {
        let mut waiting: Vec<EventId> =
            self.nodes[node].house.purgatory.iter().map(|waiting| waiting.event.id).collect();
        waiting.sort();
        waiting
    }

    /// A report of a worker.
    pub(super) fn reported(&mut self, node: usize, input: Input) {
        self.tell(node, input);
        self.pump(node);
    }

    /// Tells the planner what has happened, and does what it says.
    fn tell(&mut self, node: usize, input: Input) {
        if matches!(input, Input::RootSeen { .. }) && self.breaks(Breakage::RootsAreWithheld) {
            return;
        }
        let now = self.now;
        let Some(server) = &mut self.nodes[node].server else { return };
        let heard = (self.log.is_some() && !matches!(input, Input::Tick)).then(|| heard(&input));
        server.watch.heard(&input, now);
        let actions = server.planner.handle(input, now, &mut server.rng);
        if let Some(heard) = heard {
            self.say(|| format!("{node} hears {heard}"));
        }
        for action in actions {
            self.say(|| format!("{node} {}", told(&action)));
            let Some(server) = &mut self.nodes[node].server else { return };
            let done = server.watch.does(&action, now);
            self.most_questions = self.most_questions.max(server.watch.most_questions);
            self.most_attempts = self.most_attempts.max(server.watch.most_attempts);
            if let Err((rule, how)) = done {
                self.complain(rule, format!("{node}: {how}"));
            }
            self.act(node, action);
        }
        if let Some(server) = &self.nodes[node].server
            && let Err((rule, how)) = server.watch.check(&server.planner, now)
        {
            self.complain(rule, format!("{node}: {how}"));
        }
    }

    fn act(&mut self, node: usize, action: Action) {
        let link =
            |world: &Self, relay: &RelayUrl| world.nodes[node].server.as_ref()?.links.get(relay).copied();
        match action {
            Action::Connect { relay } => self.dial(node, &relay),
            Action::Disconnect { relay, .. } => {
                if let Some(id) = link(self, &relay) {
                    self.after(1, Happening::Ends(id, crate::sync::Unreachable::Asked));
                }
            }
            Action::Subscribe { relay, subscription, mode, filters } => {
                if let Some(id) = link(self, &relay) {
                    self.open(id, subscription, mode, filters);
                }
            }
            Action::Unsubscribe { relay, subscription } => {
                if let Some(id) = link(self, &relay) {
                    self.unsubscribe(id, subscription);
                }
            }
            Action::Negotiate { relay, subscription, filter } => {
                if let Some(id) = link(self, &relay) {
                    self.negotiate(id, subscription, filter);
                }
            }
        }
    }

    /// Hears what has happened in the house, and notes when there is something to do next.
    pub(super) fn pump(&mut self, node: usize) {
        while let Some(server) = &self.nodes[node].server
            && let Some(news) = server.subscriber.hunted().now_or_never()
        {
            news.changes.into_iter().for_each(|change| self.hear_of_hunted(node, change));
        }
        if let Some(server) = &self.nodes[node].server
            && let Some(news) = server.subscriber.news().now_or_never()
        {
            self.hear_of_news(node, news);
        }
        self.send_gathered(node);
        self.note_wake(node);
    }

    fn hear_of_news(&mut self, node: usize, news: News) {
        let withheld = self.breaks(Breakage::ArrivalsAreWithheld);
        let Some(server) = &mut self.nodes[node].server else { return };
        server.gathered.extend(news.changes);
        let again = if withheld { Vec::new() } else { server.refused.look_again(&news.names) };
        if again.is_empty() {
            return;
        }
        let idle = server.again.is_empty();
        server.again.extend(again.into_iter().map(|event| Offer::Fetched(Arc::new(event))));
        if idle {
            let boot = self.nodes[node].boot;
            let wait = self.rng.random_range(0..20);
            self.after(wait, Happening::Again { node, boot });
        }
    }

    /// Offers again what was refused before.
    pub(super) fn take_in_again(&mut self, node: usize) {
        let Some(offer) = self.nodes[node].server.as_mut().and_then(|server| server.again.pop_front()) else {
            return;
        };
        // It was verified before, and need not be unknown.
        let left = match offer {
            Offer::Fetched(event) => self.submit(node, &event),
            other => self.take(node, None, other),
        };
        let Some(server) = &mut self.nodes[node].server else { return };
        left.into_iter().for_each(|left| server.again.push_front(left));
        if !server.again.is_empty() {
            let boot = self.nodes[node].boot;
            let wait = self.rng.random_range(0..10);
            self.after(wait, Happening::Again { node, boot });
        }
        self.follow_up(node);
    }

    fn send_gathered(&mut self, node: usize) {
        let instant = self.instant();
        let Some(server) = &mut self.nodes[node].server else { return };
        if server.gathered.is_empty() || server.batching.due(instant) > instant {
            return;
        }
        server.batching.sent(instant);
        for input in std::mem::take(&mut server.gathered) {
            self.tell(node, input);
        }
    }

    fn note_wake(&mut self, node: usize) {
        let instant = self.instant();
        let Some(server) = &self.nodes[node].server else { return };
        let gathered = (!server.gathered.is_empty()).then(|| self.millis(server.batching.due(instant)));
        let planner = server.planner.next_wake().filter(|_| !self.breaks(Breakage::NobodyIsWoken));
        let wake = gathered.into_iter().chain(planner).chain(server.hunt.next_wake()).min();
        let (Some(wake), boot) = (wake, self.nodes[node].boot) else { return };
        let wake = wake.max(self.now);
        let Some(server) = &mut self.nodes[node].server else { return };
        if server.woken.is_none_or(|known| wake < known) {
            server.woken = Some(wake);
            self.at(wake, Happening::Wake { node, boot });
        }
    }

    pub(super) fn wake(&mut self, node: usize) {
        let now = self.now;
        let Some(server) = &mut self.nodes[node].server else { return };
        if server.woken != Some(now) {
            return;
        }
        server.woken = None;
        let (planner, hunt) = (server.planner.next_wake(), server.hunt.next_wake());
        if planner.is_some_and(|due| due <= now) && !self.breaks(Breakage::NobodyIsWoken) {
            self.tell(node, Input::Tick);
        }
        if hunt.is_some_and(|due| due <= now) {
            self.tell_hunt(node, HuntInput::Tick);
        }
        self.pump(node);
    }

    fn hear_of_hunted(&mut self, node: usize, change: Hunted) {
        match change {
            Hunted::Waits(_) if self.breaks(Breakage::WaitingIsWithheld) => {}
            Hunted::Waits(id) => self.want(node, id),
            Hunted::Leaves(id) => {
                let server = self.nodes[node].server.as_ref();
                let identifier = server.and_then(|server| server.hunted.get(&id).cloned());
                self.settled(node, &id);
                if let Some(identifier) = identifier {
                    self.look_for(node, &identifier);
                }
            }
            Hunted::Announced(identifier) => self.look_for(node, &identifier),
        }
    }

    fn look_for(&mut self, node: usize, identifier: &Identifier) {
        let purgatory = &self.nodes[node].house.purgatory;
        let waiting: Vec<EventId> = purgatory.of(identifier).map(|waiting| waiting.event.id).collect();
        waiting.into_iter().for_each(|id| self.want(node, id));
    }

    /// Describes a waiting event to the hunt.
    fn want(&mut self, node: usize, id: EventId) {
        match self.quarry(node, &id) {
            Some(quarry) => {
                let Some(server) = &mut self.nodes[node].server else { return };
                server.hunted.insert(id, quarry.repository.identifier.clone());
                self.tell_hunt(node, HuntInput::Wanted(quarry));
            }
            None => self.settled(node, &id),
        }
    }

    /// A waiting event as the hunt sees it.
    pub(super) fn quarry(&self, node: usize, id: &EventId) -> Option<Quarry> {
        let house = &self.nodes[node].house;
        let waiting = house.purgatory.get(id)?;
        let origin = if waiting.synced { Origin::Synced } else { Origin::Published };
        let lead = if waiting.event.kind == STATE {
            let state = State::from_event(&waiting.event).ok()?;
            Lead::of_state(house.families.get(&state.identifier)?, &state)?
        } else {
            let pull = PullRequest::from_event(&waiting.event).ok()?;
            let named = pull.repositories.iter().map(|named| &named.identifier);
            let families: BTreeMap<Identifier, Family> = named
                .filter_map(|identifier| Some((identifier.clone(), house.families.get(identifier)?.clone())))
                .collect();
            Lead::of_pull(&pull, &families)?
        };
        let Lead { repository, mut wanted, mut servers } = lead;
        let here = house.objects.get(&repository.identifier);
        let parts = self.nodes[node].server.as_ref().and_then(|s| s.parts.get(&repository.identifier));
        let has = |oids: Option<&BTreeSet<Oid>>, oid: &Oid| oids.is_some_and(|oids| oids.contains(oid));
        wanted.retain(|(oid, _)| !has(here, oid) && !has(parts, oid));
        servers.truncate(MAX_SERVERS);
        Some(Quarry { event: *id, repository, missing: wanted, servers, origin })
    }

    fn settled(&mut self, node: usize, id: &EventId) {
        let Some(server) = &mut self.nodes[node].server else { return };
        let Some(identifier) = server.hunted.remove(id) else { return };
        if self.nodes[node].house.purgatory.of(&identifier).next().is_none()
            && let Some(server) = &mut self.nodes[node].server
        {
            server.parts.remove(&identifier);
        }
        self.tell_hunt(node, HuntInput::Settled(*id));
    }

    fn tell_hunt(&mut self, node: usize, input: HuntInput) {
        let now = self.now;
        let Some(server) = &mut self.nodes[node].server else { return };
        let actions = server.hunt.handle(input, now, &mut server.rng);
        for action in actions {
            match action {
                HuntAction::Fetch { fetch, repository, server: from, wants, .. } => {
                    self.say(|| format!("{node} fetches {} objects from {from}", wants.len()));
                    let oids = wants.into_iter().map(|(oid, _)| oid).collect();
                    self.fetch(node, fetch, Fetch { repository, server: from, oids });
                }
                HuntAction::Abandon { fetch } => {
                    let Some(server) = &mut self.nodes[node].server else { return };
                    if server.running.remove(&fetch).is_some() {
                        self.tell_hunt(
                            node,
                            HuntInput::Fetched { fetch, here: Vec::new(), end: End::Answered },
                        );
                    }
                }
            }
        }
    }

    fn fetch(&mut self, node: usize, fetch: FetchId, job: Fetch) {
        let (now, from, boot) = (self.now, job.server.clone(), self.nodes[node].boot);
        let Some(server) = &mut self.nodes[node].server else { return };
        if let Err((rule, how)) = server.watch.fetches(&job.repository, &from, now) {
            self.complain(rule, format!("{node}: {how}"));
        }
        let Some(server) = &mut self.nodes[node].server else { return };
        server.running.insert(fetch, job);
        if let Err((rule, how)) = server
            .watch
            .runs(&server.running.values().map(|j| (&j.repository, &j.server)).collect::<Vec<_>>())
        {
            self.complain(rule, format!("{node}: {how}"));
        }
        let (wait, end) = match self.host(&from).map(|host| &self.scenario.cast[host].role) {
            Some(Role::Server(_)) if self.rng.random_ratio(1, 20) && !self.calm => {
                (100, Some(End::RateLimited))
            }
            Some(Role::Server(_)) => (self.rng.random_range(20..3_000), None),
            Some(Role::Other(Character::Mute | Character::Slow)) => (120_000, Some(End::Failed)),
            Some(Role::Other(Character::Doorkeeper)) => (100, Some(End::RateLimited)),
            Some(Role::Other(Character::Gossip | Character::Liar)) => (500, Some(End::Answered)),
            Some(Role::Other(Character::Closer)) => (500, Some(End::OidsRefused)),
            _ => (self.rng.random_range(10..10_000), Some(End::Failed)),
        };
        self.after(wait, Happening::Fetched { node, boot, fetch, end });
    }

    fn host(&self, server: &CloneUrl) -> Option<usize> {
        let name = server.host().split(':').next()?.strip_prefix('n')?;
        name.split('.').next()?.parse().ok()
    }

    /// A fetch is over: at the other end's fault, or with what it has.
    pub(super) fn fetched(&mut self, node: usize, fetch: FetchId, end: Option<End>) {
        let Some(job) = self.nodes[node].server.as_ref().and_then(|server| server.running.get(&fetch)) else {
            return;
        };
        let (repository, oids) = (job.repository.clone(), job.oids.clone());
        let from = self.host(&job.server).filter(|from| self.nodes[*from].up && !self.is_cut(node, *from));
        let brought = end.is_none().then(|| {
            let from = &self.nodes[from?];
            let mut parts = job.server.as_str().rsplit('/');
            let named = (parts.next()?, parts.next()?);
            from.house.serves_objects(&Coordinate::from_path(named.1, named.0)?, &oids)
        });
        let (here, end) = match (brought.flatten(), end) {
            (Some(here), _) => (here, End::Answered),
            (None, end) => (BTreeSet::new(), end.unwrap_or(End::Failed)),
        };
        let identifier = repository.identifier;
        if !here.is_empty() {
            let Some(server) = &mut self.nodes[node].server else { return };
            let parts = server.parts.entry(identifier.clone()).or_default();
            parts.extend(&here);
            let parts = parts.clone();
            let news = Arc::clone(&server.subscriber);
            self.nodes[node].house.land(&identifier, &parts, &news);
        }
        if let Some(server) = &mut self.nodes[node].server {
            server.running.remove(&fetch);
        }
        self.tell_hunt(node, HuntInput::Fetched { fetch, here: here.into_iter().collect(), end });
        self.follow_up(node);
    }
}

fn shorten(text: &str) -> String {
    text.chars().take(300).collect()
}

/// What is heard, for people who read a log.
fn heard(input: &Input) -> String {
    match input {
        Input::Eose { relay, subscription, page } => {
            format!("the end of {subscription} of {relay}, {} results", page.results)
        }
        other => shorten(&format!("{other:?}")),
    }
}

/// What is done, for people who read a log.
fn told(action: &Action) -> String {
    let json = |filters: &[Filter]| shorten(&serde_json::to_string(filters).unwrap_or_default());
    match action {
        Action::Connect { relay } => format!("dials {relay}"),
        Action::Disconnect { relay, why } => format!("leaves {relay}: {why}"),
        Action::Subscribe { relay, subscription, mode, filters } => {
            format!("asks {relay}, {subscription}, {mode:?}: {}", json(filters))
        }
        Action::Unsubscribe { relay, subscription } => format!("tells {relay} to end {subscription}"),
        Action::Negotiate { relay, subscription, filter } => {
            format!("reconciles with {relay}, {subscription}: {}", json(std::slice::from_ref(filter)))
        }
    }
}
