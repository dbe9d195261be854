//! Mutants of G01/git/serves.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use grasp_fixtures::faulty_proxy::{Answer, Asked, Fate, Heard, Lies, Side};
use grasp_fixtures::pkt_line::line;
use hyper::Method;
use hyper::header::{CONTENT_ENCODING, TRANSFER_ENCODING};

use crate::lie::git::{
    Remembered, advertisement, empty_clone_is_an_error, empty_is_an_error, fetch_request, identifier,
    is_info_refs, is_post, version, without,
};
use crate::lie::http::set_path;
use crate::lie::relay::{is_kind, tag};
use crate::mutant::{Mutant, proxy};

const ROW: &str = "G01/git/serves";

/// Why a push of more than the client's buffer fails.
const BIG: &str = "git sends it for every push that is larger than its buffer";
/// Why an announcement with such an identifier fails.
const IDENTIFIER: &str = "the check asks for the repository's path";

/// Why what is only announced fails.
const ANNOUNCED: &str = "it asks for the path of what is announced and has no state";

/// Hides repositories from those who ask for this service until a state of the identifier has been published.
fn hidden_before_a_state(service: &'static str) -> impl Fn() -> Lies {
    move || {
        let stated = Remembered::default();
        let heard_of = stated.clone();
        Lies::default()
            .request(move |asked| {
                let asks = asked.method != Method::OPTIONS && is_info_refs(asked, service);
                let early = asks && !stated.has(&identifier(asked));
                if early { status(404) } else { None }
            })
            .relay(move || {
                let heard_of = heard_of.clone();
                move |message: &Heard| {
                    let event = &message.json[1];
                    if message.verb_of(Side::Client) == "EVENT" && is_kind(event, 30_618) {
                        heard_of.note(tag(event, "d"));
                    }
                    Fate::Pass
                }
            })
    }
}

/// An answer that says nothing more than its status.
fn status(status: u16) -> Option<Answer> {
    Some(Answer::new(status, "text/plain", "no"))
}

/// Asks for another path than the client did.
fn path(change: fn(&str) -> String) -> impl Fn() -> Lies {
    move || {
        Lies::default().request(move |asked| {
            let changed = change(asked.uri.path());
            set_path(asked, &changed);
            None
        })
    }
}

/// Answers a request that `which` picks in the server's place.
fn instead(which: fn(&Asked) -> bool, code: u16) -> impl Fn() -> Lies {
    move || Lies::default().request(move |asked| if which(asked) { status(code) } else { None })
}

pub(crate) fn mutants() -> Vec<Mutant> {
    [requests(), protocols(), shallow(), paths()].into_iter().flatten().collect()
}

fn requests() -> Vec<Mutant> {
    vec![
        proxy(
            "no-pushes-before-a-state",
            ROW,
            "those who push see a 404 until a state has been published",
            hidden_before_a_state("git-receive-pack"),
        )
        .affects("G01/git/push-unauthorised/no-state", "it pushes without a state to see the reason"),
        proxy(
            "no-fetches-before-a-state",
            ROW,
            "those who fetch see a 404 until a state has been published",
            hidden_before_a_state("git-upload-pack"),
        )
        .affects("G01/relay/*", ANNOUNCED)
        .affects("G01/git/wants/advertised-when-empty", ANNOUNCED)
        .affects("G01/cors/origin/info-refs", ANNOUNCED)
        .affects("G01/cors/methods/info-refs", ANNOUNCED)
        .affects("G01/cors/headers/info-refs", ANNOUNCED),
        proxy(
            "head-not-allowed",
            ROW,
            "HEAD is not allowed on info/refs",
            instead(|asked| asked.method == Method::HEAD, 405),
        ),
        proxy("probe-refused", ROW, "the POST of `0000` is answered 400", || {
            Lies::default().request_body(
                |asked| is_post(asked, "git-receive-pack"),
                |_, body| match body {
                    b"0000" => Err(Answer::new(400, "text/plain", "no commands")),
                    _ => Ok(body.to_vec()),
                },
            )
        })
        .affects("G01/git/push-aligned/big", BIG),
        proxy("probe-reported", ROW, "the POST of `0000` is answered with a report", || {
            Lies::default().request_body(
                |asked| is_post(asked, "git-receive-pack"),
                |_, body| match body {
                    b"0000" => {
                        let report = [&line("unpack ok\n")[..], b"0000"].concat();
                        Err(Answer::new(200, "application/x-git-receive-pack-result", report))
                    }
                    _ => Ok(body.to_vec()),
                },
            )
        }),
        proxy("gzip-not-read", ROW, "bodies with Content-Encoding gzip are read as they are", || {
            Lies::default().request(|asked| {
                asked.headers.remove(CONTENT_ENCODING);
                None
            })
        }),
        proxy(
            "length-required",
            ROW,
            "a chunked body is answered 411",
            instead(|asked| asked.headers.contains_key(TRANSFER_ENCODING), 411),
        )
        .affects("G01/git/push-aligned/big", BIG),
        proxy(
            "unknown-post-200",
            ROW,
            "a POST to a repository that nobody announced is answered 200",
            || {
                Lies::default().head(|asked, head| {
                    if is_post(asked, "git-upload-pack") && head.status == 404 {
                        head.status = hyper::StatusCode::OK;
                    }
                })
            },
        ),
    ]
}

