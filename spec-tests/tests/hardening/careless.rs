//! Every case against a server that is careless in every way (`fixtures/src/naive_server`): it finds that out, for its own
//! reason. A case that could not would prove nothing about any server.

use std::sync::Arc;

use grasp_audit::hardening::terminal;
use grasp_fixtures::naive_server;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use super::run;

/// What does not come at once from this server does not come; but git takes its time on a busy machine.
const PATIENCE: f64 = 0.4;
/// Cases at the same time, each with a server of its own; they mostly wait.
const AT_ONCE: usize = 8;

/// Each case, what it calls this server, and some of what it says about it. Most find it weak. Some call it tolerable, because
/// what it does there is cut off the connection without a word, or to have no bound that could be found: by the rules of
/// these cases that is not robust, and no harm.
#[rustfmt::skip]
pub(super) const SEEN: &[(&str, &str, &str)] = &[
    ("H/http/path-traversal", "WEAK", "leads to another repository"),
    ("H/http/double-encoding", "WEAK", "%252e%252e%252f"),
    ("H/http/overlong-utf8", "WEAK", "%c0%af"),
    ("H/http/nul-in-path", "WEAK", "%00.git: leads to another repository"),
    ("H/http/backslash", "WEAK", "\\..\\"),
    ("H/http/path-parameters", "WEAK", "..;/"),
    ("H/http/absolute-form", "WEAK", "it is an open proxy"),
    ("H/http/long-url", "WEAK", "a query of 100000 bytes: taken"),
    ("H/http/host-field", "WEAK", "repeats the foreign name"),
    ("H/http/header-injection", "WEAK", "into the head of its answer"),
    ("H/http/markup-in-path", "WEAK", "repeats the markup as markup"),
    ("H/http/strange-methods", "WEAK", "TRACE: sends the request's head back"),
    ("H/http/many-fields", "WEAK", "20000 same fields: taken"),
    ("H/http/huge-field", "WEAK", "1 MB in a value: taken"),
    ("H/http/endless-head", "WEAK", "all of 8388608 bytes are taken"),
    ("H/http/no-http", "WEAK", "rubbish: taken"),
    ("H/http/malformed-fields", "WEAK", "no colon: taken"),
    ("H/http/content-length-and-chunked", "WEAK", "a second request is found inside the first"),
    ("H/http/content-lengths", "WEAK", "a plus sign: a second request"),
    ("H/http/transfer-encodings", "WEAK", "an unknown coding: a second request"),
    ("H/http/chunks", "WEAK", "a prefix: a second request"),
    ("H/http/bare-lf-and-folds", "WEAK", "hidden behind a bare CR: taken"),
    ("H/http/gzip-bombs", "WEAK", "wants, v2: left without an answer"),
    ("H/http/broken-compression", "WEAK", "cut in its checksum: taken"),
    ("H/http/unwanted-bodies", "WEAK", "10 GB announced: left without an answer"),
    ("H/http/half-closed", "WEAK", "half a head: neither answered nor ended"),
    ("H/http/vanishing-clients", "WEAK", "afterwards: unusable"),
    ("H/http/idle-connections", "WEAK", "afterwards: unusable"),
    ("H/http/unread-answers", "WEAK", "never answered"),
    ("H/http/slow-heads", "WEAK", "meanwhile, others: NIP-11"),
    ("H/http/slow-bodies", "WEAK", "afterwards: unusable"),
    ("H/git/pkt-line-lengths", "WEAK", "git-receive-pack, upper case: taken"),
    ("H/git/pkt-lines-cut", "WEAK", "cut after 36 bytes of 85: answered with a pack"),
    ("H/git/packets-out-of-place", "WEAK", "a want that is a path: answered with a pack"),
    ("H/git/many-wants", "WEAK", "v2: answered with a pack"),
    ("H/git/many-haves", "WEAK", "no pack, although the object is there"),
    ("H/git/many-capabilities", "WEAK", "50,000 prefixes: left without an answer"),
    ("H/git/many-ref-commands", "WEAK", "5,000 refs: taken"),
    ("H/git/ref-names", "WEAK", "\"HEAD\": taken"),
    ("H/git/state-ref-names", "WEAK", "\"refs/heads//x\": taken"),
    ("H/git/pack-framing", "WEAK", "a wrong checksum: taken"),
    ("H/git/pack-objects", "WEAK", "afterwards: unusable"),
    ("H/git/pack-bombs", "WEAK", "afterwards: unusable"),
    ("H/git/pack-chains", "WEAK", "20,000 objects that nobody names: taken"),
    ("H/git/delta-bases", "WEAK", "two in a circle: taken"),
    ("H/git/delta-instructions", "WEAK", "a copy from beyond the base: taken"),
    ("H/git/hostile-trees", "WEAK", "`.git`: taken"),
    ("H/relay/malformed-messages", "WEAK", "EVENT without kind: taken"),
    ("H/relay/deep-json", "WEAK", "afterwards: unusable"),
    ("H/relay/long-messages", "WEAK", "an event of 8388608 bytes: taken"),
    ("H/relay/odd-json", "tolerable", "a lone surrogate: cut off"),
    ("H/relay/forged-events", "WEAK", "a signature of zeros: taken"),
    ("H/relay/many-tags", "tolerable", "5,000 topics: cut off"),
    ("H/relay/maintainer-circle", "WEAK", "afterwards: unusable"),
    ("H/relay/strange-identifiers", "WEAK", "a way up: taken"),
    ("H/relay/extreme-values", "tolerable", "the end of u64: cut off"),
    ("H/relay/broken-frames", "WEAK", "no mask: taken"),
    ("H/relay/frame-lengths", "WEAK", "1 TB: no answer any more"),
    ("H/relay/invalid-utf8", "WEAK", "a surrogate: taken"),
    ("H/relay/close-frames", "WEAK", "goes on after a close frame"),
    ("H/relay/fragments", "tolerable", "a byte a frame: cut off"),
    ("H/relay/binary-messages", "WEAK", "a REQ: ignored"),
    ("H/relay/ping-flood", "tolerable", "pongs: cut off"),
    ("H/relay/handshakes", "WEAK", "two keys: taken"),
    ("H/relay/neg-frames", "tolerable", "NEG-OPEN, no hex: cut off"),
    ("H/relay/neg-flood", "tolerable", "no bound was found"),
    ("H/relay/broad-queries", "tolerable", "a connection: cut off"),
    ("H/relay/filter-floods", "tolerable", "times at both ends: cut off"),
    ("H/relay/subscription-flood", "tolerable", "the connection is ended"),
    ("H/relay/subscription-churn", "WEAK", "no answer any more"),
    ("H/relay/event-flood", "WEAK", "taken, like any number of others"),
    ("H/relay/connection-flood", "WEAK", "neither served nor turned away"),
    ("H/relay/vanishing-clients", "WEAK", "afterwards: unusable"),
    ("H/relay/half-closed", "WEAK", "afterwards: unusable"),
    ("H/relay/slow-writers", "WEAK", "meanwhile, others: NIP-11"),
    ("H/relay/deaf-subscribers", "WEAK", "meanwhile, others: NIP-11"),
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
