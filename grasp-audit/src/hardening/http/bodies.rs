//! Bodies: compressed ones that explode or are broken, and ones that nobody asked for.

use std::io::Write;

use flate2::Compression;
use flate2::write::{GzEncoder, ZlibEncoder};

use super::super::case::{Area, Case, Findings};
use super::super::ground::Ground;
use super::super::meter::Load;
use super::super::wire::{Heard, Meanwhile};
use crate::check::CheckResult;
use crate::target::smart_http::line;

/// What a bomb expands to, in bytes.
const EXPANDED: usize = 64 << 20;
/// How much of a body without end is sent.
const ENDLESS: usize = 4 << 20;
/// How much of it is sent at once.
const PIECE: usize = 64 << 10;

const UPLOAD: &str = "Content-Type: application/x-git-upload-pack-request";
const RECEIVE: &str = "Content-Type: application/x-git-receive-pack-request";
const V2: &str = "Git-Protocol: version=2";
const GZIP: &str = "Content-Encoding: gzip";

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            Area::Http,
            "gzip-bombs",
            "compressed bodies of a few hundred KB that expand to 64 MB, on every route that takes a body; gzip and deflate",
            "answers 413 (or 400, 415) without expanding them to their end",
            Load::new(1, 20, 8_000_000),
            bombs,
        ),
        Case::new(
            Area::Http,
            "broken-compression",
            "bodies that are no gzip, cut, followed by rubbish, with wrong checksums, compressed twice, or of unknown codings",
            "answers 400 or 415 to each of them",
            Load::new(1, 20, 100_000),
            broken,
        ),
        Case::new(
            Area::Http,
            "unwanted-bodies",
            "bodies said to be 10 GB, and ones without end, where none is taken and for repositories that are not there",
            "answers without waiting for them",
            Load::new(1, 260, 24_000_000),
            unwanted,
        ),
    ]
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    // writing to a Vec cannot fail
    let written = encoder.write_all(bytes).and_then(|()| encoder.finish());
    written.unwrap_or_default()
}

/// `begin`, then `again` until it is [`EXPANDED`] bytes long.
fn endless(begin: &[u8], again: &[u8]) -> Vec<u8> {
    let mut bytes = begin.to_vec();
    bytes.extend(again.iter().copied().cycle().take(EXPANDED - begin.len()));
    bytes
}

async fn bombs(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let (path, tip) = (ground.victim()?.hosted.path.clone(), ground.victim()?.hosted.tip.clone());
    let zero = "0".repeat(40);
    let want = line(&format!("want {tip}\n"));
    let fetch = [line("command=fetch"), b"0001".to_vec()].concat();
    let refs = [line("command=ls-refs\n"), b"0001".to_vec()].concat();
    let command = line(&format!("{zero} {tip} refs/heads/bomb\0report-status"));
    let bombs: Vec<(&str, &str, &[&str], Vec<u8>)> = vec![
        ("wants, v0", "git-upload-pack", &[UPLOAD], endless(&want, &want)),
        ("wants, v2", "git-upload-pack", &[UPLOAD, V2], endless(&fetch, &want)),
        (
            "ref-prefixes",
            "git-upload-pack",
            &[UPLOAD, V2],
            endless(&refs, &line("ref-prefix refs/heads/main\n")),
        ),
        ("capabilities", "git-upload-pack", &[UPLOAD, V2], endless(b"", &line("agent=x\n"))),
        (
            "ref commands",
            "git-receive-pack",
            &[RECEIVE],
            endless(&command, &line(&format!("{zero} {tip} refs/heads/b"))),
        ),
        ("zeros", "git-receive-pack", &[RECEIVE], vec![0; EXPANDED]),
    ];
    for (what, service, fields, content) in bombs {
        let fields: Vec<&str> = fields.iter().copied().chain([GZIP]).collect();
        let request = ground.request("POST", &format!("{path}/{service}"), &fields, &gzip(&content));
        judge(&mut findings, what, &ground.ask(&request).await?);
        ground.pause(std::time::Duration::from_millis(100)).await;
    }
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::fast());
    let written = encoder.write_all(&endless(&want, &want)).and_then(|()| encoder.finish());
    let deflated = ["Content-Encoding: deflate", UPLOAD];
    let request =
        ground.request("POST", &format!("{path}/git-upload-pack"), &deflated, &written.unwrap_or_default());
    judge(&mut findings, "wants, deflated", &ground.ask(&request).await?);
    let zeros = gzip(&vec![0; EXPANDED]);
    for place in ["/", "/nowhere"] {
        let request = ground.request("POST", place, &[GZIP], &zeros);
        judge(&mut findings, &format!("POST {place}"), &ground.ask(&request).await?);
    }
    Ok(findings)
}

