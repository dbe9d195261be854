//! Mutants of G01/git/push-aligned: pushes that are refused although somebody has signed what they lead to, and states
//! that admit what they should not.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex};

use grasp_audit::target::receive_pack::NOTHING;
use grasp_fixtures::faulty_proxy::{Answer, Fate, Heard, Lies, Side};
use grasp_fixtures::pkt_line::decode;

use crate::lie::git::{Remembered, edit_lines, identifier, is_info_refs, is_post, refusal};
use crate::lie::http::is_git;
use crate::lie::relay::{all_tags, is_kind, tag};
use crate::lie::report::commands;
use crate::mutant::{Mutant, fault, proxy};

const ROW: &str = "G01/git/push-aligned";

/// Why pushes by a maintainer's state fail elsewhere.
const BY_MAINTAINERS: &str = "a maintainer's state is pushed";

/// Why states of several maintainers fail elsewhere.
const NOT_BUILT_ON: &str = "what each of the owners pushes is not built on what the other one has pushed";

/// Why states that came early fail elsewhere.
const OLDER: &str = "its state is older than an announcement";

pub(super) fn mutants() -> Vec<Mutant> {
    vec![
        fault("whole-states-only", ROW).affects("G01/git/release/*", "only what is new is pushed"),
        fault("refs-never-deleted", ROW),
        fault("fast-forwards-only", ROW)
            .affects("G01/git/release/sibling-one-way", NOT_BUILT_ON)
            .affects("G01/git/release/siblings-later", NOT_BUILT_ON),
        fault("folders-never-branches", ROW),
        fault("thin-packs-refused", ROW),
        fault("shallow-pushes-refused", ROW),
        fault("atomic-pushes-refused", ROW),
        fault("in-place-is-a-conflict", ROW),
        fault("newest-state-only", ROW),
        fault("older-states-admit", ROW),
        fault("owners-states-only", ROW)
            .affects("G01/relay/accepts-repository-events/chain-order", BY_MAINTAINERS)
            .affects("G01/relay/deletion/state-falls-back", BY_MAINTAINERS)
            .affects("G01/git/release/siblings-later", BY_MAINTAINERS),
        fault("states-before-announcements-ignored", ROW)
            .affects("G01/purgatory/withdrawn/replaced-announcement", OLDER)
            .affects("G01/git/release/sibling-keeps-newer", OLDER),
        proxy(
            "peeled-entries-block",
            ROW,
            "tags are refused when the state has a peeled entry beside one",
            refuses_tags_beside_peeled_entries,
        ),
        proxy(
            "pushers-told-of-nothing",
            ROW,
            "those who push to a repository with one branch, and have no new state, are told that it is empty",
            hides_the_only_branch,
        ),
        proxy("small-pushes-only", ROW, "a push of more than 100,000 bytes is answered 413", || {
            Lies::default().request_body(
                |asked| is_post(asked, "git-receive-pack"),
                |_, body| match body.len() {
                    0..100_000 => Ok(body.to_vec()),
                    _ => Err(Answer::new(413, "text/plain", "too much")),
                },
            )
        }),
    ]
}

fn refuses_tags_beside_peeled_entries() -> Lies {
    let peeled = Remembered::default();
    let stated = peeled.clone();
    Lies::default()
        .relay(move || {
            let stated = stated.clone();
            move |heard: &Heard| {
                let event = &heard.json[1];
                let names_peeled =
                    || all_tags(event).any(|tag| tag[0].as_str().is_some_and(|name| name.ends_with("^{}")));
                if heard.verb_of(Side::Client) == "EVENT" && is_kind(event, 30_618) && names_peeled() {
                    stated.note(tag(event, "d"));
                }
                Fate::Pass
            }
        })
        .request_body(
            |asked| is_post(asked, "git-receive-pack"),
            move |asked, body| {
                let tags = commands(body).iter().any(|command| command.name.starts_with("refs/tags/"));
                if tags && peeled.has(&identifier(asked)) {
                    return Err(refusal("git-receive-pack", "what is this `^{}`?"));
                }
                Ok(body.to_vec())
            },
        )
}

fn hides_the_only_branch() -> Lies {
    // identifiers whose newest state has been pushed
    let aligned: Arc<Mutex<BTreeSet<String>>> = Arc::default();
    let (stated, known) = (aligned.clone(), aligned.clone());
    Lies::default()
        .relay(move || {
            let stated = stated.clone();
            move |heard: &Heard| {
                let event = &heard.json[1];
                if heard.verb_of(Side::Client) == "EVENT" && is_kind(event, 30_618) {
                    stated.lock().unwrap().remove(tag(event, "d"));
                }
                Fate::Pass
            }
        })
        .request(move |asked| {
            if is_post(asked, "git-receive-pack") {
                aligned.lock().unwrap().insert(identifier(asked));
            }
            None
        })
        .body(
            |asked, head| is_git(head) && is_info_refs(asked, "git-receive-pack"),
            move |asked, _, body| {
                let packets = decode(body).unwrap_or_default();
                let refs = packets.iter().filter(|packet| packet.text().contains(" refs/")).count();
                if refs != 1 || !known.lock().unwrap().contains(&identifier(asked)) {
                    return body.to_vec();
                }
                edit_lines(body, |line| {
                    let capabilities =
                        line.split_once('\0').filter(|(named, _)| named.contains(" refs/heads/"));
                    Some(capabilities.map_or_else(
                        || line.to_owned(),
                        |(_, words)| format!("{NOTHING} capabilities^{{}}\0{words}"),
                    ))
                })
            },
        )
}
