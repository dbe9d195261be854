//! Too much of what is allowed: queries, filters, subscriptions, events, connections.

use std::time::Instant;

use grasp_fixtures::{events::note, keys};
use serde_json::{Value, json};

use super::super::case::{Area, Case, Findings};
use super::super::frames::{Frame, Reaction, Socket, UNANSWERED};
use super::super::ground::{Ground, left};
use super::super::meter::Load;
use super::super::wire::Meanwhile;
use crate::check::{CheckResult, Ending};
use crate::target::message::RelayMessage;

/// Broad queries, on each of so many connections.
const QUERIES: usize = 20;
const ASKING: usize = 8;
/// Subscriptions that are opened on one connection.
const SUBSCRIPTIONS: usize = 2_000;
/// Events that no relay of this kind takes.
const EVENTS: usize = 2_000;
/// Connections with a subscription to everything.
const CONNECTIONS: usize = 200;
/// Clients that ask for everything and are gone.
const VANISHING: usize = 40;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            Area::Relay,
            "broad-queries",
            "160 REQs for everything over eight connections, each with five filters without any condition, and as many COUNTs",
            "answers or refuses each in the end, and goes on serving others",
            Load::new(8, 700, 200_000),
            broad_queries,
        ),
        Case::new(
            Area::Relay,
            "filter-floods",
            "REQs with 50,000 ids, authors and tag values, 2,000 filters, and the widest ranges of everything",
            "answers or refuses each with a CLOSED, and the connection lives",
            Load::new(2, 90, 24_000_000),
            filters,
        ),
        Case::new(
            Area::Relay,
            "subscription-flood",
            "2,000 subscriptions on one connection",
            "refuses them with a CLOSED beyond the number it states, and goes on serving",
            Load::new(1, 2_100, 400_000),
            subscriptions,
        ),
        Case::new(
            Area::Relay,
            "subscription-churn",
            "one subscription id, opened and closed 2,000 times without waiting for an answer",
            "keeps up, and the last one is answered",
            Load::new(1, 4_100, 400_000),
            churn,
        ),
        Case::new(
            Area::Relay,
            "event-flood",
            "2,000 events that belong to no repository, as fast as they go",
            "answers every one with OK false, or says that it is too many",
            Load::new(1, 2_100, 2_000_000),
            events,
        ),
        Case::new(
            Area::Relay,
            "connection-flood",
            "200 connections, each subscribed to everything",
            "serves or turns away each, and goes on serving others",
            Load::new(200, 700, 200_000),
            connections,
        ),
        Case::new(
            Area::Relay,
            "vanishing-clients",
            "40 clients that ask for everything a hundredfold and are gone before the answer",
            "stops working for them",
            Load::new(40, 200, 800_000),
            vanishing,
        ),
    ]
}

/// Reads until a question is answered; whether it was answered or refused.
async fn settled(deadline: Instant, socket: &mut Socket, of: &str) -> Result<&'static str, Reaction> {
    socket
        .hear(left(deadline), |message| match message {
            RelayMessage::Eose(id) if id == of => Some("EOSE"),
            RelayMessage::Count { subscription, .. } if subscription == of => Some("COUNT"),
            RelayMessage::Closed { subscription, .. } if subscription == of => Some("CLOSED"),
            _ => None,
        })
        .await
}

async fn broad_queries(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let everything = json!({"limit": 5_000});
    let mut sockets = Vec::new();
    for connection in 0..ASKING {
        let mut socket = ground.socket().await?;
        let mut frames = Vec::new();
        for number in 0..QUERIES {
            let mut request = vec![json!("REQ"), json!(format!("q{connection}-{number}"))];
            request.extend(std::iter::repeat_n(everything.clone(), 5));
            frames.push(Frame::text(Value::Array(request).to_string()));
            frames.push(Frame::text(json!(["COUNT", format!("c{connection}-{number}"), {}]).to_string()));
        }
        socket.send(&frames).await?;
        sockets.push((connection, socket));
    }
    let deadline = Instant::now() + ground.answer_within() * 4;
    for (connection, socket) in &mut sockets {
        let last = format!("q{connection}-{}", QUERIES - 1);
        match settled(deadline, socket, &last).await {
            Ok(answer) => findings.robust(answer),
            Err(Reaction::Silent) => findings.weak("the last query of a connection", "never answered"),
            Err(reaction) => findings.tolerable("a connection", reaction),
        }
    }
    Ok(findings)
}

