#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use nostr::key::Keys;

use super::*;
use crate::promotion::tests::world::{Item, World, oid, refname};

fn command(name: &str, old: Oid, new: Oid) -> RefCommand {
    RefCommand { name: refname(name), old, new }
}

fn judge(world: &World, owner: &Keys, current: &[(&str, Oid)], commands: &[RefCommand]) -> Ruling {
    let current = current.iter().map(|(name, oid)| (refname(name), *oid)).collect();
    let events = BTreeMap::new();
    let owner = owner.public_key();
    authorize(
        &PushFacts {
            family: &world.family,
            owner: &owner,
            current: &current,
            events: &events,
            read_only_archive: true,
        },
        commands,
    )
}

#[test]
fn exactly_the_waiting_state_is_allowed() {
    let owner = Keys::generate();
    let mut world = World::new();
    world.announce(&owner, 1, &[]);
    let state = world.state(&owner, 2, &[("refs/heads/main", oid(1)), ("refs/tags/v1", oid(2))]);
    let main = command("refs/heads/main", Oid::ZERO, oid(1));
    let tag = command("refs/tags/v1", Oid::ZERO, oid(2));
    assert_eq!(judge(&world, &owner, &[], &[main.clone(), tag.clone()]).promotes, Some(state));

    let partial = judge(&world, &owner, &[], std::slice::from_ref(&main));
    assert_eq!(partial.promotes, None);
    let reason = partial.results[0].clone().unwrap_err();
    assert!(reason.contains("refs/tags/v1") && reason.contains("git push --prune"), "{reason}");

    let superset = [main, tag, command("refs/heads/extra", Oid::ZERO, oid(3))];
    let ruling = judge(&world, &owner, &[], &superset);
    assert!(ruling.results.iter().all(Result::is_err), "{ruling:?}");
    assert!(ruling.results[0].clone().unwrap_err().contains("the push also has refs/heads/extra"));
    assert!(ruling.results[2].clone().unwrap_err().contains("does not list this ref"));
}

#[test]
fn older_state_than_the_served_one_authorises_nothing() {
    let (owner, other) = (Keys::generate(), Keys::generate());
    let mut world = World::new();
    world.announce(&owner, 1, &[&other]);
    world.state(&owner, 5, &[("refs/heads/main", oid(1))]);
    world.arrive([oid(1)]);
    world.state(&other, 4, &[("refs/heads/main", oid(2))]);
    let push = command("refs/heads/main", oid(1), oid(2));
    assert!(judge(&world, &owner, &[("refs/heads/main", oid(1))], &[push]).results[0].is_err());
}

#[test]
fn what_is_in_place_already_is_a_success() {
    let owner = Keys::generate();
    let world = World::new();
    let again = command("refs/heads/main", Oid::ZERO, oid(1));
    let ruling = judge(&world, &owner, &[("refs/heads/main", oid(1))], &[again]);
    assert_eq!(ruling.results, [Ok(())]);
    assert!(!ruling.changes_anything());
}

#[test]
fn a_stale_old_value_is_refused_even_when_the_new_one_is_right() {
    let owner = Keys::generate();
    let mut world = World::new();
    world.announce(&owner, 1, &[]);
    world.state(&owner, 2, &[("refs/heads/main", oid(2))]);
    let push = command("refs/heads/main", oid(9), oid(2));
    let ruling = judge(&world, &owner, &[("refs/heads/main", oid(1))], &[push]);
    assert!(ruling.results[0].clone().unwrap_err().contains("moved"));
}

#[test]
fn unknown_uploads_are_taken_apart_and_never_together_with_a_state() {
    let owner = Keys::generate();
    let mut world = World::new();
    world.announce(&owner, 1, &[]);
    world.state(&owner, 2, &[("refs/heads/main", oid(2))]);
    let id = EventId::from_byte_array([7; 32]);
    let upload = RefCommand { name: RefName::nostr(&id), old: Oid::ZERO, new: oid(3) };
    let ruling = judge(&world, &owner, &[], std::slice::from_ref(&upload));
    assert_eq!((ruling.results, ruling.unsigned), (vec![Ok(())], vec![(id, oid(3))]));

    let main = command("refs/heads/main", Oid::ZERO, oid(2));
    let ruling = judge(&world, &owner, &[], &[main, upload]);
    assert!(ruling.results[0].is_ok() && ruling.results[1].is_err() && ruling.unsigned.is_empty());
}

#[test]
fn a_known_pull_request_takes_its_own_tip_only() {
    let owner = Keys::generate();
    let world = World::new();
    let id = EventId::from_byte_array([7; 32]);
    let owner_key = owner.public_key();
    let current = BTreeMap::new();
    let ask = |known: NamedEvent, new: Oid| {
        let events = BTreeMap::from([(id, known)]);
        let facts = PushFacts {
            family: &world.family,
            owner: &owner_key,
            current: &current,
            events: &events,
            read_only_archive: true,
        };
        authorize(&facts, &[RefCommand { name: RefName::nostr(&id), old: Oid::ZERO, new }]).results.remove(0)
    };
    let here = |tip| NamedEvent::PullRequest { tip: Some(tip), names_identifier: true };
    assert!(ask(here(oid(1)), oid(1)).is_ok());
    assert!(ask(here(oid(1)), oid(2)).is_err());
    assert!(ask(NamedEvent::PullRequest { tip: Some(oid(1)), names_identifier: false }, oid(1)).is_err());
    assert!(ask(NamedEvent::Other, oid(1)).is_err());
}

#[test]
fn nobody_pushes_to_a_read_only_archive_and_everybody_is_told_where_else() {
    let owner = Keys::generate();
    let mut world = World::new();
    world.archive.all = true;
    let elsewhere: crate::nip34::ServiceDomain = "grasp.example.net".parse().unwrap();
    let mut new = World::announcement(owner.public_key(), 1, []);
    let url = elsewhere.clone_url(&new.coordinate());
    (new.clone, new.relays) = (vec![url.clone()], vec![elsewhere.relay_url()]);
    world.offer(&Item::Announcement(new));
    let state = world.state(&owner, 2, &[("refs/heads/main", oid(1))]);
    let upload = RefCommand { name: RefName::nostr(&state), old: Oid::ZERO, new: oid(3) };
    let pushed = [command("refs/heads/main", Oid::ZERO, oid(1)), upload];
    let ruling = judge(&world, &owner, &[], &pushed);
    for result in &ruling.results {
        let reason = result.clone().unwrap_err();
        assert!(reason.contains("read-only") && reason.contains(&url), "{reason}");
    }
    assert!(!ruling.changes_anything());

    let current = BTreeMap::new();
    let (events, owner) = (BTreeMap::new(), owner.public_key());
    let facts = PushFacts {
        family: &world.family,
        owner: &owner,
        current: &current,
        events: &events,
        read_only_archive: false,
    };
    assert_eq!(authorize(&facts, &pushed[..1]).promotes, Some(state), "unless the operator lets them");
}

#[test]
fn other_namespaces_and_pull_request_branches_are_explained() {
    let owner = Keys::generate();
    let mut world = World::new();
    world.announce(&owner, 1, &[]);
    let ruling = judge(
        &world,
        &owner,
        &[],
        &[command("refs/notes/commits", Oid::ZERO, oid(1)), command("refs/heads/pr/fix", Oid::ZERO, oid(1))],
    );
    assert!(ruling.results[0].clone().unwrap_err().contains("refs/nostr/<event-id>"));
    assert!(ruling.results[1].clone().unwrap_err().contains("pull requests"));
}
