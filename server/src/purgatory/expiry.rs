//! What has waited too long goes (requirements G01/purgatory/expires and G01/git/nostr-refs).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use nostr::event::EventId;
use tokio_util::sync::CancellationToken;

use super::Waiting;
use super::unsigned::{Place, Upload};
use crate::house::{House, HouseError};
use crate::nip34::{Announcement, Coordinate, State};
use crate::promotion::meeting::Meeting;
use crate::store::tables::{Table, Write};

/// How often the clock is looked at.
const TICK: Duration = Duration::from_millis(500);
/// How many expired ids are remembered; the oldest go first.
const MAX_EXPIRED_IDS: usize = 100_000;

impl House {
    /// Drops what has expired, until told to stop.
    pub async fn expire_until(self: Arc<Self>, stop: CancellationToken) {
        let mut tick = tokio::time::interval(TICK);
        tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut ids_swept = 0;
        loop {
            tokio::select! {
                () = stop.cancelled() => return,
                _ = tick.tick() => {}
            }
            if let Err(error) = self.expire_due().await {
                tracing::error!(%error, "what has expired could not be dropped");
            }
            let now = self.now();
            if now >= ids_swept + self.plan.patience.expired_ids / 24 {
                ids_swept = now;
                if let Err(error) = self.sweep_expired_ids(now) {
                    tracing::error!(%error, "the list of expired ids could not be swept");
                }
            }
        }
    }

    /// Drops what has expired by now.
    ///
    /// # Errors
    /// When a store fails; what could not be dropped is tried again the next time.
    pub async fn expire_due(self: &Arc<Self>) -> Result<(), HouseError> {
        let now = self.now();
        // One that cannot be dropped must not keep the others.
        let mut failed = None;
        let events = self.purgatory.lock().expired(now);
        for id in events {
            let Some(identifiers) = self.purgatory.lock().get(&id).map(Waiting::identifiers) else {
                continue;
            };
            if identifiers.iter().any(|identifier| self.holds.is_held(identifier)) {
                continue;
            }
            let expire =
                self.operate_on(identifiers, move |house| async move { house.expire_event(&id, now).await });
            failed = expire.await.err().or(failed);
        }
        let uploads = self.unsigned.lock().expired(now);
        for (identifier, upload) in uploads {
            if self.holds.is_held(&identifier) {
                continue;
            }
            let expire = self.operate_on(BTreeSet::from([identifier]), move |house| async move {
                house.expire_upload(upload).await
            });
            failed = expire.await.err().or(failed);
        }
        failed = self.remove_held(now).await.err().or(failed);
        failed.map_or(Ok(()), Err)
    }

    async fn expire_upload(&self, upload: Upload) -> Result<(), HouseError> {
        if !self.unsigned.lock().for_event(&upload.id).contains(&upload) {
            return Ok(());
        }
        let mut meeting = Meeting::new(self, []);
        tracing::info!(repository = %upload.repository, id = %upload.id, "an unsigned upload expires");
        meeting.drop_upload(upload);
        meeting.commit().await?;
        self.meters.house.expired_uploads.inc();
        Ok(())
    }

    async fn expire_event(&self, id: &EventId, now: u64) -> Result<(), HouseError> {
        // It may have been released, replaced or given more time, or a push may have begun, while the lock was awaited.
        let Some(waiting) = self.purgatory.lock().get(id).filter(|waiting| waiting.deadline <= now).cloned()
        else {
            return Ok(());
        };
        let identifiers = waiting.identifiers();
        if identifiers.iter().any(|identifier| self.holds.is_held(identifier)) {
            return Ok(());
        }
        let mut families = Vec::new();
        for identifier in &identifiers {
            families.push(self.load(identifier).await?);
        }
        let state = State::from_event(&waiting.event).ok();
        let mut meeting = Meeting::new(self, families);
        meeting.drop_waiting(id);
        if let Some(state) = state.as_ref().filter(|_| waiting.synced) {
            meeting.restart_clocks_of(state);
        }
        if let Ok(announcement) = Announcement::from_event(&waiting.event) {
            self.drop_empty_repository(&mut meeting, &announcement.coordinate());
        }
        let until = now + self.plan.patience.expired_ids;
        meeting.write(Write::put(Table::Expired, id.as_bytes(), until.to_be_bytes()));
        meeting.settle()?;
        tracing::info!(%id, kind = waiting.event.kind.as_u16(), "a waiting event expires");
        meeting.commit().await?;
        self.meters.house.expired_events.inc();
        if let (Some(observer), Some(state)) = (self.observer(), &state) {
            observer.vacated(state);
        }
        Ok(())
    }

    fn drop_empty_repository(&self, meeting: &mut Meeting<'_>, repository: &Coordinate) {
        if meeting.family(&repository.identifier).is_some_and(|family| family.is_hosted(&repository.owner)) {
            return;
        }
        for upload in self.unsigned.lock().to(Place::Hosted, repository) {
            meeting.drop_upload(upload);
        }
        meeting.remove_repository(repository.clone());
    }

    fn sweep_expired_ids(&self, now: u64) -> Result<(), HouseError> {
        let until = |value: &[u8]| value.try_into().map_or(0, u64::from_be_bytes);
        let mut ids: Vec<(u64, Vec<u8>)> =
            self.tables.all(Table::Expired)?.into_iter().map(|(id, value)| (until(&value), id)).collect();
        ids.sort_unstable();
        let surplus = ids.len().saturating_sub(MAX_EXPIRED_IDS);
        let over = ids.iter().take_while(|(until, _)| *until <= now).count();
        let writes: Vec<Write> = ids
            .into_iter()
            .take(surplus.max(over))
            .map(|(_, id)| Write::remove(Table::Expired, id))
            .collect();
        if !writes.is_empty() {
            self.tables.write(&writes)?;
        }
        Ok(())
    }
}
