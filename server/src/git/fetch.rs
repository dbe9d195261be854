//! Outgoing git: objects that signed events name, from other hosts, into quarantine.
//!
//! A small client of our own over [`crate::outbound`]: there is no second transport whose connections would have to be
//! guarded, and the pack goes straight into the same `git index-pack --strict` as a push's. Objects are asked for by
//! their id wherever the host gives them so (protocol v2 does), else by the refs that it shows. What comes is believed
//! only after it was checked, and nothing of it is part of a repository before promotion says so.

mod speech;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use ::http::header::{ACCEPT, CONTENT_TYPE};
use ::http::{HeaderName, HeaderValue, StatusCode};
use bytes::{Bytes, BytesMut};

use super::gate::Quarantine;
use super::index_pack::{Base, IndexPack, PackSource};
use super::pkt_line::{self, Packet};
use crate::nip34::Oid;
use crate::outbound::http::{Answer, Question};
use crate::outbound::{Destination, Outbound, OutboundError};
pub use speech::Unspeakable;
use speech::{Demultiplexer, Greeting, Piece};

const ADVERTISEMENT: &str = "application/x-git-upload-pack-advertisement";
const REQUEST: HeaderValue = HeaderValue::from_static("application/x-git-upload-pack-request");
const RESULT: HeaderValue = HeaderValue::from_static("application/x-git-upload-pack-result");
const GIT_PROTOCOL: HeaderName = HeaderName::from_static("git-protocol");
const VERSION_2: HeaderValue = HeaderValue::from_static("version=2");

/// How often a host that lacks one of several objects is asked again without that one, before its refs decide.
const MAX_RETRIES: usize = 4;
/// The most haves that are sent.
pub const MAX_HAVES: usize = 256;

/// What a fetch may cost.
#[derive(Debug, Clone, Copy)]
pub struct FetchLimits {
    /// The largest pack, in bytes.
    pub pack_bytes: u64,
    /// The longest list of refs, in bytes.
    pub advertisement_bytes: u64,
    /// How long the whole of it may take, checking included.
    pub time: Duration,
}

impl Default for FetchLimits {
    fn default() -> Self {
        Self { pack_bytes: 2 << 30, advertisement_bytes: 32 << 20, time: Duration::from_secs(10 * 60) }
    }
}

/// Why nothing was fetched.
#[derive(Debug, thiserror::Error)]
pub enum FetchError {
    /// There was no connection, or no answer.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// The host has answered with this status.
    #[error("it answers with HTTP status {0}")]
    Status(StatusCode),
    /// The host cannot be talked to.
    #[error(transparent)]
    Host(#[from] Unspeakable),
    /// The pack is broken, incomplete, or of a sort that no push would get through.
    #[error("its pack is refused: {0}")]
    Pack(String),
    /// It took too long.
    #[error("it took longer than {0:?}")]
    Slow(Duration),
    /// This machine failed.
    #[error("this server could not take it: {0}")]
    Io(#[from] std::io::Error),
}

/// What is wanted and what is here.
#[derive(Debug, Clone, Copy)]
pub struct Wants<'a> {
    /// The objects.
    pub oids: &'a BTreeSet<Oid>,
    /// Tips of the family, which has all that they reach.
    pub haves: &'a [Oid],
    /// The family's bare repository.
    pub family: &'a Path,
}

/// Objects that were fetched and checked, with all they reach; they are part of no repository yet.
#[derive(Debug)]
pub struct Fetched {
    /// Where they are.
    pub quarantine: Quarantine,
    /// Those of the wanted objects that the host had.
    pub tips: BTreeSet<Oid>,
}

/// Fetches from one host what it has of the wanted objects; nothing when it has none. Cancelled, it leaves no process
/// and no file behind.
///
/// # Errors
/// [`FetchError`]: nothing was kept.
pub async fn fetch(
    outbound: &Outbound,
    from: &Destination,
    wants: Wants<'_>,
    quarantine: Quarantine,
    limits: &FetchLimits,
) -> Result<Option<Fetched>, FetchError> {
    let fetching = async {
        let host = Host::greet(outbound, from, limits).await?;
        host.fetch(wants, quarantine).await
    };
    tokio::time::timeout(limits.time, fetching).await.map_err(|_| FetchError::Slow(limits.time))?
}

/// A host that has said what it speaks.
struct Host<'a> {
    outbound: &'a Outbound,
    limits: &'a FetchLimits,
    /// Where its repository really is: behind all redirects.
    repository: Destination,
    greeting: Greeting,
}

