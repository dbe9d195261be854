//! The command as an operator meets it: `check-config`, help, and a first start.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, Output, Stdio};

/// The command in an empty folder, without any setting from outside.
fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_grasp-server"));
    command.current_dir(folder);
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("NGIT_") {
            command.env_remove(name);
        }
    }
    command
}

fn text(output: &Output) -> (String, String) {
    (String::from_utf8(output.stdout.clone()).unwrap(), String::from_utf8(output.stderr.clone()).unwrap())
}

#[test]
fn check_config_shows_every_value_and_where_it_came_from() {
    const NSEC: &str = "nsec1vl029mgpspedva04g90vltkh6fvh240zqtv9k0t9af8935ke9laqsnlfe5";
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(".env"), format!("NGIT_RELAY_OWNER_NSEC={NSEC}\nNGIT_MAX_FILTERS=7\n"))
        .unwrap();
    let output = command(folder.path())
        .env("NGIT_DOMAIN", "git.example.org")
        .env("NGIT_DOMIAN", "misspelt")
        .args(["check-config", "--max-limit", "900"])
        .output()
        .unwrap();
    let (shown, told) = text(&output);
    assert!(output.status.success(), "{told}");
    let line = |name: &str| shown.lines().find(|line| line.starts_with(name)).expect(name).to_owned();
    assert!(line("NGIT_DOMAIN").contains("git.example.org") && line("NGIT_DOMAIN").contains("[environment]"));
    assert!(line("NGIT_MAX_LIMIT").contains("900") && line("NGIT_MAX_LIMIT").contains("[command line]"));
    assert!(line("NGIT_MAX_FILTERS").contains("[.env]") && line("NGIT_BIND_ADDRESS").contains("[default]"));
    assert!(line("NGIT_RELAY_OWNER_NSEC").contains("not shown") && !shown.contains(NSEC));
    assert!(told.starts_with("NGIT_DOMIAN") && !shown.contains("NGIT_DOMIAN"), "{told}");
    let left: Vec<_> = std::fs::read_dir(folder.path()).unwrap().collect();
    assert_eq!(left.len(), 1, "checking writes nothing");
}

#[test]
fn what_is_wrong_is_told_all_at_once_and_the_exit_code_says_so() {
    let folder = tempfile::tempdir().unwrap();
    for subcommand in ["check-config", "serve"] {
        let output = command(folder.path())
            .env("NGIT_BIND_ADDRESS", "nowhere")
            .env("NGIT_REPOSITORY_WHITELIST", "npub1nonsense")
            .arg(subcommand)
            .output()
            .unwrap();
        let (shown, told) = text(&output);
        assert_eq!(output.status.code(), Some(2));
        assert!(shown.is_empty());
        assert!(told.contains("NGIT_BIND_ADDRESS") && told.contains("NGIT_REPOSITORY_WHITELIST"), "{told}");
    }
}

#[test]
fn a_broken_dotenv_stops_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let lines = "NGIT_RELAY_NAME=\"Our server\"\n# a comment\nNGIT_RELAY_DESCRIPTION=no quotes here\n";
    std::fs::write(folder.path().join(".env"), lines).unwrap();
    let output = command(folder.path()).arg("check-config").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let (_, told) = text(&output);
    assert!(told.contains(".env: line 3 ") && !told.contains("no quotes here"), "{told}");
}

#[test]
fn an_owners_key_that_would_stop_the_start_is_found_by_the_check() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join(grasp_server::owner_key::FILE), "nonsense").unwrap();
    let output = command(folder.path()).arg("check-config").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let (shown, told) = text(&output);
    assert!(told.contains("holds no private key") && shown.contains("NGIT_DOMAIN"), "{told}");
}

#[test]
fn a_start_in_vain_leaves_nothing_and_two_servers_do_not_share_databases() {
    let folder = tempfile::tempdir().unwrap();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let output = command(folder.path()).args(["--bind-address", &address]).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).1.contains("set NGIT_BIND_ADDRESS"), "{}", text(&output).1);
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);

    let databases = folder.path().join("databases");
    std::fs::create_dir(&databases).unwrap();
    let lock = std::fs::File::create(databases.join("lock")).unwrap();
    lock.lock().unwrap();
    let output = command(folder.path())
        .args(["--bind-address", "127.0.0.1:0", "--relay-data-path", "databases"])
        .output()
        .unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).1.contains("set NGIT_RELAY_DATA_PATH to another folder"), "{}", text(&output).1);
    assert!(!databases.join("events").exists());
}

#[test]
fn the_help_names_every_setting() {
    let folder = tempfile::tempdir().unwrap();
    let (help, _) = text(&command(folder.path()).arg("--help").output().unwrap());
    for setting in grasp_server::config::SETTINGS {
        assert!(
            help.contains(setting.name) && help.contains(&format!("--{}", setting.flag())),
            "{}",
            setting.name
        );
    }
}

/// What `healthcheck` says of a server bound to `address`: its exit code and what it printed.
fn healthcheck(folder: &Path, address: &str) -> (Option<i32>, String) {
    let output = command(folder).args(["--bind-address", address, "healthcheck"]).output().unwrap();
    let (said, complained) = text(&output);
    (output.status.code(), said + &complained)
}

#[test]
fn a_health_check_of_what_cannot_answer_fails_with_the_reason() {
    let folder = tempfile::tempdir().unwrap();
    let (code, told) = healthcheck(folder.path(), "127.0.0.1:0");
    assert_eq!(code, Some(1));
    assert!(told.contains("name a port"), "{told}");

    // Bound and never served: the port is taken, and nobody says anything on it but the end.
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap();
    let mute = std::thread::spawn(move || drop(taken.accept().unwrap()));
    let (code, told) = healthcheck(folder.path(), &address.to_string());
    assert_eq!(code, Some(1));
    assert!(told.contains(&format!("no answer from http://{address}/healthz")), "{told}");
    mute.join().unwrap();
    assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0, "asking writes nothing");
}

#[test]
fn a_first_start_needs_nothing_and_a_signal_ends_it() {
    let folder = tempfile::tempdir().unwrap();
    let mut server = command(folder.path())
        .args(["--bind-address", "127.0.0.1:0"])
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut log = BufReader::new(server.stderr.take().unwrap());
    let mut line = String::new();
    while !line.contains("listening") {
        line.clear();
        assert_ne!(log.read_line(&mut line).unwrap(), 0, "the server ended");
    }
    assert!(folder.path().join(grasp_server::owner_key::FILE).exists());
    let address = line.trim().rsplit("address=").next().unwrap();
    assert_eq!(healthcheck(folder.path(), address), (Some(0), "ok\n".to_owned()));
    let killed = Command::new("kill").arg(server.id().to_string()).status().unwrap();
    assert!(killed.success());
    let mut rest = String::new();
    log.read_to_string(&mut rest).unwrap();
    assert!(server.wait().unwrap().success(), "{rest}");
    assert!(rest.contains("stopped"), "{rest}");
}
