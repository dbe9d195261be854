//! Peers that are no GRASP servers: a relay that no one here wrote, and a relay of the tests' own that lies.

use std::sync::Arc;

use futures_util::{SinkExt as _, StreamExt as _};
use grasp_fixtures::{events, keys};
use nostr::event::Event;
use nostr_relay_builder::{LocalRelay, RelayBuilder};
use parking_lot::Mutex;
use serde_json::{Value, json};
use spec_tests::{Instance, view};
use tokio::net::{TcpListener, TcpStream};
use tokio_tungstenite::tungstenite::Message;
use tokio_util::task::AbortOnDropHandle;

use crate::network::{Project, arrives, report, setup};

/// A relay of `nostr-relay-builder`, on a port of the system's: the one that it would choose for itself may be taken
/// between its choice and its use.
pub(crate) struct Foreign {
    pub(crate) url: String,
    relay: LocalRelay,
    _accepts: AbortOnDropHandle<()>,
}

impl Foreign {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let relay = LocalRelay::new(RelayBuilder::default());
        let accepts = AbortOnDropHandle::new(tokio::spawn(accept(listener, relay.clone())));
        Self { url, relay, _accepts: accepts }
    }

    pub(crate) async fn publish(&self, event: &Event) {
        publish_to(&self.url, event).await;
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        self.relay.shutdown();
    }
}

async fn accept(listener: TcpListener, relay: LocalRelay) {
    loop {
        let (stream, from) = listener.accept().await.unwrap();
        let relay = relay.clone();
        tokio::spawn(async move {
            // those who leave in the midst of it are no concern of the relay's
            let Ok(upgraded) = tokio_tungstenite::accept_async(stream).await else { return };
            let _ended = relay.take_connection(upgraded.into_inner(), from).await;
        });
    }
}

/// Publishes to a relay by its URL; it has to be taken.
async fn publish_to(url: &str, event: &Event) {
    let (mut socket, _) = tokio_tungstenite::connect_async(url).await.unwrap();
    socket.send(Message::text(json!(["EVENT", view::as_json(event)]).to_string())).await.unwrap();
    while let Some(message) = socket.next().await {
        let Ok(text) = message.unwrap().into_text() else { continue };
        let answer: Value = serde_json::from_str(&text).unwrap_or_default();
        if answer[0] == "OK" {
            assert_eq!(answer[2], true, "{answer}");
            return;
        }
    }
    panic!("{url} gives no answer");
}

/// A project whose announcement names a server and another relay.
pub(crate) async fn announced_on(project: &Project, server: &Instance, relay: &str) -> Event {
    project.announcement(&[server]).await.relay(relay).draft().sign(&project.owner)
}

#[tokio::test]
async fn what_another_implementation_has_comes_with_its_history_and_live() {
    let server = setup().start().await;
    let foreign = Foreign::start().await;
    let project = Project::new("foreign").await;
    let announcement = announced_on(&project, &server, &foreign.url).await;
    let (author, when) = (keys::fresh(), nostr::types::Timestamp::now().as_secs());
    let old: Vec<Event> = (0..30u64)
        .map(|n| {
            let issue = events::issue(&project.coordinate(), &format!("issue {n}"), "");
            issue.at(when - 5000 + n).sign(&author)
        })
        .collect();
    for event in &old {
        foreign.publish(event).await;
    }
    project.publish_on(&server, &announcement).await;
    let announced = std::time::Instant::now();
    for event in &old {
        arrives(&server, event).await;
    }
    report("30 issues of another relay", announced, std::time::Instant::now());
    let new = events::comment(&old[7], "live").sign(&author);
    foreign.publish(&new).await;
    let published = std::time::Instant::now();
    report("a live comment of another relay", published, arrives(&server, &new).await);
}

#[tokio::test]
async fn a_relay_that_does_not_reconcile_is_read_page_by_page() {
    let server = setup().set("NGIT_SYNC_DISABLE_NEGENTROPY", true).start().await;
    let foreign = Foreign::start().await;
    let project = Project::new("pages").await;
    let announcement = announced_on(&project, &server, &foreign.url).await;
    let issue = events::issue(&project.coordinate(), "old", "").sign(&keys::fresh());
    foreign.publish(&issue).await;
    project.publish_on(&server, &announcement).await;
    arrives(&server, &issue).await;
}

/// A relay that answers every REQ with the same messages, whatever was asked, and EOSE.
pub(crate) struct Lying {
    pub(crate) url: String,
    /// Events as JSON: true or not.
    pub(crate) events: Arc<Mutex<Vec<Value>>>,
    /// What it was asked, as it came.
    asked: Arc<Mutex<Vec<String>>>,
    _task: AbortOnDropHandle<()>,
}

impl Lying {
    pub(crate) async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("ws://{}", listener.local_addr().unwrap());
        let events: Arc<Mutex<Vec<Value>>> = Arc::default();
        let asked: Arc<Mutex<Vec<String>>> = Arc::default();
        let (served, heard) = (Arc::clone(&events), Arc::clone(&asked));
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, Arc::clone(&served), Arc::clone(&heard)));
            }
        });
        Self { url, events, asked, _task: AbortOnDropHandle::new(task) }
    }

    /// Forgets what it was asked so far.
    pub(crate) fn forget_questions(&self) {
        self.asked.lock().clear();
    }

    /// Whether any question so far has named something.
    pub(crate) fn was_asked(&self, about: &str) -> bool {
        self.asked.lock().iter().any(|question| question.contains(about))
    }
}

async fn serve(stream: TcpStream, events: Arc<Mutex<Vec<Value>>>, heard: Arc<Mutex<Vec<String>>>) {
    // What is no WebSocket (NIP-11) is none of its.
    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else { return };
    while let Some(Ok(message)) = socket.next().await {
        let Ok(text) = message.into_text() else { continue };
        heard.lock().push(text.to_string());
        let asked: Value = serde_json::from_str(&text).unwrap_or_default();
        let mut answers = Vec::new();
        match asked[0].as_str() {
            Some("REQ") => {
                answers.extend(events.lock().iter().map(|event| json!(["EVENT", asked[1], event])));
                answers.push(json!(["EOSE", asked[1]]));
            }
            Some("NEG-OPEN") => answers.push(json!(["NEG-ERR", asked[1], "error: what is that?"])),
            _ => {}
        }
        for answer in answers {
            if socket.send(Message::text(answer.to_string())).await.is_err() {
                return;
            }
        }
    }
}
