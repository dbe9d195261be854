//! H/relay: what no relay client sends: JSON and events that are too large, too deep or forged, floods of everything, and
//! frames that break RFC 6455.

mod events;
mod floods;
mod frames;
mod json;
mod reconciliation;
mod slow;

use super::case::Case;

pub(super) fn cases() -> Vec<Case> {
    [json::cases(), events::cases(), frames::cases(), reconciliation::cases(), floods::cases(), slow::cases()]
        .concat()
}
