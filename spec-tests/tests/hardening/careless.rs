//! Every case against a server that is careless in every way (`fixtures/src/naive_server`): it finds that out, for its own
//! reason. A case that could not would prove nothing about any server.

use std::sync::Arc;

use grasp_audit::hardening::terminal;
use grasp_fixtures::naive_server;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::run;

/// What does not come at once from this server does not come; but git takes its time on a busy machine.
const PATIENCE: f64 = 0.3;
/// Cases at the same time, each with a server of its own; they mostly wait.
const AT_ONCE: usize = 6;

/// Each case, what it calls this server, and some of what it says about it.
#[rustfmt::skip]
pub(super) const SEEN: &[(&str, &str, &str)] = &[
    ("H/http/path-traversal", "WEAK", ""),
    ("H/http/double-encoding", "WEAK", ""),
    ("H/http/overlong-utf8", "WEAK", ""),
    ("H/http/nul-in-path", "WEAK", ""),
    ("H/http/backslash", "WEAK", ""),
    ("H/http/path-parameters", "WEAK", ""),
    ("H/http/absolute-form", "WEAK", ""),
    ("H/http/long-url", "WEAK", ""),
    ("H/http/host-field", "WEAK", ""),
    ("H/http/header-injection", "WEAK", ""),
    ("H/http/markup-in-path", "WEAK", ""),
    ("H/http/strange-methods", "WEAK", ""),
    ("H/http/many-fields", "WEAK", ""),
    ("H/http/huge-field", "WEAK", ""),
    ("H/http/endless-head", "WEAK", ""),
    ("H/http/no-http", "WEAK", ""),
    ("H/http/malformed-fields", "WEAK", ""),
    ("H/http/content-length-and-chunked", "WEAK", ""),
    ("H/http/content-lengths", "WEAK", ""),
    ("H/http/transfer-encodings", "WEAK", ""),
    ("H/http/chunks", "WEAK", ""),
    ("H/http/bare-lf-and-folds", "WEAK", ""),
    ("H/http/gzip-bombs", "WEAK", ""),
    ("H/http/broken-compression", "WEAK", ""),
    ("H/http/unwanted-bodies", "WEAK", ""),
    ("H/http/half-closed", "WEAK", ""),
    ("H/http/vanishing-clients", "WEAK", ""),
    ("H/http/idle-connections", "WEAK", ""),
    ("H/http/unread-answers", "WEAK", ""),
    ("H/http/slow-heads", "WEAK", ""),
    ("H/http/slow-bodies", "WEAK", ""),
    ("H/git/pkt-line-lengths", "WEAK", ""),
    ("H/git/pkt-lines-cut", "WEAK", ""),
    ("H/git/packets-out-of-place", "WEAK", ""),
    ("H/git/many-wants", "WEAK", ""),
    ("H/git/many-haves", "WEAK", ""),
    ("H/git/many-capabilities", "WEAK", ""),
    ("H/git/many-ref-commands", "WEAK", ""),
    ("H/git/ref-names", "WEAK", ""),
    ("H/git/state-ref-names", "WEAK", ""),
    ("H/git/pack-framing", "WEAK", ""),
    ("H/git/pack-objects", "WEAK", ""),
    ("H/git/pack-bombs", "WEAK", ""),
    ("H/git/pack-chains", "WEAK", ""),
    ("H/git/delta-bases", "WEAK", ""),
    ("H/git/delta-instructions", "WEAK", ""),
    ("H/git/hostile-trees", "WEAK", ""),
    ("H/relay/malformed-messages", "WEAK", ""),
    ("H/relay/deep-json", "WEAK", ""),
    ("H/relay/long-messages", "WEAK", ""),
    ("H/relay/odd-json", "WEAK", ""),
    ("H/relay/forged-events", "WEAK", ""),
    ("H/relay/many-tags", "WEAK", ""),
    ("H/relay/maintainer-circle", "WEAK", ""),
    ("H/relay/strange-identifiers", "WEAK", ""),
    ("H/relay/extreme-values", "WEAK", ""),
    ("H/relay/broken-frames", "WEAK", ""),
    ("H/relay/frame-lengths", "WEAK", ""),
    ("H/relay/invalid-utf8", "WEAK", ""),
    ("H/relay/close-frames", "WEAK", ""),
    ("H/relay/fragments", "WEAK", ""),
    ("H/relay/binary-messages", "WEAK", ""),
    ("H/relay/ping-flood", "WEAK", ""),
    ("H/relay/handshakes", "WEAK", ""),
    ("H/relay/neg-frames", "WEAK", ""),
    ("H/relay/neg-flood", "WEAK", ""),
    ("H/relay/broad-queries", "WEAK", ""),
    ("H/relay/filter-floods", "WEAK", ""),
    ("H/relay/subscription-flood", "WEAK", ""),
    ("H/relay/subscription-churn", "WEAK", ""),
    ("H/relay/event-flood", "WEAK", ""),
    ("H/relay/connection-flood", "WEAK", ""),
    ("H/relay/vanishing-clients", "WEAK", ""),
    ("H/relay/half-closed", "WEAK", ""),
    ("H/relay/slow-writers", "WEAK", ""),
    ("H/relay/deaf-subscribers", "WEAK", ""),
];

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_case_is_seen_to_fail() {
    let places = Arc::new(Semaphore::new(AT_ONCE));
    let mut running = JoinSet::new();
    for (id, word, says) in SEEN {
        let places = places.clone();
        running.spawn(async move {
            let _place = places.acquire_owned().await;
            let server = naive_server::start().unwrap();
            let report = run(id, &server.url, PATIENCE, false).await;
            let told = terminal::render(&report, false);
            let Some(case) = report.cases.first() else { return Some(told) };
            let said: Vec<String> =
                case.grade.told().into_iter().flat_map(|(_, texts)| texts.to_vec()).collect();
            let as_expected = case.grade.word() == *word && said.iter().any(|text| text.contains(says));
            (!as_expected).then(|| format!("{id} should be {word} for {says:?}\n{told}"))
        });
    }
    let otherwise: Vec<String> = running.join_all().await.into_iter().flatten().collect();
    assert!(otherwise.is_empty(), "{}", otherwise.join("\n"));
}
