//! Mutants of G01/git, one file per row of the catalogue.

mod aligned;
mod nostr_refs;
mod refused;
mod release;
mod serves;
mod wants;
mod web;

use crate::mutant::Mutant;

pub(crate) fn mutants() -> Vec<Mutant> {
    [
        serves::mutants(),
        aligned::mutants(),
        refused::mutants(),
        release::mutants(),
        nostr_refs::mutants(),
        wants::mutants(),
        web::mutants(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
