//! How soon a second server serves what has come to a first one: state, refs and objects after a push, an issue, a pull
//! request with its ref; after a restart, after a kill, and when a bootstrap relay is all it knows.
//!
//! Both have the default settings. Objects are there when git has fetched them: git's time is in the figure.

use std::future::Future;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use grasp_fixtures::{PullRequest, State, events, keys};
use nostr::event::Event;
use nostr::types::Timestamp;

use crate::events::publish;
use crate::figure::{Figure, Line, Target, median};
use crate::history::Local;
use crate::http::Connection;
use crate::server::{Repository, Server, announcement};
use crate::socket::{Socket, frame};
use crate::{Bench, Result};

/// How long anything may take before the measurement is given up.
const PATIENCE: Duration = Duration::from_secs(120);
/// How often refs and figures are looked at.
const LOOK_AGAIN: Duration = Duration::from_millis(2);

/// What is measured, with its target in seconds.
const WORK: [(&str, f64); 7] = [
    ("state served by the other after a push to one", 1.0),
    ("… and refs and objects, cloned", 1.0),
    ("issue served by the other", 1.0),
    ("pull request served by the other, its ref fetched", 1.0),
    ("everything after a restart, start included", 5.0),
    ("everything after a kill in the midst of it, start included", 5.0),
    ("everything by a bootstrap relay, cloned", 1.0),
];

pub(crate) async fn measure(bench: &Bench) -> Result<Vec<Line>> {
    let mut figures: [Vec<f64>; WORK.len()] = Default::default();
    for _ in 0..bench.rounds(5) {
        for (of, seconds) in figures.iter_mut().zip(round(bench).await?) {
            of.push(seconds);
        }
    }
    let lines = WORK.iter().zip(&figures);
    let line = |(what, most): &(&str, f64), seconds: &[f64]| {
        Line::alone(*what, Figure::new(median(seconds), "s"), Target::AtMost(*most))
    };
    Ok(lines.map(|(work, seconds)| line(work, seconds)).collect())
}

async fn round(bench: &Bench) -> Result<[f64; WORK.len()]> {
    let first = syncing(bench, &[]).await?;
    let mut second = syncing(bench, &[]).await?;
    let mut project = Project::new(bench, &first).await?;
    let announced = announcement(&project.repository, &[&first, &second]);
    for server in [&first, &second] {
        publish(server, std::slice::from_ref(&announced), 1, 1).await?;
    }
    connected(&second).await?;

    let (state, pushed) = project.push(&first).await?;
    let served = arrives(&second, &state).await?.duration_since(pushed);
    let cloned = project.cloned(&second, pushed).await?;

    let issue = events::issue(&project.repository.coordinate(), "An issue", "It is.").sign(&keys::fresh());
    publish(&first, std::slice::from_ref(&issue), 1, 1).await?;
    let published = Instant::now();
    let issued = arrives(&second, &issue).await?.duration_since(published);
    let pulled = project.pull_request(&first, &second).await?;

    second.stop();
    project.push(&first).await?;
    let begun = Instant::now();
    second.restart(bench, &SYNC).await?;
    let restarted = project.cloned(&second, begun).await?;

    connected(&second).await?;
    project.push(&first).await?;
    second.kill()?;
    let begun = Instant::now();
    second.restart(bench, &SYNC).await?;
    let killed = project.cloned(&second, begun).await?;

    let bootstrap = format!("ws://{}", first.address);
    let third = syncing(bench, &[("NGIT_SYNC_BOOTSTRAP_RELAY_URL", bootstrap.as_str())]).await?;
    connected(&third).await?;
    let mut other = Project::new(bench, &first).await?;
    let announced = announcement(&other.repository, &[&first, &third]);
    publish(&first, std::slice::from_ref(&announced), 1, 1).await?;
    let (_, pushed) = other.push(&first).await?;
    let bootstrapped = other.cloned(&third, pushed).await?;

    let all = [served, cloned, issued, pulled, restarted, killed, bootstrapped];
    Ok(all.map(|took| took.as_secs_f64()))
}

/// With these a server fetches from its peers; the rest is as it is by default.
const SYNC: [(&str, &str); 1] = [("NGIT_SYNC_ENABLE", "true")];

/// A server that syncs. Its address has to be known before it may be named.
async fn syncing(bench: &Bench, settings: &[(&str, &str)]) -> Result<Server> {
    let mut server = Server::start(bench).await?;
    let settings: Vec<(&str, &str)> = SYNC.iter().chain(settings).copied().collect();
    server.restart(bench, &settings).await?;
    Ok(server)
}

/// A repository with branches, each state with one more than the last.
struct Project {
    local: Local,
    repository: Repository,
    branches: usize,
}

