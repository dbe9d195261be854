//! Requests that are well-formed and far too long.

use super::super::case::{Area, Case, Findings};
use super::super::ground::Ground;
use super::super::meter::Load;
use super::super::wire::{Heard, Meanwhile};
use super::post;
use crate::check::CheckResult;
use crate::target::receive_pack::{self, Command};
use crate::target::smart_http::line;

const V2: &str = "Git-Protocol: version=2";
const UPLOAD: &str = "git-upload-pack";
/// Wants and haves of one request.
const MANY: usize = 20_000;
/// Refs of one push.
const MANY_REFS: usize = 5_000;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            Area::Git,
            "many-wants",
            "20,000 wants of objects that are not there, in v0 and v2",
            "says that it has no such object, or that the request is too long",
            Load::new(1, 4, 4_000_000),
            wants,
        ),
        Case::new(
            Area::Git,
            "many-haves",
            "20,000 haves of objects that nobody knows beside one want, in v0 and v2",
            "answers with the pack, or says that the request is too long",
            Load::new(1, 4, 4_000_000),
            haves,
        ),
        Case::new(
            Area::Git,
            "many-capabilities",
            "60 KB of capabilities in one line, 10,000 lines of them, and 50,000 prefixes in one ls-refs",
            "answers, or says that the request is too long",
            Load::new(1, 8, 6_000_000),
            capabilities,
        ),
        Case::new(
            Area::Git,
            "many-ref-commands",
            "one push that creates 5,000 refs which no state names, one that names one ref 5,000 times, and 20,000 shallow lines",
            "refuses every one, and creates none",
            Load::new(1, 6, 6_000_000),
            commands,
        ),
    ]
}

/// An id that is nobody's.
fn unknown(number: usize) -> String {
    format!("{:040x}", number + 0xdead_0000)
}

async fn ask(ground: &Ground, request: &[u8]) -> CheckResult<Heard> {
    let mut wire = ground.wire().await?;
    let taken = wire.send_as(request, 1, Meanwhile::StopsAtAnAnswer).await?;
    Ok(wire.answers_within(ground.answer_within() * 3, taken).await)
}

async fn wants(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let path = ground.victim()?.hosted.path.clone();
    let wants: Vec<u8> = (0..MANY).flat_map(|number| line(&format!("want {}\n", unknown(number)))).collect();
    let v0 = [&wants[..], b"0000", &line("done\n")].concat();
    let v2 = [line("command=fetch"), b"0001".to_vec(), wants, line("done\n"), b"0000".to_vec()].concat();
    findings.refused_fetch("v0", &ask(&ground, &post(&ground, &path, UPLOAD, &[], &v0)).await?);
    findings.refused_fetch("v2", &ask(&ground, &post(&ground, &path, UPLOAD, &[V2], &v2)).await?);
    Ok(findings)
}

async fn haves(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let (path, tip) = (ground.victim()?.hosted.path.clone(), ground.victim()?.hosted.tip.clone());
    let haves: Vec<u8> = (0..MANY).flat_map(|number| line(&format!("have {}\n", unknown(number)))).collect();
    let want = line(&format!("want {tip}\n"));
    let v0 = [&want[..], b"0000", &haves, &line("done\n")].concat();
    let v2 =
        [line("command=fetch"), b"0001".to_vec(), want, haves, line("done\n"), b"0000".to_vec()].concat();
    for (input, fields, body) in [("v0", &[][..], v0), ("v2", &[V2][..], v2)] {
        let heard = ask(&ground, &post(&ground, &path, UPLOAD, fields, &body)).await?;
        match heard.first() {
            Some(reply) if reply.status == 200 && reply.text().contains("PACK") => {
                findings.robust("answered with the pack");
            }
            Some(reply) if reply.status == 200 => {
                findings.weak(
                    input,
                    format!("no pack, although the object is there: {} bytes", reply.body.len()),
                );
            }
            _ => findings.refusal(input, &heard),
        }
    }
    Ok(findings)
}

async fn capabilities(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let (path, tip) = (ground.victim()?.hosted.path.clone(), ground.victim()?.hosted.tip.clone());
    let long = line(&format!("want {tip} {}\n", "no-progress ".repeat(5_000)));
    let v0 = [long, b"0000".to_vec(), line("done\n")].concat();
    let lines = line("agent=x").repeat(10_000);
    let v2 = [line("command=ls-refs"), lines, b"0000".to_vec()].concat();
    let prefixes: Vec<u8> =
        (0..50_000).flat_map(|number| line(&format!("ref-prefix refs/heads/{number}\n"))).collect();
    let refs = [line("command=ls-refs"), b"0001".to_vec(), prefixes, b"0000".to_vec()].concat();
    let deep = line(&format!("ref-prefix {}", "a/".repeat(30_000)));
    let deep = [line("command=ls-refs"), b"0001".to_vec(), deep, b"0000".to_vec()].concat();
    for (input, fields, body) in [
        ("60 KB in one line", &[][..], v0),
        ("10,000 lines", &[V2][..], v2),
        ("50,000 prefixes", &[V2][..], refs),
        ("a prefix of 60 KB", &[V2][..], deep),
    ] {
        let heard = ask(&ground, &post(&ground, &path, UPLOAD, fields, &body)).await?;
        findings.answered(input, &heard);
    }
    Ok(findings)
}

async fn commands(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let (path, tip) = (ground.victim()?.hosted.path.clone(), ground.victim()?.hosted.tip.clone());
    let different = |number: usize| Command::create(&format!("refs/heads/many-{number}"), &tip);
    let many: Vec<Command> = (0..MANY_REFS).map(different).collect();
    let same = vec![Command::create("refs/heads/again", &tip); MANY_REFS];
    let shallow: Vec<u8> =
        (0..MANY).flat_map(|number| line(&format!("shallow {}", unknown(number)))).collect();
    let shallow =
        [shallow, receive_pack::request(&[Command::create("refs/heads/shallow", &tip)], b"")].concat();
    for (input, body) in [
        ("5,000 refs", receive_pack::request(&many, b"")),
        ("one ref 5,000 times", receive_pack::request(&same, b"")),
        ("20,000 shallow lines", shallow),
    ] {
        let heard = ask(&ground, &post(&ground, &path, "git-receive-pack", &[], &body)).await?;
        findings.refused_push(input, &heard);
    }
    let shown = ground.ctx.shown(&path).await?.heads_and_tags();
    if shown.len() == 1 {
        findings.robust("no ref was created");
    } else {
        findings.weak("afterwards", format!("the repository shows {} refs instead of one", shown.len()));
    }
    Ok(findings)
}
