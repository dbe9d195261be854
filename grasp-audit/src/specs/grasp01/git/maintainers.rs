//! Nothing yet.
use crate::check::Check;
pub(super) fn checks() -> Vec<Check> {
    vec![]
}
