//! From a decision to a commit record: what is changed about a family, settled, and compared with what is there.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use nostr::event::{Event, EventId};
use nostr::filter::{Filter, SingleLetterTag};
use nostr::key::PublicKey;

use super::journal::{CommitRecord, RepositoryChange};
use super::purge::Shrink;
use super::{Settled, settle, wanted};
use crate::admission::related::Address;
use crate::admission::{Family, Hosted};
use crate::fault;
use crate::house::held::Held;
use crate::house::{House, HouseError};
use crate::intake::tombstones;
use crate::nip34::{
    ANNOUNCEMENT, Coordinate, Identifier, Oid, PULL_REQUEST, PULL_REQUEST_UPDATE, PullRequest, RefName,
    STATE, State,
};
use crate::purgatory::Waiting;
use crate::purgatory::unsigned::{Place, Upload};
use crate::store::tables::Write;

/// A change in the making. Nothing is written before [`Meeting::commit`].
#[derive(Debug)]
pub(crate) struct Meeting<'h> {
    pub(crate) house: &'h House,
    pub(super) families: BTreeMap<Identifier, Family>,
    pub(super) record: CommitRecord,
    /// New to purgatory, unless settling serves them.
    pub(super) waiting: BTreeMap<EventId, Waiting>,
    /// Uploads that are taken in.
    pub(super) uploads: Vec<Upload>,
    /// Other writes of the same batch.
    pub(super) writes: Vec<Write>,
    /// Changes of `refs/nostr/` in contributors' repositories: set, or removed.
    pub(super) contributed: BTreeMap<Coordinate, BTreeMap<RefName, Option<Oid>>>,
    /// Repositories that are retired now, with what is kept of them.
    pub(crate) held: Vec<Held>,
    /// Repositories that are retired no longer.
    pub(super) unheld: Vec<Coordinate>,
    /// Repositories that come back if they are served in the end, with the branch that HEAD named.
    pub(super) returning: BTreeMap<Coordinate, Option<RefName>>,
    /// Served pull requests whose data may be in the family of another identifier that they name.
    pub(super) spreading: BTreeSet<EventId>,
    /// Families that may keep what nobody needs any more.
    pub(super) shrinking: BTreeMap<Identifier, Shrink>,
    /// Changes of `refs/nostr/`: set, or removed.
    nostr: BTreeMap<Coordinate, BTreeMap<RefName, Option<Oid>>>,
}

impl<'h> Meeting<'h> {
    /// A meeting about some families; their locks are held by the caller.
    pub(crate) fn new(house: &'h House, families: impl IntoIterator<Item = Family>) -> Self {
        Self {
            house,
            families: families.into_iter().map(|family| (family.identifier.clone(), family)).collect(),
            record: CommitRecord::default(),
            waiting: BTreeMap::new(),
            uploads: Vec::new(),
            writes: Vec::new(),
            contributed: BTreeMap::new(),
            held: Vec::new(),
            unheld: Vec::new(),
            returning: BTreeMap::new(),
            spreading: BTreeSet::new(),
            shrinking: BTreeMap::new(),
            nostr: BTreeMap::new(),
        }
    }

    /// The facts about one of the families.
    pub(crate) fn family(&self, identifier: &Identifier) -> Option<&Family> {
        self.families.get(identifier)
    }

    /// Serves an event; what it replaces goes.
    pub(crate) fn serve(&mut self, event: Event) {
        self.replace(&event);
        for family in self.families.values_mut() {
            self.house.enter(family, &event, true);
        }
        self.record.serve.push(event);
    }

    /// Lets an event wait; [`Meeting::settle`] may find that it need not. What it replaces in purgatory goes.
    pub(crate) fn wait(&mut self, event: Event, synced: bool) {
        self.replace(&event);
        for family in self.families.values_mut() {
            self.house.enter(family, &event, false);
        }
        let archived = synced && self.families.values().any(|family| family.archives(&event));
        let patience = &self.house.plan.patience;
        let patience = if archived { patience.events.max(patience.archived) } else { patience.events };
        let patience = if fault::is("expired-at-half-time") { patience / 2 } else { patience };
        let since = self.house.now();
        self.waiting.insert(event.id, Waiting { event, since, deadline: since + patience, synced });
    }

    /// The waiting event whose place this one takes leaves purgatory.
    fn replace(&mut self, event: &Event) {
        for family in self.families.values_mut() {
            let gone = if event.kind == ANNOUNCEMENT {
                let slot = family.announcements.entry(event.pubkey).or_default();
                slot.waiting.take().map(|old| old.announcement.id)
            } else if event.kind == STATE {
                let slot = family.states.entry(event.pubkey).or_default();
                slot.waiting.take().map(|old| old.id)
            } else {
                None
            };
            self.record.leave.extend(gone.filter(|old| *old != event.id));
        }
    }

