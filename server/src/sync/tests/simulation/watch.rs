//! Looks at what one server does to others: bounds that hold at any moment, whatever happens.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Duration;

use crate::nip34::Coordinate;
use crate::sync::bounds::{
    CONNECTING_AT_ONCE, DEAD_RETRY, FETCHES_A_MINUTE, FETCHES_AT_ONCE, FETCHES_PER_HOST,
    FETCHES_PER_REPOSITORY, HISTORIES_AT_ONCE, OPENING_AT_ONCE, OPENING_TIMEOUT, RATE_LIMIT_PAUSE,
};
use crate::sync::status::Link;
use crate::sync::throttle::Refusal;
use crate::sync::{Action, CloneUrl, Input, Millis, Mode, Planner, RelayUrl, SubscriptionId};

/// Questions to one relay within a minute, at most.
const QUESTIONS_A_MINUTE: usize = 400;
/// Attempts to connect to one relay within an hour, at most.
const ATTEMPTS_AN_HOUR: usize = 400;
const MINUTE: Duration = Duration::from_secs(60);
const HOUR: Duration = Duration::from_secs(3_600);

/// A rule, and how it is broken.
type Broken = (&'static str, String);

#[derive(Debug)]
struct Open {
    mode: Mode,
    answered: bool,
    since: Millis,
}

/// What is known of one relay.
#[derive(Debug, Default)]
struct Peer {
    connected: bool,
    connecting: bool,
    open: BTreeMap<SubscriptionId, Open>,
    /// It has asked for less: nothing new until then.
    paused: Option<Millis>,
    ended: Option<Millis>,
    questions: VecDeque<Millis>,
    attempts: VecDeque<Millis>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Watch {
    started: Millis,
    peers: BTreeMap<RelayUrl, Peer>,
    fetches: HashMap<String, VecDeque<Millis>>,
    /// The most that was seen, for people.
    pub(super) most_questions: usize,
    pub(super) most_attempts: usize,
}

fn within(times: &mut VecDeque<Millis>, now: Millis, window: Duration) -> usize {
    while times.front().is_some_and(|first| now.since(*first) >= window) {
        times.pop_front();
    }
    times.push_back(now);
    times.len()
}

impl Watch {
    pub(super) fn new(started: Millis) -> Self {
        Self { started, peers: BTreeMap::new(), fetches: HashMap::new(), most_questions: 0, most_attempts: 0 }
    }

    /// The planner is about to be told.
    pub(super) fn heard(&mut self, input: &Input, now: Millis) {
        let busy =
            |reason: &str| (Refusal::of(reason) == Refusal::RateLimited).then(|| now + RATE_LIMIT_PAUSE.0);
        match input {
            Input::Connected { relay } => {
                let peer = self.peers.entry(relay.clone()).or_default();
                if peer.connecting {
                    (peer.connecting, peer.connected, peer.paused) = (false, true, None);
                }
            }
            Input::Disconnected { relay, .. } => {
                let peer = self.peers.entry(relay.clone()).or_default();
                (peer.connecting, peer.connected, peer.ended) = (false, false, Some(now));
                peer.open.clear();
            }
            Input::Eose { relay, subscription, .. } => {
                let Some(peer) = self.peers.get_mut(relay) else { return };
                let Some(open) = peer.open.get_mut(subscription) else { return };
                open.answered = true;
                if open.mode == Mode::Historic {
                    peer.open.remove(subscription);
                }
            }
            Input::Closed { relay, subscription, reason } => {
                let Some(peer) = self.peers.get_mut(relay) else { return };
                if peer.open.remove(subscription).is_some() {
                    peer.paused = peer.paused.max(busy(reason));
                }
            }
            Input::BatchDone { relay, subscription }
            | Input::Failed { relay, subscription, .. }
            | Input::NegentropyUnsupported { relay, subscription } => {
                if let Some(peer) = self.peers.get_mut(relay) {
                    let historic = |open: &Open| open.mode == Mode::Historic;
                    if peer.open.get(subscription).is_some_and(historic) {
                        peer.open.remove(subscription);
                    }
                }
            }
            Input::Notice { relay, message } => {
                if let Some(peer) = self.peers.get_mut(relay).filter(|peer| peer.connected) {
                    peer.paused = peer.paused.max(busy(message));
                }
            }
            _ => {}
        }
    }

    /// The planner has said what to do.
    pub(super) fn does(&mut self, action: &Action, now: Millis) -> Result<(), Broken> {
        match action {
            Action::Connect { relay } => {
                let peer = self.peers.entry(relay.clone()).or_default();
                if peer.connecting || peer.connected {
                    return Err(("a relay is connected once", relay.to_string()));
                }
                peer.connecting = true;
                let attempts = within(&mut peer.attempts, now, HOUR);
                self.most_attempts = self.most_attempts.max(attempts);
                if attempts > ATTEMPTS_AN_HOUR {
                    return Err((
                        "attempts have their pace",
                        format!("{attempts} within an hour at {relay}"),
                    ));
                }
            }
            Action::Disconnect { relay, .. } => {
                let peer = self.peers.entry(relay.clone()).or_default();
                peer.open.clear();
                peer.connected = false;
            }
            Action::Unsubscribe { relay, subscription } => {
                if let Some(peer) = self.peers.get_mut(relay) {
                    peer.open.remove(subscription);
                }
            }
            Action::Subscribe { relay, subscription, mode, .. } => {
                self.ask(relay, *subscription, *mode, now)?
            }
            Action::Negotiate { relay, subscription, .. } => {
                self.ask(relay, *subscription, Mode::Historic, now)?;
            }
        }
        Ok(())
    }

    fn ask(
        &mut self,
        relay: &RelayUrl,
        subscription: SubscriptionId,
        mode: Mode,
        now: Millis,
    ) -> Result<(), Broken> {
        let Some(peer) = self.peers.get_mut(relay).filter(|peer| peer.connected) else {
            return Err(("who is asked is connected", relay.to_string()));
        };
        if peer.paused.is_some_and(|until| now < until) {
            return Err(("who asks for less is left in peace", relay.to_string()));
        }
        if peer.open.insert(subscription, Open { mode, answered: false, since: now }).is_some() {
            return Err(("an id is used once", format!("{subscription} of {relay}")));
        }
        let questions = within(&mut peer.questions, now, MINUTE);
        self.most_questions = self.most_questions.max(questions);
        if questions > QUESTIONS_A_MINUTE {
            return Err(("questions have their pace", format!("{questions} within a minute at {relay}")));
        }
        Ok(())
    }

    /// A fetch begins.
    pub(super) fn fetches(&mut self, _: &Coordinate, from: &CloneUrl, now: Millis) -> Result<(), Broken> {
        let count = within(self.fetches.entry(from.host().to_string()).or_default(), now, MINUTE);
        if count > FETCHES_A_MINUTE {
            return Err(("fetches have their pace", format!("{count} within a minute at {from}")));
        }
        Ok(())
    }

    /// What is being fetched.
    pub(super) fn runs(&self, running: &[(&Coordinate, &CloneUrl)]) -> Result<(), Broken> {
        let most = |counts: HashMap<String, usize>| counts.into_values().max().unwrap_or(0);
        let mut hosts: HashMap<String, usize> = HashMap::new();
        let mut repositories: HashMap<String, usize> = HashMap::new();
        for (repository, from) in running {
            *hosts.entry(from.host().to_string()).or_default() += 1;
            *repositories.entry(repository.to_string()).or_default() += 1;
        }
        let counts = (running.len(), most(hosts), most(repositories));
        if counts.0 > FETCHES_AT_ONCE || counts.1 > FETCHES_PER_HOST || counts.2 > FETCHES_PER_REPOSITORY {
            return Err(("fetches are bounded", format!("in all, at a host, of a repository: {counts:?}")));
        }
        Ok(())
    }

    /// What holds whenever the planner has spoken.
    pub(super) fn check(&self, planner: &Planner, now: Millis) -> Result<(), Broken> {
        let connecting = self.peers.values().filter(|peer| peer.connecting).count();
        if connecting > CONNECTING_AT_ONCE {
            return Err(("few are dialled at once", connecting.to_string()));
        }
        for (relay, peer) in self.peers.iter().filter(|(_, peer)| peer.connected) {
            let Some(ceilings) = planner.ceilings(relay) else {
                return Err(("who is connected is dealt with", relay.to_string()));
            };
            let historic = peer.open.values().filter(|open| open.mode == Mode::Historic).count();
            let is_new = |open: &&Open| {
                open.mode == Mode::Live && !open.answered && now.since(open.since) < OPENING_TIMEOUT
            };
            let opening = peer.open.values().filter(is_new).count();
            if peer.open.len() > ceilings.subscriptions
                || historic > HISTORIES_AT_ONCE
                || opening > OPENING_AT_ONCE
            {
                let counts = (peer.open.len(), historic, opening);
                return Err(("subscriptions are bounded", format!("{counts:?} at {relay}")));
            }
        }
        Ok(())
    }

    /// What holds of those that are wanted and not there: they are tried at least once a day.
    pub(super) fn neglected(&self, planner: &Planner, now: Millis) -> Option<String> {
        let most = DEAD_RETRY.1 + Duration::from_secs(120);
        planner.relays().find_map(|status| {
            let since = self.peers.get(&status.relay).and_then(|peer| peer.ended).unwrap_or(self.started);
            let waits = matches!(status.link, Link::Waiting { .. }) && status.wanted > 0;
            (waits && now.since(since) > most).then(|| format!("{} since {since}", status.relay))
        })
    }
}
