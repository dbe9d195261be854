//! Mutants of G01/git/release: what is late, forgotten or goes too far when a push has succeeded.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use grasp_fixtures::faulty_proxy::Lies;

use crate::lie::git::{edit_lines, identifier, is_post};
use crate::lie::http::is_git;
use crate::lie::relay::{found_late, is_kind};
use crate::lie::shadow::{Forgets, STORED, Shows, shadow};
use crate::mutant::{Mutant, fault, proxy};

const ROW: &str = "G01/git/release";

/// Why announcements fail elsewhere.
const ASKS: &str = "it asks for the announcement when the push has returned";
/// Why HEAD fails elsewhere.
const HEAD: &str = "HEAD is part of what it looks at";
/// Why states of retired repositories fail elsewhere.
const RETIRED: &str = "the state of a retired repository is to be gone";
/// Why repositories of other owners fail elsewhere.
const SIBLINGS: &str = "another owner's repository has the same identifier";

pub(super) fn mutants() -> Vec<Mutant> {
    vec![
        proxy(
            "announcements-found-late",
            ROW,
            "the first question by its id does not find a released announcement",
            found_late(|event| is_kind(event, 30_617)),
        )
        .affects("G01/git/push-aligned/*", ASKS)
        .affects("G01/purgatory/released/announcement-req", ASKS)
        .affects("G01/purgatory/withdrawn/*", ASKS)
        .affects("G01/relay/rejects-unlisted/*", "a co-maintainer's announcement is to be served at once"),
        proxy(
            "replaced-states-served",
            ROW,
            "a state is still served when a newer one is",
            shadow(|_| false, Shows { seen: |event| is_kind(event, 30_618), ..STORED }, Forgets::Deleted),
        )
        .affects("G01/relay/rejects-unlisted/retires", RETIRED)
        .affects("G01/relay/deletion/announcement-by-*", RETIRED),
        fault("heads-forgotten", ROW).affects("G01/purgatory/nothing-to-wait-for/*", HEAD),
        fault("bare-heads-unread", ROW),
        fault("unlisted-heads-followed", ROW),
        proxy(
            "siblings-not-aligned",
            ROW,
            "a push aligns the repository that it goes to, and no other",
            || {
                let pushed: Arc<Mutex<BTreeMap<String, BTreeSet<String>>>> = Arc::default();
                let known = pushed.clone();
                Lies::default()
                    .request(move |asked| {
                        if is_post(asked, "git-receive-pack") {
                            let owner = asked.uri.path().split('/').nth(1).unwrap_or_default().to_owned();
                            pushed.lock().unwrap().entry(identifier(asked)).or_default().insert(owner);
                        }
                        None
                    })
                    .body(
                        |asked, head| is_git(head) && is_post(asked, "git-upload-pack"),
                        move |asked, _, body| {
                            let owner = asked.uri.path().split('/').nth(1).unwrap_or_default();
                            let known = known.lock().unwrap();
                            let hidden =
                                known.get(&identifier(asked)).is_some_and(|owners| !owners.contains(owner));
                            edit_lines(body, |line| {
                                let listed = line
                                    .split(' ')
                                    .nth(1)
                                    .is_some_and(|name| name.starts_with("refs/heads/"));
                                (!hidden || !listed).then(|| line.to_owned())
                            })
                        },
                    )
            },
        )
        .affects("G01/purgatory/nothing-to-wait-for/*", SIBLINGS),
        fault("siblings-forgotten", ROW).affects("G01/purgatory/*", SIBLINGS).affects("G01/git/*", SIBLINGS),
        fault("siblings-always-aligned", ROW)
            .affects("G01/purgatory/released/*-data-first", SIBLINGS)
            .affects("G01/git/serves/same-identifier", SIBLINGS)
            .affects("G01/git/nostr-refs/every-named-owner*", SIBLINGS),
        fault("siblings-take-the-last", ROW),
    ]
}
