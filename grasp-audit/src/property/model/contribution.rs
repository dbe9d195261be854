//! Contributors' repositories, `/prs/<npub>/<identifier>.git`: GRASP-06.
//!
//! Everybody has one for every identifier, empty until something is pushed to it. It is apart from the hosted repository
//! at the path without `/prs`; what is released in it appears in the hosted ones too, and never the other way.

use std::collections::{BTreeMap, BTreeSet};

use super::{
    Event, EventId, Family, Judgement, NostrRefs, Object, Project, Push, Reply, Repo, Row, Says, World,
    reached,
};

impl Event {
    /// Its author's repository here that its `clone` tag names, of an identifier that an `a` tag of it has.
    pub(super) fn contributes(&self) -> Option<Repo> {
        let Says::Pull { contributed, .. } = &self.says else { return None };
        contributed.filter(|repo| self.may_be_contributed_to(*repo))
    }

    /// Whether signer and identifier are those of this contributor's repository.
    pub(super) fn may_be_contributed_to(&self, repo: Repo) -> bool {
        repo.owner == self.by && self.names_project(repo.project)
    }

    pub(super) fn names_project(&self, project: Project) -> bool {
        self.names().iter().any(|repo| repo.project == project)
    }
}

impl World {
    /// A push to `refs/nostr/<id>` of a contributor's repository.
    pub(super) fn contribute(&self, push: &Push, id: EventId, tip: Object) -> Judgement {
        let judgement = match self.served.get(&id).or_else(|| self.waiting.get(&id)) {
            Some(event) => self.contribute_known(push, event, tip),
            None => {
                let mut world = self.clone();
                world.contributor_mut(push.to).upload(id, tip);
                self.push_unknown(push, id, tip, Row::ContributedUnknown, world)
            }
        };
        // What neither comes along nor is shown there is in the family at best: whether that counts is not said.
        let there = self.contributed_objects(push.to);
        let at_hand = |object: &Object| push.brings.contains(object) || there.contains(object);
        if tip.reaches().iter().all(at_hand) { judgement } else { judgement.or(Reply::Refused, self.clone()) }
    }

    fn contribute_known(&self, push: &Push, event: &Event, tip: Object) -> Judgement {
        let wanted = matches!(&event.says, Says::Pull { tip: wanted, .. } if *wanted == tip);
        if !wanted || !event.may_be_contributed_to(push.to) {
            return Judgement::one(Row::ContributedOther, Reply::Refused, self.clone());
        }
        let shown = self.contributors.get(&push.to).is_some_and(|refs| refs.served.contains_key(&event.id));
        if shown {
            return Judgement::one(Row::PushInPlace, Reply::Taken, self.clone());
        }
        if !self.gets_all_of(push.to.project, [&tip], &push.brings) {
            return Judgement::one(Row::ContributedOther, Reply::Refused, self.clone());
        }
        let mut world = self.clone();
        world.family_mut(push.to.project).takes_contribution(tip);
        world.contributor_mut(push.to).serve(event.id, tip);
        world.serve_pull(event);
        let mut judgement =
            Judgement { rows: BTreeSet::from([Row::ContributedMatching]), alternatives: Vec::new() };
        for world in world.settled() {
            judgement = judgement.or(Reply::Taken, world);
        }
        if !self.is_place_of(event, push.to) {
            judgement = judgement.or(Reply::Refused, self.clone());
        }
        let mirrored = self.has_served_any(event) && !self.served.contains_key(&event.id);
        if mirrored { judgement.also(Row::Mirrored) } else { judgement }
    }

    /// Whether this contributor's repository, of its signer and of an identifier that it names, is certainly a place for its
    /// data: its `clone` tag names it, or what it names there is served here. Otherwise the table does not say.
    pub(super) fn is_place_of(&self, event: &Event, repo: Repo) -> bool {
        let of_project = event.names().iter().filter(|named| named.project == repo.project);
        event.contributes() == Some(repo) || self.is_any_served(of_project)
    }

    /// The same world where it is not said whether what was pushed to these contributors' repositories counts.
    pub(super) fn doubting(&self, id: EventId, places: &[Repo]) -> Self {
        let mut world = self.clone();
        places.iter().for_each(|place| world.contributor_mut(*place).doubt(id));
        world
    }

