//! A WebSocket client that costs little: messages are framed before they are needed, and what comes is looked at, not
//! parsed. It only reads what servers send here: whole, unmasked frames.

use std::collections::VecDeque;
use std::net::SocketAddr;

use bytes::{Buf, BytesMut};
use nostr::event::Event;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::Result;

const TEXT: u8 = 1;
const CLOSE: u8 = 8;
/// The mask of all our frames; any will do.
const MASK: [u8; 4] = [0x5a, 0xc3, 0x96, 0x0f];
/// How much is read at once, in bytes.
const READ: usize = 64 << 10;

/// A text message as it goes over the wire.
pub(crate) fn frame(text: &str) -> Vec<u8> {
    let mut frame = vec![0x80 | TEXT];
    match text.len() {
        length @ ..126 => frame.push(0x80 | length as u8),
        length @ 126..65_536 => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(text.bytes().zip(MASK.iter().cycle()).map(|(byte, mask)| byte ^ mask));
    frame
}

/// `["EVENT", …]` as it goes over the wire.
pub(crate) fn event_frame(event: &Event) -> Result<Vec<u8>> {
    Ok(frame(&format!("[\"EVENT\",{}]", serde_json::to_string(event)?)))
}

/// A connection to a relay.
#[derive(Debug)]
pub(crate) struct Socket {
    stream: TcpStream,
    buffer: BytesMut,
}

impl Socket {
    /// Connects and shakes hands.
    pub(crate) async fn open(address: SocketAddr) -> Result<Self> {
        let mut stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        let request = format!(
            "GET / HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
             Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
        );
        stream.write_all(request.as_bytes()).await?;
        let mut socket = Self { stream, buffer: BytesMut::new() };
        loop {
            if let Some(end) = socket.buffer.windows(4).position(|four| four == b"\r\n\r\n") {
                let head = socket.buffer.split_to(end + 4);
                return if head.starts_with(b"HTTP/1.1 101") {
                    Ok(socket)
                } else {
                    Err(format!("no WebSocket: {}", String::from_utf8_lossy(&head)).into())
                };
            }
            socket.read().await?;
        }
    }

    async fn read(&mut self) -> Result<()> {
        self.buffer.reserve(READ);
        match self.stream.read_buf(&mut self.buffer).await? {
            0 => Err("the relay closed the connection".into()),
            _ => Ok(()),
        }
    }

    /// Waits for something, and shows every text message that is whole by then.
    pub(crate) async fn receive(&mut self, mut each: impl FnMut(&[u8])) -> Result<()> {
        loop {
            let mut some = false;
            while let Some((opcode, start, length)) = whole_frame(&self.buffer) {
                match opcode {
                    TEXT => {
                        each(&self.buffer[start..start + length]);
                        some = true;
                    }
                    CLOSE => return Err("the relay closed the connection".into()),
                    _ => {}
                }
                self.buffer.advance(start + length);
            }
            if some {
                return Ok(());
            }
            self.read().await?;
        }
    }

    /// Sends frames.
    pub(crate) async fn send(&mut self, frames: &[u8]) -> Result<()> {
        Ok(self.stream.write_all(frames).await?)
    }

    /// Subscribes and waits for the end of what is stored.
    pub(crate) async fn subscribe(&mut self, filter: &str) -> Result<()> {
        self.send(&frame(&format!("[\"REQ\",\"s\",{filter}]"))).await?;
        let mut stored = false;
        while !stored {
            self.receive(|text| stored |= text.starts_with(b"[\"EOSE\"")).await?;
        }
        Ok(())
    }

    /// Publishes one event, which must be accepted.
    pub(crate) async fn publish(&mut self, event: &Event) -> Result<()> {
        self.publish_all(&[event_frame(event)?], 1).await
    }

    /// Publishes all of these, so many unanswered at a time; each must be accepted.
    pub(crate) async fn publish_all(&mut self, frames: &[Vec<u8>], in_flight: usize) -> Result<()> {
        let mut waiting: VecDeque<&Vec<u8>> = frames.iter().collect();
        let (mut open, mut refused) = (0, None);
        let mut batch = Vec::new();
        while open > 0 || !waiting.is_empty() {
            batch.clear();
            while open < in_flight {
                let Some(next) = waiting.pop_front() else { break };
                batch.extend_from_slice(next);
                open += 1;
            }
            self.send(&batch).await?;
            self.receive(|text| {
                if text.starts_with(b"[\"OK\"") {
                    open -= 1;
                    if !text.windows(6).any(|six| six == b",true,") {
                        refused = Some(String::from_utf8_lossy(text).into_owned());
                    }
                }
            })
            .await?;
            if let Some(refused) = refused {
                return Err(format!("not accepted: {refused}").into());
            }
        }
        Ok(())
    }

    /// Reads until so many events have come; anything that ends the subscription is an error.
    pub(crate) async fn events(&mut self, count: usize) -> Result<()> {
        let (mut seen, mut closed) = (0, None);
        while seen < count {
            self.receive(|text| {
                if text.starts_with(b"[\"EVENT\"") {
                    seen += 1;
                } else if text.starts_with(b"[\"CLOSED\"") {
                    closed = Some(String::from_utf8_lossy(text).into_owned());
                }
            })
            .await?;
            if let Some(closed) = closed {
                return Err(format!("after {seen} of {count} events: {closed}").into());
            }
        }
        Ok(())
    }
}

/// Opcode, beginning and length of the payload of the first frame, when all of it is here.
fn whole_frame(buffer: &[u8]) -> Option<(u8, usize, usize)> {
    let (first, second) = (*buffer.first()?, *buffer.get(1)?);
    let (start, length) = match second & 0x7f {
        126 => (4, usize::from(u16::from_be_bytes(buffer.get(2..4)?.try_into().ok()?))),
        127 => (10, usize::try_from(u64::from_be_bytes(buffer.get(2..10)?.try_into().ok()?)).ok()?),
        length => (2, usize::from(length)),
    };
    (buffer.len() >= start + length).then_some((first & 0x0f, start, length))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn frames_of_every_length_are_found_again() {
        for length in [0, 125, 126, 65_535, 65_536] {
            let text = "x".repeat(length);
            let framed = frame(&text);
            let (opcode, start, found) = whole_frame(&framed).unwrap();
            // The mask stands between the header and the payload.
            assert_eq!((opcode, found, start + 4 + found), (TEXT, length, framed.len()));
            assert!(whole_frame(&framed[..1]).is_none());
        }
    }
}
