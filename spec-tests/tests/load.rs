//! Clients that are too slow, too fast, gone or rude, and a server that is told to stop (acceptance 6).
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use grasp_audit::Context;
use grasp_audit::target::message::RelayMessage;
use grasp_fixtures::{events, hostile, keys};
use nostr::event::Event;
use nostr::types::Timestamp;
use rstest::rstest;
use serde_json::json;
use spec_tests::raw_push::RawPush;
use spec_tests::{Backend, Instance, Setup, disk, instance};
use tokio::net::TcpStream;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

const EVENTS: usize = 5_000;
/// How long a message may take on a busy machine.
const WITHIN: Duration = Duration::from_secs(30);

type Socket = WebSocketStream<TcpStream>;

async fn start(backend: Backend) -> Instance {
    Setup::new(env!("CARGO_BIN_EXE_server-under-test"), backend).start().await
}

async fn connect(server: &Instance) -> Socket {
    let stream = TcpStream::connect(server.authority()).await.unwrap();
    tokio_tungstenite::client_async(format!("{}/", server.url()), stream).await.unwrap().0
}

/// The next message; nothing at the end of the connection.
async fn next(socket: &mut Socket) -> Option<RelayMessage> {
    loop {
        let next = tokio::time::timeout(WITHIN, socket.next()).await.expect("the server says something");
        match next?.ok()? {
            Message::Text(text) => return Some(RelayMessage::parse(text.as_str())),
            Message::Close(_) => return None,
            _ => {}
        }
    }
}

/// Issues of a hosted repository, each with so much content.
fn issues(coordinate: &str, size: usize) -> Vec<Event> {
    let author = keys::fresh();
    let (content, now) = ("x".repeat(size), Timestamp::now().as_secs());
    let issue = |number: usize| {
        events::issue(coordinate, &number.to_string(), &content).at(now - number as u64).sign(&author)
    };
    (0..EVENTS).map(issue).collect()
}

/// Publishes everything at once on one connection; how many were taken.
async fn burst(server: &Instance, events: &[Event]) -> usize {
    let (mut sink, mut source) = connect(server).await.split();
    let send = async {
        for event in events {
            sink.feed(Message::text(json!(["EVENT", event]).to_string())).await.unwrap();
        }
        sink.flush().await.unwrap();
    };
    let read = async {
        let mut answers = Vec::new();
        while answers.len() < events.len() {
            let next = tokio::time::timeout(WITHIN, source.next()).await.expect("the server answers");
            let Message::Text(text) = next.unwrap().unwrap() else { continue };
            if let RelayMessage::Ok { accepted, message, .. } = RelayMessage::parse(text.as_str()) {
                assert!(accepted, "{message}");
                answers.push(message);
            }
        }
        answers.len()
    };
    tokio::join!(send, read).1
}

async fn hosted(server: &Instance) -> (Context, String) {
    let ctx = server.context("load").await;
    let hosted = ctx.hosted_repository().await.unwrap();
    (ctx, hosted.coordinate)
}

#[rstest]
#[case::of_small_events(100, false)]
#[case::of_more_than_any_queue_holds(6_000, true)]
#[tokio::test]
async fn a_subscriber_that_stops_reading_gets_everything_or_is_told(
    #[case] size: usize,
    #[case] is_too_much: bool,
) {
    let server = start(Backend::Lmdb).await;
    let (_ctx, coordinate) = hosted(&server).await;
    let events = issues(&coordinate, size);
    let mut stalled = connect(&server).await;
    let filter = json!({"kinds": [1621], "#a": [coordinate]});
    stalled.send(Message::text(json!(["REQ", "stalled", filter]).to_string())).await.unwrap();
    while !matches!(next(&mut stalled).await, Some(RelayMessage::Eose(_))) {}

    assert_eq!(burst(&server, &events).await, EVENTS, "a burst on one connection is taken whole");

    let expected: BTreeSet<String> = events.iter().map(|event| event.id.to_hex()).collect();
    let mut received = BTreeSet::new();
    let told = loop {
        match next(&mut stalled).await.expect("the connection lives") {
            RelayMessage::Event { event, .. } => {
                assert!(received.insert(event["id"].as_str().unwrap().to_owned()), "delivered twice");
            }
            RelayMessage::Closed { reason, .. } => break Some(reason),
            _ => {}
        }
        if received.len() == EVENTS {
            break None;
        }
    };
    match told {
        None => assert!(received == expected && !is_too_much),
        Some(reason) => assert!(reason.contains(':') && reason.len() > 20, "a reason: {reason:?}"),
    }
    // And the connection is as good as before: it asks again and misses nothing.
    let again = json!({"kinds": [1621], "#a": [coordinate], "limit": EVENTS});
    stalled.send(Message::text(json!(["REQ", "again", again]).to_string())).await.unwrap();
    let mut stored = BTreeSet::new();
    loop {
        match next(&mut stalled).await.expect("the connection lives") {
            RelayMessage::Event { subscription, event } if subscription == "again" => {
                stored.insert(event["id"].as_str().unwrap().to_owned());
            }
            RelayMessage::Eose(subscription) if subscription == "again" => break,
            _ => {}
        }
    }
    assert_eq!(stored, expected);
}

