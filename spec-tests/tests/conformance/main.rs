//! The suite as a gate: every check against the bundled server, on both backends, each a test of its own.
//!
//! The list of checks is written out in `cases.rs`, so that every check has a name in the output and none is forgotten.
//! After a change of the suite: `cargo test -p spec-tests --test conformance write_the_list -- --ignored`.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cases;

use std::fmt::Write as _;
use std::path::Path;
use std::time::Duration;

use grasp_audit::check::{Check, Verdict};
use grasp_audit::context::Expiry;
use grasp_audit::report::terminal;
use grasp_audit::{Options, Suite, specs};
use spec_tests::{Backend, Instance, Setup};
use tokio::sync::OnceCell;

/// Checks that may be skipped here, and why.
const MAY_SKIP: &[(&str, &str)] = &[];

/// Expiry of the servers on which the patient checks run: long enough for what a check does before it.
const EXPIRY: Expiry = Expiry { purgatory: Duration::from_secs(12), nostr_ref: Duration::from_secs(10) };

/// The servers are shared by all checks; they end with this process.
static LMDB: OnceCell<Instance> = OnceCell::const_new();
static MEMORY: OnceCell<Instance> = OnceCell::const_new();
static IMPATIENT_LMDB: OnceCell<Instance> = OnceCell::const_new();
static IMPATIENT_MEMORY: OnceCell<Instance> = OnceCell::const_new();

async fn server(backend: Backend, patient: bool) -> &'static Instance {
    let cell = match (backend, patient) {
        (Backend::Lmdb, false) => &LMDB,
        (Backend::Memory, false) => &MEMORY,
        (Backend::Lmdb, true) => &IMPATIENT_LMDB,
        (Backend::Memory, true) => &IMPATIENT_MEMORY,
    };
    let setup = Setup::new(env!("CARGO_BIN_EXE_server-under-test"), backend);
    cell.get_or_init(|| async {
        if !patient {
            return setup.start().await;
        }
        let setup = setup.set("NGIT_PURGATORY_EXPIRY_SECS", EXPIRY.purgatory.as_secs());
        setup.set("NGIT_NOSTR_REF_EXPIRY_SECS", EXPIRY.nostr_ref.as_secs()).start().await
    })
    .await
}

/// Runs one check; anything but a pass, or a skip for a listed reason, fails the test with the suite's own report.
async fn holds(id: &str, backend: Backend) {
    let check = specs::all().into_iter().find(|check| check.id == id);
    let check = check.unwrap_or_else(|| panic!("the suite has no check {id}; write the list anew"));
    let patient = check.needs.patient;
    let expiry = if patient { EXPIRY } else { Expiry::default() };
    let suite = Suite::of(vec![check], Options { patient, expiry, jobs: 1, ..Options::default() });
    let server = server(backend, patient).await;
    let report = suite.run(&server.url()).await.expect("the server can be reached");
    let may_skip = MAY_SKIP.iter().any(|(listed, _)| *listed == id);
    for result in &report.checks {
        match &result.verdict {
            Verdict::Pass => {}
            Verdict::Skip { why } if may_skip => eprintln!("skipped: {why}"),
            _ => panic!("{}\n{}", terminal::render(&report, false), complaints(server)),
        }
    }
}

/// What the server has complained about, about other checks' doings included.
fn complaints(server: &Instance) -> String {
    let log = server.log();
    let told = log.lines().filter(|line| line.contains("ERROR") || line.contains("WARN"));
    told.collect::<Vec<_>>().join("\n")
}

#[test]
fn the_list_is_the_suite() {
    let suite: Vec<String> = specs::all().into_iter().map(|check| check.id).collect();
    assert_eq!(cases::IDS, suite, "write the list anew, as the head of this file says");
    for (id, _) in MAY_SKIP {
        assert!(cases::IDS.contains(id), "{id} may be skipped and does not exist");
    }
}

#[test]
#[ignore = "writes tests/conformance/cases.rs"]
fn write_the_list() {
    let checks = specs::all();
    let mut text = String::from(
        "//! Written by `cargo test -p spec-tests --test conformance write_the_list -- --ignored`.\n\n\
         use rstest::rstest;\nuse spec_tests::Backend;\n\nuse super::holds;\n\n/// Every check of the suite.\n",
    );
    let ids = checks.iter().map(|check| format!("    {:?},\n", check.id)).collect::<String>();
    writeln!(text, "#[rustfmt::skip]\npub(super) const IDS: &[&str] = &[\n{ids}];").unwrap();
    for (test, backend) in [("lmdb", "Lmdb"), ("memory", "Memory")] {
        text.push_str("\n#[rustfmt::skip]\n#[rstest]\n");
        for check in &checks {
            writeln!(text, "#[case::{}({:?})]", name(check), check.id).unwrap();
        }
        writeln!(
            text,
            "#[tokio::test]\nasync fn {test}(#[case] id: &str) {{\n    holds(id, Backend::{backend}).await;\n}}"
        )
        .unwrap();
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/cases.rs");
    std::fs::write(path, text).unwrap();
}

fn name(check: &Check) -> String {
    let name: String = check.id.to_lowercase();
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}
