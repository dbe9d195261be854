//! Packs that are wrong as a whole, and ones that unpack to far more than they are.

use std::time::Duration;

use grasp_fixtures::packs::{self, Kind, Pack};

use super::super::case::{Area, Case, Findings};
use super::super::ground::Ground;
use super::super::meter::Load;
use super::{MAIN, honest_push, push, push_to};
use crate::check::CheckResult;
use crate::context::Hosted;
use crate::target::receive_pack::Command;

/// What the blob of a bomb unpacks to, in bytes.
const BLOB: usize = 256 << 20;
/// What the object at the end of a chain of deltas unpacks to, in bytes: the length of the base ...
const BASE: u32 = (1 << 24) - 1;
/// ... and how often it is copied.
const COPIES: usize = 16;
/// How many deltas stand on each other.
const CHAIN: usize = 3_000;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            Area::Git,
            "pack-framing",
            "packs with a wrong checksum, version or number of objects, cut at many places, with something behind, and what is no pack",
            "refuses each with a reason (something behind a pack may be left unread), and takes an honest push afterwards",
            Load::new(1, 60, 400_000),
            framing,
        ),
        Case::new(
            Area::Git,
            "pack-objects",
            "objects that claim other sizes than they have (2^60 bytes, none, one more), of types there are not, and with broken compression",
            "refuses each with a reason, without taking the memory that is claimed",
            Load::new(1, 40, 200_000),
            objects,
        ),
        Case::new(
            Area::Git,
            "pack-bombs",
            "packs of a few hundred KB: one blob of 256 MB, and a delta that copies its base to 256 MB",
            "takes or refuses them within a minute, and goes on serving others",
            Load::new(1, 4, 2_000_000),
            bombs,
        )
        .bound(Duration::from_secs(300)),
        Case::new(
            Area::Git,
            "pack-chains",
            "a chain of 3,000 deltas, and 20,000 objects of one byte that nobody names",
            "takes or refuses them, and keeps nothing that no signed event names",
            Load::new(1, 4, 4_000_000),
            chains,
        )
        .bound(Duration::from_secs(300)),
    ]
}

/// The pack that git makes of the repository.
async fn honest(hosted: &Hosted) -> CheckResult<Vec<u8>> {
    let wanted = format!("{}\n", hosted.tip);
    let pack = ["pack-objects", "--stdout", "--quiet", "--revs"];
    let output = hosted.repository.run_with_input(&pack, wanted.as_bytes()).await?;
    Ok(output.success()?.stdout)
}

async fn framing(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let hosted = ground.ctx.waiting_repository().await?;
    let pack = honest(&hosted).await?;
    let (body, length) = (&pack[..pack.len() - 20], pack.len());
    let with = |at: usize, byte: u8| {
        let mut pack = pack.clone();
        pack[at] ^= byte;
        pack
    };
    let mut inputs: Vec<(String, Vec<u8>)> = vec![
        ("a wrong checksum".into(), with(length - 1, 1)),
        ("no checksum".into(), body.to_vec()),
        ("another byte in the middle".into(), with(length / 2, 0xff)),
        ("no magic".into(), with(0, 0xff)),
        ("nothing at all".into(), vec![]),
        ("only a header".into(), pack[..12].to_vec()),
        ("no pack".into(), b"this is no pack, but as long as a header".to_vec()),
        ("zeros".into(), vec![0; 4_096]),
        ("an archive".into(), b"\x1f\x8b\x08\0\0\0\0\0\0\x03rubbish".to_vec()),
    ];
    let empty = Pack::new();
    for version in [0, 1, 4, 99, u32::MAX] {
        inputs.push((format!("version {version}"), empty.finish_as(version, 0)));
    }
    for count in [1, 1_000_000, u32::MAX] {
        inputs.push((format!("{count} objects where there are none"), empty.finish_as(2, count)));
    }
    let one = Pack::new().object(Kind::Blob, b"one");
    inputs.push(("no objects where there is one".into(), one.finish_as(2, 0)));
    inputs.push(("another pack".into(), one.finish()));
    for cut in (13..length - 20).step_by((length / 12).max(1)) {
        inputs.push((format!("cut after {cut} bytes"), pack[..cut].to_vec()));
    }
    for (input, pack) in inputs {
        findings.refused_push(&input, &push(&ground, &hosted, &pack).await?);
    }
    honest_push(&ground, &hosted, &mut findings).await?;
    for (input, behind) in
        [("something behind the pack", &b"and more"[..]), ("a pack behind the pack", &pack)]
    {
        let hosted =
            ground.ctx.waiting_repository_of(&ground.ctx.owner, &ground.ctx.other_identifier()).await?;
        let heard = push(&ground, &hosted, &[&honest(&hosted).await?, behind].concat()).await?;
        // git reads a pack to its end and no further: what is behind does no harm there.
        if heard.first().is_some_and(|reply| reply.text().contains(&format!("ok {MAIN}"))) {
            findings.robust("read to the end of the pack");
        } else {
            findings.refused_push(input, &heard);
        }
    }
    Ok(findings)
}

