//! Mutants of G06/clean: a contributor's repository that has lost its last ref.

use grasp_fixtures::faulty_proxy::Lies;
use hyper::StatusCode;

use crate::lie::contributions::is_contribution;
use crate::lie::git::{Remembered, is_listing, is_post};
use crate::lie::http::is_git;
use crate::mutant::{Mutant, fault, proxy};

const ROW: &str = "G06/clean";

pub(super) fn mutants() -> Vec<Mutant> {
    vec![
        fault("contributed-refs-stay", ROW),
        proxy(
            "emptied-contributions-gone",
            ROW,
            "a contributor's repository that has lost its last ref is 404 for ever",
            || {
                let filled = Remembered::default();
                Lies::default().body(
                    |asked, head| is_git(head) && is_contribution(asked) && is_post(asked, "git-upload-pack"),
                    move |asked, head, body| {
                        let refs = String::from_utf8_lossy(body).contains(" refs/nostr/");
                        if is_listing(body) && refs {
                            filled.note(asked.uri.path());
                        } else if is_listing(body) && filled.has(asked.uri.path()) {
                            head.status = StatusCode::NOT_FOUND;
                        }
                        body.to_vec()
                    },
                )
            },
        ),
    ]
}
