//! Mutants of G01/purgatory/expires. The checks wait; all of these wait at the same time.

use crate::mutant::{Mutant, fault};

const ROW: &str = "G01/purgatory/expires";

pub(super) fn mutants() -> Vec<Mutant> {
    vec![
        fault("nothing-expires", ROW).patient(),
        fault("clocks-never-restart", ROW).patient(),
        fault("expired-at-half-time", ROW).patient(),
        fault("expired-for-ever", ROW).patient(),
    ]
}
