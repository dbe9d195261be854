//! The reusable CI action, carried out as a CI would: the `run` blocks of `action.yml`, with the inputs set.
//!
//! The suite that it runs is the one that `make build` has made; without it these tests are skipped, which is a failure
//! where the gate is to be complete.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::Value;
use spec_tests::{Backend, Setup, gate, process};
use tempfile::TempDir;
use yaml_rust2::{Yaml, YamlLoader};

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The suite's program; says why there is none.
fn program(test: &str) -> Option<PathBuf> {
    let program = repository().join("target/release/grasp-audit");
    if !program.exists() {
        gate::skip(
            test,
            "target/release/grasp-audit is not built; `make build` does that, and so does `make test`",
        );
        return None;
    }
    Some(program)
}

fn action() -> Yaml {
    let text = std::fs::read_to_string(repository().join("action.yml")).unwrap();
    YamlLoader::load_from_str(&text).unwrap().remove(0)
}

fn text<'a>(yaml: &'a Yaml, name: &str) -> &'a str {
    yaml[name].as_str().unwrap_or_default()
}

/// A runner for the action's steps: its temporary folder, the workspace, and the files that steps write for it.
struct Runner {
    folder: TempDir,
    inputs: BTreeMap<String, String>,
}

impl Runner {
    fn new(given: &[(&str, &str)]) -> Self {
        let action = action();
        let declared = action["inputs"].as_hash().unwrap();
        let mut inputs: BTreeMap<_, _> = declared
            .iter()
            .map(|(name, input)| (name.as_str().unwrap().to_owned(), text(input, "default").to_owned()))
            .collect();
        for (name, value) in given {
            assert!(inputs.insert((*name).to_owned(), (*value).to_owned()).is_some(), "{name} is no input");
        }
        Self { folder: tempfile::tempdir().unwrap(), inputs }
    }

    fn workspace(&self) -> PathBuf {
        self.folder.path().join("workspace")
    }

    fn report(&self, file: &str) -> String {
        std::fs::read_to_string(self.workspace().join("grasp-report").join(file)).unwrap_or_default()
    }

    fn written(&self, file: &str) -> String {
        std::fs::read_to_string(self.folder.path().join(file)).unwrap_or_default()
    }

    /// Runs the step of that name as the CI's `shell: bash` does, with `path` in front of the search path.
    fn run(&self, step: &str, path: &Path) -> Output {
        std::fs::create_dir_all(self.workspace()).unwrap();
        let action = action();
        let steps = action["runs"]["steps"].as_vec().unwrap();
        let step = steps.iter().find(|candidate| text(candidate, "name") == step).expect("the step is there");
        assert_eq!(text(step, "shell"), "bash");
        let script = self.folder.path().join("step.sh");
        std::fs::write(&script, text(step, "run")).unwrap();
        let mut search = vec![path.to_owned()];
        search.extend(std::env::split_paths(&std::env::var_os("PATH").unwrap()));
        let mut command = Command::new("bash");
        command
            .args(["--noprofile", "--norc", "-eo", "pipefail"])
            .arg(script)
            .current_dir(self.workspace())
            .env("PATH", std::env::join_paths(search).unwrap())
            .stdin(Stdio::null());
        for file in ["GITHUB_PATH", "GITHUB_STEP_SUMMARY"] {
            command.env(file, self.folder.path().join(file));
        }
        for (name, value) in step["env"].as_hash().unwrap() {
            command.env(name.as_str().unwrap(), self.expanded(value.as_str().unwrap()));
        }
        command.output().unwrap()
    }

    /// `${{ … }}` replaced by what a CI would put there.
    fn expanded(&self, value: &str) -> String {
        let mut expanded = String::new();
        let mut rest = value;
        while let Some((before, after)) = rest.split_once("${{") {
            let (expression, after) = after.split_once("}}").expect("an expression ends");
            expanded.push_str(before);
            expanded.push_str(&match expression.trim() {
                "github.action_path" => repository().display().to_string(),
                "runner.temp" => self.folder.path().display().to_string(),
                other => self.inputs[other.strip_prefix("inputs.").expect("an input")].clone(),
            });
            rest = after;
        }
        expanded + rest
    }
}

