//! A relay's side of negentropy (NIP-77), played by the proxy over everything that the relay has ever taken.

use std::collections::BTreeMap;

use grasp_fixtures::faulty_proxy::{Fate, Heard, Side};
use negentropy::{Id, Negentropy, NegentropyStorageVector};
use nostr::filter::Filter;
use serde_json::{Value, json};

use super::shadow::Kept;

/// The largest message of a session, in bytes.
const FRAME: u64 = 60_000;

/// The open reconciliations of one connection.
#[derive(Default)]
pub(crate) struct Reconciliations(BTreeMap<String, Negentropy<'static, NegentropyStorageVector>>);

impl Reconciliations {
    /// Answers NEG messages of the client from what is kept; anything else goes on.
    pub(crate) fn hear(&mut self, heard: &Heard, kept: &Kept) -> Fate {
        let id = heard.json[1].as_str().unwrap_or_default();
        match heard.verb_of(Side::Client) {
            "NEG-OPEN" => {
                let filter: Filter = serde_json::from_value(heard.json[2].clone()).unwrap_or_default();
                self.0.insert(id.to_owned(), session(&kept.matching(&[filter])));
                self.answer(id, &heard.json[3])
            }
            "NEG-MSG" => self.answer(id, &heard.json[2]),
            "NEG-CLOSE" => {
                self.0.remove(id);
                Fate::Drop
            }
            _ => Fate::Pass,
        }
    }

    fn answer(&mut self, id: &str, message: &Value) -> Fate {
        let message = message.as_str().and_then(|text| hex::decode(text).ok()).unwrap_or_default();
        match self.0.get_mut(id).map(|session| session.reconcile(&message)) {
            Some(Ok(answer)) => Fate::tell(json!(["NEG-MSG", id, hex::encode(answer)])),
            _ => Fate::tell(json!(["NEG-ERR", id, "invalid: it makes no sense"])),
        }
    }
}

fn session(events: &[Value]) -> Negentropy<'static, NegentropyStorageVector> {
    let mut storage = NegentropyStorageVector::new();
    for event in events {
        let id = event["id"].as_str().and_then(|id| hex::decode(id).ok());
        let id: Option<[u8; 32]> = id.and_then(|id| id.try_into().ok());
        if let Some(id) = id {
            let time = event["created_at"].as_u64().unwrap_or_default();
            storage.insert(time, Id::from_byte_array(id)).unwrap();
        }
    }
    storage.seal().unwrap();
    Negentropy::owned(storage, FRAME).unwrap()
}