/// A server that has expanded 64 MB and found nothing wrong with it has come to no harm; two hundred at once may do some.
fn judge(findings: &mut Findings, what: &str, heard: &Heard) {
    match heard.first() {
        Some(reply) if reply.status < 300 => {
            findings.tolerable(
                what,
                format!("HTTP {}: 64 MB were expanded, or passed on, to the end", reply.status),
            );
        }
        _ => findings.refusal(what, heard),
    }
}

async fn broken(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let path = format!("{}/git-upload-pack", ground.victim()?.hosted.path);
    let refs = [line("command=ls-refs\n"), b"0001".to_vec(), b"0000".to_vec()].concat();
    let whole = gzip(&refs);
    let mut wrong_sum = whole.clone();
    let sum = wrong_sum.len() - 6;
    wrong_sum[sum] ^= 0xff;
    for (what, encoding, body) in [
        ("no gzip at all", "gzip", refs.clone()),
        ("cut in its head", "gzip", whole[..6].to_vec()),
        ("cut in its data", "gzip", whole[..whole.len() - 12].to_vec()),
        ("cut in its checksum", "gzip", whole[..whole.len() - 2].to_vec()),
        ("a wrong checksum", "gzip", wrong_sum),
        ("followed by rubbish", "gzip", [&whole[..], b"rubbish"].concat()),
        ("compressed twice", "gzip", gzip(&whole)),
        ("two codings", "gzip, gzip", gzip(&whole)),
        ("an unknown coding", "br", whole.clone()),
        ("a coding with a path", "../../gzip", whole.clone()),
    ] {
        let encoding = format!("Content-Encoding: {encoding}");
        let heard = ground.ask(&ground.request("POST", &path, &[UPLOAD, V2, &encoding], &body)).await?;
        match heard.first() {
            // git shows a person what an ERR packet says, and only that.
            Some(reply) if reply.status == 200 && reply.text().contains("ERR ") => {
                findings.robust("an ERR packet");
            }
            _ => findings.refusal(what, &heard),
        }
    }
    Ok(findings)
}

async fn unwanted(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let (npub, path) = match ground.victim() {
        Ok(victim) => (victim.npub.clone(), victim.hosted.path.clone()),
        Err(_) => ("npub1x".to_owned(), "/npub1x/x.git".to_owned()),
    };
    let places = [
        ("POST", "/".to_owned()),
        ("PUT", "/".to_owned()),
        ("POST", "/nowhere".to_owned()),
        ("POST", format!("/{npub}/not-there.git/git-receive-pack")),
        ("POST", format!("/{npub}/not-there.git/git-upload-pack")),
        ("PUT", format!("{path}/objects/pack/pack-x.pack")),
        ("DELETE", path),
    ];
    for (method, place) in places {
        let input = format!("{method} {place}, 10 GB announced");
        let request = ground.request(method, &place, &["Content-Length: 10000000000"], b"a first byte");
        findings.refusal(&input, &ground.ask(&request).await?);
        let input = format!("{method} {place}, without end");
        let mut wire = ground.wire().await?;
        let head = ground.request(method, &place, &["Transfer-Encoding: chunked"], b"");
        let mut taken = wire.send_as(&head, 1, Meanwhile::StopsAtAnAnswer).await?;
        let piece = [format!("{PIECE:x}\r\n").into_bytes(), vec![b'x'; PIECE], b"\r\n".to_vec()].concat();
        let mut sent = 0;
        while taken && sent < ENDLESS / 2 {
            taken = wire.send_as(&piece, 1, Meanwhile::StopsAtAnAnswer).await?;
            sent += PIECE;
        }
        findings.refusal(&input, &wire.answers(taken).await);
    }
    Ok(findings)
}
