//! Mutants of G06/empty: paths that nothing was pushed to, and that are not answered as empty repositories.

use grasp_fixtures::faulty_proxy::{Answer, Lies};
use grasp_fixtures::keys;
use nostr::key::PublicKey;

use crate::lie::contributions::is_contribution;
use crate::lie::git::{empty_clone_is_an_error, empty_is_an_error};
use crate::lie::http::set_path;
use crate::mutant::{Mutant, proxy};

const ROW: &str = "G06/empty";

/// Answers 404 to paths below `/prs/` that hold this.
fn not_found(part: &'static str) -> impl Fn() -> Lies {
    move || {
        Lies::default().request(move |asked| {
            let picked = is_contribution(asked) && asked.uri.path().contains(part);
            picked.then(|| Answer::new(404, "text/plain", "no"))
        })
    }
}

/// Reads the segments of paths below `/prs/` in another way: key, identifier and the rest.
fn reads(change: fn(&mut Vec<String>)) -> impl Fn() -> Lies {
    move || {
        Lies::default().request(move |asked| {
            if is_contribution(asked) {
                let mut segments: Vec<String> = asked.uri.path().split('/').map(str::to_owned).collect();
                change(&mut segments);
                set_path(asked, &segments.join("/"));
            }
            None
        })
    }
}

pub(super) fn mutants() -> Vec<Mutant> {
    vec![
        proxy(
            "contributions-begin-as-errors-v0",
            ROW,
            "below /prs/, a repository that nothing was pushed to is an error in protocol v0",
            empty_is_an_error("0", is_contribution),
        ),
        proxy(
            "contributions-begin-as-errors-v2",
            ROW,
            "below /prs/, a clone of a repository that nothing was pushed to is an error in protocol v2",
            empty_clone_is_an_error(is_contribution),
        ),
        proxy(
            "contributions-without-spaces",
            ROW,
            "below /prs/, an identifier with spaces is not found",
            not_found("%20"),
        ),
        proxy(
            "contributions-without-emoji",
            ROW,
            "below /prs/, an identifier with an emoji is not found",
            not_found("%F0"),
        ),
        proxy(
            "contributions-without-two-dots",
            ROW,
            "below /prs/, any path with two dots is taken for a step up",
            not_found(".."),
        ),
        proxy(
            "contributors-by-hex",
            ROW,
            "below /prs/, a key may be hexadecimal",
            reads(|segments| {
                if let Ok(key) = PublicKey::from_hex(&segments[2]) {
                    segments[2] = keys::npub(&key);
                }
            }),
        ),
        proxy(
            "contributions-without-suffix",
            ROW,
            "below /prs/, `.git` may be left out",
            reads(|segments| {
                if segments.len() > 4 && !segments[3].ends_with(".git") && segments[4] == "info" {
                    segments[3].push_str(".git");
                }
            }),
        ),
        proxy(
            "contributions-in-folders",
            ROW,
            "below /prs/, folders between key and name are overlooked",
            reads(|segments| {
                while segments.len() > 4 && segments[4].ends_with(".git") {
                    segments.remove(3);
                }
            }),
        ),
        proxy(
            "contributions-by-last-part",
            ROW,
            "below /prs/, a slash in an identifier is overlooked with what stands before it",
            reads(|segments| {
                if let Some((_, last)) = segments.get(3).and_then(|name| name.split_once("%2F")) {
                    segments[3] = last.to_owned();
                }
            }),
        ),
    ]
}
