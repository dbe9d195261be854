//! Tests that need something a machine may lack: an engine for containers, a browser.

use std::io::Write as _;

/// The variable with which `make test` and CI say that nothing may be left out.
pub const COMPLETE: &str = "GRASP_GATE_COMPLETE";

/// Says that `test` is not carried out, where it can be seen: on standard error itself, which the harness does not
/// capture.
///
/// # Panics
/// Where the gate is to be complete (`GRASP_GATE_COMPLETE=1`): there it is a failure.
pub fn skip(test: &str, why: &str) {
    let complete = std::env::var(COMPLETE).is_ok_and(|value| value == "1");
    assert!(!complete, "{test} cannot be carried out, and {COMPLETE} is set: {why}");
    // Whoever has closed standard error does not want to know.
    let _ = writeln!(std::io::stderr(), "SKIPPED {test}: {why}");
}
