//! A request's body: decompressed, bounded, and never waited for longer than a client may be silent.

use std::io::{self, Write};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use flate2::write::{GzDecoder, ZlibDecoder};
use http::header::CONTENT_ENCODING;
use http::{HeaderMap, Response, StatusCode};
use http_body_util::BodyExt;
use http_body_util::combinators::UnsyncBoxBody;
use prometheus::IntCounter;

use super::answer::{self, GitBody};
use super::index_pack::PackSource;
use super::limits::GitLimits;
use super::pkt_line::{self, Packet};

/// Compressed bytes are decompressed in steps of this size: deflate expands about a thousandfold at most, so one
/// step costs half a megabyte at worst, whatever the body is.
const STEP: usize = 512;

/// Why a body could not be read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BodyError {
    #[error("the request is longer than {0} bytes, the most this service takes here")]
    TooLong(u64),
    #[error("the request expands more than {0}-fold")]
    Expansion(u64),
    #[error("the request's content encoding {0:?} is not known here (gzip and deflate are)")]
    Encoding(String),
    #[error("the request cannot be decompressed: {0}")]
    Compressed(io::Error),
    #[error("nothing came for {0:?}")]
    Idle(Duration),
    #[error("it comes more slowly than {0} bytes a second")]
    Slow(u64),
    #[error("the client went away: {0}")]
    Gone(io::Error),
    #[error("the request is no git request: {0}")]
    Malformed(String),
}

impl BodyError {
    /// The answer, for as long as nothing else was answered.
    pub(crate) fn response(&self) -> Response<GitBody> {
        let status = match self {
            Self::TooLong(_) | Self::Expansion(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Encoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Idle(_) | Self::Slow(_) => StatusCode::REQUEST_TIMEOUT,
            Self::Compressed(_) | Self::Gone(_) | Self::Malformed(_) => StatusCode::BAD_REQUEST,
        };
        answer::text(status, &self.to_string())
    }
}

/// What has to come at a certain rate. Only the time in which the client is waited for counts, not what we take.
#[derive(Debug)]
struct Pace {
    from: u64,
    waited: Duration,
}

enum Decoder {
    Identity,
    Gzip(GzDecoder<Vec<u8>>),
    Zlib(ZlibDecoder<Vec<u8>>),
}

/// See the module.
pub(crate) struct RequestBody {
    incoming: UnsyncBoxBody<Bytes, io::Error>,
    decoder: Decoder,
    /// Compressed bytes that were not decompressed yet.
    compressed: Bytes,
    /// Decompressed bytes that were taken for packets and are not a whole one yet, or not asked for.
    buffer: BytesMut,
    received: u64,
    counter: Option<IntCounter>,
    expanded: u64,
    limit: u64,
    max_expansion: u64,
    ratio_free: u64,
    idle: Duration,
    pace: Option<Pace>,
    grace: Duration,
    rate: u64,
    ended: bool,
}

impl PackSource for RequestBody {
    type Error = BodyError;

    async fn chunk(&mut self) -> Result<Option<Bytes>, BodyError> {
        Self::chunk(self).await
    }
}

impl RequestBody {
    /// `limit`: how many bytes it may have, decompressed.
    pub(crate) fn new<B>(
        headers: &HeaderMap,
        incoming: B,
        limit: u64,
        limits: &GitLimits,
    ) -> Result<Self, BodyError>
    where
        B: hyper::body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let decoder = match headers.get(CONTENT_ENCODING).map(|value| value.as_bytes().to_ascii_lowercase()) {
            None => Decoder::Identity,
            Some(encoding) => match encoding.as_slice() {
                b"" | b"identity" => Decoder::Identity,
                b"gzip" | b"x-gzip" => Decoder::Gzip(GzDecoder::new(Vec::new())),
                b"deflate" => Decoder::Zlib(ZlibDecoder::new(Vec::new())),
                other => {
                    let name = String::from_utf8_lossy(other).chars().take(80).collect();
                    return Err(BodyError::Encoding(name));
                }
            },
        };
        Ok(Self {
            incoming: incoming.map_err(|error| io::Error::other(error.into())).boxed_unsync(),
            decoder,
            compressed: Bytes::new(),
            buffer: BytesMut::new(),
            received: 0,
            counter: None,
            expanded: 0,
            limit,
            max_expansion: limits.max_expansion,
            ratio_free: limits.ratio_free_bytes,
            idle: limits.idle,
            pace: None,
            grace: limits.pace_grace,
            rate: limits.pace_bytes_a_second.max(1),
            ended: false,
        })
    }

