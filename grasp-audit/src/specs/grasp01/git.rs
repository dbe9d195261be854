//! G01/git: git over smart HTTP, one file per row of the catalogue (two rows have a second one).

mod aligned;
mod bytes;
mod maintainers;
mod nostr_refs;
mod paths;
mod refused;
mod release;
mod serves;
mod wants;
mod web;

use crate::check::Check;

/// The checks of this section.
#[must_use]
pub fn checks() -> Vec<Check> {
    [
        serves::checks(),
        paths::checks(),
        aligned::checks(),
        maintainers::checks(),
        refused::checks(),
        bytes::checks(),
        release::checks(),
        nostr_refs::checks(),
        wants::checks(),
        web::checks(),
    ]
    .concat()
}
