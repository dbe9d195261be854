//! Mutants of G02/sync: how peers are connected, asked, spared and left.

use crate::mutant::{Mutant, fault};

const RECONNECT: &str = "G02/sync/reconnect";
const HEALTH: &str = "G02/sync/health";
const CONSOLIDATION: &str = "G02/sync/consolidation";
const RETIRE: &str = "G02/sync/retire";

pub(super) fn mutants() -> Vec<Mutant> {
    vec![
        fault("every-reconnect-from-nothing", RECONNECT),
        fault("reconnects-without-overlap", RECONNECT),
        fault("back-off-constant", HEALTH),
        fault("unreachable-for-ever", HEALTH),
        fault("relays-one-after-the-other", HEALTH).apart(),
        fault("impatient", HEALTH),
        fault("rate-limits-soon-forgotten", HEALTH).patient(),
        fault("never-consolidated", CONSOLIDATION),
        fault("filters-without-bound", CONSOLIDATION),
        fault("subscription-limits-unread", CONSOLIDATION),
        fault("unneeded-relays-kept", RETIRE),
    ]
}