    /// What comes is counted there, as it is on the wire.
    pub(crate) fn counted(mut self, counter: IntCounter) -> Self {
        self.counter = Some(counter);
        self
    }

    /// From now on, what comes has to come at [`GitLimits::pace_bytes_a_second`], after [`GitLimits::pace_grace`].
    pub(crate) fn begin_pace(&mut self) {
        self.pace = Some(Pace { from: self.received, waited: Duration::ZERO });
    }

    /// From now on, a client may be as slow as it likes, and only not silent.
    pub(crate) fn end_pace(&mut self) {
        self.pace = None;
    }

    /// How long the next bytes may take.
    fn patience(&self) -> Duration {
        let Some(Pace { from, waited }) = &self.pace else { return self.idle };
        let earned = Duration::from_secs((self.received - from) / self.rate);
        (self.grace + earned).saturating_sub(*waited).min(self.idle)
    }

    /// The next bytes, decompressed; nothing at the end. Safe to cancel.
    pub(crate) async fn chunk(&mut self) -> Result<Option<Bytes>, BodyError> {
        if !self.buffer.is_empty() {
            return Ok(Some(self.buffer.split().freeze()));
        }
        self.decoded().await
    }

    /// The next pkt-line; nothing at the end of the body. Safe to cancel.
    pub(crate) async fn packet(&mut self) -> Result<Option<Packet>, BodyError> {
        loop {
            let taken = pkt_line::take(&mut self.buffer);
            if let Some(packet) = taken.map_err(|error| BodyError::Malformed(error.to_string()))? {
                return Ok(Some(packet));
            }
            match self.decoded().await? {
                Some(bytes) => self.buffer.extend_from_slice(&bytes),
                None if self.buffer.is_empty() => return Ok(None),
                None => return Err(BodyError::Malformed("it ends inside a pkt-line".into())),
            }
        }
    }

    /// Makes sure that `count` bytes can be looked at, if the body has so many.
    pub(crate) async fn peek(&mut self, count: usize) -> Result<&[u8], BodyError> {
        while self.buffer.len() < count {
            match self.decoded().await? {
                Some(bytes) => self.buffer.extend_from_slice(&bytes),
                None => break,
            }
        }
        Ok(&self.buffer[..self.buffer.len().min(count)])
    }

    /// How much was read, decompressed, that nobody took yet is not counted as read.
    pub(crate) fn consumed(&self) -> u64 {
        self.expanded - self.buffer.len() as u64
    }

    /// Reads what is left and forgets it, so that a client that only reads after it has written all sees the answer
    /// instead of a reset connection. Ends after `max` bytes on the wire, or when the client is silent or slow.
    pub(crate) async fn drain(&mut self, max: u64) {
        let from = self.received;
        self.begin_pace();
        self.compressed = Bytes::new();
        self.buffer = BytesMut::new();
        while !self.ended && self.received - from <= max {
            if !matches!(self.frame().await, Ok(Some(_))) {
                return;
            }
        }
    }

