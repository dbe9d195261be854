//! The suite as a gate: every check against the bundled server, on both backends, each a test of its own.
//!
//! The list of checks is written out in `cases.rs`, so that every check has a name in the output and none is forgotten.
//! After a change of the suite: `cargo test -p spec-tests --test conformance write_the_list -- --ignored`.
//!
//! `GRASP_AUDIT_URL`, or `GRASP_AUDIT_IMAGE` with its port and environment, points the cases at another server
//! (`spec_tests::elsewhere`, `docs/how-to/gate-your-server-in-ci.md`).
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod abroad;
mod cases;
mod pointed;

use std::fmt::Write as _;
use std::path::Path;
use std::sync::{Once, OnceLock};

use grasp_audit::check::{Check, Verdict};
use grasp_audit::peer::PeerAddress;
use grasp_audit::report::terminal;
use grasp_audit::{Options, Report, Suite, specs};
use spec_tests::elsewhere::{self, Elsewhere};
use spec_tests::gate::{self, ARCHIVED, EXPIRY, MAY_SKIP, NEED_THE_PLAIN_SERVER, TOO_LONG};
use spec_tests::{Backend, Instance, Setup};
use tokio::sync::OnceCell;

/// The servers are shared by all checks; they end with this process.
static LMDB: OnceCell<Instance> = OnceCell::const_new();
static MEMORY: OnceCell<Instance> = OnceCell::const_new();
static PLAIN_LMDB: OnceCell<Instance> = OnceCell::const_new();
static PLAIN_MEMORY: OnceCell<Instance> = OnceCell::const_new();
static ARCHIVE_LMDB: OnceCell<Instance> = OnceCell::const_new();
static ARCHIVE_MEMORY: OnceCell<Instance> = OnceCell::const_new();

/// What came of the patient checks, on `lmdb` and on `memory`: they mostly wait, so all of them do so at the same time.
static PATIENT: OnceLock<[Vec<Report>; 2]> = OnceLock::new();
static BEGIN_TO_WAIT: Once = Once::new();

/// Which server a check examines.
#[derive(Clone, Copy)]
enum Kind {
    /// With contributors' repositories and sync.
    Full,
    /// Without what is optional, and with small limits.
    Plain,
    /// An archive, which syncs.
    Archive,
}

impl Kind {
    fn of(id: &str) -> Self {
        match id {
            id if NEED_THE_PLAIN_SERVER.contains(&id) => Self::Plain,
            id if id.starts_with("G05/") => Self::Archive,
            _ => Self::Full,
        }
    }
}

async fn server(backend: Backend, kind: Kind) -> &'static Instance {
    let cell = match (backend, kind) {
        (Backend::Lmdb, Kind::Full) => &LMDB,
        (Backend::Memory, Kind::Full) => &MEMORY,
        (Backend::Lmdb, Kind::Plain) => &PLAIN_LMDB,
        (Backend::Memory, Kind::Plain) => &PLAIN_MEMORY,
        (Backend::Lmdb, Kind::Archive) => &ARCHIVE_LMDB,
        (Backend::Memory, Kind::Archive) => &ARCHIVE_MEMORY,
    };
    let setup = Setup::new(env!("CARGO_BIN_EXE_server-under-test"), backend);
    let setup = match kind {
        Kind::Full => with_all_that_is_optional(setup),
        Kind::Plain => setup.set("NGIT_MAX_LIMIT", 40).set("NGIT_DEFAULT_LIMIT", 20),
        Kind::Archive => setup.syncing().set("NGIT_ARCHIVE_WHITELIST", ARCHIVED),
    };
    cell.get_or_init(|| setup.start()).await
}

/// Contributors' repositories, and sync with peers on this machine that are tried again soon. A server on loopback goes
/// nowhere else, and looks up no names: other checks name hosts that are not there.
fn with_all_that_is_optional(setup: Setup) -> Setup {
    setup
        .set("NGIT_GRASP06_ENABLE", true)
        .syncing()
        .set("NGIT_SYNC_BASE_BACKOFF_SECS", 1)
        .set("NGIT_SYNC_DISCONNECT_CHECK_INTERVAL_SECS", 2)
}

/// The server can reach the auditor's peers: that it does not come would be its failure.
fn peers() -> PeerAddress {
    PeerAddress { reachable: true, ..PeerAddress::default() }
}

/// Runs one check; anything but a pass, or a skip for a listed reason, fails the test with the suite's own report.
async fn holds(id: &str, backend: Backend) {
    let check = specs::all().into_iter().find(|check| check.id == id);
    let check = check.unwrap_or_else(|| panic!("the suite has no check {id}; write the list anew"));
    if let Some(elsewhere) = Elsewhere::named() {
        return holds_elsewhere(check, backend, elsewhere).await;
    }
    BEGIN_TO_WAIT.call_once(|| drop(std::thread::spawn(patient_reports)));
    if let Some((_, why)) = TOO_LONG.iter().find(|(listed, _)| *listed == id) {
        return gate::say_skipped(id, why);
    }
    if check.needs.patient {
        let reports = &patient_reports()[usize::from(backend == Backend::Memory)];
        let has_it = |report: &&Report| report.checks.iter().any(|result| result.id == id);
        return judge(id, reports.iter().find(has_it).expect("it was run"), "");
    }
    let server = server(backend, Kind::of(id)).await;
    let options =
        Options { jobs: 1, archived: Some(ARCHIVED.to_owned()), peers: peers(), ..Options::default() };
    let suite = Suite::of(vec![check], options);
    let report = suite.run(&server.url()).await.expect("the server can be reached");
    judge(id, &report, &complaints(server));
}

