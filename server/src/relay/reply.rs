//! What the relay says (NIP-01, 42, 45, 77), as JSON text. Pure.

use nostr::event::EventId;
use serde_json::json;

/// `["OK", id, accepted, message]`
#[must_use]
pub fn ok(id: &EventId, accepted: bool, message: &str) -> String {
    json!(["OK", id, accepted, message]).to_string()
}

/// `["OK", id, false, message]` for an id as the client wrote it.
#[must_use]
pub fn refused(id: &str, message: &str) -> String {
    json!(["OK", id, false, message]).to_string()
}

/// `["EOSE", subscription]`
#[must_use]
pub fn eose(subscription: &str) -> String {
    json!(["EOSE", subscription]).to_string()
}

/// `["CLOSED", subscription, message]`
#[must_use]
pub fn closed(subscription: &str, message: &str) -> String {
    json!(["CLOSED", subscription, message]).to_string()
}

/// `["NOTICE", message]`
#[must_use]
pub fn notice(message: &str) -> String {
    json!(["NOTICE", message]).to_string()
}

/// `["AUTH", challenge]` (NIP-42)
#[must_use]
pub fn auth(challenge: &str) -> String {
    json!(["AUTH", challenge]).to_string()
}

/// `["COUNT", subscription, {"count": …}]` (NIP-45)
#[must_use]
pub fn count(subscription: &str, count: usize, approximate: bool) -> String {
    if approximate {
        return json!(["COUNT", subscription, {"count": count, "approximate": true}]).to_string();
    }
    json!(["COUNT", subscription, {"count": count}]).to_string()
}

/// `["NEG-MSG", subscription, hex]` (NIP-77)
#[must_use]
pub fn neg_msg(subscription: &str, message: &[u8]) -> String {
    json!(["NEG-MSG", subscription, hex::encode(message)]).to_string()
}

/// `["NEG-ERR", subscription, reason]` (NIP-77)
#[must_use]
pub fn neg_err(subscription: &str, reason: &str) -> String {
    json!(["NEG-ERR", subscription, reason]).to_string()
}

/// The part of an EVENT frame before the event: `["EVENT","subscription",`
#[must_use]
pub fn event_head(subscription: &str) -> String {
    format!("[\"EVENT\",{},", json!(subscription))
}

/// A whole EVENT frame from its head and an event that is JSON already.
#[must_use]
pub fn event(head: &str, event: &str) -> String {
    let mut frame = String::with_capacity(head.len() + event.len() + 1);
    frame.push_str(head);
    frame.push_str(event);
    frame.push(']');
    frame
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn ids_and_reasons_are_escaped() {
        let odd = "a\"b\\\n\u{1F600}";
        for text in
            [eose(odd), closed(odd, odd), notice(odd), event(&event_head(odd), "{}"), neg_err(odd, odd)]
        {
            let parts: Vec<serde_json::Value> = serde_json::from_str(&text).unwrap();
            assert_eq!(parts[1], odd);
        }
    }

    #[test]
    fn counts_say_when_they_are_approximate() {
        assert_eq!(count("s", 3, false), r#"["COUNT","s",{"count":3}]"#);
        assert_eq!(count("s", 3, true), r#"["COUNT","s",{"approximate":true,"count":3}]"#);
    }
}