    async fn decoded(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            while !self.compressed.is_empty() {
                let step = self.compressed.split_to(self.compressed.len().min(STEP));
                let expanded = self.decoder.step(&step).map_err(BodyError::Compressed)?;
                if !expanded.is_empty() {
                    return self.count(expanded).map(Some);
                }
            }
            match self.frame().await? {
                Some(bytes) if matches!(self.decoder, Decoder::Identity) => {
                    return self.count(bytes).map(Some);
                }
                Some(bytes) => self.compressed = bytes,
                None if self.received == 0 => return Ok(None),
                None => {
                    let rest = self.decoder.finish().map_err(BodyError::Compressed)?;
                    return if rest.is_empty() { Ok(None) } else { self.count(rest).map(Some) };
                }
            }
        }
    }

    fn count(&mut self, bytes: Bytes) -> Result<Bytes, BodyError> {
        self.expanded += bytes.len() as u64;
        if self.expanded > self.limit {
            return Err(BodyError::TooLong(self.limit));
        }
        if self.expanded > self.ratio_free && self.expanded / self.max_expansion > self.received {
            return Err(BodyError::Expansion(self.max_expansion));
        }
        Ok(bytes)
    }

    /// The next bytes on the wire, never empty.
    async fn frame(&mut self) -> Result<Option<Bytes>, BodyError> {
        loop {
            if self.ended {
                return Ok(None);
            }
            let (patience, began) = (self.patience(), Instant::now());
            let frame = tokio::time::timeout(patience, self.incoming.frame()).await;
            if let Some(pace) = &mut self.pace {
                pace.waited += began.elapsed();
            }
            let late = |_| {
                if patience < self.idle { BodyError::Slow(self.rate) } else { BodyError::Idle(self.idle) }
            };
            match frame.map_err(late)? {
                None => self.ended = true,
                Some(Err(error)) => {
                    self.ended = true;
                    return Err(BodyError::Gone(error));
                }
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data()
                        && !data.is_empty()
                    {
                        self.received += data.len() as u64;
                        if let Some(counter) = &self.counter {
                            counter.inc_by(data.len() as u64);
                        }
                        return Ok(Some(data));
                    }
                }
            }
        }
    }
}

impl Decoder {
    /// What came out so far; the rest comes with the next step or the end.
    fn step(&mut self, bytes: &[u8]) -> io::Result<Bytes> {
        match self {
            Self::Identity => Ok(Bytes::copy_from_slice(bytes)),
            Self::Gzip(decoder) => {
                decoder.write_all(bytes)?;
                Ok(std::mem::take(decoder.get_mut()).into())
            }
            Self::Zlib(decoder) => {
                decoder.write_all(bytes)?;
                Ok(std::mem::take(decoder.get_mut()).into())
            }
        }
    }

