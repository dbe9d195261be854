//! Mutants of G01/purgatory/nothing-to-wait-for: waiting in vain, and data that should not count.

use crate::mutant::{Mutant, fault};

const ROW: &str = "G01/purgatory/nothing-to-wait-for";

/// Why what comes after its data fails elsewhere.
const DATA_FIRST: &str = "its data comes first";

pub(super) fn mutants() -> Vec<Mutant> {
    vec![
        fault("states-always-wait", ROW).affects("G01/purgatory/released/*-data-first", DATA_FIRST),
        fault("removals-wait", ROW),
        fault("heads-wait", ROW),
        fault("announcements-always-wait", ROW),
        fault("pull-requests-always-wait", ROW)
            .affects("G01/purgatory/released/pull-request-data-first", DATA_FIRST)
            .affects("G01/git/nostr-refs/*", DATA_FIRST)
            .affects("G01/relay/accepts-related/*", DATA_FIRST)
            .affects("G01/relay/deletion/pr", DATA_FIRST),
        fault("refused-objects-kept", ROW)
            .affects("G01/git/push-unauthorised/other-commit", "it looks for what was refused"),
        fault("unsigned-objects-kept", ROW),
    ]
}
