//! Nodes on a network, and whether they are level.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures_util::future::join_all;
use grasp_audit::agreement::{Agreement, Question, Server, terminal};
use grasp_audit::target::Target;
use grasp_audit::target::url::ServiceUrl;
use nostr::event::Event;
use serde_json::json;
use spec_tests::container::{Container, Wanted};
use spec_tests::instance::eventually;
use spec_tests::network::Network;
use spec_tests::project::{Project, Service, publish, serves};
use spec_tests::usage::{Recorder, Usage};
use spec_tests::{engine, image};

const COMPANION: &str = env!("CARGO_BIN_EXE_container-under-test");
/// The port of the image.
const PORT: u16 = 7334;
/// Where the image keeps everything.
const DATA: &str = "/var/lib/grasp";
/// How the nodes call each other.
const NAMES: [&str; 3] = ["first.test", "second.test", "third.test"];
/// How long nodes may take to end up level, on a busy machine.
const LEVEL_WITHIN: Duration = Duration::from_secs(90);

/// How announcements name a node.
fn named(name: &str) -> ServiceUrl {
    ServiceUrl::parse(&format!("ws://{name}:{PORT}")).unwrap()
}

/// How announcements name the nodes, also those that are not there yet.
pub(crate) fn names() -> [ServiceUrl; 3] {
    NAMES.map(named)
}

/// A server in a container on the network.
pub(crate) struct Node {
    name: &'static str,
    container: Container,
    recorder: Recorder,
}

impl Service for Node {
    async fn target(&self) -> Arc<Target> {
        Arc::new(Target::discover(&self.container.url(), None).await.expect("the node answers"))
    }

    async fn name(&self) -> ServiceUrl {
        named(self.name)
    }
}

impl Node {
    async fn start(network: &Network, name: &'static str, place: Place, bootstrap: Option<&Node>) -> Self {
        let mut wanted = Wanted::new(image::SERVER, PORT)
            .set("NGIT_DOMAIN", format!("{name}:{PORT}"))
            .set("NGIT_SYNC_ALLOW_NON_GLOBAL_TARGETS", true)
            // A node that is back is looked for soon.
            .set("NGIT_SYNC_BASE_BACKOFF_SECS", 1)
            .set("NGIT_SYNC_MAX_BACKOFF_SECS", 4)
            .set("NGIT_SYNC_STARTUP_JITTER_MS", 100)
            // A push that is cut off by a stop is not waited for.
            .set("NGIT_SHUTDOWN_GRACE_SECS", 1)
            .set("NGIT_LOG_LEVEL", "info,grasp_server::sync=debug");
        if place == Place::Memory {
            wanted.in_memory = Some((DATA.to_owned(), "uid=10001,gid=10001".to_owned()));
        }
        if let Some(node) = bootstrap {
            wanted = wanted.set("NGIT_SYNC_BOOTSTRAP_RELAY_URL", node.name().await.relay());
        }
        let container = wanted.start(COMPANION).await.unwrap_or_else(|why| panic!("{why}"));
        network.join(container.id(), name).await;
        let recorder = Recorder::start(container.id()).await;
        Self { name, container, recorder }
    }

    /// Does something to its container: `pause`, `kill`, `start`.
    pub(crate) async fn docker(&self, command: &[&str]) {
        let arguments: Vec<&str> = command.iter().copied().chain([self.container.id()]).collect();
        engine::run(&arguments).await;
    }

    /// The server, if it answers now.
    pub(crate) async fn is_there(&self) -> Option<Target> {
        Target::discover(&self.container.url(), None).await.ok()
    }

    /// Waits until it answers again.
    pub(crate) async fn answers(&self) {
        eventually(&format!("{} answers", self.name), || async { self.is_there().await.is_some() }).await;
    }

    /// Starts it again, and waits until it answers.
    pub(crate) async fn start_again(&self) {
        self.docker(&["start"]).await;
        self.answers().await;
    }
}

/// Where nodes keep what they have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Place {
    /// In a volume, as they are meant to.
    Disk,
    /// In memory, where thousands of durable writes take no time, and nothing survives a stop.
    Memory,
}

/// Nodes that find each other.
pub(crate) struct Mesh {
    scenario: &'static str,
    place: Place,
    nodes: Vec<Node>,
    network: Network,
}

impl Mesh {
    /// Three nodes, for the test of this name; `None` where there is no engine or image.
    pub(crate) async fn start(test: &'static str) -> Option<Self> {
        Self::of(test, NAMES.len(), Place::Disk).await
    }

    /// Two nodes that keep everything in memory, in the same way.
    pub(crate) async fn two_in_memory(test: &'static str) -> Option<Self> {
        Self::of(test, 2, Place::Memory).await
    }