    /// Checks the end of the stream (a cut one is an error) and returns what was still inside.
    fn finish(&mut self) -> io::Result<Bytes> {
        match std::mem::replace(self, Self::Identity) {
            Self::Identity => Ok(Bytes::new()),
            Self::Gzip(mut decoder) => {
                decoder.try_finish()?;
                Ok(std::mem::take(decoder.get_mut()).into())
            }
            Self::Zlib(mut decoder) => {
                decoder.try_finish()?;
                Ok(std::mem::take(decoder.get_mut()).into())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use flate2::Compression;
    use flate2::write::{GzEncoder, ZlibEncoder};
    use futures_util::StreamExt as _;
    use http_body_util::{Full, StreamBody};
    use hyper::body::Frame;

    use super::*;

    fn body(encoding: &'static str, bytes: Vec<u8>, limit: u64) -> RequestBody {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, encoding.parse().unwrap());
        RequestBody::new(&headers, Full::new(Bytes::from(bytes)), limit, &GitLimits::default()).unwrap()
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    async fn all(mut body: RequestBody) -> Result<Vec<u8>, BodyError> {
        let mut all = Vec::new();
        while let Some(chunk) = body.chunk().await? {
            assert!(chunk.len() < 1 << 20, "{} bytes at once", chunk.len());
            all.extend_from_slice(&chunk);
        }
        Ok(all)
    }

    #[tokio::test]
    async fn compressed_bodies_are_read() {
        let text: Vec<u8> = (0..300_000_u32).flat_map(|n| n.to_le_bytes()).collect();
        assert_eq!(all(body("gzip", gzip(&text), 1 << 30)).await.unwrap(), text);
        assert_eq!(all(body("X-GZIP", gzip(&text), 1 << 30)).await.unwrap(), text);
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&text).unwrap();
        assert_eq!(all(body("deflate", encoder.finish().unwrap(), 1 << 30)).await.unwrap(), text);
    }

    #[tokio::test]
    async fn a_bomb_ends_at_the_limit_and_by_its_ratio() {
        let bomb = gzip(&vec![0; 64 << 20]);
        let error = all(body("gzip", bomb.clone(), 300_000)).await.unwrap_err();
        assert!(matches!(error, BodyError::TooLong(300_000)), "{error}");
        let error = all(body("gzip", bomb, 1 << 30)).await.unwrap_err();
        assert!(matches!(error, BodyError::Expansion(_)), "{error}");
    }

    #[tokio::test]
    async fn a_cut_or_broken_stream_is_an_error() {
        let whole = gzip(b"hello hello hello");
        for bytes in
            [whole[..whole.len() - 9].to_vec(), b"no gzip at all".to_vec(), [&whole[..], b"more"].concat()]
        {
            let error = all(body("gzip", bytes, 1000)).await.unwrap_err();
            assert!(matches!(error, BodyError::Compressed(_)), "{error}");
        }
    }

    #[tokio::test]
    async fn packets_then_the_rest() {
        let mut body = body("identity", b"0006ab0000PACKrest".to_vec(), 1000);
        assert_eq!(body.packet().await.unwrap(), Some(Packet::Data(Bytes::from_static(b"ab"))));
        assert_eq!(body.packet().await.unwrap(), Some(Packet::Flush));
        assert_eq!(body.peek(4).await.unwrap(), b"PACK");
        assert_eq!(body.consumed(), 10);
        assert_eq!(body.chunk().await.unwrap().expect("the rest"), "PACKrest");
        assert!(body.chunk().await.unwrap().is_none());
    }

    /// A body of one byte, behind which nothing comes for ever.
    fn dripping(limits: &GitLimits) -> RequestBody {
        let first = futures_util::stream::iter([Ok::<_, io::Error>(Frame::data(Bytes::from_static(b"0")))]);
        let body = StreamBody::new(first.chain(futures_util::stream::pending()));
        RequestBody::new(&HeaderMap::new(), body, 1000, limits).unwrap()
    }

    #[tokio::test]
    async fn whoever_keeps_no_pace_is_not_waited_for_until_silence_is_too_long() {
        let day = Duration::from_secs(86_400);
        let limits = GitLimits { idle: day, pace_grace: Duration::from_millis(20), ..GitLimits::default() };
        let mut body = dripping(&limits);
        body.begin_pace();
        assert_eq!(body.peek(1).await.unwrap(), b"0");
        let error = body.packet().await.unwrap_err();
        assert!(matches!(error, BodyError::Slow(_)), "{error}");
        assert_eq!(error.response().status(), StatusCode::REQUEST_TIMEOUT);
        // what is read to be forgotten keeps the same pace
        dripping(&limits).drain(1 << 30).await;
        let limits = GitLimits { idle: Duration::from_millis(20), pace_grace: day, ..limits };
        let mut body = dripping(&limits);
        body.begin_pace();
        assert!(matches!(body.packet().await, Err(BodyError::Idle(_))));
    }

    #[tokio::test]
    async fn bytes_earn_time_and_waiting_spends_it() {
        let limits = GitLimits {
            pace_grace: Duration::from_secs(20),
            pace_bytes_a_second: 100,
            ..GitLimits::default()
        };
        let mut body = dripping(&limits);
        assert_eq!(body.patience(), limits.idle);
        body.begin_pace();
        assert_eq!(body.patience(), Duration::from_secs(20));
        body.received += 500;
        assert_eq!(body.patience(), Duration::from_secs(25));
        if let Some(pace) = &mut body.pace {
            pace.waited = Duration::from_secs(24);
        }
        assert_eq!(body.patience(), Duration::from_secs(1));
        body.received += 1_000_000;
        assert_eq!(body.patience(), limits.idle, "never longer than silence may be");
        body.end_pace();
        assert_eq!(body.patience(), limits.idle);
    }

    #[tokio::test]
    async fn an_unknown_encoding_is_refused() {
        let mut headers = HeaderMap::new();
        headers.insert(CONTENT_ENCODING, "br".parse().unwrap());
        let body = RequestBody::new(&headers, Full::new(Bytes::new()), 1, &GitLimits::default());
        assert!(matches!(body, Err(BodyError::Encoding(name)) if name == "br"));
    }
}
