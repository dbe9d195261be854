//! Live delivery: to 200 subscribers of one filter beside a bare broadcast of the same bytes, and to 2 of 200 beside
//! those 2 alone. The clients are the same program on both sides.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use futures_util::future::try_join_all;
use nostr::event::Event;

use crate::broadcast::{self, Manner};
use crate::events::{issues, served};
use crate::figure::{Line, Target};
use crate::process::Process;
use crate::server::Server;
use crate::socket::{Socket, event_frame};
use crate::{Bench, Result};

const SUBSCRIBERS: usize = 200;
/// Those of the second measurement whose filter matches.
const FEW: usize = 2;
/// How many events the publisher has unanswered: more than any server takes at once, so that it is the server that
/// says how fast it goes.
const IN_FLIGHT: usize = 1_024;
/// A round must not take longer.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// Publishes the events over one connection, and waits until each subscriber has each of them.
async fn deliver(address: SocketAddr, subscribers: Vec<Socket>, events: &[Event]) -> Result<Duration> {
    let frames = events.iter().map(event_frame).collect::<Result<Vec<_>>>()?;
    let count = frames.len();
    let mut publisher = Socket::open(address).await?;
    let begun = Instant::now();
    let publishing = tokio::spawn(async move { publisher.publish_all(&frames, IN_FLIGHT).await });
    let receiving = subscribers.into_iter().map(|mut subscriber| {
        let received = tokio::spawn(async move { subscriber.events(count).await });
        async { received.await? }
    });
    tokio::time::timeout(TIME_LIMIT, try_join_all(receiving)).await??;
    let elapsed = begun.elapsed();
    publishing.await??;
    Ok(elapsed)
}

async fn subscribe(address: SocketAddr, count: usize, filter: &str) -> Result<Vec<Socket>> {
    let mut sockets = Vec::with_capacity(count);
    for _ in 0..count {
        let mut socket = Socket::open(address).await?;
        socket.subscribe(filter).await?;
        sockets.push(socket);
    }
    Ok(sockets)
}

fn issues_of(coordinate: &str) -> String {
    serde_json::json!({"kinds": [1621], "#a": [coordinate], "limit": 1}).to_string()
}

/// 200 subscribers of one filter.
pub(crate) async fn all(bench: &Bench) -> Result<Vec<Line>> {
    let mut durable = Rounds::default();
    let (mut memory, mut intake) = (Rounds::default(), Rounds::default());
    let (mut each, mut gathered, mut verified) = (Rounds::default(), Rounds::default(), Rounds::default());
    for _ in 0..bench.rounds(5) {
        for (backend, subscribers, rounds) in [
            ("lmdb", SUBSCRIBERS, &mut durable),
            ("memory", SUBSCRIBERS, &mut memory),
            ("memory", 1, &mut intake),
        ] {
            let server = Server::start_with(bench, backend).await?;
            let coordinate = served(bench, &server).await?.coordinate();
            rounds.add(server.process(), server.address, &coordinate, subscribers).await?;
        }
        for (manner, rounds) in
            [(Manner::Gathered, &mut gathered), (Manner::Verified, &mut verified), (Manner::Each, &mut each)]
        {
            let (running, address) = broadcast::start(manner)?;
            rounds.add(running.process(), address, &repository_of_nobody(), SUBSCRIBERS).await?;
        }
    }
    let gathering = "a bare tokio-tungstenite broadcast that gathers its writes";
    let verifying = "the same, and it verifies each event";
    let simple = "a bare broadcast that sends message by message";
    let line = |work: &str, ours: &Rounds, name: &str, beside: &Rounds, target| {
        Line::rounds(work, "deliveries/s", &ours.rates, name, &beside.rates, target)
    };
    let cost = |work: &str, ours: &[f64], name: &str, beside: &Rounds| {
        Line::rounds(work, "µs/delivery", ours, name, &beside.costs, Target::Stated)
    };
    // What one subscriber costs is lost in what it costs to take the events in.
    let delivering: Vec<f64> = memory
        .costs
        .iter()
        .zip(&intake.costs)
        .map(|(all, intake)| all - intake / SUBSCRIBERS as f64)
        .collect();
    let work = "live fan-out to 200 subscribers";
    Ok(vec![
        line(work, &memory, gathering, &gathered, Target::RatioAtLeast(0.6)),
        line(work, &memory, verifying, &verified, Target::Stated),
        line(work, &memory, simple, &each, Target::Stated),
        line("  … durable before it goes out", &durable, gathering, &gathered, Target::Stated),
        line("  … the bound: a broadcast that verifies", &verified, gathering, &gathered, Target::Stated),
        cost("  … the server's processor time", &memory.costs, gathering, &gathered),
        cost("  … the same", &memory.costs, verifying, &verified),
        cost("  … of which not for taking events in", &delivering, gathering, &gathered),
    ])
}

