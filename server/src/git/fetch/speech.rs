//! What is said to another git host and what it answers: protocol v2 (gitprotocol-v2(5)), and v0/v1 where that is all
//! it speaks (gitprotocol-pack(5)). Pure.

use std::collections::BTreeSet;

use bytes::Bytes;

use crate::git::pkt_line::{Packet, Writer};
use crate::nip34::Oid;
use crate::outbound::http::AGENT;

/// The most refs that are read of one advertisement; further ones are not there for us.
const MAX_REFS: usize = 200_000;

/// What a host has said about itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Greeting {
    /// Protocol v2: it is asked for refs when they matter, and takes any object id as a want.
    V2 {
        /// It wants to hear the object format.
        names_format: bool,
    },
    /// Protocol v0 or v1.
    Old {
        /// What its refs point to.
        tips: BTreeSet<Oid>,
        /// It gives any reachable object, not only tips.
        any: bool,
    },
}

/// Why a host cannot be talked to.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unspeakable {
    /// It does not speak git's smart protocol.
    #[error("it does not speak git's smart HTTP protocol")]
    NotSmart,
    /// It hosts SHA-256 repositories.
    #[error("its object format is not SHA-1")]
    Format,
    /// It cannot fetch, or not in the way that keeps progress and data apart.
    #[error("it lacks {0}")]
    Lacks(&'static str),
    /// What it says is no git protocol.
    #[error("it speaks no git protocol: {0}")]
    Malformed(String),
    /// It has said no.
    #[error("it says: {0}")]
    Refused(String),
}

impl Greeting {
    /// Reads the answer to `GET …/info/refs?service=git-upload-pack`, packet by packet.
    pub(super) fn read(packets: impl IntoIterator<Item = Packet>) -> Result<Self, Unspeakable> {
        let mut packets = packets.into_iter().peekable();
        // `# service=git-upload-pack` and a flush; some hosts leave them out in protocol v2.
        let announced = |packet: &Packet| packet.line().is_some_and(|line| line.starts_with(b"# service="));
        if packets.next_if(announced).is_some() {
            packets.next_if_eq(&Packet::Flush);
        }
        match packets.peek().and_then(Packet::line) {
            Some(b"version 2") => Self::v2(packets.skip(1)),
            Some(b"version 1") => Self::old(packets.skip(1)),
            Some(_) => Self::old(packets),
            None => Err(Unspeakable::NotSmart),
        }
    }

    fn v2(packets: impl Iterator<Item = Packet>) -> Result<Self, Unspeakable> {
        let (mut fetches, mut names_format) = (false, false);
        for line in lines(packets) {
            let line = line?;
            fetches |= line == "fetch" || line.starts_with("fetch=");
            if let Some(format) = line.strip_prefix("object-format=") {
                if format != "sha1" {
                    return Err(Unspeakable::Format);
                }
                names_format = true;
            }
        }
        if fetches { Ok(Self::V2 { names_format }) } else { Err(Unspeakable::Lacks("`fetch`")) }
    }

    fn old(packets: impl Iterator<Item = Packet>) -> Result<Self, Unspeakable> {
        let mut tips = BTreeSet::new();
        let mut capabilities = String::new();
        for (at, line) in lines(packets).enumerate() {
            let mut line = line?;
            if at == 0 {
                let Some((first, rest)) = line.split_once('\0') else { return Err(Unspeakable::NotSmart) };
                (line, capabilities) = (first.to_owned(), rest.to_owned());
            }
            let oid = line.split_once(' ').and_then(|(oid, _)| oid.parse::<Oid>().ok());
            if let Some(oid) = oid.filter(|oid| !oid.is_zero() && tips.len() < MAX_REFS) {
                tips.insert(oid);
            }
        }
        let has = |name: &str| capabilities.split(' ').any(|capability| capability == name);
        if capabilities.split(' ').any(|c| c.starts_with("object-format=") && c != "object-format=sha1") {
            return Err(Unspeakable::Format);
        }
        if !has("side-band-64k") {
            return Err(Unspeakable::Lacks("`side-band-64k`"));
        }
        let any = has("allow-reachable-sha1-in-want") || has("allow-any-sha1-in-want");
        Ok(Self::Old { tips, any })
    }

