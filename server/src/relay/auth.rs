//! Who a client is (NIP-42), and what only an author may publish (NIP-70). Pure.

use http::Uri;
use nostr::event::{Event, Kind};
use nostr::key::PublicKey;
use nostr::types::Timestamp;

use crate::fault;

/// How far an authentication event's time may be from ours, in seconds (NIP-42).
const MAX_SKEW: u64 = 600;

/// The host that a relay URL names, in lowercase; `None` when it names none.
#[must_use]
pub(crate) fn host_of(url: &str) -> Option<String> {
    let uri: Uri = url.trim().parse().ok()?;
    matches!(uri.scheme_str(), Some("ws" | "wss")).then(|| uri.host().map(str::to_ascii_lowercase))?
}

/// Whether an event proves that its author is at the other end of this connection (NIP-42).
///
/// # Errors
/// A reason with a machine-readable prefix.
pub(crate) fn check_authentication(
    event: &Event,
    challenge: &str,
    host: Option<&str>,
    now: Timestamp,
) -> Result<PublicKey, String> {
    let tag = |name: &str| {
        event.tags.iter().find(|tag| tag.kind() == name).and_then(|tag| tag.content()).unwrap_or_default()
    };
    if event.kind != Kind::Authentication && !fault::is("auth-kind-unchecked") {
        return Err(format!("invalid: an authentication event has kind 22242, not {}", event.kind.as_u16()));
    }
    if event.created_at.as_secs().abs_diff(now.as_secs()) > MAX_SKEW && !fault::is("auth-time-unchecked") {
        return Err("invalid: created_at is more than 10 minutes from this relay's clock".to_owned());
    }
    if tag("challenge") != challenge && !fault::is("auth-challenge-unchecked") {
        return Err("invalid: the challenge tag is not the challenge of this connection".to_owned());
    }
    let named = host_of(tag("relay"));
    if (named.is_none() || named.as_deref() != host) && !fault::is("auth-relay-unchecked") {
        let host = host.unwrap_or("(unknown)");
        return Err(format!("invalid: the relay tag does not name this relay, whose host is {host}"));
    }
    if !fault::is("auth-signature-unchecked") {
        event.verify().map_err(|error| format!("invalid: {error}"))?;
    }
    Ok(event.pubkey)
}

/// Whether this connection may publish the event, as far as NIP-42 and NIP-70 go.
///
/// # Errors
/// A reason with a machine-readable prefix.
pub(crate) fn may_publish(event: &Event, authenticated: &[PublicKey]) -> Result<(), &'static str> {
    if event.kind == Kind::Authentication {
        return Err("invalid: kind 22242 is sent with AUTH and never published");
    }
    let protected = event.tags.iter().any(|tag| tag.kind() == "-");
    let waived = fault::is("protected-from-anybody")
        || (fault::is("protected-from-any-key") && !authenticated.is_empty());
    if !protected || authenticated.contains(&event.pubkey) || waived {
        return Ok(());
    }
    if authenticated.is_empty() {
        return Err(
            "auth-required: this event is protected (NIP-70); its author must authenticate to publish it",
        );
    }
    Err("restricted: this event is protected (NIP-70) and its author is not authenticated on this connection")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use nostr::event::{EventBuilder, FinalizeEvent, Tag};
    use nostr::key::Keys;

    use super::*;

    const NOW: u64 = 1_700_000_000;

    fn event(kind: u16, created_at: u64, challenge: &str, relay: &str) -> Event {
        EventBuilder::new(Kind::from_u16(kind), "")
            .tags([Tag::parse(["relay", relay]).unwrap(), Tag::parse(["challenge", challenge]).unwrap()])
            .custom_created_at(Timestamp::from(created_at))
            .finalize(&Keys::generate())
            .unwrap()
    }

    fn check(event: &Event) -> Result<PublicKey, String> {
        check_authentication(event, "c", Some("relay.example"), Timestamp::from(NOW))
    }

    #[test]
    fn the_right_event_proves_its_author() {
        for relay in ["wss://relay.example", "wss://RELAY.example/", "ws://relay.example:7334/x"] {
            let event = event(22_242, NOW - 599, "c", relay);
            assert_eq!(check(&event), Ok(event.pubkey), "{relay}");
        }
    }

    #[test]
    fn every_wrong_part_is_told() {
        let mut forged = event(22_242, NOW, "c", "wss://relay.example");
        forged.content = "changed".to_owned();
        for (event, words) in [
            (event(1, NOW, "c", "wss://relay.example"), "kind 22242"),
            (event(22_242, NOW - 601, "c", "wss://relay.example"), "10 minutes"),
            (event(22_242, NOW + 601, "c", "wss://relay.example"), "10 minutes"),
            (event(22_242, NOW, "d", "wss://relay.example"), "challenge"),
            (event(22_242, NOW, "c", "wss://other.example"), "relay tag"),
            (event(22_242, NOW, "c", "relay.example"), "relay tag"),
            (forged, "event ID"),
        ] {
            let reason = check(&event).unwrap_err();
            assert!(reason.starts_with("invalid: ") && reason.contains(words), "{reason}");
        }
    }

    #[test]
    fn a_protected_event_is_taken_from_its_author_only() {
        let keys = Keys::generate();
        let protected =
            EventBuilder::new(Kind::TextNote, "").tag(Tag::parse(["-"]).unwrap()).finalize(&keys).unwrap();
        assert!(may_publish(&protected, &[]).unwrap_err().starts_with("auth-required: "));
        let stranger = Keys::generate().public_key();
        assert!(may_publish(&protected, &[stranger]).unwrap_err().starts_with("restricted: "));
        assert_eq!(may_publish(&protected, &[stranger, keys.public_key()]), Ok(()));
        let open = EventBuilder::new(Kind::TextNote, "").finalize(&keys).unwrap();
        assert_eq!(may_publish(&open, &[]), Ok(()));
    }
}
