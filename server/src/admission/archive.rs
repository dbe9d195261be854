//! Which repositories that do not list this service are taken all the same (GRASP-05, requirement G05/accept).
//!
//! An announcement that lists the service is never an archived one. The order of the operator's lists: the block lists
//! win over the archive, and the archive over the allow list, which is about those that list the service.

use super::rule::RepositoryRule;
use crate::nip34::{Announcement, Coordinate, ServiceDomain};

/// What the operator wants archived. Nothing, by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Archive {
    /// Every repository.
    pub all: bool,
    /// These repositories.
    pub rules: Vec<RepositoryRule>,
    /// Those that list one of these services.
    pub services: Vec<ServiceDomain>,
    /// Nobody pushes to what is archived: it follows the other servers (requirement G05/sync).
    pub read_only: bool,
}

impl Archive {
    /// Whether anything is archived.
    #[must_use]
    pub const fn is_on(&self) -> bool {
        self.all || !self.rules.is_empty() || !self.services.is_empty()
    }

    /// Whether an announcement that does not list this service is taken.
    #[must_use]
    pub fn covers(&self, announcement: &Announcement) -> bool {
        self.all || self.names(&announcement.coordinate()) || self.is_elsewhere(announcement)
    }

    fn names(&self, repository: &Coordinate) -> bool {
        self.rules.iter().any(|rule| rule.covers(repository))
    }

    fn is_elsewhere(&self, announcement: &Announcement) -> bool {
        self.services.iter().any(|service| announcement.listing(service).complete())
    }

    /// Which repositories these are, for people; `None` when there are none.
    #[must_use]
    pub fn summary(&self) -> Option<String> {
        if self.all {
            return Some("all others".to_owned());
        }
        let mut parts = Vec::new();
        if !self.rules.is_empty() {
            parts.push("those on the operator's archive list".to_owned());
        }
        if !self.services.is_empty() {
            let services: Vec<String> = self.services.iter().map(ToString::to_string).collect();
            parts.push(format!("those that list {}", services.join(" or ")));
        }
        (!parts.is_empty()).then(|| parts.join(", and "))
    }
}
