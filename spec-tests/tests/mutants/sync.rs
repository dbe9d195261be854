//! Mutants of G02: servers that fetch from the auditor's peers, and go wrong in one thing. They are almost all faults of
//! the server: what it asks of others does not pass the proxy, which stands before it.

mod events;
mod git;
mod negentropy;
mod peers;

use crate::mutant::Mutant;

pub(crate) fn mutants() -> Vec<Mutant> {
    // those of peers wait longest, and begin first
    let all = [peers::mutants(), events::mutants(), git::mutants(), negentropy::mutants()];
    all.into_iter().flatten().map(Mutant::syncing).collect()
}
