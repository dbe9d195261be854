//! Mutants of G01/git/wants.

use grasp_fixtures::faulty_proxy::{Asked, Lies};
use grasp_fixtures::pkt_line::{Packet, decode, encode};

use crate::lie::git::{
    Remembered, advertisement, fetch_request, has_line, is_post, refusal, version, without,
};
use crate::lie::http::is_git;
use crate::mutant::{Mutant, proxy};

const ROW: &str = "G01/git/wants";

/// A pack without objects, behind the byte of its side-band.
const EMPTY_PACK: &[u8] =
    b"\x01PACK\0\0\0\x02\0\0\0\0\x02\x9d\x08\x82\x3b\xd8\xa8\xea\xb5\x10\xad\x6a\xc7\x5c\x82\x3c\xfd\x3e\xd3\x1e";

fn old(asked: &Asked) -> bool {
    version(asked) != "2"
}

/// Serves wants of what has been listed as the value of a ref, and no other.
fn tips_only(which: &'static str) -> impl Fn() -> Lies {
    move || {
        let tips = Remembered::default();
        let listed = tips.clone();
        Lies::default()
            .body(
                |_, head| is_git(head),
                move |_, _, body| {
                    for packet in decode(body).unwrap_or_default() {
                        let text = packet.text();
                        let oid = text.split(' ').next().unwrap_or_default();
                        if oid.len() == 40 {
                            listed.note(oid);
                        }
                    }
                    body.to_vec()
                },
            )
            .request_body(
                move |asked| is_post(asked, "git-upload-pack") && version(asked) == which,
                move |_, body| {
                    let lines = decode(body).unwrap_or_default();
                    let wants = lines.iter().map(Packet::text);
                    let wants =
                        wants.filter_map(|line| Some(line.strip_prefix("want ")?.get(..40)?.to_owned()));
                    match wants.into_iter().find(|wanted| !tips.has(wanted)) {
                        Some(wanted) => {
                            Err(refusal("git-upload-pack", &format!("upload-pack: not our ref {wanted}")))
                        }
                        None => Ok(body.to_vec()),
                    }
                },
            )
    }
}

pub(crate) fn mutants() -> Vec<Mutant> {
    vec![
        proxy(
            "v0-without-reachable-wants",
            ROW,
            "the v0 and v1 advertisements lack allow-reachable-sha1-in-want",
            advertisement(old, |line| Some(without(line, "allow-reachable-sha1-in-want"))),
        ),
        proxy(
            "v1-without-tip-wants",
            ROW,
            "the v1 advertisement lacks allow-tip-sha1-in-want",
            advertisement(
                |asked| version(asked) == "1",
                |line| Some(without(line, "allow-tip-sha1-in-want")),
            ),
        ),
        proxy(
            "empty-without-filter",
            ROW,
            "the advertisement of an empty repository lacks filter",
            advertisement(old, |line| {
                Some(if line.contains("capabilities^{}") { without(line, "filter") } else { line.to_owned() })
            }),
        ),
        proxy("v0-without-filter", ROW, "protocols v0 and v1 offer no filter where there is something", {
            advertisement(old, |line| {
                Some(if line.contains("capabilities^{}") { line.to_owned() } else { without(line, "filter") })
            })
        }),
        proxy(
            "v2-without-filter",
            ROW,
            "protocol v2 offers fetch without filter",
            advertisement(|asked| version(asked) == "2", |line| Some(without(line, "filter"))),
        ),
        proxy("v2-tips-only", ROW, "protocol v2 serves wants of refs' values only", tips_only("2")),
        proxy("v0-tips-only", ROW, "protocol v0 serves wants of refs' values only", tips_only("0")),
        proxy(
            "tree-filter-keeps-trees",
            ROW,
            "the filter tree:0 leaves out files alone",
            fetch_request(|_| true, |line| Some(line.replace("filter tree:0", "filter blob:none"))),
        ),
        proxy(
            "blob-filter-ignored",
            ROW,
            "the filter blob:none is offered and leaves nothing out",
            fetch_request(|_| true, |line| (line != "filter blob:none").then(|| line.to_owned())),
        ),
        proxy(
            "unknown-want-empty-pack",
            ROW,
            "a want of what is not here is answered with an empty pack",
            || {
                Lies::default().body(
                    |asked, head| is_git(head) && is_post(asked, "git-upload-pack"),
                    |_, _, body| {
                        if !has_line(body, "ERR upload-pack: not our ref") {
                            return body.to_vec();
                        }
                        let pack = Packet::Data(EMPTY_PACK.to_vec());
                        encode(&[Packet::Data(b"packfile\n".to_vec()), pack, Packet::Flush])
                    },
                )
            },
        ),
    ]
}
