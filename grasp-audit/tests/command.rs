//! The program as people run it: exit codes, the files it writes, and what it says about wrong ones.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::process::{Output, Stdio};

use grasp_fixtures::null_server::{Manner, NullServer, start};
use serde_json::Value;
use tokio::io::AsyncBufReadExt as _;

/// Over in a moment, and failing against every null server.
const QUICK: [&str; 2] = ["--filter", "G01/nip11/document"];

async fn run(folder: &Path, args: &[&str]) -> Output {
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_grasp-audit"));
    command
        .args(args)
        .current_dir(folder)
        .env_remove("GRASP_AUDIT_NSEC")
        .kill_on_drop(true)
        .output()
        .await
        .unwrap()
}

/// The same with nobody who reads standard output, as behind `| head` when that has seen enough.
async fn run_unread(folder: &Path, args: &[&str]) -> Output {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_grasp-audit"));
    command.args(args).current_dir(folder).stdout(writer).stderr(Stdio::piped()).kill_on_drop(true);
    command.spawn().unwrap().wait_with_output().await.unwrap()
}

fn code(output: &Output) -> i32 {
    output.status.code().unwrap()
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr)
}

fn json(folder: &Path, file: &str) -> Value {
    serde_json::from_slice(&std::fs::read(folder.join(file)).unwrap()).unwrap()
}

async fn servers() -> (NullServer, NullServer) {
    (start(Manner::Boast).await.unwrap(), start(Manner::No).await.unwrap())
}

#[tokio::test]
async fn one_server_gets_every_form_of_report() {
    let (folder, (server, _)) = (tempfile::tempdir().unwrap(), servers().await);
    let mut args = vec!["audit", &server.url, "--json", "a.json", "--junit", "a.xml", "--markdown", "a.md"];
    args.extend(["--html", "a.html", "--badge", "a.svg"]);
    args.extend(QUICK);
    let output = run(folder.path(), &args).await;
    assert_eq!(code(&output), 1, "{}", said(&output));
    let read = |file: &str| std::fs::read_to_string(folder.path().join(file)).unwrap();
    assert_eq!(json(folder.path(), "a.json")["format"], "grasp-audit/report");
    assert_eq!(json(folder.path(), "a.json")["filter"], "G01/nip11/document");
    assert!(read("a.xml").starts_with("<?xml") && read("a.md").starts_with("# GRASP audit of"));
    assert!(read("a.html").starts_with("<!DOCTYPE html>") && read("a.svg").contains("<svg "));
    for file in ["a.json", "a.xml", "a.md", "a.html"] {
        assert!(read(file).contains(grasp_audit::catalogue::REVISION), "{file} names the catalogue");
        assert!(read(file).contains(env!("CARGO_PKG_VERSION")), "{file} names the suite");
    }
}

#[tokio::test]
async fn an_audit_that_examined_nothing_is_no_success() {
    let (folder, (_, server)) = (tempfile::tempdir().unwrap(), servers().await);
    let output = run(folder.path(), &["audit", &server.url, "--filter", "G05", "--markdown", "a.md"]).await;
    assert_eq!(code(&output), 2, "{}", said(&output));
    let text = std::fs::read_to_string(folder.path().join("a.md")).unwrap();
    for text in [said(&output), text] {
        assert!(text.contains("nothing was examined: all ") && !text.contains("every MUST"), "{text}");
    }
}

