//! The only way anything changes: write what will be done, do it, say that it is done. And after a crash: again.
//!
//! (1) objects are complete in quarantine → (2) [`House::adopt`] links them into the family, noted so that a crash
//! before the next step undoes it → (3) one batch in our own database: what waits, and the commit record: the point
//! of no return → (4) refs and (5) HEAD, one rename each → (6) events saved and delivered → (7) record closed.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::Ordering;
use std::time::Instant;

use nostr::event::Event;
use serde::{Deserialize, Serialize};

use super::crash::point;
use super::journal::{CommitRecord, RepositoryChange, Unfinished};
use super::meeting::Meeting;
use super::spread::concerns_several;
use crate::git::files::remove_folder;
use crate::git::sift::{Objects, sift};
use crate::house::held::Held;
use crate::house::{House, HouseError};
use crate::nip34::{Coordinate, Identifier, Oid};
use crate::purgatory;
use crate::purgatory::unsigned::{Place, Upload};
use crate::store::events::Saved;
use crate::store::tables::{Table, Write};

/// Packs that were linked into a family for a record that is not written yet.
#[derive(Debug, Serialize, Deserialize)]
struct Adoption {
    identifier: Identifier,
    /// Names without extension, such as `pack-<hash>`; only those that were not there before.
    packs: Vec<String>,
}

const ADOPTION: u8 = b'a';
const RECORD: u8 = b'r';

fn journal_key(sort: u8, number: u64) -> Vec<u8> {
    let mut key = vec![sort];
    key.extend(number.to_be_bytes());
    key
}

impl Meeting<'_> {
    /// Writes, then does, everything that was decided. When this returns `Ok`, it is durable and served.
    pub(crate) async fn commit(mut self) -> Result<(), HouseError> {
        let begun = Instant::now();
        self.follow_contributed()?;
        self.end_retirements();
        let house = self.house;
        let announced = self.announced();
        let number = house.next_record.fetch_add(1, Ordering::Relaxed);
        let mut writes = self.writes;
        writes.extend(self.waiting.values().map(purgatory::Waiting::write));
        writes.extend(self.uploads.iter().map(Upload::write));
        writes.extend(self.unheld.iter().map(Held::forget));
        writes.extend(self.held.iter().map(Held::write));
        // Adoptions of this identifier are part of what is committed now.
        for (key, adoption) in house.adoptions()? {
            if self.families.contains_key(&adoption.identifier) {
                writes.push(Write::remove(Table::Journal, key));
            }
        }
        let spread = self.record.serve.iter().filter(|event| concerns_several(event)).map(|event| event.id);
        writes.extend(
            spread
                .chain(self.spreading.iter().copied())
                .map(|id| Write::put(Table::Spread, id.as_bytes(), [])),
        );
        writes.extend(self.shrinking.iter().map(|(family, extent)| extent.write(family)));
        if !self.record.is_empty() {
            let json = serde_json::to_vec(&self.record).map_err(std::io::Error::other)?;
            writes.push(Write::put(Table::Journal, journal_key(RECORD, number), json));
        }
        if !writes.is_empty() {
            house.tables.write(&writes)?;
        }
        point(if self.record.is_empty() { "waiting-written" } else { "record-written" });
        {
            let mut purgatory = house.purgatory.lock();
            for waiting in self.waiting.into_values() {
                let is_new = purgatory.get(&waiting.event.id).is_none();
                if let Some(observer) = house.observer().filter(|_| is_new) {
                    observer.waits(&waiting);
                }
                purgatory.insert(waiting);
            }
        }
        {
            let mut held = house.held.lock();
            self.unheld.iter().for_each(|repository| held.remove(repository));
            self.held.iter().for_each(|new| held.insert(new));
        }
        house.shrink.lock().extend(self.shrinking);
        house.enter_uploads(self.uploads);
        house.enter_announcements(announced);
        house.spread.lock().extend(self.spreading);
        if self.record.is_empty() {
            return Ok(());
        }
        let finished = house.finish(number, &self.record).await;
        if finished.is_err() {
            let uploads = self.record.uploads_gone.iter().map(|upload| upload.repository.identifier.clone());
            let identifiers = self.families.into_keys().chain(uploads).collect();
            let unfinished = Unfinished { identifiers, record: self.record };
            house.unfinished.lock().await.insert(number, unfinished);
        } else if !self.record.serve.is_empty() {
            house.meters.house.promoted(begun.elapsed());
        }
        finished
    }
}

impl House {
    /// Links what the tips reach from a quarantine into a family. Until a commit follows, a crash undoes it.
    pub(crate) async fn adopt(
        &self,
        identifier: &Identifier,
        quarantine: &Path,
        tips: &[Oid],
    ) -> Result<(), HouseError> {
        let family = self.families.path(identifier);
        let sifted = sift(Objects { new: quarantine, family: &family }, tips).await?;
        let objects = sifted.as_ref().map_or(quarantine, |sifted| sifted.path());
        let packs = self.families.new_packs(identifier, objects)?;
        if packs.is_empty() {
            return Ok(());
        }
        let number = self.next_record.fetch_add(1, Ordering::Relaxed);
        let note = Adoption { identifier: identifier.clone(), packs };
        let json = serde_json::to_vec(&note).map_err(std::io::Error::other)?;
        self.tables.write(&[Write::put(Table::Journal, journal_key(ADOPTION, number), json)])?;
        self.families.adopt(identifier, objects)?;
        point("objects-moved");
        Ok(())
    }

