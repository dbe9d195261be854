//! What was fetched from other hosts, on its way into a family: it lands as a push does, when it completes something
//! that waits (requirements G02/git/state and G02/git/pr).

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use nostr::event::EventId;

use super::fetch::{Fetched, MAX_HAVES};
use super::gate::RefCommand;
use super::tips;
use crate::admission::Family;
use crate::house::{House, HouseError};
use crate::nip34::{Identifier, Oid, RefName, State};
use crate::promotion::meeting::Meeting;
use crate::promotion::wanted;

/// An event that waits, and the objects it names.
struct Hopeful<'f> {
    id: EventId,
    oids: BTreeSet<Oid>,
    state: Option<&'f State>,
}

impl House {
    /// Tips of what an identifier's repositories have: what a host need not send. Branches and tags before the rest.
    pub(crate) async fn fetch_haves(&self, identifier: &Identifier) -> Result<Vec<Oid>, HouseError> {
        let family = self.load(identifier).await?;
        let mut first = BTreeSet::new();
        let mut rest = BTreeSet::new();
        for owner in family.hosted().into_keys() {
            let Some(refs) = self.repositories.snapshot(&family.coordinate(owner))? else { continue };
            for entry in &refs.refs {
                if entry.name.is_in_state() { &mut first } else { &mut rest }.insert(entry.oid);
            }
        }
        let rest = rest.difference(&first);
        Ok(first.iter().chain(rest).copied().take(MAX_HAVES).collect())
    }

    /// Lands what was fetched, together with what was fetched before, as far as it completes events that wait.
    /// Returns those events; nothing of the rest has become part of the family.
    pub(crate) async fn land_fetched(
        self: &Arc<Self>,
        identifier: &Identifier,
        parts: Vec<Arc<Fetched>>,
    ) -> Result<Vec<EventId>, HouseError> {
        let (locked, concerned) = (BTreeSet::from([identifier.clone()]), identifier.clone());
        let landed = self.operate_on(locked, move |house| async move {
            let landed = house.land_parts(&concerned, &parts).await;
            if !landed.as_ref().is_ok_and(|landed| !landed.is_empty()) {
                house.undo_adoptions(Some(&concerned))?;
            }
            landed
        });
        let landed = landed.await?;
        if !landed.is_empty() {
            self.spread_all().await;
            self.start_upkeep(identifier);
        }
        Ok(landed)
    }

    async fn land_parts(
        &self,
        identifier: &Identifier,
        parts: &[Arc<Fetched>],
    ) -> Result<Vec<EventId>, HouseError> {
        let family = self.load(identifier).await?;
        let fetched: BTreeSet<Oid> = parts.iter().flat_map(|part| part.tips.iter().copied()).collect();
        let here: BTreeSet<Oid> = self.families.present(identifier, wanted(&family))?.into_iter().collect();
        let objects = self.families.objects(identifier);
        let folders: Vec<&Path> =
            parts.iter().map(|part| part.quarantine.objects()).chain([objects.as_path()]).collect();
        let completed: Vec<Hopeful<'_>> = hopefuls(&family)
            .filter(|event| event.oids.iter().all(|oid| here.contains(oid) || fetched.contains(oid)))
            .filter(|event| event.state.is_none_or(|state| is_sound(&folders, state)))
            .collect();
        let tips: BTreeSet<Oid> =
            completed.iter().flat_map(|event| event.oids.intersection(&fetched).copied()).collect();
        let completed: Vec<EventId> = completed.into_iter().map(|event| event.id).collect();
        for part in parts {
            let of_part: Vec<Oid> = part.tips.intersection(&tips).copied().collect();
            if !of_part.is_empty() {
                self.adopt(identifier, part.quarantine.objects(), &of_part).await?;
            }
        }
        let mut meeting = Meeting::new(self, [family]);
        meeting.settle()?;
        let landed: Vec<EventId> = completed.into_iter().filter(|id| !meeting.still_waits(id)).collect();
        if !landed.is_empty() {
            meeting.commit().await?;
        }
        Ok(landed)
    }
}

fn hopefuls(family: &Family) -> impl Iterator<Item = Hopeful<'_>> {
    let states = family.states.values().filter_map(|slot| slot.waiting.as_ref());
    let states = states.map(|state| Hopeful {
        id: state.id,
        oids: state.refs.values().copied().collect(),
        state: Some(state),
    });
    let pulls = family.pulls.values();
    let pulls = pulls.map(|pull| Hopeful { id: pull.id, oids: pull.tip.into_iter().collect(), state: None });
    states.chain(pulls).filter(|event| !event.oids.is_empty())
}

/// Whether a push of this state's refs would get through: a branch names a commit.
fn is_sound(folders: &[&Path], state: &State) -> bool {
    let command =
        |(name, oid): (&RefName, &Oid)| RefCommand { name: name.clone(), old: Oid::ZERO, new: *oid };
    let commands: Vec<RefCommand> = state.refs.iter().map(command).collect();
    let refused = tips::check(folders, &commands).into_iter().find_map(Result::err);
    if let Some(reason) = &refused {
        tracing::info!(id = %state.id, reason, "what was fetched for a state cannot be its refs");
    }
    refused.is_none()
}
