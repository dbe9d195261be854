//! The rows of the decision table for announcements, states and pull requests.

use std::collections::BTreeSet;

use nostr::key::PublicKey;

use super::archive::Archive;
use super::family::{Family, Hosted, Slot, Standing, Versioned};
use super::{Decision, Prefix, Refusal};
use crate::fault;
use crate::nip34::announcement::Listing;
use crate::nip34::{Announcement, Coordinate, PullRequest, ServiceDomain, State};

/// What happens to an announcement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AnnouncementDecision {
    /// What happens to the event.
    pub decision: Decision,
    /// The author's repository here is retired: this announcement no longer lists the service, nor is it archived.
    pub retires: bool,
}

/// Judges an announcement (requirements G01/relay/accepts-repository-events, /rejects-unlisted and G05/accept).
///
/// What is archived is judged as if it listed the service, whatever order things come in: that somebody else's
/// announcement vouches for it as well changes nothing.
#[must_use]
pub fn announcement(
    family: &Family,
    new: &Announcement,
    service: &ServiceDomain,
    archive: &Archive,
) -> AnnouncementDecision {
    let mut listing = new.listing(service);
    listing.clone |= fault::is("unlisted-taken") || fault::is("relay-suffices");
    listing.relay |= fault::is("unlisted-taken") || fault::is("clone-suffices");
    let slot = family.announcements.get(&new.author);
    let version = (new.created_at, new.id);
    let stays = |decision| AnnouncementDecision { decision, retires: false };
    if let Some(decision) = known(slot, version) {
        return stays(decision);
    }
    if listing.complete() || archive.covers(new) && !is_overlooked(listing, slot) {
        let served = slot.is_some_and(|slot| {
            slot.served.is_some() || fault::is("replacements-served") && slot.waiting.is_some()
        });
        return stays(if served { Decision::Serve } else { Decision::Wait });
    }
    // Whoever stays must be vouched for by somebody else's announcement that lists us.
    let others = family.hosted();
    let vouches = |owner: &PublicKey, maintainers: &BTreeSet<PublicKey>| match () {
        () if fault::is("co-maintainers-must-list") => false,
        () if fault::is("co-maintainers-of-served-only") && !family.is_served(owner) => false,
        () if fault::is("co-maintainers-are-anybody") => true,
        () => maintainers.contains(&new.author),
    };
    let vouched =
        others.iter().any(|(owner, maintainers)| owner != &new.author && vouches(owner, maintainers));
    let retires =
        slot.and_then(Slot::newest).is_some_and(|known| known.hosted) && !fault::is("moving-away-ignored");
    let decision = if vouched {
        if fault::is("co-maintainers-wait") { Decision::Wait } else { Decision::Serve }
    } else {
        Decision::Refuse(Refusal::new(Prefix::Blocked, unlisted(new, listing, service, archive)))
    };
    AnnouncementDecision { decision, retires }
}

/// Whether a faulty server does not archive an announcement that it should.
fn is_overlooked(listing: Listing, slot: Option<&Slot<Hosted>>) -> bool {
    fault::is("half-listed-not-archived") && (listing.clone || listing.relay)
        || fault::is("archived-never-replaced") && slot.is_some()
}

/// Judges a state. Whether it has to wait is settled afterwards: its git data may be here.
#[must_use]
pub fn state(family: &Family, new: &State) -> Decision {
    if let Some(decision) = known(family.states.get(&new.author), (new.created_at, new.id)) {
        return decision;
    }
    let hosted = family.hosted();
    let anybody = fault::is("anybody-signs-states") && !hosted.is_empty()
        || fault::is("anybody-signs-archived-states") && hosted.keys().any(|owner| family.is_archived(owner));
    if anybody || hosted.values().any(|maintainers| maintainers.contains(&new.author)) {
        return Decision::Wait;
    }
    Decision::Refuse(Refusal::new(
        Prefix::Restricted,
        format!(
            "you are no maintainer of a repository {:?} that is announced here; publish the repository \
             announcement (kind 30617) that lists this service first, or ask its owner to list you",
            new.identifier
        ),
    ))
}

/// Judges a pull request or an update of one. `contributed`: it names its author's own repository here, and this server
/// takes those (GRASP-06). `served` and `waiting` say which of the repositories that it names are hosted here.
#[must_use]
pub fn pull_request(
    new: &PullRequest,
    contributed: bool,
    served: impl Fn(&Coordinate) -> bool,
    waiting: impl Fn(&Coordinate) -> bool,
) -> Decision {
    let welcome = fault::is("pull-requests-to-waiting") && new.repositories.iter().any(&waiting);
    if contributed || welcome || new.repositories.iter().any(served) {
        return Decision::Wait;
    }
    let reason = if new.repositories.is_empty() {
        "no `a` tag names a repository (30617:<owner-pubkey-hex>:<identifier>)".to_owned()
    } else if let Some(repository) = new.repositories.iter().find(|repository| waiting(repository)) {
        format!(
            "the repository {repository} itself still waits for its first push; publish this again when it is served"
        )
    } else {
        "none of the repositories in its `a` tags is hosted here".to_owned()
    };
    Decision::Refuse(Refusal::new(Prefix::Restricted, reason))
}

fn known<T: Versioned>(
    slot: Option<&Slot<T>>,
    version: (nostr::types::Timestamp, nostr::event::EventId),
) -> Option<Decision> {
    match slot.map_or(Standing::Newest, |slot| slot.standing(version)) {
        Standing::Served => Some(Decision::Known { waiting: false }),
        Standing::Waiting => Some(Decision::Known { waiting: true }),
        Standing::Older if fault::is("older-replacements-wait") => None,
        Standing::Older => Some(Decision::Refuse(Refusal::new(
            Prefix::Replaced,
            "a newer event of this kind, author and identifier is known here",
        ))),
        Standing::Newest => None,
    }
}

fn unlisted(new: &Announcement, listing: Listing, service: &ServiceDomain, archive: &Archive) -> String {
    let mut missing = Vec::new();
    if !listing.clone {
        missing.push(format!("`clone` lacks {}", service.clone_url(&new.coordinate())));
    }
    if !listing.relay {
        missing.push(format!("`relays` lacks {}", service.relay_url()));
    }
    let archived = if archive.is_on() { "; nor is it among those that are archived here" } else { "" };
    format!("the announcement does not list this service: {}{archived}", missing.join(" and "))
}

impl Hosted {
    /// With the answers to whether it lists this service, and whether it is archived if it does not.
    #[must_use]
    pub fn new(announcement: Announcement, service: &ServiceDomain, archive: &Archive) -> Self {
        let listed = announcement.listing(service).complete();
        let archived = (!listed || fault::is("listed-are-archived-too")) && archive.covers(&announcement);
        Self { announcement, hosted: listed || archived, archived }
    }
}
