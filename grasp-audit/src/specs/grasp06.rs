//! GRASP-06: contributors push pull requests to repositories of their own, `/prs/<npub>/<identifier>.git`.
//!
//! Optional. Where NIP-11 does not list it, the checks are skipped, but for the one that then wants `/prs/` to be 404.

mod contribution;
mod empty;
mod events;
mod mirror;
mod push;

use crate::check::Check;

/// The checks of this specification, section by section.
#[must_use]
pub fn checks() -> Vec<Check> {
    let sections = [empty::checks(), push::checks(), events::checks(), mirror::checks()];
    sections.into_iter().flatten().collect()
}
