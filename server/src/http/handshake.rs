//! The server's half of the WebSocket handshake (RFC 6455, 4.2). Pure.

use http::header::{
    CONNECTION, HeaderName, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_VERSION, UPGRADE,
};
use http::{HeaderMap, HeaderValue};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

/// What is wrong with a handshake.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum BadHandshake {
    /// Another version than 13: answered 426 with the version that is spoken.
    #[error("this relay speaks WebSocket version 13 (RFC 6455)")]
    Version,
    /// The key is missing, malformed or there twice: answered 400.
    #[error("the header Sec-WebSocket-Key is missing, there twice, or is no 16 bytes in base64")]
    Key,
}

/// Whether a request asks for a WebSocket at all.
pub(super) fn is_asked(headers: &HeaderMap) -> bool {
    has_token(headers, &CONNECTION, "upgrade") && has_token(headers, &UPGRADE, "websocket")
}

/// The headers of the answer 101.
pub(super) fn accept(headers: &HeaderMap) -> Result<[(HeaderName, HeaderValue); 3], BadHandshake> {
    if headers.get(SEC_WEBSOCKET_VERSION).is_none_or(|version| version != "13") {
        return Err(BadHandshake::Version);
    }
    let keys: Vec<&[u8]> = headers.get_all(SEC_WEBSOCKET_KEY).iter().map(HeaderValue::as_bytes).collect();
    let [key] = keys[..] else { return Err(BadHandshake::Key) };
    if !is_key(key) {
        return Err(BadHandshake::Key);
    }
    let derived = derive_accept_key(key);
    Ok([
        (CONNECTION, HeaderValue::from_static("Upgrade")),
        (UPGRADE, HeaderValue::from_static("websocket")),
        (SEC_WEBSOCKET_ACCEPT, HeaderValue::from_str(&derived).map_err(|_| BadHandshake::Key)?),
    ])
}

fn is_key(key: &[u8]) -> bool {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.decode(key).is_ok_and(|bytes| bytes.len() == 16)
}

fn has_token(headers: &HeaderMap, name: &HeaderName, token: &str) -> bool {
    let lines = headers.get_all(name).iter().filter_map(|line| line.to_str().ok());
    lines.flat_map(|line| line.split(',')).any(|word| word.trim().eq_ignore_ascii_case(token))
}
