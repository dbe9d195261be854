//! The planner: told what has happened and when, it says what to do about other relays.
//!
//! One value, owned by one task. It never asks anything: time and chance are arguments, everything else is an
//! [`Input`]. What an input costs grows with what it changes, not with what is known.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rand::RngCore;

use super::bounds::CONNECTING_AT_ONCE;
use super::input::{Action, Input};
use super::millis::{Millis, between, jittered};
use super::relay::{Moment, Relay};
use super::roster::Roster;
use super::settings::Settings;
use super::status::{Health, Link, RelayStatus, Totals};
use super::url::RelayUrl;
use super::wants::{Change, RepoSyncIndex};
use crate::fault;

/// See the module.
#[derive(Debug)]
pub struct Planner {
    settings: Settings,
    started: Millis,
    wants: RepoSyncIndex,
    relays: BTreeMap<RelayUrl, Relay>,
    /// Relays that are wanted and for which there is no room.
    waiting: Roster,
    /// When each relay has something to do next.
    wakes: Wakes,
    connecting: usize,
    /// Relays that may be connected as soon as fewer are being connected.
    eager: BTreeSet<(bool, RelayUrl)>,
    /// Relays that nobody needs.
    idle: BTreeSet<RelayUrl>,
    retire: Option<Millis>,
    next_id: u64,
}

impl Planner {
    /// A planner that knows nothing yet, at the start of the server. The engine then tells it what is known
    /// ([`Input::RepositoryKnown`], [`Input::RootSeen`]), and afterwards what happens.
    #[must_use]
    pub fn new(settings: Settings, now: Millis) -> Self {
        let wants = RepoSyncIndex::new(settings.bounds, settings.service.clone(), &settings.bootstrap);
        Self {
            settings,
            started: now,
            wants,
            relays: BTreeMap::new(),
            waiting: Roster::default(),
            wakes: Wakes::default(),
            connecting: 0,
            eager: BTreeSet::new(),
            idle: BTreeSet::new(),
            retire: None,
            next_id: 0,
        }
    }

    /// Takes in what has happened, and returns what to do, in order.
    ///
    /// `rng` is asked for jitter only: the same inputs with the same generator give the same actions.
    pub fn handle(&mut self, input: Input, now: Millis, rng: &mut dyn RngCore) -> Vec<Action> {
        let mut actions = Vec::new();
        let mut turn = Turn { now, rng, actions: &mut actions };
        if self.next_id == 0 {
            self.begin(&mut turn);
        }
        self.take(input, &mut turn);
        while let Some(relay) = self.wakes.due(now) {
            self.touch(&relay, &mut turn, |_, _| ());
        }
        if self.retire.is_some_and(|due| due <= now) {
            self.retire(&mut turn);
        }
        self.connect_eager(&mut turn);
        actions
    }

    /// When [`Input::Tick`] is due next; `None`: only when something happens. Ask again after each [`Self::handle`].
    #[must_use]
    pub fn next_wake(&self) -> Option<Millis> {
        self.wakes.first().into_iter().chain(self.retire).min()
    }

