//! Paths that name another place than they seem to: by dots, slashes, and their encodings.
//!
//! Every spelling is tried on every route, aimed at a repository that is there: a server that is fooled answers with that
//! repository's data. Some spellings aim at files of the machine instead.

use super::super::case::{Area, Case, Findings};
use super::super::ground::{Ground, Victim};
use super::super::meter::Load;
use super::super::wire::Heard;
use crate::check::CheckResult;
use crate::target::smart_http::line;

const LOAD: Load = Load::new(1, 400, 400_000);
/// What only a file of the machine, or of a repository's insides, says.
const SECRETS: [&str; 4] = ["root:x:0:", "root:*:0:", "[core]", "repositoryformatversion"];

/// A way to write the path of a repository so that only a server that is fooled finds it.
struct Spelling {
    path: String,
    /// Dots that stand in the path as they are: servers and proxies may resolve them before anything else (RFC 3986,
    /// 5.2.4), which does no harm when access is decided afterwards.
    plain: bool,
}

fn fooled(path: String) -> Spelling {
    Spelling { path, plain: false }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, sends: &'static str, spellings: fn(&Victim) -> Vec<Spelling>| {
        let robust = "answers 404 or 400 to each, and shows nothing of another repository or of the machine";
        Case::new(Area::Http, name, sends, robust, LOAD, move |ground| aimed(ground, spellings))
    };
    vec![
        case(
            "path-traversal",
            "paths with `..` between slashes and encoded slashes, on every route, towards another repository and files",
            dots,
        ),
        case("double-encoding", "the same encoded twice and three times (`%252e%252e%252f`)", |victim| {
            encoded(victim, &[("%252e%252e", "%252f"), ("%25252e%25252e", "%25252f"), ("..", "%25252f")])
        }),
        case("overlong-utf8", "dots and slashes as overlong and broken UTF-8 (`%c0%ae%c0%af`)", |victim| {
            let forms = [
                ("%c0%ae%c0%ae", "%c0%af"),
                ("%e0%80%ae%e0%80%ae", "%e0%80%af"),
                ("%f0%80%80%ae%f0%80%80%ae", "%f0%80%80%af"),
                ("..", "%c0%af"),
                ("..", "%c0%2f"),
                ("..", "%u2215"),
                ("..", "%ef%bc%8f"),
            ];
            encoded(victim, &forms)
        }),
        case("nul-in-path", "a NUL byte, raw and encoded, where a name could be cut off", nuls),
        case("backslash", "backslashes, raw and encoded, in place of slashes", |victim| {
            encoded(victim, &[("..", "\\"), ("..", "%5c"), ("..", "%255c"), ("%2e%2e", "%5C"), (".", "%5c")])
        }),
        case("path-parameters", "`..;/` and path parameters behind segments", parameters),
    ]
}

fn dots(victim: &Victim) -> Vec<Spelling> {
    let (npub, name) = (&victim.npub, name(victim));
    let mut spellings = encoded(
        victim,
        &[
            ("..", "%2f"),
            ("%2e%2e", "%2F"),
            (".%2e", "%2f"),
            ("%2e.", "%2f"),
            ("x%2f..%2f..", "%2f"),
            (".", "%2f"),
        ],
    );
    for plain in [
        format!("/{npub}/x/../{name}.git"),
        format!("/../{npub}/{name}.git"),
        format!("/./{npub}/./{name}.git"),
        format!("/{npub}/../{npub}/{name}.git"),
        format!("/%2e%2e/{npub}/{name}.git"),
        format!("/{npub}/%2e/{name}.git"),
    ] {
        spellings.push(Spelling { path: plain, plain: true });
    }
    spellings
}

/// The victim's path behind another repository's, joined with these ways to write `..` and `/`.
fn encoded(victim: &Victim, forms: &[(&str, &str)]) -> Vec<Spelling> {
    let (npub, name) = (&victim.npub, name(victim));
    let mut spellings = Vec::new();
    for (up, slash) in forms {
        spellings.push(fooled(format!("/{npub}/x{slash}{up}{slash}{name}.git")));
        spellings.push(fooled(format!("/{npub}/{up}{slash}{npub}{slash}{name}.git")));
        spellings.push(fooled(format!("/{npub}{slash}{name}.git")));
    }
    spellings
}

fn nuls(victim: &Victim) -> Vec<Spelling> {
    let (npub, name) = (&victim.npub, name(victim));
    let forms = [
        format!("/{npub}/{name}.git%00.git"),
        format!("/{npub}/{name}%00.git"),
        format!("/{npub}/{name}.git%00"),
        format!("/{npub}%00/{name}.git"),
        format!("/{npub}/%00{name}.git"),
        format!("/{npub}/{name}.git%2500.git"),
        format!("/{npub}/{name}.git\0.git"),
        format!("/{npub}/{name}.git%c0%80.git"),
    ];
    forms.into_iter().map(fooled).collect()
}

