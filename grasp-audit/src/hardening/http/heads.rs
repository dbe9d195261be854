//! Heads that are too long, have too many fields, never end, or are no HTTP at all.

use super::super::case::{Area, Case, Findings};
use super::super::ground::Ground;
use super::super::meter::Load;
use super::super::wire::Meanwhile;
use crate::check::CheckResult;

/// How much of an endless head is sent.
const ENDLESS: usize = 8 << 20;
/// How much of it is sent at once.
const PIECE: usize = 256 << 10;

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            Area::Http,
            "many-fields",
            "heads with 1,000 and 20,000 fields, different ones and the same one",
            "answers 431 (or 400) instead of keeping them",
            Load::new(1, 10, 4_000_000),
            many_fields,
        ),
        Case::new(
            Area::Http,
            "huge-field",
            "one field of 1 MB: in a value, in a name, in Host, in a cookie, in Git-Protocol",
            "answers 431 (or 400) before it has read it to its end",
            Load::new(1, 10, 12_000_000),
            huge_field,
        ),
        Case::new(
            Area::Http,
            "endless-head",
            "a head that never ends: 8 MiB of fields, as fast as the server takes them",
            "ends the connection long before that",
            Load::new(1, 200, 20_000_000),
            endless,
        ),
        Case::new(
            Area::Http,
            "no-http",
            "rubbish, binary, wrong versions, a TLS and an HTTP/2 greeting, and request lines of wrong shapes",
            "answers 400 or 505, or ends the connection",
            Load::new(1, 40, 40_000),
            no_http,
        ),
        Case::new(
            Area::Http,
            "malformed-fields",
            "fields without colon, name or value, with spaces before the colon, with control bytes and bare CR",
            "answers 400, or takes the odd but allowed ones",
            Load::new(1, 40, 40_000),
            malformed,
        ),
    ]
}

async fn many_fields(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    for count in [1_000, 20_000] {
        let different: Vec<String> = (0..count).map(|number| format!("X-{number}: a")).collect();
        let same = vec!["Accept: */*".to_owned(); count];
        for (what, fields) in [("different", different), ("same", same)] {
            let fields: Vec<&str> = fields.iter().map(String::as_str).collect();
            let heard = ground.ask(&ground.request("GET", "/", &fields, b"")).await?;
            let input = format!("{count} {what} fields");
            match heard.first() {
                Some(reply) if reply.status < 300 && count < 10_000 => {
                    findings.tolerable(&input, "taken; most servers stop at 100 to 200");
                }
                _ => findings.refusal(&input, &heard),
            }
        }
    }
    Ok(findings)
}

async fn huge_field(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let long = "x".repeat(1_000_000);
    for (what, field) in [
        ("a value", format!("X-Long: {long}")),
        ("a name", format!("{long}: x")),
        ("Host", format!("Host: {long}")),
        ("Cookie", format!("Cookie: {}", "a=b; ".repeat(200_000))),
        ("Git-Protocol", format!("Git-Protocol: {}", "version=2:".repeat(100_000))),
        ("Accept", format!("Accept: {}", "application/nostr+json;q=0.1,".repeat(34_000))),
    ] {
        let heard = ground.ask(&ground.request("GET", "/", &[&field], b"")).await?;
        findings.refusal(&format!("1 MB in {what}"), &heard);
    }
    Ok(findings)
}

async fn endless(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    for (what, begin, piece) in [
        ("many fields", "GET / HTTP/1.1\r\nHost: x\r\n", "X-More: and more\r\n".repeat(PIECE / 18)),
        ("one field", "GET / HTTP/1.1\r\nHost: x\r\nX-Long: ", "x".repeat(PIECE)),
    ] {
        let mut wire = ground.wire().await?;
        let mut taken = wire.send_as(begin.as_bytes(), 1, Meanwhile::StopsAtAnAnswer).await?;
        let mut sent = 0;
        while taken && sent < ENDLESS {
            taken = wire.send_as(piece.as_bytes(), 1, Meanwhile::StopsAtAnAnswer).await?;
            sent += piece.len();
        }
        if taken {
            findings.weak(what, format!("all of {ENDLESS} bytes are taken without an answer"));
        } else {
            findings.refusal(what, &wire.answers(false).await);
        }
    }
    Ok(findings)
}

async fn no_http(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let tls_greeting = b"\x16\x03\x01\x00\xa5\x01\x00\x00\xa1\x03\x03";
    let inputs: Vec<(&str, Vec<u8>)> = vec![
        ("rubbish", b"rubbish\r\n\r\n".to_vec()),
        ("binary", (0..=255).cycle().take(2_000).chain(*b"\r\n\r\n").collect()),
        ("a TLS greeting", [&tls_greeting[..], &[7; 160], b"\r\n\r\n"].concat()),
        ("an HTTP/2 greeting", b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0".to_vec()),
        ("HTTP/0.9", b"GET /\r\n\r\n".to_vec()),
        ("HTTP/3.7", b"GET / HTTP/3.7\r\nHost: x\r\n\r\n".to_vec()),
        ("HTTP/1.99", b"GET / HTTP/1.99\r\nHost: x\r\n\r\n".to_vec()),
        ("another protocol", b"GET / ICY/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("no target", b"GET HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("two spaces", b"GET  / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_vec()),
        ("a space in the target", b"GET /a b HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        (
            "control bytes in the target",
            b"GET /\x01\x7f HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_vec(),
        ),
        ("a fragment", b"GET nowhere HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".to_vec()),
        ("a colon first", b": / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec()),
        ("pkt-lines", b"0032git-upload-pack /x.git\0host=x\0\r\n\r\n".to_vec()),
    ];
    for (input, bytes) in inputs {
        let heard = ground.ask(&bytes).await?;
        if heard.first().is_none() && heard.end.is_some() {
            // What is no HTTP need not be answered in HTTP.
            findings.robust("the connection is ended");
        } else {
            findings.refusal(input, &heard);
        }
    }
    Ok(findings)
}

async fn malformed(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    for (input, field) in [
        ("no colon", "no colon"),
        ("no name", ": value"),
        ("a space before the colon", "X-Space : value"),
        ("a tab in the name", "X\tTab: value"),
        ("a NUL in the value", "X-Nul: a\0b"),
        ("a control byte in the value", "X-Bell: a\x07b"),
        ("a bare CR in the value", "X-Cr: a\rX-Injected: yes"),
        ("a name that is no token", "X(1): value"),
        ("a space first", " X-Fold: value"),
    ] {
        // The field is the last one, so that a server which reads it as a continuation continues nothing that matters.
        let heard = ground.ask(&ground.request("GET", "/", &[field], b"")).await?;
        match heard.first() {
            // RFC 9112, 5.2: a fold may be replaced by spaces.
            Some(reply) if reply.status < 300 && field.starts_with(' ') => {
                findings.robust("a fold is joined")
            }
            _ => findings.refusal(input, &heard),
        }
    }
    for (input, field) in
        [("no value", "X-Empty:"), ("bytes beyond ASCII", "X-Latin: \u{fc}"), ("a tab", "X-Tab:\ta")]
    {
        let heard = ground.ask(&ground.request("GET", "/", &[field], b"")).await?;
        findings.answered(input, &heard);
    }
    Ok(findings)
}
