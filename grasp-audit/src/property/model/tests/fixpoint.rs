//! What two servers had together, and what follows from it.

use super::*;

impl Tale {
    fn at_peer(&self, repo: Repo, tips: &[Object]) -> Had {
        Had { hosted: BTreeMap::from([(repo, reached(tips))]), ..Had::default() }
    }
}

fn ends_as(had: &Had, events: &[&Event]) -> World {
    let events = events.iter().map(|event| (*event).clone()).collect();
    let worlds = Had { events, ..had.clone() }.settled().unwrap();
    assert_eq!(worlds.len(), 1);
    worlds[0].clone()
}

#[test]
fn data_comes_for_what_waits_whoever_is_heard_first() {
    let mut tale = Tale::default();
    let announcement = tale.announcement(Alice, true, &[Bob]);
    let (first, second) = (tale.state(Alice, main_at(C1)), tale.state(Bob, main_at(C3)));
    let had = tale.at_peer(at(Alice), &[C3]);
    for order in [[&announcement, &first, &second], [&second, &first, &announcement]] {
        let world = ends_as(&had, &order);
        assert_eq!(world.refs(at(Alice)), Some(&main_at(C3)));
        assert!(order.iter().all(|event| world.is_served(event.id)));
    }
}

#[test]
fn data_that_nobody_has_or_that_another_path_has_does_not_come() {
    let mut tale = Tale::default();
    let (announcement, state) = (tale.announcement(Alice, true, &[]), tale.state(Alice, main_at(C2)));
    for had in [tale.at_peer(at(Alice), &[C1]), tale.at_peer(at(Bob), &[C2])] {
        let world = ends_as(&had, &[&state, &announcement]);
        assert!(world.is_waiting(state.id) && world.is_waiting(announcement.id));
        assert_eq!(world.refs(at(Alice)), Some(&Refs::new()));
    }
}

#[test]
fn parts_at_both_servers_complete_a_state() {
    let mut tale = Tale::default();
    let (announcement, first) = (tale.announcement(Alice, true, &[]), tale.state(Alice, main_at(D2)));
    let both = refs(&[(Name::Main, C3), (Name::Dev, R1)]);
    let second = tale.state(Alice, both.clone());
    let mut had = tale.at_peer(at(Alice), &[R1]);
    had.pushed.insert(X, reached(&[D2, C3]));
    let world = ends_as(&had, &[&announcement, &first, &second]);
    assert_eq!(world.refs(at(Alice)), Some(&both));
}

#[test]
fn a_pull_request_gets_its_data_from_the_repository_it_names_or_from_what_was_pushed_for_it() {
    let mut tale = Tale::default();
    let (announcement, state) = (tale.announcement(Alice, true, &[]), tale.state(Alice, main_at(C1)));
    let (fetched, pushed) = (tale.pull(&[at(Alice)], C3), tale.pull(&[at(Alice)], R1));
    let (unknown, waits) = (tale.pull(&[at(Alice)], C2), tale.pull(&[at(Alice)], D2));
    let mut had = tale.at_peer(at(Alice), &[C3]);
    had.uploads = BTreeMap::from([((at(Alice), pushed.id), R1), ((at(Alice), unknown.id), C2)]);
    let world = ends_as(&had, &[&waits, &fetched, &pushed, &announcement, &state]);
    let shown = |event: &Event| world.shown_at(at(Alice), event.id);
    assert_eq!((shown(&fetched), shown(&pushed)), (Some(C3), Some(R1)));
    assert!(world.is_waiting(waits.id) && shown(&waits).is_none());
    assert_eq!(shown(&unknown), Some(C2), "nobody has signed for it");
}

#[test]
fn when_data_is_looked_for_elsewhere_for_what_was_published_here_is_open() {
    let mut tale = Tale::default();
    let (announcement, state) = (tale.announcement(Alice, true, &[]), tale.state(Alice, main_at(C1)));
    let direct = BTreeSet::from([state.id]);
    let had = Had { events: vec![announcement, state.clone()], direct, ..tale.at_peer(at(Alice), &[C1]) };
    let served: Vec<bool> = had.settled().unwrap().iter().map(|world| world.is_served(state.id)).collect();
    assert_eq!(served, [false, true]);
}

#[test]
fn whether_data_is_looked_for_where_others_announce_the_identifier_is_open() {
    let mut tale = Tale::default();
    let (alices, bobs) = (tale.announcement(Alice, true, &[]), tale.announcement(Bob, true, &[Alice]));
    let state = tale.state(Bob, main_at(C1));
    let had = Had { events: vec![alices, bobs, state.clone()], ..tale.at_peer(at(Alice), &[C1]) };
    let served: Vec<bool> = had.settled().unwrap().iter().map(|world| world.is_served(state.id)).collect();
    assert_eq!(served, [false, true]);
}

#[test]
fn where_the_order_decides_nothing_is_said() {
    let mut tale = Tale::default();
    let (announcement, complete) = (tale.announcement(Alice, true, &[]), tale.state(Alice, main_at(C1)));
    let incomplete = tale.state(Alice, main_at(R1));
    let had = Had { events: vec![announcement, complete, incomplete], ..tale.at_peer(at(Alice), &[C1]) };
    assert_eq!(had.settled(), None, "the older one is served, or was replaced before it could be");
}