#[tokio::test]
async fn a_file_that_cannot_be_written_is_told_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let (audit, two) = (["audit", "127.0.0.1:1"], ["audit", "127.0.0.1:1", "127.0.0.1:2"]);
    for (command, args, expected) in [
        (&audit[..], &["--json", "no/a"][..], "--json: no/a cannot be written: No such file"),
        (&audit, &["--json", "a.json", "--junit", "no/a"], "--junit: no/a cannot be written"),
        (&audit, &["--markdown", "."], "--markdown: . cannot be written: Is a directory"),
        (&audit, &["--html", "no/a"], "--html: no/a"),
        (&audit, &["--badge", "no/a"], "--badge: no/a"),
        (&audit, &["--json", "a", "--html", "./a"], "--json and --html both write ./a"),
        (&two, &["--json", "a.x", "--html", "a.x"], "--json and --html both write a.x"),
        (&two, &["--badge", "no/a.svg"], "--badge: no/a.127.0.0.1-1.svg"),
        (&["snapshot", "127.0.0.1:1"], &["--out", "no/a"], "--out: no/a"),
        (&["property", "127.0.0.1:1"], &["--json", "no/a"], "--json: no/a"),
        (&["property", "127.0.0.1:1"], &["--out", "no/a"], "--out: no/a"),
        (&["property", "127.0.0.1:1"], &["--out", "a", "--json", "a"], "--out and --json both write a"),
        (&["agree", "127.0.0.1:1", "127.0.0.1:2"], &["--json", "no/a"], "--json: no/a"),
        (&["diff", "127.0.0.1:1", "127.0.0.1:2"], &["--html", "no/a"], "--html: no/a"),
    ] {
        // nobody listens there, and nobody is asked
        let output = run(folder.path(), &[command, args].concat()).await;
        assert_eq!(code(&output), 2, "{}", said(&output));
        assert!(said(&output).contains(expected), "{expected}: {}", said(&output));
        assert!(!said(&output).contains("cannot be reached"), "{}", said(&output));
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "{args:?}");
    }
}

#[tokio::test]
async fn an_impossible_value_is_told_with_its_option_before_anything_is_sent() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let long = "x".repeat(101);
    for (command, option, value, range) in [
        ("audit", "--identifier-prefix", "a/b", "no `/`"),
        ("property", "--identifier-prefix", &long, "1 to 100 bytes"),
        ("snapshot", "--identifier-prefix", "", "1 to 100 bytes"),
        ("audit", "--archived", "..", "is a path"),
        ("audit", "--peer-bind", &taken, "in use"),
        ("property", "--peer-bind", &taken, "in use"),
        ("audit", "--jobs", "0", "1 or more"),
        ("property", "--jobs", "0", "1 or more"),
        ("property", "--cases", "0", "1 or more"),
        ("property", "--settles", "-1", "2.5"),
        ("probe", "--watch", "0", "1 or more"),
        ("audit", "--patience", "0", "0.01 to 100"),
        ("audit", "--patience", "nan", "0.01 to 100"),
        ("snapshot", "--patience", "-1", "0.01 to 100"),
        ("property", "--patience", "101", "0.01 to 100"),
    ] {
        // nobody listens there, and nobody is asked
        let output = run(folder.path(), &[command, "127.0.0.1:1", option, value]).await;
        assert_eq!(code(&output), 2, "{option} {value}: {}", said(&output));
        assert!(said(&output).contains(option) && said(&output).contains(range), "{}", said(&output));
        assert!(!said(&output).contains("cannot be reached"), "{}", said(&output));
    }
}

#[tokio::test]
async fn a_quiet_audit_has_no_line_for_what_passed() {
    let (folder, (server, _)) = (tempfile::tempdir().unwrap(), servers().await);
    let args = ["audit", &server.url, "--filter", "G01/nip11"];
    let loud = run(folder.path(), &args).await;
    let quiet = run(folder.path(), &[&args[..], &["--quiet"]].concat()).await;
    assert_eq!((code(&loud), code(&quiet)), (1, 1));
    let passed = |output: &Output| said(output).lines().any(|line| line.trim_start().starts_with("pass "));
    assert!(passed(&loud) && !passed(&quiet), "{}", said(&quiet));
    for text in ["FAIL G01/nip11/", "expected: ", " passed, ", "a MUST does not hold"] {
        assert!(said(&quiet).contains(text), "{text}: {}", said(&quiet));
    }
    assert_eq!(String::from_utf8_lossy(&quiet.stderr), "");
}

