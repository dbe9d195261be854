//! Mutants of G01/relay, one file per row of the catalogue.

mod curation;
pub(crate) mod deletion;
mod nip01;
mod related;
mod repository_events;
mod unlisted;
mod unrelated;

use crate::mutant::Mutant;

pub(crate) fn mutants() -> Vec<Mutant> {
    [
        nip01::mutants(),
        repository_events::mutants(),
        unlisted::mutants(),
        related::mutants(),
        unrelated::mutants(),
        deletion::mutants(),
        curation::mutants(),
    ]
    .into_iter()
    .flatten()
    .collect()
}
