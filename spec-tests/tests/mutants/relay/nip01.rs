//! Mutants of G01/relay/nip01.

mod events;
mod extensions;
mod malformed;
mod replaceable;
mod requests;
mod subscriptions;

use crate::mutant::Mutant;

const ROW: &str = "G01/relay/nip01";

pub(super) fn mutants() -> Vec<Mutant> {
    [
        events::mutants(),
        requests::mutants(),
        subscriptions::mutants(),
        replaceable::mutants(),
        malformed::mutants(),
        extensions::mutants(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