#[tokio::test]
async fn what_is_asked_for_and_is_not_there_is_told() {
    let folder = tempfile::tempdir().unwrap();
    for args in [&["list", "--filter", "nope"][..], &["audit", "--list", "--filter", "nope"]] {
        let output = run(folder.path(), args).await;
        assert_eq!(code(&output), 2, "{args:?}: {}", said(&output));
        assert!(said(&output).contains("no check matches \"nope\""), "{}", said(&output));
    }
    for id in ["nope", "G0", "H/nope", "G01/cors/nope", ""] {
        let output = run(folder.path(), &["explain", id]).await;
        assert!(code(&output) == 2 && said(&output).contains("is neither"), "{id}: {}", said(&output));
    }
    let output = run(folder.path(), &["list", "--filter", "H/git"]).await;
    assert!(code(&output) == 0 && said(&output).contains("H/git/"), "{}", said(&output));
}

#[tokio::test]
async fn sections_are_explained_and_so_is_what_no_check_examines() {
    let folder = tempfile::tempdir().unwrap();
    for (id, there, not_there) in [
        ("G02/sync/daily", "No check examines it: it takes a day", "Examined by"),
        ("G01/cors/options/root", "Examined by:\n  G01/cors/options/", "No check"),
        ("G01", "\n  MUST   G01/cors/options (", "G02/"),
        ("G01/cors/", "G01/cors  Core service: CORS on every response\n  MUST   G01/cors/", "G01/git/"),
        ("G02/sync", "seed   G02/sync/daily (0 checks)", "G02/events/"),
        ("H", "H/relay/", "G01/"),
        ("H/git", "H/git (--hardening)", "H/relay/"),
    ] {
        let output = run(folder.path(), &["explain", id]).await;
        assert_eq!(code(&output), 0, "{id}: {}", said(&output));
        assert!(said(&output).contains(there), "{id}: {}", said(&output));
        assert!(!said(&output).contains(not_there), "{id}: {}", said(&output));
    }
}

#[tokio::test]
async fn a_wrong_key_is_blamed_on_what_named_it() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["audit", "127.0.0.1:1", "--nsec", "xyz"]).await;
    assert!(code(&output) == 2 && said(&output).contains("--nsec is no secret key"), "{}", said(&output));
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_grasp-audit"));
    let output =
        command.args(["audit", "127.0.0.1:1"]).env("GRASP_AUDIT_NSEC", "xyz").output().await.unwrap();
    let expected = "the variable GRASP_AUDIT_NSEC is no secret key";
    assert!(code(&output) == 2 && said(&output).contains(expected), "{}", said(&output));
}

#[tokio::test]
async fn every_command_tells_how_it_ends_and_shows_examples() {
    let folder = tempfile::tempdir().unwrap();
    let commands = ["audit", "property", "replay", "snapshot", "diff", "agree", "probe", "list", "explain"];
    for command in commands {
        let help = said(&run(folder.path(), &[command, "--help"]).await);
        assert!(help.contains(&format!("\n  grasp-audit {command} ")), "{command}: {help}");
        assert!(help.contains("Exit code: 0"), "{command}: {help}");
    }
}

#[tokio::test]
async fn a_reader_that_has_gone_costs_neither_the_files_nor_the_exit_code() {
    let (folder, (server, _)) = (tempfile::tempdir().unwrap(), servers().await);
    let audit = [&["audit", &server.url, "--json", "a.json"], &QUICK[..]].concat();
    for (args, expected) in [
        (&["list"][..], 0),
        (&["explain", "G01/cors/origin"], 0),
        (&["probe", &server.url, "--watch", "3600"], 0),
        (&audit, 1),
    ] {
        let output = run_unread(folder.path(), args).await;
        assert_eq!(code(&output), expected, "{args:?}: {}", said(&output));
        assert!(!said(&output).contains("panicked"), "{args:?}: {}", said(&output));
    }
    assert_eq!(json(folder.path(), "a.json")["format"], "grasp-audit/report");
}

