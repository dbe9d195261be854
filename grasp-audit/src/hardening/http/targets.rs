//! Request targets and `Host`: other servers' names, endless URLs, and what must not come back in an answer.

use tokio::net::TcpListener;

use super::super::case::{Area, Case, Findings};
use super::super::ground::Ground;
use super::super::meter::Load;
use crate::check::{CheckResult, Ending};

/// A name that no answer may carry.
const EVIL: &str = "evil.example";
/// Markup that no page may carry as markup.
const MARKUP: &str = "<script>alert(1)</script>";
const MARKUP_ENCODED: &str = "%3Cscript%3Ealert(1)%3C/script%3E";
/// Lengths of URLs, in bytes.
const LENGTHS: [usize; 3] = [100_000, 300_000, 1_000_000];

pub(super) fn cases() -> Vec<Case> {
    vec![
        Case::new(
            Area::Http,
            "absolute-form",
            "targets in absolute and authority form, for this server, for others, and for a port of the auditor's machine; CONNECT",
            "connects to nobody, and answers for itself or with a refusal",
            Load::new(1, 20, 20_000),
            absolute_form,
        ),
        Case::new(
            Area::Http,
            "long-url",
            "paths and queries of 100 KB, 300 KB and 1 MB",
            "answers 414 or 431 without reading them to their end",
            Load::new(1, 20, 12_000_000),
            long_url,
        ),
        Case::new(
            Area::Http,
            "host-field",
            "no Host, two of them, and Hosts that are other names, paths and rubbish",
            "refuses what is malformed, and repeats no foreign name in a page, link or redirect",
            Load::new(1, 40, 40_000),
            host_field,
        ),
        Case::new(
            Area::Http,
            "header-injection",
            "encoded line breaks in paths, queries, Origin and Git-Protocol",
            "writes none of it into the head of its answer",
            Load::new(1, 40, 40_000),
            header_injection,
        ),
        Case::new(
            Area::Http,
            "markup-in-path",
            "markup in paths and queries, as a browser would send it",
            "escapes it wherever a page shows it",
            Load::new(1, 40, 40_000),
            markup,
        ),
        Case::new(
            Area::Http,
            "strange-methods",
            "TRACE with a secret in its head, methods that are unknown, long, lower-case or no token",
            "answers 405, 501 or 400, and never sends the request back",
            Load::new(1, 20, 200_000),
            methods,
        ),
    ]
}

async fn absolute_form(ground: Ground) -> CheckResult<Findings> {
    let cannot = |error: std::io::Error| Ending::CannotRun(error.to_string());
    let bait = TcpListener::bind("127.0.0.1:0").await.map_err(cannot)?;
    let port = bait.local_addr().map_err(cannot)?.port();
    let mut findings = Findings::new();
    let visited = tokio::spawn(async move { bait.accept().await.is_ok() });
    let own = ground.ctx.target.url.base();
    for target in [
        format!("http://127.0.0.1:{port}/"),
        format!("http://{EVIL}/"),
        format!("http://user:password@{EVIL}:80/"),
        format!("{own}/nowhere"),
        format!("//127.0.0.1:{port}/"),
        "file:///etc/passwd".to_owned(),
        "gopher://127.0.0.1/".to_owned(),
    ] {
        let heard = ground.ask(&ground.request("GET", &target, &[], b"")).await?;
        let input = format!("GET {target}");
        match heard.first() {
            Some(reply) if reply.text().contains("root:") => {
                findings.weak(&input, "shows a file of the server")
            }
            // RFC 9112, 3.2.2: absolute form is to be accepted; answering for oneself is right.
            _ => findings.answered(&input, &heard),
        }
    }
    for target in [format!("127.0.0.1:{port}"), "127.0.0.1:22".to_owned(), format!("{EVIL}:443")] {
        let heard = ground.ask(&ground.request("CONNECT", &target, &[], b"")).await?;
        findings.refusal(&format!("CONNECT {target}"), &heard);
    }
    if visited.is_finished() {
        findings.weak("a target with another address", "the server connects there: it is an open proxy");
    }
    visited.abort();
    Ok(findings)
}

async fn long_url(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    for length in LENGTHS {
        for (what, target) in [
            ("path of one segment", format!("/{}", "a".repeat(length))),
            ("path of many segments", format!("/{}", "a/".repeat(length / 2))),
            ("encoded path", format!("/{}", "%41".repeat(length / 3))),
            ("query", format!("/?{}", "a=b&".repeat(length / 4))),
        ] {
            let heard = ground.ask(&ground.request("GET", &target, &[], b"")).await?;
            findings.refusal(&format!("a {what} of {length} bytes"), &heard);
        }
    }
    Ok(findings)
}

