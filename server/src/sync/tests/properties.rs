//! Properties of the planner over random histories: relays that come and go, refuse, stall, forget to answer, while
//! repositories and root events come, change and go.

use std::time::Duration;

use proptest::prelude::*;

use super::world::{World, coordinate, event, repository, settings, url};
use crate::sync::bounds::Bounds;
use crate::sync::status::{Health, Link};
use crate::sync::{Input, Item, Level, Page, RelayLimits, RelayUrl, Settings, SubscriptionId, Unreachable};

const REPOSITORIES: u8 = 8;
const RELAYS: u8 = 6;
const ROOTS: u32 = 24;

/// What relays say when they refuse.
const REASONS: &[&str] = &[
    "rate-limited: slow down",
    "error: too many subscriptions",
    "invalid: too many filters",
    "invalid: filter has too many elements",
    "auth-required: who are you?",
    "error: database is busy",
    "error: slow reader",
];

#[derive(Debug, Clone)]
enum Step {
    Know {
        repository: u8,
        relays: Vec<u8>,
        full: bool,
        version: u8,
    },
    Gone(u8),
    LookAgain(u8),
    Root {
        id: u32,
        repositories: Vec<u8>,
    },
    RootGone(u32),
    /// The n-th of those who wait for an answer gets one.
    Answer {
        which: usize,
        how: Answer,
    },
    Drop {
        relay: u8,
        busy: bool,
    },
    Notice {
        relay: u8,
        reason: usize,
    },
    Limits {
        relay: u8,
        subscriptions: usize,
        filters: usize,
    },
    Pass(u64),
}

#[derive(Debug, Clone, Copy)]
enum Answer {
    Well,
    Refused(usize),
    Failed,
    Unsupported,
    More(u8),
    Forbidden,
}

fn step() -> impl Strategy<Value = Step> {
    let relay = || 0..RELAYS;
    let some = |of: u8| prop::collection::vec(0..of, 0..4);
    prop_oneof![
        4 => (0..REPOSITORIES, some(RELAYS), any::<bool>(), 0..3u8).prop_map(|(repository, relays, full, version)| {
            Step::Know { repository, relays, full, version }
        }),
        1 => (0..REPOSITORIES).prop_map(Step::Gone),
        1 => (0..REPOSITORIES).prop_map(Step::LookAgain),
        4 => (0..ROOTS, some(REPOSITORIES)).prop_map(|(id, repositories)| Step::Root { id, repositories }),
        1 => (0..ROOTS).prop_map(Step::RootGone),
        16 => (any::<usize>(), answer()).prop_map(|(which, how)| Step::Answer { which, how }),
        1 => (relay(), any::<bool>()).prop_map(|(relay, busy)| Step::Drop { relay, busy }),
        1 => (relay(), 0..REASONS.len()).prop_map(|(relay, reason)| Step::Notice { relay, reason }),
        1 => (relay(), 0..30usize, 0..20usize).prop_map(|(relay, subscriptions, filters)| {
            Step::Limits { relay, subscriptions, filters }
        }),
        4 => prop_oneof![3 => 0..90_000u64, 1 => 0..8_000_000u64].prop_map(Step::Pass),
    ]
}

fn answer() -> impl Strategy<Value = Answer> {
    prop_oneof![
        12 => Just(Answer::Well),
        3 => (0..REASONS.len()).prop_map(Answer::Refused),
        1 => Just(Answer::Failed),
        1 => Just(Answer::Unsupported),
        2 => any::<u8>().prop_map(Answer::More),
        1 => Just(Answer::Forbidden),
    ]
}

fn take(world: &mut World, step: &Step) {
    match step {
        Step::Know { repository: n, relays, full, version } => {
            let level = if *full { Level::Full } else { Level::StatesOnly };
            let mut input = repository(*n, relays, level);
            if let Input::RepositoryKnown(known) = &mut input {
                known.announcement = event(u32::from(*version));
                known
                    .relays
                    .extend(["wss://here.example/", "https://no.relay", "nonsense"].map(str::to_owned));
            }
            world.tell(input);
        }
        Step::Gone(n) => drop(world.tell(Input::RepositoryGone(coordinate(*n)))),
        Step::LookAgain(n) => drop(world.tell(Input::LookAgain(coordinate(*n).identifier))),
        Step::Root { id, repositories } => {
            let coordinates = repositories.iter().map(|n| coordinate(*n)).collect();
            world.tell(Input::RootSeen { id: event(*id), coordinates });
        }
        Step::RootGone(id) => drop(world.tell(Input::RootGone(event(*id)))),
        Step::Answer { which, how } => {
            let waiting = world.unanswered();
            if !waiting.is_empty() {
                let (relay, id) = waiting[which % waiting.len()].clone();
                reply(world, &relay, id, *how);
            }
        }
        Step::Drop { relay, busy } => {
            if world.peers.get(&url(*relay)).is_some_and(|peer| peer.connected) {
                let why =
                    if *busy { Unreachable::RateLimited } else { Unreachable::Failed("gone".to_owned()) };
                world.tell(Input::Disconnected { relay: url(*relay), why });
            }
        }
        Step::Notice { relay, reason } => {
            world.tell(Input::Notice { relay: url(*relay), message: REASONS[*reason].to_owned() });
        }
        Step::Limits { relay, subscriptions, filters } => {
            let limits = RelayLimits {
                subscriptions: Some(*subscriptions),
                filters: Some(*filters),
                ..RelayLimits::default()
            };
            world.tell(Input::Limits { relay: url(*relay), limits });
        }
        Step::Pass(millis) => world.pass(Duration::from_millis(*millis)),
    }
}

