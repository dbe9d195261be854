//! G02/sync: how a server behaves towards its peers.
//!
//! G02/sync/daily has no check: it takes a day to see that it is done, and two to see that it is not.

mod consolidation;
mod health;
mod negentropy;
mod reconnect;
mod retire;

use crate::check::Check;

pub(super) fn checks() -> Vec<Check> {
    [reconnect::checks(), health::checks(), consolidation::checks(), retire::checks(), negentropy::checks()]
        .concat()
}
