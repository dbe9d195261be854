//! Where a waiting event leads: what it names, and which servers may have that. Pure.

use std::collections::{BTreeMap, BTreeSet};

use nostr::key::PublicKey;

use crate::admission::{Family, Slot};
use crate::fault;
use crate::nip34::{Coordinate, Identifier, Oid, PullRequest, RefName, State};

/// What a waiting event leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lead {
    /// The repository into whose family the objects belong.
    pub repository: Coordinate,
    /// That is its author's own, and no repository that is hosted here is named (GRASP-06).
    pub contributed: bool,
    /// What it names, each once.
    pub wanted: Vec<(Oid, RefName)>,
    /// Where that may be, as announcements and the event itself say.
    pub servers: Vec<String>,
}

impl Lead {
    /// Of a state: to the servers of everybody who maintains a repository that its author may speak for.
    #[must_use]
    pub fn of_state(family: &Family, state: &State) -> Option<Self> {
        let hosted = family.hosted();
        let concerned = || hosted.iter().filter(|(_, maintainers)| maintainers.contains(&state.author));
        let (owner, _) = concerned().next()?;
        let people: BTreeSet<PublicKey> =
            concerned().flat_map(|(owner, maintainers)| maintainers.iter().chain([owner])).copied().collect();
        let mut wanted: Vec<(Oid, RefName)> = Vec::new();
        let mut known = BTreeSet::new();
        for (name, oid) in &state.refs {
            if known.insert(*oid) {
                wanted.push((*oid, name.clone()));
            }
        }
        let (repository, servers) = (family.coordinate(*owner), clones(family, &people));
        Some(Self { repository, contributed: false, wanted, servers })
    }

    /// Of a pull request or an update: to the servers it names, and to those of the repositories it is for. `contributed`:
    /// its author's own repository here, where this service takes it for that (GRASP-06).
    #[must_use]
    pub fn of_pull(
        pull: &PullRequest,
        families: &BTreeMap<Identifier, Family>,
        contributed: Option<Coordinate>,
    ) -> Option<Self> {
        let tip = pull.tip?;
        let mut servers = pull.clone_urls.clone();
        servers.retain(|_| !fault::is("own-clones-ignored"));
        let mut repository = None;
        for named in &pull.repositories {
            let Some(family) = families.get(&named.identifier) else { continue };
            let Some(mut people) = family.hosted().remove(&named.owner) else { continue };
            people.insert(named.owner);
            for url in clones(family, &people) {
                if !servers.contains(&url) && !fault::is("announced-clones-ignored") {
                    servers.push(url);
                }
            }
            if repository.is_none() && family.is_served(&named.owner) {
                repository = Some(named.clone());
            }
        }
        let wanted = vec![(tip, RefName::nostr(&pull.id))];
        let (repository, contributed) = match repository {
            Some(repository) => (repository, false),
            None => (contributed?, true),
        };
        Some(Self { repository, contributed, wanted, servers })
    }
}

/// Where these people say that a repository can be cloned from, in no order but their keys'.
fn clones(family: &Family, people: &BTreeSet<PublicKey>) -> Vec<String> {
    let mut urls: Vec<String> = Vec::new();
    for person in people {
        let Some(newest) = family.announcements.get(person).and_then(Slot::newest) else { continue };
        for url in &newest.announcement.clone {
            if !urls.contains(url) {
                urls.push(url.clone());
            }
        }
    }
    urls
}
