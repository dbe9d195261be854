//! States: kind 30618.

use super::{Event, Judgement, Project, Reply, Row, Says, World};

impl World {
    pub(super) fn state(&self, event: &Event, project: Project, invalid: bool) -> Judgement {
        let refused = |row| Judgement::one(row, Reply::Refused, self.clone());
        let Says::State { refs, head, .. } = &event.says else { return refused(Row::StateInvalid) };
        if invalid {
            return refused(Row::StateInvalid);
        }
        let Some(family) = self.family(project).filter(|family| family.may_sign(event.by)) else {
            return refused(Row::StateUnauthorised);
        };
        let known = family.states.get(&event.by);
        let newest = known.and_then(|held| held.waiting.as_ref().or(held.served.as_ref()));
        if newest.is_some_and(|newest| newest.is_newer_than(event)) {
            return refused(Row::Replaced);
        }
        let mut world = self.clone();
        let family = world.family_mut(project);
        family.states.entry(event.by).or_default().waiting = Some(event.clone());
        let row = if refs.is_empty() {
            if family.has_served_for(event.by) {
                family.serve_state_of(event.by);
                Row::StateEmptyServed
            } else {
                Row::StateEmptyWaits
            }
        } else if family.has_all_of(refs) {
            Row::StateHere
        } else {
            Row::StateMissing
        };
        let mut judgement = Judgement::of(row, event, world.settled());
        if head.is_some_and(|head| !refs.contains_key(&head)) {
            judgement = judgement.also(Row::HeadUnlisted);
        }
        if let Some(first) = judgement.alternatives.first().filter(|first| first.reply == Reply::Taken) {
            match first.world.moved_since(self, project).len() {
                0 => judgement = judgement.also(Row::StateHereOlder),
                1 => {}
                _ => judgement = judgement.also(Row::SiblingsMove),
            }
        }
        judgement
    }
}
