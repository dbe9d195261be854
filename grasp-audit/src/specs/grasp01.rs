//! GRASP-01, the core service.

pub mod cors;
pub mod git;
pub mod nip11;
pub mod purgatory;
pub mod relay;

use crate::check::Check;

/// Every check of GRASP-01.
#[must_use]
pub fn checks() -> Vec<Check> {
    [relay::checks(), purgatory::checks(), nip11::checks(), git::checks(), cors::checks()].concat()
}