    /// The adoptions that no commit has followed yet.
    fn adoptions(&self) -> Result<Vec<(Vec<u8>, Adoption)>, HouseError> {
        let rows =
            self.tables.all(Table::Journal)?.into_iter().filter(|(key, _)| key.first() == Some(&ADOPTION));
        rows.map(|(key, value)| Ok((key, serde_json::from_slice(&value).map_err(std::io::Error::other)?)))
            .collect()
    }

    /// Takes out again what was adopted for a commit that did not come.
    pub(crate) fn undo_adoptions(&self, of: Option<&Identifier>) -> Result<(), HouseError> {
        for (key, note) in self.adoptions()? {
            if of.is_none_or(|identifier| *identifier == note.identifier) {
                tracing::info!(identifier = %note.identifier, "undoing a push that was interrupted");
                self.families.expel(&note.identifier, &note.packs)?;
                self.tables.write(&[Write::remove(Table::Journal, key)])?;
            }
        }
        Ok(())
    }

    /// Finishes what could not be finished before about these identifiers, whose locks the caller holds. Other
    /// records are somebody else's: redone here, they could undo what has followed them.
    pub(crate) async fn finish_all(&self, locked: &BTreeSet<Identifier>) -> Result<(), HouseError> {
        let mut unfinished = self.unfinished.lock().await;
        let concerns =
            |known: &Unfinished| known.identifiers.is_empty() || !known.identifiers.is_disjoint(locked);
        let due = unfinished.iter().filter(|(_, known)| concerns(known)).map(|(number, _)| *number);
        for number in due.collect::<Vec<_>>() {
            if let Some(known) = unfinished.get(&number) {
                self.finish(number, &known.record).await?;
            }
            unfinished.remove(&number);
        }
        Ok(())
    }

    /// Steps 4 to 7 for a record that is written.
    async fn finish(&self, number: u64, record: &CommitRecord) -> Result<(), HouseError> {
        self.apply_refs(record)?;
        point("before-serve");
        self.apply_events(record).await?;
        point("served");
        self.close(number, record)?;
        point("record-closed");
        // Only now: whoever spreads next, another operation included, looks for the served event.
        let spread = record.serve.iter().filter(|event| concerns_several(event));
        self.spread.lock().extend(spread.map(|event| event.id));
        Ok(())
    }

    fn apply_refs(&self, record: &CommitRecord) -> Result<(), HouseError> {
        for (identifier, tips) in &record.keep {
            self.families.keep(identifier, tips)?;
        }
        point("tips-kept");
        for change in &record.repositories {
            match change {
                RepositoryChange::Refs { repository, refs, head } => {
                    self.repositories.ensure(repository)?;
                    self.repositories.write(repository, refs, head.as_ref())?;
                    point("refs-written");
                }
                RepositoryChange::Contributed { repository, refs } => {
                    self.ensure_contributed(repository)?;
                    self.contributions.write(repository, refs, None)?;
                    point("refs-written");
                }
                RepositoryChange::RemoveContributed(repository) => {
                    self.contributions.remove(repository)?;
                    self.contributors.lock().remove(repository);
                }
                RepositoryChange::Retire(repository) => self.repositories.retire(repository)?,
                RepositoryChange::Forget(repository) => {
                    self.repositories.remove_retired(repository)?;
                    point("put-aside-removed");
                }
                RepositoryChange::Remove(repository) => self.repositories.remove(repository)?,
                RepositoryChange::Leave(identifier) => self.families.remove_empty(identifier)?,
            }
        }
        Ok(())
    }

    async fn apply_events(&self, record: &CommitRecord) -> Result<(), HouseError> {
        let ids: Vec<_> = record.serve.iter().map(|event| event.id).collect();
        self.feed.expect(&ids);
        let saved =
            futures_util::future::join_all(record.serve.iter().map(|event| self.store.save(event))).await;
        let mut failed = None;
        for (event, saved) in record.serve.iter().zip(saved) {
            match saved {
                Ok(Saved::New | Saved::NotStored) => self.deliver(event),
                Ok(Saved::Duplicate | Saved::Replaced) => self.feed.forget(&[event.id]),
                Err(error) => {
                    self.feed.forget(&[event.id]);
                    failed = Some(error);
                }
            }
        }
        if let Some(error) = failed {
            return Err(error.into());
        }
        let gone = record.delete.iter().copied().collect();
        self.store.delete(&gone).await?;
        if let Some(observer) = self.observer() {
            record.delete.iter().for_each(|id| observer.removed(id));
        }
        Ok(())
    }

