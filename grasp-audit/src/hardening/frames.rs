//! WebSocket frames written byte by byte (RFC 6455), so that they can be wrong in every place.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::case::Findings;
use super::wire::{End, Meanwhile, Wire};
use crate::check::{CheckResult, fail};
use crate::target::ANSWER_WITHIN;
use crate::target::message::RelayMessage;

/// The key of every handshake here; any 16 bytes in base64 do.
pub(crate) const KEY: &str = "Z3Jhc3AtYXVkaXQtaGFyZA==";
/// The mask of every frame here; what matters is that there is one.
const MASK: [u8; 4] = [0x67, 0x72, 0x61, 0x73];
/// How long after the answer to a later message an answer may still come.
const ANSWER_OUT_OF_ORDER: Duration = Duration::from_secs(3);
/// How much of a message of the server is read, in bytes.
const MAX_FRAME: usize = 4 << 20;

/// What is seen of a handshake that is neither agreed to nor refused.
pub(crate) const UNANSWERED: &str = "none, and the connection stays open";

/// Opcodes of RFC 6455.
pub(crate) const CONTINUATION: u8 = 0;
pub(crate) const TEXT: u8 = 1;
pub(crate) const BINARY: u8 = 2;
pub(crate) const CLOSE: u8 = 8;
pub(crate) const PING: u8 = 9;
pub(crate) const PONG: u8 = 10;

/// One frame, right unless told otherwise.
#[derive(Debug, Clone)]
pub(crate) struct Frame {
    opcode: u8,
    fin: bool,
    reserved: u8,
    masked: bool,
    claimed: Option<u64>,
    payload: Vec<u8>,
}

impl Frame {
    pub(crate) fn new(opcode: u8, payload: impl Into<Vec<u8>>) -> Self {
        Self { opcode, fin: true, reserved: 0, masked: true, claimed: None, payload: payload.into() }
    }

    pub(crate) fn text(text: impl Into<String>) -> Self {
        Self::new(TEXT, text.into())
    }

    /// More frames of the message follow.
    pub(crate) const fn unfinished(mut self) -> Self {
        self.fin = false;
        self
    }

    /// Sets reserved bits: 4 is RSV1, which means "compressed" where that was agreed.
    pub(crate) const fn reserved(mut self, bits: u8) -> Self {
        self.reserved = bits;
        self
    }

    /// Leaves the mask out, as no client may.
    pub(crate) const fn unmasked(mut self) -> Self {
        self.masked = false;
        self
    }

    /// Claims another length, in its longest form.
    pub(crate) const fn claiming(mut self, length: u64) -> Self {
        self.claimed = Some(length);
        self
    }

    pub(crate) fn encode(&self) -> Vec<u8> {
        let mask_bit = if self.masked { 0x80 } else { 0 };
        let mut bytes = vec![(u8::from(self.fin) << 7) | (self.reserved << 4) | self.opcode];
        match (self.claimed, self.payload.len()) {
            (None, length @ 0..=125) => bytes.push(mask_bit | length as u8),
            (None, length @ 126..=65_535) => {
                bytes.push(mask_bit | 126);
                bytes.extend_from_slice(&(length as u16).to_be_bytes());
            }
            (claimed, length) => {
                bytes.push(mask_bit | 127);
                bytes.extend_from_slice(&claimed.unwrap_or(length as u64).to_be_bytes());
            }
        }
        if self.masked {
            bytes.extend_from_slice(&MASK);
            bytes.extend(self.payload.iter().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
        } else {
            bytes.extend_from_slice(&self.payload);
        }
        bytes
    }
}

/// What the server sent.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Said {
    /// A message of the relay protocol, or a text that is none.
    Message(RelayMessage),
    /// A ping or pong.
    Control,
    /// Its half of the closing handshake.
    Close(Option<u16>, String),
}

/// What came next on a connection.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Next {
    /// A frame.
    Said(Said),
    /// The end of the connection.
    Ended(End),
    /// Nothing in time.
    Quiet,
}

/// How the server took a frame or message.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reaction {
    /// It answered; the connection lives.
    Answered(RelayMessage),
    /// It said nothing about it; the connection lives.
    Ignored,
    /// It ended the connection, and said why: close code and reason.
    Closed(Option<u16>, String),
    /// It ended the connection without a word.
    Cut,
    /// It says nothing at all any more.
    Silent,
}

