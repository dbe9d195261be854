//! The house as the git shells see it: what is hosted, and what becomes of a push.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use nostr::event::EventId;

use super::gate::{CommandResult, Gate, Hold, PushGate, Quarantine, RefCommand};
use super::process::Process;
use crate::admission::Family;
use crate::authorize::{NamedEvent, PushFacts, Ruling, authorize};
use crate::fault;
use crate::house::{House, HouseError};
use crate::nip34::{Coordinate, Identifier, Oid, PullRequest, RefName};
use crate::promotion::meeting::Meeting;
use crate::purgatory::unsigned::{self, Place, Upload};

/// The most `.have` lines offered to those who push.
pub(super) const MAX_HAVES: usize = 1_000;
/// What somebody is told when this server failed; the cause is in the log.
const FAILED: &str = "this server failed; nothing has changed; try again";

/// Access to git and pushes: a handle on the house.
#[derive(Debug, Clone)]
pub struct Host(pub Arc<House>);

#[async_trait::async_trait]
impl PushGate for Host {
    async fn open(&self, repository: &Coordinate) -> Result<Option<Gate>, String> {
        let house = &self.0;
        if !house.is_hosted(repository) {
            return Ok(None);
        }
        match house.gate(Place::Hosted, repository, house.haves(repository)).await? {
            None => Err(format!("{repository} is announced but not on disk")),
            gate => Ok(gate),
        }
    }

    fn quarantine(&self) -> std::io::Result<Quarantine> {
        self.0.quarantine()
    }

    async fn judge(&self, repository: &Coordinate, commands: &[RefCommand]) -> (Vec<CommandResult>, Hold) {
        self.0.judge(Place::Hosted, repository, commands).await
    }

    async fn land(
        &self,
        repository: &Coordinate,
        commands: &[RefCommand],
        atomic: bool,
        quarantine: Option<Quarantine>,
    ) -> Vec<CommandResult> {
        self.0.land(Place::Hosted, repository, commands, atomic, quarantine).await
    }
}

fn failed(error: &HouseError, commands: &[RefCommand]) -> Vec<CommandResult> {
    tracing::error!(%error, "a push could not be judged or landed");
    commands.iter().map(|_| Err(FAILED.to_owned())).collect()
}

impl House {
    /// Whether a repository is hosted here, served or waiting.
    #[must_use]
    pub fn is_hosted(&self, repository: &Coordinate) -> bool {
        self.directory.read().standing(repository).is_some_and(|standing| standing.hosted)
    }

    /// Judges a push to a repository of either kind, under the identifier's lock; see [`PushGate::judge`].
    pub(super) async fn judge(
        self: &Arc<Self>,
        place: Place,
        repository: &Coordinate,
        commands: &[RefCommand],
    ) -> (Vec<CommandResult>, Hold) {
        let hold = Hold::new(self.holds.hold(&repository.identifier));
        let (target, pushed) = (repository.clone(), commands.to_vec());
        let identifiers = BTreeSet::from([repository.identifier.clone()]);
        let judged = self.operate_on(identifiers, move |house| async move {
            match place {
                Place::Hosted => Ok(house.rule(&target, &pushed).await?.1),
                Place::Contributed => house.rule_contribution(&target, &pushed).await,
            }
        });
        match judged.await {
            Ok(ruling) => (ruling.results, hold),
            Err(error) => (failed(&error, commands), hold),
        }
    }

    /// Lands a push to a repository of either kind, under the identifier's lock; see [`PushGate::land`].
    pub(super) async fn land(
        self: &Arc<Self>,
        place: Place,
        repository: &Coordinate,
        commands: &[RefCommand],
        atomic: bool,
        quarantine: Option<Quarantine>,
    ) -> Vec<CommandResult> {
        let (target, pushed) = (repository.clone(), commands.to_vec());
        let identifiers = BTreeSet::from([repository.identifier.clone()]);
        let landed = self.operate_on(identifiers, move |house| async move {
            let quarantine = quarantine.as_ref();
            let landed = match place {
                Place::Hosted => house.land_hosted(&target, &pushed, atomic, quarantine).await,
                Place::Contributed => house.land_contribution(&target, &pushed, atomic, quarantine).await,
            };
            if landed.is_err() {
                house.undo_adoptions(Some(&target.identifier))?;
                if place == Place::Contributed {
                    house.sweep_contributed(&target)?;
                }
            }
            landed
        });
        match landed.await {
            Ok(results) => {
                self.spread_all().await;
                self.start_upkeep(&repository.identifier);
                results
            }
            Err(error) => failed(&error, commands),
        }
    }

