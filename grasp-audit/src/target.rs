//! The server under test, seen from outside: where it is, what it says about itself, and the clients that reach it.
//!
//! Every client records what went over the wire into the [`Transcript`] of the check that uses it.

pub mod git;
pub mod http;
mod inbox;
pub mod limits;
pub mod message;
pub mod negentropy;
pub mod patience;
pub mod receive_pack;
pub mod smart_http;
pub mod stream;
pub mod transcript;
pub mod url;
pub mod websocket;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde_json::Value;

use self::http::{HttpClient, HttpError};
use self::limits::Limits;
use self::patience::Patience;
use self::stream::Dialer;
use self::transcript::Transcript;
use self::url::{ServiceUrl, UrlError};

/// How long one answer of the server may take, HTTP or relay.
pub const ANSWER_WITHIN: Duration = Duration::from_secs(15);

/// Why no check could even begin.
#[derive(Debug, thiserror::Error)]
pub enum TargetError {
    /// The URL makes no sense.
    #[error(transparent)]
    Url(#[from] UrlError),
    /// The file given with `--ca` cannot be used.
    #[error("cannot read certificates from {path}: {reason}; --ca wants a PEM file")]
    Certificates {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Nobody answers there.
    #[error(
        "{url} cannot be reached: {source}\n  Is the server running, and is the scheme right? Plain: ws:// or http://, with TLS: wss:// or https:// (--ca FILE for a private root)"
    )]
    Unreachable {
        /// Where we tried.
        url: String,
        /// What happened.
        source: HttpError,
    },
    /// The system gives no threads to run checks on.
    #[error("no runtime to run checks on: {0}")]
    Runtime(#[source] std::io::Error),
}

/// What is known about the server under test; shared by all checks of a run.
#[derive(Debug)]
pub struct Target {
    /// Where it is.
    pub url: ServiceUrl,
    /// Opens connections to it.
    pub dialer: Dialer,
    /// Its NIP-11 document, when it has one that is JSON.
    pub nip11: Option<Value>,
    /// The limits it states there.
    pub limits: Limits,
    /// Seconds to add to the local clock to get the server's.
    pub clock_offset: i64,
    /// Root certificates for git, when `--ca` named some.
    pub ca: Option<PathBuf>,
    /// How long to wait for its answers.
    pub patience: Patience,
    /// An identifier that it archives whoever owns the repository, among others that it does not (GRASP-05).
    pub archived: Option<String>,
}

impl Target {
    /// Parses the URL, connects once and learns limits and clock.
    ///
    /// # Errors
    /// When the URL is wrong or nobody answers.
    pub async fn discover(url: &str, ca: Option<PathBuf>) -> Result<Self, TargetError> {
        let url = ServiceUrl::parse(url)?;
        let dialer = Dialer::new(&url, ca.as_deref())?;
        let client = HttpClient::new(url.clone(), dialer.clone(), Arc::new(Transcript::new()));
        let response = client
            .get("/", &[("accept", "application/nostr+json")])
            .await
            .map_err(|source| TargetError::Unreachable { url: url.base(), source })?;
        let nip11 = response.json();
        Ok(Self {
            limits: nip11.as_ref().map(Limits::from_nip11).unwrap_or_default(),
            clock_offset: response.clock_offset().unwrap_or(0),
            url,
            dialer,
            nip11,
            ca,
            patience: Patience::default(),
            archived: None,
        })
    }

    /// The same server, waited for with this patience.
    #[must_use]
    pub fn with_patience(mut self, patience: Patience) -> Self {
        self.patience = patience;
        self
    }

    /// The same server, which archives this identifier.
    #[must_use]
    pub fn archiving(mut self, archived: Option<String>) -> Self {
        self.archived = archived;
        self
    }

    /// The server's unix time in seconds, as well as we know it.
    #[must_use]
    pub fn now(&self) -> u64 {
        nostr::types::Timestamp::now().as_secs().saturating_add_signed(self.clock_offset)
    }

    /// Whether NIP-11 says that the server curates, by an allow list for example (`G01/nip11/curation`).
    #[must_use]
    pub fn curates(&self) -> bool {
        let curation = self.nip11.as_ref().and_then(|document| document["curation"].as_str());
        curation.is_some_and(|text| !text.is_empty())
    }

    /// Whether NIP-11 lists a member of the family, `GRASP-06`.
    #[must_use]
    pub fn supports(&self, grasp: &str) -> bool {
        self.nip11
            .as_ref()
            .and_then(|document| document["supported_grasps"].as_array())
            .is_some_and(|listed| listed.iter().any(|entry| entry.as_str() == Some(grasp)))
    }

    /// Whether NIP-11 lists a NIP, by its number.
    #[must_use]
    pub fn supports_nip(&self, nip: u64) -> bool {
        self.nip11
            .as_ref()
            .and_then(|document| document["supported_nips"].as_array())
            .is_some_and(|listed| listed.iter().any(|entry| entry.as_u64() == Some(nip)))
    }
}
