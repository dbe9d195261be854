//! The surface that clients and operators see, written down: a change of any of it shows up in a review.
//!
//! What can be seen from outside is recorded by the suite's own `surface`, as `grasp-audit snapshot` does for any server.
//! After a change that is meant: `INSTA_UPDATE=always cargo test -p spec-tests --test surface`, and look at the difference.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeSet;
use std::time::Duration;

use grasp_audit::catalogue::requirement;
use grasp_audit::surface::Entry;
use grasp_audit::surface::difference::Difference;
use grasp_audit::{Options, Surface};
use rstest::rstest;
use serde_json::json;
use spec_tests::{Backend, Instance, Setup, instance};
use tokio::sync::OnceCell;

/// Key of the relay's owner, so that the key in NIP-11 is always the same.
const OWNER_NSEC: &str = "0000000000000000000000000000000000000000000000000000000000000003";
const WITHIN: Duration = Duration::from_secs(20);

fn setup() -> Setup {
    let setup = Setup::new(env!("CARGO_BIN_EXE_server-under-test"), Backend::Memory);
    setup.set("NGIT_RELAY_OWNER_NSEC", OWNER_NSEC)
}

async fn start() -> Instance {
    setup().start().await
}

async fn recorded_of(server: &Instance) -> Surface {
    Surface::record(&server.url(), &Options::default(), |_| {}).await.unwrap()
}

/// One recording for all tests of this file that look at it.
async fn recorded() -> &'static Surface {
    static RECORDED: OnceCell<Surface> = OnceCell::const_new();
    RECORDED.get_or_init(|| async { recorded_of(&start().await).await }).await
}

#[rstest]
#[case::relay_information_document("nip11")]
#[case::every_route_and_method("http")]
#[case::advertisements_of_a_small_repository("git")]
#[case::refusals_of_pushes("push")]
#[case::answers_to_events("event")]
#[case::answers_to_malformed_messages("message")]
#[case::close_codes("close")]
#[tokio::test]
async fn the_surface_is_as_it_is_written_down(#[case] part: &str) {
    let entries: Vec<Entry> = recorded().await.part(part).cloned().map(without_version).collect();
    assert!(!entries.is_empty(), "{part} is a part of the surface");
    insta::assert_snapshot!(part, serde_json::to_string_pretty(&entries).unwrap());
}

/// The version goes up with every release, which is no change of the surface.
fn without_version(mut entry: Entry) -> Entry {
    if entry.at == "nip11/version" {
        entry.seen = json!("<version>");
    }
    entry
}

#[tokio::test]
async fn two_recordings_of_a_server_are_the_same_bytes() {
    let server = start().await;
    let (first, second) = (recorded_of(&server).await, recorded_of(&server).await);
    assert_eq!(first.to_json().unwrap(), second.to_json().unwrap());
}

#[tokio::test]
async fn two_servers_of_one_build_show_the_same() {
    let other = recorded_of(&start().await).await;
    let difference = Difference::between(("one", recorded().await), ("other", &other));
    assert_eq!(difference.changes, []);
    assert_eq!(difference.exit_code(), 0);
}

#[tokio::test]
async fn a_broken_rule_shows_in_the_entries_of_its_requirement() {
    let broken = recorded_of(&setup().set("GRASP_FAULT", "unlisted-taken").start().await).await;
    let difference = Difference::between(("ours", recorded().await), ("broken", &broken));
    let touched: Vec<&str> = difference.touched().into_iter().map(|(id, ..)| id).collect();
    assert_eq!(touched, ["G01/relay/rejects-unlisted"]);
    assert_eq!(difference.exit_code(), 1);
}

#[tokio::test]
async fn every_entry_has_a_place_of_its_own_and_requirements_of_the_catalogue() {
    let mut places = BTreeSet::new();
    for entry in &recorded().await.entries {
        assert!(places.insert(&entry.at), "{} is there twice", entry.at);
        for id in &entry.requirements {
            assert!(requirement(id).is_some(), "{}: {id} is no requirement", entry.at);
        }
    }
}

#[tokio::test]
async fn a_server_that_stops_says_so_to_its_clients() {
    let mut server = start().await;
    let target = server.target().await;
    let relay = instance::relay(&target).await.unwrap();
    server.ask_to_stop();
    let end = relay.closed(WITHIN).await.unwrap();
    assert_eq!(end, Some((Some(1001), "the relay is shutting down".to_owned())));
    server.ended().await;
}

#[tokio::test]
async fn settings_shown_by_check_config() {
    let program = env!("CARGO_BIN_EXE_server-under-test");
    let nowhere = tempfile::tempdir().unwrap();
    let mut command = std::process::Command::new(program);
    let output = command.arg("check-config").env_clear().current_dir(nowhere.path()).output().unwrap();
    assert!(output.status.success());
    let text = String::from_utf8(output.stdout).unwrap();
    insta::assert_snapshot!(text);
}