    /// A repository that is on disk, as somebody who fetches sees it.
    pub(super) async fn gate(
        self: &Arc<Self>,
        place: Place,
        repository: &Coordinate,
        haves: Vec<Oid>,
    ) -> Result<Option<Gate>, String> {
        let refs = if let Some(refs) = self.at(place).cached(repository) {
            Some(refs)
        } else {
            let (house, repository) = (Arc::clone(self), repository.clone());
            let load = tokio::task::spawn_blocking(move || house.at(place).snapshot(&repository));
            load.await.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?
        };
        let Some(refs) = refs else { return Ok(None) };
        let unsigned_objects = if refs.unsigned.is_empty() {
            Vec::new()
        } else {
            let uploads = self.unsigned.lock().to(place, repository);
            uploads.iter().filter_map(|upload| upload.objects(&self.plan.git_data)).collect()
        };
        Ok(Some(Gate {
            refs,
            path: self.at(place).path(repository),
            family_objects: self.families.objects(&repository.identifier),
            unsigned_objects,
            haves,
        }))
    }

    /// A fresh folder for the objects of a push.
    pub(super) fn quarantine(&self) -> std::io::Result<Quarantine> {
        let folder = tempfile::tempdir_in(self.plan.git_data.join(".grasp/quarantine"))?;
        std::fs::create_dir_all(folder.path().join("pack"))?;
        Ok(Quarantine::new(folder))
    }

    /// Tips of the family's other repositories that are in memory: what a client need not send again.
    pub(super) fn haves(&self, repository: &Coordinate) -> Vec<Oid> {
        let siblings = self.siblings(repository);
        let snapshots = siblings.iter().filter_map(|sibling| self.repositories.cached(sibling));
        let mut haves = BTreeSet::new();
        for refs in snapshots {
            haves
                .extend(refs.refs.iter().map(|entry| entry.oid).take(MAX_HAVES - haves.len().min(MAX_HAVES)));
        }
        haves.into_iter().collect()
    }

    /// Judges a push by what is known now. The caller holds the identifier's lock.
    async fn rule(
        &self,
        repository: &Coordinate,
        commands: &[RefCommand],
    ) -> Result<(Family, Ruling), HouseError> {
        let family = self.load(&repository.identifier).await?;
        if !family.is_hosted(&repository.owner) {
            let gone = || Err("the repository is not hosted here any more".to_owned());
            let results = commands.iter().map(|_| gone()).collect();
            return Ok((family, Ruling { results, ..Ruling::default() }));
        }
        let refs = self.repositories.snapshot(repository)?;
        let current = refs.map(|refs| refs.values()).unwrap_or_default();
        let mut events = BTreeMap::new();
        for id in commands.iter().filter_map(|command| command.name.nostr_event()) {
            events.insert(id, self.named_event(&id, repository).await?);
        }
        let facts = PushFacts {
            family: &family,
            owner: &repository.owner,
            current: &current,
            events: &events,
            read_only_archive: self.plan.curation.archive.read_only,
        };
        let mut ruling = authorize(&facts, commands);
        self.bound_uploads(Place::Hosted, repository, commands, &mut ruling);
        Ok((family, ruling))
    }

