#![allow(clippy::unwrap_used, clippy::expect_used)]

pub(crate) mod world;

mod order;

use nostr::key::Keys;

use world::{World, oid, refname};

#[test]
fn a_state_waits_until_all_of_its_objects_are_here_and_releases_its_announcement() {
    let owner = Keys::generate();
    let mut world = World::new();
    let announcement = world.announce(&owner, 1, &[]);
    let state = world.state(&owner, 2, &[("refs/heads/main", oid(1)), ("refs/heads/dev", oid(2))]);
    assert!(world.served().is_empty());
    world.arrive([oid(1)]);
    assert!(world.served().is_empty());
    world.arrive([oid(2)]);
    assert!(world.served().contains(&announcement) && world.served().contains(&state));
    assert_eq!(world.refs_of(&owner).get(&refname("refs/heads/dev")), Some(&oid(2)));
}

#[test]
fn a_state_that_names_nothing_releases_nothing_but_empties_what_was_served() {
    let owner = Keys::generate();
    let mut world = World::new();
    world.announce(&owner, 1, &[]);
    world.state(&owner, 2, &[]);
    assert!(world.served().is_empty());
    world.state(&owner, 3, &[("refs/heads/main", oid(1))]);
    world.arrive([oid(1)]);
    let emptied = world.state(&owner, 4, &[]);
    assert!(world.served().contains(&emptied));
    assert!(world.refs_of(&owner).is_empty());
}

#[test]
fn a_state_that_names_nothing_is_served_together_with_the_first_data() {
    let (owner, other) = (Keys::generate(), Keys::generate());
    for (time, refs) in [(2, 1), (9, 0)] {
        let mut world = World::new();
        world.announce(&owner, 1, &[&other]);
        let nothing = world.state(&other, time, &[]);
        world.state(&owner, 5, &[("refs/heads/main", oid(1))]);
        assert!(world.served().is_empty());
        world.arrive([oid(1)]);
        assert!(world.served().contains(&nothing));
        assert_eq!(world.refs_of(&owner).len(), refs, "the newer of the two states decides");
        let settled = world.clone();
        world.arrive([]);
        assert_eq!(world, settled, "nothing is left for the next arrival");
    }
}

#[test]
fn a_co_maintainers_state_moves_every_repository_it_is_authorised_for() {
    let (owner, other) = (Keys::generate(), Keys::generate());
    let mut world = World::new();
    world.announce(&owner, 1, &[&other]);
    let second = world.announce(&other, 1, &[&owner]);
    world.state(&other, 2, &[("refs/heads/main", oid(1))]);
    world.arrive([oid(1)]);
    assert!(world.served().contains(&second));
    assert_eq!(world.refs_of(&owner), world.refs_of(&other));
    assert_eq!(world.refs_of(&owner).len(), 1);
}

#[test]
fn a_newer_state_that_still_waits_does_not_hold_back_an_older_one() {
    let (owner, other) = (Keys::generate(), Keys::generate());
    let mut world = World::new();
    world.announce(&owner, 1, &[&other]);
    world.state(&other, 9, &[("refs/heads/main", oid(9))]);
    let older = world.state(&owner, 2, &[("refs/heads/main", oid(1))]);
    world.arrive([oid(1)]);
    assert!(world.served().contains(&older));
    assert_eq!(world.refs_of(&owner).values().next(), Some(&oid(1)));
}
