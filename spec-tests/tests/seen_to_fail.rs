//! Every check of the suite, against servers that do nothing right: each is seen to fail.
//!
//! A check that passes against a server that says yes to everything, one that says no to everything and one that
//! boasts can prove nothing about any server.

#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use grasp_audit::peer::PeerAddress;
use grasp_audit::target::patience::Patience;
use grasp_audit::{Check, Options, Report, Suite, Verdict};
use grasp_fixtures::faulty_proxy::{Lies, Listening};
use grasp_fixtures::null_server::{Manner, start};
use serde_json::{Value, json};
use spec_tests::{Backend, Setup};

/// Nothing here takes time: what does not come at once does not come.
const PATIENCE: f64 = 0.02;
/// Checks at the same time; they mostly wait for each other's git.
const JOBS: usize = 24;

async fn run(manner: Manner, checks: Vec<Check>) -> Report {
    let server = start(manner).await.unwrap();
    examined(&server.url, PATIENCE, checks).await
}

async fn examined(url: &str, patience: f64, checks: Vec<Check>) -> Report {
    let options = Options {
        jobs: JOBS,
        cleanup: false,
        patience: Patience::new(patience),
        archived: Some("archived".to_owned()),
        // that it does not come to the auditor's peers is the server's failure
        peers: PeerAddress { reachable: true, ..PeerAddress::default() },
        ..Options::default()
    };
    Suite::of(checks, options).run(url).await.unwrap()
}

/// Waits of tens of minutes, ports that only root may open, and public addresses.
const OUT_OF_REACH: [&str; 3] =
    ["--patient", "the service has no default port", "examined when --peer-url is public"];

/// What each check said, server by server.
#[derive(Default)]
struct Seen(BTreeMap<String, Vec<Verdict>>);

impl Seen {
    fn add(&mut self, report: Report) {
        for check in report.checks {
            assert!(
                !matches!(check.verdict, Verdict::Error { .. }),
                "{} could not be carried out: {:?}",
                check.id,
                check.verdict
            );
            self.0.entry(check.id).or_default().push(check.verdict);
        }
    }

    fn has_failed(&self, id: &str) -> bool {
        self.0[id].iter().any(|verdict| matches!(verdict, Verdict::Fail { .. }))
    }

    /// Whether every server had it skipped, and one for a reason that no test on loopback can take away.
    fn is_out_of_reach(&self, id: &str) -> bool {
        let out_of_reach = |why: &str| OUT_OF_REACH.iter().any(|reason| why.contains(reason));
        let verdicts = &self.0[id];
        verdicts.iter().all(|verdict| matches!(verdict, Verdict::Skip { .. }))
            && verdicts.iter().any(|verdict| matches!(verdict, Verdict::Skip { why } if out_of_reach(why)))
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn every_check_fails_against_a_server_that_does_nothing() {
    let checks = grasp_audit::specs::all();
    let mut seen = Seen::default();
    seen.add(run(Manner::No, checks.clone()).await);
    seen.add(run(Manner::Yes, checks.clone()).await);
    // what these two cannot make fail is a promise that neither of them gives
    let promised = checks.iter().filter(|check| !seen.has_failed(&check.id)).cloned().collect();
    seen.add(run(Manner::Boast, promised).await);
    let unproved: Vec<_> = checks
        .iter()
        .filter(|check| !seen.has_failed(&check.id) && !seen.is_out_of_reach(&check.id))
        .map(|check| format!("{}: {:?}", check.id, seen.0[&check.id]))
        .collect();
    assert!(unproved.is_empty(), "never seen to fail:\n{}", unproved.join("\n"));
}

/// How long this waits for a server that will never come: long enough for everything else that a check does before.
const NOBODY_COMES: f64 = 0.15;

#[tokio::test(flavor = "multi_thread")]
async fn every_check_of_sync_fails_against_a_server_that_says_it_syncs_and_does_not() {
    let listening = Listening::bind().await.unwrap();
    let setup = Setup::new(env!("CARGO_BIN_EXE_server-under-test"), Backend::Memory);
    let server = setup.set("NGIT_DOMAIN", listening.authority()).start().await;
    let lies = Lies::default().body(
        |_, head| head.headers.get("content-type").is_some_and(|kind| kind == "application/nostr+json"),
        |_, _, body| {
            let mut document: Value = serde_json::from_slice(body).unwrap();
            document["supported_grasps"] = json!(["GRASP-01", "GRASP-02"]);
            document.to_string().into_bytes()
        },
    );
    let proxy = listening.serve(server.authority().parse().unwrap(), lies);
    let checks = grasp_audit::specs::all().into_iter().filter(|check| check.id.starts_with("G02/")).collect();
    let mut seen = Seen::default();
    seen.add(examined(&proxy.url, NOBODY_COMES, checks).await);
    let unproved: Vec<_> =
        seen.0.iter().filter(|(id, _)| !seen.has_failed(id) && !seen.is_out_of_reach(id)).collect();
    assert!(seen.0.len() > 40 && unproved.is_empty(), "pass without any sync:\n{unproved:#?}");
}