impl std::fmt::Display for Reaction {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Answered(message) => write!(f, "answered {message:?}"),
            Self::Ignored => write!(f, "ignored"),
            Self::Closed(Some(code), reason) => write!(f, "closed with {code} {reason:?}"),
            Self::Closed(None, _) => write!(f, "closed without a code"),
            Self::Cut => write!(f, "cut off without a word"),
            Self::Silent => write!(f, "no answer any more, and the connection stays open"),
        }
    }
}

/// A WebSocket after its handshake.
#[derive(Debug)]
pub(crate) struct Socket {
    wire: Wire,
    probes: usize,
}

impl Socket {
    pub(crate) async fn open(mut wire: Wire, authority: &str) -> CheckResult<Self> {
        wire.send(handshake(authority, &[]).as_bytes()).await?;
        let end = |heard: &[u8]| heard.windows(4).position(|window| window == b"\r\n\r\n");
        let within = wire.patience().of(ANSWER_WITHIN);
        if !wire.hear_until(within, |heard| end(heard).is_some()).await {
            let seen = wire.ended().map_or(UNANSWERED.to_owned(), |end| format!("none ({end:?})"));
            return Err(fail("an answer to the WebSocket handshake", seen));
        }
        let length = end(wire.kept()).map_or(0, |end| end + 4);
        let head: Vec<u8> = wire.kept().drain(..length).collect();
        let head = String::from_utf8_lossy(&head).into_owned();
        wire.record_received(&head);
        if !head.starts_with("HTTP/1.1 101") {
            return Err(fail("101 for the WebSocket handshake", head));
        }
        Ok(Self { wire, probes: 0 })
    }

    /// Sends frames in one go; whether the server took all of them.
    pub(crate) async fn send(&mut self, frames: &[Frame]) -> CheckResult<bool> {
        self.send_as(frames, Meanwhile::Reads).await
    }

    pub(crate) async fn send_as(&mut self, frames: &[Frame], meanwhile: Meanwhile) -> CheckResult<bool> {
        let bytes: Vec<u8> = frames.iter().flat_map(Frame::encode).collect();
        self.wire.send_as(&bytes, frames.len(), meanwhile).await
    }

    pub(crate) async fn text(&mut self, text: impl Into<String>) -> CheckResult<bool> {
        self.send(&[Frame::text(text)]).await
    }

    pub(crate) async fn json(&mut self, message: &Value) -> CheckResult<bool> {
        self.text(message.to_string()).await
    }

    pub(crate) const fn wire(&mut self) -> &mut Wire {
        &mut self.wire
    }

    pub(crate) fn into_wire(self) -> Wire {
        self.wire
    }

    /// What the server sends next.
    pub(crate) async fn next(&mut self, within: Duration) -> Next {
        let whole = |heard: &[u8]| frame(heard).is_some();
        if !self.wire.hear_until(within, whole).await {
            return self.wire.ended().map_or(Next::Quiet, Next::Ended);
        }
        let Some((opcode, payload, length)) = frame(self.wire.kept()) else { return Next::Quiet };
        self.wire.kept().drain(..length);
        let text = String::from_utf8_lossy(&payload).into_owned();
        Next::Said(match opcode {
            PING | PONG => Said::Control,
            CLOSE => {
                let code = payload.first_chunk().map(|code| u16::from_be_bytes(*code));
                let reason = String::from_utf8_lossy(payload.get(2..).unwrap_or_default()).into_owned();
                self.wire.record_received(&format!("close {code:?} {reason}"));
                Said::Close(code, reason)
            }
            BINARY => Said::Message(RelayMessage::Binary(payload.len())),
            _ => {
                self.wire.record_received(&text);
                Said::Message(RelayMessage::parse(&text))
            }
        })
    }

    /// Whatever `wanted` recognises among what the server sends; everything else is passed over.
    ///
    /// `Err` is why it never came.
    pub(crate) async fn hear<T>(
        &mut self,
        within: Duration,
        mut wanted: impl FnMut(&RelayMessage) -> Option<T>,
    ) -> Result<T, Reaction> {
        let deadline = Instant::now() + within;
        loop {
            match self.next(deadline.saturating_duration_since(Instant::now())).await {
                Next::Said(Said::Message(message)) => {
                    if let Some(found) = wanted(&message) {
                        return Ok(found);
                    }
                }
                Next::Said(Said::Control) => {}
                Next::Said(Said::Close(code, reason)) => return Err(Reaction::Closed(code, reason)),
                Next::Ended(_) => return Err(Reaction::Cut),
                Next::Quiet => return Err(Reaction::Silent),
            }
        }
    }