async fn host_field(ground: Ground) -> CheckResult<Findings> {
    let (mut findings, own) = (Findings::new(), ground.authority());
    let page = match ground.victim() {
        Ok(victim) => victim.hosted.path.clone(),
        Err(_) => "/nowhere".to_owned(),
    };
    let request = |path: &str, hosts: &[&str]| {
        let hosts: String = hosts.iter().map(|host| format!("Host: {host}\r\n")).collect();
        format!("GET {path} HTTP/1.1\r\n{hosts}Accept: text/html\r\nConnection: close\r\n\r\n")
    };
    for path in ["/", page.as_str(), "/nowhere"] {
        for host in [EVIL, "evil.example/../x", "evil.example\"><script>", "user@evil.example"] {
            let heard = ground.ask(request(path, &[host]).as_bytes()).await?;
            let input = format!("{path} with Host: {host}");
            if String::from_utf8_lossy(&heard.bytes).contains(EVIL) {
                findings.weak(&input, "repeats the foreign name in its answer");
            } else {
                findings.answered(&input, &heard);
            }
        }
    }
    for (input, hosts) in [("no Host", &[][..]), ("two Hosts", &[own.as_str(), EVIL][..])] {
        let heard = ground.ask(request("/", hosts).as_bytes()).await?;
        match heard.first() {
            Some(reply) if reply.status < 300 => {
                findings.tolerable(input, "taken; RFC 9112 (3.2) asks for 400");
            }
            _ => findings.refusal(input, &heard),
        }
    }
    Ok(findings)
}

async fn header_injection(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    for breaks in ["%0d%0a", "%0a", "%0d", "%E5%98%8D%E5%98%8A", "%250d%250a"] {
        let injected = format!("{breaks}X-Injected:%20yes{breaks}");
        for target in [
            format!("/{injected}"),
            format!("/?next={injected}"),
            format!("/.well-known/nostr.json?name={injected}"),
            format!("/npub1x/x.git/info/refs?service={injected}"),
        ] {
            let heard = ground.ask(&ground.request("GET", &target, &[], b"")).await?;
            let injected = heard.first().is_some_and(|reply| !reply.field("x-injected").is_empty());
            if injected || heard.replies.len() > 1 {
                findings.weak(&target, "writes the injected line into the head of its answer");
            } else {
                findings.answered(&target, &heard);
            }
        }
    }
    for field in
        ["Origin: https://a.example%0d%0aX-Injected: yes", "Git-Protocol: version=2%0d%0aX-Injected: yes"]
    {
        let heard = ground.ask(&ground.request("OPTIONS", "/", &[field], b"")).await?;
        findings.answered(field, &heard);
    }
    Ok(findings)
}

async fn markup(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let npub = ground.victim().map_or_else(|_| "npub1x".to_owned(), |victim| victim.npub.clone());
    for markup in [MARKUP_ENCODED, MARKUP, "%22onload=alert(1)%20x=%22", "%253Cscript%253E"] {
        for target in [
            format!("/{markup}"),
            format!("/?q={markup}"),
            format!("/{npub}/{markup}.git"),
            format!("/{npub}/{markup}.git/info/refs?service=git-upload-pack"),
            format!("/.well-known/nostr.json?name={markup}"),
            format!("/npub1x/x.git/info/refs?service={markup}"),
        ] {
            let heard = ground.ask(&ground.request("GET", &target, &["Accept: text/html"], b"")).await?;
            let is_page = heard.first().is_some_and(|reply| {
                let kind = reply.field("content-type");
                (kind.contains("html") || kind.is_empty())
                    && (reply.text().contains(MARKUP) || reply.text().contains("\"onload=alert(1)"))
            });
            if is_page {
                findings.weak(&target, "the page repeats the markup as markup");
            } else {
                findings.answered(&target, &heard);
            }
        }
    }
    Ok(findings)
}

async fn methods(ground: Ground) -> CheckResult<Findings> {
    let mut findings = Findings::new();
    let secret = "X-Secret: do-not-repeat";
    let long = "X".repeat(50_000);
    for method in ["TRACE", "TRACK", "BREW", "get", "PROPFIND", "G\u{1}T", "GE T", "", long.as_str()] {
        let heard = ground.ask(&ground.request(method, "/", &[secret], b"")).await?;
        let input = if method.len() > 40 { "a method of 50,000 bytes" } else { method };
        if String::from_utf8_lossy(&heard.bytes).contains("do-not-repeat") {
            findings.weak(input, "sends the request's head back");
        } else {
            findings.refusal(input, &heard);
        }
    }
    Ok(findings)
}
