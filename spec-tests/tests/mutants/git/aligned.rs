//! Mutants of G01/git/push-aligned: pushes that are refused although somebody has signed what they lead to, and states
//! that admit what they should not.

use grasp_fixtures::faulty_proxy::{Answer, Lies};

use crate::lie::git::is_post;
use crate::mutant::{Mutant, fault, proxy};

const ROW: &str = "G01/git/push-aligned";

/// Why pushes by a maintainer's state fail elsewhere.
const BY_MAINTAINERS: &str = "a maintainer's state is pushed";

/// Why states that came early fail elsewhere.
const OLDER: &str = "its state is older than an announcement";

pub(super) fn mutants() -> Vec<Mutant> {
    vec![
        fault("whole-states-only", ROW).affects("G01/git/release/*", "only what is new is pushed"),
        fault("refs-never-deleted", ROW),
        fault("fast-forwards-only", ROW),
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
