//! Generated stories as a gate: they hold against the bundled server on both backends, with contributors' repositories
//! (GRASP-06) and without, what was a bug once stays mended, and a server with one broken rule is found out by a story of
//! at most six steps. Stories of two servers (GRASP-02) hold too, and find out a server that does not come back to the other.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;
use std::time::Duration;

use grasp_audit::peer::{Lodging, PeerAddress};
use grasp_audit::property::{
    Failure, Findings, Outcome, Peers, Plan, Progress, Record, Scope, Silent, Telling, explore, tell,
};
use grasp_audit::target::Target;
use rstest::rstest;
use spec_tests::{Backend, Instance, Setup};
use tokio::sync::OnceCell;

/// Stories per backend; `PROPERTY_CASES` asks for more, `PROPERTY_SEED` for others.
const CASES: u64 = 150;
/// Stories of two servers in the gate.
const CASES_OF_TWO: u64 = 40;
/// How many stories may be needed to find a broken rule.
const CASES_UNTIL_FOUND: u64 = 600;
/// How long a story may be that shows a broken rule.
const MOST_STEPS: usize = 6;

static HEALTHY: OnceCell<Instance> = OnceCell::const_new();

fn setup(backend: Backend) -> Setup {
    Setup::new(env!("CARGO_BIN_EXE_server-under-test"), backend)
}

fn with_contributors(setup: Setup) -> Setup {
    setup.set("NGIT_GRASP06_ENABLE", true)
}

async fn healthy() -> &'static Instance {
    HEALTHY.get_or_init(|| with_contributors(setup(Backend::Memory)).start()).await
}

fn asked(name: &str, otherwise: u64) -> u64 {
    std::env::var(name).ok().and_then(|text| text.parse().ok()).unwrap_or(otherwise)
}

fn telling(seed: u64, settles: Duration, cleanup: bool) -> Telling {
    // that a server does not come to the peer is its failure
    let address = PeerAddress { reachable: true, ..PeerAddress::default() };
    let peers = Arc::new(Peers::new(Lodging::new(address)));
    Telling { seed, prefix: "gate".to_owned(), settles, cleanup, peers }
}

async fn explored(server: &Instance, cases: u64, jobs: usize, telling: Telling) -> Findings {
    let target = server.target().await;
    let scope = Scope::of(&target);
    explore_plan(&target, Plan { cases, first: 0, steps: 12, scope, jobs, within: None, telling }).await
}

async fn explore_plan(target: &Arc<Target>, plan: Plan) -> Findings {
    let silent: Arc<dyn Progress> = Arc::new(Silent);
    explore(target, &plan, &silent).await
}

#[rstest]
#[case::lmdb(setup(Backend::Lmdb), 1)]
#[case::memory(setup(Backend::Memory), 2)]
#[case::contributors(with_contributors(setup(Backend::Lmdb)), 3)]
#[tokio::test(flavor = "multi_thread")]
async fn every_story_holds(#[case] setup: Setup, #[case] seed: u64) {
    let server = setup.start().await;
    let target = server.target().await;
    let telling = telling(asked("PROPERTY_SEED", seed), Duration::from_secs(20), true);
    let cases = asked("PROPERTY_CASES", CASES);
    let findings = explored(&server, cases, 4, telling).await;
    if let Some(failure) = findings.failure {
        panic!("{}", in_words(&failure.record));
    }
    assert_eq!(findings.begun, cases, "every story was told");
    assert_eq!(findings.not_carried_out.0, 0, "{}", findings.not_carried_out.1);
    assert_eq!(findings.limited.0, 0, "{}", findings.limited.1);
    assert!(findings.held * 100 >= cases * 98, "hardly any story is left open: {}", findings.undecided);
    let unexamined = findings.coverage.rare(&Scope::of(&target).rows(), 1);
    assert!(unexamined.len() < 4, "nearly every row is exercised: {unexamined:?}");
}

#[rstest]
#[case::lmdb(Backend::Lmdb)]
#[case::memory(Backend::Memory)]
#[tokio::test(flavor = "multi_thread")]
async fn what_was_a_bug_once_stays_mended(#[case] backend: Backend) {
    let server = with_contributors(setup(backend)).start().await;
    for (name, text) in grasp_fixtures::data::regressions() {
        let record = Record::parse(text).expect(name);
        let telling = telling(record.seed, Duration::from_secs(20), true);
        let told = tell(&server.target().await, &record.story, &telling).await;
        match told.outcome {
            Outcome::Held => {}
            other => panic!("{name}: {other:?}\n{}", told.sentences.join("\n")),
        }
    }
}

#[rstest]
#[case::unlisted_taken("unlisted-taken")]
#[case::older_states_admit("older-states-admit")]
#[case::supersets_taken("supersets-taken")]
#[case::ties_to_the_higher_id("ties-to-the-higher-id")]
#[case::heads_forgotten("heads-forgotten")]
#[case::other_tips_stay("other-tips-stay")]
#[case::anybody_deletes("anybody-deletes")]
#[case::deleted_comes_again("deleted-comes-again")]
#[case::retired_is_served("retired-is-served")]
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_rule_is_found_out_by_a_short_story(#[case] fault: &str) {
    is_found_out(setup(Backend::Memory).set("GRASP_FAULT", fault)).await;
}

