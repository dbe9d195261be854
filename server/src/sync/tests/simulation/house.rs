//! What a simulated server keeps, over restarts: served events, purgatory, directory, objects, refs. The decisions are those
//! of the real rooms; only stores, files and locks are left out.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::Arc;

use nostr::event::{Event, EventId, Kind};
use nostr::filter::Filter;
use nostr::key::PublicKey;

use super::cast::{closure, is_true, matches};
use crate::admission::archive::Archive;
use crate::admission::deletion::{Targets, foreign_only};
use crate::admission::related::{Address, Relations, opens_doors, unrelated};
use crate::admission::{Decision, Family, Hosted, decide};
use crate::authorize::{NamedEvent, PushFacts, authorize};
use crate::directory::Directory;
use crate::git::RefCommand;
use crate::house::Observer;
use crate::intake::Answer;
use crate::intake::funnel::PURGATORY_MESSAGE;
use crate::nip34::{
    ANNOUNCEMENT, Announcement, Coordinate, Identifier, Oid, PULL_REQUEST, PULL_REQUEST_UPDATE, PullRequest,
    RefName, STATE, ServiceDomain, State,
};
use crate::promotion::{settle, wanted};
use crate::purgatory::{Patience, Purgatory, Waiting};
use crate::sync::self_subscriber::SelfSubscriber;

/// Refs of one repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Refs {
    pub(super) refs: BTreeMap<RefName, Oid>,
    pub(super) head: Option<RefName>,
}

/// See the module.
#[derive(Debug)]
pub(super) struct House {
    pub(super) service: ServiceDomain,
    pub(super) served: BTreeMap<EventId, Arc<Event>>,
    pub(super) purgatory: Purgatory,
    pub(super) families: BTreeMap<Identifier, Family>,
    pub(super) objects: BTreeMap<Identifier, BTreeSet<Oid>>,
    pub(super) refs: BTreeMap<Coordinate, Refs>,
    directory: Directory,
    by_address: HashMap<Address, EventId>,
    /// Who is named by whom, of what opens doors.
    naming: HashMap<EventId, usize>,
    naming_address: HashMap<String, usize>,
    deleted: BTreeSet<(PublicKey, EventId)>,
    deleted_addresses: BTreeMap<Address, u64>,
    expired: BTreeMap<EventId, u64>,
    uploads: BTreeMap<EventId, Oid>,
    /// Served since this was last taken: for those who have subscribed.
    pub(super) fresh: Vec<Arc<Event>>,
}

impl House {
    pub(super) fn new(service: ServiceDomain) -> Self {
        Self {
            service,
            served: BTreeMap::new(),
            purgatory: Purgatory::default(),
            families: BTreeMap::new(),
            objects: BTreeMap::new(),
            refs: BTreeMap::new(),
            directory: Directory::default(),
            by_address: HashMap::new(),
            naming: HashMap::new(),
            naming_address: HashMap::new(),
            deleted: BTreeSet::new(),
            deleted_addresses: BTreeMap::new(),
            expired: BTreeMap::new(),
            uploads: BTreeMap::new(),
            fresh: Vec::new(),
        }
    }

    /// Whether an event waited in vain a short while ago.
    pub(super) fn has_expired(&self, id: &EventId, now: u64) -> bool {
        self.expired.get(id).is_some_and(|until| now < *until)
    }

    /// Whether anything has ever waited in vain.
    pub(super) fn has_lost_patience(&self) -> bool {
        !self.expired.is_empty()
    }

    /// What is here of a filter, served or waiting.
    pub(super) fn holds(&self, filter: &Filter) -> Vec<EventId> {
        let served = self.served.values().filter(|event| matches(filter, event)).map(|event| event.id);
        let waiting = self.purgatory.iter().map(|waiting| &waiting.event);
        served.chain(waiting.filter(|event| matches(filter, event)).map(|event| event.id)).collect()
    }

    /// Whether the repository of this name is here for those who fetch, and what it has of these objects.
    pub(super) fn serves_objects(
        &self,
        repository: &Coordinate,
        oids: &BTreeSet<Oid>,
    ) -> Option<BTreeSet<Oid>> {
        let family = self.families.get(&repository.identifier)?;
        let here = family.is_hosted(&repository.owner).then(|| self.objects.get(&repository.identifier));
        here.map(|here| here.map(|here| oids.intersection(here).copied().collect()).unwrap_or_default())
    }

