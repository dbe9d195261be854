//! Mutants of G06/mirror: what hosted repositories do not get of contributors' ones, and what goes too far.

use grasp_fixtures::pkt_line::{Packet, decode, encode};

use crate::lie::contributions::{Upload, answers, is_hosted, lists, without};
use crate::lie::git::{has_line, refusal};
use crate::mutant::{Mutant, fault, proxy};

const ROW: &str = "G06/mirror";

/// The list with these uploads at its end.
fn with<'u>(uploads: impl Iterator<Item = &'u Upload>, body: &[u8]) -> Vec<u8> {
    let mut packets = decode(body).unwrap_or_default();
    packets.retain(|packet| *packet != Packet::Flush);
    packets
        .extend(uploads.map(|upload| Packet::Data(format!("{} {}\n", upload.tip, upload.name).into_bytes())));
    packets.push(Packet::Flush);
    encode(&packets)
}

pub(super) fn mutants() -> Vec<Mutant> {
    vec![
        proxy(
            "events-first-not-mirrored",
            ROW,
            "a contribution whose event came first stays out of the hosted repository",
            lists(is_hosted, |uploads, body| without(uploads, body, |upload| upload.event_first)),
        ),
        proxy(
            "data-first-not-mirrored",
            ROW,
            "a contribution whose data came first stays out of the hosted repository",
            lists(is_hosted, |uploads, body| without(uploads, body, |upload| !upload.event_first)),
        ),
        proxy(
            "uploads-mirrored",
            ROW,
            "an upload appears in the hosted repository before its event is known",
            lists(is_hosted, |uploads, body| with(uploads.iter().filter(|upload| !upload.is_signed), body)),
        ),
        proxy(
            "mirrored-in-name-only",
            ROW,
            "what hosted repositories show of contributions cannot be fetched from them",
            answers(|uploads, body| {
                let wanted = uploads.iter().find(|upload| has_line(body, &format!("want {}", upload.tip)))?;
                Some(refusal("git-upload-pack", &format!("upload-pack: not our ref {}", wanted.tip)))
            }),
        ),
        fault("mirrored-back", ROW),
        fault("mirrored-everywhere", ROW),
    ]
}
