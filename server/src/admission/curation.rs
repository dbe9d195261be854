//! The operator's lists: which repositories and whose events are taken at all (requirement G01/relay/curation).

use nostr::event::Event;

use super::archive::Archive;
use super::related::Relations;
use super::rule::RepositoryRule;
use super::{Prefix, Refusal};
use crate::fault;
use crate::nip34::{ANNOUNCEMENT, Announcement, Coordinate, Identifier, STATE, ServiceDomain};

/// The lists. Empty lists curate nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Curation {
    /// When not empty, only these repositories are announced here.
    pub repository_whitelist: Vec<RepositoryRule>,
    /// These are not, whatever the whitelist says.
    pub repository_blacklist: Vec<RepositoryRule>,
    /// Events by these people, and events of or about these repositories, are not taken.
    pub event_blacklist: Vec<RepositoryRule>,
    /// Repositories that do not list this service and are taken all the same.
    pub archive: Archive,
}

impl Curation {
    /// Whether an event may be looked at at all. `hosted`: whether a repository is here.
    ///
    /// # Errors
    /// The refusal, when a list says no.
    pub fn check(
        &self,
        event: &Event,
        service: &ServiceDomain,
        hosted: impl Fn(&Coordinate) -> bool,
    ) -> Result<(), Refusal> {
        let own = (event.kind == ANNOUNCEMENT || event.kind == STATE)
            .then(|| crate::nip34::tags::first(event, "d").and_then(|d| Identifier::new(d).ok()))
            .flatten()
            .map(|identifier| Coordinate::new(event.pubkey, identifier));
        if let Some(repository) = own.as_ref().filter(|_| event.kind == ANNOUNCEMENT) {
            self.check_repository(repository, event, service, hosted(repository))?;
        }
        if self.event_blacklist.is_empty() {
            return Ok(());
        }
        let about = Relations::of(event).repositories;
        let hit = self.event_blacklist.iter().any(|rule| {
            rule.covers_author(&event.pubkey)
                || own.iter().chain(&about).any(|repository| rule.covers(repository))
        });
        if hit {
            return Err(Refusal::new(
                Prefix::Blocked,
                "the operator of this service does not take such events",
            ));
        }
        Ok(())
    }

    /// Whether the block list names a repository.
    #[must_use]
    pub fn is_blacklisted(&self, repository: &Coordinate) -> bool {
        self.repository_blacklist.iter().any(|rule| rule.covers(repository))
    }

    fn check_repository(
        &self,
        repository: &Coordinate,
        event: &Event,
        service: &ServiceDomain,
        hosted: bool,
    ) -> Result<(), Refusal> {
        if self.is_blacklisted(repository) {
            return Err(Refusal::new(
                Prefix::Blocked,
                "the operator of this service does not host this repository",
            ));
        }
        let listed = self.repository_whitelist.iter().any(|rule| rule.covers(repository));
        let lists_us = || Announcement::from_event(event).is_ok_and(|new| new.listing(service).complete());
        // The list says what may come; what is here may always move away.
        let moves_away = hosted && !lists_us();
        if !self.repository_whitelist.is_empty() && !listed && !moves_away && !self.archives(event, service) {
            return Err(Refusal::new(
                Prefix::Blocked,
                "this service hosts a fixed list of repositories, and this one is not on it; ask its operator",
            ));
        }
        Ok(())
    }

    fn archives(&self, event: &Event, service: &ServiceDomain) -> bool {
        let covered = |new: Announcement| !new.listing(service).complete() && self.archive.covers(&new);
        self.archive.is_on() && Announcement::from_event(event).is_ok_and(covered)
    }

    /// What NIP-11 `curation` says; `None` when nothing is curated (G01/nip11/curation).
    #[must_use]
    pub fn summary(&self) -> Option<String> {
        let mut parts = Vec::new();
        if !self.repository_whitelist.is_empty() {
            parts.push("only repositories on the operator's list are hosted");
        }
        if !self.repository_blacklist.is_empty() {
            parts.push("some repositories are not hosted");
        }
        if !self.event_blacklist.is_empty() {
            parts.push("events of or about some people and repositories are not taken");
        }
        if self.archive.is_on() && self.archive.read_only && !fault::is("read-only-untold") {
            parts.push("repositories that do not list this service are archived: read-only copies of what other servers have");
        }
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}