#[tokio::test]
async fn an_interrupted_audit_cleans_up_writes_its_reports_and_says_so() {
    let (folder, (server, _)) = (tempfile::tempdir().unwrap(), servers().await);
    let mut command = tokio::process::Command::new(env!("CARGO_BIN_EXE_grasp-audit"));
    command.args(["audit", &server.url, "--json", "a.json", "--jobs", "1"]).current_dir(folder.path());
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
    let mut audit = command.spawn().unwrap();
    let mut lines = tokio::io::BufReader::new(audit.stderr.take().unwrap()).lines();
    while !lines.next_line().await.unwrap().expect("the audit goes on").ends_with(" ms)") {}
    let signal = std::process::Command::new("kill").args(["-INT", &audit.id().unwrap().to_string()]).status();
    assert!(signal.unwrap().success());
    let rest = async {
        let mut told = String::new();
        while let Some(line) = lines.next_line().await.unwrap() {
            told += &line;
        }
        told
    };
    let (output, told) = tokio::join!(audit.wait_with_output(), rest);
    let output = output.unwrap();
    assert_eq!(code(&output), 130, "{told}");
    assert!(told.contains("interrupted: what was published is taken back"), "{told}");
    let checks = json(folder.path(), "a.json")["checks"].as_array().unwrap().clone();
    let interrupted = checks.iter().filter(|check| check.to_string().contains("the run was interrupted"));
    let interrupted = interrupted.count();
    assert!(0 < interrupted && interrupted < checks.len(), "{interrupted} of {}", checks.len());
}

#[tokio::test]
async fn several_servers_get_a_comparison_and_a_report_each() {
    let (folder, (boast, no)) = (tempfile::tempdir().unwrap(), servers().await);
    let mut args =
        vec!["audit", &boast.url, &no.url, "http://127.0.0.1:1", "--json", "c.json", "--html", "c.html"];
    args.extend(["--markdown", "c.md", "--badge", "c.svg", "--junit", "c.xml"]);
    args.extend(QUICK);
    let output = run(folder.path(), &args).await;
    assert_eq!(code(&output), 2, "the worst: one cannot be reached\n{}", said(&output));
    let compared = json(folder.path(), "c.json");
    assert_eq!(compared["format"], "grasp-audit/comparison");
    let codes: Vec<i64> = compared["servers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|server| server["exit_code"].as_i64().unwrap())
        .collect();
    assert_eq!(codes, [1, 1, 2]);
    assert!(compared["servers"][2]["error"].as_str().unwrap().contains("cannot be reached"));
    let mut files: Vec<String> = std::fs::read_dir(folder.path())
        .unwrap()
        .map(|file| {
            file.unwrap()
                .file_name()
                .into_string()
                .unwrap()
                .replace(&port(&boast), "A")
                .replace(&port(&no), "B")
        })
        .collect();
    files.sort();
    assert_eq!(
        files,
        [
            "c.html",
            "c.json",
            "c.localhost-A.html",
            "c.localhost-A.json",
            "c.localhost-A.md",
            "c.localhost-A.svg",
            "c.localhost-B.html",
            "c.localhost-B.json",
            "c.localhost-B.md",
            "c.localhost-B.svg",
            "c.md",
            "c.xml",
        ]
    );
    let page = std::fs::read_to_string(folder.path().join("c.html")).unwrap();
    assert!(page.contains(&format!("href=\"c.localhost-{}.html\"", port(&no))), "it leads to the reports");
}

#[tokio::test]
async fn the_versions_of_suite_and_catalogues_are_told_apart() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(folder.path(), &["--version"]).await;
    let (suite, catalogue) = (grasp_audit::VERSION, grasp_audit::catalogue::REVISION);
    let cases = grasp_audit::hardening::REVISION;
    let expected = format!("grasp-audit {suite} (catalogue {catalogue}, hardening cases {cases})\n");
    assert_eq!(said(&output), expected);
}