fn reply(world: &mut World, relay: &RelayUrl, id: Option<SubscriptionId>, how: Answer) {
    let relay = relay.clone();
    let connecting = world.peers.get(&relay).is_some_and(|peer| peer.connecting);
    let input = match (id, how) {
        (Some(subscription), Answer::Refused(reason)) => {
            Input::Closed { relay, subscription, reason: REASONS[reason].to_owned() }
        }
        (Some(subscription), Answer::Failed) => {
            Input::Failed { relay, subscription, why: "silence".to_owned() }
        }
        (Some(subscription), Answer::Unsupported) if world.negotiates(&relay, subscription) => {
            Input::NegentropyUnsupported { relay, subscription }
        }
        (Some(subscription), Answer::More(n)) if !world.negotiates(&relay, subscription) => {
            let mut page = Page::default();
            let time = world.until(&relay, subscription).unwrap_or(1_000) - u64::from(n % 3);
            (0..25).for_each(|n| page.count(event(n), nostr::types::Timestamp::from(time)));
            Input::Eose { relay, subscription, page }
        }
        (None, Answer::Refused(_)) if connecting => {
            Input::Disconnected { relay, why: Unreachable::RateLimited }
        }
        (None, Answer::Failed) if connecting => {
            Input::Disconnected { relay, why: Unreachable::Failed("no route".to_owned()) }
        }
        (None, Answer::Forbidden) if connecting => {
            Input::Disconnected { relay, why: Unreachable::Forbidden("loopback".to_owned()) }
        }
        _ => return world.answer_well(&relay, id),
    };
    world.tell(input);
}

/// After the last fault: everything is answered well, until there is nothing left to do or two days have passed.
fn calm_down(world: &mut World) {
    let until = world.now + Duration::from_secs(2 * 24 * 3_600);
    world.answer_all();
    while world.now < until && !is_level(world) {
        let Some(wake) = world.planner.next_wake() else { break };
        world.now = world.now.max(wake);
        world.tell(Input::Tick);
        world.answer_all();
    }
}

fn is_level(world: &World) -> bool {
    let relays = world.planner.relays().count();
    world
        .planner
        .lanes()
        .all(|(_, _, history, link)| matches!(link, Link::Connected { .. }) && history.is_done())
        && world.forgotten().is_empty()
        && uncovered(world).is_empty()
        && relays <= world.wanted().len()
}

/// What is wanted and not subscribed for, although the relay would take another subscription.
fn uncovered(world: &World) -> Vec<(RelayUrl, Item)> {
    let full = |relay: &RelayUrl| {
        let status = world.planner.relays().find(|status| status.relay == *relay).unwrap();
        status.subscriptions >= world.planner.ceilings(relay).unwrap().live()
    };
    world.not_live().into_iter().filter(|(relay, _)| !full(relay)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 500, max_shrink_iters: 2_000, ..ProptestConfig::default() })]

    #[test]
    fn nothing_wanted_is_forgotten_and_nothing_is_asked_twice(
        steps in prop::collection::vec(step(), 1..120), seed: u64, bootstrap: bool, negentropy: bool,
    ) {
        let bootstrap = if bootstrap { vec![url(0)] } else { Vec::new() };
        let mut world = World::new(Settings { bootstrap, negentropy, ..settings() }, seed);
        for step in &steps {
            take(&mut world, step);
        }
        calm_down(&mut world);
        prop_assert!(world.forgotten().is_empty(), "{:?}", world.forgotten());
        prop_assert!(uncovered(&world).is_empty(), "{:?}", uncovered(&world));
        for relay in world.wanted() {
            let status = world.planner.relays().find(|status| status.relay == relay).unwrap();
            prop_assert_eq!(status.health, Health::Healthy, "{}", relay);
        }
    }

    #[test]
    fn what_is_kept_stays_within_its_bounds(
        steps in prop::collection::vec(step(), 1..120), seed: u64,
    ) {
        let bounds = Bounds { repositories: 4, roots_per_repository: 3, roots: 6, relays: 3 };
        let mut world = World::new(Settings { bounds, bootstrap: vec![url(5)], ..settings() }, seed);
        for step in &steps {
            take(&mut world, step);
            let totals = world.planner.totals();
            prop_assert!(totals.repositories <= 4 && totals.roots <= 6 && totals.relays <= 3, "{totals:?}");
        }
        calm_down(&mut world);
        // Whoever has to wait does so only as long as others are in the way.
        let totals = world.planner.totals();
        prop_assert!(totals.relays_waiting == 0 || totals.relays == 3, "{totals:?}");
        prop_assert_eq!(totals.relays + totals.relays_waiting, world.wanted().len());
    }
}
