//! Mutants of G06, one file per row of the catalogue.

mod advertised;
mod clean;
mod empty;
mod events;
mod mirror;
mod push;

use crate::mutant::Mutant;

/// The variable that switches contributors' repositories on.
pub(crate) const SWITCH: &str = "NGIT_GRASP06_ENABLE";

/// The mutants of the other sections examine a server without them.
pub(crate) fn mutants() -> Vec<Mutant> {
    let on = [empty::mutants(), push::mutants(), events::mutants(), mirror::mutants(), clean::mutants()]
        .into_iter();
    advertised::mutants().into_iter().chain(on.flatten().map(|mutant| mutant.with(SWITCH, true))).collect()
}
