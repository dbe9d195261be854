//! Mutants of G02/git: git data that is fetched late, from too few hosts, or not at all.

use crate::mutant::{Mutant, fault};

const STATE: &str = "G02/git/state";
const PR: &str = "G02/git/pr";

pub(super) fn mutants() -> Vec<Mutant> {
    vec![
        fault("git-data-fetched-late", STATE),
        fault("waiting-repositories-left-alone", STATE),
        fault("failed-fetches-never-again", STATE),
        fault("first-host-only", STATE),
        fault("parts-forgotten", STATE),
        fault("tags-not-fetched", STATE),
        fault("busy-hosts-not-spared", STATE).patient(),
        fault("announced-clones-ignored", PR),
        fault("own-clones-ignored", PR),
        fault("updates-not-fetched", PR),
    ]
}
