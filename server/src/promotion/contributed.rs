//! What becomes of contributors' repositories in a meeting (GRASP-06): their refs follow released pull requests, and one
//! that ends with no ref goes (requirements G06/push, G06/clean).

use std::collections::BTreeSet;

use nostr::event::EventId;

use super::journal::RepositoryChange;
use super::meeting::Meeting;
use crate::fault;
use crate::house::{House, HouseError};
use crate::nip34::{Coordinate, Oid, RefName};
use crate::purgatory::unsigned::{Place, Upload};

impl Meeting<'_> {
    /// Sets or removes `refs/nostr/<id>` in a contributor's repository.
    pub(crate) fn contributed_ref(&mut self, repository: Coordinate, id: &EventId, tip: Option<Oid>) {
        self.contributed.entry(repository).or_default().insert(RefName::nostr(id), tip);
    }

    /// Compares what the refs of the contributors' repositories that this meeting is about shall be with what they are.
    pub(super) fn follow_contributed(&mut self) -> Result<(), HouseError> {
        let mut asked = std::mem::take(&mut self.contributed);
        let contributed = |upload: &&Upload| upload.place == Place::Contributed;
        let losing = self.record.uploads_gone.iter().filter(contributed);
        let concerned: BTreeSet<Coordinate> =
            losing.map(|upload| upload.repository.clone()).chain(asked.keys().cloned()).collect();
        for repository in concerned {
            let current = self.house.contributions.snapshot(&repository)?;
            let before = current.map(|refs| refs.values()).unwrap_or_default();
            let mut after = before.clone();
            let changes = asked.remove(&repository).unwrap_or_default();
            if fault::is("contributions-one-at-a-time") && changes.values().any(Option::is_some) {
                after.clear();
            }
            self.house.change(&repository.identifier, &mut after, changes)?;
            if after.is_empty() && !self.keeps_uploads(&repository) {
                self.remove_contributed(repository);
            } else if after != before {
                self.keep(&repository.identifier, &after);
                self.record.repositories.push(RepositoryChange::Contributed { repository, refs: after });
            }
        }
        Ok(())
    }

    fn keeps_uploads(&self, repository: &Coordinate) -> bool {
        let known = self.house.unsigned.lock().to(Place::Contributed, repository);
        let stays = |upload: &Upload| !self.record.uploads_gone.contains(upload);
        let new = |upload: &Upload| upload.place == Place::Contributed && upload.repository == *repository;
        known.iter().any(stays) || self.uploads.iter().any(new)
    }

    fn remove_contributed(&mut self, repository: Coordinate) {
        let identifier = repository.identifier.clone();
        let others = {
            let contributors = self.house.contributors.lock();
            if !contributors.has(&repository) {
                return;
            }
            contributors.of(&identifier).any(|owner| *owner != repository.owner)
        };
        self.record.repositories.push(RepositoryChange::RemoveContributed(repository));
        if !others && !self.house.directory.read().hosts(&identifier) {
            self.leave(identifier);
        }
    }
}

impl House {
    /// Makes a contributor's repository, empty; fine if it is there. Until a commit follows, [`House::sweep_contributed`]
    /// or the next start takes it away again.
    pub(crate) fn ensure_contributed(&self, repository: &Coordinate) -> Result<(), HouseError> {
        self.contributions.ensure(repository)?;
        self.contributors.lock().insert(repository);
        Ok(())
    }

    /// Removes a contributor's repository that has no ref, and its family if nobody has ever used that.
    pub(crate) fn sweep_contributed(&self, repository: &Coordinate) -> Result<(), HouseError> {
        let refs = self.contributions.snapshot(repository)?;
        if refs.is_some_and(|refs| !refs.refs.is_empty() || !refs.unsigned.is_empty()) {
            return Ok(());
        }
        self.contributions.remove(repository)?;
        let mut contributors = self.contributors.lock();
        contributors.remove(repository);
        let unused = contributors.of(&repository.identifier).next().is_none();
        drop(contributors);
        if unused && !self.directory.read().hosts(&repository.identifier) {
            self.families.remove_empty(&repository.identifier)?;
        }
        Ok(())
    }

    /// Sweeps what a crash has left between [`House::ensure_contributed`] and a commit.
    pub(crate) fn sweep_contributors(&self) -> Result<(), HouseError> {
        let all: Vec<Coordinate> = self.contributors.lock().all().collect();
        all.iter().try_for_each(|repository| self.sweep_contributed(repository))
    }
}
