//! Lies about git: which request is which, and pkt-lines that change.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use grasp_fixtures::faulty_proxy::{Answer, Asked, Head, Lies};
use grasp_fixtures::pkt_line::{self, Packet, edit};
use hyper::Method;
use percent_encoding::percent_decode_str;

use super::http::{field, is_git};

/// Something that a lie remembers, for all connections of its proxy.
#[derive(Debug, Clone, Default)]
pub(crate) struct Remembered(Arc<Mutex<BTreeSet<String>>>);

impl Remembered {
    pub(crate) fn note(&self, text: impl Into<String>) {
        self.0.lock().unwrap().insert(text.into());
    }

    pub(crate) fn has(&self, text: &str) -> bool {
        self.0.lock().unwrap().contains(text)
    }
}

/// The version of git's protocol that is asked for.
pub(crate) fn version(asked: &Asked) -> &str {
    match field(&asked.headers, "git-protocol") {
        "version=1" => "1",
        "version=2" => "2",
        _ => "0",
    }
}

/// The identifier in the path, decoded; also in that of a contributor's repository.
pub(crate) fn identifier(asked: &Asked) -> String {
    let path = asked.uri.path();
    let name = path.strip_prefix("/prs").unwrap_or(path).split('/').nth(2).unwrap_or_default();
    percent_decode_str(name.strip_suffix(".git").unwrap_or(name)).decode_utf8_lossy().into_owned()
}

/// `GET …/info/refs` for a service.
pub(crate) fn is_info_refs(asked: &Asked, service: &str) -> bool {
    asked.uri.path().ends_with("/info/refs") && asked.uri.query() == Some(&format!("service={service}"))
}

/// A POST to a service.
pub(crate) fn is_post(asked: &Asked, service: &str) -> bool {
    asked.method == Method::POST && asked.uri.path().ends_with(&format!("/{service}"))
}

/// The advertisement for those who fetch, in v0 or v1, line by line.
pub(crate) fn advertisement(
    which: fn(&Asked) -> bool,
    change: fn(&str) -> Option<String>,
) -> impl Fn() -> Lies + Send + Sync {
    move || {
        let picked = move |asked: &Asked, head: &Head| {
            is_git(head) && is_info_refs(asked, "git-upload-pack") && which(asked)
        };
        Lies::default().body(picked, move |_, _, body| edit_lines(body, change))
    }
}

/// What is sent to `git-upload-pack`, line by line.
pub(crate) fn fetch_request(
    which: fn(&Asked) -> bool,
    change: fn(&str) -> Option<String>,
) -> impl Fn() -> Lies + Send + Sync {
    move || {
        let picked = move |asked: &Asked| is_post(asked, "git-upload-pack") && which(asked);
        Lies::default().request_body(picked, move |_, body| Ok(edit_lines(body, change)))
    }
}

/// Changes the lines of a body, their line feeds left out; `None` leaves one out.
pub(crate) fn edit_lines(body: &[u8], change: impl Fn(&str) -> Option<String>) -> Vec<u8> {
    edit(body, |packet| match &packet {
        Packet::Data(payload) => {
            let Ok(text) = std::str::from_utf8(payload) else { return Some(packet) };
            let (line, feed) = text.strip_suffix('\n').map_or((text, ""), |line| (line, "\n"));
            change(line).map(|line| Packet::Data(format!("{line}{feed}").into_bytes()))
        }
        _ => Some(packet),
    })
}

/// Leaves a word out of a list of capabilities.
pub(crate) fn without(line: &str, word: &str) -> String {
    match line.split_once('\0') {
        Some((named, capabilities)) => format!("{named}\0{}", leave_out(capabilities, word)),
        None => leave_out(line, word),
    }
}

fn leave_out(list: &str, word: &str) -> String {
    list.split(' ').filter(|listed| *listed != word).collect::<Vec<_>>().join(" ")
}

/// Whether a body has a line that begins so.
pub(crate) fn has_line(body: &[u8], beginning: &str) -> bool {
    pkt_line::decode(body).unwrap_or_default().iter().any(|packet| packet.text().starts_with(beginning))
}

/// Whether an answer to `git-upload-pack` is a list of refs.
pub(crate) fn is_listing(body: &[u8]) -> bool {
    let names_an_object = |packet: &Packet| {
        let text = packet.text();
        let first = text.split(' ').next().unwrap_or_default();
        first == "unborn" || first.len() == 40 && first.bytes().all(|digit| digit.is_ascii_hexdigit())
    };
    let listed = |packet: &Packet| *packet == Packet::Flush || names_an_object(packet);
    pkt_line::decode(body).is_ok_and(|packets| packets.iter().all(listed))
}

/// git's own way to say no inside the protocol.
pub(crate) fn refusal(service: &str, reason: &str) -> Answer {
    let content_type = match service {
        "git-upload-pack" => "application/x-git-upload-pack-result",
        _ => "application/x-git-receive-pack-result",
    };
    Answer::new(200, content_type, pkt_line::line(&format!("ERR {reason}")))
}

/// Says that an empty repository, when `which` picks it, cannot be read in this old version of the protocol.
pub(crate) fn empty_is_an_error(old: &'static str, which: fn(&Asked) -> bool) -> impl Fn() -> Lies {
    move || {
        let picked = move |asked: &Asked, head: &Head| {
            is_git(head) && is_info_refs(asked, "git-upload-pack") && version(asked) == old && which(asked)
        };
        Lies::default().body(picked, |_, _, body| {
            let empty = String::from_utf8_lossy(body).contains("capabilities^{}");
            if empty { pkt_line::line("ERR the repository is empty") } else { body.to_vec() }
        })
    }
}

/// Says that a repository that nobody has pushed to, when `which` picks it, cannot be cloned in protocol v2.
pub(crate) fn empty_clone_is_an_error(which: fn(&Asked) -> bool) -> impl Fn() -> Lies {
    move || {
        let pushed = Remembered::default();
        Lies::default().request_body(
            move |asked| {
                which(asked) && (is_post(asked, "git-upload-pack") || is_post(asked, "git-receive-pack"))
            },
            move |asked, body| {
                if is_post(asked, "git-receive-pack") {
                    pushed.note(identifier(asked));
                } else if has_line(body, "ref-prefix HEAD") && !pushed.has(&identifier(asked)) {
                    return Err(refusal("git-upload-pack", "the repository is empty"));
                }
                Ok(body.to_vec())
            },
        )
    }
}
