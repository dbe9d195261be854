//! Messages that no well-behaved client sends: each gets an answer, and the connection lives.

use std::time::Duration;

use grasp_fixtures::hostile::{Malformed, malformed_messages};
use serde_json::json;

use super::ROW;
use crate::check::{Check, CheckResult, expect, fail};
use crate::context::{Context, SETTLES_WITHIN};
use crate::target::message::RelayMessage;
use crate::target::websocket::Relay;

/// How many hostile messages one connection sends.
const PER_CONNECTION: usize = 20;
/// How long after the answer to a later message an answer may still come.
const ANSWER_OUT_OF_ORDER: Duration = Duration::from_secs(3);

pub(super) fn checks() -> Vec<Check> {
    let part = |name: &str, what: &str, belongs: fn(&Malformed) -> bool| {
        let title = format!("{what}: each is answered, and the connection lives");
        Check::new(ROW, name, title, move |ctx| corpus(ctx, belongs))
    };
    vec![
        part("malformed-messages", "texts that are no message", |message| verb(message).is_empty()),
        part("malformed-events", "EVENTs of wrong shapes", |message| verb(message) == "EVENT"),
        part("malformed-requests", "REQs and filters of wrong shapes", |message| verb(message) == "REQ"),
        part("malformed-others", "CLOSE, COUNT, AUTH and NEG messages of wrong shapes", |message| {
            !["", "EVENT", "REQ"].contains(&verb(message))
        }),
        Check::new(
            ROW,
            "binary-message",
            "a binary message is answered with a NOTICE, or with a close code and reason",
            binary,
        ),
    ]
}

/// The verb of a message that has one and is JSON; empty otherwise.
fn verb(message: &Malformed) -> &str {
    let known = ["EVENT", "REQ", "CLOSE", "COUNT", "AUTH", "NEG-OPEN", "NEG-MSG", "NEG-CLOSE"];
    let begins = |verb: &&str| message.text.starts_with(&format!("[\"{verb}\""));
    known.into_iter().find(begins).unwrap_or_default()
}

async fn corpus(ctx: Context, belongs: fn(&Malformed) -> bool) -> CheckResult {
    let messages: Vec<Malformed> = malformed_messages().into_iter().filter(belongs).collect();
    let mut wrong = Vec::new();
    for some in messages.chunks(PER_CONNECTION) {
        let mut relay = ctx.relay().await?;
        for message in some {
            if let Err(seen) = answered(&relay, message).await {
                wrong.push(format!("{}: {seen}", message.name));
            }
            if !relay.is_open() {
                relay = ctx.relay().await?;
            }
        }
    }
    expect(wrong.is_empty(), "an answer to each, on a connection that lives", wrong.join("\n"))
}

/// Sends the message and a REQ behind it: both must be answered, unless the message may be taken as harmless.
async fn answered(relay: &Relay, message: &Malformed) -> Result<(), String> {
    while relay.next(Duration::ZERO).await.is_ok() {} // what is left of the message before
    relay.send_text(message.text.as_str()).await.map_err(|error| error.to_string())?;
    let probe = json!(["REQ", "still-there", {"limit": 0}]);
    relay.send_json(&probe).await.map_err(|error| error.to_string())?;
    let (mut answer, mut alive) = (false, false);
    while !alive || !(answer || message.lenient) {
        let within = if alive { ANSWER_OUT_OF_ORDER } else { SETTLES_WITHIN };
        match relay.next(within).await {
            Ok(RelayMessage::Eose(id)) if id == "still-there" => alive = true,
            Ok(RelayMessage::Close { code, reason }) => {
                return Err(format!("the connection was closed: {code:?} {reason}"));
            }
            // an event is no answer to a message that makes no sense
            Ok(RelayMessage::Event { .. } | RelayMessage::Auth(_)) => {}
            Ok(_) => answer = true,
            Err(error) if alive => return Err(format!("no answer ({error})")),
            Err(error) => return Err(error.to_string()),
        }
    }
    Ok(())
}

async fn binary(ctx: Context) -> CheckResult {
    let relay = ctx.relay().await?;
    relay.send_binary(br#"["REQ","binary",{"limit":0}]"#.to_vec()).await?;
    loop {
        match relay.next(SETTLES_WITHIN).await {
            Ok(RelayMessage::Auth(_)) => {}
            Ok(RelayMessage::Notice(_) | RelayMessage::Close { code: Some(_), .. }) => return Ok(()),
            other => return Err(fail("a NOTICE, or a close frame with a code", format!("{other:?}"))),
        }
    }
}
