//! The hunt: which missing git objects are fetched from which server, and when (requirements G02/git/state, G02/git/pr).
//!
//! Pure, like the planner. A *quarry* is a waiting event with the objects it lacks and the servers that may have them; an
//! *errand* is one server asked for everything that one repository's quarries lack. One errand of a repository at a time,
//! unless it takes long; so several servers that each have a part complete one quarry, and what one fetch has brought is not
//! asked for again. For the same reason an errand gives way, for a while, to one of another repository of its family: forks and
//! co-maintainers' repositories have most of their history in common. Hosts serve the errands of all repositories in the order in which they became due.

mod errands;
mod host;
mod input;
mod lead;
mod quarry;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::Duration;

use nostr::event::EventId;
use rand::RngCore;

use super::bounds::{
    DAILY, FETCHES_AT_ONCE, HUNT_BACKOFF, MAX_QUARRIES, MAX_WANTS, PUBLISHED_WAIT, RATE_LIMIT_PAUSE,
    SYNCED_WAIT,
};
use super::health::backoff;
use super::millis::{Millis, between, jittered};
use super::url::CloneUrl;
use crate::fault;
use crate::nip34::{Coordinate, Identifier, Oid, RefName, ServiceDomain};

use errands::{Errand, Errands};
use host::Hosts;
pub use input::{By, End, FetchId, HuntAction, HuntInput, Origin, Quarry};
pub use lead::Lead;
use quarry::Hunted;

/// Settings of the hunt.
#[derive(Debug, Clone)]
pub struct HuntSettings {
    /// This service: never a server to fetch from.
    pub service: ServiceDomain,
    /// Longest wait between two attempts at one server: "no less often than every hour".
    pub max_backoff: Duration,
}

impl HuntSettings {
    /// An hour at most.
    #[must_use]
    pub const fn new(service: ServiceDomain) -> Self {
        Self { service, max_backoff: Duration::from_secs(60 * 60) }
    }
}

/// How one quarry stands, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct QuarryStatus {
    /// The event.
    pub event: EventId,
    /// Its repository.
    pub repository: Coordinate,
    /// Objects that are still missing.
    pub missing: usize,
    /// Servers that may have them.
    pub servers: usize,
    /// Fetches that were made for it and did not complete it.
    pub attempts: u32,
    /// When the next fetch for it is due; `None` while one runs, or when no server is known.
    pub next: Option<Millis>,
}

/// A fetch that runs.
#[derive(Debug)]
struct Running {
    errand: Errand,
    by: By,
    events: BTreeSet<EventId>,
}

/// See the module.
#[derive(Debug)]
pub struct Hunt {
    settings: HuntSettings,
    quarries: BTreeMap<EventId, Hunted>,
    of_repository: HashMap<Coordinate, BTreeSet<EventId>>,
    of_family: HashMap<Identifier, BTreeSet<EventId>>,
    errands: Errands,
    hosts: Hosts,
    running: BTreeMap<FetchId, Running>,
    next_id: u64,
    left_out: u64,
}

impl Hunt {
    /// A hunt for nothing yet.
    #[must_use]
    pub fn new(settings: HuntSettings) -> Self {
        Self {
            settings,
            quarries: BTreeMap::new(),
            of_repository: HashMap::new(),
            of_family: HashMap::new(),
            errands: Errands::default(),
            hosts: Hosts::default(),
            running: BTreeMap::new(),
            next_id: 0,
            left_out: 0,
        }
    }

    /// Takes in what has happened, and returns what to do, in order.
    ///
    /// `rng` is asked for jitter only: the same inputs with the same generator give the same actions.
    pub fn handle(&mut self, input: HuntInput, now: Millis, rng: &mut dyn RngCore) -> Vec<HuntAction> {
        let mut actions = Vec::new();
        match input {
            HuntInput::Wanted(quarry) => self.want(quarry, now, rng),
            HuntInput::Settled(event) => self.settle(&event, &mut actions),
            HuntInput::Here { repository, oids } => {
                self.arrived(&repository.identifier, &oids, &mut actions);
            }
            HuntInput::Fetched { fetch, here, end } => {
                self.fetched(fetch, &here, end, (now, rng), &mut actions);
            }
            HuntInput::Tick => {}
        }
        self.run(now, &mut actions);
        actions
    }

    /// When [`HuntInput::Tick`] is due next; `None`: only when something happens. Ask again after each
    /// [`Self::handle`].
    #[must_use]
    pub fn next_wake(&self) -> Option<Millis> {
        if self.running.len() >= FETCHES_AT_ONCE {
            return None;
        }
        self.errands.next_wake().into_iter().chain(self.hosts.next_wake()).min()
    }

