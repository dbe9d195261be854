//! With which code and reason the relay ends a connection.

use std::time::Duration;

use super::Entry;
use super::messages::{closing, connect, sentence};
use super::world::World;
use crate::target::Target;
use crate::target::websocket::{Relay, RelayError};

const WITHIN: Duration = Duration::from_secs(5);
/// A message longer than this is not sent to find out what becomes of it, in bytes.
const MOST: usize = 4 << 20;

pub(super) async fn entries(world: &World) -> Vec<Entry> {
    let (target, redaction) = (&world.target, world.redaction());
    let mut entries = vec![Entry::new(
        "close/a binary message",
        &["G01/relay/nip01"],
        redaction.of(sentence(after_binary(target).await)),
    )];
    let too_long = match target.limits.max_message_length {
        Some(limit) if limit < MOST => sentence(after_text(target, limit + 1).await),
        Some(limit) => format!("not looked at: max_message_length is {limit}").into(),
        None => "not looked at: max_message_length is not stated".into(),
    };
    let requirements = ["G01/relay/nip01", "G01/nip11/limits"];
    entries.push(Entry::new("close/a message that is too long", &requirements, redaction.of(too_long)));
    entries
}

async fn after_binary(target: &Target) -> Result<String, RelayError> {
    let relay = connect(target).await?;
    relay.send_binary(vec![0; 10]).await?;
    end(&relay).await
}

async fn after_text(target: &Target, length: usize) -> Result<String, RelayError> {
    let relay = connect(target).await?;
    relay.send_text("x".repeat(length)).await?;
    end(&relay).await
}

async fn end(relay: &Relay) -> Result<String, RelayError> {
    match relay.closed(WITHIN).await {
        Ok(Some((code, reason))) => Ok(closing(code, &reason)),
        Ok(None) => Ok("the connection ends without a close frame".to_owned()),
        Err(RelayError::Late { .. }) => Ok("it stays open".to_owned()),
        Err(error) => Err(error),
    }
}
