//! Our own images, as `make image` has left them, in real containers.
//!
//! Without an engine or an image these tests say so and are skipped; `make test` and CI build and start what is missing,
//! and there a skip is a failure.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use grasp_audit::check::{Check, Verdict};
use grasp_audit::report::terminal;
use grasp_audit::target::Target;
use grasp_audit::{Options, Report, Suite, specs};
use rustix::process::{Pid, Signal, kill_process};
use spec_tests::container::{Container, Wanted};
use spec_tests::engine::{self, Left, docker};
use spec_tests::gate::{ARCHIVED, EXPIRY, MAY_SKIP, NEED_THE_PLAIN_SERVER};
use spec_tests::image::{self, AUDIT, SERVER};
use spec_tests::instance::{context, eventually};
use spec_tests::{Backend, Setup, process};

/// The user that both images run as.
const NOBODY: &str = "10001";
/// The most that an image may take, in bytes.
const SMALL: u64 = 80_000_000;

/// Whether `test` can be carried out; says why not.
fn has_image(test: &str) -> bool {
    image::is_there(&[SERVER, AUDIT], test)
}

/// A container of our server that knows its name.
fn ours() -> Wanted {
    // On a loopback address it reaches out to its own machine only; events of the suite name hosts that are not there.
    Wanted::new(SERVER, 7334)
        .set("NGIT_DOMAIN", "{authority}")
        .set("NGIT_GRASP06_ENABLE", "true")
        .set("NGIT_ARCHIVE_WHITELIST", ARCHIVED)
        .set("NGIT_TEST", "true")
}

async fn start(wanted: Wanted) -> Container {
    wanted.start(env!("CARGO_BIN_EXE_container-under-test")).await.unwrap_or_else(|why| panic!("{why}"))
}

/// Why there is no such container.
async fn fails(wanted: Wanted) -> String {
    wanted.start(env!("CARGO_BIN_EXE_container-under-test")).await.map(drop).expect_err("it does not start")
}

async fn target(container: &Container) -> Arc<Target> {
    Arc::new(Target::discover(&container.url(), None).await.expect("it answers"))
}

/// What runs in the container, a line each: user, state, command, process id.
fn processes(container: &Container) -> Vec<String> {
    let listed = docker(&["top", container.id(), "-eo", "uid,stat,comm,pid"]).unwrap();
    listed.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>().join(" ")).collect()
}

/// Nothing failed, and nothing was skipped that the gate does not let through.
fn holds(report: &Report, container: &Container) {
    let shown = || terminal::render(report, false) + &engine::log(container.id(), 40);
    let totals = report.totals;
    assert_eq!(
        (totals.failed_must, totals.failed_other, totals.errors, totals.warned),
        (0, 0, 0, 0),
        "{}",
        shown()
    );
    for check in &report.checks {
        let listed = MAY_SKIP.iter().map(|(id, _)| id).chain(NEED_THE_PLAIN_SERVER).any(|id| *id == check.id);
        assert!(
            listed || !matches!(check.verdict, Verdict::Skip { .. }),
            "{} is skipped\n{}",
            check.id,
            shown()
        );
    }
}

