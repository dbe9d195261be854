//! GRASP-02, proactive sync: what other servers have of the repositories here is fetched, events and git data.
//!
//! The auditor plays the other server ([`crate::peer`]): each check has peers of its own, and a repository here whose
//! announcement names them. Where NIP-11 does not list GRASP-02, or the server does not come to the peers, the checks are
//! skipped with the reason.

mod elsewhere;
mod events;
mod git;
mod sync;

use crate::check::Check;

/// Every check of GRASP-02.
#[must_use]
pub fn checks() -> Vec<Check> {
    [events::checks(), git::checks(), sync::checks()].concat()
}
