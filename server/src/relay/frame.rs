//! WebSocket frames as a server sends them (RFC 6455, 5.2): not masked, so that one can be made once and sent to many.
//! Pure.

use bytes::Bytes;
use tokio_tungstenite::tungstenite::protocol::frame::FrameHeader;
use tokio_tungstenite::tungstenite::protocol::frame::coding::{Control, Data, OpCode};

/// The longest header without a mask, in bytes.
pub(crate) const MAX_HEADER: usize = 10;

/// Appends the head of a whole frame whose payload has so many bytes.
fn head(opcode: OpCode, payload: usize, out: &mut Vec<u8>) {
    let header = FrameHeader { opcode, ..FrameHeader::default() };
    // Writing into memory does not fail.
    let _ = header.format(payload as u64, out);
}

/// A text message, as it goes over the wire.
pub(crate) fn text(text: &str) -> Bytes {
    let mut frame = Vec::with_capacity(MAX_HEADER + text.len());
    push_text(&[text.as_bytes()], &mut frame);
    frame.into()
}

/// Appends a text message that is put together from parts.
pub(crate) fn push_text(parts: &[&[u8]], out: &mut Vec<u8>) {
    let length = parts.iter().map(|part| part.len()).sum();
    out.reserve(MAX_HEADER + length);
    head(OpCode::Data(Data::Text), length, out);
    parts.iter().for_each(|part| out.extend_from_slice(part));
}

/// The beginning of a text message: the head of its frame, and the first part of its payload. So many bytes follow.
pub(crate) fn text_beginning(first: &[u8], following: usize) -> Bytes {
    let mut beginning = Vec::with_capacity(MAX_HEADER + first.len());
    head(OpCode::Data(Data::Text), first.len() + following, &mut beginning);
    beginning.extend_from_slice(first);
    beginning.into()
}

/// A ping without a payload.
pub(crate) fn ping() -> Bytes {
    let mut frame = Vec::with_capacity(MAX_HEADER);
    head(OpCode::Control(Control::Ping), 0, &mut frame);
    frame.into()
}

#[cfg(test)]
pub(crate) mod tests {
    #![allow(clippy::unwrap_used)]
    use std::io::Cursor;

    use tokio_tungstenite::tungstenite::protocol::frame::{Frame, FrameSocket};

    use super::*;

    /// The frames in these bytes, as a client's library reads them.
    pub(crate) fn read(bytes: &[u8]) -> Vec<Frame> {
        let mut socket = FrameSocket::new(Cursor::new(bytes.to_vec()));
        std::iter::from_fn(|| socket.read(None).unwrap()).collect()
    }

    #[test]
    fn frames_of_every_length_are_read_as_they_were_written() {
        for length in [0, 1, 125, 126, 65_535, 65_536, 70_000] {
            let payload = "x".repeat(length);
            let (first, rest) = payload.split_at(length / 3);
            let mut parts = Vec::new();
            push_text(&[first.as_bytes(), rest.as_bytes()], &mut parts);
            let begun = [&text_beginning(first.as_bytes(), rest.len()), rest.as_bytes()].concat();
            for bytes in [text(&payload).to_vec(), parts, begun] {
                let frames = read(&bytes);
                assert_eq!(frames.len(), 1);
                assert!(frames[0].header().is_final && frames[0].header().mask.is_none());
                assert_eq!(frames[0].header().opcode, OpCode::Data(Data::Text));
                assert_eq!(frames[0].to_text().unwrap(), payload);
            }
        }
    }

    #[test]
    fn a_ping_is_one() {
        let frames = read(&ping());
        assert_eq!(frames[0].header().opcode, OpCode::Control(Control::Ping));
        assert!(frames.len() == 1 && frames[0].payload().is_empty());
    }
}