async fn objects(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let hosted = ground.ctx.waiting_repository().await?;
    let blob = b"a blob of some bytes";
    let length = blob.len() as u64;
    let empty_stream = [0x78, 0x9c, 0x03, 0, 0, 0, 0, 0x01];
    for (input, pack) in [
        ("2^60 bytes", Pack::new().claiming(Kind::Blob, 1 << 60, blob)),
        ("2^60 bytes of a commit", Pack::new().claiming(Kind::Commit, 1 << 60, blob)),
        ("2^63 bytes of a tree", Pack::new().claiming(Kind::Tree, 1 << 63, blob)),
        ("16 GB", Pack::new().claiming(Kind::Blob, 16 << 30, blob)),
        ("one more", Pack::new().claiming(Kind::Blob, length + 1, blob)),
        ("one less", Pack::new().claiming(Kind::Blob, length - 1, blob)),
        ("none", Pack::new().claiming(Kind::Blob, 0, blob)),
        ("type 0", Pack::new().of_type(0, blob)),
        ("type 5", Pack::new().of_type(5, blob)),
        ("no compression", Pack::new().raw(Kind::Blob, length, blob)),
        ("an empty stream", Pack::new().raw(Kind::Blob, length, &empty_stream)),
        ("a stream cut in its head", Pack::new().raw(Kind::Blob, length, &empty_stream[..1])),
        ("a preset dictionary", Pack::new().raw(Kind::Blob, length, &[0x78, 0xbb, 1, 2, 3, 4, 5])),
        ("a commit of nothing", Pack::new().object(Kind::Commit, b"")),
        ("a tree of rubbish", Pack::new().object(Kind::Tree, b"rubbish")),
        ("a tag of rubbish", Pack::new().object(Kind::Tag, b"object nothing\n")),
    ] {
        findings.refused_push(input, &push(&ground, &hosted, &pack.finish()).await?);
    }
    honest_push(&ground, &hosted, &mut findings).await?;
    Ok(findings)
}

/// Pushes a pack that may be taken, to a place for which nobody has to sign: what matters is that the server answers.
async fn taken_or_refused(
    ground: &Ground,
    findings: &mut Findings,
    input: &str,
    pack: &[u8],
    tip: &str,
) -> CheckResult {
    let path = ground.victim()?.hosted.path.clone();
    let name = format!("refs/nostr/{}", grasp_fixtures::keys::random_id());
    let heard = push_to(ground, &path, &Command::create(&name, tip), pack).await?;
    match heard.first() {
        Some(reply) if reply.status == 200 && reply.whole => {
            findings.robust(if reply.text().contains(&format!("ok {name}")) {
                "taken"
            } else {
                "refused in the report"
            })
        }
        Some(reply) if reply.status == 200 => findings.weak(input, "the answer begins and does not end"),
        _ => findings.refusal(input, &heard),
    }
    Ok(())
}

/// A commit with a tree that holds this one blob.
fn commit_of(pack: Pack, blob: &str) -> (Pack, String) {
    let tree = packs::tree(&[("100644", b"file", blob)]);
    let commit =
        packs::commit(&packs::object_id(Kind::Tree, &tree), &grasp_fixtures::keys::random_suffix(20));
    let tip = packs::object_id(Kind::Commit, &commit);
    (pack.object(Kind::Tree, &tree).object(Kind::Commit, &commit), tip)
}

async fn bombs(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    ground.victim()?;
    let (pack, blob) = heavy(|| (Pack::new().zeros(BLOB), packs::zeros_id(BLOB))).await?;
    let (pack, tip) = commit_of(pack, &blob);
    taken_or_refused(&ground, &mut findings, "a blob of 256 MB", &pack.finish(), &tip).await?;

    let (pack, blob) = heavy(|| {
        let length = BASE as usize * COPIES;
        let copies = vec![packs::copy(0, BASE); COPIES];
        let delta = packs::delta(u64::from(BASE), length as u64, &copies);
        let pack = Pack::new().zeros(BASE as usize);
        let back = pack.offset() - Pack::new().offset();
        (pack.offset_delta(back, &delta), packs::zeros_id(length))
    })
    .await?;
    let (pack, tip) = commit_of(pack, &blob);
    taken_or_refused(&ground, &mut findings, "a delta of 256 MB", &pack.finish(), &tip).await?;
    Ok(findings)
}

/// Hashing and compressing hundreds of megabytes does not belong among the tasks that take the vital signs.
async fn heavy<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> CheckResult<T> {
    let done = tokio::task::spawn_blocking(work).await;
    done.map_err(|error| crate::check::Ending::CannotRun(error.to_string()))
}

async fn chains(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    ground.victim()?;
    let begin = format!("a chain of its own: {}\n", grasp_fixtures::keys::random_suffix(20)).into_bytes();
    let mut pack = Pack::new().object(Kind::Blob, &begin);
    let (mut length, mut at) = (begin.len(), Pack::new().offset());
    let mut content = begin;
    for number in 0..CHAIN {
        let byte = [b'a' + (number % 26) as u8];
        let copy = packs::copy(0, u32::try_from(length).unwrap_or(u32::MAX));
        let delta = packs::delta(length as u64, length as u64 + 1, &[copy, packs::insert(&byte)]);
        let here = pack.offset();
        pack = pack.offset_delta(here - at, &delta);
        (length, at) = (length + 1, here);
        content.extend(byte);
    }
    let (pack, tip) = commit_of(pack, &packs::object_id(Kind::Blob, &content));
    taken_or_refused(&ground, &mut findings, "a chain of 3,000 deltas", &pack.finish(), &tip).await?;

    let hosted = ground.ctx.waiting_repository().await?;
    let mut pack = Pack::new();
    for number in 0..20_000_u32 {
        pack = pack.object(Kind::Blob, &number.to_be_bytes());
    }
    let stowaway = packs::object_id(Kind::Blob, &7_u32.to_be_bytes());
    // Only what the signed state names may stay; nothing of this pack is named.
    findings.refused_push("20,000 objects that nobody names", &push(&ground, &hosted, &pack.finish()).await?);
    honest_push(&ground, &hosted, &mut findings).await?;
    let fetched = ground.ctx.git.clone(&hosted.url, &[]).await?;
    match fetched.0.has(&stowaway).await? {
        true => findings.weak("a clone afterwards", "brings an object along that nobody named"),
        false => findings.robust(format!("a clone of {MAIN} afterwards")),
    }
    Ok(findings)
}