    /// Asks for what the refs point to; only protocol v2 is asked.
    pub(super) fn ask_for_refs(&self) -> Option<Bytes> {
        let Self::V2 { names_format } = self else { return None };
        let mut request = command("ls-refs", *names_format);
        for prefix in ["refs/heads/", "refs/tags/", "refs/nostr/"] {
            request.data(&[b"ref-prefix ", prefix.as_bytes(), b"\n"]);
        }
        Some(request.flush().finish())
    }

    /// Asks for objects. `haves` are tips of what is here, with all they reach.
    pub(super) fn ask_for_pack(&self, wants: &BTreeSet<Oid>, haves: &[Oid]) -> Bytes {
        let line = |request: &mut Writer, verb: &str, oid: &Oid, rest: &str| {
            request.data(&[verb.as_bytes(), b" ", oid.to_string().as_bytes(), rest.as_bytes(), b"\n"]);
        };
        if let Self::V2 { names_format } = self {
            let mut request = command("fetch", *names_format);
            for word in ["thin-pack", "ofs-delta", "no-progress"] {
                request.data(&[word.as_bytes(), b"\n"]);
            }
            wants.iter().for_each(|oid| line(&mut request, "want", oid, ""));
            haves.iter().for_each(|oid| line(&mut request, "have", oid, ""));
            return request.data(&[b"done\n"]).flush().finish();
        }
        let mut request = Writer::default();
        let mut capabilities = format!(" side-band-64k thin-pack ofs-delta no-progress agent={AGENT}");
        for oid in wants {
            line(&mut request, "want", oid, &std::mem::take(&mut capabilities));
        }
        request.flush();
        haves.iter().for_each(|oid| line(&mut request, "have", oid, ""));
        request.data(&[b"done\n"]).finish()
    }

    /// Which of these can be asked for, given what the refs point to (protocol v2 says that only when asked).
    pub(super) fn askable(&self, wants: &BTreeSet<Oid>) -> BTreeSet<Oid> {
        match self {
            Self::V2 { .. } | Self::Old { any: true, .. } => wants.clone(),
            Self::Old { tips, any: false } => wants & tips,
        }
    }
}

fn command(name: &str, names_format: bool) -> Writer {
    let mut request = Writer::default();
    request.data(&[b"command=", name.as_bytes(), b"\n"]).data(&[b"agent=", AGENT.as_bytes(), b"\n"]);
    if names_format {
        request.data(&[b"object-format=sha1\n"]);
    }
    request.delim();
    request
}

/// Reads the answer to `ls-refs`: what the refs point to.
pub(super) fn tips(packets: impl IntoIterator<Item = Packet>) -> Result<BTreeSet<Oid>, Unspeakable> {
    let mut tips = BTreeSet::new();
    for line in lines(packets.into_iter()).take(MAX_REFS) {
        tips.extend(line?.split(' ').next().and_then(|oid| oid.parse::<Oid>().ok()));
    }
    Ok(tips)
}

/// The lines up to the first flush.
fn lines(packets: impl Iterator<Item = Packet>) -> impl Iterator<Item = Result<String, Unspeakable>> {
    packets.take_while(|packet| *packet != Packet::Flush).map(|packet| {
        let line = packet.line().map(String::from_utf8_lossy).unwrap_or_default().into_owned();
        refusal(&line).map_or(Ok(line), Err)
    })
}

fn refusal(line: &str) -> Option<Unspeakable> {
    line.strip_prefix("ERR ").map(|reason| Unspeakable::Refused(reason.chars().take(300).collect()))
}

