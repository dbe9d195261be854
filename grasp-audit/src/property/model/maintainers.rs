//! Who may sign: the maintainer set of (owner, identifier).

use std::collections::BTreeSet;

use super::{Authority, Event, Family, Person, Says};

impl Authority {
    /// The keys it lists: `M` and `m` roles that are active if there is any role tag, `maintainers` otherwise.
    fn listed(&self) -> Vec<Person> {
        if self.roles.is_empty() {
            return self.maintainers.clone();
        }
        let active = self.roles.iter().filter(|role| role.active && matches!(role.letter, 'M' | 'm'));
        active.map(|role| role.person).collect()
    }

    /// Whether its author has a role tag of its own and no active `M` or `m`.
    fn has_left(&self, author: Person) -> bool {
        let own = || self.roles.iter().filter(|role| role.person == author);
        own().next().is_some() && !own().any(|role| role.active && matches!(role.letter, 'M' | 'm'))
    }
}

impl Family {
    /// The owner unless it has left, whom its announcement lists, whom theirs list, and so on.
    pub(super) fn maintainers(&self, owner: Person) -> BTreeSet<Person> {
        let mut set = BTreeSet::new();
        let mut open = vec![owner];
        let mut looked_at = BTreeSet::new();
        while let Some(person) = open.pop() {
            if !looked_at.insert(person) {
                continue;
            }
            let listed = self.announced.get(&person).map(|known| known.authority.listed());
            for listed in listed.unwrap_or_default() {
                set.insert(listed);
                open.push(listed);
            }
        }
        if !self.announced.get(&owner).is_some_and(|known| known.authority.has_left(owner)) {
            set.insert(owner);
        }
        set
    }

    /// Whether a state by this person counts for any repository here.
    pub(super) fn may_sign(&self, person: Person) -> bool {
        self.hosted.keys().any(|owner| self.maintainers(*owner).contains(&person))
    }

    /// The newest served state that is authorised for this owner.
    pub(super) fn authorised(&self, owner: Person) -> Option<&Event> {
        let set = self.maintainers(owner);
        let states = self
            .states
            .iter()
            .filter(|(by, _)| set.contains(by))
            .filter_map(|(_, held)| held.served.as_ref());
        states.reduce(|best, other| if other.is_newer_than(best) { other } else { best })
    }
}

/// Whether a state names no head and no tag.
pub(super) fn is_empty(state: &Event) -> bool {
    matches!(&state.says, Says::State { refs, .. } if refs.is_empty())
}
