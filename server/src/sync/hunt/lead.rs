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
        Some(Self { repository, wanted, servers })
    }

    /// Of a pull request or an update: to the servers it names, and to those of the repositories it is for. One that waits
    /// in its author's own repository only (GRASP-06) leads nowhere: its author pushes there, and nobody else can make this
    /// service fetch what it hosts nothing for.
    #[must_use]
    pub fn of_pull(pull: &PullRequest, families: &BTreeMap<Identifier, Family>) -> Option<Self> {
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
        Some(Self { repository: repository?, wanted, servers })
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nostr::event::{EventBuilder, FinalizeEvent as _, Tag};
    use nostr::key::Keys;

    use super::*;
    use crate::nip34::PULL_REQUEST;

    #[test]
    fn a_pull_request_in_its_authors_own_repository_only_leads_nowhere() {
        let (owner, author) = (Keys::generate(), Keys::generate());
        let repository = format!("30617:{}:elsewhere", owner.public_key());
        let tip = "1".repeat(40);
        let tags = [["a", &repository], ["c", &tip], ["clone", "https://there.example/prs/a/elsewhere.git"]];
        let tags = tags.iter().map(|tag| Tag::parse(*tag).unwrap());
        let event = EventBuilder::new(PULL_REQUEST, "").tags(tags).finalize(&author).unwrap();
        let pull = PullRequest::from_event(&event).unwrap();
        assert_eq!(Lead::of_pull(&pull, &BTreeMap::new()), None);
    }
}
