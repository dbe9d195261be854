//! The relay over real sockets: what a client sends and what it gets, under load and under abuse.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod relay {
    pub(crate) mod client;
    pub(crate) mod house;
}

use std::collections::HashSet;
use std::time::Duration;

use grasp_server::relay::Limits;
use nostr::event::{Event, EventBuilder, EventId, FinalizeEvent, Kind, Tag};
use nostr::key::Keys;
use nostr::types::Timestamp;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio_tungstenite::tungstenite::Message;

use relay::client::Client;
use relay::house::{House, eventually};

fn note(keys: &Keys, content: &str, time: u64) -> Event {
    EventBuilder::new(Kind::TextNote, content)
        .custom_created_at(Timestamp::from(time))
        .finalize(keys)
        .unwrap()
}

fn notes(count: u64) -> Vec<Event> {
    let keys = Keys::generate();
    (0..count).map(|n| note(&keys, &format!("note {n}"), 1_700_000_000 + n / 3)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_event_comes_exactly_once_while_others_publish() {
    let house = House::start(Limits::default()).await;
    let events = notes(900);
    let expected: HashSet<EventId> = events.iter().map(|event| event.id).collect();
    let mut subscribers = Vec::new();
    let mut publisher = house.connect().await;
    for part in events.chunks(100) {
        for event in part {
            publisher.send(json!(["EVENT", event])).await;
        }
        let mut subscriber = house.connect().await;
        subscriber
            .send(json!(["REQ", "all", {"kinds": [1], "limit": 5000}, {"since": 1, "limit": 5000}]))
            .await;
        subscribers.push(subscriber);
    }
    for _ in &events {
        assert_eq!(publisher.answer().await[2], true);
    }
    for subscriber in &mut subscribers {
        let mut seen = Vec::new();
        let (mut stored, mut last) = (true, (u64::MAX, String::new()));
        while stored || seen.len() < events.len() {
            let frame = subscriber.next().await;
            if frame[0] == "EOSE" {
                assert!(std::mem::take(&mut stored), "one EOSE");
                continue;
            }
            let event: Event = serde_json::from_value(frame[2].clone()).unwrap();
            if stored {
                let place = (event.created_at.as_secs(), event.id.to_hex());
                assert!(
                    place.0 < last.0 || (place.0 == last.0 && place.1 > last.1),
                    "newest first, lowest id first"
                );
                last = place;
            }
            seen.push(event.id);
        }
        subscriber.fence().await;
        assert_eq!(seen.len(), events.len());
        assert_eq!(seen.into_iter().collect::<HashSet<_>>(), expected);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_subscriber_that_does_not_read_gets_all_or_is_told() {
    for (room, all) in [(8_192, true), (500, false)] {
        let house = House::start(Limits { queue_live_events: room, ..Limits::default() }).await;
        let mut stalled = house.connect().await;
        stalled.send(json!(["REQ", "slow", {"kinds": [1]}])).await;
        assert_eq!(stalled.next().await[0], "EOSE");
        let content = "x".repeat(1_000);
        let mut event = note(&Keys::generate(), &content, 1_700_000_000);
        for n in 0u64..5_000 {
            let mut id = [0; 32];
            id[..8].copy_from_slice(&n.to_be_bytes());
            event.id = EventId::from_byte_array(id);
            house.feed.publish(&event);
        }
        let mut count = 0;
        loop {
            if count == 5_000 {
                break assert!(all, "some had to wait longer than there was room");
            }
            let frame = stalled.next().await;
            if frame[0] == "CLOSED" {
                assert!(!all && frame[2].as_str().unwrap().starts_with("error: slow reader"), "{frame:?}");
                break;
            }
            assert_eq!(frame[2]["id"], format!("{count:016x}{:048}", 0), "without a gap before the end");
            count += 1;
        }
        stalled.fence().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_malformed_message_is_answered_on_a_connection_that_lives() {
    let house = House::start(Limits::default()).await;
    let mut client = house.connect().await;
    let id = "0".repeat(64);
    let deep = "[".repeat(50_000);
    let event_without_sig =
        json!(["EVENT", {"id": id, "pubkey": id, "created_at": 1, "kind": 1, "tags": [], "content": ""}]);
    let event_bad_kind = json!(["EVENT", {"id": id, "pubkey": id, "created_at": 1, "kind": -7, "tags": [], "content": "", "sig": id.repeat(2)}]);
    let long_id = json!(["REQ", "i".repeat(65), {}]);
    let many_filters = format!("[\"REQ\",\"many\"{}]", ",{}".repeat(101));
    let corpus: Vec<(String, &str)> = vec![
        (String::new(), "NOTICE"),
        ("hello".into(), "NOTICE"),
        ("{}".into(), "NOTICE"),
        ("[]".into(), "NOTICE"),
        ("[[]]".into(), "NOTICE"),
        ("null".into(), "NOTICE"),
        ("\u{0}".into(), "NOTICE"),
        ("[\"EVENT\"]".into(), "NOTICE"),
        ("[\"EVENT\",null]".into(), "NOTICE"),
        ("[\"EVENT\",{}]".into(), "NOTICE"),
        (event_without_sig.to_string(), "OK"),
        (event_bad_kind.to_string(), "OK"),
        ("[\"REQ\"]".into(), "NOTICE"),
        ("[\"REQ\",null,{}]".into(), "NOTICE"),
        ("[\"REQ\",\"\",{}]".into(), "NOTICE"),
        ("[\"REQ\",\"s\"]".into(), "CLOSED"),
        ("[\"REQ\",\"s\",[]]".into(), "CLOSED"),
        ("[\"REQ\",\"s\",{\"ids\":\"x\"}]".into(), "CLOSED"),
        ("[\"REQ\",\"s\",{\"ids\":[\"abc\"]}]".into(), "CLOSED"),
        ("[\"REQ\",\"s\",{\"kinds\":[\"1\"]}]".into(), "CLOSED"),
        ("[\"REQ\",\"s\",{\"kinds\":[70000]}]".into(), "CLOSED"),
        ("[\"REQ\",\"s\",{\"limit\":-1}]".into(), "CLOSED"),
        ("[\"REQ\",\"s\",{\"since\":\"now\"}]".into(), "CLOSED"),
        ("[\"REQ\",\"s\",{\"#e\":{}}]".into(), "CLOSED"),
        (long_id.to_string(), "CLOSED"),
        (many_filters, "CLOSED"),
        ("[\"COUNT\",\"s\"]".into(), "CLOSED"),
        ("[\"CLOSE\"]".into(), "NOTICE"),
        ("[\"CLOSE\",1]".into(), "NOTICE"),
        ("[\"CLOSE\",\"s\",2]".into(), "NOTICE"),
        ("[\"AUTH\",\"x\"]".into(), "NOTICE"),
        ("[\"PUBLISH\",{}]".into(), "NOTICE"),
        ("[\"NEG-OPEN\",\"n\",{},\"zz\"]".into(), "NEG-ERR"),
        ("[\"NEG-OPEN\",\"n\",{},\"\"]".into(), "NEG-ERR"),
        ("[\"NEG-OPEN\",\"n\",{},\"61000002c080808000\"]".into(), "NEG-ERR"),
        ("[\"NEG-MSG\",\"unknown\",\"61\"]".into(), "NEG-ERR"),
        ("[\"CLOSE\",\"s\"".into(), "NOTICE"),
        ("[\"CLOSE\",\"s\"]]".into(), "NOTICE"),
        ("[\"\\ud800\"]".into(), "NOTICE"),
        (deep, "NOTICE"),
    ];
    for (text, verb) in corpus {
        client.send_text(&text).await;
        let frame = client.next().await;
        let start: String = text.chars().take(60).collect();
        assert_eq!(frame[0], verb, "{start}: {frame:?}");
        let reason = frame.last().unwrap().as_str().unwrap();
        assert!(reason.contains(": ") && reason.len() > 12, "{start}: {reason}");
    }
    client.fence().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_no_text_message_ends_the_connection_with_a_code() {
    let house = House::start(Limits { max_message_length: 4096, ..Limits::default() }).await;
    let mut binary = house.connect().await;
    binary.send_message(Message::binary(vec![1, 2, 3])).await;
    assert_eq!(binary.close_code().await, 1003);

    let mut oversize = house.connect().await;
    oversize.send_message(Message::text("x".repeat(3 << 20))).await;
    assert_eq!(oversize.close_code().await, 1009);

    // A masked text frame (mask 0) with one byte that is not UTF-8.
    let mut invalid = house.connect_raw().await;
    invalid.write_all(&[0x81, 0x81, 0, 0, 0, 0, 0xff]).await.unwrap();
    assert_eq!(close_code_of(&mut invalid).await, 1007);
}

/// Reads raw frames until the close frame, or to the end.
async fn close_code_of(stream: &mut tokio::net::TcpStream) -> u16 {
    loop {
        let (first, length) = (stream.read_u8().await.unwrap(), stream.read_u8().await.unwrap());
        let length = if length == 126 { stream.read_u16().await.unwrap() } else { length.into() };
        let mut payload = vec![0; length.into()];
        stream.read_exact(&mut payload).await.unwrap();
        if first == 0x88 {
            return u16::from_be_bytes([payload[0], payload[1]]);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn five_thousand_events_in_one_burst_are_all_taken() {
    let house = House::start(Limits::default()).await;
    let mut client = house.connect().await;
    let events = notes(5_000);
    for event in &events {
        client.feed(json!(["EVENT", event])).await;
    }
    let mut taken = HashSet::new();
    for _ in &events {
        let frame = client.answer().await;
        assert_eq!((&frame[0], &frame[2]), (&json!("OK"), &json!(true)), "{frame:?}");
        taken.insert(frame[1].as_str().unwrap().to_owned());
    }
    assert_eq!(taken.len(), events.len());
    client.send(json!(["COUNT", "c", {"kinds": [1]}])).await;
    assert_eq!(client.next().await[2]["count"], 5_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_query_ends_with_its_client_and_with_close() {
    let house = House::start(Limits::default()).await;
    let keys = Keys::generate();
    let long = "x".repeat(20_000);
    for n in 0..1_000 {
        house.store.save(&note(&keys, &long, 1_700_000_000 + n)).await.unwrap();
    }
    let before = house.handles();
    let mut client = house.connect().await;
    for n in 0..10 {
        client.send(json!(["REQ", format!("s{n}"), {"kinds": [1], "limit": 5000}])).await;
    }
    eventually("the queries stream", || house.relay.subscriptions() == 10).await;
    drop(client);
    eventually("nothing is left", || {
        house.relay.subscriptions() == 0
            && house.relay.running_store_calls() == 0
            && house.relay.connections() == 0
            && house.handles() == before
    })
    .await;

    let mut client = house.connect().await;
    client.send(json!(["REQ", "s", {"kinds": [1], "limit": 5000}])).await;
    assert_eq!(client.next().await[0], "EVENT");
    client.send(json!(["CLOSE", "s"])).await;
    client.send(json!(["COUNT", "fence", {"ids": []}])).await;
    let mut late = 0;
    loop {
        let frame = client.next().await;
        match frame[0].as_str().unwrap() {
            "EVENT" => late += 1,
            "COUNT" => break,
            verb => panic!("{verb}: no EOSE and no CLOSED after CLOSE"),
        }
    }
    assert!(late < 1_000, "the rest is not sent");
    eventually("the query is over", || house.relay.running_store_calls() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn filters_mean_what_nip_01_says() {
    let house = House::start(Limits { max_limit: 4, default_limit: 3, ..Limits::default() }).await;
    let keys = Keys::generate();
    let events: Vec<Event> = (0..6).map(|n| note(&keys, &n.to_string(), 1_700_000_000 + n)).collect();
    for event in &events {
        house.store.save(event).await.unwrap();
    }
    let mut client = house.connect().await;
    for (filters, expected) in [
        (json!([{}]), vec!["5", "4", "3"]),
        (json!([{"limit": 5000}]), vec!["5", "4", "3", "2"]),
        (json!([{"limit": 0}]), vec![]),
        (json!([{"ids": []}]), vec![]),
        (json!([{"kinds": [1], "authors": []}]), vec![]),
        (json!([{"kinds": [1], "#e": []}, {"limit": 1}]), vec!["5"]),
        (json!([{"limit": 2}, {"limit": 1}, {"ids": [events[0].id, events[5].id]}]), vec!["5", "4", "0"]),
        (json!([{"until": 1_700_000_001, "unknown": [1, {"x": 2}]}]), vec!["1", "0"]),
    ] {
        let mut request = vec![json!("REQ"), json!("s")];
        request.extend(filters.as_array().unwrap().iter().cloned());
        client.send(Value::Array(request)).await;
        let mut contents = Vec::new();
        loop {
            let frame = client.next().await;
            match frame[0].as_str().unwrap() {
                "EVENT" => contents.push(frame[2]["content"].as_str().unwrap().to_owned()),
                _ => break assert_eq!(frame[0], "EOSE"),
            }
        }
        assert_eq!(contents, expected, "{filters}");
    }
    client.send(json!(["REQ", "s", {"limit": 0, "kinds": [1]}])).await;
    assert_eq!(client.next().await[0], "EOSE");
    house.feed.publish(&note(&keys, "live", 1_600_000_000));
    assert_eq!(client.next().await[2]["content"], "live");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn expired_events_are_not_served() {
    let house = House::start(Limits::default()).await;
    let keys = Keys::generate();
    let soon = (Timestamp::now().as_secs() + 1_000).to_string();
    let event = EventBuilder::new(Kind::TextNote, "soon gone")
        .tag(Tag::parse(["expiration", &soon]).unwrap())
        .finalize(&keys)
        .unwrap();
    house.store.save(&event).await.unwrap();
    let mut client = house.connect().await;
    client.send(json!(["REQ", "s", {}])).await;
    assert_eq!(client.next().await[0], "EVENT");
    assert_eq!(client.next().await[0], "EOSE");
    house.clock.advance(2_000);
    client.send(json!(["REQ", "s", {}])).await;
    assert_eq!(client.next().await[0], "EOSE");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_sets_are_reconciled() {
    use negentropy::{Id, Negentropy, NegentropyStorageVector};
    let house = House::start(Limits { max_neg_records: 3_000, ..Limits::default() }).await;
    let events = notes(2_000);
    for event in &events[..1_800] {
        house.store.save(event).await.unwrap();
    }
    let mut storage = NegentropyStorageVector::new();
    for event in &events[200..] {
        storage.insert(event.created_at.as_secs(), Id::from_byte_array(event.id.to_bytes())).unwrap();
    }
    storage.seal().unwrap();
    let mut engine = Negentropy::owned(storage, 0).unwrap();
    let mut client = house.connect().await;
    let first = hex::encode(engine.initiate().unwrap());
    client.send(json!(["NEG-OPEN", "n", {"kinds": [1]}, first])).await;
    let (mut have, mut need) = (Vec::new(), Vec::new());
    loop {
        let frame = client.next().await;
        assert_eq!((&frame[0], &frame[1]), (&json!("NEG-MSG"), &json!("n")), "{frame:?}");
        let answer = hex::decode(frame[2].as_str().unwrap()).unwrap();
        match engine.reconcile_with_ids(&answer, &mut have, &mut need).unwrap() {
            Some(message) => client.send(json!(["NEG-MSG", "n", hex::encode(message)])).await,
            None => break,
        }
    }
    let ids =
        |ids: &[Id]| ids.iter().map(|id| EventId::from_byte_array(id.to_bytes())).collect::<HashSet<_>>();
    let of = |events: &[Event]| events.iter().map(|event| event.id).collect::<HashSet<_>>();
    assert_eq!((ids(&have), ids(&need)), (of(&events[1_800..]), of(&events[..200])));
    client.send(json!(["NEG-CLOSE", "n"])).await;
    client.send(json!(["NEG-MSG", "n", "61"])).await;
    assert_eq!(client.next().await[0], "NEG-ERR");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn reconciliations_are_bounded_and_expire() {
    let house = House::start(Limits {
        max_neg_records: 5,
        max_neg_sessions: 2,
        neg_idle: Duration::from_millis(300),
        idle_ping: Duration::from_millis(400),
        ..Limits::default()
    })
    .await;
    for event in notes(10) {
        house.store.save(&event).await.unwrap();
    }
    let mut client = house.connect().await;
    client.send(json!(["NEG-OPEN", "big", {}, "61"])).await;
    let frame = client.next().await;
    assert!(frame[0] == "NEG-ERR" && frame[2].as_str().unwrap().starts_with("blocked: "), "{frame:?}");
    for (name, verb) in [("a", "NEG-MSG"), ("b", "NEG-MSG"), ("c", "NEG-ERR"), ("a", "NEG-MSG")] {
        client.send(json!(["NEG-OPEN", name, {"limit": 5}, "61"])).await;
        assert_eq!(client.next().await[0], verb, "{name}");
    }
    for _ in 0..2 {
        let frame = client.next().await;
        assert!(frame[0] == "NEG-ERR" && frame[2].as_str().unwrap().starts_with("closed: "), "{frame:?}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn protected_events_are_taken_from_their_authenticated_author() {
    let house = House::start(Limits::default()).await;
    let mut client = house.connect().await;
    let challenge = client.challenge.clone();
    let keys = Keys::generate();
    let protected =
        EventBuilder::new(Kind::TextNote, "").tag(Tag::parse(["-"]).unwrap()).finalize(&keys).unwrap();
    client.send(json!(["EVENT", protected])).await;
    assert!(client.next().await[3].as_str().unwrap().starts_with("auth-required: "));
    let proof = |challenge: &str, keys: &Keys| {
        EventBuilder::new(Kind::Authentication, "")
            .tag(Tag::parse(["relay", "ws://127.0.0.1:9/"]).unwrap())
            .tag(Tag::parse(["challenge", challenge]).unwrap())
            .finalize(keys)
            .unwrap()
    };
    client.send(json!(["AUTH", proof("another", &keys)])).await;
    assert_eq!(client.next().await[2], false);
    client.send(json!(["AUTH", proof(&challenge, &Keys::generate())])).await;
    assert_eq!(client.next().await[2], true);
    client.send(json!(["EVENT", protected])).await;
    assert!(client.next().await[3].as_str().unwrap().starts_with("restricted: "));
    client.send(json!(["AUTH", proof(&challenge, &keys)])).await;
    assert_eq!(client.next().await[2], true);
    client.send(json!(["EVENT", protected])).await;
    assert_eq!(client.next().await[2], true);
    assert!(house.authenticated().contains(&keys.public_key()));
    client.send(json!(["EVENT", proof(&challenge, &keys)])).await;
    assert!(client.next().await[3].as_str().unwrap().starts_with("invalid: "));
    assert_ne!(house.connect().await.challenge, challenge);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn limits_are_told_and_never_end_the_connection() {
    let house = House::start(Limits {
        events_per_minute: 3,
        queries_per_minute: 8,
        max_subscriptions: 2,
        max_filter_values: 20,
        ..Limits::default()
    })
    .await;
    let mut client = house.connect().await;
    for (n, event) in notes(4).iter().enumerate() {
        client.send(json!(["EVENT", event])).await;
        let frame = client.next().await;
        assert_eq!(frame[2], n < 3, "{frame:?}");
        assert!(n < 3 || frame[3].as_str().unwrap().starts_with("rate-limited: "));
    }
    let many: Vec<u16> = (1000..1030).collect();
    for (id, filter, verb) in [
        ("a", json!({"kinds": [7]}), "EOSE"),
        ("b", json!({"kinds": [7]}), "EOSE"),
        ("c", json!({"kinds": [7]}), "CLOSED"),
        ("b", json!({"kinds": [7]}), "EOSE"),
        ("a", json!({"kinds": many}), "CLOSED"),
        ("c", json!({"kinds": [7]}), "EOSE"),
    ] {
        client.send(json!(["REQ", id, filter])).await;
        let frame = client.next().await;
        assert_eq!((&frame[0], &frame[1]), (&json!(verb), &json!(id)), "{frame:?}");
        assert!(verb == "EOSE" || frame[2].as_str().unwrap().starts_with("rate-limited: "));
    }
    for verb in ["COUNT", "COUNT", "CLOSED"] {
        client.send(json!(["COUNT", "n", {}])).await;
        assert_eq!(client.next().await[0], verb);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_silent_peer_is_pinged_and_dropped_and_one_that_answers_stays() {
    let house = House::start(Limits {
        idle_ping: Duration::from_millis(60),
        pong_timeout: Duration::from_millis(120),
        ..Limits::default()
    })
    .await;
    let mut silent = house.connect_raw().await;
    let mut awake = house.connect().await;
    let (code, pings) = tokio::join!(close_code_of(&mut silent), awake.pings(4));
    assert_eq!((code, pings), (1001, 4));
    awake.fence().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_takes_nothing_is_dropped() {
    let house = House::start(Limits { write_timeout: Duration::from_millis(200), ..Limits::default() }).await;
    let mut stalled = house.connect().await;
    stalled.send(json!(["REQ", "s", {"kinds": [1]}])).await;
    eventually("the subscription is live", || house.relay.subscriptions() == 1).await;
    let event = note(&Keys::generate(), &"x".repeat(100_000), 1);
    eventually("the connection is dropped", || {
        house.feed.publish(&event);
        house.relay.connections() == 0
    })
    .await;
}

/// A peer that pings for ever and reads no answer: its pings are not read either once some answers wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_pings_and_reads_nothing_is_not_read_any_more_and_dropped() {
    let house = House::start(Limits { write_timeout: Duration::from_millis(300), ..Limits::default() }).await;
    let mut pinging = house.connect_raw().await;
    // A masked ping (mask 0) with 125 bytes of payload.
    let ping = [&[0x89, 0xfd, 0, 0, 0, 0][..], &[7; 125]].concat();
    let many = ping.repeat(1_000);
    let written = tokio::time::timeout(Duration::from_secs(20), async {
        let mut written = 0;
        while pinging.write_all(&many).await.is_ok() {
            written += many.len();
        }
        written
    });
    let written = written.await.expect("the connection is ended");
    // What both directions' system buffers hold, and nothing near what could be sent in that time.
    assert!(written < 100 << 20, "{written} bytes were taken");
    eventually("the connection is dropped", || house.relay.connections() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_asked_after_events_is_answered_after_they_are_judged() {
    let house = House::start(Limits::default()).await;
    let mut subscriber = house.connect().await;
    subscriber.send(json!(["REQ", "live", {"kinds": [1], "limit": 0}])).await;
    assert_eq!(subscriber.next().await[0], "EOSE");
    let mut client = house.connect().await;
    let keys = Keys::generate();
    for round in 0..20u64 {
        let mut forged = note(&keys, &format!("forged in round {round}"), 1_700_000_000);
        forged.content.push('!');
        client.feed(json!(["EVENT", forged])).await;
        for number in 0..7 {
            let event = note(&keys, &format!("{number} in round {round}"), 1_700_000_000);
            client.feed(json!(["EVENT", event])).await;
        }
        client.send(json!(["CLOSE", "none"])).await;
        client.send(json!(["COUNT", "fence", {"ids": []}])).await;
        let mut answers = 0;
        loop {
            let frame = client.next().await;
            if frame[0] == "COUNT" {
                break;
            }
            assert_eq!(frame[0], "OK");
            answers += 1;
        }
        // The intake was asked about every event before the question, about none that is forged.
        assert_eq!(house.submitted() as u64, 7 * (round + 1));
        for _ in answers..8 {
            assert_eq!(client.next().await[0], "OK");
        }
        for _ in 0..7 {
            let content = subscriber.next().await[2]["content"].as_str().unwrap().to_owned();
            assert!(content.ends_with(&format!(" in round {round}")) && !content.starts_with("forged"));
        }
    }
}

/// What was answered `OK` before a question is asked is delivered before its answer, however closely events follow each
/// other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_event_that_was_taken_is_delivered_before_the_answer_to_a_later_question() {
    let house = House::start(Limits::default()).await;
    let (mut subscriber, mut publisher) = (house.connect().await, house.connect().await);
    subscriber.send(json!(["REQ", "live", {"kinds": [1], "limit": 0}])).await;
    assert_eq!(subscriber.next().await[0], "EOSE");
    for event in notes(200) {
        publisher.send(json!(["EVENT", event])).await;
        assert_eq!(publisher.next().await[2], true);
        subscriber.send(json!(["COUNT", "fence", {"ids": []}])).await;
        let frame = subscriber.next().await;
        assert_eq!((&frame[0], &frame[2]["id"]), (&json!("EVENT"), &json!(event.id)), "{frame:?}");
        assert_eq!(subscriber.next().await[0], "COUNT");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn shutdown_answers_what_was_taken_and_says_goodbye() {
    let house = House::start(Limits::default()).await;
    let mut client = house.connect().await;
    let event = &notes(1)[0];
    client.send(json!(["EVENT", event])).await;
    eventually("it is with the intake", || house.submitted() == 1).await;
    house.shutdown.cancel();
    assert_eq!(client.next().await[2], true);
    assert_eq!(client.close_code().await, 1001);
    eventually("all is over", || house.relay.connections() == 0).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_long_event_travels_both_ways() {
    let house = House::start(Limits::default()).await;
    let mut client: Client = house.connect().await;
    let event = note(&Keys::generate(), &"é\n\"".repeat(250_000), 1_700_000_000);
    client.send(json!(["REQ", "s", {"kinds": [1]}])).await;
    assert_eq!(client.next().await[0], "EOSE");
    client.send(json!(["EVENT", event])).await;
    let (mut ok, mut live) = (false, false);
    while !(ok && live) {
        let frame = client.next().await;
        match frame[0].as_str().unwrap() {
            "OK" => ok = frame[2] == true,
            _ => live = serde_json::from_value::<Event>(frame[2].clone()).unwrap() == event,
        }
    }
}
