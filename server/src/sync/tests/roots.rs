//! Root events whose repository is not here: a pull request that waits in a contributor's own repository (GRASP-06) is
//! served, and nothing of it is sync's business.

use super::world::{World, coordinate, event, repository, settings, url};
use crate::sync::{Action, Input, Item, Level};

/// A world with one connected relay, which one repository names.
fn connected() -> World {
    let mut world = World::new(settings(), 1);
    world.tell(repository(1, &[1], Level::Full));
    world.tell(Input::Tick);
    world.tell(Input::Connected { relay: url(1) });
    world
}

fn asks(actions: &[Action]) -> bool {
    actions.iter().any(|action| matches!(action, Action::Subscribe { .. } | Action::Negotiate { .. }))
}

#[test]
fn a_root_of_a_repository_that_is_not_here_is_asked_for_nowhere() {
    let mut world = connected();
    let elsewhere = Input::RootSeen { id: event(7), coordinates: vec![coordinate(5)] };
    assert_eq!(world.tell(elsewhere), []);
    assert!(!world.planner.wants().target(&url(1)).any(|item| *item == Item::Root(event(7))));
    assert!(asks(&world.tell(Input::RootSeen { id: event(8), coordinates: vec![coordinate(1)] })));
}

#[test]
fn a_root_of_a_repository_that_waits_is_asked_for_when_that_is_served() {
    let mut world = connected();
    world.tell(repository(5, &[1], Level::StatesOnly));
    world.tell(Input::RootSeen { id: event(7), coordinates: vec![coordinate(5)] });
    let wants =
        |world: &World| world.planner.wants().target(&url(1)).any(|item| *item == Item::Root(event(7)));
    assert!(!wants(&world));
    world.tell(repository(5, &[1], Level::Full));
    assert!(wants(&world));
}

#[test]
fn a_relay_is_announced_when_a_served_announcement_names_it() {
    let mut world = World::new(settings(), 1);
    world.tell(repository(1, &[1, 2], Level::Full));
    world.tell(repository(5, &[2, 3], Level::StatesOnly));
    let told = |world: &World| world.planner.relays().map(|relay| relay.announced).collect::<Vec<_>>();
    assert_eq!(told(&world), [true, true, false]);
    world.tell(repository(1, &[1, 2], Level::StatesOnly));
    assert_eq!(told(&world), [false, false, false]);
}