    /// How each quarry stands.
    pub fn quarries(&self) -> impl Iterator<Item = QuarryStatus> + '_ {
        self.quarries.iter().map(|(event, hunted)| QuarryStatus {
            event: *event,
            repository: hunted.repository.clone(),
            missing: hunted.missing.len(),
            servers: hunted.servers.len(),
            attempts: hunted.attempts,
            next: self.next_of(event, hunted),
        })
    }

    /// Quarries that were left out for being too many.
    #[must_use]
    pub const fn left_out(&self) -> u64 {
        self.left_out
    }

    fn next_of(&self, event: &EventId, hunted: &Hunted) -> Option<Millis> {
        let runs = self.running.values().any(|running| running.events.contains(event));
        if runs { None } else { hunted.servers.values().map(|server| hunted.due(server)).min() }
    }

    fn want(&mut self, quarry: Quarry, now: Millis, rng: &mut dyn RngCore) {
        let wait = match quarry.origin {
            Origin::Synced if fault::is("git-data-fetched-late") => Duration::from_secs(20),
            Origin::Synced => SYNCED_WAIT,
            Origin::Published => between(rng, PUBLISHED_WAIT.0, PUBLISHED_WAIT.1),
        };
        if let Some(before) = self.quarries.get(&quarry.event)
            && before.repository != quarry.repository
        {
            self.forget(&quarry.event);
        }
        if self.quarries.len() >= MAX_QUARRIES && !self.quarries.contains_key(&quarry.event) {
            self.left_out += 1;
            return;
        }
        let event = quarry.event;
        let hunted = self.quarries.entry(event).or_insert_with(|| Hunted::new(&quarry, now + wait));
        hunted.update(&quarry, &self.settings.service, now);
        if hunted.missing.is_empty() {
            self.forget(&event);
            return;
        }
        self.of_repository.entry(quarry.repository.clone()).or_default().insert(event);
        self.of_family.entry(quarry.repository.identifier.clone()).or_default().insert(event);
        self.reschedule(&quarry.repository);
    }

    /// Nobody waits for it any more.
    fn settle(&mut self, event: &EventId, actions: &mut Vec<HuntAction>) {
        let Some(hunted) = self.forget(event) else { return };
        self.reschedule(&hunted.repository);
        for (fetch, running) in &mut self.running {
            if running.errand.0 == hunted.repository
                && running.events.remove(event)
                && running.events.is_empty()
            {
                actions.push(HuntAction::Abandon { fetch: *fetch });
            }
        }
    }

    fn forget(&mut self, event: &EventId) -> Option<Hunted> {
        let hunted = self.quarries.remove(event)?;
        remove_from(&mut self.of_repository, &hunted.repository, event);
        remove_from(&mut self.of_family, &hunted.repository.identifier, event);
        for server in hunted.servers.keys() {
            let errand = (hunted.repository.clone(), server.clone());
            if !self.is_needed(&errand) {
                self.errands.remove(&errand);
            }
        }
        Some(hunted)
    }

    fn is_needed(&self, (repository, server): &Errand) -> bool {
        let events = self.of_repository.get(repository).into_iter().flatten();
        events.filter_map(|event| self.quarries.get(event)).any(|hunted| hunted.servers.contains_key(server))
    }

    /// Objects are here: quarries that lack nothing more are over.
    fn arrived(&mut self, family: &Identifier, oids: &[Oid], actions: &mut Vec<HuntAction>) {
        let mut complete = Vec::new();
        for event in self.of_family.get(family).into_iter().flatten() {
            let Some(hunted) = self.quarries.get_mut(event) else { continue };
            for oid in oids {
                hunted.missing.remove(oid);
            }
            complete.extend(hunted.missing.is_empty().then_some(*event));
        }
        for event in complete {
            self.settle(&event, actions);
        }
    }

    fn fetched(
        &mut self,
        fetch: FetchId,
        here: &[Oid],
        end: End,
        (now, rng): (Millis, &mut dyn RngCore),
        actions: &mut Vec<HuntAction>,
    ) {
        let Some(running) = self.running.remove(&fetch) else { return };
        let (repository, server) = &running.errand;
        self.hosts.ended(server.host());
        for errand in self.errands.ended(&running.errand, fetch) {
            self.hosts.queue(errand);
        }
        self.arrived(&repository.identifier, here, actions);
        let by_ref = end == End::OidsRefused && running.by == By::Oid;
        if by_ref {
            self.errands.ask_by_ref(&running.errand);
        }
        if end == End::RateLimited {
            let pause = between(rng, RATE_LIMIT_PAUSE.0, RATE_LIMIT_PAUSE.1);
            let pause = if fault::is("busy-hosts-not-spared") { pause / 60 } else { pause };
            self.hosts.pause(server.host(), now + pause);
        }
        for event in &running.events {
            let Some(hunted) = self.quarries.get_mut(event) else { continue };
            hunted.attempts += u32::from(!by_ref);
            let Some(tried) = hunted.servers.get_mut(server) else { continue };
            if by_ref || end == End::RateLimited {
                tried.next = now;
                continue;
            }
            tried.failures += 1;
            let wait = backoff(HUNT_BACKOFF, self.settings.max_backoff, tried.failures);
            let wait = if fault::is("failed-fetches-never-again") { DAILY.0 } else { wait };
            tried.next = now + jittered(rng, wait);
        }
        // Other repositories of the family may have given way to this fetch.
        for repository in self.family_of(repository) {
            self.reschedule(&repository);
        }
        if !self.is_needed(&running.errand) {
            self.errands.remove(&running.errand);
        }
    }

    /// The repositories of a repository's family for which something is hunted.
    fn family_of(&self, repository: &Coordinate) -> BTreeSet<Coordinate> {
        let events = self.of_family.get(&repository.identifier).into_iter().flatten();
        events.filter_map(|event| Some(self.quarries.get(event)?.repository.clone())).collect()
    }

    /// When each errand of a repository is due: as soon as one of its quarries wants the server.
    fn reschedule(&mut self, repository: &Coordinate) {
        let mut due: BTreeMap<&CloneUrl, Millis> = BTreeMap::new();
        let events = self.of_repository.get(repository).into_iter().flatten();
        for hunted in events.filter_map(|event| self.quarries.get(event)) {
            for (server, tried) in &hunted.servers {
                let next = hunted.due(tried);
                let known = due.entry(server).or_insert(next);
                *known = next.min(*known);
            }
        }
        for (server, due) in due {
            self.errands.schedule((repository.clone(), server.clone()), due);
        }
    }

    /// Starts what is due and possible.
    fn run(&mut self, now: Millis, actions: &mut Vec<HuntAction>) {
        for errand in self.errands.due(now) {
            self.hosts.queue(errand);
        }
        while self.running.len() < FETCHES_AT_ONCE
            && let Some(errand) = self.hosts.next(now)
        {
            if !self.errands.is_queued(&errand) {
                continue;
            }
            if !self.errands.may_start(&errand, now) {
                self.errands.park(errand);
                continue;
            }
            if self.errands.gives_way(&errand, now) {
                continue;
            }
            self.start(errand, now, actions);
        }
    }

    fn start(&mut self, errand: Errand, now: Millis, actions: &mut Vec<HuntAction>) {
        let (repository, server) = &errand;
        let of_repository = self.of_repository.get(repository).into_iter().flatten();
        let quarries = of_repository.filter_map(|event| Some((event, self.quarries.get(event)?)));
        let next = |hunted: &Hunted| hunted.servers.get(server).map(|tried| tried.next);
        // Those whose turn it is come first; the others go along if there is room.
        let mut ready: Vec<_> = quarries
            .filter(|(_, hunted)| hunted.ready <= now)
            .filter_map(|(event, hunted)| Some((next(hunted)?, event, hunted)))
            .collect();
        ready.sort_by_key(|(next, event, _)| (*next, *event));
        let (mut wants, mut events): (BTreeMap<Oid, RefName>, BTreeSet<EventId>) = Default::default();
        for (_, event, hunted) in ready {
            if wants.is_empty() || wants.len() + hunted.missing.len() <= MAX_WANTS {
                wants.extend(hunted.missing.iter().map(|(oid, name)| (*oid, name.clone())));
                events.insert(*event);
            }
        }
        if events.is_empty() {
            self.errands.remove(&errand);
            self.reschedule(&errand.0);
            return;
        }
        self.next_id += 1;
        let fetch = FetchId(self.next_id);
        let by = self.errands.started(&errand, fetch, now);
        self.hosts.started(server.host(), now);
        actions.push(HuntAction::Fetch {
            fetch,
            repository: repository.clone(),
            server: server.clone(),
            wants: wants.into_iter().collect(),
            by,
            events: events.iter().copied().collect(),
        });
        self.running.insert(fetch, Running { errand, by, events });
    }
}

fn remove_from<K: std::hash::Hash + Eq>(map: &mut HashMap<K, BTreeSet<EventId>>, key: &K, event: &EventId) {
    if let Some(events) = map.get_mut(key) {
        events.remove(event);
        if events.is_empty() {
            map.remove(key);
        }
    }
}
