//! H/git: bytes that no git client sends. They must be refused with a reason, or answered in their own terms; nothing of
//! them may stay, and nobody else may notice.

mod deltas;
mod negotiation;
mod objects;
mod packs;
mod pkt_lines;
mod refs;

use super::case::{Case, Findings};
use super::ground::Ground;
use super::wire::{Heard, Meanwhile};
use crate::check::CheckResult;
use crate::context::Hosted;
use crate::target::receive_pack::{self, Command};
use crate::target::smart_http::{Packet, decode};

pub(super) fn cases() -> Vec<Case> {
    [
        pkt_lines::cases(),
        negotiation::cases(),
        refs::cases(),
        packs::cases(),
        deltas::cases(),
        objects::cases(),
    ]
    .concat()
}

/// The branch that every hostile push aims at.
const MAIN: &str = "refs/heads/main";

/// A request to one of a repository's services, with the fields a client sends.
fn post(ground: &Ground, path: &str, service: &str, fields: &[&str], body: &[u8]) -> Vec<u8> {
    let content_type = format!("Content-Type: application/x-{service}-request");
    let fields: Vec<&str> = fields.iter().copied().chain([content_type.as_str()]).collect();
    ground.request("POST", &format!("{path}/{service}"), &fields, body)
}

/// Pushes `pack` as the data that `main`'s state waits for.
async fn push(ground: &Ground, hosted: &Hosted, pack: &[u8]) -> CheckResult<Heard> {
    push_to(ground, &hosted.path, &Command::create(MAIN, &hosted.tip), pack).await
}

/// Indexing a pack that unpacks to much may take longer than an ordinary answer.
async fn push_to(ground: &Ground, path: &str, command: &Command, pack: &[u8]) -> CheckResult<Heard> {
    let body = receive_pack::request(std::slice::from_ref(command), pack);
    let request = post(ground, path, "git-receive-pack", &[], &body);
    let mut wire = ground.wire().await?;
    let taken = wire.send_as(&request, 1, Meanwhile::StopsAtAnAnswer).await?;
    Ok(wire.answers_within(ground.answer_within() * 4, taken).await)
}

/// After hostile pushes: what is honest is still taken, so nothing of them stands in anybody's way.
async fn honest_push(ground: &Ground, hosted: &Hosted, findings: &mut Findings) -> CheckResult {
    let output = ground.ctx.git.push(&hosted.repository, &hosted.url, &[MAIN]).await?;
    if output.ok() {
        findings.robust("an honest push afterwards");
    } else {
        findings.weak("an honest push afterwards", output.terminal());
    }
    Ok(())
}

impl Findings {
    /// Grades the answer to a push that must not succeed.
    fn refused_push(&mut self, input: &str, heard: &Heard) {
        let Some(reply) = heard.first().filter(|reply| reply.status == 200) else {
            return self.refusal(input, heard);
        };
        let report: Vec<String> = decode(&reply.body).unwrap_or_default().iter().map(Packet::text).collect();
        let says = |begin: &str| report.iter().any(|line| line.starts_with(begin));
        let refused = says("ng ") || says("ERR ") || says("unpack ") && !says("unpack ok");
        if says("ok ") {
            self.weak(input, format!("taken: {report:?}"));
        } else if refused {
            self.robust("refused in the report");
        } else if !reply.whole && heard.end.is_none() {
            self.weak(input, "the answer begins and does not end");
        } else {
            self.tolerable(
                input,
                format!("not taken, without a word: HTTP 200, {:?}", shortened(&reply.text())),
            );
        }
    }

    /// Grades the answer to a fetch that must not succeed.
    fn refused_fetch(&mut self, input: &str, heard: &Heard) {
        let Some(reply) = heard.first().filter(|reply| reply.status == 200) else {
            return self.refusal(input, heard);
        };
        let body = reply.text();
        if body.contains("PACK") {
            self.weak(input, "answered with a pack");
        } else if body.contains("ERR ") {
            self.robust("an ERR packet");
        } else if !reply.whole && heard.end.is_none() {
            self.weak(input, "the answer begins and does not end");
        } else {
            self.robust("an answer without objects");
        }
    }
}

fn shortened(text: &str) -> String {
    text.chars().take(120).collect()
}
