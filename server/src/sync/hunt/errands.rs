//! Errands: one server for one repository each, from being scheduled to being queued at its host to running.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::input::{By, FetchId};
use crate::nip34::Coordinate;
use crate::sync::bounds::{FETCHES_PER_REPOSITORY, HEDGE_AFTER};
use crate::sync::millis::Millis;
use crate::sync::url::CloneUrl;

/// One server for one repository.
pub(super) type Errand = (Coordinate, CloneUrl);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    Scheduled(Millis),
    /// At its host.
    Queued,
    /// Another errand of the repository runs.
    Parked,
    Running,
    /// It has run, and is to be scheduled or removed.
    Ended,
}

#[derive(Debug)]
struct Standing {
    place: Place,
    by: By,
    /// Since when it gives way to another repository of its family.
    gives_way: Option<Millis>,
}

/// All errands.
#[derive(Debug, Default)]
pub(super) struct Errands {
    all: BTreeMap<Errand, Standing>,
    schedule: BTreeSet<(Millis, Errand)>,
    /// When the fetches that run for a repository began.
    running: HashMap<Coordinate, BTreeMap<FetchId, Millis>>,
    parked: HashMap<Coordinate, BTreeSet<Errand>>,
    /// When repositories with parked errands may run one more.
    hedges: BTreeSet<(Millis, Coordinate)>,
}

impl Errands {
    /// An errand is due then, unless it is under way already.
    pub(super) fn schedule(&mut self, errand: Errand, due: Millis) {
        let new = || Standing { place: Place::Ended, by: By::Oid, gives_way: None };
        let standing = self.all.entry(errand.clone()).or_insert_with(new);
        match standing.place {
            Place::Scheduled(before) => drop(self.schedule.remove(&(before, errand.clone()))),
            Place::Ended => {}
            Place::Queued | Place::Parked | Place::Running => return,
        }
        standing.place = Place::Scheduled(due);
        self.schedule.insert((due, errand));
    }

    /// Nobody needs it any more. One that runs is forgotten when it has ended.
    pub(super) fn remove(&mut self, errand: &Errand) {
        let Some(standing) = self.all.get_mut(errand) else { return };
        match standing.place {
            Place::Scheduled(due) => drop(self.schedule.remove(&(due, errand.clone()))),
            Place::Parked => drop(self.parked.get_mut(&errand.0).map(|parked| parked.remove(errand))),
            Place::Running => return,
            Place::Queued | Place::Ended => {}
        }
        self.all.remove(errand);
    }

    /// Takes out what is due, for the hosts' queues.
    pub(super) fn due(&mut self, now: Millis) -> Vec<Errand> {
        let mut due = Vec::new();
        while let Some((time, repository)) = self.hedges.first().cloned().filter(|(time, _)| *time <= now) {
            self.hedges.remove(&(time, repository.clone()));
            due.extend(self.unpark(&repository));
        }
        while let Some((_, errand)) = self.schedule.first().cloned().filter(|(time, _)| *time <= now) {
            self.schedule.pop_first();
            if let Some(standing) = self.all.get_mut(&errand) {
                standing.place = Place::Queued;
            }
            due.push(errand);
        }
        due
    }

    fn unpark(&mut self, repository: &Coordinate) -> BTreeSet<Errand> {
        let parked = self.parked.remove(repository).unwrap_or_default();
        for errand in &parked {
            if let Some(standing) = self.all.get_mut(errand) {
                standing.place = Place::Queued;
            }
        }
        parked
    }

    pub(super) fn is_queued(&self, errand: &Errand) -> bool {
        self.all.get(errand).is_some_and(|standing| standing.place == Place::Queued)
    }

    /// One errand of a repository at a time, and one more each time the others take long.
    pub(super) fn may_start(&self, errand: &Errand, now: Millis) -> bool {
        self.hedge(&errand.0).is_none_or(|hedge| hedge.is_some_and(|time| time <= now))
    }

    /// When a repository may run one more: `None`: now; `Some(None)`: when one has ended.
    fn hedge(&self, repository: &Coordinate) -> Option<Option<Millis>> {
        let running = self.running.get(repository).filter(|running| !running.is_empty())?;
        let newest = running.values().max().filter(|_| running.len() < FETCHES_PER_REPOSITORY);
        Some(newest.map(|newest| *newest + HEDGE_AFTER))
    }

    /// Whether something runs for another repository of the same family, which may bring what this one lacks. It gives way
    /// for a while only: the two may have nothing but the name in common, and what runs may be slow.
    pub(super) fn gives_way(&mut self, errand: &Errand, now: Millis) -> bool {
        let Some(standing) = self.all.get_mut(errand) else { return false };
        let since = *standing.gives_way.get_or_insert(now);
        let of_family = |other: &Coordinate| other.identifier == errand.0.identifier && *other != errand.0;
        let until = since + HEDGE_AFTER;
        if now >= until || !self.running.keys().any(of_family) {
            return false;
        }
        standing.place = Place::Scheduled(until);
        self.schedule.insert((until, errand.clone()));
        true
    }

    /// It waits for the others of its repository.
    pub(super) fn park(&mut self, errand: Errand) {
        if let Some(Some(time)) = self.hedge(&errand.0) {
            self.hedges.insert((time, errand.0.clone()));
        }
        if let Some(standing) = self.all.get_mut(&errand) {
            standing.place = Place::Parked;
            self.parked.entry(errand.0.clone()).or_default().insert(errand);
        }
    }

    /// It runs; returns how to ask.
    pub(super) fn started(&mut self, errand: &Errand, fetch: FetchId, now: Millis) -> By {
        self.running.entry(errand.0.clone()).or_default().insert(fetch, now);
        let Some(standing) = self.all.get_mut(errand) else { return By::Oid };
        standing.place = Place::Running;
        standing.gives_way = None;
        standing.by
    }

    /// It has run; returns the parked ones of its repository, whose turn it is now.
    pub(super) fn ended(&mut self, errand: &Errand, fetch: FetchId) -> BTreeSet<Errand> {
        if let Some(running) = self.running.get_mut(&errand.0) {
            running.remove(&fetch);
            if running.is_empty() {
                self.running.remove(&errand.0);
            }
        }
        if let Some(standing) = self.all.get_mut(errand) {
            standing.place = Place::Ended;
        }
        self.unpark(&errand.0)
    }

    /// From now on this server is asked for refs.
    pub(super) fn ask_by_ref(&mut self, errand: &Errand) {
        if let Some(standing) = self.all.get_mut(errand) {
            standing.by = By::Ref;
        }
    }

    pub(super) fn next_wake(&self) -> Option<Millis> {
        let due = self.schedule.first().map(|(time, _)| *time);
        due.into_iter().chain(self.hedges.first().map(|(time, _)| *time)).min()
    }
}
