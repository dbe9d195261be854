//! A quarry as the hunt keeps it.

use std::collections::BTreeMap;

use super::input::Quarry;
use crate::fault;
use crate::nip34::{Coordinate, Oid, RefName, ServiceDomain};
use crate::sync::bounds::MAX_SERVERS;
use crate::sync::millis::Millis;
use crate::sync::url::CloneUrl;

/// What is known of a server with regard to one quarry.
#[derive(Debug)]
pub(super) struct Tried {
    /// Fetches that did not complete it.
    pub(super) failures: u32,
    /// When it is tried next.
    pub(super) next: Millis,
}

/// See the module.
#[derive(Debug)]
pub(super) struct Hunted {
    pub(super) repository: Coordinate,
    pub(super) missing: BTreeMap<Oid, RefName>,
    pub(super) servers: BTreeMap<CloneUrl, Tried>,
    /// Nothing is fetched for it earlier.
    pub(super) ready: Millis,
    pub(super) attempts: u32,
}

impl Hunted {
    pub(super) fn new(quarry: &Quarry, ready: Millis) -> Self {
        Self {
            repository: quarry.repository.clone(),
            missing: BTreeMap::new(),
            servers: BTreeMap::new(),
            ready,
            attempts: 0,
        }
    }

    /// When a server is asked for it. A fetch that began for an earlier description of it may have said "earlier".
    pub(super) fn due(&self, tried: &Tried) -> Millis {
        tried.next.max(self.ready)
    }

    /// Takes what is known now: servers that are new are due at once, those that are named no more go.
    pub(super) fn update(&mut self, quarry: &Quarry, service: &ServiceDomain, now: Millis) {
        self.missing = quarry.missing.iter().cloned().collect();
        let urls = quarry.servers.iter().filter_map(|url| CloneUrl::parse(url).ok());
        let others = urls.filter(|url| !service.is_host_of(url.as_str()));
        let mut before = std::mem::take(&mut self.servers);
        let most = if fault::is("first-host-only") { 1 } else { MAX_SERVERS };
        for url in others {
            if self.servers.len() >= most {
                break;
            }
            let tried = before.remove(&url).unwrap_or(Tried { failures: 0, next: now.max(self.ready) });
            self.servers.entry(url).or_insert(tried);
        }
    }
}