impl<'a> Host<'a> {
    async fn greet(
        outbound: &'a Outbound,
        from: &Destination,
        limits: &'a FetchLimits,
    ) -> Result<Self, FetchError> {
        let question = Question::get(limits.advertisement_bytes).with(GIT_PROTOCOL, VERSION_2);
        let asked = from.below("info/refs", Some("service=git-upload-pack"));
        let answer = outbound.ask(&asked, &question).await?;
        if answer.status != StatusCode::OK {
            return Err(FetchError::Status(answer.status));
        }
        let is_smart = answer.headers.get(CONTENT_TYPE).is_some_and(|sort| sort == ADVERTISEMENT);
        let repository = answer.from.above("/info/refs").filter(|_| is_smart).ok_or(Unspeakable::NotSmart)?;
        let greeting = Greeting::read(packets(answer).await?)?;
        Ok(Self { outbound, limits, repository, greeting })
    }

    async fn fetch(
        &self,
        wants: Wants<'_>,
        mut quarantine: Quarantine,
    ) -> Result<Option<Fetched>, FetchError> {
        let mut asked = self.greeting.askable(wants.oids);
        for attempt in 0.. {
            if asked.is_empty() {
                return Ok(None);
            }
            match self.pack(&asked, wants, quarantine).await? {
                Outcome::Checked(quarantine) => {
                    return checked(quarantine, wants.family, asked).await.map(Some);
                }
                Outcome::Refused { reason, unused } => {
                    quarantine = unused;
                    match speech::refused_want(&reason, &asked).filter(|_| attempt < MAX_RETRIES) {
                        Some(missing) => drop(asked.remove(&missing)),
                        None => asked = self.shown(&asked, reason).await?,
                    }
                }
            }
        }
        Ok(None)
    }

    /// Those among the wanted that the host's refs point to. It cannot refuse them; if these are what it has just
    /// refused, it is broken, for this reason.
    async fn shown(&self, wanted: &BTreeSet<Oid>, reason: String) -> Result<BTreeSet<Oid>, FetchError> {
        let tips = match (&self.greeting, self.greeting.ask_for_refs()) {
            (Greeting::Old { tips, .. }, _) => tips.clone(),
            (_, Some(request)) => {
                let answer = self.post(request, self.limits.advertisement_bytes).await?;
                speech::tips(packets(answer).await?)?
            }
            (_, None) => BTreeSet::new(),
        };
        let shown = wanted & &tips;
        if shown == *wanted { Err(Unspeakable::Refused(reason).into()) } else { Ok(shown) }
    }

    async fn post(&self, request: Bytes, most: u64) -> Result<Answer, FetchError> {
        let mut question = Question::post(request, most).with(CONTENT_TYPE, REQUEST).with(ACCEPT, RESULT);
        if matches!(self.greeting, Greeting::V2 { .. }) {
            question = question.with(GIT_PROTOCOL, VERSION_2);
        }
        let answer = self.outbound.ask(&self.repository.below("git-upload-pack", None), &question).await?;
        if answer.status == StatusCode::OK { Ok(answer) } else { Err(FetchError::Status(answer.status)) }
    }

