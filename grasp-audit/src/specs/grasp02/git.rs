//! G02/git: git data comes from the other servers that an announcement, or a pull request itself, names.

mod pr;
mod state;

use crate::check::Check;

pub(super) fn checks() -> Vec<Check> {
    [state::checks(), pr::checks()].concat()
}