#[tokio::test]
async fn a_request_whose_client_is_gone_costs_nothing_afterwards() {
    let server = start(Backend::Lmdb).await;
    let (_ctx, coordinate) = hosted(&server).await;
    burst(&server, &issues(&coordinate, 200)).await;
    let filter = json!({"kinds": [1621], "limit": EVENTS});
    for round in 0..4 {
        let mut client = connect(&server).await;
        for number in 0..8 {
            let mut request = vec![json!("REQ"), json!(format!("{round}-{number}"))];
            request.extend(std::iter::repeat_n(filter.clone(), 100));
            client.send(Message::text(json!(request).to_string())).await.unwrap();
        }
        // The answer has begun, and there is nobody any more.
        while !matches!(next(&mut client).await, Some(RelayMessage::Event { .. })) {}
    }
    assert!(rests_within(&server, Duration::from_secs(10)).await, "the server works on for nobody");
}

/// Whether the server comes to use less than a tenth of a processor.
async fn rests_within(server: &Instance, bound: Duration) -> bool {
    let window = Duration::from_millis(500);
    let deadline = Instant::now() + bound;
    while Instant::now() < deadline {
        let before = server.processor_ticks();
        // The window in which its use is measured; nothing is waited for.
        tokio::time::sleep(window).await;
        if server.processor_ticks() - before < 5 {
            return true;
        }
    }
    false
}

#[tokio::test]
async fn every_malformed_message_gets_its_answer_on_a_connection_that_lives() {
    let server = start(Backend::Memory).await;
    let target = server.target().await;
    let (strict, lenient) =
        (instance::relay(&target).await.unwrap(), instance::relay(&target).await.unwrap());
    for malformed in hostile::malformed_messages() {
        let relay = if malformed.lenient { &lenient } else { &strict };
        relay.send_text(malformed.text.clone()).await.unwrap();
        if !malformed.lenient {
            let answered = relay.take("answer", WITHIN, |message| match message {
                RelayMessage::Notice(_)
                | RelayMessage::Closed { .. }
                | RelayMessage::NegErr { .. }
                | RelayMessage::Ok { accepted: false, .. } => Some(Ok(())),
                _ => None,
            });
            answered.await.unwrap_or_else(|error| panic!("{}: {error}", malformed.name));
        }
        let alive = relay.req(&[json!({"limit": 0})]).await;
        alive.unwrap_or_else(|error| panic!("after {}: {error}", malformed.name));
    }
}

#[tokio::test]
async fn a_push_that_runs_when_the_server_is_told_to_stop_is_finished() {
    let mut server = start(Backend::Lmdb).await;
    let ctx = server.context("stopping").await;
    let waiting = ctx.waiting_repository().await.unwrap();
    let url = &ctx.target.url;
    let push = RawPush::new(url, &waiting.path, &waiting.repository, "refs/heads/main", &waiting.tip).await;
    let begun = push.begin(url).await;
    // The server has read the commands when git, to which it hands the pack, is there.
    instance::eventually("git indexes the pack", async || !server.children().is_empty()).await;
    server.ask_to_stop();
    instance::eventually("the server stops", async || server.log().contains("stopping")).await;
    let response = begun.finish().await;
    assert!(response.contains("ok refs/heads/main"), "{response}");
    assert!(server.ended().await.success());

    server.restart().await;
    ctx.served(&waiting.state).await.unwrap();
}

#[tokio::test]
async fn the_memory_backend_writes_nothing_to_the_relay_path_and_leaves_nothing() {
    let mut server = start(Backend::Memory).await;
    let (ctx, coordinate) = hosted(&server).await;
    let issue = ctx.sign(&ctx.owner, events::issue(&coordinate, "it breaks", "always"));
    ctx.accepted(&issue).await.unwrap();
    assert!(disk::files(&server.relay_data()).is_empty() && !server.relay_data().exists());
    assert!(server.stop().await.success());
    let left = disk::files(server.folder());
    let own = |name: &str| name.starts_with("log-") || name == ".relay-owner.nsec";
    assert!(left.iter().all(|path| own(&path.to_string_lossy())), "{left:?}");
}
