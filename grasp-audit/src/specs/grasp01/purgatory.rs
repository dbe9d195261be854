//! G01/purgatory: events that wait, unserved, for the git data they name. One file per row of the catalogue.

mod complete;
mod expires;
mod released;
mod unserved;
mod waiting;
mod withdrawn;

use crate::check::Check;

/// The checks of this section.
#[must_use]
pub fn checks() -> Vec<Check> {
    [unserved::checks(), released::checks(), complete::checks(), withdrawn::checks(), expires::checks()]
        .concat()
}
