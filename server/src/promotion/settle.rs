//! What follows from the events that are known and the objects that are here.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use nostr::event::EventId;
use nostr::key::PublicKey;

use crate::admission::Family;
use crate::fault;
use crate::nip34::{Oid, RefName, State};

/// What the heads, tags and HEAD of a repository shall be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefTarget {
    /// All branches and tags.
    pub refs: BTreeMap<RefName, Oid>,
    /// The branch HEAD shall point to; `None`: it stays as it is.
    pub head: Option<RefName>,
}

/// What is to be done so that what is served and what the refs say agree again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Settled {
    /// Waiting events that are served from now on.
    pub serve: BTreeSet<EventId>,
    /// The authorised state of each hosted repository that has one. Complete, not only what changes.
    pub repositories: BTreeMap<PublicKey, RefTarget>,
    /// `refs/nostr/<id>` of the pull requests in `serve`, by owner.
    pub pulls: Vec<(PublicKey, EventId, Oid)>,
    /// The same in their authors' own repositories (GRASP-06), where no hosted one shows them: by author.
    pub contributed: Vec<(PublicKey, EventId, Oid)>,
}

/// All objects that anything waiting in a family waits for.
#[must_use]
pub fn wanted(family: &Family) -> BTreeSet<Oid> {
    let states = family.states.values().filter_map(|slot| slot.waiting.as_ref());
    let tips = family.pulls.values().filter_map(|pull| pull.tip);
    states.flat_map(|state| state.refs.values().copied()).chain(tips).collect()
}

/// Settles a family. `here` says which of the [`wanted`] objects are in the family, with everything they reach.
///
/// Requirements G01/purgatory/released, /nothing-to-wait-for, G01/git/release and the decision table.
#[must_use]
pub fn settle(family: &Family, here: &HashSet<Oid>) -> Settled {
    let mut settled = Settled::default();
    let mut hosted = family.hosted();
    if fault::is("siblings-always-aligned") {
        let everybody: BTreeSet<PublicKey> = family.states.keys().copied().collect();
        hosted.values_mut().for_each(|maintainers| maintainers.clone_from(&everybody));
    }

    let mut after = family.clone();
    // A state that empties a repository needs one that has been served, which the state before it may bring about.
    while serve_states(&mut after, &hosted, here, &mut settled) | release(&mut after, &hosted, &mut settled) {
    }

    for (owner, maintainers) in &hosted {
        let slot = &family.announcements[owner];
        let Some(state) = after.authorised(maintainers) else {
            if fault::is("refs-go-with-states") && slot.served.is_some() {
                let empty = RefTarget { refs: BTreeMap::new(), head: None };
                settled.repositories.insert(*owner, empty);
            }
            continue;
        };
        let last = maintainers.iter().filter_map(|author| after.states.get(author)?.served.as_ref());
        let last = last
            .filter(|_| fault::is("siblings-take-the-last"))
            .find(|state| settled.serve.contains(&state.id));
        let state = last.unwrap_or(state);
        let sibling = state.author != *owner && after.is_served(&state.author);
        let forgotten = fault::is("siblings-forgotten") && sibling;
        if forgotten || !after.is_served(owner) {
            continue;
        }
        let target = RefTarget { refs: state.refs.clone(), head: state.head.clone() };
        settled.repositories.insert(*owner, target);
    }

    for pull in family.pulls.values() {
        let Some(tip) = pull.tip.filter(|tip| here.contains(tip)) else { continue };
        let named = || {
            pull.repositories
                .iter()
                .filter(|named| named.identifier == family.identifier)
                .map(|named| named.owner)
        };
        let shown = named().any(|owner| after.is_served(&owner));
        let contributed = family.contributed.contains(&pull.id);
        // One that is taken for a contributor's repository may name others that still wait.
        let has_place = contributed || named().any(|owner| hosted.contains_key(&owner));
        if has_place || family.pushed.contains(&pull.id) {
            settled.serve.insert(pull.id);
            if contributed && (!shown || fault::is("mirrored-back")) {
                settled.contributed.push((pull.author, pull.id, tip));
            }
            let everywhere = contributed && fault::is("mirrored-everywhere");
            let owners: Vec<PublicKey> =
                if everywhere { hosted.keys().copied().collect() } else { named().collect() };
            let refs = owners.into_iter().filter(|owner| hosted.contains_key(owner));
            let most = if fault::is("first-owner-only") { 1 } else { usize::MAX };
            settled.pulls.extend(refs.map(|owner| (owner, pull.id, tip)).take(most));
        }
    }
    settled
}

/// Serves the waiting states that may be; whether there was one.
fn serve_states(
    after: &mut Family,
    hosted: &BTreeMap<PublicKey, BTreeSet<PublicKey>>,
    here: &HashSet<Oid>,
    settled: &mut Settled,
) -> bool {
    let ready: Vec<PublicKey> = after
        .states
        .iter()
        .filter(|(author, slot)| {
            slot.waiting.as_ref().is_some_and(|state| may_be_served(after, hosted, author, state, here))
        })
        .map(|(author, _)| *author)
        .collect();
    for author in &ready {
        let Some(slot) = after.states.get_mut(author) else { continue };
        slot.served = slot.waiting.take();
        settled.serve.extend(slot.served.as_ref().map(|state| state.id));
    }
    !ready.is_empty()
}

/// Serves the waiting announcements that an authorised served state releases; whether there was one.
fn release(
    after: &mut Family,
    hosted: &BTreeMap<PublicKey, BTreeSet<PublicKey>>,
    settled: &mut Settled,
) -> bool {
    let names_any = |state: &State| !state.refs.is_empty() || fault::is("states-without-refs-release");
    let releases = |maintainers| after.authorised(maintainers).is_some_and(names_any);
    let ready: Vec<PublicKey> =
        hosted.iter().filter(|(_, maintainers)| releases(maintainers)).map(|(owner, _)| *owner).collect();
    let mut any = false;
    for owner in &ready {
        let Some(slot) = after.announcements.get_mut(owner) else { continue };
        let Some(waiting) = slot.waiting.take() else { continue };
        settled.serve.insert(waiting.announcement.id);
        slot.served = Some(waiting);
        any = true;
    }
    any
}

fn may_be_served(
    family: &Family,
    hosted: &BTreeMap<PublicKey, BTreeSet<PublicKey>>,
    author: &PublicKey,
    state: &State,
    here: &HashSet<Oid>,
) -> bool {
    let mut authorised_for = hosted.iter().filter(|(_, maintainers)| maintainers.contains(author));
    let served = || family.states.values().filter_map(|slot| slot.served.as_ref());
    let removes = |served: &State| {
        state.refs.len() < served.refs.len()
            && state.refs.keys().all(|name| served.refs.get(name) == state.refs.get(name))
    };
    if fault::is("removals-wait") && served().any(removes)
        || fault::is("heads-wait")
            && served().any(|served| served.refs == state.refs && served.head != state.head)
    {
        return false;
    }
    if state.refs.is_empty() && fault::is("states-without-refs-release") {
        return true;
    }
    if state.refs.is_empty() {
        // A state that empties a repository needs one that has been served.
        authorised_for.any(|(owner, _)| family.is_served(owner))
    } else {
        authorised_for.next().is_some() && state.refs.values().all(|oid| here.contains(oid))
    }
}
