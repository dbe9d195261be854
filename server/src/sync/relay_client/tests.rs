//! The client, and what is fetched through it, against relays that answer by a script on loopback.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use negentropy::{Id, Negentropy, NegentropyStorageVector};
use nostr::types::Timestamp;
use parking_lot::Mutex;
use serde_json::{Value, json};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use super::*;
use crate::outbound::Reach;
use crate::sync::retrieval::{Pace, RetrievalError, reconcile};

/// Says what a relay answers to a message.
type Script = Box<dyn FnMut(&Value) -> Vec<Value> + Send>;

/// A relay on loopback, for one connection.
struct Relay {
    url: Destination,
    heard: Arc<Mutex<Vec<Value>>>,
    _task: AbortOnDropHandle<()>,
}

/// A relay that says `greeting` at once and then answers by `script`.
async fn relay(greeting: Vec<Value>, mut script: Script) -> Relay {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Destination::parse(&format!("ws://{}", listener.local_addr().unwrap())).unwrap();
    let heard: Arc<Mutex<Vec<Value>>> = Arc::default();
    let writes = Arc::clone(&heard);
    let task = tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let mut socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        for message in greeting {
            socket.send(Message::text(message.to_string())).await.unwrap();
        }
        while let Some(Ok(message)) = socket.next().await {
            let Ok(text) = message.into_text() else { continue };
            let Ok(message) = serde_json::from_str::<Value>(&text) else { continue };
            let answers = script(&message);
            writes.lock().push(message);
            for answer in answers {
                if answer == "hang up" {
                    return;
                }
                if socket.send(Message::text(answer.to_string())).await.is_err() {
                    return;
                }
            }
        }
    });
    Relay { url, heard, _task: AbortOnDropHandle::new(task) }
}

fn dialer(limits: ClientLimits) -> Dialer {
    Dialer::new(Outbound::new(Reach::Loopback), Keys::generate(), limits)
}

async fn client_of(relay: &Relay) -> (RelayClient, Watch) {
    client_within(relay, ClientLimits::default()).await
}

async fn client_within(relay: &Relay, limits: ClientLimits) -> (RelayClient, Watch) {
    dialer(limits).connect(&relay.url).await.unwrap()
}

/// Waits until the relay has heard a message that begins with this verb.
async fn hears(relay: &Relay, verb: &str) -> Value {
    let found = || relay.heard.lock().iter().find(|message| message[0] == verb).cloned();
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        if let Some(message) = found() {
            return message;
        }
        assert!(tokio::time::Instant::now() < deadline, "the relay never hears {verb}");
        tokio::task::yield_now().await;
    }
}

fn filter() -> Filter {
    Filter::new().kind(Kind::TextNote)
}

#[tokio::test]
async fn events_eose_and_the_end_come_to_whoever_asked() {
    let note = EventBuilder::new(Kind::TextNote, "x").finalize(&Keys::generate()).unwrap();
    let sent = note.clone();
    let answers = move |asked: &Value| match asked[0].as_str() {
        Some("REQ") => vec![
            json!(["EVENT", "another", &sent]),
            json!(["EVENT", asked[1], &sent]),
            json!(["what", "is", "that"]),
            json!(["EOSE", asked[1]]),
            json!(["CLOSED", asked[1], "error: shutting down"]),
        ],
        _ => Vec::new(),
    };
    let relay = relay(Vec::new(), Box::new(answers)).await;
    let (client, _watch) = client_of(&relay).await;
    let mut open = client.subscribe("one".to_owned(), &[filter()]).unwrap();
    let Some(Said::Event(held)) = open.next().await else { panic!("an event") };
    assert_eq!(held.event, note);
    assert!(matches!(open.next().await, Some(Said::Eose)));
    assert!(matches!(open.next().await, Some(Said::Closed(reason)) if reason == "error: shutting down"));
    assert!(open.next().await.is_none());
    assert_eq!(relay.heard.lock()[0], json!(["REQ", "one", {"kinds": [1]}]));
}

#[tokio::test]
async fn what_is_dropped_is_closed() {
    let relay = relay(Vec::new(), Box::new(|_| Vec::new())).await;
    let (client, _watch) = client_of(&relay).await;
    drop(client.subscribe("live".to_owned(), &[filter()]).unwrap());
    assert_eq!(hears(&relay, "CLOSE").await, json!(["CLOSE", "live"]));
    drop(client.reconcile("neg".to_owned(), &filter(), &[0x61]).unwrap());
    assert_eq!(hears(&relay, "NEG-OPEN").await, json!(["NEG-OPEN", "neg", {"kinds": [1]}, "61"]));
    assert_eq!(hears(&relay, "NEG-CLOSE").await, json!(["NEG-CLOSE", "neg"]));
}

#[tokio::test]
async fn a_challenge_is_answered_with_our_key() {
    let answers = |message: &Value| match message[0].as_str() {
        Some("AUTH") => vec![json!(["OK", message[1]["id"], true, ""])],
        _ => Vec::new(),
    };
    let relay = relay(vec![json!(["AUTH", "prove it"])], Box::new(answers)).await;
    let (_client, mut watch) = client_of(&relay).await;
    assert_eq!(watch.asides.recv().await, Some(Aside::Authenticated));
    let answer: Event = serde_json::from_value(hears(&relay, "AUTH").await[1].clone()).unwrap();
    assert!(answer.verify().is_ok() && answer.kind == Kind::Authentication);
    let tags: Vec<&[String]> = answer.tags.iter().map(|tag| tag.as_slice()).collect();
    assert_eq!(tags, [["relay", relay.url.as_str()], ["challenge", "prove it"]]);
}