/// Runs one check against somebody else's server. As in the suite's own verdict, what is no MUST does not fail the test.
async fn holds_elsewhere(check: Check, backend: Backend, elsewhere: Elsewhere) {
    let id = check.id.clone();
    if backend == Backend::Memory {
        return gate::say_skipped(&id, "a server elsewhere is examined once, as the case `lmdb`");
    }
    if check.needs.patient {
        return gate::say_skipped(
            &id,
            "waits for expiry, which needs control of the server; try `grasp-audit audit --patient`",
        );
    }
    if id.starts_with("G02/") {
        return gate::say_skipped(
            &id,
            "needs an address at which the server reaches the auditor; try `grasp-audit audit --filter G02 --peer-url …` \
             (docs/how-to/audit-sync.md)",
        );
    }
    let url = elsewhere.url(env!("CARGO_BIN_EXE_container-under-test")).await;
    let options = Options { jobs: 1, owner: elsewhere::owner(), ..Options::default() };
    let report = Suite::of(vec![check], options).run(&url).await.unwrap_or_else(|error| panic!("{error}"));
    let totals = &report.totals;
    assert_eq!((totals.failed_must, totals.errors), (0, 0), "{}", terminal::render(&report, false));
    match &report.checks[0].verdict {
        Verdict::Pass => {}
        Verdict::Skip { why } => gate::say_skipped(&id, why),
        _ => gate::say_skipped(
            &id,
            &format!("no MUST, and not as it should be\n{}", terminal::render(&report, false)),
        ),
    }
}

fn patient_reports() -> &'static [Vec<Report>; 2] {
    PATIENT.get_or_init(|| {
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        runtime.block_on(async {
            let (lmdb, memory) = tokio::join!(run_patient(Backend::Lmdb), run_patient(Backend::Memory));
            [lmdb, memory]
        })
    })
}

/// Those that wait for expiry have a server where that is short; those of sync have one where nothing expires meanwhile.
async fn run_patient(backend: Backend) -> Vec<Report> {
    let setup = Setup::new(env!("CARGO_BIN_EXE_server-under-test"), backend);
    let setup = with_all_that_is_optional(setup);
    let expiring = setup
        .clone()
        .set("NGIT_PURGATORY_EXPIRY_SECS", EXPIRY.purgatory.as_secs())
        .set("NGIT_NOSTR_REF_EXPIRY_SECS", EXPIRY.nostr_ref.as_secs());
    let checks = specs::all().into_iter().filter(is_waited_for);
    let (sync, others): (Vec<Check>, Vec<Check>) = checks.partition(|check| check.id.starts_with("G02/"));
    let (others, sync) = tokio::join!(wait_for(expiring, others), wait_for(setup, sync));
    vec![others, sync]
}

async fn wait_for(setup: Setup, checks: Vec<Check>) -> Report {
    let server = setup.start().await;
    let options =
        Options { patient: true, expiry: EXPIRY, jobs: checks.len(), peers: peers(), ..Options::default() };
    Suite::of(checks, options).run(&server.url()).await.expect("the server can be reached")
}

/// Patient checks whose waiting the gate's servers make short.
fn is_waited_for(check: &Check) -> bool {
    check.needs.patient && !TOO_LONG.iter().any(|(id, _)| *id == check.id)
}

fn judge(id: &str, report: &Report, complaints: &str) {
    let result = report.checks.iter().find(|result| result.id == id).expect("it was run");
    match &result.verdict {
        Verdict::Pass => {}
        Verdict::Skip { why } if MAY_SKIP.iter().any(|(listed, _)| *listed == id) => {
            eprintln!("skipped: {why}")
        }
        _ => panic!("{}\n{complaints}", terminal::render(report, false)),
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
    let named = MAY_SKIP.iter().chain(TOO_LONG).map(|(id, _)| id);
    for id in named.chain(NEED_THE_PLAIN_SERVER) {
        assert!(cases::IDS.contains(id), "{id} is listed in spec_tests::gate and does not exist");
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
    // Tests run in the order of their names: the patient ones come last, when their waiting is over.
    for (prefix, patient) in [("", false), ("patient_", true)] {
        for (test, backend) in [("lmdb", "Lmdb"), ("memory", "Memory")] {
            text.push_str("\n#[rustfmt::skip]\n#[rstest]\n");
            for check in checks.iter().filter(|check| check.needs.patient == patient) {
                writeln!(text, "#[case::{}({:?})]", name(check), check.id).unwrap();
            }
            write!(text, "#[tokio::test]\nasync fn {prefix}{test}(#[case] id: &str) {{\n").unwrap();
            writeln!(text, "    holds(id, Backend::{backend}).await;\n}}").unwrap();
        }
    }
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/conformance/cases.rs");
    std::fs::write(path, text).unwrap();
}

fn name(check: &Check) -> String {
    let name: String = check.id.to_lowercase();
    name.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}
