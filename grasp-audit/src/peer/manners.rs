//! How a peer behaves: well, unless a check says otherwise. Each fault is one that peers in the wild have.

use std::time::Duration;

use serde_json::Value;

/// Results that the peer's relay gives per filter, unless told otherwise: what most relays do.
pub const PAGE: usize = 500;

/// What the door does with those who want a WebSocket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relay {
    /// Lets them in.
    Open,
    /// Ends their connection without a word.
    Refuses,
}

/// What a git client is answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Git {
    /// What it asks for.
    Serves,
    /// This HTTP status.
    Status(u16),
}

/// How the relay takes NIP-77.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Negentropy {
    /// It speaks it, and its document says so.
    Spoken,
    /// Its document does not list it, and NEG-OPEN is answered by a NOTICE.
    Unknown,
    /// Its document lists it, and every NEG-OPEN is answered by NEG-ERR.
    Refused,
}

/// See the module.
#[derive(Debug, Clone)]
pub struct Manners {
    /// The relay's door.
    pub relay: Relay,
    /// The git host.
    pub git: Git,
    /// NIP-77.
    pub negentropy: Negentropy,
    /// Results per filter; the document says so.
    pub page: usize,
    /// The document states this many subscriptions as the most.
    pub max_subscriptions: Option<usize>,
    /// Every REQ and NEG-OPEN is answered so late.
    pub slow: Duration,
    /// The end of stored events is never told.
    pub no_eose: bool,
    /// Every REQ and NEG-OPEN is answered by CLOSED or NEG-ERR for this reason.
    pub closes: Option<String>,
    /// Sent on every REQ whose filters they match, before the stored events; they need not be true.
    pub forged: Vec<Value>,
    /// Sent on every REQ, whatever it asks for.
    pub unasked: Vec<Value>,
}

impl Default for Manners {
    fn default() -> Self {
        Self {
            relay: Relay::Open,
            git: Git::Serves,
            negentropy: Negentropy::Spoken,
            page: PAGE,
            max_subscriptions: None,
            slow: Duration::ZERO,
            no_eose: false,
            closes: None,
            forged: Vec::new(),
            unasked: Vec::new(),
        }
    }
}