    pub(super) async fn named_event(
        &self,
        id: &EventId,
        repository: &Coordinate,
    ) -> Result<NamedEvent, HouseError> {
        let Some(event) = self.known_event(id).await? else { return Ok(NamedEvent::Unknown) };
        let Ok(pull) = PullRequest::from_event(&event) else { return Ok(NamedEvent::Other) };
        let names_identifier =
            pull.repositories.iter().any(|named| named.identifier == repository.identifier);
        Ok(NamedEvent::PullRequest { tip: pull.tip, names_identifier })
    }

    /// A served or waiting pull request.
    pub(super) async fn known_pull(&self, id: &EventId) -> Result<Option<PullRequest>, HouseError> {
        Ok(self.known_event(id).await?.and_then(|event| PullRequest::from_event(&event).ok()))
    }

    /// Refuses uploads that nobody has signed when there is no room for more.
    pub(super) fn bound_uploads(
        &self,
        place: Place,
        repository: &Coordinate,
        commands: &[RefCommand],
        ruling: &mut Ruling,
    ) {
        if ruling.unsigned.is_empty() {
            return;
        }
        let bounds = &self.plan.bounds;
        let unsigned = self.unsigned.lock();
        let here = unsigned.to(place, repository).len() + ruling.unsigned.len();
        let all = unsigned.len() + ruling.unsigned.len();
        if unsigned.bytes() < bounds.unsigned_bytes
            && all <= bounds.unsigned_uploads
            && here <= bounds.unsigned_per_repository
        {
            return;
        }
        for (id, _) in std::mem::take(&mut ruling.unsigned) {
            let name = RefName::nostr(&id);
            for (result, _) in ruling.results.iter_mut().zip(commands).filter(|(_, c)| c.name == name) {
                *result = Err("too many uploads wait for their event here; publish the pull request first, \
                               then push"
                    .to_owned());
            }
        }
    }

    async fn land_hosted(
        &self,
        repository: &Coordinate,
        commands: &[RefCommand],
        atomic: bool,
        quarantine: Option<&Quarantine>,
    ) -> Result<Vec<CommandResult>, HouseError> {
        let (family, ruling) = self.rule(repository, commands).await?;
        if atomic && ruling.results.iter().any(Result::is_err) {
            return Ok(ruling.results.into_iter().map(atomically).collect());
        }
        if !ruling.changes_anything() {
            if let Some(quarantine) = quarantine.filter(|_| fault::is("refused-objects-kept")) {
                let tips: Vec<Oid> =
                    commands.iter().map(|command| command.new).filter(|new| !new.is_zero()).collect();
                self.adopt(&repository.identifier, quarantine.objects(), &tips).await?;
                Meeting::new(self, [family]).commit().await?;
            }
            return Ok(ruling.results);
        }
        let mut meeting = Meeting::new(self, [family]);
        if ruling.unsigned.is_empty() {
            if let Some(quarantine) = quarantine {
                let allowed = commands.iter().zip(&ruling.results).filter(|(_, result)| result.is_ok());
                let tips: Vec<Oid> =
                    allowed.map(|(command, _)| command.new).filter(|new| !new.is_zero()).collect();
                self.adopt(&repository.identifier, quarantine.objects(), &tips).await?;
            }
            for (id, tip) in &ruling.signed {
                let uploads = self.unsigned.lock().for_event_in(id, &repository.identifier);
                uploads.into_iter().for_each(|upload| meeting.drop_upload(upload));
                if let Some(pull) = self.known_pull(id).await? {
                    meeting.pushed(Place::Hosted, repository, &pull, *tip);
                }
            }
        } else {
            if let Some(quarantine) = quarantine.filter(|_| fault::is("unsigned-objects-kept")) {
                let tips: Vec<Oid> = ruling.unsigned.iter().map(|(_, tip)| *tip).collect();
                self.adopt(&repository.identifier, quarantine.objects(), &tips).await?;
            }
            for upload in self.take_uploads(Place::Hosted, repository, &ruling.unsigned, quarantine)? {
                meeting.upload(upload);
            }
        }
        meeting.restart_clocks(&repository.identifier, |owner| *owner == repository.owner);
        meeting.settle()?;
        let promoted: Vec<EventId> =
            ruling.promotes.iter().chain(ruling.signed.iter().map(|(id, _)| id)).copied().collect();
        let missing = promoted.iter().find(|id| meeting.still_waits(id)).copied();
        if let Some(id) = missing {
            self.undo_adoptions(Some(&repository.identifier))?;
            let reason = missing_objects(&id);
            return Ok(ruling.results.into_iter().map(|result| result.and(Err(reason.clone()))).collect());
        }
        meeting.commit().await?;
        Ok(ruling.results)
    }

