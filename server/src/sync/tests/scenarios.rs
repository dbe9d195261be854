//! Scenarios, each of which shows one rule.

use std::time::Duration;

use nostr::filter::{Filter, SingleLetterTag};
use rand::SeedableRng as _;
use rand::rngs::StdRng;
use rstest::rstest;

use super::world::{World, coordinate, event, repository, settings, url};
use crate::nip34::{Coordinate, Oid};
use crate::sync::bounds::HEDGE_AFTER;
use crate::sync::hunt::{End, FetchId, Hunt, HuntAction, HuntInput, HuntSettings, Origin, Quarry};
use crate::sync::{Input, Level, Millis, Settings, Unreachable};

/// Attempts at a relay within a day, each of whose connections answers well and ends a minute later.
fn attempts_in_a_day(why: &Unreachable) -> usize {
    let mut world = World::new(settings(), 1);
    world.tell(repository(0, &[0], Level::Full));
    let (until, mut attempts) = (world.now + Duration::from_secs(86_400), 0);
    while world.now < until {
        if world.peers[&url(0)].connecting {
            attempts += 1;
            world.answer_all();
            world.pass(Duration::from_secs(60));
            world.tell(Input::Disconnected { relay: url(0), why: why.clone() });
        }
        world.pass(Duration::from_secs(1));
    }
    attempts
}

#[rstest]
#[case::misbehaved(Unreachable::Misbehaved("it sends forged events".to_owned()), 40)]
#[case::lost(Unreachable::Failed("the connection was reset".to_owned()), 300)]
fn a_relay_that_is_of_use_for_a_moment_only_is_not_connected_every_few_seconds(
    #[case] why: Unreachable,
    #[case] most: usize,
) {
    let attempts = attempts_in_a_day(&why);
    assert!(attempts <= most && attempts >= 20, "{attempts}");
}

#[test]
fn a_connection_that_lasted_makes_up_for_those_that_did_not() {
    let mut world = World::new(settings(), 1);
    world.tell(repository(0, &[0], Level::Full));
    for _ in 0..10 {
        world.answer_all();
        world.tell(Input::Disconnected { relay: url(0), why: Unreachable::Failed("reset".to_owned()) });
        while !world.peers[&url(0)].connecting {
            world.pass(Duration::from_secs(1));
        }
    }
    world.answer_all();
    world.pass(Duration::from_secs(600));
    world.tell(Input::Disconnected { relay: url(0), why: Unreachable::Failed("reset".to_owned()) });
    world.pass(Duration::from_secs(5));
    assert!(world.peers[&url(0)].connecting, "it is tried again as if nothing had happened");
}

#[test]
fn a_hunt_that_is_woken_has_something_to_do() {
    let (mut rng, mut now) = (StdRng::seed_from_u64(1), Millis::from_secs(1_800_000_000));
    let mut hunt = Hunt::new(HuntSettings::new("here.example".parse().unwrap()));
    let quarry = |n| Quarry {
        event: event(1),
        repository: coordinate(n),
        missing: vec![(Oid::from_bytes([1; 20]), "refs/heads/main".parse().unwrap())],
        servers: vec!["https://there.example/a/b.git".to_owned()],
        origin: Origin::Published,
    };
    hunt.handle(HuntInput::Wanted(quarry(0)), now, &mut rng);
    now = hunt.next_wake().unwrap();
    let actions = hunt.handle(HuntInput::Tick, now, &mut rng);
    let [HuntAction::Fetch { fetch, .. }] = actions[..] else { panic!("{actions:?}") };
    // While it is fetched it turns out to be for another repository: it waits for a push to that first.
    hunt.handle(HuntInput::Wanted(quarry(2)), now, &mut rng);
    hunt.handle(HuntInput::Fetched { fetch, here: Vec::new(), end: End::Failed }, now, &mut rng);
    hunt.handle(HuntInput::Wanted(quarry(2)), now, &mut rng);
    for _ in 0..3 {
        let wake = hunt.next_wake().unwrap();
        assert!(wake > now, "it is not woken for nothing");
        now = wake;
        if !hunt.handle(HuntInput::Tick, now, &mut rng).is_empty() {
            return;
        }
    }
    panic!("it is fetched in the end");
}

/// What a hunt fetches now: from whose repository, and which objects.
fn fetched(actions: &[HuntAction]) -> Vec<(FetchId, Coordinate, Vec<u8>)> {
    let fetch = |action: &HuntAction| match action {
        HuntAction::Fetch { fetch, repository, wants, .. } => {
            let wants = wants.iter().map(|(oid, _)| oid.as_bytes()[0]).collect();
            Some((*fetch, repository.clone(), wants))
        }
        HuntAction::Abandon { .. } => None,
    };
    actions.iter().filter_map(fetch).collect()
}