#[tokio::test]
async fn stories_and_snapshots_name_the_suite_and_the_catalogue() {
    let (folder, (server, _)) = (tempfile::tempdir().unwrap(), servers().await);
    let folder = folder.path();
    let args =
        ["property", &server.url, "--cases", "1", "--seed", "1", "--no-regressions", "--out", "story.json"];
    let output = run(folder, &[&args[..], &["--patience", "0.01", "--settles", "0.1"]].concat()).await;
    assert!(said(&output).contains(&grasp_audit::versions()), "{}", said(&output));
    assert_eq!(code(&output), 1, "a server that keeps nothing fails the first story\n{}", said(&output));
    let output =
        run(folder, &["replay", "story.json", &server.url, "--patience", "0.01", "--settles", "0.1"]).await;
    assert!(said(&output).contains(&grasp_audit::versions()), "{}", said(&output));
    let output = run(folder, &["snapshot", &server.url, "--out", "s.json", "--patience", "0.01"]).await;
    assert_eq!(code(&output), 0, "{}", said(&output));
    for file in ["story.json", "s.json"] {
        let written = json(folder, file);
        let named = (written["suite"].as_str().unwrap(), written["catalogue"].as_str().unwrap());
        assert_eq!(named, (grasp_audit::VERSION, grasp_audit::catalogue::REVISION), "{file}");
    }
}

/// Over soon, and weak against every null server.
const HOSTILE: [&str; 4] = ["--filter", "H/http/strange-methods", "--patience", "0.05"];

#[tokio::test]
async fn nothing_hostile_is_sent_unless_it_is_asked_for() {
    let (folder, (server, _)) = (tempfile::tempdir().unwrap(), servers().await);
    let args = ["audit", &server.url, "--json", "a.json", "--markdown", "a.md", "--html", "a.html"];
    let output = run(folder.path(), &[&args[..], &QUICK].concat()).await;
    assert!(!said(&output).contains("H/") && !said(&output).contains("ardening"), "{}", said(&output));
    assert_eq!(json(folder.path(), "a.json").get("hardening"), None);
    for file in ["a.md", "a.html"] {
        let text = std::fs::read_to_string(folder.path().join(file)).unwrap();
        assert!(!text.contains("Hardening"), "{file}");
    }
    // a filter that only hostile cases match selects nothing
    let output = run(folder.path(), &[&["audit", server.url.as_str()], &HOSTILE[..]].concat()).await;
    assert_eq!(code(&output), 2, "{}", said(&output));
    assert!(said(&output).contains("no check matches"), "{}", said(&output));
}

#[tokio::test]
async fn hardening_explains_itself_and_refuses_where_nobody_can_confirm() {
    let folder = tempfile::tempdir().unwrap();
    // nobody listens there: had anything been sent, that would be said
    let args = [&["audit", "127.0.0.1:1", "--hardening", "--json", "a.json"], &HOSTILE[..]].concat();
    let output = run(folder.path(), &args).await;
    assert_eq!(code(&output), 2, "{}", said(&output));
    for text in
        ["1 case, one after the other", "a server that is yours", "--i-have-permission", "nothing was sent"]
    {
        assert!(said(&output).contains(text), "{text}: {}", said(&output));
    }
    assert!(!said(&output).contains("cannot be reached"), "{}", said(&output));
    assert!(!folder.path().join("a.json").exists());
    for (args, expected) in [
        (["audit", "127.0.0.1:1", "--i-have-permission"], "--hardening"),
        (["audit", "127.0.0.1:1", "--hardening-must-hold"], "--hardening"),
    ] {
        let output = run(folder.path(), &args).await;
        assert!(code(&output) == 2 && said(&output).contains(expected), "{}", said(&output));
    }
    let two = ["audit", "127.0.0.1:1", "127.0.0.1:2", "--hardening", "--i-have-permission"];
    assert!(said(&run(folder.path(), &two).await).contains("one server at a time"));
}

