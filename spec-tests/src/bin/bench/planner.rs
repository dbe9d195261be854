//! What a changed repository costs the planner of sync, with few and with many repositories known. In this process,
//! against relays that answer everything at once: only the planner's own time counts.

use std::time::{Duration, Instant};

use grasp_fixtures::keys;
use grasp_server::nip34::{Coordinate, Identifier};
use grasp_server::sync::{Action, Input, Level, Millis, Page, Planner, RelayLimits, Settings};
use grasp_server::sync::{Repository, Unreachable};
use nostr::event::EventId;
use nostr::key::PublicKey;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};

use crate::figure::{Line, Target};
use crate::{Bench, Result};

/// Repositories that are known.
const KNOWN: [usize; 3] = [1_000, 10_000, 100_000];
/// Relays that they name, two each.
const RELAYS: usize = 20;
/// Root events of each.
const ROOTS: usize = 2;
/// Changes that are measured.
const CHANGES: usize = 2_000;
/// With more repositories known, a change costs so many times as much at most: flat, but for caches and the depth of
/// search trees.
const FLAT: f64 = 3.0;

pub(crate) fn measure(bench: &Bench) -> Result<Vec<Line>> {
    let owner = keys::fresh().public_key();
    let mut costs: [Vec<f64>; KNOWN.len()] = Default::default();
    for round in 0..bench.rounds(3) {
        for (known, costs) in KNOWN.into_iter().zip(&mut costs) {
            costs.push(World::new(owner, round as u64).cost(known)?);
        }
    }
    let [few, more, many] = &costs;
    let line = |known: usize, of: &[f64]| {
        let what = format!("planner: a changed repository, {known} known");
        Line::rounds(what, "µs", of, "1,000 known", few, Target::RatioAtMost(FLAT))
    };
    Ok(vec![line(KNOWN[1], more), line(KNOWN[2], many)])
}

/// A planner and its relays.
struct World {
    owner: PublicKey,
    planner: Planner,
    now: Millis,
    rng: StdRng,
    versions: u64,
    spent: Duration,
    /// What relays would answer, as long as they do not: at a start, everything is known before they do.
    held: Option<Vec<Input>>,
}

impl World {
    fn new(owner: PublicKey, seed: u64) -> Self {
        let now = Millis::from_secs(1_800_000_000);
        // The service's own name is a constant that is well-formed.
        #[allow(clippy::expect_used)]
        let service = "here.example".parse().expect("a domain");
        let settings = Settings { startup_jitter: Duration::ZERO, ..Settings::new(service) };
        let (planner, rng) = (Planner::new(settings, now), StdRng::seed_from_u64(seed));
        Self { owner, planner, now, rng, versions: 0, spent: Duration::ZERO, held: Some(Vec::new()) }
    }

    /// Microseconds that a change costs, everything that follows included.
    fn cost(&mut self, known: usize) -> Result<f64> {
        for repository in 0..known {
            self.know(repository)?;
            for root in 0..ROOTS {
                let id = id(1, (repository * ROOTS + root) as u64);
                let coordinates = vec![self.coordinate(repository)?];
                self.tell(Input::RootSeen { id, coordinates });
            }
        }
        for answer in self.held.take().unwrap_or_default() {
            self.tell(answer);
        }
        self.come_to_rest();
        self.spent = Duration::ZERO;
        for _ in 0..CHANGES {
            let repository = self.rng.random_range(0..known);
            self.know(repository)?;
            self.now = self.now + Duration::from_millis(100);
        }
        self.come_to_rest();
        Ok(self.spent.as_secs_f64() * 1e6 / CHANGES as f64)
    }

    fn coordinate(&self, repository: usize) -> Result<Coordinate> {
        Ok(Coordinate::new(self.owner, Identifier::new(&format!("project-{repository}"))?))
    }

    /// A repository is announced, or announced anew with other relays.
    fn know(&mut self, repository: usize) -> Result<()> {
        self.versions += 1;
        let relay = |number: usize| format!("wss://relay-{}.example", number % RELAYS);
        let other = self.rng.random_range(1..RELAYS);
        self.tell(Input::RepositoryKnown(Repository {
            coordinate: self.coordinate(repository)?,
            announcement: id(0, self.versions),
            relays: vec![relay(repository), relay(repository + other)],
            level: Level::Full,
        }));
        Ok(())
    }

    /// Tells the planner, and lets the relays answer what it says.
    fn tell(&mut self, input: Input) {
        let mut inputs = vec![input];
        while let Some(input) = inputs.pop() {
            let begun = Instant::now();
            let actions = self.planner.handle(input, self.now, &mut self.rng);
            self.spent += begun.elapsed();
            let answers = actions.into_iter().flat_map(answers);
            self.held.as_mut().unwrap_or(&mut inputs).extend(answers);
        }
    }

    /// Until nothing is in flight at any relay.
    fn come_to_rest(&mut self) {
        let busy = |planner: &Planner| {
            planner.relays().any(|relay| relay.in_flight > 0 || relay.confirmed < relay.wanted)
        };
        while busy(&self.planner) {
            self.now = self.now + Duration::from_secs(1);
            self.tell(Input::Tick);
        }
    }
}

/// What a relay answers that takes everything and has nothing.
fn answers(action: Action) -> Vec<Input> {
    match action {
        Action::Connect { relay } => {
            let limits =
                RelayLimits { subscriptions: Some(200), filters: Some(100), ..RelayLimits::default() };
            vec![Input::Connected { relay: relay.clone() }, Input::Limits { relay, limits }]
        }
        Action::Subscribe { relay, subscription, .. } => {
            vec![Input::Eose { relay, subscription, page: Page::default() }]
        }
        Action::Negotiate { relay, subscription, .. } => vec![Input::BatchDone { relay, subscription }],
        Action::Disconnect { relay, .. } => vec![Input::Disconnected { relay, why: Unreachable::Asked }],
        Action::Unsubscribe { .. } => Vec::new(),
    }
}

/// An id of one of two sorts.
fn id(sort: u8, number: u64) -> EventId {
    let mut bytes = [sort; 32];
    bytes[..8].copy_from_slice(&number.to_be_bytes());
    EventId::from_byte_array(bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_change_is_carried_to_its_relays_and_comes_to_rest() {
        let mut world = World::new(keys::fresh().public_key(), 1);
        assert!(world.cost(50).unwrap() > 0.0);
        let relays: Vec<_> = world.planner.relays().collect();
        assert_eq!(relays.len(), RELAYS);
        assert!(relays.iter().all(|relay| relay.wanted == relay.confirmed && relay.live > 0));
    }
}
