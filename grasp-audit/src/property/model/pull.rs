//! Pull requests and their updates: kinds 1618 and 1619.

use std::collections::BTreeSet;

use super::{Event, EventId, Family, Judgement, Object, Project, Reply, Repo, Row, Says, World};

impl World {
    pub(super) fn pull(&self, event: &Event, names: &[Repo], tip: Object) -> Judgement {
        let hosted = |repo: &Repo| self.hosted(*repo).is_some();
        let served = |repo: &Repo| self.announced(*repo).is_some_and(|known| known.served);
        if self.has_served_any(event) {
            return self.pull_taken(event, tip);
        }
        if event.contributes().is_some() {
            let judgement = self.pull_taken(event, tip).also(Row::PullContributed);
            return self.or_without_unused(event, judgement, |world| world.pull_taken(event, tip));
        }
        let row = if names.iter().any(hosted) { Row::PullRepositoryWaits } else { Row::PullNoRepository };
        let judgement = Judgement::one(row, Reply::Refused, self.clone());
        // A co-maintainer's announcement is served and has no repository here: "served here" may mean either.
        if !names.iter().any(served) {
            return judgement;
        }
        let taken = self.with_pull(event).settled();
        taken.into_iter().fold(judgement, |judgement, world| judgement.or(world.became_of(event), world))
    }

    /// It is accepted: served when its data is here, or was pushed for it before.
    fn pull_taken(&self, event: &Event, tip: Object) -> Judgement {
        let judgement = self.pull_with_its_data(event, tip);
        let pushed = self.pushed_below_prs(event.id).into_keys();
        let unsure: Vec<Repo> = pushed
            .filter(|repo| event.may_be_contributed_to(*repo) && !self.is_place_of(event, *repo))
            .collect();
        if unsure.is_empty() {
            return judgement;
        }
        let without = self.doubting(event.id, &unsure).pull_with_its_data(event, tip);
        without.alternatives.into_iter().fold(judgement, |judgement, way| judgement.or(way.reply, way.world))
    }

    fn pull_with_its_data(&self, event: &Event, tip: Object) -> Judgement {
        let (uploads, contributions) = (self.uploads_of(event.id), self.pushed_below_prs(event.id));
        let fits_hosted =
            |(repo, upload): &(Repo, Object)| *upload == tip && event.names_project(repo.project);
        let fits_contributor =
            |repo: Repo, upload: Object| upload == tip && event.may_be_contributed_to(repo);
        let pushed = uploads.iter().any(fits_hosted);
        let contributed: Vec<Repo> = contributions
            .iter()
            .filter(|(repo, upload)| fits_contributor(**repo, **upload))
            .map(|(repo, _)| *repo)
            .collect();
        let is_here = self.has_tip(event, tip);
        let mut world = self.clone();
        world.drop_uploads(event.id, |_, upload| upload != tip);
        world.doubt_uploads_elsewhere(event);
        world.drop_contributions(event.id, |repo, upload| !fits_contributor(repo, upload));
        if pushed || !contributed.is_empty() {
            world.take_objects(event, tip);
        }
        for repo in &contributed {
            world.family_mut(repo.project).takes_contribution(tip);
        }
        // Where it was pushed to a repository that it does not name, of an identifier that it names.
        for (repo, _) in uploads.iter().filter(|upload| fits_hosted(upload)) {
            world.family_mut(repo.project).objects_perhaps.extend(tip.reaches());
        }
        let row = match (is_here, pushed, contributed.is_empty()) {
            (true, ..) => Row::PullHere,
            (false, true, _) | (false, false, false) => Row::PullUploaded,
            (false, false, true) => Row::PullWaits,
        };
        let mut judgement = Judgement::of(row, event, world.with_pull(event).settled());
        let to_its_place = event.contributes().is_some_and(|place| contributed.contains(&place));
        if pushed && !is_here && !to_its_place {
            judgement.alternatives.iter_mut().for_each(|way| way.world.not_mirrored_back(event));
        }
        if uploads.iter().any(|(_, upload)| *upload != tip) {
            judgement = judgement.also(Row::PullOtherTip);
        }
        if contributions.len() > contributed.len() {
            judgement = judgement.also(Row::ContributionUnfit);
        }
        if !contributed.is_empty() && self.has_served_any(event) {
            judgement = judgement.also(Row::Mirrored);
        }
        judgement
    }

    fn with_pull(&self, event: &Event) -> Self {
        let mut world = self.clone();
        world.waiting.insert(event.id, event.clone());
        world
    }

    /// Whether it names a repository that is hosted and served.
    pub(super) fn has_served_any(&self, event: &Event) -> bool {
        self.is_any_served(event.names())
    }