async fn filters(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let ids = |count: usize| (0..count).map(|number| format!("{number:064x}")).collect::<Vec<_>>();
    let values = |count: usize| (0..count).map(|number| format!("value-{number}")).collect::<Vec<_>>();
    let filters: Vec<(&str, Vec<Value>)> = vec![
        ("50,000 ids", vec![json!({"ids": ids(50_000)})]),
        ("50,000 authors", vec![json!({"authors": ids(50_000)})]),
        ("50,000 tag values", vec![json!({"#t": values(50_000)})]),
        ("all kinds", vec![json!({"kinds": (0..65_536).collect::<Vec<u32>>(), "limit": 1})]),
        (
            "authors, kinds and tags at once",
            vec![
                json!({"authors": ids(1_000), "kinds": (0..1_000).collect::<Vec<u32>>(), "#t": values(1_000), "#e": ids(1_000)}),
            ],
        ),
        ("2,000 filters", (0..2_000).map(|number| json!({"kinds": [number], "limit": 1})).collect()),
        (
            "a tag for every letter",
            vec![{
                let letters =
                    ('a'..='z').chain('A'..='Z').map(|letter| (format!("#{letter}"), json!(values(20))));
                Value::Object(letters.collect())
            }],
        ),
        ("a value of 1 MB", vec![json!({"#t": ["v".repeat(1_000_000)]})]),
        ("a search of 100 KB", vec![json!({"search": "(a*)*".repeat(20_000), "limit": 1})]),
        ("times at both ends", vec![json!({"since": 0, "until": u64::MAX, "limit": 1})]),
        ("a time before it began", vec![json!({"since": u64::MAX, "until": 0, "limit": u32::MAX})]),
    ];
    let mut socket = ground.socket().await?;
    for (what, filters) in filters {
        let request: Vec<Value> = [json!("REQ"), json!("wide")].into_iter().chain(filters).collect();
        let text = Value::Array(request).to_string();
        if ground.ctx.target.limits.max_message_length.is_some_and(|limit| text.len() > limit) {
            continue; // that is another case
        }
        socket.text(text).await?;
        match socket.reaction().await? {
            reaction @ (Reaction::Answered(_) | Reaction::Ignored) => findings.understood(what, &reaction),
            reaction => {
                findings.message(what, &reaction);
                socket = ground.socket().await?;
            }
        }
        socket.json(&json!(["CLOSE", "wide"])).await?;
    }
    Ok(findings)
}

async fn subscriptions(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let stated = ground.ctx.target.limits.max_subscriptions;
    let mut socket = ground.socket().await?;
    let open = |number: usize| Frame::text(json!(["REQ", format!("s{number}"), {"limit": 0}]).to_string());
    let frames: Vec<Frame> = (0..SUBSCRIPTIONS).map(open).collect();
    socket.send(&frames).await?;
    let (mut taken, mut refused) = (0, 0);
    while taken + refused < SUBSCRIPTIONS {
        let answer = socket
            .hear(ground.answer_within(), |message| match message {
                RelayMessage::Eose(_) => Some(true),
                RelayMessage::Closed { .. } | RelayMessage::Notice(_) => Some(false),
                _ => None,
            })
            .await;
        match answer {
            Ok(true) => taken += 1,
            Ok(false) => refused += 1,
            Err(reaction @ (Reaction::Closed(..) | Reaction::Cut)) => {
                findings.tolerable(
                    "2,000 subscriptions",
                    format!("after {taken} the connection is ended: {reaction}"),
                );
                return Ok(findings);
            }
            Err(reaction) => {
                findings.weak(
                    "2,000 subscriptions",
                    format!("{} were not answered: {reaction}", SUBSCRIPTIONS - taken - refused),
                );
                return Ok(findings);
            }
        }
    }
    match stated {
        Some(stated) if taken > stated => {
            findings.weak("2,000 subscriptions", format!("{taken} are open, although {stated} are stated"));
        }
        None if refused == 0 => {
            findings.tolerable("2,000 subscriptions", "all are open: no bound is stated or found")
        }
        _ => findings.robust(format!("{taken} are open, {refused} refused")),
    }
    let mut second = ground.ctx.relay().await;
    if let Ok(relay) = &mut second {
        relay.req(&[json!({"limit": 1})]).await?;
    }
    Ok(findings)
}

