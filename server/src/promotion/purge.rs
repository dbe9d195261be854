//! The end of a retirement: the data of a repository that has been held long enough goes.
//!
//! In two steps, each under the lock of the identifier and each made good after a crash. First a commit, journalled like
//! all others: the refs that were put aside go, and so do the events that are nothing without the data. Then the family
//! shrinks to what somebody still keeps; that is written down with the commit (`Table::Shrink`), done as often as it
//! takes, and crossed out when it is done.

use std::collections::{BTreeSet, HashSet};
use std::io;
use std::sync::Arc;

use nostr::event::EventId;

use super::crash::point;
use super::journal::RepositoryChange;
use super::meeting::Meeting;
use super::wanted;
use crate::admission::Family;
use crate::git::RefSnapshot;
use crate::git::process::Process;
use crate::house::held::Held;
use crate::house::{House, HouseError};
use crate::nip34::{Coordinate, Identifier, Oid, PullRequest, RefName};
use crate::store::tables::{Table, Write};

/// How far a family shrinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shrink {
    /// To what somebody needs.
    ToWhatIsNeeded,
    /// Not at all, unless nobody has a repository of it: then it goes.
    IfNobodyHasIt,
}

impl Shrink {
    const IF_NOBODY: &[u8] = b"if nobody";

    fn read(value: &[u8]) -> Self {
        if value == Self::IF_NOBODY { Self::IfNobodyHasIt } else { Self::ToWhatIsNeeded }
    }

    pub(super) fn write(self, family: &Identifier) -> Write {
        let value = match self {
            Self::ToWhatIsNeeded => &[][..],
            Self::IfNobodyHasIt => Self::IF_NOBODY,
        };
        Write::put(Table::Shrink, family.as_str(), value)
    }
}

impl House {
    /// Reads back which families a stop has kept from shrinking.
    pub(crate) fn load_shrink(&self) -> Result<(), HouseError> {
        let rows = self.tables.all(Table::Shrink)?;
        let read = |(key, value): &(Vec<u8>, Vec<u8>)| {
            let identifier = Identifier::new(std::str::from_utf8(key).ok()?).ok()?;
            Some((identifier, Shrink::read(value)))
        };
        self.shrink.lock().extend(rows.iter().filter_map(read));
        Ok(())
    }

    /// Removes what has been held long enough by `now`. A running push or fetch holds the clock.
    pub(crate) async fn remove_held(self: &Arc<Self>, now: u64) -> Result<(), HouseError> {
        let due = self.held.lock().due(now);
        let mut failed = None;
        for repository in due.into_iter().filter(|due| !self.holds.is_held(&due.identifier)) {
            let identifiers = BTreeSet::from([repository.identifier.clone()]);
            let purge =
                self.operate_on(identifiers, move |house| async move { house.purge(&repository, now).await });
            failed = purge.await.err().or(failed);
        }
        let families = self.shrink.lock().clone();
        for (identifier, extent) in families.into_iter().filter(|(family, _)| !self.holds.is_held(family)) {
            let (identifiers, family) = (BTreeSet::from([identifier.clone()]), identifier.clone());
            let shrink = self.operate_on(identifiers, move |house| async move {
                house.shrink_family(&family, extent).await
            });
            if let Err(error) = shrink.await {
                tracing::error!(%identifier, %error, "a family could not be shrunk; the next start tries again");
                self.shrink.lock().remove(&identifier);
            }
        }
        failed.map_or(Ok(()), Err)
    }

    /// The first step. What hangs on the repository alone goes with it.
    async fn purge(&self, repository: &Coordinate, now: u64) -> Result<(), HouseError> {
        // It may have come back, or a push may have begun, while the lock was awaited.
        let held = Held::read(&self.tables, repository)?.filter(|held| held.until <= now);
        if held.is_none() || self.holds.is_held(&repository.identifier) {
            return Ok(());
        }
        let family = self.load(&repository.identifier).await?;
        let pulls = self.pulls_for_nobody_else(repository, &family).await?;
        let states = self.states_for_nobody_else(&family, repository);
        let mut meeting = Meeting::new(self, [family]);
        pulls.into_iter().chain(states).for_each(|id| meeting.drop_served(id));
        meeting.unhold(repository);
        meeting.shrink(repository.identifier.clone());
        meeting.commit().await?;
        tracing::info!(%repository, "the data of a retired repository goes");
        Ok(())
    }

