//! Pushes: to heads and tags, and to `refs/nostr/<event-id>`.

use std::collections::BTreeSet;

use super::{
    Alternative, Event, EventId, Family, Judgement, Object, Person, Project, Refs, Reply, Repo, Row, Says,
    World, reached,
};

/// What a push wants, and what it brings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Push {
    /// The repository at whose path it comes.
    pub to: Repo,
    /// What it wants.
    pub wants: Wants,
    /// The objects in its pack.
    pub brings: BTreeSet<Object>,
}

/// What a push wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wants {
    /// Heads and tags shall be exactly these.
    Refs(Refs),
    /// `refs/nostr/<id>` shall be at this object.
    Nostr(EventId, Object),
    /// The same in the contributor's repository of that owner and identifier.
    Contribution(EventId, Object),
    /// A branch or tag of the contributor's repository shall be at this object.
    ContributedRef(super::Name, Object),
}

impl World {
    /// Somebody pushes.
    #[must_use]
    pub fn push(&self, push: &Push) -> Judgement {
        match &push.wants {
            Wants::Contribution(id, tip) => self.contribute(push, *id, *tip),
            Wants::ContributedRef(..) => Judgement::one(Row::ContributedRef, Reply::Refused, self.clone()),
            _ if self.hosted(push.to).is_none() => {
                Judgement::one(Row::PushNowhere, Reply::NotHosted, self.clone())
            }
            Wants::Refs(wanted) => self.push_refs(push, wanted),
            Wants::Nostr(id, tip) => self.push_nostr(push, *id, *tip),
        }
    }

    fn push_refs(&self, push: &Push, wanted: &Refs) -> Judgement {
        let Repo { owner, project } = push.to;
        let (Some(family), Some(hosted)) = (self.family(project), self.hosted(push.to)) else {
            return Judgement::one(Row::PushNowhere, Reply::NotHosted, self.clone());
        };
        if hosted.refs == *wanted {
            return Judgement::one(Row::PushInPlace, Reply::Taken, self.clone());
        }
        let arrives = self.gets_all_of(project, wanted.values(), &push.brings);
        let candidates = family.waiting_for(owner, wanted);
        let Some(newest) = candidates.into_iter().reduce(|a, b| if b.is_newer_than(&a) { b } else { a })
        else {
            let row = self.why_not(push.to, wanted);
            return Judgement::one(row, Reply::Refused, self.clone());
        };
        if !arrives {
            return Judgement::one(Row::PushRefused, Reply::Refused, self.clone());
        }
        let mut world = self.clone();
        let family = world.family_mut(project);
        family.objects.extend(reached(wanted.values()));
        // Other states may be complete now: a server may go through this one, or straight to the newest.
        let mut stepwise = world.clone();
        stepwise.family_mut(project).serve_state_of(newest.by);
        let stepwise = stepwise.one_by_one(project, &newest);
        let taken = |world| Alternative { reply: Reply::Taken, world };
        let mut alternatives: Vec<Alternative> = Vec::new();
        for world in world.settled().into_iter().chain(stepwise) {
            let alternative = taken(world);
            if !alternatives.contains(&alternative) {
                alternatives.push(alternative);
            }
        }
        let moved = alternatives.first().map_or(0, |first| first.world.moved_since(self, project).len());
        let judgement = Judgement { rows: BTreeSet::from([Row::PushAligned]), alternatives };
        if moved > 1 { judgement.also(Row::SiblingsMove) } else { judgement }
    }

    /// Every repository follows this state first, and then what else can be served.
    fn one_by_one(mut self, project: super::Project, state: &Event) -> Vec<Self> {
        let family = self.family_mut(project);
        let waiting: Vec<_> =
            family.states.iter_mut().filter_map(|(by, held)| Some((*by, held.waiting.take()?))).collect();
        let mut worlds = self.settled();
        for world in &mut worlds {
            for (by, state) in &waiting {
                world.family_mut(project).states.entry(*by).or_default().waiting = Some(state.clone());
            }
        }
        debug_assert!(worlds.iter().all(|world| world.is_served(state.id)));
        World::all_settled(&worlds)
    }

    /// Which row refuses a push that nothing waits for.
    fn why_not(&self, to: Repo, wanted: &Refs) -> Row {
        let Some(family) = self.family(to.project) else { return Row::PushRefused };
        let set = family.maintainers(to.owner);
        let says = |state: &&Event| matches!(&state.says, Says::State { refs, .. } if refs == wanted);
        let states = || {
            family
                .states
                .iter()
                .flat_map(|(by, held)| held.served.iter().chain(&held.waiting).filter(says).map(move |_| *by))
        };
        if states().any(|by| set.contains(&by)) {
            Row::PushStale
        } else if states().next().is_some() {
            Row::PushForeign
        } else {
            Row::PushRefused
        }
    }