    /// Asks something harmless behind what was sent before, and reads until that is answered: how did the server take what
    /// came before? An answer to that may come a little later than to the question behind it.
    pub(crate) async fn reaction(&mut self) -> CheckResult<Reaction> {
        self.reaction_to(|_| true).await
    }

    /// As [`Socket::reaction`], where only some messages count as an answer.
    pub(crate) async fn reaction_to(
        &mut self,
        answers: impl Fn(&RelayMessage) -> bool,
    ) -> CheckResult<Reaction> {
        match self.still_there(&answers).await? {
            Reaction::Ignored => {
                let late = self.wire.patience().of(ANSWER_OUT_OF_ORDER);
                let is_one = |message: &RelayMessage| is_answer(message) && answers(message);
                let answer = self.hear(late, |message| is_one(message).then(|| message.clone())).await;
                Ok(match answer {
                    Ok(answer) => Reaction::Answered(answer),
                    Err(Reaction::Silent) => Reaction::Ignored,
                    Err(reaction) => reaction,
                })
            }
            reaction => Ok(reaction),
        }
    }

    /// Whether a REQ is still answered here, and what is said before that.
    pub(crate) async fn still_there(
        &mut self,
        answers: impl Fn(&RelayMessage) -> bool,
    ) -> CheckResult<Reaction> {
        self.probes += 1;
        let probe = format!("alive-{}", self.probes);
        self.json(&json!(["REQ", probe, {"limit": 0}])).await?;
        let within = self.wire.meter().wait(self.wire.patience().of(ANSWER_WITHIN));
        let mut first = None;
        let alive = self
            .hear(within, |message| match message {
                RelayMessage::Eose(id) | RelayMessage::Closed { subscription: id, .. } if *id == probe => {
                    Some(())
                }
                message => {
                    if first.is_none() && is_answer(message) && answers(message) {
                        first = Some(message.clone());
                    }
                    None
                }
            })
            .await;
        if alive.is_ok() {
            self.json(&json!(["CLOSE", probe])).await?;
        }
        Ok(match (alive, first) {
            (Ok(()), Some(answer)) => Reaction::Answered(answer),
            (Ok(()), None) => Reaction::Ignored,
            (Err(Reaction::Silent), None) => {
                self.wire.meter().unanswered();
                Reaction::Silent
            }
            // It did answer, and then went on to something that takes long; the vital signs tell how others fare.
            (Err(Reaction::Silent), Some(answer)) => Reaction::Answered(answer),
            (Err(reaction), _) => reaction,
        })
    }
}

/// An event or a challenge is no answer to anything that makes no sense.
fn is_answer(message: &RelayMessage) -> bool {
    !matches!(message, RelayMessage::Event { .. } | RelayMessage::Auth(_))
}

/// A WebSocket handshake with further header lines.
pub(crate) fn handshake(authority: &str, fields: &[&str]) -> String {
    let more: String = fields.iter().map(|field| format!("{field}\r\n")).collect();
    format!(
        "GET / HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {KEY}\r\n{more}\r\n"
    )
}

/// The frame at the beginning of `bytes` (opcode, payload, length in the stream), when all of it has come.
fn frame(bytes: &[u8]) -> Option<(u8, Vec<u8>, usize)> {
    let opcode = bytes.first()? & 0x0f;
    let second = *bytes.get(1)?;
    let (length, at) = match second & 0x7f {
        126 => (u64::from(u16::from_be_bytes(*bytes.get(2..4)?.first_chunk()?)), 4),
        127 => (u64::from_be_bytes(*bytes.get(2..10)?.first_chunk()?), 10),
        short => (u64::from(short), 2),
    };
    let length = usize::try_from(length).ok().filter(|length| *length <= MAX_FRAME)?;
    let (mask, at) = match second & 0x80 {
        0 => ([0; 4], at),
        _ => (*bytes.get(at..at + 4)?.first_chunk()?, at + 4),
    };
    let payload = bytes.get(at..at + length)?;
    Some((
        opcode,
        payload.iter().zip(mask.iter().cycle()).map(|(byte, mask)| byte ^ mask).collect(),
        at + length,
    ))
}

