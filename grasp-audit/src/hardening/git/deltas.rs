//! Deltas against what is not there, against themselves, and with instructions that lead outside.

use grasp_fixtures::keys::random_id;
use grasp_fixtures::packs::{self, Kind, Pack};

use super::super::case::{Area, Case, Findings};
use super::super::ground::Ground;
use super::super::meter::Load;
use super::{honest_push, push};
use crate::check::CheckResult;

pub(super) fn cases() -> Vec<Case> {
    let robust = "refuses each with a reason, within seconds, and takes an honest push afterwards";
    vec![
        Case::new(
            Area::Git,
            "delta-bases",
            "deltas against objects that are nowhere, against each other in a circle, against themselves, and with offsets before the pack, into its header, into other objects and beyond any number",
            robust,
            Load::new(1, 20, 60_000),
            bases,
        ),
        Case::new(
            Area::Git,
            "delta-instructions",
            "deltas that copy from beyond their base, claim other sizes than they make (2^60 bytes), use reserved instructions, or end within one",
            robust,
            Load::new(1, 20, 60_000),
            instructions,
        ),
    ]
}

const BASE: &[u8] = b"the base of a delta, forty bytes long...";

async fn bases(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let hosted = ground.ctx.waiting_repository().await?;
    let whole =
        |result: &[u8]| packs::delta(BASE.len() as u64, result.len() as u64, &[packs::insert(result)]);
    // A result made of insertions alone has a known id, whatever its base is: two such can stand on each other.
    let (one, two) = (b"one of the two in a circle".as_slice(), b"and the other one of the two".as_slice());
    let on = |base: &[u8], result: &[u8]| {
        packs::delta(base.len() as u64, result.len() as u64, &[packs::insert(result)])
    };
    let id = |content: &[u8]| packs::object_id(Kind::Blob, content);
    let circle = Pack::new().ref_delta(&id(two), &on(two, one)).ref_delta(&id(one), &on(one, two));
    let on_itself = Pack::new().ref_delta(&id(one), &on(one, one));
    let missing = random_id()[..40].to_owned();
    let based = || Pack::new().object(Kind::Blob, BASE);
    let copy = packs::delta(BASE.len() as u64, 5, &[packs::copy(0, 5)]);
    for (input, pack) in [
        ("a base that is nowhere", Pack::new().ref_delta(&missing, &whole(b"x"))),
        ("a base of zeros", Pack::new().ref_delta(&"0".repeat(40), &whole(b"x"))),
        ("two in a circle", circle),
        ("on itself by name", on_itself),
        ("on itself by offset", Pack::new().offset_delta(0, &copy)),
        ("before the pack", Pack::new().offset_delta(1 << 30, &copy)),
        ("into the header", based().offset_delta(based().offset() - 4, &copy)),
        ("into another object", based().offset_delta(based().offset() - Pack::new().offset() - 3, &copy)),
        ("beyond 64 bits", based().offset_delta_at(&[0xff; 12], &copy)),
        ("an offset without end", based().offset_delta_at(&[0x80; 9], &copy)),
    ] {
        findings.refused_push(input, &push(&ground, &hosted, &pack.finish()).await?);
    }
    honest_push(&ground, &hosted, &mut findings).await?;
    Ok(findings)
}

async fn instructions(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let hosted = ground.ctx.waiting_repository().await?;
    let base = BASE.len() as u64;
    for (input, delta) in [
        ("a copy from beyond the base", packs::delta(base, 10, &[packs::copy(1_000_000, 10)])),
        ("a copy that begins inside and ends outside", packs::delta(base, 50, &[packs::copy(30, 50)])),
        ("a copy at the end of 32 bits", packs::delta(base, 10, &[packs::copy(u32::MAX, 10)])),
        ("a result that is shorter than claimed", packs::delta(base, 100, &[packs::copy(0, 5)])),
        ("a result that is longer than claimed", packs::delta(base, 1, &[packs::copy(0, 5)])),
        ("a result of 2^60 bytes", packs::delta(base, 1 << 60, &[packs::copy(0, 5)])),
        ("a result of 2^64 - 1 bytes", packs::delta(base, u64::MAX, &[packs::copy(0, 5)])),
        ("a base of another size", packs::delta(base + 1, 5, &[packs::copy(0, 5)])),
        ("the reserved instruction", packs::delta(base, 5, &[vec![0], packs::copy(0, 5)])),
        ("a copy cut in its offset", packs::delta(base, 5, &[vec![0xff, 0]])),
        ("an insertion cut in its data", packs::delta(base, 9, &[vec![9, b'x']])),
        ("no instruction", packs::delta(base, 5, &[])),
        ("nothing at all", vec![]),
        ("sizes without end", vec![0xff; 40]),
    ] {
        let pack = Pack::new().object(Kind::Blob, BASE);
        let back = pack.offset() - Pack::new().offset();
        let pack = pack.offset_delta(back, &delta).finish();
        findings.refused_push(input, &push(&ground, &hosted, &pack).await?);
    }
    honest_push(&ground, &hosted, &mut findings).await?;
    Ok(findings)
}