#[tokio::test]
async fn a_relay_that_falls_silent_is_left() {
    // It takes the connection and never reads on, so no ping is answered.
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = Destination::parse(&format!("ws://{}", listener.local_addr().unwrap())).unwrap();
    let (_kept, wait) = oneshot::channel::<()>();
    tokio::spawn(async move {
        let (stream, _) = listener.accept().await.unwrap();
        let socket = tokio_tungstenite::accept_async(stream).await.unwrap();
        let _ = wait.await;
        drop(socket);
    });
    let limits = ClientLimits { idle: Duration::from_millis(50), ..ClientLimits::default() };
    let (_client, watch) = dialer(limits).connect(&url).await.unwrap();
    assert!(watch.ended.await.unwrap().contains("silent"));
}

#[tokio::test]
async fn a_message_beyond_the_bound_ends_the_connection() {
    let relay = relay(vec![json!(["NOTICE", "x".repeat(5_000)])], Box::new(|_| Vec::new())).await;
    let limits = ClientLimits { message_bytes: 4_096, ..ClientLimits::default() };
    let (_client, watch) = client_within(&relay, limits).await;
    let why = watch.ended.await.unwrap();
    assert!(why.to_lowercase().contains("too long"), "{why}");
}

#[tokio::test]
async fn whoever_waits_learns_that_the_connection_has_ended() {
    let relay = relay(Vec::new(), Box::new(|_| vec![json!("hang up")])).await;
    let (client, _watch) = client_of(&relay).await;
    let mut open = client.subscribe("one".to_owned(), &[filter()]).unwrap();
    assert!(open.next().await.is_none());
}

#[tokio::test]
async fn what_is_no_relay_is_told() {
    let dialer = dialer(ClientLimits::default());
    let to = |url: &str| Destination::parse(url).unwrap();
    let connect = |url: Destination| {
        let dialer = dialer.clone();
        async move { dialer.connect(&url).await.err().unwrap() }
    };
    assert!(matches!(connect(to("http://127.0.0.1:1/")).await, ConnectError::NoRelay));
    assert!(matches!(
        connect(to("ws://10.0.0.1/")).await,
        ConnectError::Outbound(OutboundError::Forbidden { .. })
    ));

    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = to(&format!("ws://{}", listener.local_addr().unwrap()));
    tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let answer = "HTTP/1.1 302 Found\r\nLocation: ws://169.254.169.254/\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer.as_bytes()).await.unwrap();
    });
    // A redirect is no WebSocket, wherever it leads.
    assert!(matches!(connect(url).await, ConnectError::Status(302)));
}

fn pace() -> Pace {
    Pace { silence: Duration::from_millis(200), first: Duration::from_millis(200), ..Pace::default() }
}

/// The relay's side of a reconciliation over these ids.
fn reconciling(ids: Vec<EventId>) -> Script {
    let mut storage = NegentropyStorageVector::new();
    for id in ids {
        storage.insert(7, Id::from_byte_array(id.to_bytes())).unwrap();
    }
    storage.seal().unwrap();
    let mut engine = Negentropy::owned(storage, 4_096).unwrap();
    Box::new(move |message| {
        let hex = match message[0].as_str() {
            Some("NEG-OPEN") => message[3].as_str(),
            Some("NEG-MSG") => message[2].as_str(),
            _ => None,
        };
        let Some(bytes) = hex.and_then(|hex| hex::decode(hex).ok()) else { return Vec::new() };
        let answer = engine.reconcile(&bytes).unwrap();
        vec![json!(["NEG-MSG", message[1], hex::encode(answer)])]
    })
}

#[tokio::test]
async fn a_reconciliation_finds_what_is_needed_and_nothing_else() {
    let ids: Vec<EventId> = (0..2_000u32)
        .map(|n| {
            let mut bytes = [n as u8; 32];
            bytes[..4].copy_from_slice(&n.to_be_bytes());
            EventId::from_byte_array(bytes)
        })
        .collect();
    let relay = relay(Vec::new(), reconciling(ids.clone())).await;
    let (client, _watch) = client_of(&relay).await;
    let ours = ids.iter().skip(700).map(|id| (*id, Timestamp::from(7))).collect();
    let slow = Pace { first: Duration::from_secs(30), ..Pace::default() };
    let mut found = reconcile(&client, "n", &filter(), ours, slow).await.unwrap();
    found.need.sort();
    let mut expected = ids[..700].to_vec();
    expected.sort();
    assert_eq!(found.need, expected);
    assert!(found.requests > 1, "more than one frame was needed");
}

#[tokio::test]
async fn relays_that_do_not_reconcile_are_told_apart_from_those_that_are_busy() {
    let answered = |answer: fn(&Value) -> Vec<Value>| async move {
        let relay = relay(Vec::new(), Box::new(answer)).await;
        let (client, _watch) = client_of(&relay).await;
        reconcile(&client, "n", &filter(), Vec::new(), pace()).await.unwrap_err()
    };
    let notice = answered(|_| vec![json!(["NOTICE", "unknown message"])]).await;
    assert_eq!(notice, RetrievalError::Unreconciled("unknown message".to_owned()));
    let silence = answered(|_| Vec::new()).await;
    assert!(matches!(silence, RetrievalError::Unreconciled(_)), "{silence}");
    let garbage = answered(|asked| vec![json!(["NEG-MSG", asked[1], "62"])]).await;
    assert!(matches!(garbage, RetrievalError::Unreconciled(_)), "{garbage}");
    let too_big = answered(|asked| vec![json!(["NEG-ERR", asked[1], "blocked: query too big"])]).await;
    assert!(matches!(too_big, RetrievalError::Unreconciled(_)), "{too_big}");
    let busy = answered(|asked| vec![json!(["CLOSED", asked[1], "rate-limited: slow down"])]).await;
    assert_eq!(busy, RetrievalError::Closed("rate-limited: slow down".to_owned()));
}
