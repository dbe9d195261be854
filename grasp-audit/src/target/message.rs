//! What a relay may say (NIP-01, 42, 45, 77), read leniently: what is no such message is kept as it came.

use serde_json::Value;

/// One message of the relay.
#[derive(Debug, Clone, PartialEq)]
pub enum RelayMessage {
    /// An event for a subscription, not verified yet.
    Event {
        /// Subscription id.
        subscription: String,
        /// The event as it came.
        event: Value,
    },
    /// The answer to an EVENT.
    Ok {
        /// Event id.
        id: String,
        /// Whether it was taken.
        accepted: bool,
        /// The relay's words.
        message: String,
    },
    /// End of stored events.
    Eose(String),
    /// The relay ended a subscription.
    Closed {
        /// Subscription id.
        subscription: String,
        /// The relay's words.
        reason: String,
    },
    /// A remark.
    Notice(String),
    /// A challenge (NIP-42).
    Auth(String),
    /// A count (NIP-45).
    Count {
        /// Subscription id.
        subscription: String,
        /// How many.
        count: u64,
    },
    /// A negentropy message (NIP-77).
    NegMsg {
        /// Subscription id.
        subscription: String,
        /// The message, hex.
        hex: String,
    },
    /// A negentropy refusal (NIP-77).
    NegErr {
        /// Subscription id.
        subscription: String,
        /// The relay's words.
        reason: String,
    },
    /// A binary frame of that many bytes.
    Binary(usize),
    /// A close frame.
    Close {
        /// Its code, if any.
        code: Option<u16>,
        /// Its reason.
        reason: String,
    },
    /// A text frame that is none of these.
    Unknown(String),
}

impl RelayMessage {
    /// Reads a text frame.
    #[must_use]
    pub fn parse(text: &str) -> Self {
        let parsed: Option<Value> = serde_json::from_str(text).ok();
        parsed.as_ref().and_then(known).unwrap_or_else(|| Self::Unknown(text.to_owned()))
    }
}

fn known(message: &Value) -> Option<RelayMessage> {
    let text = |position: usize| Some(message[position].as_str()?.to_owned());
    let words = |position: usize| message[position].as_str().unwrap_or_default().to_owned();
    Some(match message[0].as_str()? {
        "EVENT" => RelayMessage::Event { subscription: text(1)?, event: message.get(2)?.clone() },
        "OK" => RelayMessage::Ok { id: text(1)?, accepted: message[2].as_bool()?, message: words(3) },
        "EOSE" => RelayMessage::Eose(text(1)?),
        "CLOSED" => RelayMessage::Closed { subscription: text(1)?, reason: words(2) },
        "NOTICE" => RelayMessage::Notice(words(1)),
        "AUTH" => RelayMessage::Auth(text(1)?),
        "COUNT" => RelayMessage::Count { subscription: text(1)?, count: message[2]["count"].as_u64()? },
        "NEG-MSG" => RelayMessage::NegMsg { subscription: text(1)?, hex: text(2)? },
        "NEG-ERR" => RelayMessage::NegErr { subscription: text(1)?, reason: words(2) },
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_message_is_kept() {
        for text in ["[]", "{}", "x", r#"["OK",1]"#, r#"["COUNT","a",{}]"#] {
            assert_eq!(RelayMessage::parse(text), RelayMessage::Unknown(text.to_owned()));
        }
        let ok = RelayMessage::Ok { id: "a".into(), accepted: true, message: String::new() };
        assert_eq!(RelayMessage::parse(r#"["OK","a",true]"#), ok);
    }
}