    fn close(&self, number: u64, record: &CommitRecord) -> Result<(), HouseError> {
        let mut writes = vec![Write::remove(Table::Journal, journal_key(RECORD, number))];
        writes.extend(record.leave.iter().map(purgatory::forget));
        writes.extend(record.uploads_gone.iter().map(Upload::forget));
        self.tables.write(&writes)?;
        {
            let mut purgatory = self.purgatory.lock();
            let left = record.leave.iter().filter_map(|id| purgatory.remove(id)).collect::<Vec<_>>();
            drop(purgatory);
            let now = self.now();
            for waited in
                left.iter().filter(|left| record.serve.iter().any(|event| event.id == left.event.id))
            {
                self.meters.house.served_after(now.saturating_sub(waited.since));
            }
        }
        if let Some(observer) = self.observer() {
            record.leave.iter().for_each(|id| observer.leaves(id));
        }
        self.drop_uploads(&record.uploads_gone)?;
        self.log(record);
        Ok(())
    }

    fn log(&self, record: &CommitRecord) {
        for event in &record.serve {
            let kind = event.kind.as_u16();
            tracing::debug!(id = %event.id, kind, author = %event.pubkey, "served");
        }
        for change in &record.repositories {
            match change {
                RepositoryChange::Refs { repository, refs, .. } => {
                    tracing::info!(%repository, refs = refs.len(), "refs follow the signed state");
                }
                RepositoryChange::Contributed { repository, refs } => {
                    tracing::info!(%repository, refs = refs.len(), "a contributor's refs follow signed pull requests");
                }
                RepositoryChange::RemoveContributed(repository) => {
                    tracing::info!(%repository, "a contributor's repository is empty and goes");
                }
                RepositoryChange::Retire(repository) => tracing::info!(%repository, "repository retired"),
                RepositoryChange::Remove(repository) => tracing::info!(%repository, "repository removed"),
                RepositoryChange::Leave(_) | RepositoryChange::Forget(_) => {}
            }
        }
    }

    fn drop_uploads(&self, gone: &[Upload]) -> Result<(), HouseError> {
        for upload in gone {
            self.unsigned.lock().remove(upload);
            self.show_uploads(upload.place, &upload.repository);
            if let Some(objects) = upload.objects(&self.plan.git_data) {
                remove_folder(&objects)?;
            }
        }
        Ok(())
    }

    /// Uploads that no event has named yet are shown to those who fetch.
    fn show_uploads(&self, place: Place, repository: &Coordinate) {
        let refs = self.unsigned.lock().refs_of(place, repository);
        self.at(place).set_unsigned(repository, refs);
    }

    fn enter_uploads(&self, uploads: Vec<Upload>) {
        for upload in uploads {
            let (place, repository) = (upload.place, upload.repository.clone());
            let before = self.unsigned.lock().insert(upload);
            self.show_uploads(place, &repository);
            if let Some(folder) = before.and_then(|before| before.objects(&self.plan.git_data))
                && let Err(error) = remove_folder(&folder)
            {
                tracing::warn!(%error, "a replaced upload could not be removed; the next start will");
            }
        }
    }

    fn enter_announcements(
        &self,
        announced: std::collections::HashMap<
            crate::nip34::Coordinate,
            Option<(crate::admission::Hosted, bool)>,
        >,
    ) {
        let mut directory = self.directory.write();
        for (repository, newest) in announced {
            let changed = match &newest {
                Some((hosted, served)) => directory.enter(hosted, *served),
                None => directory.remove(&repository, None),
            };
            if let Some(observer) = self.observer().filter(|_| changed) {
                let known = newest.as_ref().map(|(hosted, served)| (&hosted.announcement, *served));
                observer.repository(&repository, known);
            }
        }
    }

    /// After a start: undoes adoptions that no record followed, and redoes the records that were not closed.
    pub(crate) async fn recover(&self) -> Result<(), HouseError> {
        self.undo_adoptions(None)?;
        for (key, value) in self.tables.all(Table::Journal)? {
            let number = key.get(1..9).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_be_bytes);
            self.next_record.fetch_max(number + 1, Ordering::Relaxed);
            let record: CommitRecord = serde_json::from_slice(&value).map_err(std::io::Error::other)?;
            tracing::info!(events = record.serve.len(), "finishing a promotion that a stop has interrupted");
            self.finish(number, &record).await?;
        }
        Ok(())
    }

    /// Saves one event that changes no repository and delivers it; what the store said.
    pub(crate) async fn save_and_deliver(&self, event: &Event) -> Result<Saved, HouseError> {
        let saved = self.store.save(event).await;
        if matches!(saved, Ok(Saved::New | Saved::NotStored)) {
            self.deliver(event);
        } else {
            self.feed.forget(&[event.id]);
        }
        Ok(saved?)
    }

    /// An event that is served now is told to subscribers, and to the observer.
    fn deliver(&self, event: &Event) {
        self.feed.publish(event);
        if let Some(observer) = self.observer() {
            observer.served(event);
        }
    }
}
