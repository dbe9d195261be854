//! Answers to messages that no well-behaved client sends.
//!
//! A well-formed question follows each of them; when it is answered, and a moment later nothing else has come, the relay
//! said nothing. After a silence the connection is left, so that no late answer is taken for that to the next message.

use std::sync::Arc;
use std::time::Duration;

use grasp_fixtures::hostile::{Malformed, malformed_messages};
use serde_json::{Value, json};

use super::Entry;
use super::world::World;
use crate::target::message::RelayMessage;
use crate::target::transcript::Transcript;
use crate::target::websocket::{Relay, RelayError};
use crate::target::{ANSWER_WITHIN, Target};

/// How long an answer may come after that to the question behind it.
const MOMENT: Duration = Duration::from_secs(2);
/// The subscription of the question.
const MARKER: &str = "surface-marker";
/// How many characters of an answer are written down.
const SHOWN_ANSWER: usize = 160;

pub(super) async fn entries(world: &World) -> Vec<Entry> {
    let redaction = world.redaction();
    let mut entries = Vec::new();
    let mut relay = None;
    for malformed in malformed_messages().into_iter().filter(|malformed| !malformed.lenient) {
        let seen = match ask(&mut relay, &world.target, &malformed).await {
            Ok(said) => json!(redaction.apply(&said)),
            Err(error) => json!({"no answer": redaction.apply(&error.to_string())}),
        };
        entries.push(Entry::new(format!("message/{}", malformed.name), &[requirement(&malformed)], seen));
    }
    entries
}

fn requirement(malformed: &Malformed) -> &'static str {
    if malformed.name.starts_with("NEG-") { "G02/sync/negentropy" } else { "G01/relay/nip01" }
}

/// A connection for one thing that is looked at.
pub(super) async fn connect(target: &Target) -> Result<Relay, RelayError> {
    Relay::connect(target, Arc::new(Transcript::new()), "ws".to_owned()).await
}

async fn ask(
    relay: &mut Option<Relay>,
    target: &Target,
    malformed: &Malformed,
) -> Result<String, RelayError> {
    let open = match relay.take().filter(Relay::is_open) {
        Some(open) => open,
        None => connect(target).await?,
    };
    open.send_text(malformed.text.clone()).await?;
    match said(&open, ANSWER_WITHIN, true).await {
        Ok(Some(said)) => {
            *relay = Some(open);
            Ok(said)
        }
        Ok(None) => match said(&open, MOMENT, false).await {
            Ok(said) => Ok(said.unwrap_or_default()),
            Err(RelayError::Late { .. }) => Ok("nothing".to_owned()),
            Err(error) => ended(error),
        },
        Err(error) => ended(error),
    }
}

/// That the relay ends the connection is an answer as well.
fn ended(error: RelayError) -> Result<String, RelayError> {
    match error {
        RelayError::Ended(_) => Ok("the connection ends".to_owned()),
        other => Err(other),
    }
}

/// The next answer, or `None` when that to the marker comes first.
async fn said(relay: &Relay, within: Duration, with_marker: bool) -> Result<Option<String>, RelayError> {
    if with_marker {
        let question = json!(["REQ", MARKER, {"kinds": [1], "limit": 1}]);
        // a connection that has ended has answered before
        let _ = relay.send_json(&question).await;
    }
    relay
        .take("answer", within, |message| match message {
            RelayMessage::Auth(_) | RelayMessage::Event { .. } => None,
            RelayMessage::Eose(id) | RelayMessage::Closed { subscription: id, .. } if id == MARKER => {
                with_marker.then_some(Ok(None))
            }
            other => Some(Ok(Some(shown(other)))),
        })
        .await
}

fn shown(message: &RelayMessage) -> String {
    let text = match message {
        RelayMessage::Ok { accepted, message, .. } => format!("OK {accepted} {message}"),
        RelayMessage::Closed { subscription, reason } => format!("CLOSED {subscription:?} {reason}"),
        RelayMessage::Notice(text) => format!("NOTICE {text}"),
        RelayMessage::NegErr { reason, .. } => format!("NEG-ERR {reason}"),
        RelayMessage::NegMsg { .. } => "NEG-MSG".to_owned(),
        RelayMessage::Eose(subscription) => format!("EOSE {subscription:?}"),
        RelayMessage::Count { subscription, .. } => format!("COUNT {subscription:?}"),
        RelayMessage::Close { code, reason } => closing(*code, reason),
        RelayMessage::Binary(length) => format!("{length} binary bytes"),
        RelayMessage::Unknown(text) => text.clone(),
        RelayMessage::Auth(_) | RelayMessage::Event { .. } => String::new(),
    };
    text.chars().take(SHOWN_ANSWER).collect()
}

/// A close frame in words.
pub(super) fn closing(code: Option<u16>, reason: &str) -> String {
    let code = code.map_or_else(|| "without a code".to_owned(), |code| code.to_string());
    format!("close {code} {reason}").trim_end().to_owned()
}

/// What was seen, as JSON, for entries that are one sentence.
pub(super) fn sentence(said: Result<String, RelayError>) -> Value {
    match said {
        Ok(said) => json!(said),
        Err(error) => json!({"no answer": error.to_string()}),
    }
}
