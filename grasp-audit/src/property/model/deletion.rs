//! Deletion requests: kind 5 (NIP-09).

use std::collections::BTreeSet;

use super::{Address, Event, EventId, Judgement, Project, Reply, Repo, Row, Says, World};

impl World {
    pub(super) fn delete(&self, event: &Event, ids: &[EventId], addresses: &[Address]) -> Judgement {
        let (own, others): (Vec<Event>, Vec<Event>) =
            ids.iter().filter_map(|id| self.known(*id)).partition(|named| named.by == event.by);
        let own_addresses = addresses.iter().filter(|address| address.repo().owner == event.by);
        let mut goes: Vec<Event> = own.into_iter().filter(|named| !is_deletion(named)).collect();
        let mut spared = false;
        for address in own_addresses.clone() {
            let at_address = self.at_address(*address);
            spared |= at_address.iter().any(|named| named.at > event.at);
            goes.extend(at_address.into_iter().filter(|named| named.at <= event.at));
        }
        if goes.is_empty() {
            let row = if others.is_empty() && addresses.iter().all(|a| a.repo().owner == event.by) {
                Row::DeletionOfNothing
            } else {
                Row::DeletionOfOthers
            };
            let judgement = Judgement::one(row, Reply::Refused, self.clone());
            let judgement = self.or_of_what_was_put_aside(event, ids, addresses, judgement);
            if !spared {
                return judgement;
            }
            // The address is known and everything there is newer than the request (NIP-09 spares it).
            let mut world = self.clone();
            world.served.insert(event.id, event.clone());
            own_addresses.for_each(|address| world.doubt(*address, event.at));
            return judgement.or(Reply::Taken, world);
        }
        let mut world = self.clone();
        world.served.insert(event.id, event.clone());
        for address in own_addresses {
            if self.at_address(*address).iter().any(|named| named.at <= event.at) {
                let until = world.deleted_until.entry(*address).or_default();
                *until = event.at.max(*until);
            } else {
                world.doubt(*address, event.at);
            }
        }
        // Whether a request counts for what comes only later is not said.
        world.doubtful.extend(ids.iter().filter(|id| self.known(**id).is_none()));
        let mut rows = BTreeSet::new();
        let mut worlds = vec![world];
        for named in &goes {
            rows.insert(row_of(named));
            if !self.contributions_of(named.id).is_empty() {
                rows.insert(Row::DeletedContribution);
            }
            worlds = worlds.iter().flat_map(|world| world.without(named)).collect();
        }
        let projects: BTreeSet<Project> =
            goes.iter().filter_map(Event::address).map(|address| address.repo().project).collect();
        for project in projects {
            worlds = worlds.iter().flat_map(|world| world.without_orphans(project)).collect();
        }
        let mut judgement = Judgement { rows, alternatives: Vec::new() };
        for world in World::all_settled(&worlds) {
            judgement = judgement.or(Reply::Taken, world);
        }
        judgement
    }

    /// What was put aside with a retired repository is not served; whether it counts as known is not said.
    fn or_of_what_was_put_aside(
        &self,
        event: &Event,
        ids: &[EventId],
        addresses: &[Address],
        judgement: Judgement,
    ) -> Judgement {
        let mut world = self.clone();
        let mut gone = BTreeSet::new();
        for family in world.families.values_mut() {
            let state = family.put_aside.get(&event.by);
            let named = state.filter(|state| {
                let address = state.address().filter(|_| state.at <= event.at);
                ids.contains(&state.id) || address.is_some_and(|address| addresses.contains(&address))
            });
            gone.extend(named.map(|state| state.id));
            family.put_aside.retain(|_, state| !gone.contains(&state.id));
        }
        if gone.is_empty() {
            return judgement;
        }
        world.deleted.extend(gone);
        world.served.insert(event.id, event.clone());
        let own = addresses.iter().filter(|address| address.repo().owner == event.by);
        own.for_each(|address| world.doubt(*address, event.at));
        world.doubtful.extend(ids.iter().filter(|id| self.known(**id).is_none()));
        judgement.or(Reply::Taken, world)
    }

    /// Versions of an address up to a time may be refused from now on, or not.
    pub(super) fn doubt(&mut self, address: Address, until: u64) {
        let known = self.doubtful_until.entry(address).or_default();
        *known = until.max(*known);
    }

    /// The event of this id, served or waiting.
    fn known(&self, id: EventId) -> Option<Event> {
        let of_families = self.families.values().flat_map(|family| {
            let announced = family.announced.values().map(|known| &known.event);
            announced.chain(family.states.values().flat_map(|held| held.served.iter().chain(&held.waiting)))
        });
        let all = self.served.values().chain(self.waiting.values()).chain(of_families);
        all.into_iter().find(|event| event.id == id).cloned()
    }

    fn at_address(&self, address: Address) -> Vec<Event> {
        let repo = address.repo();
        let Some(family) = self.family(repo.project) else { return Vec::new() };
        match address {
            Address::Announcement(_) => {
                family.announced.get(&repo.owner).map(|known| known.event.clone()).into_iter().collect()
            }
            Address::State(_) => {
                let held = family.states.get(&repo.owner);
                held.into_iter().flat_map(|held| held.served.iter().chain(&held.waiting)).cloned().collect()
            }
        }
    }

    /// This world when the event has gone.
    fn without(&self, named: &Event) -> Vec<Self> {
        let mut world = self.clone();
        world.deleted.insert(named.id);
        if let Some(address) = named.address() {
            // By id one version goes; whether older ones may come again is not said.
            world.doubt(address, named.at);
        }
        match &named.says {
            Says::Announcement { project, .. } => {
                let mut worlds = world.retired(named.by, *project);
                if world.hosted(Repo { owner: named.by, project: *project }).is_none() {
                    // A co-maintainer's, whose repository is elsewhere: whether the states go, too, is not said.
                    world.doubtful.insert(named.id);
                    world.family_mut(*project).announced.remove(&named.by);
                    worlds.push(world);
                }
                worlds
            }
            Says::State { project, .. } => {
                if let Some(held) = world.family_mut(*project).states.get_mut(&named.by) {
                    held.served.take_if(|state| state.id == named.id);
                    held.waiting.take_if(|state| state.id == named.id);
                }
                vec![world]
            }
            _ => {
                world.served.remove(&named.id);
                world.waiting.remove(&named.id);
                for hosted in world.families.values_mut().flat_map(|family| family.hosted.values_mut()) {
                    hosted.nostr.remove(named.id);
                }
                world.drop_contributions(named.id, |_, _| true);
                vec![world]
            }
        }
    }
}

fn is_deletion(event: &Event) -> bool {
    matches!(event.says, Says::Deletion { .. })
}

fn row_of(named: &Event) -> Row {
    match named.says {
        Says::Announcement { .. } => Row::DeletedAnnouncement,
        Says::State { .. } => Row::DeletedState,
        Says::Pull { .. } => Row::DeletedPull,
        _ => Row::DeletedOther,
    }
}