fn said(output: &Output) -> String {
    format!("{}\n{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

const EXAMINE: &str = "Examine the server";

/// A server that listens on a port of the test's choice, in a folder of its own; `start` for the action.
fn started_by_the_action(folder: &Path, variables: &str) -> (String, String) {
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let server = env!("CARGO_BIN_EXE_server-under-test");
    let start = format!(
        "cd '{}' && echo $$ >pid && exec env {variables} NGIT_SYNC_ENABLE=false NGIT_BIND_ADDRESS=127.0.0.1:{port} '{server}'",
        folder.display()
    );
    (format!("http://127.0.0.1:{port}"), start)
}

#[test]
fn the_action_starts_a_server_examines_it_reports_and_stops_it() {
    let test = "the_action_starts_a_server_examines_it_reports_and_stops_it";
    let Some(program) = program(test) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (url, start) = started_by_the_action(folder.path(), "");
    let program = program.display().to_string();
    let options = "--filter G01/nip11 --jobs 2";
    let runner =
        Runner::new(&[("url", &url), ("start", &start), ("options", options), ("program", &program)]);
    let output = runner.run(EXAMINE, Path::new("/nonexistent"));
    assert_eq!(output.status.code(), Some(0), "{}", said(&output));

    let report: Value = serde_json::from_str(&runner.report("audit.json")).unwrap();
    assert!(report["totals"]["passed"].as_u64().unwrap() > 10, "{}", report["totals"]);
    assert_eq!(report["url"], url);
    assert!(runner.report("audit.xml").contains("<testsuites"));
    assert!(runner.report("audit.html").starts_with("<!DOCTYPE html>"));
    assert_eq!(runner.written("GITHUB_STEP_SUMMARY"), runner.report("audit.md"));
    assert!(runner.report("server.log").contains("stopped"), "it was asked to stop, not killed");
    assert!(runner.written("GITHUB_STEP_SUMMARY").contains("every MUST that was examined holds"));
    let pid: u32 = std::fs::read_to_string(folder.path().join("pid")).unwrap().trim().parse().unwrap();
    assert_eq!(process::ticks(pid), None, "the server is gone");
}

#[test]
fn the_action_fails_where_a_must_does_not_hold() {
    let test = "the_action_fails_where_a_must_does_not_hold";
    let Some(program) = program(test) else { return };
    let folder = tempfile::tempdir().unwrap();
    let (url, start) = started_by_the_action(folder.path(), "GRASP_FAULT=unlisted-taken");
    let program = program.display().to_string();
    let options = "--filter G01/relay/rejects-unlisted";
    let runner =
        Runner::new(&[("url", &url), ("start", &start), ("options", options), ("program", &program)]);
    let output = runner.run(EXAMINE, Path::new("/nonexistent"));
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let report: Value = serde_json::from_str(&runner.report("audit.json")).unwrap();
    assert!(report["totals"]["failed_must"].as_u64().unwrap() > 0);
    assert!(runner.written("GITHUB_STEP_SUMMARY").contains("❌ fail `G01/relay/rejects-unlisted/"));
}

#[test]
fn the_action_tells_a_server_that_cannot_be_examined_from_a_bad_one() {
    let test = "the_action_tells_a_server_that_cannot_be_examined_from_a_bad_one";
    let Some(program) = program(test) else { return };
    let folder = tempfile::tempdir().unwrap();
    let program = program.display().to_string();
    let examined = |url: &str, start: &str| {
        let runner = Runner::new(&[("url", url), ("start", start), ("wait", "1"), ("program", &program)]);
        let output = runner.run(EXAMINE, Path::new("/nonexistent"));
        (output.status.code(), said(&output))
    };

    let (url, start) = started_by_the_action(folder.path(), "NGIT_MAX_LIMIT=many");
    let (code, told) = examined(&url, &start);
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("has ended before it answered") && told.contains("NGIT_MAX_LIMIT"), "{told}");

    let (code, told) = examined(&url, "exec sleep 60");
    assert_eq!(code, Some(2), "{told}");
    assert!(told.contains("nobody answers"), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_action_does_not_take_another_server_for_the_one_it_starts() {
    let test = "the_action_does_not_take_another_server_for_the_one_it_starts";
    let Some(program) = program(test) else { return };
    let server = Setup::new(env!("CARGO_BIN_EXE_server-under-test"), Backend::Memory).start().await;
    let (url, program) = (server.url(), program.display().to_string());
    let output = tokio::task::spawn_blocking(move || {
        let runner = Runner::new(&[("url", &url), ("start", "exec sleep 60"), ("program", &program)]);
        runner.run(EXAMINE, Path::new("/nonexistent"))
    });
    let output = output.await.unwrap();
    assert_eq!(output.status.code(), Some(2), "{}", said(&output));
    assert!(said(&output).contains("answers at ws://127.0.0.1"), "{}", said(&output));
}

/// cargo itself would build for minutes: what it is asked for is what counts here.
#[test]
fn without_a_program_the_action_builds_its_own_revision_of_the_suite() {
    let action = action();
    let build = &action["runs"]["steps"][0];
    assert_eq!((text(build, "name"), text(build, "if")), ("Build grasp-audit", "inputs.program == ''"));

    let shims = tempfile::tempdir().unwrap();
    let cargo = shims.path().join("cargo");
    std::fs::write(&cargo, format!("#!/bin/sh\necho \"$@\" >'{}/asked'\n", shims.path().display())).unwrap();
    std::fs::set_permissions(&cargo, std::fs::Permissions::from_mode(0o755)).unwrap();
    let runner = Runner::new(&[("url", "http://127.0.0.1:1")]);
    let output = runner.run("Build grasp-audit", shims.path());
    assert!(output.status.success(), "{}", said(&output));
    let root = runner.folder.path().join("grasp-audit");
    let asked = std::fs::read_to_string(shims.path().join("asked")).unwrap();
    let (source, root) = (repository().join("grasp-audit"), root.display());
    assert_eq!(asked.trim(), format!("install --locked --path {} --root {root}", source.display()));
    assert_eq!(runner.written("GITHUB_PATH").trim(), format!("{root}/bin"));
}
