//! The CORS headers of G01/cors: everything here is public, and browsers' git clients must see all of it.
//!
//! [`apply`] is called in one place, on everything that leaves; [`lines`] is the same for the few answers that are
//! written without hyper's service ever being asked.

use http::{HeaderMap, HeaderName, HeaderValue, header};

/// `G01/cors/methods`.
const METHODS: &str = "GET, POST, OPTIONS, HEAD";

/// `G01/cors/headers`: what git clients, Nostr clients and NIP-98 send; the star for all that is not thought of here.
/// (A star does not cover `Authorization`.)
const REQUEST_HEADERS: &str = "Content-Type, Git-Protocol, Authorization, Accept, Accept-Language, Content-Encoding, \
     Content-Language, Cache-Control, Pragma, Range, User-Agent, X-Requested-With, *";

/// What scripts may read beyond the few headers that they always may.
const EXPOSED: &str =
    "Content-Encoding, Content-Length, Content-Type, Date, ETag, Location, Retry-After, WWW-Authenticate";

/// How long a browser may remember a preflight, in seconds: a day.
const MAX_AGE: &str = "86400";

const HEADERS: [(HeaderName, &str); 5] = [
    (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
    (header::ACCESS_CONTROL_ALLOW_METHODS, METHODS),
    (header::ACCESS_CONTROL_ALLOW_HEADERS, REQUEST_HEADERS),
    (header::ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED),
    (header::ACCESS_CONTROL_MAX_AGE, MAX_AGE),
];

/// Puts the headers on, in place of any of the same name.
pub fn apply(headers: &mut HeaderMap) {
    for (name, value) in HEADERS {
        headers.insert(name, HeaderValue::from_static(value));
    }
}

/// The headers as lines of an HTTP/1.1 head.
#[must_use]
pub fn lines() -> String {
    HEADERS.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect()
}