#[tokio::test]
async fn hardening_is_reported_apart_and_decides_only_where_it_is_asked_to() {
    let (folder, (server, _)) = (tempfile::tempdir().unwrap(), servers().await);
    let mut args = vec!["audit", &server.url, "--hardening", "--i-have-permission", "--json", "a.json"];
    args.extend(["--markdown", "a.md", "--html", "a.html"]);
    args.extend(HOSTILE);
    let output = run(folder.path(), &args).await;
    assert_eq!(code(&output), 0, "{}", said(&output));
    assert!(said(&output).contains("not conformance"), "{}", said(&output));
    let hostile = &json(folder.path(), "a.json")["hardening"];
    assert_eq!(hostile["cases"][0]["verdict"], "weak", "{hostile:#}");
    assert_eq!(hostile["suite"], grasp_audit::VERSION);
    assert_eq!(hostile["catalogue"], grasp_audit::hardening::REVISION);
    for file in ["a.md", "a.html"] {
        let text = std::fs::read_to_string(folder.path().join(file)).unwrap();
        assert!(
            text.contains("H/http/strange-methods") && text.contains(grasp_audit::hardening::REVISION),
            "{file}"
        );
    }
    args.push("--hardening-must-hold");
    assert_eq!(code(&run(folder.path(), &args).await), 1);
}

fn port(server: &NullServer) -> String {
    server.url.rsplit(':').next().unwrap().to_owned()
}

