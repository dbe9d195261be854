//! Set reconciliation with the relay (NIP-77): which ids has it that we lack, and the other way round.

use negentropy::{Id, Negentropy, NegentropyStorageVector};
use nostr::event::Event;
use serde_json::{Value, json};

use super::ANSWER_WITHIN;
use super::message::RelayMessage;
use super::websocket::{Relay, RelayError};

/// The largest message of a session we send, in bytes.
const MAX_FRAME: u64 = 60_000;
/// How many messages a session may take.
const MAX_ROUNDS: usize = 64;

/// What a reconciliation found, ids as hex.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// Ours that the relay lacks.
    pub have: Vec<String>,
    /// The relay's that we lack.
    pub need: Vec<String>,
}

impl Relay {
    /// Ids the relay has for a filter; `None` when it does not speak negentropy.
    ///
    /// # Errors
    /// When the connection ends or the relay's messages cannot be read.
    pub async fn neg_ids(&self, filter: &Value) -> Result<Option<Vec<String>>, RelayError> {
        let difference = self.neg_difference(filter, &[]).await?;
        Ok(difference.map(|difference| difference.need))
    }

    /// Holds `ours` against what the relay has for a filter; `None` when it does not speak negentropy.
    ///
    /// # Errors
    /// When the connection ends or the relay's messages cannot be read.
    pub async fn neg_difference(
        &self,
        filter: &Value,
        ours: &[&Event],
    ) -> Result<Option<Difference>, RelayError> {
        let mut storage = NegentropyStorageVector::new();
        for event in ours {
            storage
                .insert(event.created_at.as_secs(), Id::from_byte_array(event.id.to_bytes()))
                .map_err(garbled)?;
        }
        storage.seal().map_err(garbled)?;
        let mut session = Negentropy::owned(storage, MAX_FRAME).map_err(garbled)?;
        let (mut have, mut need) = (Vec::new(), Vec::new());
        let wanted = self.fresh_id();
        let first = hex::encode(session.initiate().map_err(garbled)?);
        let mut message = json!(["NEG-OPEN", wanted, filter, first]);
        for _round in 0..MAX_ROUNDS {
            self.send_json(&message).await?;
            let Some(bytes) = self.neg_answer(&wanted).await? else { return Ok(None) };
            match session.reconcile_with_ids(&bytes, &mut have, &mut need).map_err(garbled)? {
                Some(next) => message = json!(["NEG-MSG", wanted, hex::encode(next)]),
                None => break,
            }
        }
        self.send_json(&json!(["NEG-CLOSE", wanted])).await?;
        let text = |ids: &[Id]| ids.iter().map(|id| hex::encode(id.as_slice())).collect();
        Ok(Some(Difference { have: text(&have), need: text(&need) }))
    }

    async fn neg_answer(&self, wanted: &str) -> Result<Option<Vec<u8>>, RelayError> {
        self.take("NEG-MSG", ANSWER_WITHIN, |message| match message {
            RelayMessage::NegMsg { subscription, hex } if subscription == wanted => {
                Some(hex::decode(hex).map(Some).map_err(|_| RelayError::Forged("NEG-MSG is no hex".into())))
            }
            RelayMessage::NegErr { subscription, .. } | RelayMessage::Closed { subscription, .. }
                if subscription == wanted =>
            {
                Some(Ok(None))
            }
            RelayMessage::Notice(_) => Some(Ok(None)),
            _ => None,
        })
        .await
    }
}

fn garbled(error: negentropy::Error) -> RelayError {
    RelayError::Forged(format!("negentropy: {error}"))
}