impl Findings {
    /// Grades the reaction to a message that is wrong but well framed: it must be answered. An end of the connection with
    /// a reason is tolerable, silence is weak.
    pub(crate) fn message(&mut self, input: &str, reaction: &Reaction) {
        match reaction {
            Reaction::Answered(RelayMessage::Ok { accepted: true, .. }) => {
                self.weak(input, format!("taken: {reaction}"));
            }
            Reaction::Answered(message) => self.robust(verb(message)),
            Reaction::Closed(Some(code), reason) => {
                self.tolerable(input, format!("answered by ending the connection ({code} {reason:?})"));
            }
            Reaction::Closed(None, _) | Reaction::Cut => self.tolerable(input, reaction),
            Reaction::Ignored => self.weak(input, "no answer, although the connection lives"),
            Reaction::Silent => self.weak(input, reaction),
        }
    }

    /// Grades the reaction to what breaks the framing: the connection has to end, with a code at best.
    pub(crate) fn broken_frame(&mut self, input: &str, reaction: &Reaction) {
        match reaction {
            Reaction::Closed(Some(code), _) => self.robust(format!("closed with {code}")),
            // RFC 6455, 7.1.7: to fail a connection is to drop it; a close frame before that is a courtesy.
            Reaction::Closed(None, _) | Reaction::Cut => {
                self.tolerable(input, format!("{reaction}; a close code would say why"));
            }
            Reaction::Answered(_) | Reaction::Ignored => {
                self.weak(input, format!("taken as if it were right ({reaction})"));
            }
            Reaction::Silent => self.weak(input, reaction),
        }
    }

    /// Grades the reaction to what is allowed, if unusual: it has to be understood, or refused with words.
    pub(crate) fn understood(&mut self, input: &str, reaction: &Reaction) {
        match reaction {
            Reaction::Answered(message) => self.robust(verb(message)),
            Reaction::Ignored => self.robust("still answers"),
            Reaction::Closed(Some(code), _) => self.robust(format!("closed with {code}")),
            Reaction::Closed(None, _) | Reaction::Cut => self.tolerable(input, reaction),
            Reaction::Silent => self.weak(input, reaction),
        }
    }
}

/// The kind of a message, as it is counted.
pub(crate) fn verb(message: &RelayMessage) -> String {
    match message {
        RelayMessage::Event { .. } => "EVENT".to_owned(),
        RelayMessage::Ok { accepted, .. } => format!("OK {accepted}"),
        RelayMessage::Eose(_) => "EOSE".to_owned(),
        RelayMessage::Closed { .. } => "CLOSED".to_owned(),
        RelayMessage::Notice(_) => "NOTICE".to_owned(),
        RelayMessage::Auth(_) => "AUTH".to_owned(),
        RelayMessage::Count { .. } => "COUNT".to_owned(),
        RelayMessage::NegMsg { .. } => "NEG-MSG".to_owned(),
        RelayMessage::NegErr { .. } => "NEG-ERR".to_owned(),
        RelayMessage::Binary(_) => "a binary message".to_owned(),
        RelayMessage::Close { .. } => "close".to_owned(),
        RelayMessage::Unknown(_) => "a text that is no message".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn frames_are_those_of_the_rfc() {
        for length in [0, 1, 125, 126, 65_535, 65_536] {
            let sent = Frame::new(BINARY, vec![7; length]).encode();
            let (opcode, payload, taken) = frame(&sent).unwrap();
            assert_eq!((opcode, payload.len(), taken), (BINARY, length, sent.len()));
            assert!(payload.iter().all(|byte| *byte == 7));
            assert_eq!(frame(&sent[..sent.len() - 1]), None);
        }
        // RFC 6455, 5.7: a single-frame unmasked text message.
        assert_eq!(Frame::text("Hello").unmasked().encode(), b"\x81\x05Hello");
        assert_eq!(Frame::new(PING, "x").reserved(4).encode()[0], 0b1100_1001);
        assert_eq!(
            Frame::text("").claiming(u64::MAX).encode()[..10],
            [0x81, 0xff, 255, 255, 255, 255, 255, 255, 255, 255]
        );
    }
}