    /// How each relay stands, in the order of their URLs.
    pub fn relays(&self) -> impl Iterator<Item = RelayStatus> + '_ {
        let wants = &self.wants;
        self.relays.iter().map(|(url, relay)| relay.status(wants.wanted(url), wants.is_announced(url)))
    }

    /// How everything stands.
    #[must_use]
    pub fn totals(&self) -> Totals {
        Totals {
            repositories: self.wants.repositories().len(),
            roots: self.wants.roots().len(),
            relays: self.relays.len(),
            relays_waiting: self.waiting.len(),
            left_out: self.wants.left_out(),
        }
    }

    fn begin(&mut self, turn: &mut Turn<'_>) {
        self.next_id = 1;
        self.retire = Some(turn.now + jittered(turn.rng, self.settings.disconnect_check));
        for relay in self.wants.bootstrap().clone() {
            self.need(&relay, turn);
        }
    }

    fn take(&mut self, input: Input, turn: &mut Turn<'_>) {
        match input {
            Input::RepositoryKnown(repository) => {
                let changes = self.wants.know(repository);
                self.apply(changes, turn);
            }
            Input::RepositoryGone(coordinate) => {
                let changes = self.wants.forget(&coordinate);
                self.apply(changes, turn);
            }
            Input::RootSeen { id, coordinates } => {
                let changes = self.wants.know_root(id, coordinates);
                self.apply(changes, turn);
            }
            Input::LookAgain(identifier) => {
                let changes = self.wants.look_again(&identifier);
                self.apply(changes, turn);
            }
            Input::RootGone(id) => {
                let changes = self.wants.forget_root(&id);
                self.apply(changes, turn);
            }
            Input::Connected { relay } => self.connected(&relay, turn),
            Input::Limits { relay, limits } => {
                let settings = self.settings.clone();
                self.touch(&relay, turn, |relay, moment| relay.limits(&limits, &settings, moment));
            }
            Input::Disconnected { relay, why } => {
                self.touch(&relay, turn, |relay, moment| relay.disconnected(&why, moment));
                self.drop_unneeded(&relay, turn);
            }
            Input::Eose { relay, subscription, page } => {
                self.touch(&relay, turn, |relay, moment| relay.eose(subscription, page, moment));
            }
            Input::Closed { relay, subscription, reason } => {
                self.touch(&relay, turn, |relay, moment| relay.closed(subscription, &reason, moment));
            }
            Input::Notice { relay, message } => {
                self.touch(&relay, turn, |relay, moment| relay.notice(&message, moment));
            }
            Input::BatchDone { relay, subscription } => {
                self.touch(&relay, turn, |relay, _| relay.done(subscription));
            }
            Input::Failed { relay, subscription, why } => {
                self.touch(&relay, turn, |relay, moment| relay.failed_question(subscription, &why, moment));
            }
            Input::NegentropyUnsupported { relay, subscription } => {
                self.touch(&relay, turn, |relay, _| relay.unsupported(subscription));
            }
            Input::Authenticated { relay } => self.touch(&relay, turn, |relay, _| relay.authenticated()),
            Input::Tick => {}
        }
    }

    fn connected(&mut self, url: &RelayUrl, turn: &mut Turn<'_>) {
        let wanted: Vec<_> = self.wants.target(url).cloned().collect();
        self.touch(url, turn, |relay, moment| relay.connected(wanted.iter(), moment));
    }

    /// Carries what has changed about what is wanted to the relays, and lets each act once.
    fn apply(&mut self, changes: Vec<Change>, turn: &mut Turn<'_>) {
        let mut touched = BTreeSet::new();
        for change in changes {
            let (Change::Wanted(url, _) | Change::Unwanted(url, _) | Change::Again(url, _)) = &change;
            if !self.relays.contains_key(url) {
                let url = url.clone();
                self.need(&url, turn);
                continue;
            }
            touched.insert(url.clone());
            let Some(relay) = self.relays.get_mut(url) else { continue };
            let mut moment = moment(&self.settings, &mut self.next_id, turn);
            match change {
                Change::Wanted(_, item) => relay.want(item),
                Change::Unwanted(_, item) => relay.unwant(&item, &mut moment),
                Change::Again(_, item) => relay.again(&item),
            }
        }
        for url in touched {
            if self.wants.wanted(&url) == 0 {
                self.idle.insert(url.clone());
            } else {
                self.idle.remove(&url);
            }
            self.touch(&url, turn, |_, _| ());
        }
    }

    /// A relay that is not dealt with: it is from now on, if it is wanted and there is room.
    fn need(&mut self, url: &RelayUrl, turn: &mut Turn<'_>) {
        if self.wants.wanted(url) == 0 {
            self.waiting.remove(url);
            return;
        }
        let bootstrap = self.wants.bootstrap().contains(url);
        if self.relays.len() >= self.settings.bounds.relays && !bootstrap {
            self.waiting.push(url);
            return;
        }
        self.waiting.remove(url);
        let mut relay = Relay::new(url.clone(), bootstrap, &self.settings, self.first_attempt(turn));
        for item in self.wants.target(url) {
            relay.want(item.clone());
        }
        self.relays.insert(url.clone(), relay);
        self.touch(url, turn, |_, _| ());
    }

    /// At the start, connections are spread; afterwards a new relay is connected at once.
    fn first_attempt(&self, turn: &mut Turn<'_>) -> Millis {
        let earliest = self.started + self.settings.startup_delay;
        if turn.now > earliest + self.settings.startup_jitter {
            return turn.now;
        }
        (earliest + between(turn.rng, Duration::ZERO, self.settings.startup_jitter)).max(turn.now)
    }

    /// Lets something happen to a relay, lets it do what follows, and notes when it has something to do next.
    fn touch(&mut self, url: &RelayUrl, turn: &mut Turn<'_>, what: impl FnOnce(&mut Relay, &mut Moment<'_>)) {
        let Some(relay) = self.relays.get_mut(url) else { return };
        let connecting = matches!(relay.link(), Link::Connecting { .. });
        let mut moment = moment(&self.settings, &mut self.next_id, turn);
        what(relay, &mut moment);
        relay.advance(&mut moment);
        let ready = matches!(relay.link(), Link::Waiting { until } if until <= turn.now);
        self.connecting -= usize::from(connecting && !matches!(relay.link(), Link::Connecting { .. }));
        let eager = (!relay.is_bootstrap(), url.clone());
        if ready {
            self.eager.insert(eager);
            self.wakes.set(url, None);
        } else {
            self.eager.remove(&eager);
            self.wakes.set(url, relay.wake().map(|wake| wake.max(turn.now + Duration::from_millis(1))));
        }
    }

    fn connect_eager(&mut self, turn: &mut Turn<'_>) {
        let is_busy = |relay: RelayStatus| {
            matches!(relay.link, Link::Connected { .. }) && relay.confirmed < relay.wanted
        };
        if fault::is("relays-one-after-the-other") && self.relays().any(is_busy) {
            return;
        }
        while self.connecting < CONNECTING_AT_ONCE
            && let Some((_, url)) = self.eager.pop_first()
        {
            let Some(relay) = self.relays.get_mut(&url) else { continue };
            if self.idle.contains(&url) {
                // It is about to be retired.
                continue;
            }
            relay.connect(&mut moment(&self.settings, &mut self.next_id, turn));
            self.connecting += 1;
            self.wakes.set(&url, relay.wake());
        }
    }

    /// Leaves the relays that nobody needs (requirement G02/sync/retire), and dead ones when others wait for their place.
    fn retire(&mut self, turn: &mut Turn<'_>) {
        self.retire = Some(turn.now + jittered(turn.rng, self.settings.disconnect_check));
        for url in self.idle.clone().into_iter().filter(|_| !fault::is("unneeded-relays-kept")) {
            match self.relays.get(&url).map(Relay::link) {
                Some(Link::Connected { .. } | Link::Connecting { .. }) => {
                    self.touch(&url, turn, |relay, moment| {
                        relay.leave("no repository needs it", false, moment);
                    });
                }
                Some(Link::Leaving { .. }) => {}
                Some(Link::Waiting { .. }) | None => self.drop_unneeded(&url, turn),
            }
        }
        let dead = |relay: &Relay| {
            relay.health() == Health::Dead
                && !relay.is_bootstrap()
                && matches!(relay.link(), Link::Waiting { .. })
        };
        let dead: Vec<RelayUrl> = self
            .relays
            .iter()
            .filter(|(_, relay)| dead(relay))
            .map(|(url, _)| url.clone())
            .take(self.waiting.len())
            .collect();
        for url in dead {
            self.waiting.push(&url);
            self.remove(&url, turn);
        }
    }

    fn drop_unneeded(&mut self, url: &RelayUrl, turn: &mut Turn<'_>) {
        let waits = self.relays.get(url).is_some_and(|relay| matches!(relay.link(), Link::Waiting { .. }));
        if waits && self.wants.wanted(url) == 0 {
            self.remove(url, turn);
        }
    }

    /// A relay is dealt with no more; another takes its place.
    fn remove(&mut self, url: &RelayUrl, turn: &mut Turn<'_>) {
        self.relays.remove(url);
        self.idle.remove(url);
        self.wakes.set(url, None);
        self.eager.remove(&(true, url.clone()));
        if let Some(next) = self.waiting.pop() {
            self.need(&next, turn);
        }
    }
}

