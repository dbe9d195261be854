//! Mutants of G01/git, one file per row of the catalogue.

mod serves;
mod wants;
mod web;

use crate::mutant::Mutant;

pub(crate) fn mutants() -> Vec<Mutant> {
    [serves::mutants(), wants::mutants(), web::mutants()].into_iter().flatten().collect()
}
