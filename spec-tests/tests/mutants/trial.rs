//! A mutant on trial: a server of its own, a proxy in front of it, and checks of the suite.

use std::net::SocketAddr;
use std::time::Duration;

use futures_util::future::join_all;
use grasp_audit::check::{Check, Verdict};
use grasp_audit::context::Expiry;
use grasp_audit::peer::PeerAddress;
use grasp_audit::target::patience::Patience;
use grasp_audit::{Options, Report, Suite};
use grasp_fixtures::faulty_proxy::{Fate, Heard, Lies, Listening};
use spec_tests::{Backend, Setup};

use crate::mutant::{Mutant, Way, proxy};

/// Factor on every wait of the suite. Most mutants are caught at once; what one keeps back for ever is waited for, so
/// this is as short as a busy machine allows.
const PATIENCE: f64 = 0.8;
/// The same for checks of sync: what a peer has comes within a second or two, and would be waited for a minute.
const SYNC_PATIENCE: f64 = 0.5;
/// How long a check may take on a busy machine; nothing waits for this to pass.
const BOUND: Duration = Duration::from_secs(600);
/// Checks of one trial at the same time; they mostly wait for git.
const JOBS: usize = 6;
/// Expiry of the servers on which the patient checks run: long enough for what a check does before it.
const EXPIRY: Expiry = Expiry { purgatory: Duration::from_secs(15), nostr_ref: Duration::from_secs(12) };

/// How the checks of a trial ended.
#[derive(Debug, Default)]
pub(crate) struct Outcome {
    /// Which failed, and what they expected and saw.
    pub(crate) failed: Vec<(String, String)>,
    /// Which could not be carried out, and why.
    pub(crate) errors: Vec<String>,
    /// Which had nothing to prove.
    pub(crate) skipped: Vec<String>,
    /// How many there were.
    pub(crate) ran: usize,
}

impl Outcome {
    fn add(&mut self, report: Report) {
        self.ran += report.checks.len();
        for check in report.checks {
            match check.verdict {
                Verdict::Fail { expected, seen } => {
                    self.failed.push((check.id, format!("expected {expected}; seen: {seen}")));
                }
                Verdict::Error { text } => self.errors.push(format!("{}: {text}", check.id)),
                Verdict::Skip { .. } => self.skipped.push(check.id),
                Verdict::Pass | Verdict::Warn { .. } => {}
            }
        }
    }
}

/// Holds these checks against the mutant.
pub(crate) async fn trial(mutant: &Mutant, checks: Vec<Check>) -> Outcome {
    let (patient, quick): (Vec<Check>, Vec<Check>) =
        checks.into_iter().partition(|check| check.needs.patient);
    let quick: Vec<Check> = quick.into_iter().map(|check| check.bound(BOUND)).collect();
    let groups: Vec<Vec<Check>> = if mutant.apart {
        quick.into_iter().map(|check| vec![check]).collect()
    } else {
        let (sync, others) = quick.into_iter().partition(needs_peers);
        vec![sync, others]
    };
    let quick = join_all(groups.into_iter().map(|checks| hold(mutant, checks, false)));
    let (quick, patient) = tokio::join!(quick, hold(mutant, patient, true));
    let mut outcome = Outcome::default();
    quick.into_iter().flatten().chain(patient).for_each(|report| outcome.add(report));
    outcome
}

/// Whether a check is about what the auditor's peers have.
fn needs_peers(check: &Check) -> bool {
    check.needs.grasp == Some("GRASP-02")
}

/// No mutant: a proxy that hears and holds everything, and changes nothing.
pub(crate) fn honest() -> Mutant {
    proxy("the-honest-proxy", "", "it passes everything on", attentive)
}

fn attentive() -> Lies {
    Lies::default()
        .request(|_| None)
        .request_body(|_| true, |_, body| Ok(body.to_vec()))
        .head(|_, _| {})
        .body(|_, _| true, |_, _, body| body.to_vec())
        .relay(|| |_: &Heard| Fate::Pass)
}

async fn hold(mutant: &Mutant, checks: Vec<Check>, patient: bool) -> Option<Report> {
    if checks.is_empty() {
        return None;
    }
    let listening = Listening::bind().await.unwrap();
    let mut setup = Setup::new(env!("CARGO_BIN_EXE_server-under-test"), Backend::Memory)
        .set("NGIT_DOMAIN", listening.authority());
    if patient && !mutant.syncs {
        setup = setup
            .set("NGIT_PURGATORY_EXPIRY_SECS", EXPIRY.purgatory.as_secs())
            .set("NGIT_NOSTR_REF_EXPIRY_SECS", EXPIRY.nostr_ref.as_secs());
    }
    for (variable, value) in &mutant.settings {
        setup = setup.set(variable, value);
    }
    let lies = match &mutant.way {
        Way::Proxy(lies) => lies(),
        Way::Fault => {
            setup = setup.set("GRASP_FAULT", mutant.name);
            Lies::default()
        }
    };
    let server = setup.start().await;
    let upstream: SocketAddr = server.authority().parse().unwrap();
    let proxy = listening.serve(upstream, lies);
    let options = Options {
        // patient checks do nothing but wait
        jobs: if patient { checks.len() } else { JOBS },
        cleanup: false,
        patient,
        expiry: EXPIRY,
        archived: mutant.archives.map(str::to_owned),
        patience: Patience::new(if checks.iter().all(needs_peers) { SYNC_PATIENCE } else { PATIENCE }),
        // that it does not come to the auditor's peers is the mutant's failure
        peers: PeerAddress { reachable: true, ..PeerAddress::default() },
        ..Options::default()
    };
    let report = Suite::of(checks, options).run(&proxy.url).await.expect("the mutant can be reached");
    assert!(!proxy.is_broken(), "{}: a lie panicked, its message stands above", mutant.name);
    Some(report)
}
