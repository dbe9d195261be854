//! Mutants of G01/git/nostr-refs.

use crate::mutant::{Mutant, fault};

const ROW: &str = "G01/git/nostr-refs";

/// Why pull requests whose data comes first fail elsewhere.
const DATA_FIRST: &str = "its data is pushed first";

pub(super) fn mutants() -> Vec<Mutant> {
    vec![
        fault("nostr-refs-after-the-event", ROW)
            .affects("G01/relay/accepts-related/*", DATA_FIRST)
            .affects("G01/relay/deletion/pr", DATA_FIRST)
            .affects("G01/purgatory/released/pull-request-data-first", DATA_FIRST)
            .affects("G01/purgatory/nothing-to-wait-for/unsigned-data", DATA_FIRST),
        fault("nostr-refs-before-the-event", ROW)
            .affects("G01/purgatory/released/pull-request-*", "its data comes last")
            .affects("G01/purgatory/ok-message/update", "it releases a pull request first"),
        fault("other-tips-taken", ROW),
        fault("other-tips-stay", ROW),
        fault("foreign-pull-requests-taken", ROW),
        fault("nostr-refs-deletable", ROW),
        fault("nostr-names-unchecked", ROW),
        fault("first-owner-only", ROW),
        fault("first-identifier-only", ROW),
        fault("states-drop-nostr-refs", ROW),
        fault("unsigned-uploads-stay", ROW).patient(),
    ]
}
