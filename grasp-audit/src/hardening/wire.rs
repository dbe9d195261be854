//! One connection made of bytes: everything that is sent is counted and recorded, everything that comes is kept.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt, ReadHalf, WriteHalf};

use super::meter::{Meter, Opened};
use super::replies::{Reply, replies};
use crate::check::{CheckResult, fail};
use crate::target::ANSWER_WITHIN;
use crate::target::Target;
use crate::target::patience::Patience;
use crate::target::stream::Stream;
use crate::target::transcript::Transcript;

/// How much of what comes is kept, in bytes; more is read and forgotten.
const MAX_KEPT: usize = 8 << 20;
/// How many bytes are written at once.
const STEP: usize = 64 * 1024;
/// How long after a whole answer another one may still come.
const AFTERWARDS: Duration = Duration::from_millis(250);
/// How many bytes of what is sent at once are recorded.
const RECORDED: usize = 600;

/// How the server ended a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// In good order.
    Closed,
    /// With a reset.
    Reset,
}

/// What a client does with answers while it sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Meanwhile {
    /// Reads them.
    Reads,
    /// Reads, and sends nothing more once something has come.
    StopsAtAnAnswer,
    /// Does not read.
    IsDeaf,
}

/// What came of one exchange of bytes.
#[derive(Debug, Clone)]
pub struct Heard {
    /// Responses, in order.
    pub replies: Vec<Reply>,
    /// Everything that came, as it came.
    pub bytes: Vec<u8>,
    /// How the server ended the connection, if it has.
    pub end: Option<End>,
    /// Whether the server took everything that was sent.
    pub taken: bool,
}

impl Heard {
    /// The first response.
    pub fn first(&self) -> Option<&Reply> {
        self.replies.first()
    }

    /// What happened, in few words.
    pub fn told(&self) -> String {
        let statuses: Vec<String> =
            self.replies.iter().map(|reply| format!("HTTP {}", reply.status)).collect();
        let end = match self.end {
            Some(End::Closed) => "the connection was closed",
            Some(End::Reset) => "the connection was reset",
            None => "the connection stays open",
        };
        match (statuses.is_empty(), self.bytes.is_empty()) {
            (false, _) => format!("{}; {end}", statuses.join(", ")),
            (true, true) => format!("no answer; {end}"),
            (true, false) => format!("{} bytes that are no HTTP; {end}", self.bytes.len()),
        }
    }
}

/// One connection.
#[derive(Debug)]
pub(crate) struct Wire {
    reader: ReadHalf<Stream>,
    writer: WriteHalf<Stream>,
    meter: Arc<Meter>,
    transcript: Arc<Transcript>,
    channel: String,
    patience: Patience,
    heard: Vec<u8>,
    end: Option<End>,
    _opened: Opened,
}

impl Wire {
    pub(crate) async fn open(
        target: &Target,
        meter: &Arc<Meter>,
        transcript: &Arc<Transcript>,
        channel: String,
    ) -> CheckResult<Self> {
        let opened = meter.open()?;
        let stream = target.dialer.dial().await;
        let stream = stream.map_err(|error| {
            transcript.note(&channel, &format!("no connection: {error}"));
            fail("a connection", error)
        })?;
        let (reader, writer) = tokio::io::split(stream);
        Ok(Self {
            reader,
            writer,
            meter: meter.clone(),
            transcript: transcript.clone(),
            channel,
            patience: target.patience,
            heard: Vec::new(),
            end: None,
            _opened: opened,
        })
    }

    /// Sends bytes that are one message, and reads meanwhile. Whether the server took all of them.
    ///
    /// # Errors
    /// Only when the case would exceed what it states.
    pub(crate) async fn send(&mut self, bytes: &[u8]) -> CheckResult<bool> {
        self.send_as(bytes, 1, Meanwhile::Reads).await
    }

    /// Sends bytes that are so many messages. Whether the server took all of them: `false` when it ended the connection,
    /// answered (and that is what was waited for), or took nothing for as long as an answer may take.
    pub(crate) async fn send_as(
        &mut self,
        bytes: &[u8],
        messages: usize,
        meanwhile: Meanwhile,
    ) -> CheckResult<bool> {
        self.meter.send(messages, bytes.len())?;
        if messages > 0 {
            self.transcript.sent(&self.channel, &shown(bytes));
        }
        let mut rest = bytes;
        let mut buffer = vec![0; 16 * 1024];
        let within = self.patience.of(ANSWER_WITHIN);
        while !rest.is_empty() {
            if self.end.is_some() || (meanwhile == Meanwhile::StopsAtAnAnswer && !self.heard.is_empty()) {
                return Ok(false);
            }
            let step = &rest[..rest.len().min(STEP)];
            tokio::select! {
                written = self.writer.write(step) => match written {
                    Ok(written) if written > 0 => rest = &rest[written..],
                    _ => {
                        // What the server said before it went may still be there.
                        self.hear_until(Duration::from_millis(500), |_| false).await;
                        self.end.get_or_insert(End::Reset);
                        return Ok(false);
                    }
                },
                read = self.reader.read(&mut buffer), if meanwhile != Meanwhile::IsDeaf => self.took(read, &buffer),
                () = tokio::time::sleep(within) => return Ok(false),
            }
        }
        // A TLS stream keeps what it was given until it is flushed; an error shows when the answer is read.
        let _ = tokio::time::timeout(within, self.writer.flush()).await;
        Ok(true)
    }

