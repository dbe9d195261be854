//! What another relay says about itself (NIP-11).

use ::http::HeaderValue;
use ::http::header::ACCEPT;
use serde_json::Value;

use super::input::RelayLimits;
use crate::outbound::http::Question;
use crate::outbound::{Destination, Outbound, OutboundError};

/// The longest document that is read, in bytes.
const MAX_DOCUMENT: u64 = 64 << 10;

/// Asks a relay for its document. Nothing when it has none that can be read.
///
/// # Errors
/// When there is no answer.
pub(super) async fn ask(
    outbound: &Outbound,
    relay: &Destination,
) -> Result<Option<RelayLimits>, OutboundError> {
    let question =
        Question::get(MAX_DOCUMENT).with(ACCEPT, HeaderValue::from_static("application/nostr+json"));
    let answer = outbound.ask(&relay.as_web(), &question).await?;
    if !answer.status.is_success() {
        return Ok(None);
    }
    Ok(serde_json::from_slice(&answer.whole().await?).ok().map(|document| read(&document)))
}

fn read(document: &Value) -> RelayLimits {
    // Zero and nonsense are no limits that anybody could keep.
    let number = |name: &str| {
        let number = document["limitation"][name].as_u64().filter(|number| *number > 0)?;
        usize::try_from(number).ok()
    };
    let nips = document["supported_nips"].as_array();
    RelayLimits {
        subscriptions: number("max_subscriptions"),
        filters: number("max_filters"),
        results: number("max_limit"),
        message_bytes: number("max_message_length"),
        negentropy: nips.map(|nips| nips.iter().any(|nip| *nip == 77)),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn limits_are_read_and_nonsense_is_left_out() {
        let document = json!({
            "supported_nips": [1, 11, 77],
            "limitation": {"max_subscriptions": 20, "max_filters": 0, "max_limit": "many", "max_message_length": 131_072},
        });
        let expected = RelayLimits {
            subscriptions: Some(20),
            message_bytes: Some(131_072),
            negentropy: Some(true),
            ..RelayLimits::default()
        };
        assert_eq!(read(&document), expected);
        assert_eq!(read(&json!({"supported_nips": [1]})).negentropy, Some(false));
        assert_eq!(read(&json!([])), RelayLimits::default());
    }
}
