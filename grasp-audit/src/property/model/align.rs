//! What follows from a change: states that can be served are, refs follow them, announcements are released.

use std::collections::BTreeSet;

use super::maintainers::is_empty;
use super::{Event, Family, Name, Object, Person, Project, Refs, Says, World, reached};

/// How two silences of the table are read.
#[derive(Debug, Clone, Copy)]
struct Reading {
    /// A state without refs that waits is served once data is served.
    late_empty_states: bool,
    /// A served state without refs releases an announcement that comes later.
    released_by_nothing: bool,
}

const READINGS: [Reading; 4] = [
    Reading { late_empty_states: true, released_by_nothing: false },
    Reading { late_empty_states: false, released_by_nothing: false },
    Reading { late_empty_states: true, released_by_nothing: true },
    Reading { late_empty_states: false, released_by_nothing: true },
];

impl World {
    /// This world once everything that follows has happened, in every reading.
    pub(super) fn settled(&self) -> Vec<Self> {
        let mut worlds: Vec<Self> = Vec::new();
        for reading in READINGS {
            let mut world = self.clone();
            world.settle(reading);
            let mut next = Some(world);
            while let Some(mut world) = next {
                next = world.with_objects_perhaps(reading);
                if !worlds.contains(&world) {
                    worlds.push(world);
                }
            }
        }
        worlds
    }

    /// The same world if what may be here is, where that is anything. In this one it is not.
    fn with_objects_perhaps(&mut self, reading: Reading) -> Option<Self> {
        if self.families.values().all(|family| family.objects_perhaps.is_empty()) {
            return None;
        }
        let perhaps: Vec<(Project, BTreeSet<Object>)> = self
            .families
            .iter_mut()
            .map(|(project, family)| (*project, std::mem::take(&mut family.objects_perhaps)))
            .collect();
        let mut world = self.clone();
        for (project, objects) in perhaps {
            world.family_mut(project).objects.extend(objects);
        }
        if world == *self {
            return None;
        }
        world.settle(reading);
        Some(world)
    }

    /// The same for each of several worlds.
    pub(super) fn all_settled(worlds: &[Self]) -> Vec<Self> {
        let mut settled: Vec<Self> = Vec::new();
        for world in worlds.iter().flat_map(Self::settled) {
            if !settled.contains(&world) {
                settled.push(world);
            }
        }
        settled
    }

    fn settle(&mut self, reading: Reading) {
        for family in self.families.values_mut() {
            family.hosted.values_mut().for_each(|hosted| hosted.turns = 0);
        }
        loop {
            let mut changed = false;
            for family in self.families.values_mut() {
                changed |= family.serve_states(reading);
                changed |= family.align(reading);
            }
            changed |= self.serve_pulls();
            if !changed {
                break;
            }
        }
        self.families.values_mut().for_each(Family::forget_passing_heads);
    }
}

impl Family {
    /// Whether everything that a state names is here.
    pub(super) fn has_all_of(&self, refs: &Refs) -> bool {
        reached(refs.values()).is_subset(&self.objects)
    }

    /// Whether data of a repository for which this person may sign has been served.
    pub(super) fn has_served_for(&self, person: Person) -> bool {
        self.hosted.keys().any(|owner| {
            self.announced.get(owner).is_some_and(|known| known.served)
                && self.maintainers(*owner).contains(&person)
        })
    }

    fn serve_states(&mut self, reading: Reading) -> bool {
        let can_be_served = |state: &Event| {
            let Says::State { refs, .. } = &state.says else { return false };
            if refs.is_empty() {
                reading.late_empty_states && self.has_served_for(state.by)
            } else {
                self.may_sign(state.by) && self.has_all_of(refs)
            }
        };
        let ready: Vec<Person> = self
            .states
            .iter()
            .filter(|(_, held)| held.waiting.as_ref().is_some_and(can_be_served))
            .map(|(by, _)| *by)
            .collect();
        for by in &ready {
            self.serve_state_of(*by);
        }
        // The order among several is not told: HEAD is then what the last one says, or what an earlier one said.
        if ready.len() > 1 {
            let branches: BTreeSet<Option<Name>> = ready.iter().map(|by| self.head_of(*by)).collect();
            if branches.len() > 1 {
                self.hosted.values_mut().for_each(|hosted| hosted.head = None);
            }
        }
        !ready.is_empty()
    }

    /// A repository that has followed one state on its way to another, which says nothing of HEAD: a server may have gone
    /// straight there, so HEAD is as it was, or as the first one says.
    fn forget_passing_heads(&mut self) {
        let silent: Vec<Person> = self
            .hosted
            .keys()
            .copied()
            .filter(|owner| self.authorised(*owner).and_then(usable_head).is_none())
            .collect();
        for (owner, hosted) in &mut self.hosted {
            if hosted.turns > 1 && silent.contains(owner) {
                hosted.head = None;
            }
            hosted.turns = 0;
        }
    }

    fn head_of(&self, by: Person) -> Option<Name> {
        self.states.get(&by)?.served.as_ref().and_then(usable_head)
    }

    /// The waiting state of this person is served from now on, in the place of its served one.
    pub(super) fn serve_state_of(&mut self, by: Person) {
        if let Some(held) = self.states.get_mut(&by)
            && let Some(state) = held.waiting.take()
        {
            held.served = Some(state);
        }
    }

    /// Refs and HEAD of each repository follow its authorised served state; its announcement is released by it.
    fn align(&mut self, reading: Reading) -> bool {
        let mut changed = false;
        for owner in self.hosted.keys().copied().collect::<Vec<_>>() {
            let Some(state) = self.authorised(owner).cloned() else {
                continue; // none remains: the refs stay
            };
            let releases = !is_empty(&state) || reading.released_by_nothing;
            if let Some(known) = self.announced.get_mut(&owner)
                && !known.served
                && releases
            {
                known.served = true;
                changed = true;
            }
            changed |= self.follow(owner, &state);
        }
        changed
    }

    fn follow(&mut self, owner: Person, state: &Event) -> bool {
        let (Says::State { refs, head, .. }, Some(hosted)) = (&state.says, self.hosted.get_mut(&owner))
        else {
            return false;
        };
        if hosted.follows == Some(state.id) {
            return false;
        }
        hosted.follows = Some(state.id);
        hosted.turns += 1;
        hosted.refs.clone_from(refs);
        match usable_head(state) {
            Some(branch) => hosted.head = Some(branch),
            // A state without HEAD may leave it dangling; the table does not say what a server does then.
            None if head.is_none() && hosted.head.is_some_and(|head| !refs.contains_key(&head)) => {
                hosted.head = None;
            }
            None => {}
        }
        true
    }
}

/// What HEAD names, if the state lists it.
fn usable_head(state: &Event) -> Option<Name> {
    let Says::State { refs, head, .. } = &state.says else { return None };
    head.filter(|head| head.is_branch() && refs.contains_key(head))
}

impl World {
    /// The owners whose refs differ between this world and an earlier one.
    pub(super) fn moved_since(&self, earlier: &Self, project: Project) -> BTreeSet<Person> {
        let Some(family) = self.family(project) else { return BTreeSet::new() };
        let before = |owner: Person| earlier.family(project).and_then(|family| family.hosted.get(&owner));
        let moved = family.hosted.iter().filter(|(owner, hosted)| {
            before(**owner).is_none_or(|before| before.follows != hosted.follows) && hosted.follows.is_some()
        });
        moved.map(|(owner, _)| *owner).collect()
    }
}