#[tokio::test]
async fn beside_a_baseline_what_failed_before_does_not_fail() {
    let (folder, (server, _)) = (tempfile::tempdir().unwrap(), servers().await);
    let mut args = vec!["audit", server.url.as_str(), "--json", "before.json"];
    args.extend(QUICK);
    assert_eq!(code(&run(folder.path(), &args).await), 1);
    let mut args = vec!["audit", server.url.as_str(), "--json", "now.json", "--baseline", "before.json"];
    args.extend(QUICK);
    let output = run(folder.path(), &args).await;
    assert_eq!(code(&output), 0, "{}", said(&output));
    assert!(said(&output).contains("nothing got worse than in the baseline"), "{}", said(&output));
    // the baseline says that it once passed
    let path = folder.path().join("before.json");
    let better =
        std::fs::read_to_string(&path).unwrap().replacen(r#""verdict": "fail""#, r#""verdict": "pass""#, 1);
    std::fs::write(&path, better).unwrap();
    let output = run(folder.path(), &args).await;
    assert_eq!(code(&output), 1, "{}", said(&output));
    assert!(said(&output).contains("1 got worse"), "{}", said(&output));
    assert_eq!(json(folder.path(), "now.json")["baseline"]["changes"][0]["kind"], "worse");
}

#[tokio::test]
async fn a_wrong_baseline_is_told_before_anything_is_examined() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("page.html"), "<html>").unwrap();
    std::fs::write(folder.path().join("surface.json"), r#"{"format": "grasp-audit/surface", "schema": 1}"#)
        .unwrap();
    for (args, expected) in [
        (vec!["--baseline", "page.html"], "--baseline: page.html is no grasp-audit/report: it is not JSON"),
        (vec!["--baseline", "surface.json"], r#"it says that it is a "grasp-audit/surface""#),
        (vec!["--baseline", "nowhere.json"], "--baseline: nowhere.json cannot be read: No such file"),
        (vec!["127.0.0.1:2", "--baseline", "surface.json"], "give one URL with it"),
        (vec!["http://127.0.0.1:1/"], "127.0.0.1:1 is named twice"),
        (vec!["ftp://x"], "`ftp` is no scheme of a GRASP service"),
    ] {
        // nobody listens there, and nobody is asked
        let output = run(folder.path(), &[&["audit", "127.0.0.1:1"], args.as_slice()].concat()).await;
        assert_eq!(code(&output), 2);
        assert!(said(&output).contains(expected), "{}", said(&output));
        assert!(!said(&output).contains("cannot be reached"), "{}", said(&output));
    }
}

#[tokio::test]
async fn snapshots_are_written_and_compared() {
    let (folder, (server, other)) = (tempfile::tempdir().unwrap(), servers().await);
    let folder = folder.path();
    let quick = ["--patience", "0.01"];
    let take = |url: &str, file: &str| {
        [vec!["snapshot", url, "--out", file], quick.to_vec()]
            .concat()
            .iter()
            .map(|arg| (*arg).to_owned())
            .collect::<Vec<String>>()
    };
    for (url, file) in [(&server.url, "a.json"), (&other.url, "b.json")] {
        let args = take(url, file);
        let args: Vec<&str> = args.iter().map(String::as_str).collect();
        let output = run(folder, &args).await;
        assert_eq!(code(&output), 0, "{}", said(&output));
        assert_eq!(json(folder, file)["format"], "grasp-audit/surface");
    }
    let same = run(folder, &["diff", "a.json", "a.json"]).await;
    assert_eq!(code(&same), 0, "{}", said(&same));
    let args = ["diff", "a.json", "b.json", "--json", "d.json", "--markdown", "d.md", "--html", "d.html"];
    let different = run(folder, &args).await;
    assert_eq!(code(&different), 1, "{}", said(&different));
    assert!(said(&different).contains("MUST   G01/nip11/supported-grasps"), "{}", said(&different));
    assert_eq!(json(folder, "d.json")["format"], "grasp-audit/difference");
    assert!(std::fs::read_to_string(folder.join("d.md")).unwrap().contains("# Two GRASP servers"));
    assert!(std::fs::read_to_string(folder.join("d.html")).unwrap().starts_with("<!DOCTYPE html>"));
}

#[tokio::test]
async fn a_snapshot_that_cannot_be_is_told() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("report.json"), r#"{"format": "grasp-audit/report", "schema": 1}"#)
        .unwrap();
    for (args, expected) in [
        (vec!["diff", "nowhere.json", "127.0.0.1:1"], "nowhere.json cannot be read: No such file"),
        (
            vec!["diff", "report.json", "127.0.0.1:1"],
            "report.json is no grasp-audit/surface: it says that it is a",
        ),
        (vec!["snapshot", "http://127.0.0.1:1", "--out", "s.json"], "Is the server running"),
        (vec!["snapshot", "http://127.0.0.1:1/x"], "has more than host and port"),
    ] {
        let output = run(folder.path(), &args).await;
        assert_eq!(code(&output), 2, "{}", said(&output));
        assert!(said(&output).contains(expected), "{}", said(&output));
    }
    assert!(!folder.path().join("s.json").exists(), "nothing is written");
}

#[tokio::test]
async fn whether_servers_agree_is_asked_of_two_or_more_different_ones_that_answer() {
    let (folder, (boast, no)) = (tempfile::tempdir().unwrap(), servers().await);
    let alone = run(folder.path(), &["agree", &boast.url]).await;
    assert_eq!(code(&alone), 2, "{}", said(&alone));
    let twice = run(folder.path(), &["agree", &boast.url, &boast.url]).await;
    assert!(code(&twice) == 2 && said(&twice).contains("is named twice"), "{}", said(&twice));
    let gone = run(folder.path(), &["agree", &boast.url, "one.example=http://127.0.0.1:1"]).await;
    assert!(code(&gone) == 2 && said(&gone).contains("127.0.0.1:1 cannot be reached"), "{}", said(&gone));
    let silent = run(folder.path(), &["agree", &boast.url, &no.url, "--patience", "0.05"]).await;
    assert!(code(&silent) == 2 && said(&silent).contains("the relay of"), "{}", said(&silent));
}