/// The bare broadcast knows no repository; a coordinate as long as a real one makes the same bytes.
fn repository_of_nobody() -> String {
    grasp_fixtures::events::coordinate(&grasp_fixtures::keys::fresh().public_key(), "bench-nobodys-")
}

/// Deliveries per second, and the server's processor time for each in microseconds, round by round.
#[derive(Debug, Default)]
struct Rounds {
    rates: Vec<f64>,
    costs: Vec<f64>,
}

impl Rounds {
    async fn add(
        &mut self,
        process: Process,
        address: SocketAddr,
        coordinate: &str,
        subscribers: usize,
    ) -> Result<()> {
        /// Fewer than wait for a slow reader before the server gives up on it.
        const EVENTS: usize = 5_000;
        let events = issues(coordinate, EVENTS).await?;
        let sockets = subscribe(address, subscribers, &issues_of(coordinate)).await?;
        let (worked, elapsed) = cost(process, address, sockets, &events).await?;
        self.rates.push(subscribers as f64 * 1e6 / elapsed);
        self.costs.push(worked / subscribers as f64);
        Ok(())
    }
}

/// What delivering costs: processor time and time, in microseconds per event.
async fn cost(
    process: Process,
    address: SocketAddr,
    subscribers: Vec<Socket>,
    events: &[Event],
) -> Result<(f64, f64)> {
    let before = process.processor_time()?;
    let elapsed = deliver(address, subscribers, events).await?;
    let worked = process.processor_time()? - before;
    let each = |time: Duration| time.as_secs_f64() * 1e6 / events.len() as f64;
    Ok((each(worked), each(elapsed)))
}

/// 2 of 200 subscribers match, beside those 2 alone.
pub(crate) async fn few(bench: &Bench) -> Result<Vec<Line>> {
    const EVENTS: usize = 8_000;
    let server = Server::start(bench).await?;
    let other = served(bench, &server).await?;
    let (mut of_many, mut alone) = ((Vec::new(), Vec::new()), (Vec::new(), Vec::new()));
    for round in 0..2 * bench.rounds(5) {
        let repository = served(bench, &server).await?;
        let events = issues(&repository.coordinate(), EVENTS).await?;
        let matching = subscribe(server.address, FEW, &issues_of(&repository.coordinate())).await?;
        // Alone and among others by turns, others first in every other pair.
        let crowded = matches!(round % 4, 1 | 2);
        let others = if crowded { SUBSCRIBERS - FEW } else { 0 };
        let others = subscribe(server.address, others, &issues_of(&other.coordinate())).await?;
        let (worked, elapsed) = cost(server.process(), server.address, matching, &events).await?;
        drop(others);
        let into = if crowded { &mut of_many } else { &mut alone };
        into.0.push(worked);
        into.1.push(elapsed);
    }
    let beside = "2 subscribers alone";
    let line = |work: &str, ours: &[f64], theirs: &[f64]| {
        Line::rounds(work, "µs/event", ours, beside, theirs, Target::RatioAtMost(1.2))
    };
    Ok(vec![
        line("the same, 2 of 200 match: the server's processor time", &of_many.0, &alone.0),
        line("the same, 2 of 200 match: time", &of_many.1, &alone.1),
    ])
}