    /// A new deadline for the waiting announcements whose maintainers include a state's author.
    pub(crate) fn restart_clocks_of(&mut self, state: &State) {
        let Some(family) = self.families.get(&state.identifier) else { return };
        let hosted = family.hosted();
        self.restart_clocks(&state.identifier, |owner| {
            hosted.get(owner).is_some_and(|maintainers| maintainers.contains(&state.author))
        });
    }

    /// A new deadline for the waiting announcements that somebody's state or push concerns.
    pub(crate) fn restart_clocks(&mut self, identifier: &Identifier, concerns: impl Fn(&PublicKey) -> bool) {
        let Some(family) = self.families.get(identifier).filter(|_| !fault::is("clocks-never-restart"))
        else {
            return;
        };
        let announcements = family.announcements.iter().filter(|(owner, _)| concerns(owner));
        let ids: Vec<EventId> =
            announcements.filter_map(|(_, slot)| Some(slot.waiting.as_ref()?.announcement.id)).collect();
        let deadline = self.house.now() + self.house.plan.patience.events;
        for id in ids {
            let known = self.house.purgatory.lock().get(&id).cloned();
            if let Some(waiting) = known.filter(|waiting| waiting.deadline < deadline) {
                self.waiting.entry(id).or_insert(Waiting { deadline, ..waiting });
            }
        }
    }

    /// A pull request's tip was pushed to a repository: what it has waited for. It may be served already, because its tip
    /// came to another family first.
    pub(crate) fn pushed(&mut self, place: Place, to: &Coordinate, pull: &PullRequest, tip: Oid) {
        let Some(family) = self.families.get_mut(&to.identifier) else { return };
        family.pushed.insert(pull.id);
        let hosted =
            |named: &&Coordinate| named.identifier == family.identifier && family.is_hosted(&named.owner);
        let most = if fault::is("first-owner-only") { 1 } else { usize::MAX };
        let mut shown: Vec<Coordinate> =
            pull.repositories.iter().filter(hosted).take(most).cloned().collect();
        match place {
            Place::Contributed => self.contributed_ref(to.clone(), &pull.id, Some(tip)),
            // Nothing that it names is here (any more): then it is shown where it was pushed to.
            Place::Hosted if shown.is_empty() => shown.push(to.clone()),
            Place::Hosted => {}
        }
        shown.into_iter().for_each(|repository| self.nostr_ref(repository, &pull.id, Some(tip)));
    }

    /// A pull request goes, and its refs with it: where it was pushed to, which it need not name.
    pub(crate) fn hide(&mut self, pull: &PullRequest) {
        for identifier in pull.identifiers() {
            if !fault::is("contributed-refs-stay") {
                self.contributed_ref(Coordinate::new(pull.author, identifier.clone()), &pull.id, None);
            }
            let owners = self.families.get(identifier).into_iter().flat_map(|f| f.announcements.keys());
            for owner in owners.copied().collect::<Vec<_>>() {
                self.nostr_ref(Coordinate::new(owner, identifier.clone()), &pull.id, None);
            }
        }
    }

    /// Whether an event that was offered has to wait.
    pub(crate) fn waits(&self, id: &EventId) -> bool {
        self.waiting.contains_key(id)
    }

    /// Whether purgatory has room for what is to wait, once what leaves it has left.
    pub(crate) fn fits(&self) -> bool {
        let purgatory = self.house.purgatory.lock();
        let bounds = &self.house.plan.bounds;
        let (mut events, mut bytes) = (purgatory.len(), purgatory.bytes());
        for new in self.waiting.values().filter(|new| purgatory.get(&new.event.id).is_none()) {
            (events, bytes) = (events + 1, bytes + new.weight());
        }
        for gone in self.record.leave.iter().filter_map(|id| purgatory.get(id)) {
            (events, bytes) = (events - 1, bytes - gone.weight());
        }
        events <= bounds.waiting_events && bytes <= bounds.waiting_bytes
    }

    /// Whether a waiting event waits on after settling.
    pub(crate) fn still_waits(&self, id: &EventId) -> bool {
        let known = self.house.purgatory.lock().get(id).is_some();
        known && !self.record.leave.contains(id)
    }

    /// One more write of the same batch.
    pub(crate) fn write(&mut self, write: Write) {
        self.writes.push(write);
    }

