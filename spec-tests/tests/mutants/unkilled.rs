//! The checks that no mutant kills, and why. `seen_to_fail.rs` shows that they fail against servers that do nothing right,
//! but for what no test on loopback can show.

use std::collections::BTreeSet;

use grasp_audit::specs;

/// Check and reason.
const UNKILLED: &[(&str, &str)] = &[
    ("G01/relay/rejects-unlisted/listed-default-port", "the service's port is the system's choice"),
    (
        "G01/relay/accepts-repository-events/state",
        "every check that pushes publishes such a state first: a server that refuses it fails them all",
    ),
    (
        "G02/events/admission/private-address",
        "needs a server with a public address; conformance/abroad.rs shows it passing and failing",
    ),
    ("G02/sync/reconnect/long", "waits for 20 minutes; the planner's own tests move the clock"),
    (
        "G01/git/push-aligned/round-trip",
        "every check of git pushes like this and looks at what is there: a server that fails it fails them all",
    ),
    (
        "G01/relay/accepts-related/issue",
        "most checks of relations file such an issue first: a server that refuses it fails them all",
    ),
];

/// Checks that kill no mutant and are not listed; listed ones that do, or that do not exist.
pub(crate) fn complaints(killed: &BTreeSet<&str>) -> Vec<String> {
    let checks: BTreeSet<String> = specs::all().into_iter().map(|check| check.id).collect();
    let listed = |id: &str| UNKILLED.iter().any(|(known, _)| *known == id);
    let unproved = checks.iter().filter(|id| !killed.contains(id.as_str()) && !listed(id));
    let unproved =
        unproved.map(|id| format!("{id} kills no mutant; docs/explanation/mutants.md says what to do"));
    let stale = UNKILLED.iter().filter(|(id, _)| killed.contains(id) || !checks.contains(*id));
    let stale =
        stale.map(|(id, _)| format!("{id} is listed in unkilled.rs and kills a mutant, or does not exist"));
    unproved.chain(stale).collect()
}
