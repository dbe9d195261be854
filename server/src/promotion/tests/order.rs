//! Invariant 3 of the architecture: order does not matter.
//!
//! Histories without deletion and expiry, in which authority only grows, every state names something new, and every
//! pack holds what came before it, as histories of one project do (an older state than the served one authorises no
//! push, so data that only such a state names has no way in); and the data of every state is offered to every repository, or a state that waits
//! for ever could replace one that was served in another order.

use std::collections::BTreeMap;

use nostr::key::{Keys, PublicKey};
use proptest::prelude::*;

use super::world::{Item, World, oid};
use crate::nip34::{Coordinate, Identifier, Oid, PullRequest, RefName};

const PEOPLE: usize = 4;

fn people() -> Vec<PublicKey> {
    (1..=PEOPLE as u8)
        .map(|n| Keys::parse(&format!("{:064x}", u64::from(n) + 1000)).unwrap().public_key())
        .collect()
}

#[derive(Debug, Clone)]
enum Step {
    Announce { author: usize, lists: Vec<usize> },
    State { author: usize, refs: Vec<(u8, u8)> },
    Pull { named: Vec<usize>, pushed_to: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let person = 0..PEOPLE;
    prop_oneof![
        2 => (person.clone(), prop::collection::vec(person.clone(), 0..3))
            .prop_map(|(author, lists)| Step::Announce { author, lists }),
        4 => (person.clone(), prop::collection::vec((0u8..3, 1u8..40), 1..4))
            .prop_map(|(author, refs)| Step::State { author, refs }),
        1 => (prop::collection::vec(person.clone(), 1..3), person)
            .prop_map(|(named, pushed_to)| Step::Pull { named, pushed_to }),
    ]
}

/// Turns steps into what a server is offered. Time is the position; a pack holds all objects up to its own.
fn items(steps: &[Step]) -> Vec<Item> {
    let people = people();
    let mut lists: BTreeMap<usize, Vec<PublicKey>> = BTreeMap::new();
    let mut items = Vec::new();
    for (at, step) in steps.iter().enumerate() {
        let time = at as u64 + 1;
        match step {
            Step::Announce { author, lists: new } => {
                let listed = lists.entry(*author).or_insert_with(|| vec![people[*author]]);
                listed.extend(new.iter().map(|n| people[*n]));
                items.push(Item::Announcement(World::announcement(people[*author], time, listed.clone())));
            }
            Step::State { author, refs } => {
                let newest = at as u8 + 1;
                let named = refs.iter().map(|(name, n)| (*name, (*n).min(newest)));
                let refs: BTreeMap<RefName, Oid> = named
                    .chain([(refs[0].0, newest)])
                    .map(|(name, n)| (format!("refs/heads/b{name}").parse().unwrap(), oid(n)))
                    .collect();
                items.push(Item::State(World::state_of(people[*author], time, refs.clone())));
                let pack: Vec<Oid> = (1..=at as u8 + 1).map(oid).collect();
                let to =
                    |owner: &PublicKey| Item::Push { owner: *owner, refs: refs.clone(), pack: pack.clone() };
                items.extend(people.iter().map(to));
            }
            Step::Pull { named, pushed_to } => {
                let identifier = Identifier::new("project").unwrap();
                let tip = oid(200 - at as u8);
                let id = nostr::event::EventId::from_byte_array([at as u8; 32]);
                let repositories =
                    named.iter().map(|n| Coordinate::new(people[*n], identifier.clone())).collect();
                items.push(Item::Pull(PullRequest {
                    id,
                    author: people[0],
                    repositories,
                    tip: Some(tip),
                    clone_urls: Vec::new(),
                }));
                items.push(Item::PullPush { owner: people[*pushed_to], id, tip });
            }
        }
    }
    items
}

/// Offers everything again and again until nothing changes any more.
fn offer_all(items: &[Item]) -> World {
    let mut world = World::new();
    for _round in 0..=items.len() + 2 {
        let before = world.clone();
        for item in items {
            world.offer(item);
        }
        if world == before {
            return world;
        }
    }
    panic!("the world does not come to rest");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn every_order_of_a_history_ends_the_same(
        (steps, shuffled) in prop::collection::vec(step(), 1..14).prop_flat_map(|steps| {
            let items = items(&steps);
            (Just(steps), Just(items).prop_shuffle())
        })
    ) {
        let in_order = offer_all(&items(&steps));
        let otherwise = offer_all(&shuffled);
        prop_assert_eq!(in_order.visible(), otherwise.visible());
    }

    #[test]
    fn what_is_served_is_here_and_refs_are_the_authorised_state(
        shuffled in prop::collection::vec(step(), 1..14).prop_flat_map(|steps| Just(items(&steps)).prop_shuffle())
    ) {
        let mut world = World::new();
        for item in &shuffled {
            world.offer(item);
            for slot in world.family.states.values() {
                for oid in slot.served.iter().flat_map(|state| state.refs.values()) {
                    prop_assert!(world.here.contains(oid), "a promise is served");
                }
            }
            for (owner, maintainers) in world.family.hosted() {
                let refs = world.refs.get(&owner).cloned().unwrap_or_default();
                let refs: BTreeMap<_, _> = refs.into_iter().filter(|(name, _)| name.is_in_state()).collect();
                match world.family.authorised(&maintainers) {
                    Some(state) if world.family.is_served(&owner) => prop_assert_eq!(&refs, &state.refs),
                    _ => prop_assert!(refs.is_empty()),
                }
            }
        }
    }
}