#[rstest]
#[case::ends_in_time(Duration::from_secs(1), vec![2])]
#[case::takes_long(Duration::from_secs(600), vec![1, 2])]
fn co_maintainers_repositories_are_fetched_one_after_the_other(
    #[case] takes: Duration,
    #[case] then: Vec<u8>,
) {
    let (mut rng, mut now) = (StdRng::seed_from_u64(1), Millis::from_secs(1_800_000_000));
    let mut hunt = Hunt::new(HuntSettings::new("here.example".parse().unwrap()));
    let quarry = |n: u8, missing: &[u8]| Quarry {
        event: event(u32::from(n)),
        repository: coordinate(n),
        missing: missing
            .iter()
            .map(|oid| (Oid::from_bytes([*oid; 20]), "refs/heads/main".parse().unwrap()))
            .collect(),
        servers: vec![format!("https://there.example/{n}/b.git")],
        origin: Origin::Synced,
    };
    let mut begun = Vec::new();
    // The first two are of one family, the third is not.
    for (n, missing) in [(0, &[1][..]), (1, &[1, 2]), (2, &[3])] {
        begun.extend(fetched(&hunt.handle(HuntInput::Wanted(quarry(n, missing)), now, &mut rng)));
    }
    while begun.len() < 2 {
        now = hunt.next_wake().unwrap();
        begun.extend(fetched(&hunt.handle(HuntInput::Tick, now, &mut rng)));
    }
    let (first, begins) = (begun[0].0, now);
    assert_eq!([begun[0].1.clone(), begun[1].1.clone()], [coordinate(0), coordinate(2)]);
    let mut later = Vec::new();
    while later.is_empty() {
        let wake = hunt.next_wake().unwrap_or(begins + takes);
        now = wake.min(begins + takes);
        let input = if now == begins + takes {
            HuntInput::Fetched { fetch: first, here: vec![Oid::from_bytes([1; 20])], end: End::Answered }
        } else {
            HuntInput::Tick
        };
        later = fetched(&hunt.handle(input, now, &mut rng));
    }
    assert_eq!((&later[0].1, &later[0].2), (&coordinate(1), &then));
    assert!(now <= begins + takes.min(HEDGE_AFTER), "it waits no longer than for a slow server");
}

/// The histories that were asked for since the last look and within a while, each of which is answered well.
fn asked_within(world: &mut World, minutes: u64) -> Vec<Filter> {
    for _ in 0..minutes {
        world.answer_all();
        world.pass(Duration::from_secs(60));
    }
    world.answer_all();
    std::mem::take(&mut world.asked)
}

/// What waited for its git data at the peer during the break was signed before whatever `since` says.
#[rstest]
#[case::of_a_relay_that_reconciles(true, 40, 25)]
#[case::of_a_relay_that_is_read_page_by_page(false, 290, 80)]
fn after_a_quick_reconnect_everything_is_looked_at_once_more(
    #[case] negentropy: bool,
    #[case] not_before: u64,
    #[case] then_within: u64,
) {
    let mut world = World::new(Settings { negentropy, ..settings() }, 1);
    world.tell(repository(0, &[0], Level::Full));
    asked_within(&mut world, 10);
    world.tell(Input::Disconnected { relay: url(0), why: Unreachable::Failed("reset".to_owned()) });
    world.pass(Duration::from_secs(10));
    let quick = asked_within(&mut world, not_before);
    assert!(!quick.is_empty() && quick.iter().all(|filter| filter.since.is_some()), "{quick:?}");
    let full = asked_within(&mut world, then_within);
    assert!(!full.is_empty() && full.iter().all(|filter| filter.since.is_none()), "{full:?}");
    assert_eq!(asked_within(&mut world, 12 * 60), [], "and then no sooner than a day later");
}

#[test]
fn what_an_older_state_may_be_taken_for_now_is_asked_for_again_and_nothing_else() {
    let mut world = World::new(settings(), 1);
    world.tell(repository(0, &[0], Level::Full));
    world.tell(repository(2, &[1], Level::StatesOnly));
    asked_within(&mut world, 10);
    world.tell(Input::LookAgain(coordinate(0).identifier));
    let asked = asked_within(&mut world, 1);
    let identifiers: Vec<_> = asked.iter().map(|filter| filter.generic_tags.clone()).collect();
    let named = [coordinate(0).identifier.as_str().to_owned()].into();
    assert_eq!(identifiers, [[(SingleLetterTag::LOWERCASE_D, named)].into()]);
}
