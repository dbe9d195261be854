#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use nostr::event::{Event, EventBuilder, FinalizeEvent as _, Tag};
use nostr::key::Keys;
use nostr::types::Timestamp;
use rstest::rstest;

use super::archive::Archive;
use super::curation::Curation;
use super::rule::RepositoryRule;
use super::*;
use crate::nip34::{ANNOUNCEMENT, Announcement, Coordinate, Identifier, ServiceDomain};

fn here() -> ServiceDomain {
    "git.example.org".parse().unwrap()
}

fn elsewhere() -> ServiceDomain {
    "grasp.example.net".parse().unwrap()
}

/// An announcement that lists these services.
fn event(owner: &Keys, at: u64, on: &[ServiceDomain], maintainers: &[&Keys]) -> Event {
    let repository = coordinate(owner, "project");
    let mut tags = vec![Tag::parse(["d", "project"]).unwrap()];
    for service in on {
        tags.push(Tag::parse(["clone", &service.clone_url(&repository)]).unwrap());
        tags.push(Tag::parse(["relays", &service.relay_url()]).unwrap());
    }
    for keys in maintainers {
        tags.push(Tag::parse(["maintainers", &keys.public_key().to_hex()]).unwrap());
    }
    let builder = EventBuilder::new(ANNOUNCEMENT, "").tags(tags).custom_created_at(Timestamp::from(at));
    builder.finalize(owner).unwrap()
}

fn announcement(owner: &Keys, at: u64, on: &[ServiceDomain]) -> Announcement {
    Announcement::from_event(&event(owner, at, on, &[])).unwrap()
}

fn coordinate(owner: &Keys, identifier: &str) -> Coordinate {
    Coordinate::new(owner.public_key(), Identifier::new(identifier).unwrap())
}

fn family() -> Family {
    Family::new(Identifier::new("project").unwrap())
}

fn judge(family: &Family, new: &Announcement, archive: &Archive) -> decide::AnnouncementDecision {
    decide::announcement(family, new, &here(), archive)
}

fn archive_of(rules: Vec<RepositoryRule>) -> Archive {
    Archive { rules, read_only: true, ..Archive::default() }
}

fn is_refused(decision: &Decision) -> bool {
    matches!(decision, Decision::Refuse(refusal) if refusal.prefix == Prefix::Blocked)
}

#[test]
fn nothing_is_archived_unless_it_is_asked_for() {
    let off = Archive { read_only: true, ..Archive::default() };
    assert!(!off.is_on());
    let judged = judge(&family(), &announcement(&Keys::generate(), 1, &[elsewhere()]), &off);
    assert!(is_refused(&judged.decision), "{judged:?}");
    assert_eq!((off.summary(), Curation { archive: off, ..Curation::default() }.summary()), (None, None));
}

#[rstest]
#[case::owner(|owner: &Keys| RepositoryRule::Owner(owner.public_key()))]
#[case::repository(|owner: &Keys| RepositoryRule::Repository(coordinate(owner, "project")))]
#[case::identifier(|_: &Keys| RepositoryRule::Identifier(Identifier::new("project").unwrap()))]
fn a_rule_takes_what_it_covers_and_nothing_else(#[case] rule: fn(&Keys) -> RepositoryRule) {
    let (owner, other) = (Keys::generate(), Keys::generate());
    let archive = archive_of(vec![rule(&owner)]);
    let new = announcement(&owner, 1, &[elsewhere()]);
    assert_eq!(judge(&family(), &new, &archive).decision, Decision::Wait);
    let announced = Hosted::new(new, &here(), &archive);
    assert!(announced.hosted && announced.archived);
    let by_name = matches!(archive.rules[0], RepositoryRule::Identifier(_));
    let theirs = judge(&family(), &announcement(&other, 1, &[elsewhere()]), &archive).decision;
    assert_eq!(theirs == Decision::Wait, by_name, "{theirs:?}");
    if let Decision::Refuse(refusal) = theirs {
        assert!(refusal.reason.contains("archived here"), "{refusal}");
    }
}

#[test]
fn services_archive_what_lists_them_with_both_entries() {
    let owner = Keys::generate();
    let archive = Archive { services: vec![elsewhere()], ..Archive::default() };
    assert_eq!(judge(&family(), &announcement(&owner, 1, &[elsewhere()]), &archive).decision, Decision::Wait);
    let mut half = announcement(&owner, 1, &[elsewhere()]);
    half.relays.clear();
    assert!(is_refused(&judge(&family(), &half, &archive).decision));
    let third = "third.example.com".parse().unwrap();
    assert!(is_refused(&judge(&family(), &announcement(&owner, 1, &[third]), &archive).decision));
}

