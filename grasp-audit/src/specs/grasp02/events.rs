//! G02/events: what other relays have comes here, and nothing that is not allowed in.

mod admission;
mod discovery;
mod historic;
mod live;

use crate::check::Check;

pub(super) fn checks() -> Vec<Check> {
    [historic::checks(), live::checks(), discovery::checks(), admission::checks()].concat()
}
