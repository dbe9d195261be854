//! H/http: what can be wrong with a request before anybody looks at what it is for.

mod bodies;
mod framing;
mod heads;
mod paths;
mod slow;
mod targets;

use super::case::Case;

pub(super) fn cases() -> Vec<Case> {
    [paths::cases(), targets::cases(), heads::cases(), framing::cases(), bodies::cases(), slow::cases()]
        .concat()
}