    /// All versions of an address up to a time are refused from now on; what was refused already stays so.
    pub(crate) fn bury(&mut self, address: &Address, until: u64) -> Result<(), HouseError> {
        let until = tombstones::until(&self.house.tables, address)?.map_or(until, |known| known.max(until));
        self.writes.push(tombstones::address(address, until));
        Ok(())
    }

    /// An upload is taken in, apart from the family.
    pub(crate) fn upload(&mut self, upload: Upload) {
        self.uploads.push(upload);
    }

    /// An upload's time is over, or its event has come.
    pub(crate) fn drop_upload(&mut self, upload: Upload) {
        self.record.uploads_gone.push(upload);
    }

    /// An empty repository goes, its announcement has gone before; and its family, if that has no other.
    pub(crate) fn remove_repository(&mut self, repository: Coordinate) {
        let identifier = repository.identifier.clone();
        self.record.repositories.push(RepositoryChange::Remove(repository));
        let contributed = self.house.contributors.lock().of(&identifier).next().is_some();
        if !contributed && self.families.get(&identifier).is_some_and(|family| family.hosted().is_empty()) {
            self.leave(identifier);
        }
    }

    /// Nobody has a repository of a family any more: it goes, at once if it is empty.
    pub(super) fn leave(&mut self, identifier: Identifier) {
        self.record.repositories.push(RepositoryChange::Leave(identifier.clone()));
        let planned = self.house.shrink.lock().get(&identifier).copied();
        self.shrinking.entry(identifier).or_insert(planned.unwrap_or(Shrink::IfNobodyHasIt));
    }

    /// A family may keep what nobody needs any more: that goes when the clock comes round.
    pub(crate) fn shrink(&mut self, identifier: Identifier) {
        self.shrinking.insert(identifier, Shrink::ToWhatIsNeeded);
    }

    /// Takes a waiting event out of purgatory.
    pub(crate) fn drop_waiting(&mut self, id: &EventId) {
        self.families.values_mut().for_each(|family| take_waiting(family, id));
        self.record.leave.insert(*id);
    }

    /// Takes a served event out of the store.
    pub(crate) fn drop_served(&mut self, id: EventId) {
        for family in self.families.values_mut() {
            for slot in family.announcements.values_mut() {
                slot.served.take_if(|served| served.announcement.id == id);
            }
            for slot in family.states.values_mut() {
                slot.served.take_if(|served| served.id == id);
            }
        }
        self.record.delete.insert(id);
    }

    /// Sets or removes `refs/nostr/<id>` in a repository.
    pub(crate) fn nostr_ref(&mut self, repository: Coordinate, id: &EventId, tip: Option<Oid>) {
        self.nostr.entry(repository).or_default().insert(RefName::nostr(id), tip);
    }

    /// A repository is new here: served pull requests that name it get their ref, at once where their data is in its family.
    pub(crate) async fn welcome(&mut self, repository: &Coordinate) -> Result<(), HouseError> {
        let pulls = self.house.served_pulls(repository).await?;
        let tips = pulls.iter().filter_map(|pull| pull.tip);
        let present = self.house.families.present(&repository.identifier, tips)?;
        for pull in pulls {
            let Some(tip) = pull.tip else { continue };
            if present.contains(&tip) {
                self.nostr_ref(repository.clone(), &pull.id, Some(tip));
            } else if pull.repositories.iter().any(|named| named.identifier != repository.identifier) {
                self.spreading.insert(pull.id);
            }
        }
        Ok(())
    }

    /// Settles all families: what may be served is, and every ref follows.
    pub(crate) fn settle(&mut self) -> Result<(), HouseError> {
        // All families are looked at before anything is released: a pull request may wait in several of them.
        let mut all = Vec::new();
        for (identifier, family) in &self.families {
            let here = self.house.families.present(identifier, wanted(family))?;
            all.push((identifier.clone(), settle(family, &here)));
        }
        for (identifier, settled) in &all {
            self.release(identifier, settled);
        }
        for (identifier, settled) in &all {
            self.follow(identifier, settled)?;
        }
        let order = |event: &Event| match event.kind {
            kind if kind == ANNOUNCEMENT => 0,
            kind if kind == STATE => 1,
            _ => 2,
        };
        self.record.serve.sort_by_key(order);
        Ok(())
    }

