//! A repository is put aside, and comes back.

use nostr::event::EventId;

use super::journal::RepositoryChange;
use super::meeting::Meeting;
use crate::admission::family::Standing;
use crate::fault;
use crate::house::HouseError;
use crate::house::held::{Held, Why};
use crate::intake::tombstones;
use crate::nip34::{Coordinate, State};
use crate::purgatory::unsigned::Place;

/// The events of an owner about one repository, as far as they are known.
struct Own {
    announcement: Option<EventId>,
    state: Option<EventId>,
}

impl Own {
    fn ids(&self) -> impl Iterator<Item = EventId> {
        self.announcement.into_iter().chain(self.state)
    }
}

impl Meeting<'_> {
    /// Puts an owner's repository aside: its announcement and states go, its path is free, and its data is held for as
    /// long as the operator says. One that still waits for its data just goes: what was kept of an earlier one stays.
    pub(crate) async fn retire(&mut self, repository: &Coordinate, why: Why) -> Result<(), HouseError> {
        let Some(family) = self.families.get(&repository.identifier) else { return Ok(()) };
        let announced = family.announcements.get(&repository.owner);
        let states =
            family.states.get(&repository.owner).filter(|_| !fault::is("states-outlive-announcements"));
        let served = Own {
            announcement: announced.and_then(|slot| Some(slot.served.as_ref()?.announcement.id)),
            state: states.and_then(|slot| Some(slot.served.as_ref()?.id)),
        };
        let waiting = Own {
            announcement: announced.and_then(|slot| Some(slot.waiting.as_ref()?.announcement.id)),
            state: states.and_then(|slot| Some(slot.waiting.as_ref()?.id)),
        };
        let since =
            announced.and_then(|slot| slot.served.as_ref()).map(|it| it.announcement.created_at.as_secs());
        served.ids().for_each(|id| self.drop_served(id));
        waiting.ids().for_each(|id| self.drop_waiting(&id));
        if served.announcement.is_some() {
            self.hold(repository, why, &served, since).await?;
            self.show_contributions_of(repository).await?;
        } else {
            self.remove_repository(repository.clone());
        }
        for upload in self.house.unsigned.lock().to(Place::Hosted, repository) {
            self.record.uploads_gone.push(upload);
        }
        Ok(())
    }

    async fn hold(
        &mut self,
        repository: &Coordinate,
        why: Why,
        own: &Own,
        announced: Option<u64>,
    ) -> Result<(), HouseError> {
        let kept: Vec<EventId> = match why {
            Why::Lists => own.ids().collect(),
            Why::Deleted | Why::MovedAway => own.state.into_iter().collect(),
            Why::Vanished => Vec::new(),
        };
        let patience = if why == Why::Vanished { 0 } else { self.house.plan.patience.retired };
        let refs = self.house.repositories.snapshot(repository)?;
        self.held.push(Held {
            repository: repository.clone(),
            until: self.house.now().saturating_add(patience),
            why,
            head: refs.map(|refs| refs.head.clone()),
            events: self.house.store.by_ids(&kept).await?,
            announced,
        });
        self.record.repositories.push(RepositoryChange::Retire(repository.clone()));
        Ok(())
    }

    /// Served pull requests whose `clone` tags name their authors' own repositories here are shown by those, if nothing
    /// else shows them from now on (GRASP-06).
    async fn show_contributions_of(&mut self, repository: &Coordinate) -> Result<(), HouseError> {
        if !self.house.plan.contributions {
            return Ok(());
        }
        let pulls = self.house.served_pulls(repository).await?;
        let contributed = pulls.into_iter().filter(|pull| self.house.is_contributed(pull));
        let ids: Vec<EventId> = contributed.map(|pull| pull.id).collect();
        self.spreading.extend(ids);
        Ok(())
    }

    /// A repository that was retired is announced again: its owner's state counts again, unless it was deleted or there
    /// is a newer one. Its data is here still, so if nothing else has changed, everything is as it was.
    pub(crate) fn bring_back(&mut self, held: Held) -> Result<(), HouseError> {
        if held.why == Why::Vanished {
            return Ok(());
        }
        for event in held.events {
            let Ok(state) = State::from_event(&event) else { continue };
            // Earlier builds kept others' events too, where the owner had no state.
            if Coordinate::new(state.author, state.identifier.clone()) != held.repository {
                continue;
            }
            let slot = self.family(&state.identifier).and_then(|family| family.states.get(&state.author));
            let is_newest =
                slot.is_none_or(|slot| slot.standing((state.created_at, state.id)) == Standing::Newest);
            if is_newest && !tombstones::buries(&self.house.tables, &event)? {
                self.wait(event, false);
            }
        }
        self.returning.insert(held.repository, held.head);
        Ok(())
    }

    /// What has come back and is served is retired no longer. What waits for new data might not get it.
    pub(super) fn end_retirements(&mut self) {
        for (repository, _) in std::mem::take(&mut self.returning) {
            if self.family(&repository.identifier).is_some_and(|family| family.is_served(&repository.owner)) {
                self.unhold(&repository);
            }
        }
    }
}
