//! Vital signs: does the server still serve others, and as quickly as before?
//!
//! Three ordinary requests, each on a fresh connection: the NIP-11 document, a REQ, and `info/refs` of a repository. They
//! are learned before the first case; whatever a server answers then, success or not, it has to go on answering.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::target::Target;
use crate::target::http::{HttpClient, HttpError, Response};
use crate::target::transcript::Transcript;
use crate::target::websocket::{Relay, RelayError, is_limit};

/// How much slower than before a server may be.
const FACTOR: u32 = 10;
/// Nobody minds waiting this long.
const NEVER_SLOW: Duration = Duration::from_secs(2);
/// How often the signs are taken before the first case.
const ROUNDS: usize = 3;

/// How long each of the three requests took, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vitals {
    /// `GET /` with `Accept: application/nostr+json`.
    pub nip11_ms: u64,
    /// Connection, upgrade, and a REQ to its EOSE.
    pub req_ms: u64,
    /// `info/refs` of a repository.
    pub info_refs_ms: u64,
}

impl Vitals {
    /// The better of both, sign by sign.
    #[must_use]
    pub fn best(self, other: Self) -> Self {
        self.each(other, u64::min)
    }

    /// The worse of both, sign by sign.
    #[must_use]
    pub fn worst(self, other: Self) -> Self {
        self.each(other, u64::max)
    }

    fn each(self, other: Self, choose: fn(u64, u64) -> u64) -> Self {
        Self {
            nip11_ms: choose(self.nip11_ms, other.nip11_ms),
            req_ms: choose(self.req_ms, other.req_ms),
            info_refs_ms: choose(self.info_refs_ms, other.info_refs_ms),
        }
    }

    fn signs(self) -> [(&'static str, u64); 3] {
        [("NIP-11", self.nip11_ms), ("REQ", self.req_ms), ("info/refs", self.info_refs_ms)]
    }
}

impl std::fmt::Display for Vitals {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "NIP-11 {} ms, REQ {} ms, info/refs {} ms", self.nip11_ms, self.req_ms, self.info_refs_ms)
    }
}

/// What is wrong with the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Ailment {
    /// It does not answer, or not as before.
    Unreachable(String),
    /// It says that our address asks too much; others may be served.
    Limited(String),
    /// It answers as before, but too slowly.
    Slow(String),
}

impl std::fmt::Display for Ailment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unreachable(what) => write!(f, "unusable: {what}"),
            Self::Limited(what) => write!(f, "limits this address: {what}"),
            Self::Slow(what) => write!(f, "slow: {what}"),
        }
    }
}

/// What a healthy server answers, learned before the first case.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Normal {
    nip11: u16,
    closes: bool,
    info_refs: u16,
}

/// Takes the vital signs of one server.
#[derive(Debug)]
pub struct VitalSigns {
    target: Arc<Target>,
    info_refs: String,
    normal: Normal,
    /// The best of what was measured before the first case.
    pub baseline: Vitals,
}

impl VitalSigns {
    /// Learns them; `repository` is the path of any repository, hosted or not.
    ///
    /// # Errors
    /// When the server does not answer before anything was done to it.
    pub async fn learn(target: Arc<Target>, repository: &str) -> Result<Self, Ailment> {
        let info_refs = format!("{repository}/info/refs?service=git-upload-pack");
        let (mut baseline, normal) = take(&target, &info_refs).await?;
        for _ in 1..ROUNDS {
            let (vitals, _) = take(&target, &info_refs).await?;
            baseline = baseline.best(vitals);
        }
        Ok(Self { target, info_refs, normal, baseline })
    }

    /// Takes them once.
    ///
    /// # Errors
    /// When the server does not answer as it did before.
    pub async fn take(&self) -> Result<Vitals, Ailment> {
        let (vitals, seen) = take(&self.target, &self.info_refs).await?;
        let Normal { nip11, closes, info_refs } = self.normal;
        for (what, before, now) in [("NIP-11", nip11, seen.nip11), ("info/refs", info_refs, seen.info_refs)] {
            if now != before {
                let text = format!("{what} is answered HTTP {now}, before it was {before}");
                return Err(if now == 503 { Ailment::Limited(text) } else { Ailment::Unreachable(text) });
            }
        }
        if seen.closes != closes {
            return Err(Ailment::Unreachable("a REQ is not answered as before".to_owned()));
        }
        Ok(vitals)
    }

    /// Takes them once, and compares with before.
    ///
    /// # Errors
    /// When the server does not answer as it did before, or much more slowly.
    pub async fn healthy(&self) -> Result<Vitals, Ailment> {
        let vitals = self.take().await?;
        let least = self.target.patience.of(NEVER_SLOW);
        for ((what, before), (_, now)) in self.baseline.signs().into_iter().zip(vitals.signs()) {
            let allowed = (Duration::from_millis(before) * FACTOR).max(least);
            if Duration::from_millis(now) > allowed {
                return Err(Ailment::Slow(format!("{what} takes {now} ms, before it took {before} ms")));
            }
        }
        Ok(vitals)
    }
}

async fn take(target: &Target, info_refs: &str) -> Result<(Vitals, Normal), Ailment> {
    let transcript = Arc::new(Transcript::new());
    let http = HttpClient::new(target.url.clone(), target.dialer.clone(), transcript.clone())
        .with_patience(target.patience);
    let accept = [("accept", "application/nostr+json")];
    let (nip11_ms, nip11) = timed(http.get("/", &accept)).await;
    let nip11 = status("NIP-11", nip11)?;
    let (req_ms, closes) = timed(asked(target, transcript)).await;
    let closes = closes.map_err(|error| relay_ailment(&error))?;
    let (info_refs_ms, refs) = timed(http.get(info_refs, &[])).await;
    let info_refs = status("info/refs", refs)?;
    Ok((Vitals { nip11_ms, req_ms, info_refs_ms }, Normal { nip11, closes, info_refs }))
}

async fn timed<T>(work: impl Future<Output = T>) -> (u64, T) {
    let clock = Instant::now();
    let result = work.await;
    (u64::try_from(clock.elapsed().as_millis()).unwrap_or(u64::MAX), result)
}

fn status(what: &str, response: Result<Response, HttpError>) -> Result<u16, Ailment> {
    match response {
        Ok(response) => Ok(response.status),
        Err(HttpError::Limited) => Err(Ailment::Limited(format!("{what}: HTTP 429"))),
        Err(error) => Err(Ailment::Unreachable(format!("{what}: {error}"))),
    }
}

/// Whether the REQ is CLOSED rather than answered.
async fn asked(target: &Target, transcript: Arc<Transcript>) -> Result<bool, RelayError> {
    let relay = Relay::connect(target, transcript, "vital signs".to_owned()).await?;
    match relay.req(&[json!({"kinds": [30617], "limit": 1})]).await {
        Ok(_) => Ok(false),
        Err(RelayError::Closed(reason)) if !is_limit(&reason) => Ok(true),
        Err(error) => Err(error),
    }
}

fn relay_ailment(error: &RelayError) -> Ailment {
    let text = format!("REQ: {error}");
    match error {
        RelayError::Closed(_) | RelayError::Limited(_) => Ailment::Limited(text),
        RelayError::Upgrade(why) if why.contains("429") || why.contains("503") => Ailment::Limited(text),
        _ => Ailment::Unreachable(text),
    }
}
