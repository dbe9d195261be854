//! Checks that need a server with a public address or a port that goes without saying: in a network of the test's own.

use std::net::SocketAddr;

use grasp_audit::check::Verdict;
use grasp_audit::peer::PeerAddress;
use grasp_audit::report::terminal;
use grasp_audit::{Options, Suite, specs};
use spec_tests::namespace::{Network, PUBLIC};
use spec_tests::{Backend, Setup, gate};

/// A server at a public address on the port of `http`, and what comes of one check against it.
fn verdict(test: &str, id: &str, variables: &[(&str, &str)]) -> Option<Verdict> {
    let network = Network::make().inspect_err(|why| gate::skip(test, why)).ok()?;
    let mut verdict = None;
    network.run(async {
        let setup = Setup::new(env!("CARGO_BIN_EXE_server-under-test"), Backend::Lmdb);
        let setup = variables.iter().fold(setup.syncing(), |setup, (name, value)| setup.set(name, value));
        let server = setup.at(SocketAddr::new(PUBLIC, 80)).start().await;
        let peers = PeerAddress { bind: SocketAddr::new(PUBLIC, 0), url: None, reachable: true };
        let checks = specs::all().into_iter().filter(|check| check.id == id).collect();
        let options = Options { jobs: 1, peers, ..Options::default() };
        let report = Suite::of(checks, options).run(&server.url()).await.expect("the server can be reached");
        eprintln!("{}", terminal::render(&report, false));
        verdict = Some(report.checks[0].verdict.clone());
    });
    verdict
}

const PRIVATE_ADDRESS: &str = "G02/events/admission/private-address";

#[test]
fn a_public_server_does_not_follow_urls_to_private_addresses() {
    let test = "a_public_server_does_not_follow_urls_to_private_addresses";
    let Some(verdict) = verdict(test, PRIVATE_ADDRESS, &[]) else { return };
    assert!(matches!(verdict, Verdict::Pass), "{verdict:?}");
}

#[test]
fn one_that_does_is_found_out() {
    let variables = [("NGIT_SYNC_ALLOW_NON_GLOBAL_TARGETS", "true")];
    let Some(verdict) = verdict("one_that_does_is_found_out", PRIVATE_ADDRESS, &variables) else { return };
    let Verdict::Fail { seen, .. } = verdict else { panic!("{verdict:?}") };
    assert_eq!(seen, "a connection from the server");
}

#[test]
fn the_port_that_goes_without_saying_may_be_said() {
    let test = "the_port_that_goes_without_saying_may_be_said";
    let Some(verdict) = verdict(test, "G01/relay/rejects-unlisted/listed-default-port", &[]) else { return };
    assert!(matches!(verdict, Verdict::Pass), "{verdict:?}");
}
