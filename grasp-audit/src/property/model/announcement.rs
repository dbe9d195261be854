//! Announcements: kind 30617.

use std::collections::BTreeMap;

use super::{
    Address, Announced, Authority, Event, EventId, Family, Hosted, Judgement, NostrRefs, Object, Person,
    Project, Reply, Repo, Row, Says, World, reached,
};

impl World {
    pub(super) fn announce(
        &self,
        event: &Event,
        project: Project,
        listed: bool,
        authority: &Authority,
    ) -> Judgement {
        let known = self.family(project).and_then(|family| family.announced.get(&event.by));
        if known.is_some_and(|known| known.event.is_newer_than(event)) {
            return Judgement::one(Row::Replaced, Reply::Refused, self.clone());
        }
        let announced =
            Announced { event: event.clone(), listed, authority: authority.clone(), served: false };
        let judgement = if listed {
            let judgement = self.announce_here(announced.clone(), project);
            let without = self.without_unused(project);
            let others = without.map(|world| world.announce_here(announced, project).alternatives);
            let others = others.unwrap_or_default().into_iter();
            others.fold(judgement, |judgement, way| judgement.or(way.reply, way.world))
        } else {
            self.announce_elsewhere(announced, project)
        };
        let changed = judgement
            .alternatives
            .first()
            .is_some_and(|first| first.world.went_on_since(self, project, event));
        if changed { judgement.also(Row::JudgedAgain) } else { judgement }
    }

    fn announce_here(&self, mut announced: Announced, project: Project) -> Judgement {
        let event = announced.event.clone();
        let mut world = self.clone();
        let family = world.family_mut(project);
        let known = family.announced.get(&event.by);
        announced.served = known.is_some_and(|known| known.served);
        let row = match known {
            Some(known) if known.served => Row::AnnouncedOverServed,
            Some(_) => Row::AnnouncedOverWaiting,
            None if family.would_be_authorised(&announced) => Row::AnnouncedWithState,
            None => Row::AnnouncedNew,
        };
        family.announced.insert(event.by, announced);
        let repo = Repo { owner: event.by, project };
        if self.hosted(repo).is_none() {
            let pulls = self.pulls_that_name(repo);
            let family = world.family_mut(project);
            // Their data may come along from the family of another identifier that they name.
            family.objects_perhaps.extend(reached(pulls.values()));
            let nostr = NostrRefs { maybe: pulls, ..NostrRefs::default() };
            family.hosted.insert(event.by, Hosted { nostr, ..Hosted::default() });
        }
        let mut worlds = world.without_orphans(project);
        if self.hosted(repo).is_none() {
            worlds.extend(world.as_it_was(repo));
        }
        Judgement::of(row, &event, World::all_settled(&worlds))
    }

    /// This world when a repository that was retired comes back with its owner's state. The table says that the data is
    /// kept, not what becomes of the state.
    fn as_it_was(&self, repo: Repo) -> Option<Self> {
        let mut world = self.clone();
        let family = world.family_mut(repo.project);
        let state = family.put_aside.remove(&repo.owner)?;
        let held = family.states.entry(repo.owner).or_default();
        let mut known = held.served.iter().chain(&held.waiting);
        if self.was_deleted(&state) || known.any(|known| known.id == state.id || known.is_newer_than(&state))
        {
            return None;
        }
        held.waiting = Some(state);
        Some(world)
    }

    /// Pull requests that are served already and name a repository that comes now: their refs may come with it.
    fn pulls_that_name(&self, repo: Repo) -> BTreeMap<EventId, Object> {
        let of = |event: &Event| match &event.says {
            Says::Pull { names, tip, .. } if names.contains(&repo) => Some((event.id, *tip)),
            _ => None,
        };
        self.served.values().filter_map(of).collect()
    }

