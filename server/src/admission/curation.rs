//! The operator's lists: which repositories and whose events are taken at all (requirement G01/relay/curation).

use nostr::event::Event;

use super::related::Relations;
use super::rule::RepositoryRule;
use super::{Prefix, Refusal};
use crate::nip34::{ANNOUNCEMENT, Coordinate, Identifier, STATE};

/// The lists. Empty lists curate nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Curation {
    /// When not empty, only these repositories are announced here.
    pub repository_whitelist: Vec<RepositoryRule>,
    /// These are not, whatever the whitelist says.
    pub repository_blacklist: Vec<RepositoryRule>,
    /// Events by these people, and events of or about these repositories, are not taken.
    pub event_blacklist: Vec<RepositoryRule>,
}

impl Curation {
    /// Whether an event may be looked at at all.
    ///
    /// # Errors
    /// The refusal, when a list says no.
    pub fn check(&self, event: &Event) -> Result<(), Refusal> {
        let own = (event.kind == ANNOUNCEMENT || event.kind == STATE)
            .then(|| crate::nip34::tags::first(event, "d").and_then(|d| Identifier::new(d).ok()))
            .flatten()
            .map(|identifier| Coordinate::new(event.pubkey, identifier));
        if let Some(repository) = own.as_ref().filter(|_| event.kind == ANNOUNCEMENT) {
            self.check_repository(repository)?;
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

    fn check_repository(&self, repository: &Coordinate) -> Result<(), Refusal> {
        if self.repository_blacklist.iter().any(|rule| rule.covers(repository)) {
            return Err(Refusal::new(
                Prefix::Blocked,
                "the operator of this service does not host this repository",
            ));
        }
        let listed = self.repository_whitelist.iter().any(|rule| rule.covers(repository));
        if !self.repository_whitelist.is_empty() && !listed {
            return Err(Refusal::new(
                Prefix::Blocked,
                "this service hosts a fixed list of repositories, and this one is not on it; ask its operator",
            ));
        }
        Ok(())
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
        (!parts.is_empty()).then(|| parts.join("; "))
    }
}
