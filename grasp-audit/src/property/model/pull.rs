//! Pull requests and their updates: kinds 1618 and 1619.

use std::collections::BTreeSet;

use super::{Event, EventId, Family, Judgement, Object, Project, Reply, Repo, Row, Says, World};

impl World {
    pub(super) fn pull(&self, event: &Event, names: &[Repo], tip: Object) -> Judgement {
        let hosted = |repo: &&Repo| self.hosted(**repo).is_some();
        let served = |repo: &&Repo| self.announced(**repo).is_some_and(|known| known.served);
        if !names.iter().any(|repo| hosted(&repo) && served(&repo)) {
            let waits = names.iter().any(|repo| hosted(&repo));
            let row = if waits { Row::PullRepositoryWaits } else { Row::PullNoRepository };
            let judgement = Judgement::one(row, Reply::Refused, self.clone());
            // A co-maintainer's announcement is served and has no repository here: "served here" may mean either.
            if !names.iter().any(|repo| served(&repo)) {
                return judgement;
            }
            let taken = self.with_pull(event);
            return judgement.or(taken.became_of(event), taken);
        }
        let uploads = self.uploads_of(event.id);
        let uploaded = uploads
            .iter()
            .any(|(repo, upload)| *upload == tip && names.iter().any(|named| named.project == repo.project));
        let is_other = uploads.iter().any(|(_, upload)| *upload != tip);
        let mut world = self.clone();
        world.drop_uploads(event.id, |_, upload| upload != tip);
        let row = if self.has_tip(names, tip) {
            Row::PullHere
        } else if uploaded {
            Row::PullUploaded
        } else {
            Row::PullWaits
        };
        if uploaded {
            world.take_objects(names, tip);
        }
        let judgement = Judgement::of(row, event, world.with_pull(event).settled());
        if is_other { judgement.also(Row::PullOtherTip) } else { judgement }
    }

    fn with_pull(&self, event: &Event) -> Self {
        let mut world = self.clone();
        world.waiting.insert(event.id, event.clone());
        world.serve_pulls();
        world
    }

    /// Whether the tip is here, for one of the hosted repositories that are named.
    fn has_tip(&self, names: &[Repo], tip: Object) -> bool {
        let has = |family: &Family| family.objects.contains(&tip);
        names.iter().any(|repo| self.hosted(*repo).is_some() && self.family(repo.project).is_some_and(has))
    }

    /// Everything that the tip reaches is here from now on, for each hosted repository that is named.
    pub(super) fn take_objects(&mut self, names: &[Repo], tip: Object) {
        let projects: BTreeSet<Project> =
            names.iter().filter(|repo| self.hosted(**repo).is_some()).map(|repo| repo.project).collect();
        for project in projects {
            self.family_mut(project).objects.extend(tip.reaches());
        }
    }

    /// Pull requests that wait and whose tips are here are served, with their refs.
    pub(super) fn serve_pulls(&mut self) -> bool {
        let ready: Vec<Event> = self
            .waiting
            .values()
            .filter(|event| matches!(&event.says, Says::Pull { names, tip } if self.has_tip(names, *tip)))
            .cloned()
            .collect();
        for event in &ready {
            self.serve_pull(event);
        }
        !ready.is_empty()
    }

    fn serve_pull(&mut self, event: &Event) {
        let Says::Pull { names, tip } = &event.says else { return };
        self.waiting.remove(&event.id);
        self.served.insert(event.id, event.clone());
        self.take_objects(names, *tip);
        // Where it was pushed to and is not named, the table does not say whether the ref stays.
        for (repo, upload) in self.uploads_of(event.id) {
            if let Some(hosted) = self.hosted_mut(repo) {
                hosted.uploads.remove(&event.id);
                hosted.maybe.insert(event.id, upload);
            }
        }
        for repo in names {
            let served = self.announced(*repo).is_some_and(|known| known.served);
            if let Some(hosted) = self.hosted_mut(*repo) {
                // A repository that waits is named by it all the same: the ref may be there already.
                let refs = if served { &mut hosted.nostr } else { &mut hosted.maybe };
                refs.insert(event.id, *tip);
                if served {
                    hosted.maybe.remove(&event.id);
                }
            }
        }
    }

    pub(super) fn uploads_of(&self, id: EventId) -> Vec<(Repo, Object)> {
        let mut uploads = Vec::new();
        for (project, family) in &self.families {
            for (owner, hosted) in &family.hosted {
                let repo = Repo { owner: *owner, project: *project };
                uploads.extend(hosted.uploads.get(&id).map(|upload| (repo, *upload)));
            }
        }
        uploads
    }

    pub(super) fn drop_uploads(&mut self, id: EventId, which: impl Fn(Repo, Object) -> bool) {
        for (repo, upload) in self.uploads_of(id) {
            if which(repo, upload)
                && let Some(hosted) = self.hosted_mut(repo)
            {
                hosted.uploads.remove(&id);
            }
        }
    }
}
