//! Everything else: taken when it is related to what is served, or a profile of somebody known.

use super::{Event, EventId, Judgement, Person, Reply, Repo, Row, Says, World};

/// Whether a relation is there: for certain, perhaps (what is named waits), or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Relation {
    None,
    Perhaps,
    Sure,
}

impl World {
    pub(super) fn other(&self, event: &Event) -> Judgement {
        let named = match &event.says {
            Says::Issue { about, quotes } => {
                let quoted = quotes.iter().map(|id| self.to_event(*id)).max();
                self.to_repository(*about).max(quoted.unwrap_or(Relation::None))
            }
            Says::CommentOnRepository(repo) => self.to_repository(*repo),
            Says::CommentOnEvent(id) => self.to_event(*id),
            _ => Relation::None,
        };
        let relation = if self.is_quoted(event.id) { Relation::Sure } else { named };
        let mut taken = self.clone();
        taken.served.insert(event.id, event.clone());
        match relation {
            Relation::Sure => Judgement::one(Row::Related, Reply::Taken, taken),
            Relation::Perhaps => {
                Judgement::one(Row::Unrelated, Reply::Refused, self.clone()).or(Reply::Taken, taken)
            }
            Relation::None => Judgement::one(Row::Unrelated, Reply::Refused, self.clone()),
        }
    }

    fn to_repository(&self, repo: Repo) -> Relation {
        match self.announced(repo) {
            Some(known) if known.served => Relation::Sure,
            Some(_) => Relation::Perhaps,
            None => Relation::None,
        }
    }

    fn to_event(&self, id: EventId) -> Relation {
        let opens_no_door = |event: &Event| matches!(event.says, Says::Deletion { .. } | Says::Profile);
        match self.served.get(&id) {
            // A profile and a deletion request came in by an exception, not by a relation.
            Some(event) if opens_no_door(event) => Relation::Perhaps,
            Some(_) => Relation::Sure,
            None if self.is_served(id) || self.is_waiting(id) => Relation::Perhaps,
            None => Relation::None,
        }
    }

    /// Whether a served event that is related itself quotes this one.
    fn is_quoted(&self, id: EventId) -> bool {
        self.served.values().any(|event| match &event.says {
            Says::Issue { quotes, .. } => quotes.contains(&id),
            Says::CommentOnEvent(on) => *on == id,
            _ => false,
        })
    }

    pub(super) fn profile(&self, event: &Event) -> Judgement {
        let older: Vec<Event> = self
            .served
            .values()
            .filter(|known| known.by == event.by && matches!(known.says, Says::Profile))
            .cloned()
            .collect();
        if older.iter().any(|known| known.is_newer_than(event)) {
            return Judgement::one(Row::Replaced, Reply::Refused, self.clone());
        }
        let mut taken = self.clone();
        taken.served.retain(|id, _| older.iter().all(|known| known.id != *id));
        taken.served.insert(event.id, event.clone());
        match self.knows(event.by) {
            Relation::Sure => Judgement::one(Row::KnownAuthor, Reply::Taken, taken),
            Relation::Perhaps => {
                Judgement::one(Row::Unrelated, Reply::Refused, self.clone()).or(Reply::Taken, taken)
            }
            Relation::None => Judgement::one(Row::Unrelated, Reply::Refused, self.clone()),
        }
    }

    /// Owners, maintainers and authors of root events are known; what waits makes its people known perhaps.
    fn knows(&self, person: Person) -> Relation {
        let mut known = Relation::None;
        for family in self.families.values() {
            for (owner, announced) in &family.announced {
                if family.maintainers(*owner).contains(&person) || *owner == person {
                    // A co-maintainer's own announcement has no repository here.
                    let sure = announced.served && announced.listed;
                    known = known.max(if sure { Relation::Sure } else { Relation::Perhaps });
                }
            }
        }
        let is_root = |event: &&Event| matches!(event.says, Says::Issue { .. } | Says::Pull { .. });
        if self.served.values().filter(is_root).any(|event| event.by == person) {
            known = Relation::Sure;
        } else if self.waiting.values().any(|event| event.by == person) || self.was_known(person) {
            known = known.max(Relation::Perhaps);
        }
        known
    }

    /// Whether something by this person was taken at some time: a server may remember it.
    fn was_known(&self, person: Person) -> bool {
        self.served.values().any(|event| event.by == person)
            || self.families.values().any(|family| family.states.contains_key(&person))
    }
}
