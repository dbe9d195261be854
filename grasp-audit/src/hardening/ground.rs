//! What a case has in its hands: ordinary clients, connections made of bytes, and a repository to attack.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::case::Findings;
use super::frames::Socket;
use super::meter::Meter;
use super::wire::{Heard, Meanwhile, Wire};
use crate::check::{CheckResult, skip};
use crate::context::{Context, Hosted};
use crate::target::ANSWER_WITHIN;
use crate::target::patience::Patience;
use crate::target::transcript::Transcript;

/// How long a client that is slow on purpose goes on. Most servers give such a client 10 to 30 seconds.
const HOLD: Duration = Duration::from_secs(40);

/// The repository that hostile requests aim at: announced, pushed and served before the first case.
#[derive(Debug)]
pub struct Victim {
    /// Everything about it.
    pub hosted: Hosted,
    /// Its owner, `npub1…`.
    pub npub: String,
}

/// One case's world.
#[derive(Debug, Clone)]
pub struct Ground {
    /// Ordinary clients, keys, identifiers, and a ledger that takes back what was published.
    pub ctx: Arc<Context>,
    victim: Result<Arc<Victim>, String>,
    meter: Arc<Meter>,
    transcript: Arc<Transcript>,
    wires: Arc<AtomicUsize>,
}

impl Ground {
    pub(crate) fn new(
        ctx: Context,
        victim: Result<Arc<Victim>, String>,
        meter: Arc<Meter>,
        transcript: Arc<Transcript>,
    ) -> Self {
        Self { ctx: Arc::new(ctx), victim, meter, transcript, wires: Arc::default() }
    }

    /// The repository to aim at.
    ///
    /// # Errors
    /// A skip when the server hosts none for us.
    pub fn victim(&self) -> CheckResult<&Victim> {
        match &self.victim {
            Ok(victim) => Ok(victim),
            Err(why) => Err(skip(format!("there is no repository to aim at: {why}"))),
        }
    }

    /// How long the auditor waits for anything.
    #[must_use]
    pub fn patience(&self) -> Patience {
        self.ctx.target.patience
    }

    /// How long an answer may take.
    #[must_use]
    pub fn answer_within(&self) -> Duration {
        self.patience().of(ANSWER_WITHIN)
    }

    /// How long a client that is slow on purpose goes on: not longer for a patient auditor.
    #[must_use]
    pub fn hold(&self) -> Duration {
        self.patience().of(HOLD).min(HOLD)
    }

    /// A pause of at most this length.
    pub async fn pause(&self, length: Duration) {
        tokio::time::sleep(self.patience().of(length).min(length)).await;
    }

    /// Writes a remark into the transcript.
    pub fn note(&self, text: &str) {
        self.transcript.note("case", text);
    }

    /// A fresh connection.
    ///
    /// # Errors
    /// A failure when there is none.
    pub(crate) async fn wire(&self) -> CheckResult<Wire> {
        let number = self.wires.fetch_add(1, Ordering::Relaxed) + 1;
        Wire::open(&self.ctx.target, &self.meter, &self.transcript, format!("wire {number}")).await
    }

    /// A fresh connection to the relay, after the handshake.
    ///
    /// # Errors
    /// A failure when there is none, or no upgrade.
    pub(crate) async fn socket(&self) -> CheckResult<Socket> {
        Socket::open(self.wire().await?, &self.authority()).await
    }

    /// Sends one request on a fresh connection and waits for what comes.
    ///
    /// # Errors
    /// A failure when there is no connection.
    pub async fn ask(&self, request: &[u8]) -> CheckResult<Heard> {
        let mut wire = self.wire().await?;
        let taken = wire.send_as(request, 1, Meanwhile::StopsAtAnAnswer).await?;
        Ok(wire.answers(taken).await)
    }

    /// `host[:port]` of the service, as it stands in `Host`.
    #[must_use]
    pub fn authority(&self) -> String {
        self.ctx.target.url.authority()
    }

    /// A request with `Host` and `Connection: close`; `fields` are further lines without line ends.
    #[must_use]
    pub fn request(&self, method: &str, target: &str, fields: &[&str], body: &[u8]) -> Vec<u8> {
        let mut request =
            format!("{method} {target} HTTP/1.1\r\nHost: {}\r\nConnection: close\r\n", self.authority());
        for field in fields {
            request.push_str(field);
            request.push_str("\r\n");
        }
        if method == "POST" && !fields.iter().any(|field| is_framing(field)) {
            request.push_str(&format!("Content-Length: {}\r\n", body.len()));
        }
        request.push_str("\r\n");
        [request.as_bytes(), body].concat()
    }
}

/// How long until then; never nothing, since what has come already is to be read.
pub(crate) fn left(deadline: Instant) -> Duration {
    deadline.saturating_duration_since(Instant::now()).max(Duration::from_millis(50))
}

fn is_framing(field: &str) -> bool {
    let field = field.to_ascii_lowercase();
    field.starts_with("content-length") || field.starts_with("transfer-encoding")
}

impl Findings {
    /// Grades the answer to a request that no server has to understand: refused with a status that says so is robust,
    /// cut off or an internal error is tolerable, taken or left without an answer is weak.
    pub fn refusal(&mut self, input: &str, heard: &Heard) {
        let Some(reply) = heard.first() else { return self.no_reply(input, heard) };
        match reply.status {
            429 => {
                self.tolerable(input, "HTTP 429: requests of this address are limited, nothing was found out")
            }
            400..=499 | 501 | 505 => self.robust(format!("HTTP {}", reply.status)),
            300..=399 => self.tolerable(input, format!("redirected to {:?}", reply.field("location"))),
            500..=599 => {
                self.tolerable(input, format!("HTTP {}, as if the server were at fault", reply.status))
            }
            _ => self.weak(input, format!("taken: {}", heard.told())),
        }
    }

    /// Grades the end of a connection on which no response came.
    pub fn no_reply(&mut self, input: &str, heard: &Heard) {
        match heard.end {
            Some(_) => self.tolerable(input, format!("cut off without a word ({})", heard.told())),
            None => self.weak(input, format!("left without an answer ({})", heard.told())),
        }
    }

    /// Grades an answer of any status: that there is one is what counts. An internal error is tolerable.
    pub fn answered(&mut self, input: &str, heard: &Heard) {
        match heard.first() {
            None => self.no_reply(input, heard),
            Some(reply) if reply.status >= 500 => self.refusal(input, heard),
            Some(reply) => self.robust(format!("HTTP {}", reply.status)),
        }
    }
}