#[rstest]
#[case::data_forgotten("contributed-data-forgotten")]
#[case::other_tips_stay("contributed-other-tips-stay")]
#[case::by_others_counts("contributed-by-others-counts")]
#[case::elsewhere_stays("contributed-elsewhere-stays")]
#[case::one_at_a_time("contributions-one-at-a-time")]
#[case::mirrored_back("mirrored-back")]
#[case::mirrored_everywhere("mirrored-everywhere")]
#[case::refs_stay("contributed-refs-stay")]
#[tokio::test(flavor = "multi_thread")]
async fn a_broken_rule_about_contributors_is_found_out_by_a_short_story(#[case] fault: &str) {
    is_found_out(with_contributors(setup(Backend::Memory)).set("GRASP_FAULT", fault)).await;
}

async fn is_found_out(setup: Setup) {
    let server = setup.start().await;
    let failure = found_out(&server, 4).await;
    let words = in_words(&failure.record);
    assert!(failure.reproducible, "{words}");
    assert!(failure.record.story.steps.len() <= MOST_STEPS, "as short as that: {words}");
    // as a file it says the same: it fails there, and holds where the rule does
    let read = Record::parse(&failure.record.to_json().unwrap()).unwrap();
    assert_eq!(read.story, failure.record.story);
    let telling = telling(read.seed, Duration::from_secs(1), false);
    let told = tell(&server.target().await, &read.story, &telling).await;
    assert!(matches!(told.outcome, Outcome::Broken(_)), "{words}");
    let elsewhere = tell(&healthy().await.target().await, &read.story, &telling).await;
    assert!(matches!(elsewhere.outcome, Outcome::Held), "{:?}\n{words}", elsewhere.outcome);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_seed_finds_the_same_story_whatever_the_number_of_jobs() {
    let server = setup(Backend::Memory).set("GRASP_FAULT", "heads-forgotten").start().await;
    let (one, several) = (found_out(&server, 1).await, found_out(&server, 6).await);
    assert_eq!((one.record.case, one.record.story), (several.record.case, several.record.story));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_ends_in_the_middle_is_told_of_and_nothing_is_made_of_it() {
    let server = setup(Backend::Lmdb).set("GRASP_CRASH_AT", "refs-written:3").start().await;
    let failure = found_out(&server, 1).await;
    assert!(failure.server_gone && !failure.reproducible && failure.tellings == 0);
    assert!(!failure.record.told.is_empty());
}

fn two_servers(cases: u64, steps: usize, jobs: usize, telling: Telling) -> Plan {
    Plan { cases, first: 0, steps, scope: Scope::TwoServers, jobs, within: None, telling }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_story_of_two_servers_holds() {
    let setup = setup(Backend::Memory).syncing().set("NGIT_SYNC_BASE_BACKOFF_SECS", 1);
    let server = setup.start().await;
    let telling = telling(asked("PROPERTY_SEED", 1), Duration::from_secs(60), true);
    let cases = asked("PROPERTY_CASES", CASES_OF_TWO);
    let findings = explore_plan(&server.target().await, two_servers(cases, 8, 12, telling)).await;
    if let Some(failure) = findings.failure {
        panic!("{}", in_words(&failure.record));
    }
    assert_eq!(findings.begun, cases, "every story was told");
    assert_eq!(findings.not_carried_out.0, 0, "{}", findings.not_carried_out.1);
    assert_eq!(findings.limited.0, 0, "{}", findings.limited.1);
    assert!(findings.held * 100 >= cases * 80, "most stories have one end: {}", findings.undecided);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_does_not_come_back_is_found_out_by_a_short_story_of_two_servers() {
    let setup = setup(Backend::Memory).syncing().set("NGIT_SYNC_BASE_BACKOFF_SECS", 86_400);
    let server = setup.set("NGIT_SYNC_MAX_BACKOFF_SECS", 86_400).start().await;
    let telling = telling(1, Duration::from_secs(2), false);
    let target = server.target().await;
    let failure = explore_plan(&target, two_servers(CASES_UNTIL_FOUND, 4, 8, telling)).await.failure;
    let record = failure.expect("it does not fetch what the peer has got meanwhile").record;
    let words = in_words(&record);
    assert!(record.story.steps.len() <= 4, "as short as that: {words}");
    assert!(words.contains("the peer goes away"), "{words}");
    let read = Record::parse(&record.to_json().unwrap()).unwrap();
    assert_eq!(read.story, record.story);
}

#[tokio::test(flavor = "multi_thread")]
async fn stories_of_two_servers_are_left_out_where_there_is_no_sync() {
    let telling = telling(1, Duration::from_secs(2), false);
    let findings = explore_plan(&healthy().await.target().await, two_servers(2, 8, 1, telling)).await;
    assert_eq!(findings.limited, (2, "the server does not list GRASP-02".to_owned()));
}

async fn found_out(server: &Instance, jobs: usize) -> Failure {
    let telling = telling(1, Duration::from_millis(300), false);
    let findings = explored(server, CASES_UNTIL_FOUND, jobs, telling).await;
    findings.failure.unwrap_or_else(|| panic!("{} stories hold against it", findings.held))
}

fn in_words(record: &Record) -> String {
    let steps: Vec<String> =
        record.told.iter().enumerate().map(|(at, sentence)| format!("{}. {sentence}", at + 1)).collect();
    format!(
        "seed {}, story {}:\n{}\nexpected: {}\nseen:     {}",
        record.seed,
        record.case,
        steps.join("\n"),
        record.expected,
        record.seen
    )
}