    fn push_nostr(&self, push: &Push, id: EventId, tip: Object) -> Judgement {
        if let Some(event) = self.served.get(&id).or_else(|| self.waiting.get(&id)) {
            return self.push_known(push, event, tip);
        }
        let mut world = self.clone();
        if let Some(hosted) = world.hosted_mut(push.to) {
            hosted.nostr.upload(id, tip);
        }
        self.push_unknown(push, id, tip, Row::PushPullUnknown, world)
    }

    /// A push for an event that is not known; `taken` is the world with it.
    pub(super) fn push_unknown(
        &self,
        push: &Push,
        id: EventId,
        tip: Object,
        row: Row,
        taken: Self,
    ) -> Judgement {
        if self.gets_all_of(push.to.project, [&tip], &push.brings) {
            let judgement = Judgement::one(row, Reply::Taken, taken);
            // The event was here and was deleted: the table does not say whether it is known.
            let deleted = self.deleted.contains(&id);
            return if deleted { judgement.or(Reply::Refused, self.clone()) } else { judgement };
        }
        let refused = Judgement::one(Row::PushRefused, Reply::Refused, self.clone());
        // What is only in unsigned uploads may count for the next upload, or not.
        let mut at_hand = self.uploaded(push.to.project);
        at_hand.extend(&push.brings);
        let arrives = self.gets_all_of(push.to.project, [&tip], &at_hand);
        if arrives { refused.or(Reply::Taken, taken) } else { refused }
    }

    /// Every object of unsigned uploads of an identifier.
    fn uploaded(&self, project: Project) -> BTreeSet<Object> {
        let hosted = self.family(project).into_iter().flat_map(|family| family.hosted.values());
        let below_prs = self.contributors.iter().filter(|(repo, _)| repo.project == project);
        let refs = hosted.map(|hosted| &hosted.nostr).chain(below_prs.map(|(_, refs)| refs));
        reached(refs.flat_map(|refs| refs.uploads.values()))
    }

    /// Whether all that these tips reach is here or comes along.
    pub(super) fn gets_all_of<'a>(
        &self,
        project: Project,
        tips: impl IntoIterator<Item = &'a Object>,
        brings: &BTreeSet<Object>,
    ) -> bool {
        let here =
            |object: &Object| self.family(project).is_some_and(|family| family.objects.contains(object));
        reached(tips).iter().all(|object| here(object) || brings.contains(object))
    }

    fn push_known(&self, push: &Push, event: &Event, tip: Object) -> Judgement {
        let named = event.names_project(push.to.project);
        let wanted = matches!(&event.says, Says::Pull { tip: wanted, .. } if *wanted == tip);
        if !named || !wanted {
            return Judgement::one(Row::PushPullOther, Reply::Refused, self.clone());
        }
        if self.served.contains_key(&event.id) {
            let mut world = self.clone();
            let here = self.hosted(push.to).is_some_and(|hosted| hosted.nostr.served.contains_key(&event.id));
            if let Some(hosted) = world.hosted_mut(push.to)
                && !here
            {
                hosted.nostr.maybe.insert(event.id, tip);
            }
            let in_place = Judgement::one(Row::PushInPlace, Reply::Taken, world);
            // Beside the repositories it names it has no place that the table knows.
            return if here { in_place } else { in_place.or(Reply::Refused, self.clone()) };
        }
        if !self.gets_all_of(push.to.project, [&tip], &push.brings) {
            return Judgement::one(Row::PushRefused, Reply::Refused, self.clone());
        }
        let mut world = self.clone();
        world.family_mut(push.to.project).objects.extend(tip.reaches());
        world.take_objects(event, tip);
        if let Some(hosted) = world.hosted_mut(push.to) {
            hosted.nostr.maybe.insert(event.id, tip);
        }
        let mut judgement =
            Judgement { rows: BTreeSet::from([Row::PushPullMatching]), alternatives: Vec::new() };
        for mut world in world.settled() {
            world.not_mirrored_back(event);
            judgement = judgement.or(Reply::Taken, world);
        }
        judgement
    }
}

impl Family {
    /// The waiting states that are authorised for this owner, newer than the served one, and say exactly this.
    fn waiting_for(&self, owner: Person, wanted: &Refs) -> Vec<Event> {
        let set = self.maintainers(owner);
        let served = self.authorised(owner);
        let waiting = self.states.iter().filter(|(by, _)| set.contains(by));
        let waiting = waiting.filter_map(|(_, held)| held.waiting.as_ref());
        let newer = waiting.filter(|state| served.is_none_or(|served| state.is_newer_than(served)));
        newer
            .filter(|state| matches!(&state.says, Says::State { refs, .. } if refs == wanted))
            .cloned()
            .collect()
    }
}
