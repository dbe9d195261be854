//! A fresh server brought level with a full one by proactive sync, beside the same events published to the full one by
//! a client; and a second reconciliation that finds nothing new.
//!
//! Git data is shared: a host is asked for it no more than 30 times a minute, so a thousand histories would measure that
//! rule. A hundred owners have the same repository, ten times.

use std::time::{Duration, Instant};

use grasp_fixtures::{State, events, keys};
use nostr::event::Event;
use nostr::key::Keys;

use crate::events::publish;
use crate::figure::{Figure, Line, Target};
use crate::history::Local;
use crate::server::{Repository, Server, announcement};
use crate::socket::{Socket, frame};
use crate::{Bench, Result};

const FAMILIES: usize = 10;
const OWNERS: usize = 100;
const ROOTS_EACH: usize = 5;
/// Comments so that it is 20,000 events together.
const COMMENTS_EACH: usize = 13;
const REPOSITORIES: usize = FAMILIES * OWNERS;
const EVENTS: usize = REPOSITORIES * (2 + ROOTS_EACH + COMMENTS_EACH);
/// How long a server may take to become level.
const PATIENCE: Duration = Duration::from_secs(600);

/// What the full server holds: announcements, states, and what is said about the repositories.
struct World {
    repositories: Vec<Repository>,
    signed: Vec<Event>,
    talk: Vec<Event>,
}

fn world(full: &Server, fresh: &Server, tip: &str) -> World {
    let mut world = World { repositories: Vec::new(), signed: Vec::new(), talk: Vec::new() };
    let somebody = keys::fresh();
    for family in 0..FAMILIES {
        for _ in 0..OWNERS {
            let repository = full.repository(keys::fresh(), format!("bench-{family}"));
            world.signed.extend(signed(&repository, full, fresh, tip));
            talk(&repository.coordinate(), &somebody, &mut world.talk);
            world.repositories.push(repository);
        }
    }
    world
}

fn signed(repository: &Repository, full: &Server, fresh: &Server, tip: &str) -> [Event; 2] {
    let state = State::new(&repository.identifier).branch("branch-0000", tip).head("branch-0000");
    [announcement(repository, &[full, fresh]), state.draft().sign(&repository.keys)]
}

fn talk(coordinate: &str, somebody: &Keys, into: &mut Vec<Event>) {
    let issues: Vec<Event> = (0..ROOTS_EACH)
        .map(|number| {
            events::issue(coordinate, &format!("Issue {number}"), "It does not work.").sign(somebody)
        })
        .collect();
    let comments = (0..COMMENTS_EACH).map(|number| {
        events::comment(&issues[number % ROOTS_EACH], &format!("Comment {number}")).sign(somebody)
    });
    let comments: Vec<Event> = comments.collect();
    into.extend(issues);
    into.extend(comments);
}

/// How many of our events a server serves.
async fn count(socket: &mut Socket) -> Result<usize> {
    socket.send(&frame(r#"["COUNT","c",{"kinds":[30617,30618,1621,1111]}]"#)).await?;
    let mut counted = None;
    while counted.is_none() {
        socket
            .receive(|text| {
                let text = String::from_utf8_lossy(text);
                let digits = text.split_once("\"count\":").map(|(_, rest)| rest);
                counted =
                    digits.and_then(|rest| rest.split(|c: char| !c.is_ascii_digit()).next()?.parse().ok());
            })
            .await?;
    }
    Ok(counted.unwrap_or_default())
}

/// Waits until a server serves everything; the seconds since `begun`.
async fn level(server: &Server, begun: Instant) -> Result<f64> {
    let mut socket = Socket::open(server.address).await?;
    let mut served = 0;
    while served < EVENTS {
        if begun.elapsed() > PATIENCE {
            return Err(format!("{served} of {EVENTS} events after {PATIENCE:?}: {}", server.log()?).into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
        served = count(&mut socket).await?;
    }
    Ok(begun.elapsed().as_secs_f64())
}

/// Waits until a server's log says that nothing is wanted of its peer any more; how many requests that took.
async fn requests(server: &Server, begun: Instant) -> Result<f64> {
    let field = |line: &str, name: &str| {
        let value = line.split_once(&format!(" {name}="))?.1;
        value.split_whitespace().next()?.parse::<usize>().ok()
    };
    loop {
        let log = server.log()?;
        let mut levels = log.lines().filter(|line| line.contains("level with a relay"));
        let all = |line: &&str| field(line, "wanted") >= Some(REPOSITORIES * (1 + ROOTS_EACH));
        if let Some(requests) = levels.rfind(all).and_then(|line| field(line, "requests")) {
            return Ok(requests as f64);
        }
        if begun.elapsed() > PATIENCE {
            return Err(format!("not level after {PATIENCE:?}: {log}").into());
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Line>> {
    let local = Local::init(bench).await?;
    local.branches(1).await?;
    let refs = local.refs().await?;
    let tip = refs.first().map(|(_, oid)| oid.clone()).ok_or("a repository without refs")?;
    let full = Server::start(bench).await?;
    let mut fresh = Server::start(bench).await?;
    let world = world(&full, &fresh, &tip);
    publish(&full, &world.signed, 1, 64).await?;
    for first in world.repositories.iter().step_by(OWNERS) {
        local.push(&first.url()).await?;
    }
    let published = publish(&full, &world.talk, 1, 64).await?;
    let mut socket = Socket::open(full.address).await?;
    if count(&mut socket).await? != EVENTS {
        return Err("the full server does not hold everything".into());
    }

    let bootstrap = format!("ws://{}", full.address);
    let syncing = [
        ("NGIT_SYNC_ENABLE", "true"),
        ("NGIT_TEST", "1"),
        ("NGIT_SYNC_BOOTSTRAP_RELAY_URL", bootstrap.as_str()),
    ];
    let begun = Instant::now();
    fresh.restart(bench, &syncing).await?;
    let first = level(&fresh, begun).await?;
    let first_requests = requests(&fresh, begun).await?;
    let begun = Instant::now();
    fresh.restart(bench, &syncing).await?;
    let second_requests = requests(&fresh, begun).await?;
    let second = begun.elapsed().as_secs_f64();

    let what = "a fresh server level with one of 1,000 repositories, 5,000 roots, 20,000 events";
    let beside = "18,000 of these events published by one client, 64 in flight";
    let again = "the same servers again, nothing new, start included";
    let requests = |what: &str, count| Line::alone(what, Figure::new(count, "requests"), Target::Stated);
    Ok(vec![
        Line::rounds(what, "s", &[first], beside, &[published], Target::Stated),
        requests(what, first_requests),
        Line::alone(again, Figure::new(second, "s"), Target::Stated),
        requests(again, second_requests),
    ])
}
