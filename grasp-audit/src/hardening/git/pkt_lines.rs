//! Pkt-lines that are none: lengths, cuts, missing flushes, packets in the wrong place.

use super::super::case::{Area, Case, Findings};
use super::super::ground::Ground;
use super::super::meter::Load;
use super::post;
use crate::check::CheckResult;
use crate::target::receive_pack::{self, Command};
use crate::target::smart_http::line;

const V2: &str = "Git-Protocol: version=2";
const UPLOAD: &str = "git-upload-pack";
const RECEIVE: &str = "git-receive-pack";

pub(super) fn cases() -> Vec<Case> {
    let robust = "answers with a 4xx or a reason in git's protocol, and with no objects";
    vec![
        Case::new(
            Area::Git,
            "pkt-line-lengths",
            "pkt-lines whose lengths are too small, too large, negative, spaced, prefixed, binary or no number",
            robust,
            Load::new(1, 60, 200_000),
            lengths,
        ),
        Case::new(
            Area::Git,
            "pkt-lines-cut",
            "requests that end in the middle, at every few bytes, and ones without a flush",
            robust,
            Load::new(1, 120, 200_000),
            cut,
        ),
        Case::new(
            Area::Git,
            "packets-out-of-place",
            "packets of protocol v2 in v0 and the other way round, unknown commands, arguments and services, malformed wants, depths, filters, and shell and path tricks in each",
            robust,
            Load::new(1, 120, 500_000),
            out_of_place,
        ),
    ]
}

async fn lengths(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let path = ground.victim()?.hosted.path.clone();
    let forms: [(&str, &[u8]); 14] = [
        ("0003", b"0003"),
        ("0004", b"0004"),
        ("upper case", b"FFF1"),
        ("beyond the most", b"fff5"),
        ("the most, with little behind", b"fff0ab"),
        ("no hex", b"zzzz"),
        ("negative", b"-001"),
        ("signed", b"+010want"),
        ("spaced", b" 010want"),
        ("prefixed", b"0x10want"),
        ("binary", b"\0\0\0\x10want"),
        ("a line end inside", b"00\n4"),
        ("one byte", b"0"),
        ("three bytes", b"000"),
    ];
    for (form, bytes) in forms {
        let body = [bytes, b"rest of it"].concat();
        for (service, fields) in [(UPLOAD, &[][..]), (UPLOAD, &[V2][..]), (RECEIVE, &[][..])] {
            let heard = ground.ask(&post(&ground, &path, service, fields, &body)).await?;
            let input = format!("{service}, {form}");
            if service == RECEIVE {
                findings.refused_push(&input, &heard);
            } else {
                findings.refused_fetch(&input, &heard);
            }
        }
    }
    Ok(findings)
}

async fn cut(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let (path, tip) = (ground.victim()?.hosted.path.clone(), ground.victim()?.hosted.tip.clone());
    let want = line(&format!("want {tip} no-progress ofs-delta\n"));
    let fetch = [
        line("command=fetch"),
        line("object-format=sha1"),
        b"0001".to_vec(),
        line(&format!("want {tip}\n")),
        line("done\n"),
        b"0000".to_vec(),
    ]
    .concat();
    let plain = [want, b"0000".to_vec(), line("done\n")].concat();
    let command = Command::create("refs/heads/cut", &tip);
    let push = receive_pack::request(&[command], b"");
    for (service, fields, whole) in
        [(UPLOAD, &[][..], plain), (UPLOAD, &[V2][..], fetch), (RECEIVE, &[][..], push)]
    {
        for length in (1..whole.len() - 4).step_by(7) {
            let heard = ground.ask(&post(&ground, &path, service, fields, &whole[..length])).await?;
            let input = format!("{service}, cut after {length} bytes of {}", whole.len());
            if service == RECEIVE {
                findings.refused_push(&input, &heard);
            } else {
                findings.refused_fetch(&input, &heard);
            }
        }
    }
    Ok(findings)
}

