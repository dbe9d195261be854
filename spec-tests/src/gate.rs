//! What the gate lets through: checks that may be skipped, and tests for which a machine may lack something (an engine
//! for containers, a browser).

use std::io::Write as _;
use std::time::Duration;

use grasp_audit::context::Expiry;

/// The variable with which `make test` and CI say that nothing may be left out.
pub const COMPLETE: &str = "GRASP_GATE_COMPLETE";

/// Checks that may be skipped against the bundled server, and why.
pub const MAY_SKIP: &[(&str, &str)] = &[
    ("G01/relay/rejects-unlisted/listed-host-case", "the service's host is an address, which has no letters"),
    (
        "G01/relay/rejects-unlisted/listed-default-port",
        "the port is the system's choice; see conformance/abroad.rs",
    ),
    ("G01/nip11/limits/max-event-tags", "the server bounds messages, not tags"),
    ("G01/nip11/limits/max-content-length", "the server bounds messages, not contents"),
    ("G02/events/admission/private-address", "the server is on loopback; see conformance/abroad.rs"),
];

/// Checks that the gate leaves out, and why: no setting makes their waiting short.
pub const TOO_LONG: &[(&str, &str)] = &[(
    "G02/sync/reconnect/long",
    "waits for 20 minutes: `grasp-audit audit --patient --filter G02/sync/reconnect`; the planner's own tests move the clock",
)];

/// Checks that need another server: a guest tries out limits only when they are small, and what is optional can be off.
pub const NEED_THE_PLAIN_SERVER: &[&str] =
    &["G01/nip11/limits/max-limit", "G01/nip11/limits/default-limit", "G06/advertised/off"];

/// The identifier that the server of the checks of GRASP-05 archives.
pub const ARCHIVED: &str = "grasp-audit-archived";

/// Expiry of the servers on which the patient checks run: long enough for what a check does before it.
pub const EXPIRY: Expiry = Expiry { purgatory: Duration::from_secs(15), nostr_ref: Duration::from_secs(12) };

/// Says that `test` is not carried out, where it can be seen: on standard error itself, which the harness does not
/// capture.
pub fn say_skipped(test: &str, why: &str) {
    // Whoever has closed standard error does not want to know.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
}

/// Says that `test` is not carried out, for this machine lacks something.
///
/// # Panics
/// Where the gate is to be complete (`GRASP_GATE_COMPLETE=1`): there it is a failure.
pub fn skip(test: &str, why: &str) {
    let complete = std::env::var(COMPLETE).is_ok_and(|value| value == "1");
    assert!(!complete, "{test} cannot be carried out, and {COMPLETE} is set: {why}");
    say_skipped(test, why);
}