    /// Served pull requests to this repository that no other one here has the data of: empty promises once that is gone.
    async fn pulls_for_nobody_else(
        &self,
        repository: &Coordinate,
        family: &Family,
    ) -> Result<Vec<EventId>, HouseError> {
        let hosted: Vec<Coordinate> =
            family.hosted().into_keys().map(|owner| family.coordinate(owner)).collect();
        let mut alone = Vec::new();
        for pull in self.served_pulls(repository).await? {
            let elsewhere = |named: &Coordinate| {
                named.identifier != repository.identifier
                    || self.is_hosted(named)
                    || named != repository && self.held.lock().has(named)
            };
            if !pull.repositories.iter().any(elsewhere)
                && !self.is_shown(&pull, &repository.identifier, &hosted)?
            {
                alone.push(pull.id);
            }
        }
        Ok(alone)
    }

    /// Whether a repository of this identifier shows it: its author's own, or one of the hosted ones.
    fn is_shown(
        &self,
        pull: &PullRequest,
        identifier: &Identifier,
        hosted: &[Coordinate],
    ) -> Result<bool, HouseError> {
        let name = RefName::nostr(&pull.id);
        let has = |refs: Option<Arc<RefSnapshot>>| refs.is_some_and(|refs| refs.get(&name).is_some());
        if has(self.contributions.snapshot(&Coordinate::new(pull.author, identifier.clone()))?) {
            return Ok(true);
        }
        for repository in hosted {
            if has(self.repositories.snapshot(repository)?) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Served states that authorise nothing here any more, when no other repository of the identifier may come back.
    fn states_for_nobody_else(&self, family: &Family, repository: &Coordinate) -> Vec<EventId> {
        let held = self.held.lock().of_identifier(&family.identifier);
        if held.iter().any(|other| other != repository) {
            return Vec::new();
        }
        let hosted = family.hosted();
        let served = family.states.iter().filter_map(|(author, slot)| Some((author, slot.served.as_ref()?)));
        let orphaned = served.filter(|(author, _)| !hosted.values().any(|people| people.contains(author)));
        orphaned.map(|(_, state)| state.id).collect()
    }

    /// The second step: the family keeps what somebody keeps.
    async fn shrink_family(&self, identifier: &Identifier, extent: Shrink) -> Result<(), HouseError> {
        let uploads = self.unsigned.lock().repositories();
        if self.holds.is_held(identifier) || uploads.iter().any(|(_, to)| to.identifier == *identifier) {
            // What is being pushed or waits for its event may be built on what would go.
            return Ok(());
        }
        let family = self.load(identifier).await?;
        match self.kept(&family)? {
            None => self.families.discard(identifier)?,
            Some(_) if extent == Shrink::IfNobodyHasIt => {}
            Some(tips) => {
                // Who holds it may be waiting for the lock that is held here: then it is done the next time.
                let Ok(_one) = self.upkeep.try_acquire() else { return Ok(()) };
                self.families.keep_only(identifier, &tips)?;
                point("tips-forgotten");
                let status = Process::spawn(&mut self.families.shrink(identifier))?.wait().await?;
                if !status.success() {
                    return Err(io::Error::other(format!("git repack ended with {status}")).into());
                }
            }
        }
        point("family-shrunk");
        self.tables.write(&[Write::remove(Table::Shrink, identifier.as_str())])?;
        self.shrink.lock().remove(identifier);
        tracing::info!(%identifier, "family shrunk");
        Ok(())
    }

    /// The tips of all that a family's objects are needed for; `None` when there is no repository of it.
    fn kept(&self, family: &Family) -> Result<Option<BTreeSet<Oid>>, HouseError> {
        let identifier = &family.identifier;
        let of = |owner| family.coordinate(owner);
        let mut snapshots = Vec::new();
        for owner in family.hosted().into_keys() {
            snapshots.push(self.repositories.snapshot(&of(owner))?);
        }
        let contributors: Vec<_> = self.contributors.lock().of(identifier).copied().collect();
        for owner in contributors {
            snapshots.push(self.contributions.snapshot(&of(owner))?);
        }
        for held in self.held.lock().of_identifier(identifier) {
            snapshots.push(self.repositories.retired(&held)?.map(Arc::new));
        }
        if snapshots.is_empty() {
            return Ok(None);
        }
        let refs = snapshots.iter().flatten().flat_map(|refs| &refs.refs).map(|entry| entry.oid);
        let served = family.states.values().filter_map(|slot| slot.served.as_ref());
        let named = served.flat_map(|state| state.refs.values().copied());
        let tips: BTreeSet<Oid> = refs.chain(named).chain(wanted(family)).collect();
        let here: HashSet<Oid> = self.families.present(identifier, tips)?;
        Ok(Some(here.into_iter().collect()))
    }
}

impl Meeting<'_> {
    /// A repository is retired no longer: it has come back, or its time is over. What was put aside goes.
    pub(crate) fn unhold(&mut self, repository: &Coordinate) {
        self.unheld.push(repository.clone());
        self.record.repositories.push(RepositoryChange::Forget(repository.clone()));
    }
}