    /// A pull request is served from now on: where its data is below `/prs/`.
    pub(super) fn serve_contribution(&mut self, event: &Event, tip: Object) {
        for repo in self.pushed_below_prs(event.id).into_keys() {
            self.contributor_mut(repo).serve(event.id, tip);
        }
        let Some(place) = event.contributes().filter(|place| self.contributed_at(*place, event.id).is_none())
        else {
            return;
        };
        // Its data was here before. Where no hosted repository shows it, the one that its `clone` tag names has to.
        if self.has_served_any(event) {
            self.contributor_mut(place).maybe.insert(event.id, tip);
        } else {
            self.contributor_mut(place).serve(event.id, tip);
        }
    }

    /// What was pushed to a hosted repository does not appear in the contributor's.
    pub(super) fn not_mirrored_back(&mut self, event: &Event) {
        let (Some(place), Says::Pull { tip, .. }) = (event.contributes(), &event.says) else { return };
        let shown = self.has_served_any(event);
        let refs = self.contributor_mut(place);
        refs.remove(event.id);
        if !shown {
            // It was pushed to a hosted repository that it does not name: where its data is shown is not said.
            refs.maybe.insert(event.id, *tip);
        }
        self.contributors.retain(|_, refs| !refs.is_empty());
    }

    /// A repository is here no more. Pull requests that nothing shows now may be shown where their `clone` tags say.
    pub(super) fn doubt_contributions_to(&mut self, repo: Repo) {
        let lost = |event: &&Event| event.names().contains(&repo) && !self.has_served_any(event);
        let lost: Vec<Event> = self.served.values().filter(lost).cloned().collect();
        for event in lost {
            let (Some(place), Says::Pull { tip, .. }) = (event.contributes(), &event.says) else { continue };
            let refs = self.contributor_mut(place);
            if !refs.served.contains_key(&event.id) {
                refs.maybe.insert(event.id, *tip);
                self.family_mut(place.project).objects_perhaps.extend(tip.reaches());
            }
        }
    }

    fn contributor_mut(&mut self, repo: Repo) -> &mut NostrRefs {
        self.contributors.entry(repo).or_default()
    }

    /// Where `refs/nostr/<id>` is in a contributor's repository.
    #[must_use]
    pub fn contributed_at(&self, repo: Repo, id: EventId) -> Option<Object> {
        self.contributors.get(&repo)?.at(id)
    }

    /// Every object that a contributor's repository shows by a ref that somebody has signed for.
    #[must_use]
    pub fn contributed_objects(&self, repo: Repo) -> BTreeSet<Object> {
        self.contributors.get(&repo).map(|refs| reached(refs.served.values())).unwrap_or_default()
    }

    /// Where somebody has pushed it below `/prs/`, and what.
    pub(super) fn pushed_below_prs(&self, id: EventId) -> BTreeMap<Repo, Object> {
        self.contributors.iter().filter_map(|(repo, refs)| Some((*repo, *refs.uploads.get(&id)?))).collect()
    }

    /// Where this ref is below `/prs/`, or may be.
    pub(super) fn contributions_of(&self, id: EventId) -> Vec<(Repo, Object)> {
        self.contributors.iter().filter_map(|(repo, refs)| Some((*repo, refs.at(id)?))).collect()
    }

    pub(super) fn drop_contributions(&mut self, id: EventId, which: impl Fn(Repo, Object) -> bool) {
        for (repo, tip) in self.contributions_of(id) {
            if which(repo, tip) {
                self.contributor_mut(repo).remove(id);
            }
        }
        self.contributors.retain(|_, refs| !refs.is_empty());
    }

    /// Where nobody hosts the identifier, the table does not say whether objects stay that no contributor's ref reaches:
    /// the judgement of a world without them is added.
    pub(super) fn or_without_unused(
        &self,
        event: &Event,
        judgement: Judgement,
        judge: impl Fn(&Self) -> Judgement,
    ) -> Judgement {
        let without = event.contributes().and_then(|repo| self.without_unused(repo.project));
        let others = without.map(|world| judge(&world).alternatives).unwrap_or_default();
        others.into_iter().fold(judgement, |judgement, way| judgement.or(way.reply, way.world))
    }

    /// This world without objects that no contributor's ref reaches, where nobody hosts the identifier and there are any.
    pub(super) fn without_unused(&self, project: Project) -> Option<Self> {
        let shown = self.contributors.iter().filter(|(repo, _)| repo.project == project);
        let used = shown.flat_map(|(_, refs)| reached(refs.served.values())).collect();
        let family = self.family(project)?;
        if !family.contributed || !family.hosted.is_empty() || family.objects == used {
            return None;
        }
        let mut world = self.clone();
        world.family_mut(project).objects = used;
        Some(world)
    }
}

impl Family {
    pub(super) fn takes_contribution(&mut self, tip: Object) {
        self.objects.extend(tip.reaches());
        self.contributed = true;
    }
}