    fn announce_elsewhere(&self, mut announced: Announced, project: Project) -> Judgement {
        let event = announced.event.clone();
        let by = event.by;
        let retires = self.hosted(Repo { owner: by, project }).is_some();
        let mut worlds = if retires { self.retired(by, project) } else { vec![self.clone()] };
        if retires {
            // If it is refused, whether versions that it would have replaced may come again is not said.
            for world in &mut worlds {
                world.doubt(Address::Announcement(Repo { owner: by, project }), event.at);
            }
        }
        let is_listed =
            |world: &World| world.family(project).is_some_and(|family| family.is_listed_by_others(by));
        let taken = worlds.first().is_some_and(is_listed);
        announced.served = true;
        let mut changed = Vec::new();
        for mut world in worlds {
            if taken {
                world.family_mut(project).announced.insert(by, announced.clone());
            }
            changed.extend(world.without_orphans(project));
        }
        let row = if taken { Row::CoMaintainer } else { Row::Unlisted };
        let judgement = Judgement::of(row, &event, World::all_settled(&changed));
        if retires { judgement.also(Row::Retired) } else { judgement }
    }

    /// The repository is retired: its announcement and its owner's states are not served any more, its path is 404,
    /// its data is kept. The table does not say what becomes of the owner's state that waits.
    pub(super) fn retired(&self, owner: Person, project: Project) -> Vec<Self> {
        let mut world = self.clone();
        let family = world.family_mut(project);
        family.hosted.remove(&owner);
        let mut doubtful = Vec::new();
        doubtful.extend(family.announced.remove(&owner).map(|known| known.event.id));
        let held = family.states.entry(owner).or_default();
        let put_aside = held.served.take();
        doubtful.extend(put_aside.iter().map(|state| state.id));
        family.put_aside.extend(put_aside.map(|state| (owner, state)));
        world.doubtful.extend(doubtful);
        world.doubt_contributions_to(Repo { owner, project });
        let mut worlds = vec![world];
        if let Some(without) = worlds[0].without_waiting_state(owner, project) {
            worlds.push(without);
        }
        worlds
    }

    /// States whose author nobody lists any more: the table does not say whether they go on waiting.
    pub(super) fn without_orphans(&self, project: Project) -> Vec<Self> {
        let mut worlds = vec![self.clone()];
        for by in Person::ALL {
            if self.family(project).is_some_and(|family| family.may_sign(by)) {
                continue;
            }
            let without = worlds.iter().filter_map(|world| world.without_waiting_state(by, project));
            worlds.extend(without.collect::<Vec<_>>());
        }
        worlds
    }

    fn without_waiting_state(&self, by: Person, project: Project) -> Option<Self> {
        let mut world = self.clone();
        let state = world.families.get_mut(&project)?.states.get_mut(&by)?.waiting.take()?;
        world.doubtful.insert(state.id);
        Some(world)
    }

    /// Whether something else than this event has changed: a state is served, a repository follows another one.
    fn went_on_since(&self, earlier: &Self, project: Project, event: &Event) -> bool {
        let served = |world: &Self| {
            let states = world.family(project).map(|family| family.states.clone()).unwrap_or_default();
            states.into_iter().filter_map(|(by, held)| Some((by, held.served?.id))).collect::<Vec<_>>()
        };
        // its own repository counts when it was there before
        let was_there = |owner: &Person| earlier.hosted(Repo { owner: *owner, project }).is_some();
        let moved = self.moved_since(earlier, project);
        moved.iter().any(|owner| *owner != event.by || was_there(owner))
            || served(self).iter().any(|state| !served(earlier).contains(state))
    }
}

impl Family {
    /// Whether a state is served that this announcement, were it accepted, would make authoritative for its author.
    fn would_be_authorised(&self, announced: &Announced) -> bool {
        let mut family = self.clone();
        let owner = announced.event.by;
        family.announced.insert(owner, announced.clone());
        family.hosted.insert(owner, Hosted::default());
        family.authorised(owner).is_some_and(|state| !super::maintainers::is_empty(state))
    }

    /// Whether this person is in the maintainer set of somebody else's announcement that lists the service.
    fn is_listed_by_others(&self, person: Person) -> bool {
        self.announced.iter().any(|(owner, known)| {
            *owner != person && known.listed && self.maintainers(*owner).contains(&person)
        })
    }
}
