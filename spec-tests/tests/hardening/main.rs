//! Hostile input: every case of the suite against the bundled server, each a test of its own and a server of its own; and
//! each against a careless server, where it is seen to fail.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod careless;

use grasp_audit::Options;
use grasp_audit::hardening::report::{CaseReport, HardeningReport};
use grasp_audit::hardening::{self, Grade, HardeningSuite, terminal};
use grasp_audit::target::patience::Patience;
use rstest::rstest;
use spec_tests::instance::eventually;
use spec_tests::{Backend, Setup};

/// How patient the suite is with our server: a busy machine is slow, and that is no weakness.
const PATIENCE: f64 = 4.0;

/// Runs one case against the server at `url`.
async fn run(id: &str, url: &str, patience: f64, cleanup: bool) -> HardeningReport {
    let case = hardening::case(id).unwrap_or_else(|| panic!("there is no case {id}"));
    let options = Options { patience: Patience::new(patience), cleanup, ..Options::default() };
    HardeningSuite::of(vec![case], options).run(url).await.expect("the server can be reached")
}

fn only(report: &HardeningReport) -> &CaseReport {
    report.cases.first().unwrap_or_else(|| panic!("{}", terminal::render(report, false)))
}

#[rstest]
#[case::http_path_traversal("H/http/path-traversal")]
#[case::http_double_encoding("H/http/double-encoding")]
#[case::http_overlong_utf8("H/http/overlong-utf8")]
#[case::http_nul_in_path("H/http/nul-in-path")]
#[case::http_backslash("H/http/backslash")]
#[case::http_path_parameters("H/http/path-parameters")]
#[case::http_absolute_form("H/http/absolute-form")]
#[case::http_long_url("H/http/long-url")]
#[case::http_host_field("H/http/host-field")]
#[case::http_header_injection("H/http/header-injection")]
#[case::http_markup_in_path("H/http/markup-in-path")]
#[case::http_strange_methods("H/http/strange-methods")]
#[case::http_many_fields("H/http/many-fields")]
#[case::http_huge_field("H/http/huge-field")]
#[case::http_endless_head("H/http/endless-head")]
#[case::http_no_http("H/http/no-http")]
#[case::http_malformed_fields("H/http/malformed-fields")]
#[case::http_content_length_and_chunked("H/http/content-length-and-chunked")]
#[case::http_content_lengths("H/http/content-lengths")]
#[case::http_transfer_encodings("H/http/transfer-encodings")]
#[case::http_chunks("H/http/chunks")]
#[case::http_bare_lf_and_folds("H/http/bare-lf-and-folds")]
#[case::http_gzip_bombs("H/http/gzip-bombs")]
#[case::http_broken_compression("H/http/broken-compression")]
#[case::http_unwanted_bodies("H/http/unwanted-bodies")]
#[case::http_half_closed("H/http/half-closed")]
#[case::http_vanishing_clients("H/http/vanishing-clients")]
#[case::http_idle_connections("H/http/idle-connections")]
#[case::http_unread_answers("H/http/unread-answers")]
#[case::http_slow_heads("H/http/slow-heads")]
#[case::http_slow_bodies("H/http/slow-bodies")]
#[case::git_pkt_line_lengths("H/git/pkt-line-lengths")]
#[case::git_pkt_lines_cut("H/git/pkt-lines-cut")]
#[case::git_packets_out_of_place("H/git/packets-out-of-place")]
#[case::git_many_wants("H/git/many-wants")]
#[case::git_many_haves("H/git/many-haves")]
#[case::git_many_capabilities("H/git/many-capabilities")]
#[case::git_many_ref_commands("H/git/many-ref-commands")]
#[case::git_ref_names("H/git/ref-names")]
#[case::git_state_ref_names("H/git/state-ref-names")]
#[case::git_pack_framing("H/git/pack-framing")]
#[case::git_pack_objects("H/git/pack-objects")]
#[case::git_pack_bombs("H/git/pack-bombs")]
#[case::git_pack_chains("H/git/pack-chains")]
#[case::git_delta_bases("H/git/delta-bases")]
#[case::git_delta_instructions("H/git/delta-instructions")]
#[case::git_hostile_trees("H/git/hostile-trees")]
#[case::relay_malformed_messages("H/relay/malformed-messages")]
#[case::relay_deep_json("H/relay/deep-json")]
#[case::relay_long_messages("H/relay/long-messages")]
#[case::relay_odd_json("H/relay/odd-json")]
#[case::relay_forged_events("H/relay/forged-events")]
#[case::relay_many_tags("H/relay/many-tags")]
#[case::relay_maintainer_circle("H/relay/maintainer-circle")]
#[case::relay_strange_identifiers("H/relay/strange-identifiers")]
#[case::relay_extreme_values("H/relay/extreme-values")]
#[case::relay_broken_frames("H/relay/broken-frames")]
#[case::relay_frame_lengths("H/relay/frame-lengths")]
#[case::relay_invalid_utf8("H/relay/invalid-utf8")]
#[case::relay_close_frames("H/relay/close-frames")]
#[case::relay_fragments("H/relay/fragments")]
#[case::relay_binary_messages("H/relay/binary-messages")]
#[case::relay_ping_flood("H/relay/ping-flood")]
#[case::relay_handshakes("H/relay/handshakes")]
#[case::relay_neg_frames("H/relay/neg-frames")]
#[case::relay_neg_flood("H/relay/neg-flood")]
#[case::relay_broad_queries("H/relay/broad-queries")]
#[case::relay_filter_floods("H/relay/filter-floods")]
#[case::relay_subscription_flood("H/relay/subscription-flood")]
#[case::relay_subscription_churn("H/relay/subscription-churn")]
#[case::relay_event_flood("H/relay/event-flood")]
#[case::relay_connection_flood("H/relay/connection-flood")]
#[case::relay_vanishing_clients("H/relay/vanishing-clients")]
#[case::relay_half_closed("H/relay/half-closed")]
#[case::relay_slow_writers("H/relay/slow-writers")]
#[case::relay_deaf_subscribers("H/relay/deaf-subscribers")]
#[tokio::test(flavor = "multi_thread")]
async fn stands(#[case] id: &str) {
    let mut server = Setup::new(env!("CARGO_BIN_EXE_server-under-test"), Backend::Lmdb)
        .set("NGIT_GRASP06_ENABLE", true)
        .start()
        .await;
    let report = run(id, &server.url(), PATIENCE, true).await;
    let case = only(&report);
    assert!(report.holds() && case.grade == Grade::Robust, "{}", terminal::render(&report, false));
    assert_eq!(case.cleanup.published, case.cleanup.deleted, "{id} takes back what it has published");
    assert!(server.is_running(), "it is the same process as before");
    let log = server.log();
    assert!(
        !log.contains("panicked") && !log.contains(" ERROR "),
        "the server complains about itself:\n{log}"
    );
    eventually("no child process is left", || async { server.children().is_empty() }).await;
}

#[test]
fn every_case_is_a_test() {
    let here =
        std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/hardening/main.rs")).unwrap();
    for case in hardening::all() {
        assert!(here.contains(&format!("({:?})]\n", case.id)), "{} is no case of `stands`", case.id);
        assert!(careless::SEEN.iter().any(|(id, ..)| *id == case.id), "{} is not seen to fail", case.id);
    }
    assert_eq!(here.matches("#[case::").count() - 1, hardening::all().len());
}