    /// Whether one of these is hosted and served.
    pub(super) fn is_any_served<'a>(&self, repos: impl IntoIterator<Item = &'a Repo>) -> bool {
        repos.into_iter().any(|repo| {
            self.hosted(*repo).is_some() && self.announced(*repo).is_some_and(|known| known.served)
        })
    }

    /// Whether the tip is here, in the family of one of its places.
    fn has_tip(&self, event: &Event, tip: Object) -> bool {
        let has = |family: &Family| family.objects.contains(&tip);
        self.projects_of(event).into_iter().any(|project| self.family(project).is_some_and(has))
    }

    /// The identifiers of its places here: the hosted repositories that it names, and its author's below `/prs/`.
    fn projects_of(&self, event: &Event) -> BTreeSet<Project> {
        self.hosted_projects_of(event)
            .into_iter()
            .chain(event.contributes().map(|repo| repo.project))
            .collect()
    }

    fn hosted_projects_of(&self, event: &Event) -> BTreeSet<Project> {
        let hosted = event.names().iter().filter(|repo| self.hosted(**repo).is_some());
        hosted.map(|repo| repo.project).collect()
    }

    /// Everything that the tip reaches is here from now on, for each of its places. Where its author's below `/prs/` need
    /// not show it, that may be so or not.
    pub(super) fn take_objects(&mut self, event: &Event, tip: Object) {
        let hosted = self.hosted_projects_of(event);
        for project in &hosted {
            self.family_mut(*project).objects.extend(tip.reaches());
        }
        let Some(place) = event.contributes() else { return };
        let is_shown = self.contributors.get(&place).is_some_and(|refs| refs.served.contains_key(&event.id));
        let family = self.family_mut(place.project);
        if hosted.is_empty() || is_shown {
            family.takes_contribution(tip);
        } else {
            family.contributed = true;
            family.objects_perhaps.extend(tip.reaches());
        }
    }

    /// Pull requests that wait and whose tips are here are served, with their refs.
    pub(super) fn serve_pulls(&mut self) -> bool {
        let ready: Vec<Event> = self
            .waiting
            .values()
            .filter(|event| matches!(&event.says, Says::Pull { tip, .. } if self.has_tip(event, *tip)))
            .cloned()
            .collect();
        for event in &ready {
            self.serve_pull(event);
        }
        !ready.is_empty()
    }

    pub(super) fn serve_pull(&mut self, event: &Event) {
        let Says::Pull { names, tip, .. } = &event.says else { return };
        self.waiting.remove(&event.id);
        self.served.insert(event.id, event.clone());
        // Where it was pushed to and is not named, the table does not say whether the ref stays.
        for (repo, upload) in self.uploads_of(event.id) {
            if let Some(hosted) = self.hosted_mut(repo) {
                hosted.nostr.uploads.remove(&event.id);
                hosted.nostr.maybe.insert(event.id, upload);
            }
        }
        for repo in names {
            let served = self.announced(*repo).is_some_and(|known| known.served);
            if let Some(hosted) = self.hosted_mut(*repo) {
                if served {
                    hosted.nostr.serve(event.id, *tip);
                } else {
                    // A repository that waits is named by it all the same: the ref may be there already.
                    hosted.nostr.maybe.insert(event.id, *tip);
                }
            }
        }
        self.serve_contribution(event, *tip);
        self.take_objects(event, *tip);
    }

    pub(super) fn uploads_of(&self, id: EventId) -> Vec<(Repo, Object)> {
        let mut uploads = Vec::new();
        for (project, family) in &self.families {
            for (owner, hosted) in &family.hosted {
                let repo = Repo { owner: *owner, project: *project };
                uploads.extend(hosted.nostr.uploads.get(&id).map(|upload| (repo, *upload)));
            }
        }
        uploads
    }

    /// What was pushed to a repository of an identifier that the event does not name would be refused from now on; whether
    /// it goes is not said.
    fn doubt_uploads_elsewhere(&mut self, event: &Event) {
        for (repo, _) in self.uploads_of(event.id) {
            if !event.names_project(repo.project)
                && let Some(hosted) = self.hosted_mut(repo)
            {
                hosted.nostr.doubt(event.id);
            }
        }
    }

    pub(super) fn drop_uploads(&mut self, id: EventId, which: impl Fn(Repo, Object) -> bool) {
        for (repo, upload) in self.uploads_of(id) {
            if which(repo, upload)
                && let Some(hosted) = self.hosted_mut(repo)
            {
                hosted.nostr.uploads.remove(&id);
            }
        }
    }
}