/// One call of [`Planner::handle`].
struct Turn<'a> {
    now: Millis,
    rng: &'a mut dyn RngCore,
    actions: &'a mut Vec<Action>,
}

fn moment<'a>(settings: &'a Settings, next_id: &'a mut u64, turn: &'a mut Turn<'_>) -> Moment<'a> {
    Moment { settings, now: turn.now, rng: turn.rng, next_id, actions: turn.actions }
}

/// When each relay has something to do next.
#[derive(Debug, Default)]
struct Wakes {
    by_time: BTreeSet<(Millis, RelayUrl)>,
    of: BTreeMap<RelayUrl, Millis>,
}

impl Wakes {
    fn set(&mut self, relay: &RelayUrl, wake: Option<Millis>) {
        if self.of.get(relay).copied() == wake {
            return;
        }
        if let Some(before) = self.of.remove(relay) {
            self.by_time.remove(&(before, relay.clone()));
        }
        if let Some(wake) = wake {
            self.of.insert(relay.clone(), wake);
            self.by_time.insert((wake, relay.clone()));
        }
    }

    /// Takes out a relay that has something to do by now.
    fn due(&mut self, now: Millis) -> Option<RelayUrl> {
        let (_, relay) = self.by_time.first().filter(|(wake, _)| *wake <= now)?.clone();
        self.set(&relay, None);
        Some(relay)
    }

    fn first(&self) -> Option<Millis> {
        self.by_time.first().map(|(wake, _)| *wake)
    }
}

#[cfg(test)]
impl Planner {
    pub(super) const fn wants(&self) -> &RepoSyncIndex {
        &self.wants
    }

    pub(super) fn lanes(
        &self,
    ) -> impl Iterator<Item = (&RelayUrl, &super::live::Live, &super::history::History, Link)> {
        self.relays.iter().map(|(url, relay)| (url, relay.lanes().0, relay.lanes().1, relay.link()))
    }

    pub(super) fn ceilings(&self, relay: &RelayUrl) -> Option<&super::throttle::Ceilings> {
        Some(self.relays.get(relay)?.ceilings())
    }
}