    fn door(&self, event: &Event, synced: bool, now: u64) -> Result<(), Answer> {
        if event.created_at.as_secs() > now + crate::intake::funnel::MAX_FUTURE_SECONDS {
            return Err(Answer::no("invalid: the event is dated more than 15 minutes ahead"));
        }
        let buried = Address::of(event).and_then(|address| self.deleted_addresses.get(&address));
        if self.deleted.contains(&(event.pubkey, event.id))
            || buried.is_some_and(|until| event.created_at.as_secs() <= *until)
        {
            return Err(Answer::no("blocked: the event was deleted by its author (NIP-09)"));
        }
        if synced && self.has_expired(&event.id, now) {
            return Err(Answer::no("blocked: the event has waited here in vain"));
        }
        Ok(())
    }

    /// The real rooms' decision, and nothing done about it. `None`: it is known already.
    pub(super) fn judge(&self, event: &Event, synced: bool, now: u64) -> Option<Result<(), Answer>> {
        if self.served.contains_key(&event.id) || self.purgatory.get(&event.id).is_some() {
            return None;
        }
        if let Err(answer) = self.door(event, synced, now) {
            return Some(Err(answer));
        }
        let invalid = |error: &dyn std::fmt::Display| Some(Err(Answer::no(format!("invalid: {error}"))));
        let decision = if event.kind == ANNOUNCEMENT {
            match Announcement::from_event(event) {
                Ok(new) => {
                    decide::announcement(
                        &self.family(&new.identifier),
                        &new,
                        &self.service,
                        &Archive::default(),
                    )
                    .decision
                }
                Err(error) => return invalid(&error),
            }
        } else if event.kind == STATE {
            match State::from_event(event) {
                Ok(new) => decide::state(&self.family(&new.identifier), &new),
                Err(error) => return invalid(&error),
            }
        } else if event.kind == PULL_REQUEST || event.kind == PULL_REQUEST_UPDATE {
            match PullRequest::from_event(event) {
                Ok(new) => {
                    let standing = |named: &Coordinate| {
                        self.directory.standing(named).filter(|standing| standing.hosted)
                    };
                    let served = |named: &Coordinate| standing(named).is_some_and(|standing| standing.served);
                    let waits = |named: &Coordinate| standing(named).is_some_and(|standing| !standing.served);
                    decide::pull_request(&new, false, served, waits)
                }
                Err(error) => return invalid(&error),
            }
        } else if event.kind == Kind::EventDeletion {
            match Targets::of(event) {
                Ok(targets) if self.own(event, &targets).next().is_some() => Decision::Serve,
                Ok(_) => Decision::Refuse(foreign_only()),
                Err(refusal) => Decision::Refuse(refusal),
            }
        } else if self.is_related(event) {
            Decision::Serve
        } else {
            Decision::Refuse(unrelated(event))
        };
        match decision {
            Decision::Known { .. } => None,
            Decision::Refuse(refusal) => Some(Err(refusal.into())),
            Decision::Serve | Decision::Wait => Some(Ok(())),
        }
    }