/// What the next packet of the answer to a request for objects means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Piece {
    /// Bytes of the pack.
    Pack(Bytes),
    /// Nothing that counts: acknowledgements, section names, progress.
    Other,
    /// The end.
    End,
}

/// Takes the pack out of an answer, packet by packet.
#[derive(Debug)]
pub(super) struct Demultiplexer {
    in_pack: bool,
    is_v2: bool,
}

impl Demultiplexer {
    pub(super) const fn of(greeting: &Greeting) -> Self {
        Self { in_pack: false, is_v2: matches!(greeting, Greeting::V2 { .. }) }
    }

    pub(super) fn take(&mut self, packet: Packet) -> Result<Piece, Unspeakable> {
        let Packet::Data(data) = packet else {
            // Before the pack, sections end so; after it begins, only the end of all is left.
            return Ok(if self.in_pack { Piece::End } else { Piece::Other });
        };
        if !self.in_pack {
            let line = String::from_utf8_lossy(data.strip_suffix(b"\n").unwrap_or(&data)).into_owned();
            if let Some(refused) = refusal(&line) {
                return Err(refused);
            }
            if self.is_v2 {
                self.in_pack = line == "packfile";
                return Ok(Piece::Other);
            }
            if line == "NAK" || line.starts_with("ACK ") {
                return Ok(Piece::Other);
            }
            self.in_pack = true;
        }
        match data.first() {
            Some(1) => Ok(Piece::Pack(data.slice(1..))),
            Some(2) => Ok(Piece::Other),
            Some(3) => {
                let reason = String::from_utf8_lossy(&data[1..]).trim().chars().take(300).collect();
                Err(Unspeakable::Refused(reason))
            }
            Some(band) => Err(Unspeakable::Malformed(format!("side-band {band}"))),
            None => Err(Unspeakable::Malformed("an empty side-band packet".to_owned())),
        }
    }
}

