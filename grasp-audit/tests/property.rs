//! The commands `property` and `replay` as people run them: exit codes, files, and what is told.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::process::Output;

use grasp_fixtures::null_server::{Manner, start};
use serde_json::Value;
use tokio::process::Command;

async fn grasp_audit(folder: &Path, arguments: &[&str]) -> (Option<i32>, String) {
    let program = env!("CARGO_BIN_EXE_grasp-audit");
    let Output { status, stdout, stderr } =
        Command::new(program).current_dir(folder).args(arguments).output().await.unwrap();
    (status.code(), String::from_utf8_lossy(&stdout).into_owned() + &String::from_utf8_lossy(&stderr))
}

fn json(path: &Path) -> Value {
    serde_json::from_str(&std::fs::read_to_string(path).unwrap()).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_refuses_everything_is_found_out_by_one_step_that_can_be_told_again() {
    let (server, folder) = (start(Manner::No).await.unwrap(), tempfile::tempdir().unwrap());
    let options =
        ["--seed", "1", "--cases", "3", "--no-regressions", "--settles", "0.05", "--json", "found.json"];
    let (code, told) = grasp_audit(folder.path(), &[&["property", &server.url][..], &options].concat()).await;
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("announces") && told.contains("expected: OK true"), "{told}");
    let found = json(&folder.path().join("found.json"));
    assert_eq!(found["failure"]["story"]["story"]["steps"].as_array().unwrap().len(), 1, "{told}");
    assert_eq!(found["seed"], 1);

    let story = "grasp-audit-story.json";
    assert_eq!(json(&folder.path().join(story))["format"], 1);
    let (code, told) = grasp_audit(folder.path(), &["replay", story, &server.url, "--wire"]).await;
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("EVENT") && told.contains("seen:     OK false"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_takes_everything_and_shows_nothing_is_found_out() {
    let (server, folder) = (start(Manner::Yes).await.unwrap(), tempfile::tempdir().unwrap());
    let options = ["--seed", "2", "--cases", "3", "--no-regressions", "--settles", "0.05"];
    let (code, told) = grasp_audit(folder.path(), &[&["property", &server.url][..], &options].concat()).await;
    assert_eq!(code, Some(1), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn kept_stories_are_told_first() {
    let (server, folder) = (start(Manner::No).await.unwrap(), tempfile::tempdir().unwrap());
    let (code, told) = grasp_audit(folder.path(), &["property", &server.url, "--settles", "0.05"]).await;
    assert_eq!(code, Some(1), "{told}");
    assert!(told.contains("this story was a bug somewhere before"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_cannot_be_examined_is_told_apart_from_a_failure() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", nobody.local_addr().unwrap());
    drop(nobody);
    for command in ["property", "replay"] {
        std::fs::write(folder.path().join("other.json"), "{}").unwrap();
        let arguments = match command {
            "replay" => vec![command, "other.json", &url],
            _ => vec![command, &url],
        };
        let (code, told) = grasp_audit(folder.path(), &arguments).await;
        assert_eq!(code, Some(2), "{told}");
        let why = if command == "replay" { "is no story" } else { "cannot be reached" };
        assert!(told.contains(why), "{told}");
    }
    let (code, told) = grasp_audit(folder.path(), &["property", &url, "--steps", "0"]).await;
    assert!(code == Some(2) && told.contains("1..=60"), "{told}");
}