impl Project {
    async fn new(bench: &Bench, server: &Server) -> Result<Self> {
        let repository = server.repository(keys::fresh(), format!("bench-{}", keys::random_suffix(8)));
        Ok(Self { local: Local::init(bench).await?, repository, branches: 0 })
    }

    /// A new state and its data to one server; the state, and when the push had ended.
    async fn push(&mut self, server: &Server) -> Result<(Event, Instant)> {
        self.branches += 1;
        self.local.branches(self.branches).await?;
        // Each is a second later than the one before, however fast a round is.
        let at = Timestamp::now().as_secs() - 1_000 + self.branches as u64;
        let state = State::new(&self.repository.identifier).references(self.local.refs().await?);
        let state = state.head("branch-0000").draft().at(at).sign(&self.repository.keys);
        publish(server, std::slice::from_ref(&state), 1, 1).await?;
        self.local.push(&self.repository.url()).await?;
        Ok((state, Instant::now()))
    }

    async fn newest(&self) -> Result<(String, String)> {
        self.local.refs().await?.pop().ok_or_else(|| "a repository without refs".into())
    }

    /// Waits until a server shows the newest branch, and clones from it.
    async fn cloned(&self, server: &Server, since: Instant) -> Result<Duration> {
        let (_, tip) = self.newest().await?;
        self.shows(server, &tip).await?;
        self.local.clone_of(&format!("http://{}{}", server.address, self.repository.path())).await?;
        Ok(since.elapsed())
    }

    /// A pull request and its data to one server; how long until the other has both.
    async fn pull_request(&self, server: &Server, other: &Server) -> Result<Duration> {
        let (branch, _) = self.newest().await?;
        let tree = format!("{branch}^{{tree}}");
        let change = ["-c", "user.name=b", "-c", "user.email=b@grasp.invalid", "commit-tree", "-m", "change"];
        let arguments: Vec<&str> = change.into_iter().chain(["-p", &branch, &tree]).collect();
        let tip = self.local.run(&arguments, &[]).await?.0.trim().to_owned();
        let pull = PullRequest::new(self.repository.coordinate(), &tip).subject("A change");
        let pull = pull.draft().sign(&keys::fresh());
        let name = format!("refs/nostr/{}", pull.id);
        self.local.run(&["push", "--quiet", &self.repository.url(), &format!("{tip}:{name}")], &[]).await?;
        publish(server, std::slice::from_ref(&pull), 1, 1).await?;
        let published = Instant::now();
        arrives(other, &pull).await?;
        self.shows(other, &tip).await?;
        let empty = self.local.empty("fetched").await?;
        let url = format!("http://{}{}", other.address, self.repository.path());
        self.local.git.run(&empty, &["fetch", "--quiet", &url, &name]).await?.success()?;
        Ok(published.elapsed())
    }

    async fn shows(&self, server: &Server, oid: &str) -> Result<()> {
        let path = format!("{}/info/refs?service=git-upload-pack", self.repository.path());
        until(&format!("{path} shows {oid}"), async || {
            told(server.address, &path).await?.contains(oid).then_some(())
        })
        .await
    }
}

/// What a GET is answered; nothing when it is no 200.
async fn told(address: SocketAddr, path: &str) -> Option<String> {
    let request = format!("GET {path} HTTP/1.1\r\nHost: {address}\r\nAccept: */*\r\n\r\n");
    let asked = tokio::task::spawn_blocking(move || {
        let mut connection = Connection::open(address).ok()?;
        connection.ask(request.as_bytes()).ok().map(|body| String::from_utf8_lossy(body).into_owned())
    });
    asked.await.ok()?
}

/// Waits until a server is connected to a peer.
async fn connected(server: &Server) -> Result<()> {
    let figure = "grasp_sync_relays{state=\"connected\"} ";
    until("a peer is connected", async || {
        let figures = told(server.address, "/metrics").await?;
        let value = figures.lines().find_map(|line| line.strip_prefix(figure))?;
        (value != "0").then_some(())
    })
    .await
}

/// Waits until a server serves an event; when it did.
async fn arrives(server: &Server, event: &Event) -> Result<Instant> {
    let mut socket = Socket::open(server.address).await?;
    socket.send(&frame(&format!("[\"REQ\",\"s\",{{\"ids\":[\"{}\"]}}]", event.id))).await?;
    tokio::time::timeout(PATIENCE, socket.events(1))
        .await
        .map_err(|_| format!("{} never comes", event.id))??;
    Ok(Instant::now())
}

async fn until<F: Future<Output = Option<()>>>(what: &str, mut look: impl FnMut() -> F) -> Result<()> {
    let begun = Instant::now();
    while look().await.is_none() {
        if begun.elapsed() > PATIENCE {
            return Err(format!("after {PATIENCE:?}, not yet: {what}").into());
        }
        tokio::time::sleep(LOOK_AGAIN).await;
    }
    Ok(())
}
