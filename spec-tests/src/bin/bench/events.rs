//! Accepted issue events per second, durable, beside the two things that must be done for each: its signature verified,
//! and it committed to the database.

use std::sync::Arc;
use std::time::Instant;

use futures_util::future::try_join_all;
use futures_util::{StreamExt as _, TryStreamExt as _};
use grasp_fixtures::{events, keys};
use nostr::event::Event;
use nostr_database::NostrDatabase as _;
use nostr_lmdb::NostrLmdb;

use crate::figure::{Line, Target, median};
use crate::history::Local;
use crate::server::{Repository, Server};
use crate::socket::{Socket, event_frame};
use crate::{Bench, Result};

const CONNECTIONS: usize = 4;
const IN_FLIGHT: usize = 16;
/// Events of one round.
const EVENTS: usize = 12_000;

/// A repository that is served: related events are taken.
pub(crate) async fn served(bench: &Bench, server: &Server) -> Result<Repository> {
    let local = Local::init(bench).await?;
    local.branches(1).await?;
    let repository = server.announce(&local.refs().await?, "branch-0000").await?;
    local.push(&repository.url()).await?;
    Ok(repository)
}

/// So many issues of as many words as people write, signed by a few.
pub(crate) async fn issues(coordinate: &str, count: usize) -> Result<Vec<Event>> {
    let signers: Vec<_> = (0..8).map(|_| keys::fresh()).collect();
    let signed = signers.into_iter().enumerate().map(|(signer, keys)| {
        let coordinate = coordinate.to_owned();
        tokio::task::spawn_blocking(move || {
            let numbers = (0..count).filter(|number| number % 8 == signer);
            let content = "It says so in the manual, and yet it does not happen here. ".repeat(4);
            let issue = |number| events::issue(&coordinate, &format!("Issue {number}"), &content).sign(&keys);
            numbers.map(issue).collect::<Vec<_>>()
        })
    });
    Ok(try_join_all(signed).await?.concat())
}

/// The seconds it takes to publish these, dealt out to so many connections.
pub(crate) async fn publish(
    server: &Server,
    events: &[Event],
    connections: usize,
    in_flight: usize,
) -> Result<f64> {
    let frames = events.iter().map(event_frame).collect::<Result<Vec<_>>>()?;
    let mut publishing = Vec::new();
    for part in frames.chunks(frames.len().div_ceil(connections).max(1)) {
        publishing.push((Socket::open(server.address).await?, part.to_vec()));
    }
    let begun = Instant::now();
    let publishing = publishing.into_iter().map(|(mut socket, frames)| {
        let published = tokio::spawn(async move { socket.publish_all(&frames, in_flight).await });
        async { published.await? }
    });
    try_join_all(publishing).await?;
    Ok(begun.elapsed().as_secs_f64())
}

/// The seconds that so many threads take to verify these signatures.
async fn verify(events: Arc<[Event]>, threads: usize) -> Result<f64> {
    let begun = Instant::now();
    let verifying = (0..threads).map(|thread| {
        let events = events.clone();
        tokio::task::spawn_blocking(move || {
            events.iter().skip(thread).step_by(threads).all(Event::verify_signature)
        })
    });
    if try_join_all(verifying).await?.contains(&false) {
        return Err("a signature of ours is wrong".into());
    }
    Ok(begun.elapsed().as_secs_f64())
}

/// The seconds it takes to save these in a fresh database.
async fn commit(bench: &Bench, events: &[Event]) -> Result<f64> {
    let folder = bench.subfolder()?;
    let database =
        NostrLmdb::builder(folder.path()).process_nip09(false).process_nip62(false).build().await?;
    let begun = Instant::now();
    let saving = futures_util::stream::iter(events).map(|event| database.save_event(event));
    let saved: Vec<_> = saving.buffer_unordered(CONNECTIONS * IN_FLIGHT).try_collect().await?;
    let elapsed = begun.elapsed().as_secs_f64();
    if saved.iter().any(|status| !status.is_success()) {
        return Err("an event of ours was not stored".into());
    }
    Ok(elapsed)
}

pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Line>> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let (mut ours, mut verified, mut committed) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..bench.rounds(5) {
        let server = Server::start(bench).await?;
        let repository = served(bench, &server).await?;
        let events: Arc<[Event]> = issues(&repository.coordinate(), EVENTS).await?.into();
        let rate = |seconds: f64| EVENTS as f64 / seconds;
        ours.push(rate(publish(&server, &events, CONNECTIONS, IN_FLIGHT).await?));
        drop(server);
        verified.push(rate(verify(events.clone(), threads).await?));
        committed.push(rate(commit(bench, &events).await?));
    }
    let work = "accepted issue events, 4 connections, 16 in flight, LMDB";
    let line = |name: String, beside: &[f64]| {
        let slower = median(beside) <= median(&verified).min(median(&committed));
        let target = if slower { Target::RatioAtLeast(0.5) } else { Target::Stated };
        Line::rounds(work, "events/s", &ours, name, beside, target)
    };
    Ok(vec![
        line(format!("only verifying signatures, {threads} threads"), &verified),
        line("only group commits to nostr-lmdb, 64 in flight".to_owned(), &committed),
    ])
}