/// The object that a host says it does not have or does not give (`not our ref <oid>`, `unknown ref <oid>`, …).
pub(super) fn refused_want(reason: &str, wants: &BTreeSet<Oid>) -> Option<Oid> {
    let words = reason.split(|c: char| !c.is_ascii_hexdigit());
    words.filter_map(|word| word.parse::<Oid>().ok()).find(|oid| wants.contains(oid))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use bytes::BytesMut;
    use proptest::prelude::*;

    use super::*;
    use crate::git::pkt_line;

    const A: &str = "1111111111111111111111111111111111111111";
    const B: &str = "2222222222222222222222222222222222222222";

    fn packets(bytes: &[u8]) -> Vec<Packet> {
        let mut buffer = BytesMut::from(bytes);
        std::iter::from_fn(|| pkt_line::take(&mut buffer).ok().flatten()).collect()
    }

    fn written(lines: &[&str]) -> Vec<Packet> {
        let mut writer = Writer::default();
        for line in lines {
            match *line {
                "0000" => writer.flush(),
                "0001" => writer.delim(),
                text => writer.data(&[text.as_bytes(), b"\n"]),
            };
        }
        packets(&writer.finish())
    }

    fn oids(texts: &[&str]) -> BTreeSet<Oid> {
        texts.iter().map(|text| text.parse().unwrap()).collect()
    }

    #[test]
    fn a_v2_greeting_is_read_with_and_without_its_service_line() {
        let capabilities =
            ["version 2", "agent=x", "ls-refs=unborn", "fetch=shallow filter", "object-format=sha1", "0000"];
        let bare = Greeting::read(written(&capabilities)).unwrap();
        let all: Vec<&str> = ["# service=git-upload-pack", "0000"].into_iter().chain(capabilities).collect();
        assert_eq!(Greeting::read(written(&all)).unwrap(), bare);
        assert_eq!(bare, Greeting::V2 { names_format: true });
        assert_eq!(bare.askable(&oids(&[A])), oids(&[A]));
    }

    #[test]
    fn an_old_greeting_says_what_may_be_asked_for() {
        let greeting = |capabilities: &str| {
            let first = format!("{A} HEAD\0{capabilities}");
            let lines =
                ["# service=git-upload-pack", "0000", &first, &format!("{B} refs/heads/main"), "0000"];
            Greeting::read(written(&lines))
        };
        let plain = greeting("multi_ack side-band-64k thin-pack").unwrap();
        assert_eq!(plain, Greeting::Old { tips: oids(&[A, B]), any: false });
        assert_eq!(plain.askable(&oids(&[A, &"3".repeat(40)])), oids(&[A]));
        let open = greeting("side-band-64k allow-reachable-sha1-in-want").unwrap();
        assert_eq!(open.askable(&oids(&[&"3".repeat(40)])).len(), 1);
        assert_eq!(greeting("multi_ack"), Err(Unspeakable::Lacks("`side-band-64k`")));
        assert_eq!(greeting("side-band-64k object-format=sha256"), Err(Unspeakable::Format));
    }

    #[test]
    fn what_is_no_smart_host_is_told() {
        assert_eq!(Greeting::read(written(&[])), Err(Unspeakable::NotSmart));
        assert_eq!(Greeting::read(written(&["<html>"])), Err(Unspeakable::NotSmart));
        let refused = Greeting::read(written(&["ERR access denied", "0000"]));
        assert_eq!(refused, Err(Unspeakable::Refused("access denied".to_owned())));
        assert_eq!(
            Greeting::read(written(&["version 2", "ls-refs", "0000"])),
            Err(Unspeakable::Lacks("`fetch`"))
        );
        let other = Greeting::read(written(&["version 2", "fetch", "object-format=sha256", "0000"]));
        assert_eq!(other, Err(Unspeakable::Format));
    }

    #[test]
    fn a_v2_pack_is_taken_out_of_its_section() {
        let mut take = Demultiplexer::of(&Greeting::V2 { names_format: false });
        for packet in written(&["acknowledgments", "NAK", "0001", "packfile"]) {
            assert_eq!(take.take(packet).unwrap(), Piece::Other);
        }
        let band = |band: u8, text: &'static [u8]| Packet::Data([&[band], text].concat().into());
        assert_eq!(take.take(band(2, b"Counting")).unwrap(), Piece::Other);
        assert_eq!(take.take(band(1, b"PACK")).unwrap(), Piece::Pack(Bytes::from_static(b"PACK")));
        assert_eq!(take.take(Packet::Flush).unwrap(), Piece::End);
        assert_eq!(take.take(band(3, b"disk full\n")), Err(Unspeakable::Refused("disk full".to_owned())));
        assert!(take.take(band(7, b"")).is_err() && take.take(Packet::Data(Bytes::new())).is_err());
    }

    #[test]
    fn an_old_pack_begins_after_the_acknowledgement() {
        let mut take = Demultiplexer::of(&Greeting::Old { tips: BTreeSet::new(), any: false });
        let ack = format!("ACK {A}");
        for packet in written(&[&ack, "NAK"]) {
            assert_eq!(take.take(packet).unwrap(), Piece::Other);
        }
        let pack = take.take(Packet::Data(Bytes::from_static(b"\x01PACK"))).unwrap();
        assert_eq!(pack, Piece::Pack(Bytes::from_static(b"PACK")));
    }

    #[test]
    fn a_refused_want_is_recognised_in_the_reason() {
        let wants = oids(&[A, B]);
        assert_eq!(refused_want(&format!("upload-pack: not our ref {B}"), &wants), B.parse().ok());
        assert_eq!(refused_want(&format!("not our ref {}", "3".repeat(40)), &wants), None);
        assert_eq!(refused_want("no", &wants), None);
    }

    proptest! {
        #[test]
        fn no_answer_makes_it_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let _ = Greeting::read(packets(&bytes));
            let mut take = Demultiplexer::of(&Greeting::V2 { names_format: true });
            for packet in packets(&bytes) {
                let _ = take.take(packet);
            }
        }
    }
}
