//! `G01/relay/nip01`: a whole NIP-01 relay, and the further NIPs that it says it speaks.

mod events;
mod extensions;
mod malformed;
mod replaceable;
mod requests;
mod subscriptions;

use crate::check::Check;

const ROW: &str = "G01/relay/nip01";

/// The checks of this row.
pub(super) fn checks() -> Vec<Check> {
    [
        events::checks(),
        requests::checks(),
        subscriptions::checks(),
        replaceable::checks(),
        malformed::checks(),
        extensions::checks(),
    ]
    .concat()
}
