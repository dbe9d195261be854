//! Mutants of G01/purgatory, one file per row of the catalogue.

mod complete;
mod expires;
mod released;
mod unserved;
mod withdrawn;

use crate::mutant::Mutant;

pub(crate) fn mutants() -> Vec<Mutant> {
    [unserved::mutants(), released::mutants(), complete::mutants(), withdrawn::mutants(), expires::mutants()]
        .into_iter()
        .flatten()
        .collect()
}
