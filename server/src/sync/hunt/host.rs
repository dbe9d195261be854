//! Hosts and what they are spared: at most five fetches at once and thirty a minute, first come, first served.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::errands::Errand;
use crate::sync::bounds::{FETCHES_A_MINUTE, FETCHES_PER_HOST, MAX_HOSTS};
use crate::sync::millis::Millis;

const MINUTE: Duration = Duration::from_secs(60);

/// One host.
#[derive(Debug, Default)]
struct Host {
    running: usize,
    /// When the fetches of the last minute began.
    begun: VecDeque<Millis>,
    paused: Option<Millis>,
    queue: VecDeque<Errand>,
}

impl Host {
    /// When the next fetch may begin; `None`: when one has ended.
    fn free(&self) -> Option<Millis> {
        let in_a_minute = self.begun.len() >= FETCHES_A_MINUTE;
        let slow = self.begun.front().filter(|_| in_a_minute).map(|first| *first + MINUTE);
        let free = slow.max(self.paused).unwrap_or_default();
        (self.running < FETCHES_PER_HOST).then_some(free)
    }

    fn is_idle(&self, now: Millis) -> bool {
        let recent = self.begun.back().is_some_and(|last| now < *last + MINUTE);
        self.running == 0 && self.queue.is_empty() && !recent && self.paused.is_none_or(|until| until <= now)
    }
}

/// All hosts.
#[derive(Debug, Default)]
pub(super) struct Hosts {
    hosts: BTreeMap<Arc<str>, Host>,
    /// Those with something in their queue.
    waiting: BTreeSet<Arc<str>>,
    /// The host that was served last: the next one's turn comes after it.
    last: Option<Arc<str>>,
}

impl Hosts {
    /// An errand is due.
    pub(super) fn queue(&mut self, errand: Errand) {
        let name = Arc::clone(errand.1.host());
        self.waiting.insert(Arc::clone(&name));
        self.hosts.entry(name).or_default().queue.push_back(errand);
    }

    /// The next errand whose host is free, host after host.
    pub(super) fn next(&mut self, now: Millis) -> Option<Errand> {
        let is_free =
            |name: &&Arc<str>| self.hosts.get(*name).and_then(Host::free).is_some_and(|free| free <= now);
        let is_after = |name: &&Arc<str>| self.last.as_ref().is_none_or(|last| *name > last);
        let free = || self.waiting.iter().filter(is_free);
        let name = Arc::clone(free().find(is_after).or_else(|| free().next())?);
        let host = self.hosts.get_mut(&name)?;
        let errand = host.queue.pop_front();
        if host.queue.is_empty() {
            self.waiting.remove(&name);
        }
        self.last = Some(name);
        errand
    }

    pub(super) fn started(&mut self, name: &Arc<str>, now: Millis) {
        let host = self.hosts.entry(Arc::clone(name)).or_default();
        host.running += 1;
        host.begun.push_back(now);
        if host.begun.len() > FETCHES_A_MINUTE {
            host.begun.pop_front();
        }
        if self.hosts.len() > MAX_HOSTS {
            self.hosts.retain(|_, host| !host.is_idle(now));
        }
    }

    pub(super) fn ended(&mut self, name: &Arc<str>) {
        if let Some(host) = self.hosts.get_mut(name) {
            host.running = host.running.saturating_sub(1);
        }
    }

    pub(super) fn pause(&mut self, name: &Arc<str>, until: Millis) {
        if let Some(host) = self.hosts.get_mut(name) {
            host.paused = host.paused.max(Some(until));
        }
    }

    /// When a host for which errands wait is free.
    pub(super) fn next_wake(&self) -> Option<Millis> {
        self.waiting.iter().filter_map(|name| self.hosts.get(name)?.free()).min()
    }
}