/// The checks that wait are done beside the others, on a server with short waits. Those of sync are for the conformance
/// cases: from inside a container nobody reaches this machine's loopback, where the auditor's peers are.
fn checks(patient: bool) -> Vec<Check> {
    let is_about_sync = |check: &Check| check.id.starts_with("G02/");
    let checks = specs::all().into_iter().filter(|check| !is_about_sync(check));
    checks.filter(|check| check.needs.patient == patient).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_suite_holds_against_the_image_with_no_rights_and_nothing_to_write_to() {
    if !has_image("the_whole_suite_holds_against_the_image_with_no_rights_and_nothing_to_write_to") {
        return;
    }
    let hardened = Wanted { hardened: true, volume: Some("/var/lib/grasp".to_owned()), ..ours() };
    let (usual, impatient) = tokio::join!(
        start(hardened),
        start(
            ours()
                .set("NGIT_PURGATORY_EXPIRY_SECS", EXPIRY.purgatory.as_secs())
                .set("NGIT_NOSTR_REF_EXPIRY_SECS", EXPIRY.nostr_ref.as_secs())
        )
    );
    let suite = Suite::of(
        checks(false),
        Options { jobs: 6, archived: Some(ARCHIVED.to_owned()), ..Options::default() },
    );
    let waits = checks(true);
    let patient = Options { patient: true, expiry: EXPIRY, jobs: waits.len(), ..Options::default() };
    let (url, impatient_url) = (usual.url(), impatient.url());
    let (most, waited) = tokio::join!(suite.run(&url), Suite::of(waits, patient).run(&impatient_url));
    holds(&most.unwrap(), &usual);
    holds(&waited.unwrap(), &impatient);

    // git has left orphans to the first process, which has buried them.
    let unburied = |line: &String| line.split(' ').nth(1).is_some_and(|state| state.starts_with('Z'));
    eventually("no dead process is left in the container", async || !processes(&usual).iter().any(unburied))
        .await;
    usual.end().await;
    impatient.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_small_runs_as_nobody_turns_healthy_and_stops_by_itself() {
    if !has_image("it_is_small_runs_as_nobody_turns_healthy_and_stops_by_itself") {
        return;
    }
    for image in [SERVER, AUDIT] {
        let said = docker(&["image", "inspect", "--format", "{{.Size}} {{.Config.User}}", image]).unwrap();
        let (size, user) = said.split_once(' ').unwrap();
        assert_eq!(user, format!("{NOBODY}:{NOBODY}"));
        assert!(size.parse::<u64>().unwrap() < SMALL, "{image} has {size} bytes");
    }
    let container = start(ours()).await;
    let listed = processes(&container);
    assert!(listed.iter().any(|line| line.contains(SERVER)), "{listed:?}");
    assert!(listed.iter().all(|line| line.starts_with(&format!("{NOBODY} "))), "{listed:?}");

    eventually("the container is healthy", async || {
        container.inspect("{{.State.Health.Status}}") == "healthy"
    })
    .await;
    let wrong = ["exec", "--env", "NGIT_BIND_ADDRESS=0.0.0.0:1", container.id(), SERVER, "healthcheck"];
    let told = docker(&wrong).expect_err("nobody listens there").to_string();
    assert!(told.contains("no answer from http://127.0.0.1:1/healthz"), "{told}");

    docker(&["stop", "--time", "60", container.id()]).unwrap();
    // 137 would say that it had to be killed.
    assert_eq!(container.inspect("{{.State.ExitCode}}"), "0");
    container.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_pushed_and_the_owners_key_survive_a_new_container_on_the_same_volume() {
    if !has_image("what_was_pushed_and_the_owners_key_survive_a_new_container_on_the_same_volume") {
        return;
    }
    let mut container = start(Wanted { volume: Some("/var/lib/grasp".to_owned()), ..ours() }).await;
    let before = target(&container).await;
    let world = context(before.clone(), "volume");
    let hosted = world.hosted_repository().await.unwrap();
    let first = container.id().to_owned();

    container.replace().await;
    assert_ne!(container.id(), first);
    let after = target(&container).await;
    let owner = |target: &Target| target.nip11.as_ref().unwrap()["pubkey"].as_str().map(str::to_owned);
    assert!(owner(&after).is_some());
    assert_eq!(owner(&before), owner(&after));
    world.served(&hosted.announcement).await.unwrap();
    world.served(&hosted.state).await.unwrap();
    world.shows(&hosted.path, &world.state(&hosted.tip)).await.unwrap();
    container.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_container_that_does_not_answer_is_told_with_its_log_and_goes() {
    if !has_image("a_container_that_does_not_answer_is_told_with_its_log_and_goes") {
        return;
    }
    let wrong = ours().set("NGIT_MAX_LIMIT", "many");
    let deaf = Wanted { port: 7, answers_within: 2, ..ours() };
    let unknown = Wanted { image: "grasp-server:no-such-tag".to_owned(), ..ours() };
    let runs = [&wrong, &deaf, &unknown].map(|wanted| wanted.run.clone());

    let told = fails(wrong).await;
    assert!(told.contains("has ended before it answered") && told.contains("NGIT_MAX_LIMIT"), "{told}");
    let told = fails(deaf).await;
    assert!(told.contains("does not answer at port 7 within 2 s") && told.contains("listening"), "{told}");
    let told = fails(unknown).await;
    assert!(told.contains("grasp-server:no-such-tag cannot be started"), "{told}");
    for run in runs {
        eventually("nothing is left", async || engine::left_by(&run).unwrap() == Left::default()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_left_however_a_test_ends() {
    if !has_image("nothing_is_left_however_a_test_ends") {
        return;
    }
    let with_volume = || Wanted { volume: Some("/var/lib/grasp".to_owned()), ..ours() };
    let (dropped, killed) = tokio::join!(start(with_volume()), start(with_volume()));
    for container in [&dropped, &killed] {
        let left = engine::left_by(container.run()).unwrap();
        assert_eq!(left.containers, [container.id()]);
        assert_eq!(left.volumes.len(), 1);
    }
    let runs = [dropped.run().to_owned(), killed.run().to_owned()];

    // As when a test fails: nobody says goodbye.
    drop(dropped);
    // As when testcontainers itself dies.
    let inner = process::child_ids(killed.companion());
    assert_eq!(inner.len(), 1);
    kill_process(Pid::from_raw(i32::try_from(inner[0]).unwrap()).unwrap(), Signal::KILL).unwrap();
    for run in runs {
        eventually("nothing is left", async || engine::left_by(&run).unwrap() == Left::default()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_image_of_the_suite_examines_a_server_and_writes_its_report() {
    if !has_image("the_image_of_the_suite_examines_a_server_and_writes_its_report") {
        return;
    }
    let server = Setup::new(env!("CARGO_BIN_EXE_server-under-test"), Backend::Lmdb).start().await;
    let reports = tempfile::tempdir().unwrap();
    let me = rustix::process::getuid().as_raw();
    let (user, url) = (format!("{me}:{me}"), server.url());
    let mount = format!("{}:/report", reports.path().display());
    let run = ["run", "--rm", "--network", "host", "--user", &user, "--volume", &mount, AUDIT];
    let audit = ["audit", &url, "--filter", "G01/git", "--json", "/report/audit.json"];
    let shown = tokio::task::spawn_blocking({
        let arguments: Vec<String> =
            run.iter().chain(&audit).map(|argument| (*argument).to_owned()).collect();
        move || docker(&arguments)
    });
    let shown = shown.await.unwrap().unwrap_or_else(|error| panic!("{error}"));
    assert!(shown.contains("every MUST that was examined holds"), "{shown}");
    let report = std::fs::read_to_string(reports.path().join("audit.json")).unwrap();
    let report: serde_json::Value = serde_json::from_str(&report).unwrap();
    assert!(report["totals"]["passed"].as_u64().unwrap() > 50, "{}", report["totals"]);
}