fn protocols() -> Vec<Mutant> {
    vec![
        proxy("v1-answered-as-v0", ROW, "who asks for protocol v1 is answered in v0", || {
            Lies::default().request(|asked| {
                if version(asked) == "1" {
                    asked.headers.remove("git-protocol");
                }
                None
            })
        }),
        proxy(
            "empty-error-v0",
            ROW,
            "an empty repository is an error in protocol v0",
            empty_is_an_error("0", |_| true),
        )
        .affects("G01/git/wants/advertised-when-empty", "it reads the same advertisement"),
        proxy(
            "empty-error-v1",
            ROW,
            "an empty repository is an error in protocol v1",
            empty_is_an_error("1", |_| true),
        )
        .affects("G01/git/wants/advertised-when-empty", "it reads the same advertisement"),
        proxy(
            "empty-error-v2",
            ROW,
            "a clone of an empty repository is an error in protocol v2",
            empty_clone_is_an_error(|_| true),
        ),
        proxy(
            "v0-without-tags",
            ROW,
            "protocol v0 advertises no tags",
            advertisement(|asked| version(asked) == "0", no_tags),
        ),
        proxy(
            "v1-without-tags",
            ROW,
            "protocol v1 advertises no tags",
            advertisement(|asked| version(asked) == "1", no_tags),
        ),
        proxy(
            "v2-prefixes-without-tags",
            ROW,
            "ls-refs with prefixes leaves out tags",
            fetch_request(
                |_| true,
                |line| {
                    let narrow =
                        line.starts_with("ref-prefix refs/") && !line.starts_with("ref-prefix refs/heads/");
                    Some(if narrow { "ref-prefix refs/heads/".to_owned() } else { line.to_owned() })
                },
            ),
        ),
    ]
}

fn no_tags(line: &str) -> Option<String> {
    (!line.contains(" refs/tags/")).then(|| line.to_owned())
}

fn shallow() -> Vec<Mutant> {
    vec![
        proxy(
            "v0-without-shallow",
            ROW,
            "protocol v0 does not offer shallow clones",
            advertisement(|asked| version(asked) == "0", |line| Some(without(line, "shallow"))),
        ),
        proxy(
            "v2-depth-ignored",
            ROW,
            "protocol v2 offers shallow clones and sends everything",
            fetch_request(
                |asked| version(asked) == "2",
                |line| (line != "deepen 1").then(|| line.to_owned()),
            ),
        ),
        proxy(
            "unshallow-ignored",
            ROW,
            "a shallow clone never becomes whole",
            fetch_request(|_| true, |line| (!line.starts_with("deepen 2147483647")).then(|| line.to_owned())),
        ),
    ]
}

fn paths() -> Vec<Mutant> {
    vec![
        proxy(
            "escapes-in-capitals-only",
            ROW,
            "`%c3` is not `%C3`",
            instead(|asked| has_escape(asked.uri.path(), |digit| digit.is_ascii_lowercase()), 404),
        ),
        proxy(
            "plus-is-space",
            ROW,
            "a plus in a path means a space",
            path(|path| path.replace("%2B", "%20")),
        )
        .affects("G01/relay/accepts-repository-events/identifier-punctuation", IDENTIFIER),
        proxy("decoded-twice", ROW, "paths are decoded twice", path(|path| path.replace("%25", "%")))
            .affects("G01/relay/accepts-repository-events/identifier-punctuation", IDENTIFIER),
        proxy(
            "spaces-collapsed",
            ROW,
            "two spaces in a path are one",
            path(|path| path.replace("%20%20", "%20")),
        ),
        proxy(
            "ascii-only",
            ROW,
            "names outside ASCII are not found",
            instead(
                |asked| {
                    has_escape(asked.uri.path(), |digit| matches!(digit, '8'..='9' | 'a'..='f' | 'A'..='F'))
                },
                404,
            ),
        )
        .affects("G01/relay/accepts-repository-events/identifier-emoji", IDENTIFIER)
        .affects("G01/relay/accepts-repository-events/identifier-script", IDENTIFIER),
        proxy("case-folded", ROW, "paths are read in small letters", path(str::to_ascii_lowercase))
            .affects("G01/relay/accepts-repository-events/identifier-case", IDENTIFIER),
        proxy(
            "suffix-trimmed",
            ROW,
            "`.git` at the end of an identifier is taken for the suffix",
            path(|path| path.replace(".git.git", ".git")),
        ),
        proxy(
            "slashes-decoded-first",
            ROW,
            "a path is decoded before it is split, and `..` goes up",
            path(resolved),
        ),
        proxy("owners-ignored", ROW, "fetches find a repository by its identifier alone", || {
            let owners: Arc<Mutex<BTreeMap<String, String>>> = Arc::default();
            Lies::default().request(move |asked| {
                let path = asked.uri.path().to_owned();
                let mut segments: Vec<&str> = path.split('/').collect();
                if segments.len() > 2 && segments[1].starts_with("npub1") {
                    let mut owners = owners.lock().unwrap();
                    let first =
                        owners.entry(segments[2].to_owned()).or_insert_with(|| segments[1].to_owned());
                    if is_post(asked, "git-upload-pack") {
                        segments[1] = first;
                        set_path(asked, &segments.join("/"));
                    }
                }
                None
            })
        }),
    ]
}

/// Whether an escape of the path has such a first digit.
fn has_escape(path: &str, digit: fn(char) -> bool) -> bool {
    path.split('%').skip(1).any(|escape| escape.chars().next().is_some_and(digit))
}

/// What a file system makes of a path whose slashes are decoded.
fn resolved(path: &str) -> String {
    if !path.to_ascii_lowercase().contains("%2f") {
        return path.to_owned();
    }
    let decoded = path.replace("%2f", "/").replace("%2F", "/").replace("%2e", ".");
    let mut segments: Vec<&str> = Vec::new();
    for segment in decoded.split('/') {
        match segment {
            "" | "." => {}
            ".." => drop(segments.pop()),
            name => segments.push(name),
        }
    }
    format!("/{}", segments.join("/"))
}
