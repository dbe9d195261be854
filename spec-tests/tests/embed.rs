//! The example of the suite as a library, the very file that its documentation shows, with the server that we ship.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::process::{Command, Stdio};

use grasp_audit::report::outcome::Outcome;
use grasp_audit::{Suite, VERSION, catalogue};

#[path = "../../grasp-audit/examples/embed.rs"]
#[allow(dead_code, unreachable_pub)] // a program of its own, whose `main` is not started here
mod embed;

/// Over soon, and about everything that the example touches: HTTP, relay and git.
const SOME: [&str; 3] = ["G01/cors", "G01/nip11/document", "G01/git/push-aligned/round-trip"];

/// The server as a stranger would start it; it ends with this process at the latest.
fn server(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_server-under-test"));
    command
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .env("GRASP_TEST_FOLDER", folder)
        .env("NGIT_BIND_ADDRESS", "127.0.0.1:0")
        .env("NGIT_SYNC_ENABLE", "false")
        .env("NGIT_DATABASE_BACKEND", "memory")
        .env("NGIT_RELAY_DATA_PATH", "relay")
        .current_dir(folder)
        .stdin(Stdio::piped())
        .stdout(Stdio::null());
    command
}

#[test]
fn a_strange_harness_starts_its_server_and_examines_it() {
    let folder = tempfile::tempdir().unwrap();
    let server = embed::Server::start(&mut server(folder.path())).unwrap();
    for filter in SOME {
        let report = embed::examine(Suite::default().filter(filter).jobs(4), &server.url).unwrap();
        assert!(report.holds() && report.failures().next().is_none(), "{report}");
        assert!(report.checks.iter().any(|check| check.outcome() == Outcome::Pass), "{report}");
        assert_eq!((report.suite.as_str(), report.catalogue.as_str()), (VERSION, catalogue::REVISION));
        assert_eq!(report.filter.as_deref(), Some(filter));
    }
}

#[test]
fn the_server_goes_with_the_harness() {
    let folder = tempfile::tempdir().unwrap();
    let server = embed::Server::start(&mut server(folder.path())).unwrap();
    let url = server.url.clone();
    drop(server);
    let gone = embed::examine(Suite::default().filter(SOME[1]), &url).unwrap_err();
    assert!(gone.to_string().contains("Is the server running"), "{gone}");
}

#[test]
fn a_program_that_is_no_server_is_told() {
    let error = embed::Server::start(&mut Command::new("true")).err().unwrap();
    assert!(error.to_string().contains("does not say where it listens"), "{error}");
}

#[tokio::test]
async fn a_harness_with_a_runtime_may_block_on_the_suite_too() {
    let folder = tempfile::tempdir().unwrap();
    let server = embed::Server::start(&mut server(folder.path())).unwrap();
    let blocking = embed::examine(Suite::default().filter(SOME[1]), &server.url).unwrap();
    let awaited = Suite::default().filter(SOME[1]).run(&server.url).await.unwrap();
    let ids =
        |report: &grasp_audit::Report| report.checks.iter().map(|check| check.id.clone()).collect::<Vec<_>>();
    assert_eq!(ids(&blocking), ids(&awaited));
}