async fn churn(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let mut socket = ground.socket().await?;
    let request = Frame::text(json!(["REQ", "churn", {"limit": 10}]).to_string());
    let close = Frame::text(json!(["CLOSE", "churn"]).to_string());
    let frames: Vec<Frame> = (0..SUBSCRIPTIONS).flat_map(|_| [request.clone(), close.clone()]).collect();
    socket.send(&frames).await?;
    findings.understood("after 2,000 times", &socket.still_there(|_| false).await?);
    Ok(findings)
}

async fn events(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let author = keys::fresh();
    let now = ground.ctx.now();
    let frames: Vec<Frame> = (0..EVENTS)
        .map(|number| {
            let event = note(&format!("flood {number}")).at(now - number as u64).sign(&author);
            Frame::text(json!(["EVENT", event]).to_string())
        })
        .collect();
    let mut socket = ground.socket().await?;
    socket.send(&frames).await?;
    let mut answered = 0;
    while answered < EVENTS {
        let answer = socket
            .hear(ground.answer_within(), |message| match message {
                RelayMessage::Ok { accepted, .. } => Some(*accepted),
                _ => None,
            })
            .await;
        match answer {
            Ok(false) => answered += 1,
            Ok(true) => {
                findings.weak("an event that belongs to no repository", "taken, like any number of others");
                return Ok(findings);
            }
            Err(reaction @ (Reaction::Closed(..) | Reaction::Cut)) => {
                findings.tolerable(
                    "2,000 events",
                    format!("after {answered} the connection is ended: {reaction}"),
                );
                return Ok(findings);
            }
            Err(reaction) => {
                findings.weak("2,000 events", format!("{} were not answered: {reaction}", EVENTS - answered));
                return Ok(findings);
            }
        }
    }
    findings.robust("every event is answered OK false");
    Ok(findings)
}

async fn connections(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let mut sockets = Vec::new();
    for number in 0..CONNECTIONS {
        match ground.socket().await {
            Ok(mut socket) => {
                socket.json(&json!(["REQ", "all", {"limit": 1}])).await?;
                sockets.push(socket);
            }
            Err(Ending::Fail { seen, .. }) if seen == UNANSWERED => {
                findings.weak(
                    "one of 200 connections",
                    format!("number {number} is neither served nor turned away"),
                );
                break;
            }
            // To take fewer is a server's right; a limit is found once.
            Err(_) => {
                findings.robust(format!("takes {number} connections and no more"));
                break;
            }
        }
    }
    let deadline = Instant::now() + ground.answer_within() * 4;
    for socket in &mut sockets {
        match settled(deadline, socket, "all").await {
            Ok(answer) => findings.robust(answer),
            Err(Reaction::Silent) => findings.weak("one of 200 connections", "its query was not answered"),
            Err(reaction) => findings.tolerable("one of 200 connections", reaction),
        }
    }
    Ok(findings)
}

async fn vanishing(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let filters = vec![json!({"limit": 5_000}); 50];
    let mut sockets = Vec::new();
    for _ in 0..VANISHING {
        let mut socket = ground.socket().await?;
        let request: Vec<Value> = [json!("REQ"), json!("gone")].into_iter().chain(filters.clone()).collect();
        let frames = [
            Frame::text(Value::Array(request).to_string()),
            Frame::text(json!(["COUNT", "c", {}]).to_string()),
        ];
        socket.send_as(&frames, Meanwhile::IsDeaf).await?;
        sockets.push(socket);
    }
    drop(sockets);
    let relay = ground.ctx.relay().await?;
    relay.req(&[json!({"limit": 1})]).await?;
    findings.robust("others are served");
    Ok(findings)
}