    /// Moves the events that may be served from waiting to served.
    fn release(&mut self, identifier: &Identifier, settled: &Settled) {
        for id in &settled.serve {
            let new = self.waiting.remove(id).map(|waiting| waiting.event);
            let known = || self.house.purgatory.lock().get(id).map(|waiting| waiting.event.clone());
            let Some(event) = new.or_else(known) else { continue };
            if self.record.serve.iter().all(|served| served.id != event.id) {
                self.record.serve.push(event.clone());
            }
            if self.house.purgatory.lock().get(id).is_some() {
                self.record.leave.insert(*id);
            }
            for family in self.families.values_mut() {
                take_waiting(family, id);
                self.house.enter(family, &event, true);
            }
        }
        // The tip is known to be here in this family only: others get their ref by their own settling.
        for (owner, id, tip) in &settled.pulls {
            self.nostr_ref(Coordinate::new(*owner, identifier.clone()), id, Some(*tip));
        }
        for (author, id, tip) in &settled.contributed {
            self.contributed_ref(Coordinate::new(*author, identifier.clone()), id, Some(*tip));
        }
    }

    /// Compares what the refs of a family's repositories shall be with what they are.
    fn follow(&mut self, identifier: &Identifier, settled: &Settled) -> Result<(), HouseError> {
        let owners: BTreeSet<PublicKey> = self.families[identifier].hosted().into_keys().collect();
        for owner in owners {
            let repository = Coordinate::new(owner, identifier.clone());
            let current = self.house.repositories.snapshot(&repository)?;
            let before = current.as_ref().map(|refs| refs.values()).unwrap_or_default();
            let mut after = before.clone();
            let mut head = None;
            if let Some(target) = settled.repositories.get(&owner) {
                after.retain(|name, _| !name.is_in_state() && !fault::is("states-drop-nostr-refs"));
                after.extend(target.refs.clone());
                head.clone_from(&target.head);
                head.take_if(|_| fault::is("heads-forgotten"));
                if let Some(before) = self.returning.get(&repository).filter(|_| head.is_none()) {
                    head.clone_from(before);
                }
            }
            let asked = self.nostr.remove(&repository).unwrap_or_default();
            self.house.change(identifier, &mut after, asked)?;
            let head_moves = head.is_some() && current.as_ref().map(|refs| &refs.head) != head.as_ref();
            if after != before || head_moves {
                self.keep(identifier, &after);
                self.record.repositories.push(RepositoryChange::Refs { repository, refs: after, head });
            }
        }
        Ok(())
    }

    /// The family keeps what a repository's refs point to.
    pub(super) fn keep(&mut self, identifier: &Identifier, refs: &BTreeMap<RefName, Oid>) {
        self.record.keep.entry(identifier.clone()).or_default().extend(refs.values());
    }

    /// What is served and what waits after this, for the directory: announcements of the families.
    pub(super) fn announced(&self) -> HashMap<Coordinate, Option<(Hosted, bool)>> {
        let mut announced = HashMap::new();
        for family in self.families.values() {
            for (owner, slot) in &family.announcements {
                let newest = slot.newest().map(|known| (known.clone(), slot.waiting.is_none()));
                announced.insert(family.coordinate(*owner), newest);
            }
        }
        announced
    }
}

impl House {
    /// The served pull requests and updates that name a repository.
    pub(super) async fn served_pulls(&self, repository: &Coordinate) -> Result<Vec<PullRequest>, HouseError> {
        let filter = Filter::new()
            .kinds([PULL_REQUEST, PULL_REQUEST_UPDATE])
            .custom_tag(SingleLetterTag::LOWERCASE_A, repository.to_string());
        let events = self.store.query(filter).await?;
        Ok(events.iter().filter_map(|event| PullRequest::from_event(event).ok()).collect())
    }

    /// Sets and removes refs as asked; one to what is not here is left out, for a record with it could never be finished.
    pub(super) fn change(
        &self,
        identifier: &Identifier,
        refs: &mut BTreeMap<RefName, Oid>,
        asked: BTreeMap<RefName, Option<Oid>>,
    ) -> Result<(), HouseError> {
        let here = self.families.present(identifier, asked.values().flatten().copied())?;
        for (name, tip) in asked {
            match tip {
                Some(tip) if here.contains(&tip) => refs.insert(name, tip),
                Some(_) => None,
                None => refs.remove(&name),
            };
        }
        Ok(())
    }
}

fn take_waiting(family: &mut Family, id: &EventId) {
    family.pulls.remove(id);
    family.contributed.remove(id);
    family.pushed.remove(id);
    for slot in family.announcements.values_mut() {
        slot.waiting.take_if(|waiting| waiting.announcement.id == *id);
    }
    for slot in family.states.values_mut() {
        slot.waiting.take_if(|waiting| waiting.id == *id);
    }
}
