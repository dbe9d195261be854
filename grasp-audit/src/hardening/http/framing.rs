//! Requests that two readers could read differently: where one ends and the next begins (request smuggling).
//!
//! Behind each stands a second request. A server that answers both has read the first as ending where the attacker
//! says; behind a proxy that reads it otherwise, the second would be taken for somebody else's.

use super::super::case::{Area, Case, Findings};
use super::super::ground::Ground;
use super::super::meter::Load;
use super::super::wire::Heard;
use crate::check::CheckResult;

const LOAD: Load = Load::new(1, 40, 60_000);

/// What is wrong, and the request, given where to send it.
type Inputs = fn(&Post) -> Vec<Input>;

/// One request, and whether RFC 9112 allows to take it.
struct Input {
    what: &'static str,
    request: String,
    allowed: bool,
    /// Whether it is not over: a server may wait for the rest, or refuse to.
    unfinished: bool,
}

/// Where the requests go: to a place that takes a body, so that its end matters.
struct Post {
    path: String,
    authority: String,
}

impl Post {
    fn with(&self, fields: &str, body: &str) -> String {
        let Self { path, authority } = self;
        format!("POST {path} HTTP/1.1\r\nHost: {authority}\r\n{fields}\r\n{body}")
    }
}

fn wrong(what: &'static str, request: String) -> Input {
    Input { what, request, allowed: false, unfinished: false }
}

fn odd(what: &'static str, request: String) -> Input {
    Input { what, request, allowed: true, unfinished: false }
}

fn unfinished(what: &'static str, request: String) -> Input {
    Input { what, request, allowed: true, unfinished: true }
}

pub(super) fn cases() -> Vec<Case> {
    let case = |name: &str, sends: &'static str, robust: &'static str, inputs: Inputs| {
        Case::new(Area::Http, name, sends, robust, LOAD, move |ground| smuggled(ground, inputs))
    };
    vec![
        case(
            "content-length-and-chunked",
            "Content-Length beside Transfer-Encoding, in both orders, with a second request behind",
            "answers 400, or goes by the chunks and ends the connection (RFC 9112, 6.1)",
            both,
        ),
        case(
            "content-lengths",
            "several Content-Lengths, and ones that are lists, signed, hexadecimal, fractions or beyond any number",
            "refuses them and ends the connection",
            lengths,
        ),
        case(
            "transfer-encodings",
            "Transfer-Encodings that only some readers take for `chunked`",
            "refuses them and ends the connection",
            encodings,
        ),
        case(
            "chunks",
            "chunk sizes that are signed, prefixed, spaced, too large or no number, chunks without line ends",
            "refuses them and ends the connection",
            chunks,
        ),
        case(
            "bare-lf-and-folds",
            "line ends without CR, folded fields, and fields hidden behind both",
            "answers 400, or reads them as RFC 9112 allows, and never finds a second request in the first",
            line_ends,
        ),
    ]
}

/// The second request: any answer to it beside the first one gives the server away.
const SECOND: &str = "GET /second HTTP/1.1\r\nHost: second\r\n\r\n";

fn both(post: &Post) -> Vec<Input> {
    let whole = format!("0\r\n\r\n{SECOND}");
    let length = whole.len();
    let (chunked, short) = ("Transfer-Encoding: chunked\r\n", "Content-Length: 5\r\n");
    let long = format!("Content-Length: {length}\r\n");
    let old = post.with(&format!("{short}{chunked}Connection: keep-alive\r\n"), &whole);
    vec![
        odd("length first, the second request within it", post.with(&format!("{long}{chunked}"), &whole)),
        odd(
            "encoding first, the second request within the length",
            post.with(&format!("{chunked}{long}"), &whole),
        ),
        odd("the second request behind the length", post.with(&format!("{short}{chunked}"), &whole)),
        odd("length 0", post.with(&format!("Content-Length: 0\r\n{chunked}"), &whole)),
        odd("HTTP/1.0", old.replacen("HTTP/1.1", "HTTP/1.0", 1)),
    ]
}

fn lengths(post: &Post) -> Vec<Input> {
    let forms = [
        ("two that differ", "Content-Length: 4\r\nContent-Length: 0\r\n"),
        ("a list that differs", "Content-Length: 4, 0\r\n"),
        ("a plus sign", "Content-Length: +4\r\n"),
        ("a minus sign", "Content-Length: -4\r\n"),
        ("hexadecimal", "Content-Length: 0x4\r\n"),
        ("two numbers", "Content-Length: 4 4\r\n"),
        ("a fraction", "Content-Length: 4.0\r\n"),
        ("empty", "Content-Length:\r\n"),
        ("a word", "Content-Length: four\r\n"),
        ("beyond 64 bits", "Content-Length: 99999999999999999999999999\r\n"),
        ("2^64", "Content-Length: 18446744073709551616\r\n"),
        ("a space in the name", "Content-Length : 4\r\n"),
        ("other digits", "Content-Length: \u{664}\r\n"),
    ];
    let body = format!("0000{SECOND}");
    forms.into_iter().map(|(what, fields)| wrong(what, post.with(fields, &body))).collect()
}