    async fn pack(
        &self,
        asked: &BTreeSet<Oid>,
        wants: Wants<'_>,
        quarantine: Quarantine,
    ) -> Result<Outcome, FetchError> {
        // Side-band headers, and what comes beside the pack.
        let most = self.limits.pack_bytes.saturating_add(self.limits.pack_bytes / 64 + (1 << 20));
        let answer = self.post(self.greeting.ask_for_pack(asked, wants.haves), most).await?;
        let mut pack = Pack {
            packets: Packets::of(answer),
            take: Demultiplexer::of(&self.greeting),
            next: None,
            ended: false,
        };
        // Refusals come before the pack: without one nothing is started.
        match pack.begin().await {
            Ok(()) => {}
            Err(FetchError::Host(Unspeakable::Refused(reason))) => {
                return Ok(Outcome::Refused { reason, unused: quarantine });
            }
            Err(error) => return Err(error),
        }
        let objects = wants.family.join("objects");
        let onto = Base { repository: wants.family, objects: &objects };
        let mut indexing = IndexPack::start(onto, quarantine, self.limits.pack_bytes, true)?;
        if let Err(error) = indexing.feed(&mut pack).await {
            indexing.abort().await;
            return Err(error);
        }
        let mut complaint = "git index-pack has failed".to_owned();
        while let Some(line) = indexing.line().await {
            if line.starts_with("fatal: ") || line.starts_with("error: ") {
                line.trim_end().clone_into(&mut complaint);
            }
        }
        let quarantine = indexing.finish().await.map_err(|()| FetchError::Pack(complaint))?;
        Ok(Outcome::Checked(quarantine))
    }
}

/// A pack that is sound need not have in it what was asked for.
async fn checked(quarantine: Quarantine, family: &Path, asked: BTreeSet<Oid>) -> Result<Fetched, FetchError> {
    let family = family.join("objects");
    let look = move || {
        let found = super::tips::present(&[quarantine.objects(), &family], &asked);
        (quarantine, found, asked)
    };
    let (quarantine, found, asked) =
        tokio::task::spawn_blocking(look).await.map_err(std::io::Error::other)?;
    let tips = found.map_err(std::io::Error::other)?;
    match asked.difference(&tips).next() {
        Some(missing) => Err(FetchError::Pack(format!("it lacks {missing}, which it was to bring"))),
        None => Ok(Fetched { quarantine, tips }),
    }
}

enum Outcome {
    Checked(Quarantine),
    Refused { reason: String, unused: Quarantine },
}

/// The packets of an answer.
struct Packets {
    answer: Answer,
    buffer: BytesMut,
}

impl Packets {
    fn of(answer: Answer) -> Self {
        Self { answer, buffer: BytesMut::new() }
    }

    async fn next(&mut self) -> Result<Option<Packet>, FetchError> {
        let malformed = |what: &dyn std::fmt::Display| Unspeakable::Malformed(what.to_string());
        loop {
            if let Some(packet) = pkt_line::take(&mut self.buffer).map_err(|bad| malformed(&bad))? {
                return Ok(Some(packet));
            }
            match self.answer.chunk().await? {
                Some(bytes) => self.buffer.extend_from_slice(&bytes),
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(malformed(&"it ends inside a packet").into()),
            }
        }
    }
}

/// All packets of a bounded answer.
async fn packets(answer: Answer) -> Result<Vec<Packet>, FetchError> {
    let mut from = Packets::of(answer);
    let mut packets = Vec::new();
    while let Some(packet) = from.next().await? {
        packets.push(packet);
    }
    Ok(packets)
}

/// The pack inside an answer.
struct Pack {
    packets: Packets,
    take: Demultiplexer,
    next: Option<Bytes>,
    ended: bool,
}

impl Pack {
    /// Reads up to the pack's first bytes.
    async fn begin(&mut self) -> Result<(), FetchError> {
        self.next = self.piece().await?;
        if self.next.is_none() {
            return Err(Unspeakable::Malformed("an answer without a pack".to_owned()).into());
        }
        Ok(())
    }

    async fn piece(&mut self) -> Result<Option<Bytes>, FetchError> {
        while !self.ended {
            let Some(packet) = self.packets.next().await? else {
                return Err(Unspeakable::Malformed("the pack breaks off".to_owned()).into());
            };
            match self.take.take(packet)? {
                Piece::Pack(bytes) => return Ok(Some(bytes)),
                Piece::Other => {}
                Piece::End => self.ended = true,
            }
        }
        Ok(None)
    }
}

impl PackSource for Pack {
    type Error = FetchError;

    async fn chunk(&mut self) -> Result<Option<Bytes>, FetchError> {
        match self.next.take() {
            Some(first) => Ok(Some(first)),
            None => self.piece().await,
        }
    }
}
