//! Git's pkt-line framing (gitprotocol-common(5)). Pure.

use bytes::{BufMut, Bytes, BytesMut};

/// The longest packet, its four digits of length included.
pub(crate) const MAX_PACKET: usize = 65_520;
/// The most payload of one side-band-64k packet.
pub(crate) const MAX_BAND_DATA: usize = MAX_PACKET - 5;
/// Ends a message.
pub(crate) const FLUSH: &[u8; 4] = b"0000";
/// Separates the sections of a v2 message.
pub(crate) const DELIM: &[u8; 4] = b"0001";

/// One packet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Packet {
    /// `0000`
    Flush,
    /// `0001`
    Delim,
    /// `0002`
    ResponseEnd,
    /// Anything with a payload, which may be empty.
    Data(Bytes),
}

impl Packet {
    /// The payload as a line: without its line feed. Nothing for special packets.
    pub(crate) fn line(&self) -> Option<&[u8]> {
        match self {
            Self::Data(data) => Some(data.strip_suffix(b"\n").unwrap_or(data)),
            _ => None,
        }
    }
}

/// The four digits are no length of a packet.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("bad pkt-line length {0:?}")]
pub(crate) struct BadLength(String);

/// Takes the first packet off `buffer`; nothing when it is not all there yet.
pub(crate) fn take(buffer: &mut BytesMut) -> Result<Option<Packet>, BadLength> {
    let Some(digits) = buffer.first_chunk::<4>() else { return Ok(None) };
    let bad = || BadLength(String::from_utf8_lossy(digits).into_owned());
    if !digits.iter().all(u8::is_ascii_hexdigit) {
        return Err(bad());
    }
    let text = std::str::from_utf8(digits).map_err(|_| bad())?;
    let length = usize::from_str_radix(text, 16).map_err(|_| bad())?;
    let special = match length {
        0 => Packet::Flush,
        1 => Packet::Delim,
        2 => Packet::ResponseEnd,
        3 => return Err(bad()),
        _ if length > MAX_PACKET => return Err(bad()),
        _ if buffer.len() < length => return Ok(None),
        _ => return Ok(Some(Packet::Data(buffer.split_to(length).freeze().slice(4..)))),
    };
    let _ = buffer.split_to(4);
    Ok(Some(special))
}

/// Writes packets into one buffer.
#[derive(Debug, Default)]
pub(crate) struct Writer(BytesMut);

impl Writer {
    pub(crate) fn with_capacity(bytes: usize) -> Self {
        Self(BytesMut::with_capacity(bytes))
    }

    /// One packet of these parts; what exceeds the longest packet is cut off.
    pub(crate) fn data(&mut self, parts: &[&[u8]]) -> &mut Self {
        let length = parts.iter().map(|part| part.len()).sum::<usize>().min(MAX_PACKET - 4);
        self.length(length + 4);
        let mut left = length;
        for part in parts {
            let part = &part[..part.len().min(left)];
            self.0.put_slice(part);
            left -= part.len();
        }
        self
    }

    /// `data` on a band of side-band-64k, in as many packets as it needs.
    pub(crate) fn band(&mut self, band: u8, data: &[u8]) -> &mut Self {
        for part in data.chunks(MAX_BAND_DATA) {
            self.data(&[&[band], part]);
        }
        self
    }

    pub(crate) fn flush(&mut self) -> &mut Self {
        self.0.put_slice(FLUSH);
        self
    }

    pub(crate) fn delim(&mut self) -> &mut Self {
        self.0.put_slice(DELIM);
        self
    }

    pub(crate) fn finish(&mut self) -> Bytes {
        std::mem::take(&mut self.0).freeze()
    }

    fn length(&mut self, length: usize) {
        const DIGITS: &[u8; 16] = b"0123456789abcdef";
        for shift in [12, 8, 4, 0] {
            self.0.put_u8(DIGITS[length >> shift & 0xf]);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn all(bytes: &[u8]) -> Result<Vec<Packet>, BadLength> {
        let mut buffer = BytesMut::from(bytes);
        let mut packets = Vec::new();
        while let Some(packet) = take(&mut buffer)? {
            packets.push(packet);
        }
        Ok(packets)
    }

    #[test]
    fn special_packets_are_told_apart() {
        assert_eq!(all(b"000000010002").unwrap(), [Packet::Flush, Packet::Delim, Packet::ResponseEnd]);
        assert_eq!(all(b"0004").unwrap(), [Packet::Data(Bytes::new())]);
    }

    #[test]
    fn lengths_that_are_none_are_refused() {
        for bad in ["0003", "zzzz", "+123", "fff1", "ERR "] {
            assert!(all(bad.as_bytes()).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_packet_that_is_not_all_there_waits() {
        assert_eq!(all(b"0006a").unwrap(), []);
        assert_eq!(all(b"000").unwrap(), []);
    }

    #[test]
    fn long_band_data_is_cut_into_packets() {
        let packets = all(&Writer::default().band(1, &vec![7; 200_000]).finish()).unwrap();
        assert_eq!(packets.len(), 4);
        let payload: usize = packets.iter().map(|packet| packet.line().unwrap().len() - 1).sum();
        assert_eq!(payload, 200_000);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read(parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..300), 0..20)) {
            let mut writer = Writer::default();
            for part in &parts {
                writer.data(&[part]);
            }
            let read = all(&writer.flush().finish()).unwrap();
            let mut expected: Vec<_> = parts.into_iter().map(|part| Packet::Data(part.into())).collect();
            expected.push(Packet::Flush);
            prop_assert_eq!(read, expected);
        }

        #[test]
        fn no_bytes_make_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = all(&bytes);
        }
    }
}