fn encodings(post: &Post) -> Vec<Input> {
    let forms = [
        ("an unknown coding", "Transfer-Encoding: xchunked\r\n"),
        ("chunked is not last", "Transfer-Encoding: chunked, identity\r\n"),
        ("chunked, then another field", "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n"),
        ("a space before the colon", "Transfer-Encoding : chunked\r\n"),
        ("a vertical tab", "Transfer-Encoding: \x0bchunked\r\n"),
        ("a NUL", "Transfer-Encoding: chunked\0\r\n"),
        ("quoted", "Transfer-Encoding: \"chunked\"\r\n"),
        ("cow", "Transfer-Encoding: cow\r\n"),
        ("gzip alone", "Transfer-Encoding: gzip\r\n"),
    ];
    let body = format!("0\r\n\r\n{SECOND}");
    let mut inputs: Vec<Input> =
        forms.into_iter().map(|(what, fields)| wrong(what, post.with(fields, &body))).collect();
    // A name that is not Transfer-Encoding frames nothing: the length counts, and the connection ends behind it.
    let other_name = "Transfer_Encoding: chunked\r\nContent-Length: 5\r\nConnection: close\r\n";
    inputs.push(odd("an underscore in the name", post.with(other_name, &body)));
    inputs
}

fn chunks(post: &Post) -> Vec<Input> {
    let forms = [
        ("no number", "zz\r\n"),
        ("a minus sign", "-1\r\n"),
        ("a plus sign", "+0\r\n\r\n"),
        ("a prefix", "0x0\r\n\r\n"),
        ("a space first", " 0\r\n\r\n"),
        ("2^64, which some readers take for 0", "10000000000000000\r\n\r\n"),
        ("beyond 64 bits", "fffffffffffffffff\r\n"),
        ("no line end behind the data", "4\r\n00000\r\n\r\n"),
        ("a bare CR", "0\r\r\n"),
        ("empty", "\r\n\r\n"),
        ("an endless extension", "0;"),
    ];
    let long = "a=b;".repeat(5_000);
    let body = |form: &str| match form {
        "0;" => format!("0;{long}\r\n\r\n"),
        other => other.to_owned(),
    };
    let chunked =
        |form: &str| post.with("Transfer-Encoding: chunked\r\n", &format!("{}{SECOND}", body(form)));
    let mut inputs: Vec<Input> = forms.into_iter().map(|(what, form)| wrong(what, chunked(form))).collect();
    inputs.push(unfinished("2^64 - 1 and less behind it", chunked("ffffffffffffffff\r\n")));
    inputs
}

fn line_ends(post: &Post) -> Vec<Input> {
    let body = format!("0000{SECOND}");
    let close = |fields: &str| format!("{fields}Connection: close\r\n");
    let get = |end: &str| {
        let Post { path, authority } = post;
        format!("GET {path} HTTP/1.1{end}Host: {authority}{end}Connection: close{end}{end}{SECOND}")
    };
    let chunks = format!("0\r\n\r\n{SECOND}");
    vec![
        wrong("a length hidden behind a bare CR", post.with(&close("X: a\rContent-Length: 4\r\n"), &body)),
        odd("a length hidden in a fold", post.with(&close("X: a\r\n Content-Length: 4\r\n"), &body)),
        odd(
            "an encoding hidden in a fold",
            post.with(&close("Transfer-Encoding:\r\n chunked\r\nContent-Length: 0\r\n"), &chunks),
        ),
        odd("a field of only a fold", post.with(&close(" \r\nContent-Length: 4\r\n"), &body)),
        odd("every line ends with LF alone", get("\n")),
        wrong("every line ends with CR CR LF", get("\r\r\n")),
    ]
}

async fn smuggled(ground: Ground, inputs: Inputs) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let path = match ground.victim() {
        Ok(victim) => format!("{}/git-upload-pack", victim.hosted.path),
        Err(_) => "/nowhere".to_owned(),
    };
    for input in inputs(&Post { path, authority: ground.authority() }) {
        let heard = ground.ask(input.request.as_bytes()).await?;
        if input.unfinished && heard.replies.is_empty() && heard.end.is_none() {
            findings.robust("the rest is waited for");
        } else {
            judge(&mut findings, &input, &heard);
        }
    }
    Ok(findings)
}

fn judge(findings: &mut Findings, Input { what, allowed, .. }: &Input, heard: &Heard) {
    match (heard.replies.as_slice(), heard.end) {
        ([], _) => findings.no_reply(what, heard),
        ([_, _, ..], _) => {
            findings.weak(what, format!("a second request is found inside the first ({})", heard.told()));
        }
        ([reply], _) if reply.status < 300 && !allowed => {
            findings.weak(what, format!("taken: {}", heard.told()))
        }
        ([reply], Some(_)) if reply.status < 300 => {
            findings.robust(format!("HTTP {}, then closed", reply.status))
        }
        ([_], Some(_)) => findings.refusal(what, heard),
        ([reply], None) => findings.tolerable(
            what,
            format!("HTTP {}, and the connection stays open for what follows", reply.status),
        ),
    }
}