#[test]
fn what_lists_this_service_is_never_archived() {
    let archive = Archive { all: true, read_only: true, ..Archive::default() };
    let new = announcement(&Keys::generate(), 1, &[here(), elsewhere()]);
    let announced = Hosted::new(new, &here(), &archive);
    assert!(announced.hosted && !announced.archived);
}

/// A family in which this announcement is served.
fn serving(announcement: Announcement, archive: &Archive) -> Family {
    let mut family = family();
    let announced = Hosted::new(announcement, &here(), archive);
    let owner = announced.announcement.author;
    family.announcements.entry(owner).or_default().served = Some(announced);
    family
}

#[test]
fn a_repository_that_moves_into_the_archive_or_out_of_it_stays() {
    let owner = Keys::generate();
    let archive = archive_of(vec![RepositoryRule::Owner(owner.public_key())]);
    let (listed, archived) = (announcement(&owner, 1, &[here()]), announcement(&owner, 2, &[elsewhere()]));
    let leaves = judge(&serving(listed, &archive), &archived, &archive);
    assert_eq!((leaves.decision, leaves.retires), (Decision::Serve, false));
    let back = announcement(&owner, 3, &[here()]);
    let comes = judge(&serving(archived.clone(), &archive), &back, &archive);
    assert_eq!((comes.decision, comes.retires), (Decision::Serve, false));
    let off = judge(&serving(announcement(&owner, 1, &[here()]), &archive), &archived, &Archive::default());
    assert!(is_refused(&off.decision) && off.retires);
}

#[test]
fn a_co_maintainer_that_is_archived_has_a_repository_in_either_order() {
    let (owner, other) = (Keys::generate(), Keys::generate());
    let theirs = announcement(&other, 1, &[elsewhere()]);
    let vouching = Announcement::from_event(&event(&owner, 1, &[here()], &[&other])).unwrap();
    let named = archive_of(vec![RepositoryRule::Owner(other.public_key())]);
    let nobody = archive_of(vec![RepositoryRule::Owner(Keys::generate().public_key())]);
    let decision = |archive: &Archive| judge(&serving(vouching.clone(), archive), &theirs, archive).decision;
    assert_eq!(decision(&named), Decision::Wait, "as it would without being vouched for");
    assert_eq!(decision(&nobody), Decision::Serve);
    assert!(!Hosted::new(theirs.clone(), &here(), &nobody).hosted);
}

#[test]
fn archived_announcements_admit_states_and_vouch_as_hosted_ones_do() {
    let (owner, other) = (Keys::generate(), Keys::generate());
    let archive = archive_of(vec![RepositoryRule::Owner(owner.public_key())]);
    let vouching = Announcement::from_event(&event(&owner, 1, &[elsewhere()], &[&other])).unwrap();
    let family = serving(vouching, &archive);
    assert!(family.is_archived(&owner.public_key()) && family.is_hosted(&owner.public_key()));
    let theirs = announcement(&other, 2, &[elsewhere()]);
    assert_eq!(judge(&family, &theirs, &archive).decision, Decision::Serve);
    let state = crate::promotion::tests::world::World::state_of(other.public_key(), 3, BTreeMap::new());
    assert_eq!(decide::state(&family, &state), Decision::Wait);
}

#[test]
fn block_lists_win_over_the_archive_and_the_archive_over_the_allow_list() {
    let (owner, stranger) = (Keys::generate(), Keys::generate());
    let rule = |keys: &Keys| vec![RepositoryRule::Owner(keys.public_key())];
    let archived = event(&owner, 1, &[elsewhere()], &[]);
    let check = |curation: &Curation, event: &Event| curation.check(event, &here(), |_| false);
    let lists = Curation {
        repository_whitelist: rule(&stranger),
        archive: archive_of(rule(&owner)),
        ..Curation::default()
    };
    assert_eq!(check(&lists, &archived), Ok(()));
    let listed = event(&owner, 1, &[here()], &[]);
    assert!(
        check(&lists, &listed).unwrap_err().reason.contains("fixed list"),
        "that is what the allow list is about"
    );
    for blacklisted in [
        Curation { repository_blacklist: rule(&owner), ..lists.clone() },
        Curation { event_blacklist: rule(&owner), ..lists.clone() },
    ] {
        assert_eq!(check(&blacklisted, &archived).unwrap_err().prefix, Prefix::Blocked);
    }
}

#[test]
fn nip11_says_what_is_archived_and_that_it_is_read_only() {
    let mut curation = Curation { archive: archive_of(vec![]), ..Curation::default() };
    curation.archive.services = vec![elsewhere()];
    assert!(curation.summary().unwrap().contains("read-only"));
    assert!(curation.archive.summary().unwrap().contains("grasp.example.net"));
    curation.archive.read_only = false;
    assert_eq!(curation.summary(), None);
    let all = Archive { all: true, ..Archive::default() };
    assert_eq!(all.summary().as_deref(), Some("all others"));
}
