//! The house as the git shells see it below `/prs/`: contributors' own repositories (GRASP-06).
//!
//! Every well-formed path is a repository, empty until something is pushed to it; nothing is on disk for it before. Its
//! objects are those of the family of its identifier, so that a contributor need not send the project's history again.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use nostr::event::EventId;

use super::gate::{CommandResult, Gate, Hold, PushGate, Quarantine, RefCommand};
use super::host::{MAX_HAVES, atomically, missing_objects};
use crate::authorize::{NamedEvent, Ruling, contribution};
use crate::fault;
use crate::house::{House, HouseError};
use crate::nip34::{Coordinate, Oid, PULL_REQUEST_UPDATE, PullRequest};
use crate::promotion::meeting::Meeting;
use crate::purgatory::unsigned::Place;

/// Access to contributors' repositories: a handle on the house.
#[derive(Debug, Clone)]
pub struct Contributions(pub Arc<House>);

#[async_trait::async_trait]
impl PushGate for Contributions {
    async fn open(&self, repository: &Coordinate) -> Result<Option<Gate>, String> {
        let house = &self.0;
        let haves = house.haves_of_family(repository);
        if house.contributors.lock().has(repository)
            && let Some(gate) = house.gate(Place::Contributed, repository, haves.clone()).await?
        {
            return Ok(Some(gate));
        }
        // Nothing was pushed here yet, or what was has gone meanwhile: an empty repository.
        let family = house.families.objects(&repository.identifier);
        let family_objects = if family.exists() { family } else { house.empty.path.join("objects") };
        Ok(Some(Gate {
            refs: Arc::clone(&house.empty.refs),
            path: house.empty.path.clone(),
            family_objects,
            unsigned_objects: Vec::new(),
            haves,
        }))
    }

    fn quarantine(&self) -> std::io::Result<Quarantine> {
        self.0.quarantine()
    }

    async fn judge(&self, repository: &Coordinate, commands: &[RefCommand]) -> (Vec<CommandResult>, Hold) {
        self.0.judge(Place::Contributed, repository, commands).await
    }

    async fn land(
        &self,
        repository: &Coordinate,
        commands: &[RefCommand],
        atomic: bool,
        quarantine: Option<Quarantine>,
    ) -> Vec<CommandResult> {
        self.0.land(Place::Contributed, repository, commands, atomic, quarantine).await
    }
}

impl House {
    /// Tips of all hosted repositories of the identifier that are in memory.
    fn haves_of_family(&self, repository: &Coordinate) -> Vec<Oid> {
        let mut haves: BTreeSet<Oid> = self.haves(repository).into_iter().collect();
        let own = self.repositories.cached(repository).filter(|_| self.is_hosted(repository));
        haves.extend(own.iter().flat_map(|refs| &refs.refs).map(|entry| entry.oid).take(MAX_HAVES));
        haves.into_iter().take(MAX_HAVES).collect()
    }

    /// Judges a push by what is known now. The caller holds the identifier's lock.
    pub(super) async fn rule_contribution(
        &self,
        repository: &Coordinate,
        commands: &[RefCommand],
    ) -> Result<Ruling, HouseError> {
        let refs = self.contributions.snapshot(repository)?;
        let current = refs.map(|refs| refs.values()).unwrap_or_default();
        let mut events = BTreeMap::new();
        for id in commands.iter().filter_map(|command| command.name.nostr_event()) {
            events.insert(id, self.contributed_event(&id, repository).await?);
        }
        let mut ruling = contribution(&current, &events, commands);
        self.bound_uploads(Place::Contributed, repository, commands, &mut ruling);
        Ok(ruling)
    }

    async fn contributed_event(
        &self,
        id: &EventId,
        repository: &Coordinate,
    ) -> Result<NamedEvent, HouseError> {
        match self.known_event(id).await? {
            Some(event) if PullRequest::from_event(&event).is_ok() && event.pubkey != repository.owner => {
                Ok(NamedEvent::OtherSigner)
            }
            Some(event) if event.kind == PULL_REQUEST_UPDATE && fault::is("contributed-updates-refused") => {
                Ok(NamedEvent::Other)
            }
            _ => self.named_event(id, repository).await,
        }
    }

    pub(super) async fn land_contribution(
        &self,
        repository: &Coordinate,
        commands: &[RefCommand],
        atomic: bool,
        quarantine: Option<&Quarantine>,
    ) -> Result<Vec<CommandResult>, HouseError> {
        let ruling = self.rule_contribution(repository, commands).await?;
        if atomic && ruling.results.iter().any(Result::is_err) {
            return Ok(ruling.results.into_iter().map(atomically).collect());
        }
        if !ruling.changes_anything() {
            return Ok(ruling.results);
        }
        self.ensure_contributed(repository)?;
        if !ruling.unsigned.is_empty() {
            let mut meeting = Meeting::new(self, []);
            for upload in self.take_uploads(Place::Contributed, repository, &ruling.unsigned, quarantine)? {
                meeting.upload(upload);
            }
            meeting.commit().await?;
            return Ok(ruling.results);
        }
        if let Some(quarantine) = quarantine {
            let tips: Vec<Oid> = ruling.signed.iter().map(|(_, tip)| *tip).collect();
            self.adopt(&repository.identifier, quarantine.objects(), &tips).await?;
        }
        let family = self.load(&repository.identifier).await?;
        let mut meeting = Meeting::new(self, [family]);
        for (id, tip) in &ruling.signed {
            let uploads = self.unsigned.lock().for_event_in(id, &repository.identifier);
            uploads.into_iter().for_each(|upload| meeting.drop_upload(upload));
            if let Some(pull) = self.known_pull(id).await? {
                meeting.pushed(Place::Contributed, repository, &pull, *tip);
            }
        }
        meeting.settle()?;
        let missing = ruling.signed.iter().map(|(id, _)| id).find(|id| meeting.still_waits(id)).copied();
        if let Some(id) = missing {
            self.undo_adoptions(Some(&repository.identifier))?;
            self.sweep_contributed(repository)?;
            let reason = missing_objects(&id);
            return Ok(ruling.results.into_iter().map(|result| result.and(Err(reason.clone()))).collect());
        }
        meeting.commit().await?;
        Ok(ruling.results)
    }
}
