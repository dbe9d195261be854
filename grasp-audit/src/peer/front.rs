//! The front of the peer's relay: it speaks WebSocket with the server under test, records, misbehaves when told, and
//! hands everything else on to the relay behind it.

use std::collections::BTreeSet;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite, DuplexStream};
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::protocol::{Message, Role, WebSocketConfig};

use super::Room;
use super::manners::{Manners, Negentropy};
use super::visits::{Sub, What, covers};

/// Bytes between the front and the relay behind it.
const PIPE: usize = 1 << 20;
/// The longest message that is read, in bytes.
const MAX_MESSAGE: usize = 16 << 20;

/// What becomes of a message of the server.
enum Fate {
    /// The relay behind gets it, changed or not; these are said first.
    Handed { first: Vec<Value>, on: Value },
    /// The front answers in the relay's place.
    Answered(Vec<Value>),
}

/// Serves one connection until it ends.
pub(super) async fn serve(room: &Room, connection: u64, stream: impl AsyncRead + AsyncWrite + Unpin) {
    let config = WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE));
    let outside = WebSocketStream::from_raw_socket(stream, Role::Server, Some(config)).await;
    let (ours, theirs) = tokio::io::duplex(PIPE);
    let inside = WebSocketStream::from_raw_socket(ours, Role::Client, Some(config)).await;
    tokio::select! {
        () = carry(room, connection, outside, inside) => {}
        () = room.relay.serve(theirs) => {}
    }
    room.visits.record(What::Leaves { connection });
}

async fn carry<S>(
    room: &Room,
    connection: u64,
    mut outside: WebSocketStream<S>,
    mut inside: WebSocketStream<DuplexStream>,
) where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut dropped = room.dropped.subscribe();
    let mut answered = BTreeSet::new();
    loop {
        tokio::select! {
            message = outside.next() => {
                let Some(Ok(message)) = message else { return };
                let Message::Text(text) = message else { continue };
                let message: Value = serde_json::from_str(text.as_str()).unwrap_or_default();
                if matches!(message[0].as_str(), Some("REQ" | "NEG-OPEN")) {
                    tokio::time::sleep(room.manners().slow).await;
                }
                let (answers, on) = match heard(room, connection, &message) {
                    Fate::Handed { first, on } => (first, Some(on)),
                    Fate::Answered(answers) => (answers, None),
                };
                for answer in answers {
                    if outside.send(Message::text(answer.to_string())).await.is_err() {
                        return;
                    }
                }
                if let Some(on) = on && inside.send(Message::text(on.to_string())).await.is_err() {
                    return;
                }
            }
            message = inside.next() => {
                let Some(Ok(message)) = message else { return };
                let Message::Text(text) = message else { continue };
                let message: Value = serde_json::from_str(text.as_str()).unwrap_or_default();
                let manners = room.manners();
                if message[0] == "EOSE" && manners.no_eose {
                    continue;
                }
                told(room, connection, &message, &mut answered);
                if outside.send(Message::text(text.as_str())).await.is_err() {
                    return;
                }
            }
            _ = dropped.changed() => return,
            () = room.gone.cancelled() => return,
        }
    }
}

fn sub(connection: u64, message: &Value) -> Sub {
    let name = message[1].as_str().map_or_else(|| message[1].to_string(), str::to_owned);
    Sub { connection, name }
}

/// Records what the server says, and decides what becomes of it.
fn heard(room: &Room, connection: u64, message: &Value) -> Fate {
    let manners = room.manners();
    let sub = sub(connection, message);
    match message[0].as_str() {
        Some("REQ") => {
            let filters =
                message.as_array().map(|parts| parts[2.min(parts.len())..].to_vec()).unwrap_or_default();
            room.visits.record(What::Asks { sub: sub.clone(), filters: filters.clone() });
            match &manners.closes {
                Some(reason) => Fate::Answered(vec![end(room, "CLOSED", sub, reason)]),
                None => asked(room, &manners, sub, &filters),
            }
        }
        Some("NEG-OPEN") => {
            room.visits.record(What::Reconciles { sub: sub.clone(), filter: message[2].clone() });
            match (&manners.closes, manners.negentropy) {
                (Some(reason), _) => Fate::Answered(vec![end(room, "NEG-ERR", sub, reason)]),
                (None, Negentropy::Spoken) => Fate::Handed { first: Vec::new(), on: message.clone() },
                (None, Negentropy::Refused) => {
                    Fate::Answered(vec![end(room, "NEG-ERR", sub, "blocked: no reconciliation here")])
                }
                (None, Negentropy::Unknown) => {
                    Fate::Answered(vec![json!(["NOTICE", "ERROR: bad msg: unknown command"])])
                }
            }
        }
        Some("CLOSE" | "NEG-CLOSE") => {
            room.visits.record(What::Closes(sub));
            Fate::Handed { first: Vec::new(), on: message.clone() }
        }
        _ => Fate::Handed { first: Vec::new(), on: message.clone() },
    }
}

fn end(room: &Room, word: &str, sub: Sub, reason: &str) -> Value {
    let message = json!([word, sub.name, reason]);
    room.visits.record(What::Ended { sub, reason: reason.to_owned() });
    message
}

/// A question goes on with no more results than the peer gives; what it sends of its own accord comes first.
fn asked(room: &Room, manners: &Manners, sub: Sub, filters: &[Value]) -> Fate {
    let matching = manners.forged.iter().filter(|forged| {
        let event = serde_json::from_value((*forged).clone());
        event.is_ok_and(|event| filters.iter().any(|filter| covers(filter, &event)))
    });
    let first = matching.chain(&manners.unasked).map(|event| {
        let id = event["id"].as_str().unwrap_or_default().to_owned();
        room.visits.record(What::Delivered { sub: sub.clone(), event: id, live: false });
        json!(["EVENT", sub.name, event])
    });
    let first: Vec<Value> = first.collect();
    let mut on = vec![json!("REQ"), json!(sub.name)];
    on.extend(filters.iter().map(|filter| {
        let mut filter = filter.clone();
        let limit = filter["limit"].as_u64().unwrap_or(u64::MAX).min(manners.page as u64);
        if filter.is_object() {
            filter["limit"] = json!(limit);
        }
        filter
    }));
    Fate::Handed { first, on: Value::Array(on) }
}

/// Records what the relay says.
fn told(room: &Room, connection: u64, message: &Value, answered: &mut BTreeSet<String>) {
    let sub = sub(connection, message);
    match message[0].as_str() {
        Some("EVENT") => {
            let event = message[2]["id"].as_str().unwrap_or_default().to_owned();
            let live = answered.contains(&sub.name);
            room.visits.record(What::Delivered { sub, event, live });
        }
        Some("EOSE") => {
            answered.insert(sub.name.clone());
            room.visits.record(What::Answered(sub));
        }
        Some("CLOSED" | "NEG-ERR") => {
            answered.remove(&sub.name);
            let reason = message[2].as_str().unwrap_or_default().to_owned();
            room.visits.record(What::Ended { sub, reason });
        }
        _ => {}
    }
}
