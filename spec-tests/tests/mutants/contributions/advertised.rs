//! Mutants of G06/advertised: servers that have what they do not list, and list what they do not have.

use grasp_fixtures::faulty_proxy::{Asked, Head, Lies};
use hyper::StatusCode;
use serde_json::{Value, json};

use super::SWITCH;
use crate::lie::contributions::is_contribution;
use crate::lie::git::{is_info_refs, is_post};
use crate::lie::http::nip11;
use crate::mutant::{Mutant, proxy};

const ROW: &str = "G06/advertised";

fn grasps(document: &mut Value, change: fn(&mut Vec<Value>)) {
    document["supported_grasps"].as_array_mut().into_iter().for_each(change);
}

fn unlisted() -> Lies {
    nip11(|document| grasps(document, |listed| listed.retain(|grasp| grasp != "GRASP-06")))
}

/// Answers those 404s below `/prs/` that `which` picks with another status.
fn instead_of_404(which: fn(&Asked) -> bool, status: StatusCode) -> impl Fn() -> Lies {
    move || {
        Lies::default().head(move |asked: &Asked, head: &mut Head| {
            if is_contribution(asked) && head.status == StatusCode::NOT_FOUND && which(asked) {
                head.status = status;
            }
        })
    }
}

pub(super) fn mutants() -> Vec<Mutant> {
    vec![
        proxy(
            "contributions-unlisted",
            ROW,
            "it has contributors' repositories and does not list GRASP-06",
            unlisted,
        )
        .with(SWITCH, true),
        proxy(
            "contributions-unlisted-for-readers",
            ROW,
            "it lists no GRASP-06, and those who fetch below /prs/ are answered",
            || {
                unlisted().head(|asked, head| {
                    let pushes =
                        is_info_refs(asked, "git-receive-pack") || is_post(asked, "git-receive-pack");
                    if is_contribution(asked) && pushes {
                        head.status = StatusCode::NOT_FOUND;
                    }
                })
            },
        )
        .with(SWITCH, true),
        proxy(
            "contributions-off-forbidden",
            ROW,
            "it has no contributors' repositories, and a push below /prs/ is answered 403",
            instead_of_404(|asked| is_post(asked, "git-receive-pack"), StatusCode::FORBIDDEN),
        ),
        proxy(
            "contributions-off-gone",
            ROW,
            "it has no contributors' repositories, and the refs of one are answered 410",
            instead_of_404(|asked| is_info_refs(asked, "git-upload-pack"), StatusCode::GONE),
        ),
        proxy(
            "contributions-listed-only",
            ROW,
            "it lists GRASP-06 and has no contributors' repositories",
            || nip11(|document| grasps(document, |listed| listed.push(json!("GRASP-06")))),
        )
        .affects("G06/*", "what it examines is not there"),
    ]
}
