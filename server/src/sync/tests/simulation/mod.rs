//! A network of servers in one process, with a clock of its own: random histories with delay, loss, partitions, restarts and
//! peers that lie, after which everybody who is honest has to agree. docs/explanation/sync-simulation.md tells how.
//!
//! `SIM_SEED=<n> cargo test -p grasp-server --lib simulation::one_history -- --nocapture` plays one history and tells it;
//! `SIM_HISTORIES` and `SIM_FIRST_SEED` choose how many are played, and which.

mod author;
mod breakage;
mod cast;
mod client;
mod house;
mod judgement;
mod relay;
mod scenario;
mod server;
mod shrink;
mod watch;
mod wire;
mod world;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::Mutex;
use rstest::rstest;

use breakage::Breakage;
use judgement::{Outcome, play};
use shrink::tell;

/// Histories of a run, unless `SIM_HISTORIES` says otherwise.
const HISTORIES: u64 = 10_000;
/// On so many threads.
const THREADS: usize = 2;
/// Histories in which each breakage is to be found.
const FOUND_WITHIN: u64 = 2_000;

fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name}={text}: not a number")))
}

/// What many histories have shown.
#[derive(Debug, Default)]
struct Sum {
    outcomes: Vec<(u64, Outcome)>,
}

impl Sum {
    fn total(&self, of: impl Fn(&Outcome) -> usize) -> usize {
        self.outcomes.iter().map(|(_, outcome)| of(outcome)).sum()
    }

    fn most(&self, of: impl Fn(&Outcome) -> usize) -> usize {
        self.outcomes.iter().map(|(_, outcome)| of(outcome)).max().unwrap_or(0)
    }

    fn agreed_at(&self) -> Vec<usize> {
        let count = |n| self.outcomes.iter().filter(|(_, outcome)| outcome.agreed == n).count();
        (0..8).map(count).collect()
    }
}

/// Plays histories until one fails.
fn play_all(first: u64, histories: u64, breakage: Option<Breakage>) -> (Sum, Option<u64>) {
    let (next, stop) = (AtomicU64::new(first), AtomicBool::new(false));
    let (sum, failed) = (Mutex::new(Sum::default()), Mutex::new(None::<u64>));
    let work = || {
        while !stop.load(Ordering::Relaxed) {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + histories {
                return;
            }
            let outcome = play(&Arc::new(author::write(seed)), breakage, false);
            if outcome.complaint.is_some() {
                stop.store(true, Ordering::Relaxed);
                let mut failed = failed.lock();
                *failed = Some(failed.map_or(seed, |known| known.min(seed)));
            }
            sum.lock().outcomes.push((seed, outcome));
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..THREADS {
            scope.spawn(work);
        }
    });
    (sum.into_inner(), failed.into_inner())
}

#[test]
fn after_the_storm_everybody_agrees() {
    let (first, histories) =
        (number("SIM_FIRST_SEED").unwrap_or(1), number("SIM_HISTORIES").unwrap_or(HISTORIES));
    let begun = Instant::now();
    let (sum, failed) = play_all(first, histories, None);
    let seconds = begun.elapsed().as_secs_f64();
    let played = sum.outcomes.len();
    println!(
        "simulation: {played} histories in {seconds:.0} s, {:.0} a minute; {} servers, {} shared repositories with {} \
         events and {} refs; {} happenings, {} requests; agreed 2 min, 15 min, 90 min, 8 h, 27 h, 54 h, 80 h after the \
         storm: {:?}; at most {} questions a minute and {} attempts an hour at one relay",
        played as f64 * 60.0 / seconds,
        sum.total(|outcome| outcome.servers),
        sum.total(|outcome| outcome.shared),
        sum.total(|outcome| outcome.events),
        sum.total(|outcome| outcome.refs),
        sum.total(|outcome| outcome.happenings as usize),
        sum.total(|outcome| outcome.requests as usize),
        sum.agreed_at(),
        sum.most(|outcome| outcome.most_questions),
        sum.most(|outcome| outcome.most_attempts),
    );
    if let Some(seed) = failed {
        panic!("{}", tell(seed, None));
    }
    assert_eq!(played, usize::try_from(histories).unwrap());
    assert!(sum.total(|outcome| outcome.shared) >= played / 2, "there is something to agree about");
}

/// A simulation that cannot fail shows nothing: each of these shells is wrong in one point, and is found out.
#[rstest]
#[case::that_loses_the_ends_of_histories_after_reconnects(Breakage::EndsAreLostAfterReconnects)]
#[case::that_takes_for_had_what_was_refused_once(Breakage::RefusedForEver)]
#[case::that_withholds_root_events_from_the_planner(Breakage::RootsAreWithheld)]
#[case::that_looks_at_nothing_again_when_something_arrives(Breakage::ArrivalsAreWithheld)]
#[case::that_closes_nothing(Breakage::NothingIsClosed)]
#[case::that_verifies_nothing(Breakage::NothingIsVerified)]
#[case::that_never_wakes_the_planner(Breakage::NobodyIsWoken)]
#[case::that_withholds_from_the_hunt_what_waits(Breakage::WaitingIsWithheld)]
fn the_simulation_finds_a_shell(#[case] breakage: Breakage) {
    let (sum, failed) = play_all(1, FOUND_WITHIN, Some(breakage));
    let seed = failed.unwrap_or_else(|| panic!("{breakage:?} is not found in {FOUND_WITHIN} histories"));
    let of_seed = sum.outcomes.iter().find(|(played, _)| *played == seed);
    let complaint = of_seed.and_then(|(_, outcome)| outcome.complaint.clone()).unwrap();
    println!("{breakage:?} is found in history {seed}: {}: {}", complaint.rule, complaint.how);
    let honest = play(&Arc::new(author::write(seed)), None, false);
    assert_eq!(honest.complaint, None, "and only that is wrong");
}

#[test]
fn a_history_is_a_matter_of_its_seed() {
    for seed in 1..=20 {
        let scenario = Arc::new(author::write(seed));
        let [one, other] = [(); 2].map(|()| play(&scenario, None, true));
        assert_eq!(one.log, other.log, "seed {seed}");
    }
}

#[test]
fn one_history() {
    let Some(seed) = number("SIM_SEED") else { return };
    let outcome = play(&Arc::new(author::write(seed)), None, true);
    outcome.log.iter().for_each(|line| println!("{line}"));
    println!("{:?}", Outcome { log: Vec::new(), ..outcome.clone() });
    if outcome.complaint.is_some() {
        panic!("{}", tell(seed, None));
    }
}