    /// Moves the objects of uploads that nobody has signed to their own place.
    pub(super) fn take_uploads(
        &self,
        place: Place,
        repository: &Coordinate,
        uploads: &[(EventId, Oid)],
        quarantine: Option<&Quarantine>,
    ) -> Result<Vec<Upload>, HouseError> {
        let mut taken = Vec::new();
        let sharers = u64::try_from(uploads.len()).unwrap_or(1).max(1);
        for (id, tip) in uploads {
            // Each upload has a folder of its own, so that dropping one frees its bytes.
            let (folder, bytes) = match quarantine {
                Some(quarantine) => self.copy_aside(quarantine.objects())?,
                None => (None, 0),
            };
            // The files of one push are on disk once.
            let bytes = bytes.div_ceil(sharers);
            taken.push(Upload {
                place,
                repository: repository.clone(),
                id: *id,
                tip: *tip,
                deadline: self.now() + self.plan.patience.uploads,
                folder,
                bytes,
            });
        }
        Ok(taken)
    }

    fn copy_aside(&self, objects: &Path) -> Result<(Option<String>, u64), HouseError> {
        let pack = objects.join("pack");
        if !pack.exists() {
            return Ok((None, 0));
        }
        let folder =
            tempfile::Builder::new().prefix("upload-").tempdir_in(unsigned::root(&self.plan.git_data))?;
        std::fs::create_dir_all(folder.path().join("pack"))?;
        std::fs::create_dir_all(folder.path().join("info"))?;
        let mut bytes = 0;
        for entry in std::fs::read_dir(&pack)? {
            let entry = entry?;
            bytes += entry.metadata()?.len();
            std::fs::File::open(entry.path())?.sync_all()?;
            std::fs::hard_link(entry.path(), folder.path().join("pack").join(entry.file_name()))?;
        }
        super::files::flush_folder(&folder.path().join("pack"))?;
        super::files::flush_folder(&unsigned::root(&self.plan.git_data))?;
        // From here on the table says whether the folder is wanted; a start sweeps those that are not.
        let name = folder.keep().file_name().map(|name| name.to_string_lossy().into_owned());
        Ok((name, bytes))
    }

    /// Repacks a family in the background when many packs have come together, one family at a time.
    pub(super) fn start_upkeep(self: &Arc<Self>, identifier: &Identifier) {
        if !self.families.needs_upkeep(identifier) {
            return;
        }
        let (house, identifier) = (Arc::clone(self), identifier.clone());
        tokio::spawn(async move {
            let Ok(_one) = house.upkeep.try_acquire() else { return };
            // Under the family's lock: a pack that is in but not committed yet must not be rolled up, or it could not
            // be taken out again.
            let _still = house.locks.lock(&BTreeSet::from([identifier.clone()])).await;
            let repacked = match Process::spawn(&mut house.families.upkeep(&identifier)) {
                Ok(mut repack) => repack.wait().await,
                Err(error) => Err(error),
            };
            match repacked {
                Ok(status) if status.success() => tracing::info!(%identifier, "family repacked"),
                Ok(status) => tracing::warn!(%identifier, %status, "a family could not be repacked"),
                Err(error) => tracing::warn!(%identifier, %error, "a family could not be repacked"),
            }
        });
    }
}

pub(super) fn atomically(result: CommandResult) -> CommandResult {
    result.and(Err("atomic push: another ref was refused".to_owned()))
}

/// The state or pull request names an object that neither the push nor the family has.
pub(super) fn missing_objects(id: &EventId) -> String {
    format!("objects that event {id} names are missing; push all of them")
}
