//! A pull request that names repositories of several identifiers: its data is carried from the family that got it to
//! the others, and its ref appears there too (decision table: in every hosted repository that it names). Where none of
//! those is served, that goes for its author's own repository here as well, if it names that (GRASP-06).
//!
//! Each family has its own lock, so this follows the promotion; a row in `Table::Spread` is written with the
//! promotion's record and removed when all have it, so that a crash in between is made good at the next start.

use std::collections::BTreeSet;
use std::io::{self, Write as _};
use std::process::Stdio;
use std::sync::Arc;

use nostr::event::{Event, EventId};

use super::meeting::Meeting;
use crate::fault;
use crate::git::process::{Process, git};
use crate::house::{House, HouseError};
use crate::nip34::{Coordinate, Identifier, Oid, PULL_REQUEST, PULL_REQUEST_UPDATE, PullRequest};
use crate::purgatory;
use crate::store::tables::{Table, Write};

/// Whether an event that is served now has to be spread.
pub(super) fn concerns_several(event: &Event) -> bool {
    (event.kind == PULL_REQUEST || event.kind == PULL_REQUEST_UPDATE)
        && purgatory::identifiers(event).len() > 1
        && !fault::is("first-identifier-only")
}

impl House {
    /// Reads back what a stop has interrupted.
    pub(crate) fn load_spread(&self) -> Result<(), HouseError> {
        let rows = self.tables.all(Table::Spread)?;
        self.spread.lock().extend(rows.iter().filter_map(|(key, _)| EventId::from_slice(key).ok()));
        Ok(())
    }

    /// Spreads what was served meanwhile. The caller holds no lock. What fails is tried again at the next start: it
    /// must not fail those who come after it.
    pub(crate) async fn spread_all(self: &Arc<Self>) {
        loop {
            // Taken out first: nobody else waits for what is on its way.
            let Some(id) = self.spread.lock().pop_first() else { return };
            if let Err(error) = self.spread_one(id).await {
                tracing::error!(%id, %error, "a pull request could not be spread to all families that it names");
            }
        }
    }

    async fn spread_one(self: &Arc<Self>, id: EventId) -> Result<(), HouseError> {
        if let Some(event) = self.store.by_id(&id).await? {
            let identifiers = purgatory::identifiers(&event);
            let spread = self.operate_on(identifiers.clone(), move |house| async move {
                let spread = house.spread_event(&event).await;
                if spread.is_err() {
                    identifiers.iter().try_for_each(|identifier| house.undo_adoptions(Some(identifier)))?;
                }
                spread
            });
            spread.await?;
        }
        Ok(self.tables.write(&[Write::remove(Table::Spread, id.as_bytes())])?)
    }

    async fn spread_event(&self, event: &Event) -> Result<(), HouseError> {
        let (id, identifiers) = (&event.id, purgatory::identifiers(event));
        let Ok(pull) = PullRequest::from_event(event) else { return Ok(()) };
        let Some(tip) = pull.tip else { return Ok(()) };
        let mut families = Vec::new();
        for identifier in &identifiers {
            families.push(self.load(identifier).await?);
        }
        let named = pull.repositories.iter().filter(|named| self.is_hosted(named));
        let hosted: BTreeSet<_> = named.cloned().collect();
        let mut source = None;
        for identifier in &identifiers {
            if self.families.present(identifier, [tip])?.contains(&tip) {
                source = Some(identifier);
                break;
            }
        }
        let Some(source) = source else { return Ok(()) };
        let shown = hosted.iter().any(|named| {
            let mut of_identifier = families.iter().filter(|family| family.identifier == named.identifier);
            of_identifier.any(|family| family.is_served(&named.owner))
        });
        let own = pull.contributed(&self.plan.service).filter(|_| self.plan.contributions && !shown);
        let own: Vec<Coordinate> = own.collect();
        own.iter().try_for_each(|repository| self.ensure_contributed(repository))?;
        let places = hosted.iter().chain(&own);
        for into in places.map(|repository| &repository.identifier).collect::<BTreeSet<_>>() {
            if !self.families.present(into, [tip])?.contains(&tip) {
                self.carry(source, into, tip).await?;
            }
        }
        let mut meeting = Meeting::new(self, families);
        own.into_iter().for_each(|repository| meeting.contributed_ref(repository, id, Some(tip)));
        hosted.into_iter().for_each(|repository| meeting.nostr_ref(repository, id, Some(tip)));
        meeting.settle()?;
        meeting.commit().await
    }

    /// Copies a commit with everything it reaches from one family to another.
    async fn carry(&self, from: &Identifier, into: &Identifier, tip: Oid) -> Result<(), HouseError> {
        let folder = tempfile::tempdir_in(self.plan.git_data.join(".grasp/quarantine"))?;
        std::fs::create_dir(folder.path().join("pack"))?;
        let mut asked = tempfile::tempfile_in(folder.path())?;
        writeln!(asked, "{tip}")?;
        io::Seek::rewind(&mut asked)?;
        let mut command = git();
        command
            .args(["pack-objects", "-q", "--revs", "--delta-base-offset"])
            .arg(folder.path().join("pack/pack"))
            .current_dir(self.families.path(from))
            .stdin(asked)
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        let status = Process::spawn(&mut command)?.wait().await?;
        if !status.success() {
            return Err(io::Error::other(format!("git pack-objects ended with {status}")).into());
        }
        self.adopt(into, folder.path(), &[tip]).await
    }
}
