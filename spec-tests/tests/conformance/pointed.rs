//! The cases pointed elsewhere by the environment: this very program, run once more against servers of another's.

use std::process::{Command, Output};

use spec_tests::elsewhere::Elsewhere;
use spec_tests::{Backend, Setup, gate};

/// Runs the cases whose names hold one of `filters` against the server at `url`.
async fn run(url: String, filters: &'static [&'static str]) -> Output {
    let this = std::env::current_exe().unwrap();
    let run = move || Command::new(this).args(filters).env("GRASP_AUDIT_URL", url).output().unwrap();
    tokio::task::spawn_blocking(run).await.unwrap()
}

fn setup() -> Setup {
    Setup::new(env!("CARGO_BIN_EXE_server-under-test"), Backend::Memory)
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cases_examine_the_server_they_are_pointed_at_and_say_what_they_skip() {
    if Elsewhere::named().is_some() {
        return gate::say_skipped(
            "the_cases_examine_the_server_they_are_pointed_at",
            "they are pointed elsewhere",
        );
    }
    let server = setup().start().await;
    let output = run(server.url(), &["g01_cors_options", "g01_purgatory_expires"]).await;
    let (shown, told) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    assert!(output.status.success(), "{shown}\n{told}");
    assert!(shown.contains("test cases::lmdb::case_"), "{shown}");
    assert!(told.contains("SKIPPED G01/cors/options/root: a server elsewhere is examined once"), "{told}");
    assert!(
        told.lines().any(|line| line.starts_with("SKIPPED G01/purgatory/expires")
            && line.contains("control of the server")),
        "{told}"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn the_cases_fail_where_the_server_they_are_pointed_at_does() {
    if Elsewhere::named().is_some() {
        return gate::say_skipped("the_cases_fail_where_the_server_does", "they are pointed elsewhere");
    }
    let server = setup().set("GRASP_FAULT", "unlisted-taken").start().await;
    let output = run(server.url(), &["g01_relay_rejects_unlisted_neither"]).await;
    let shown = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(101), "{shown}");
    assert!(shown.contains("FAIL G01/relay/rejects-unlisted/neither (MUST)"), "{shown}");
}
