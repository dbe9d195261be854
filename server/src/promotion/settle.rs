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
    let hosted = family.hosted();

    let mut after = family.clone();
    // A state that empties a repository needs one that has been served, which the state before it may bring about.
    while serve_states(&mut after, &hosted, here, &mut settled) | release(&mut after, &hosted, &mut settled) {
    }

    for (owner, maintainers) in &hosted {
        let Some(state) = after.authorised(maintainers).filter(|_| after.is_served(owner)) else { continue };
        if fault::is("siblings-forgotten") && !settled.repositories.is_empty() {
            continue;
        }
        let head = state.head.clone().filter(|_| !fault::is("head-forgotten"));
        let target = RefTarget { refs: state.refs.clone(), head };
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
        if named().any(|owner| after.is_served(&owner)) {
            settled.serve.insert(pull.id);
            let refs = named().filter(|owner| hosted.contains_key(owner)).map(|owner| (owner, pull.id, tip));
            settled.pulls.extend(refs);
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
    let releases = |maintainers| after.authorised(maintainers).is_some_and(|state| !state.refs.is_empty());
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
    if state.refs.is_empty() {
        // A state that empties a repository needs one that has been served.
        authorised_for.any(|(owner, _)| family.is_served(owner))
    } else {
        authorised_for.next().is_some() && state.refs.values().all(|oid| here.contains(oid))
    }
}