fn parameters(victim: &Victim) -> Vec<Spelling> {
    let (npub, name) = (&victim.npub, name(victim));
    let forms = [
        format!("/{npub}/x/..;/{name}.git"),
        format!("/{npub}/..;/{npub}/{name}.git"),
        format!("/{npub}/..;x=y/{npub}/{name}.git"),
        format!("/{npub};x=y/{name}.git"),
        format!("/{npub}/{name}.git;x=y"),
        format!("/{npub}/{name}.git%3bx=y"),
        format!("/..%3b/{npub}/{name}.git"),
    ];
    forms.into_iter().map(fooled).collect()
}

fn name(victim: &Victim) -> &str {
    &victim.hosted.identifier
}

/// Files of the machine and of the repository's insides, behind every way to write `..` and `/` there is above.
fn files(victim: &Victim) -> Vec<String> {
    let (npub, name) = (&victim.npub, name(victim));
    let mut files: Vec<String> = ["config", "HEAD/../config", "objects/info/../../config", "%2e%2e/.grasp"]
        .iter()
        .map(|file| format!("/{npub}/{name}.git/{file}"))
        .collect();
    for up in ["../", "%2e%2e/", "..%2f", "%2e%2e%2f", "%252e%252e%252f", "..%c0%af", "..%5c", "..\\", "..;/"]
    {
        files.push(format!("/{}etc/passwd", up.repeat(12)));
        files.push(format!("/{npub}/{}etc/passwd%00.git", up.repeat(12)));
        files.push(format!("/.well-known/{}etc/passwd", up.repeat(12)));
    }
    files
}

async fn aimed(ground: Ground, spellings: fn(&Victim) -> Vec<Spelling>) -> CheckResult<Findings> {
    let victim = ground.victim()?;
    let mut findings = Findings::new();
    for Spelling { path, plain } in spellings(victim) {
        for (route, request) in routes(&ground, &path) {
            let heard = ground.ask(&request).await?;
            judge(&mut findings, &format!("{route} {path}"), &heard, victim, plain);
        }
    }
    for file in files(victim) {
        let heard = ground.ask(&ground.request("GET", &file, &[], b"")).await?;
        judge(&mut findings, &format!("GET {file}"), &heard, victim, true);
    }
    Ok(findings)
}

/// Every route of a repository that shows or takes data.
fn routes(ground: &Ground, path: &str) -> Vec<(&'static str, Vec<u8>)> {
    let refs = [line("command=ls-refs\n"), b"0001".to_vec(), line("symrefs\n"), b"0000".to_vec()].concat();
    let upload = ["Content-Type: application/x-git-upload-pack-request", "Git-Protocol: version=2"];
    let receive = ["Content-Type: application/x-git-receive-pack-request"];
    vec![
        (
            "GET info/refs",
            ground.request("GET", &format!("{path}/info/refs?service=git-upload-pack"), &[], b""),
        ),
        ("POST git-upload-pack", ground.request("POST", &format!("{path}/git-upload-pack"), &upload, &refs)),
        // Four bytes that ask for nothing: only a repository answers them.
        (
            "POST git-receive-pack",
            ground.request("POST", &format!("{path}/git-receive-pack"), &receive, b"0000"),
        ),
    ]
}

fn judge(findings: &mut Findings, input: &str, heard: &Heard, victim: &Victim, plain: bool) {
    let Some(reply) = heard.first() else { return findings.no_reply(input, heard) };
    let body = reply.text();
    if let Some(secret) = SECRETS.iter().find(|secret| body.contains(**secret)) {
        return findings
            .weak(input, format!("shows a file of the server: HTTP {}, {secret:?}", reply.status));
    }
    let reached = body.contains(&victim.hosted.tip)
        || reply.status == 200 && reply.field("content-type").starts_with("application/x-git-");
    match (reached, reply.status) {
        (true, _) if plain => findings.tolerable(
            input,
            "leads to the repository: dots are resolved before routing, which is harmless only if nothing is decided \
             by the path before that",
        ),
        (true, _) => findings.weak(input, format!("leads to another repository: HTTP {}", reply.status)),
        // A page for people on any path shows nothing that is not public.
        (false, 200..=299) => findings.tolerable(input, format!("HTTP {} for a place that is not there", reply.status)),
        (false, _) => findings.refusal(input, heard),
    }
}