    fn own<'a>(&'a self, request: &'a Event, targets: &'a Targets) -> impl Iterator<Item = &'a Arc<Event>> {
        let known = targets.events.iter().filter_map(|id| self.served.get(id));
        known.filter(|event| event.pubkey == request.pubkey && event.kind != Kind::EventDeletion)
    }

    fn family(&self, identifier: &Identifier) -> Family {
        self.families.get(identifier).cloned().unwrap_or_else(|| Family::new(identifier.clone()))
    }

    fn is_related(&self, event: &Event) -> bool {
        let relations = Relations::of(event);
        let served =
            |named: &Coordinate| self.directory.standing(named).is_some_and(|standing| standing.served);
        let opens = |id: &EventId| self.served.get(id).is_some_and(|event| opens_doors(event.kind));
        relations.repositories.iter().any(served)
            || relations.events.iter().any(opens)
            || relations.addresses.iter().any(|address| self.by_address.get(address).is_some_and(opens))
            || self.naming.contains_key(&event.id)
            || Address::of(event)
                .is_some_and(|address| self.naming_address.contains_key(&address.to_string()))
    }

    /// Takes an event in, as the funnel does.
    pub(super) fn admit(
        &mut self,
        event: &Arc<Event>,
        synced: bool,
        now: u64,
        news: &SelfSubscriber,
    ) -> Answer {
        let known = if self.served.contains_key(&event.id) { "duplicate: known" } else { PURGATORY_MESSAGE };
        match self.judge(event, synced, now) {
            None => return Answer::yes(known),
            Some(Err(answer)) => {
                self.retire_if_moved(event, now, news);
                return answer;
            }
            Some(Ok(())) => {}
        }
        if event.kind == ANNOUNCEMENT {
            self.announce(event, synced, now, news);
        } else if event.kind == STATE {
            let Ok(state) = State::from_event(event) else { return Answer::no("invalid: no state") };
            self.wait(event, synced, now, news);
            self.restart_clocks(&state, now);
            self.settle(&state.identifier, news);
        } else if let Ok(pull) = PullRequest::from_event(event) {
            let identifier = pull.repositories[0].identifier.clone();
            if let Some(tip) = self.uploads.remove(&pull.id).filter(|tip| Some(*tip) == pull.tip) {
                self.objects.entry(identifier.clone()).or_default().extend(closure(tip));
            }
            self.wait(event, synced, now, news);
            self.settle(&identifier, news);
        } else if event.kind == Kind::EventDeletion {
            self.delete(event, news);
        } else {
            self.serve(event, news);
        }
        Answer::yes(if self.purgatory.get(&event.id).is_some() { PURGATORY_MESSAGE } else { "" })
    }

    fn delete(&mut self, request: &Arc<Event>, news: &SelfSubscriber) {
        let Ok(targets) = Targets::of(request) else { return };
        self.deleted.extend(targets.events.iter().map(|id| (request.pubkey, *id)));
        let gone: Vec<EventId> = self.own(request, &targets).map(|event| event.id).collect();
        self.serve(request, news);
        gone.iter().for_each(|id| self.remove(id, news));
    }

    fn announce(&mut self, event: &Arc<Event>, synced: bool, now: u64, news: &SelfSubscriber) {
        let Ok(new) = Announcement::from_event(event) else { return };
        let family = self.family(&new.identifier);
        let judged = decide::announcement(&family, &new, &self.service, &Archive::default());
        if judged.retires {
            self.retire(&new, news);
        }
        match judged.decision {
            Decision::Serve => self.serve(event, news),
            _ => self.wait(event, synced, now, news),
        }
        self.settle(&new.identifier, news);
        self.welcome(&new.coordinate());
    }

    fn retire_if_moved(&mut self, event: &Event, now: u64, news: &SelfSubscriber) {
        let Ok(new) = Announcement::from_event(event) else { return };
        let retires = self.door(event, true, now).is_ok()
            && decide::announcement(&self.family(&new.identifier), &new, &self.service, &Archive::default())
                .retires;
        if retires {
            self.retire(&new, news);
            self.settle(&new.identifier, news);
        }
    }

    /// The author's repository moves away: announcement and states go, and stay away.
    fn retire(&mut self, new: &Announcement, news: &SelfSubscriber) {
        let Some(family) = self.families.get_mut(&new.identifier) else { return };
        let announced = family.announcements.remove(&new.author).unwrap_or_default();
        let stated = family.states.remove(&new.author).unwrap_or_default();
        let announced =
            [announced.served, announced.waiting].map(|slot| slot.map(|known| known.announcement.id));
        let stated = [stated.served, stated.waiting].map(|slot| slot.map(|state| state.id));
        for id in announced.iter().flatten() {
            self.deleted.insert((new.author, *id));
        }
        let address = Address {
            kind: ANNOUNCEMENT.as_u16(),
            author: new.author,
            d: new.identifier.as_str().to_owned(),
        };
        let until = new.created_at.as_secs().saturating_sub(1);
        let known = self.deleted_addresses.entry(address).or_default();
        *known = until.max(*known);
        self.refs.remove(&new.coordinate());
        for id in announced.into_iter().chain(stated).flatten() {
            self.leave(&id, news);
            if self.served.contains_key(&id) {
                self.remove(&id, news);
            }
        }
        self.enter_directory(&new.coordinate(), news);
    }

    /// A repository is new here: served pull requests that name it get their ref.
    fn welcome(&mut self, repository: &Coordinate) {
        let hosted =
            self.families.get(&repository.identifier).is_some_and(|f| f.is_hosted(&repository.owner));
        let here = self.objects.get(&repository.identifier);
        let (true, Some(here)) = (hosted, here) else { return };
        let refs = self.refs.entry(repository.clone()).or_default();
        for event in self.served.values() {
            let Ok(pull) = PullRequest::from_event(event) else { continue };
            let tip = pull.tip.filter(|tip| here.contains(tip) && pull.repositories.contains(repository));
            refs.refs.extend(tip.map(|tip| (RefName::nostr(&pull.id), tip)));
        }
    }

    fn wait(&mut self, event: &Arc<Event>, synced: bool, now: u64, news: &SelfSubscriber) {
        let old = self.enter(event, false);
        if let Some(old) = old {
            self.leave(&old, news);
        }
        let deadline = now + Patience::default().events;
        let waiting = Waiting { event: (**event).clone(), since: now, deadline, synced };
        news.waits(&waiting);
        self.purgatory.insert(waiting);
        if let Ok(announcement) = Announcement::from_event(event) {
            self.enter_directory(&announcement.coordinate(), news);
        }
    }

    /// Enters an event into the facts about its identifiers; returns the waiting one whose place it takes.
    fn enter(&mut self, event: &Event, served: bool) -> Option<EventId> {
        let mut old = None;
        for identifier in crate::purgatory::identifiers(event) {
            let service = &self.service;
            let family = self.families.entry(identifier.clone()).or_insert_with(|| Family::new(identifier));
            if let Ok(announcement) = Announcement::from_event(event) {
                let slot = family.announcements.entry(event.pubkey).or_default();
                old = slot.waiting.take().map(|waiting| waiting.announcement.id);
                let place = if served { &mut slot.served } else { &mut slot.waiting };
                *place = Some(Hosted::new(announcement, service, &Archive::default()));
            } else if let Ok(state) = State::from_event(event) {
                let slot = family.states.entry(event.pubkey).or_default();
                old = slot.waiting.take().map(|waiting| waiting.id);
                *if served { &mut slot.served } else { &mut slot.waiting } = Some(state);
            } else if let Ok(pull) = PullRequest::from_event(event) {
                if served {
                    family.pulls.remove(&pull.id);
                } else {
                    family.pulls.insert(pull.id, pull);
                }
            }
        }
        old.filter(|old| *old != event.id)
    }

    fn restart_clocks(&mut self, state: &State, now: u64) {
        let Some(family) = self.families.get(&state.identifier) else { return };
        let hosted = family.hosted();
        let concerned = hosted.iter().filter(|(_, maintainers)| maintainers.contains(&state.author));
        let waiting = concerned.filter_map(|(owner, _)| family.announcements.get(owner)?.waiting.as_ref());
        for id in waiting.map(|known| known.announcement.id).collect::<Vec<_>>() {
            if let Some(waiting) = self.purgatory.get(&id).cloned() {
                let deadline = waiting.deadline.max(now + Patience::default().events);
                self.purgatory.insert(Waiting { deadline, ..waiting });
            }
        }
    }

    /// Serves an event from now on; an older one of its address goes.
    fn serve(&mut self, event: &Arc<Event>, news: &SelfSubscriber) {
        let replaced = self.enter(event, true);
        if let Some(replaced) = replaced {
            self.leave(&replaced, news);
        }
        if let Some(address) = Address::of(event)
            && let Some(old) = self.by_address.insert(address, event.id)
        {
            self.served.remove(&old);
        }
        self.count_names(event, true);
        self.served.insert(event.id, Arc::clone(event));
        self.fresh.push(Arc::clone(event));
        news.served(event);
        self.leave(&event.id, news);
        if let Ok(announcement) = Announcement::from_event(event) {
            self.enter_directory(&announcement.coordinate(), news);
        }
    }

    fn count_names(&mut self, event: &Event, up: bool) {
        fn count<K: std::hash::Hash + Eq>(map: &mut HashMap<K, usize>, key: K, up: bool) {
            let count = map.entry(key).or_default();
            *count = if up { *count + 1 } else { count.saturating_sub(1) };
        }
        if !opens_doors(event.kind) {
            return;
        }
        let relations = Relations::of(event);
        relations.events.into_iter().for_each(|id| count(&mut self.naming, id, up));
        relations.addresses.iter().for_each(|named| count(&mut self.naming_address, named.to_string(), up));
        self.naming.retain(|_, count| *count > 0);
    }

    fn remove(&mut self, id: &EventId, news: &SelfSubscriber) {
        let Some(event) = self.served.remove(id) else { return };
        self.count_names(&event, false);
        if let Some(address) = Address::of(&event)
            && self.by_address.get(&address) == Some(id)
        {
            self.by_address.remove(&address);
        }
        news.removed(id);
    }

    fn leave(&mut self, id: &EventId, news: &SelfSubscriber) {
        if self.purgatory.remove(id).is_some() {
            news.leaves(id);
        }
    }

    /// What is known of a repository may have changed.
    fn enter_directory(&mut self, repository: &Coordinate, news: &SelfSubscriber) {
        let family = self.families.get(&repository.identifier);
        let slot = family.and_then(|family| family.announcements.get(&repository.owner));
        let newest = slot.and_then(|slot| Some((slot.newest()?, slot.waiting.is_none())));
        let changed = match newest {
            Some((known, served)) => self.directory.enter(known, served),
            None => self.directory.remove(repository, None),
        };
        if changed {
            news.repository(repository, newest.map(|(known, served)| (&known.announcement, served)));
        }
    }

    /// What may be served is, and the refs follow (`promotion::settle`).
    fn settle(&mut self, identifier: &Identifier, news: &SelfSubscriber) {
        let Some(family) = self.families.get(identifier) else { return };
        let here = self.objects.entry(identifier.clone()).or_default();
        let known: HashSet<Oid> = wanted(family).into_iter().filter(|oid| here.contains(oid)).collect();
        let settled = settle(family, &known);
        let mut serve: Vec<Arc<Event>> = settled
            .serve
            .iter()
            .filter_map(|id| self.purgatory.get(id).map(|waiting| Arc::new(waiting.event.clone())))
            .collect();
        serve.sort_by_key(|event| match event.kind {
            kind if kind == ANNOUNCEMENT => 0,
            kind if kind == STATE => 1,
            _ => 2,
        });
        for (owner, target) in settled.repositories {
            let refs = self.refs.entry(Coordinate::new(owner, identifier.clone())).or_default();
            refs.refs.retain(|name, _| !name.is_in_state());
            refs.refs.extend(target.refs);
            refs.head = target.head.or_else(|| refs.head.take());
        }
        for (owner, id, tip) in settled.pulls {
            let refs = self.refs.entry(Coordinate::new(owner, identifier.clone())).or_default();
            refs.refs.insert(RefName::nostr(&id), tip);
        }
        for event in serve {
            self.serve(&event, news);
        }
    }

    /// A push of branches, as `authorize` judges it; whether it was taken.
    pub(super) fn push(
        &mut self,
        repository: &Coordinate,
        refs: &BTreeMap<RefName, Oid>,
        news: &SelfSubscriber,
    ) -> bool {
        let Some(family) = self.families.get(&repository.identifier) else { return false };
        if !family.is_hosted(&repository.owner) {
            return false;
        }
        let current = self.refs.get(repository).map(|known| known.refs.clone()).unwrap_or_default();
        let names: BTreeSet<&RefName> =
            current.keys().filter(|name| name.is_in_state()).chain(refs.keys()).collect();
        let value =
            |map: &BTreeMap<RefName, Oid>, name: &RefName| map.get(name).copied().unwrap_or(Oid::ZERO);
        let command = |name: &RefName| RefCommand {
            name: name.clone(),
            old: value(&current, name),
            new: value(refs, name),
        };
        let commands: Vec<RefCommand> = names.into_iter().map(command).collect();
        let events = BTreeMap::new();
        let facts = PushFacts {
            family,
            owner: &repository.owner,
            current: &current,
            events: &events,
            read_only_archive: false,
        };
        if authorize(&facts, &commands).promotes.is_none() {
            return false;
        }
        self.adopt(&repository.identifier, refs.values().copied(), news);
        true
    }

    /// A push of a pull request's data; whether it was taken.
    pub(super) fn push_pull(
        &mut self,
        repository: &Coordinate,
        id: &EventId,
        tip: Oid,
        news: &SelfSubscriber,
    ) -> bool {
        let Some(family) = self.families.get(&repository.identifier) else { return false };
        if !family.is_hosted(&repository.owner) {
            return false;
        }
        let pull = |event: &Event| PullRequest::from_event(event).ok();
        let known = self.served.get(id).and_then(|event| pull(event));
        let known = known.or_else(|| family.pulls.get(id).cloned());
        let named = known.map_or(NamedEvent::Unknown, |pull| NamedEvent::PullRequest {
            tip: pull.tip,
            names_identifier: pull.repositories.iter().any(|named| named.identifier == repository.identifier),
        });
        let current = self.refs.get(repository).map(|known| known.refs.clone()).unwrap_or_default();
        let events = BTreeMap::from([(*id, named)]);
        let facts = PushFacts {
            family,
            owner: &repository.owner,
            current: &current,
            events: &events,
            read_only_archive: false,
        };
        let ruling = authorize(&facts, &[RefCommand { name: RefName::nostr(id), old: Oid::ZERO, new: tip }]);
        self.uploads.extend(ruling.unsigned.iter().copied());
        let signed: Vec<Oid> = ruling.signed.iter().map(|(_, tip)| *tip).collect();
        self.adopt(&repository.identifier, signed, news);
        ruling.changes_anything()
    }

    /// Objects are here, with everything they reach.
    pub(super) fn adopt(
        &mut self,
        identifier: &Identifier,
        tips: impl IntoIterator<Item = Oid>,
        news: &SelfSubscriber,
    ) {
        let all = tips.into_iter().flat_map(closure);
        self.objects.entry(identifier.clone()).or_default().extend(all);
        self.settle(identifier, news);
    }

    /// What was fetched lands as far as it completes something; returns how many events that was.
    pub(super) fn land(
        &mut self,
        identifier: &Identifier,
        parts: &BTreeSet<Oid>,
        news: &SelfSubscriber,
    ) -> usize {
        let Some(family) = self.families.get(identifier) else { return 0 };
        let here = self.objects.entry(identifier.clone()).or_default();
        let has = |oid: &Oid| here.contains(oid) || parts.contains(oid);
        let states = family.states.values().filter_map(|slot| slot.waiting.as_ref());
        let states = states.map(|state| (state.id, state.refs.values().copied().collect::<BTreeSet<_>>()));
        let pulls = family.pulls.values().map(|pull| (pull.id, pull.tip.into_iter().collect()));
        let complete: Vec<(EventId, BTreeSet<Oid>)> =
            states.chain(pulls).filter(|(_, oids)| !oids.is_empty() && oids.iter().all(has)).collect();
        let tips: BTreeSet<Oid> =
            complete.iter().flat_map(|(_, oids)| oids.intersection(parts).copied()).collect();
        if complete.is_empty() {
            return 0;
        }
        self.adopt(identifier, tips, news);
        complete.iter().filter(|(id, _)| self.purgatory.get(id).is_none()).count()
    }

    /// The next moment at which something has waited in vain.
    pub(super) fn next_expiry(&self) -> Option<u64> {
        self.purgatory.iter().map(|waiting| waiting.deadline).min()
    }

    /// Drops what has waited in vain; `held`: not what is being fetched.
    pub(super) fn expire(&mut self, now: u64, held: &BTreeSet<Identifier>, news: &SelfSubscriber) {
        for id in self.purgatory.expired(now) {
            let Some(waiting) = self.purgatory.get(&id).filter(|waiting| waiting.deadline <= now) else {
                continue;
            };
            let (identifiers, event, synced) = (waiting.identifiers(), waiting.event.clone(), waiting.synced);
            if !identifiers.is_disjoint(held) {
                continue;
            }
            for identifier in &identifiers {
                let Some(family) = self.families.get_mut(identifier) else { continue };
                family.pulls.remove(&id);
                if let Some(slot) = family.announcements.get_mut(&event.pubkey) {
                    slot.waiting.take_if(|known| known.announcement.id == id);
                }
                if let Some(slot) = family.states.get_mut(&event.pubkey) {
                    slot.waiting.take_if(|known| known.id == id);
                }
            }
            self.expired.insert(id, now + Patience::default().expired_ids);
            self.leave(&id, news);
            if let Ok(announcement) = Announcement::from_event(&event) {
                self.enter_directory(&announcement.coordinate(), news);
            }
            if let Ok(state) = State::from_event(&event) {
                if synced {
                    self.restart_clocks(&state, now);
                }
                news.vacated(&state);
            }
            identifiers.iter().for_each(|identifier| self.settle(identifier, news));
        }
    }

    /// What must be true of any house at any time.
    pub(super) fn fault(&self) -> Option<String> {
        if let Some(event) = self.served.values().find(|event| !is_true(event)) {
            return Some(format!("a forged event is served: {}", event.id));
        }
        if let Some(waiting) = self.purgatory.iter().find(|waiting| !is_true(&waiting.event)) {
            return Some(format!("a forged event waits: {}", waiting.event.id));
        }
        if let Some(waiting) =
            self.purgatory.iter().find(|waiting| self.served.contains_key(&waiting.event.id))
        {
            return Some(format!("an event is served and waits: {}", waiting.event.id));
        }
        for event in self.served.values() {
            let Ok(state) = State::from_event(event) else { continue };
            let here = self.objects.get(&state.identifier);
            if let Some(oid) = state.refs.values().find(|oid| here.is_none_or(|here| !here.contains(oid))) {
                return Some(format!("state {} is served without its object {oid}", state.id));
            }
        }
        None
    }
}