    async fn of(test: &'static str, count: usize, place: Place) -> Option<Self> {
        if !image::is_there(&[image::SERVER], test) {
            return None;
        }
        let network = Network::start(COMPANION).await.unwrap_or_else(|why| panic!("{why}"));
        let started = NAMES[..count].iter().map(|name| Node::start(&network, name, place, None));
        let nodes = join_all(started).await;
        Some(Self { scenario: test, place, nodes, network })
    }

    /// One more node, which knows the first one and nothing else.
    pub(crate) async fn add(&mut self) {
        let name = NAMES[self.nodes.len()];
        let node = Node::start(&self.network, name, self.place, self.nodes.first()).await;
        self.nodes.push(node);
    }

    /// The nodes, as many as there are.
    pub(crate) fn nodes<const N: usize>(&self) -> [&Node; N] {
        let nodes: Vec<&Node> = self.nodes.iter().collect();
        nodes.try_into().unwrap_or_else(|nodes: Vec<&Node>| panic!("there are {} nodes", nodes.len()))
    }

    /// Cuts a node off from the others. We still reach it.
    pub(crate) async fn cut_off(&self, node: &Node) {
        self.network.leave(node.container.id()).await;
    }

    /// Lets it to the others again.
    pub(crate) async fn heal(&self, node: &Node) {
        self.network.join(node.container.id(), node.name).await;
    }

    /// The servers of the suite's question.
    async fn servers(&self) -> Vec<Server> {
        let server = |node| async move { Server::new(Node::target(node).await).named(node.name().await) };
        join_all(self.nodes.iter().map(server)).await
    }

    /// Waits until all nodes have the same, of so many repositories. What a node has said yes to is there on that node, so
    /// it is on all of them then.
    pub(crate) async fn is_level(&self, repositories: usize) -> Agreement {
        let begun = Instant::now();
        let reached = Agreement::reached(&self.servers().await, &Question::default(), LEVEL_WITHIN).await;
        let agreement = reached.unwrap_or_else(|error| panic!("{error}"));
        assert!(agreement.is_reached(), "{}", terminal::render(&agreement, false));
        assert_eq!(agreement.repositories, repositories, "{}", agreement.sentence());
        println!("{}: level after {:.1} s", self.scenario, begun.elapsed().as_secs_f64());
        agreement
    }

    /// Waits until all nodes have the same of one project: these events, and its tip with everything it reaches.
    pub(crate) async fn is_level_with(&self, project: &Project, events: &[&Event]) {
        self.is_level(1).await;
        for node in &self.nodes {
            for event in events {
                assert!(serves(node, event).await, "{} does not serve kind {}", node.name, event.kind);
            }
            project.comes_to_show(node, "refs/heads/main", &project.tip).await;
        }
    }

    /// A project that is announced to all nodes and pushed to the first, once they are level with it: with its announcement
    /// and its state.
    pub(crate) async fn project(&self, name: &str) -> (Project, [Event; 2]) {
        let nodes: Vec<&Node> = self.nodes.iter().collect();
        let project = Project::new(name).await;
        let announcement = project.announce(&nodes).await;
        for node in &nodes[1..] {
            publish(*node, &announcement).await;
        }
        let state = project.publish_on(nodes[0], &announcement).await;
        self.is_level_with(&project, &[&announcement, &state]).await;
        (project, [announcement, state])
    }

    /// Says what each node has used, and takes everything away.
    pub(crate) async fn end(self) {
        let used = join_all(self.nodes.iter().map(|node| node.recorder.usage())).await;
        for (node, usage) in self.nodes.iter().zip(&used) {
            println!("{}: {} {}", self.scenario, node.name, in_words(usage));
        }
        let nodes: Vec<_> = self
            .nodes
            .iter()
            .zip(&used)
            .map(|(node, usage)| json!({"node": node.name, "usage": usage}))
            .collect();
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/nodes");
        std::fs::create_dir_all(&folder).unwrap();
        let written = json!({"scenario": self.scenario, "nodes": nodes});
        std::fs::write(folder.join(format!("{}.json", self.scenario)), format!("{written:#}\n")).unwrap();
        join_all(self.nodes.into_iter().map(|node| node.container.end())).await;
        self.network.end().await;
    }
}

fn in_words(usage: &Usage) -> String {
    let megabytes = |bytes: u64| format!("{:.1} MB", bytes as f64 / 1e6);
    let written = usage.disk_written.map(|bytes| format!(", {} written", megabytes(bytes)));
    let held = if usage.on_disk.is_empty() { "nothing" } else { &usage.on_disk };
    format!(
        "used {} at most, {:.2} s of processors, {} tasks at most, {} in, {} out{}, holds {held} on disk",
        megabytes(usage.memory_peak),
        usage.processor_us as f64 / 1e6,
        usage.tasks_peak,
        megabytes(usage.received),
        megabytes(usage.sent),
        written.unwrap_or_default(),
    )
}
