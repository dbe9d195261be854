//! The operator's lists may have changed since the last run: what they do not let in any longer is retired, what they sent
//! away and let in again comes back.

use std::collections::BTreeSet;
use std::sync::Arc;

use nostr::event::Event;

use super::held::{self, Held, HeldIndex, Why};
use super::{House, HouseError};
use crate::nip34::{ANNOUNCEMENT, Coordinate};
use crate::promotion::meeting::Meeting;
use crate::store::tables::{Table, Write};

/// Where `Table::Meta` has the name under which announcements listed this service at the last run.
const SERVICE: &[u8] = b"service";

impl House {
    /// Fills the index of what is held. What was put aside without a row, by a version that had none, is held from now on.
    pub(super) fn read_back_held(&self) -> Result<(), HouseError> {
        let mut known = Held::all(&self.tables)?;
        let until = self.now().saturating_add(self.plan.patience.retired);
        for repository in held::folders(&self.plan.git_data.join(".grasp/retired"))? {
            if known.iter().any(|held| held.repository == repository) {
                continue;
            }
            let head = self.repositories.retired(&repository)?.map(|refs| refs.head);
            let new =
                Held { repository, until, why: Why::Deleted, head, events: Vec::new(), announced: None };
            self.tables.write(&[new.write()])?;
            known.push(new);
        }
        *self.held.lock() = HeldIndex::of(&known);
        Ok(())
    }

    /// Makes what is here agree with the operator's lists.
    pub(super) async fn review(self: &Arc<Self>) -> Result<(), HouseError> {
        let known: Vec<Coordinate> = self.directory.read().all().cloned().collect();
        let may_leave = self.is_known_by_the_same_name()?;
        for repository in known {
            let blacklisted = self.plan.curation.is_blacklisted(&repository);
            if blacklisted || may_leave && self.is_left_over(&repository) {
                tracing::info!(%repository, blacklisted, "the lists do not let this repository be here any longer");
                self.send_away(&repository).await?;
            } else if self.is_hosted(&repository) && !self.repositories.path(&repository).exists() {
                self.make_room(&repository).await?;
            }
        }
        for held in Held::all(&self.tables)? {
            if held.why == Why::Lists && !self.plan.curation.is_blacklisted(&held.repository) {
                self.let_in_again(held).await?;
            }
        }
        Ok(())
    }

    /// A repository is on disk that neither lists this service nor is archived.
    fn is_left_over(&self, repository: &Coordinate) -> bool {
        !self.is_hosted(repository) && self.repositories.path(repository).exists()
    }

    /// Whether this service is known by the name of the last run. With another one nothing lists it any more: that says
    /// nothing about the archive's rules, and shall not send away everything because of a slip in `NGIT_DOMAIN`.
    fn is_known_by_the_same_name(&self) -> Result<bool, HouseError> {
        let now = self.plan.service.to_string();
        let before = self.tables.get(Table::Meta, SERVICE)?;
        let same = before.as_ref().is_none_or(|before| before == now.as_bytes());
        let left_over =
            self.directory.read().all().filter(|repository| self.is_left_over(repository)).count();
        if same || left_over == 0 {
            self.tables.write(&[Write::put(Table::Meta, SERVICE, now.as_bytes())])?;
            return Ok(true);
        }
        let before = before.map(|before| String::from_utf8_lossy(&before).into_owned());
        tracing::warn!(
            now,
            before,
            repositories = left_over,
            "the service has another name, which these repositories do not list: they stay on disk and are not served"
        );
        Ok(false)
    }

    async fn send_away(self: &Arc<Self>, repository: &Coordinate) -> Result<(), HouseError> {
        let (identifiers, repository) = (BTreeSet::from([repository.identifier.clone()]), repository.clone());
        let retired = self.operate_on(identifiers, move |house| async move {
            let family = house.load(&repository.identifier).await?;
            let mut meeting = Meeting::new(&house, [family]);
            meeting.retire(&repository, Why::Lists).await?;
            meeting.settle()?;
            meeting.commit().await
        });
        retired.await
    }

    /// A co-maintainer's announcement was served without a repository, and is archived now: it gets one.
    async fn make_room(self: &Arc<Self>, repository: &Coordinate) -> Result<(), HouseError> {
        let (identifiers, repository) = (BTreeSet::from([repository.identifier.clone()]), repository.clone());
        let made = self.operate_on(identifiers, move |house| async move {
            let family = house.load(&repository.identifier).await?;
            if !family.is_archived(&repository.owner) {
                return Ok(());
            }
            house.repositories.ensure(&repository)?;
            let mut meeting = Meeting::new(&house, [family]);
            meeting.welcome(&repository).await?;
            if let Some(held) = Held::read(&house.tables, &repository)? {
                meeting.bring_back(held)?;
            }
            meeting.settle()?;
            meeting.commit().await
        });
        made.await
    }

    /// Announces a repository again that only the lists have sent away.
    async fn let_in_again(self: &Arc<Self>, held: Held) -> Result<(), HouseError> {
        let Some(announcement) = held.events.iter().find(|event| event.kind == ANNOUNCEMENT).cloned() else {
            return Ok(());
        };
        let id = announcement.id;
        self.announce_again(announcement).await?;
        if !self.store.contains(&id).await? {
            return Ok(());
        }
        tracing::info!(repository = %held.repository, "the lists let this repository be here again");
        // One that never had data here, a co-maintainer's, has nothing that could come back.
        if self.repositories.retired(&held.repository)?.is_none() {
            self.tables.write(&[Held::forget(&held.repository)])?;
            self.held.lock().remove(&held.repository);
        }
        Ok(())
    }

    async fn announce_again(self: &Arc<Self>, announcement: Event) -> Result<(), HouseError> {
        let identifiers = crate::purgatory::identifiers(&announcement);
        let announced =
            self.operate_on(identifiers, move |house| async move { house.judge_again(announcement).await });
        announced.await
    }
}