    /// One byte of a message that was counted when it began.
    pub(crate) async fn drip(&mut self, byte: u8) -> CheckResult<bool> {
        self.send_as(&[byte], 0, Meanwhile::Reads).await
    }

    /// Says that nothing more will be sent; what comes is still read.
    pub(crate) async fn half_close(&mut self) {
        self.transcript.note(&self.channel, "nothing more is sent (half-closed)");
        // An error means that the connection has ended already, which the next look tells.
        let _ = self.writer.shutdown().await;
    }

    fn took(&mut self, read: std::io::Result<usize>, buffer: &[u8]) {
        match read {
            Ok(0) => self.end = Some(End::Closed),
            Ok(read) => {
                let room = MAX_KEPT.saturating_sub(self.heard.len());
                self.heard.extend_from_slice(&buffer[..read.min(room)]);
            }
            Err(error) if error.kind() == std::io::ErrorKind::UnexpectedEof => self.end = Some(End::Closed),
            Err(_) => self.end = Some(End::Reset),
        }
    }

    /// Reads until `enough` has come, the connection ends, or the time is over. Whether `enough` has come.
    pub(crate) async fn hear_until(
        &mut self,
        within: Duration,
        mut enough: impl FnMut(&[u8]) -> bool,
    ) -> bool {
        let deadline = Instant::now() + within;
        let mut buffer = vec![0; 16 * 1024];
        loop {
            if enough(&self.heard) {
                return true;
            }
            if self.end.is_some() {
                return false;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match tokio::time::timeout(left, self.reader.read(&mut buffer)).await {
                Ok(read) => self.took(read, &buffer),
                Err(_) => return false,
            }
        }
    }

    /// Reads until the connection ends or the time is over, and forgets what comes. How the connection ended, if it did.
    pub(crate) async fn hear_the_end(&mut self, within: Duration) -> Option<End> {
        let deadline = Instant::now() + within;
        while self.end.is_none() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() || !self.hear_until(left, |heard| !heard.is_empty()).await {
                break;
            }
            self.heard.clear();
        }
        self.end
    }

    /// Waits for the answers to what was sent: until the server ends the connection, or nothing more comes after a whole
    /// response, or the time for an answer is over.
    pub(crate) async fn answers(&mut self, taken: bool) -> Heard {
        self.answers_within(self.patience.of(ANSWER_WITHIN), taken).await
    }

    /// As [`Wire::answers`], for what may take longer.
    pub(crate) async fn answers_within(&mut self, within: Duration, taken: bool) -> Heard {
        let whole = |heard: &[u8]| replies(heard, false).last().is_some_and(|reply| reply.whole);
        if self.hear_until(self.meter.wait(within), whole).await {
            let length = self.heard.len();
            while self.hear_until(self.patience.of(AFTERWARDS), |heard| heard.len() > length).await
                && self.heard.len() < MAX_KEPT
                && self.end.is_none()
            {
                if self.hear_until(self.patience.of(ANSWER_WITHIN), whole).await {
                    break;
                }
            }
        }
        if self.heard.is_empty() && self.end.is_none() {
            self.meter.unanswered();
        }
        let heard = Heard {
            replies: replies(&self.heard, self.end.is_some()),
            bytes: self.heard.clone(),
            end: self.end,
            taken,
        };
        self.transcript.received(&self.channel, &format!("{}\n{}", heard.told(), shown(&heard.bytes)));
        heard
    }

    /// Whether the connection has ended as far as was noticed.
    pub(crate) const fn ended(&self) -> Option<End> {
        self.end
    }

    /// Takes what has come so far.
    pub(crate) const fn kept(&mut self) -> &mut Vec<u8> {
        &mut self.heard
    }

    pub(crate) fn meter(&self) -> &Meter {
        &self.meter
    }

    pub(crate) const fn patience(&self) -> Patience {
        self.patience
    }

    pub(crate) fn record_received(&self, text: &str) {
        self.transcript.received(&self.channel, text);
    }
}

/// Bytes as they stand in a transcript: readable ones as they are, others escaped, long ones cut.
pub(crate) fn shown(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in &bytes[..bytes.len().min(RECORDED)] {
        match byte {
            b'\n' => text.push('\n'),
            b'\r' => text.push_str("\\r"),
            0x20..=0x7e => text.push(char::from(*byte)),
            other => text.push_str(&format!("\\x{other:02x}")),
        }
    }
    if bytes.len() > RECORDED {
        text.push_str(&format!(" … ({} bytes in all)", bytes.len()));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_are_shown_readably_and_cut() {
        assert_eq!(shown(b"GET /\r\n\0\xff"), "GET /\\r\n\\x00\\xff");
        assert!(shown(&[b'x'; 5000]).ends_with("(5000 bytes in all)"));
    }
}