async fn out_of_place(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let (path, tip) = (ground.victim()?.hosted.path.clone(), ground.victim()?.hosted.tip.clone());
    let zero = "0".repeat(40);
    let flush = b"0000".to_vec();
    let nested = format!("filter {}blob:none", "combine:".repeat(2_000));
    let wants = |line_of: &str| [line(line_of), flush.clone(), line("done\n")].concat();
    let v0: Vec<(&str, Vec<u8>)> = vec![
        ("a delimiter", [line(&format!("want {zero}\n")), b"0001".to_vec(), line("done\n")].concat()),
        ("an end of response", [b"0002".to_vec(), line("done\n")].concat()),
        ("haves before wants", [line(&format!("have {tip}\n")), flush.clone(), line("done\n")].concat()),
        ("done first", line("done\n")),
        ("a want of 39 digits", wants(&format!("want {}\n", &tip[..39]))),
        ("a want that is a path", wants("want ../../../../etc/passwd\n")),
        ("a want that is a ref", wants("want refs/heads/main\n")),
        ("a want of nothing", wants(&format!("want {zero}\n"))),
        ("a shallow of nonsense", wants(&format!("want {zero}\nshallow nonsense\n"))),
        ("bytes that are no text", wants("want \u{fffd}\0\u{1}\n")),
    ];
    for (input, body) in v0 {
        let heard = ground.ask(&post(&ground, &path, UPLOAD, &[], &body)).await?;
        findings.refused_fetch(input, &heard);
    }
    let fetch = |arguments: &[&str]| {
        let arguments: Vec<u8> = arguments.iter().flat_map(|argument| line(argument)).collect();
        [line("command=fetch"), b"0001".to_vec(), arguments, flush.clone()].concat()
    };
    let bare = |first: &str| [line(first), flush.clone()].concat();
    let want = format!("want {zero}");
    let v2: Vec<(&str, Vec<u8>)> = vec![
        ("an unknown command", bare("command=serve-me")),
        ("an empty command", bare("command=")),
        ("two commands", [line("command=ls-refs"), line("command=fetch"), flush.clone()].concat()),
        ("no command", bare("agent=x")),
        ("a command that is a path", bare("command=../../bin/sh")),
        ("a command with a shell in it", bare("command=fetch;touch${IFS}x")),
        ("an unknown capability", [line("command=fetch"), line("wishes=all"), flush.clone()].concat()),
        (
            "another object format",
            [line("command=fetch"), line("object-format=sha256"), flush.clone()].concat(),
        ),
        ("a want in v0's form", line(&format!("want {zero} side-band-64k\n"))),
        ("an unknown argument", fetch(&["wish everything"])),
        ("a negative depth", fetch(&[&want, "deepen -1", "done"])),
        ("a huge depth", fetch(&[&want, "deepen 99999999999999999999", "done"])),
        ("a date that is none", fetch(&[&want, "deepen-since yesterday", "done"])),
        ("an unknown filter", fetch(&[&want, "filter everything", "done"])),
        ("a filter that reads a file", fetch(&[&want, "filter sparse:path=/etc/passwd", "done"])),
        ("a filter nested 2,000 times", fetch(&[&want, &nested, "done"])),
        ("a filter beyond any number", fetch(&[&want, "filter blob:limit=99999999999999999999g", "done"])),
        ("a ref that is not offered", fetch(&["want-ref ../../config", "done"])),
        ("a packfile-uri", fetch(&[&want, "packfile-uris file", "done"])),
    ];
    for (input, body) in v2 {
        let heard = ground.ask(&post(&ground, &path, UPLOAD, &[V2], &body)).await?;
        findings.refused_fetch(input, &heard);
    }
    for service in [
        "git-upload-archive",
        "git-receive-pack;id",
        "$(id)",
        "git-upload-pack%00",
        "../git-upload-pack",
        "",
        "git-shell",
    ] {
        let target = format!("{path}/info/refs?service={service}");
        let heard = ground.ask(&ground.request("GET", &target, &[], b"")).await?;
        let input = format!("the service {service:?}");
        match heard.first() {
            Some(reply) if reply.text().contains(&tip) && service.contains("upload-pack") => {
                findings.tolerable(&input, "answered as if it were git-upload-pack");
            }
            _ => findings.refusal(&input, &heard),
        }
    }
    for protocol in [
        "version=99",
        "version=2:version=0:version=1",
        "version=-1",
        "$(id)",
        "version=2\u{7f}",
        &"version=2:".repeat(3_000),
    ] {
        let target = format!("{path}/info/refs?service=git-upload-pack");
        let field = format!("Git-Protocol: {protocol}");
        let heard = ground.ask(&ground.request("GET", &target, &[&field], b"")).await?;
        findings.answered(&format!("Git-Protocol of {} bytes", protocol.len()), &heard);
    }
    Ok(findings)
}
