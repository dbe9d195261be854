//! Servers that fetch from each other, and how long they take.

use std::time::Instant;

pub(crate) use spec_tests::project::{Project, arrives, publish, publish_all, relay, serves};
use spec_tests::{Backend, Instance, Setup};

/// A server that fetches from its peers.
pub(crate) fn setup() -> Setup {
    Setup::new(env!("CARGO_BIN_EXE_server-under-test"), Backend::Lmdb)
        .syncing()
        .set("NGIT_SYNC_BASE_BACKOFF_SECS", 1)
        .set("NGIT_LOG_LEVEL", "info,grasp_server::sync=debug")
}

/// So many of them.
pub(crate) async fn servers<const N: usize>() -> [Instance; N] {
    let mut started = Vec::new();
    for _ in 0..N {
        started.push(setup().start().await);
    }
    started.try_into().expect("as many as asked for")
}

/// Prints how long something took: figures for people, no test fails by them.
pub(crate) fn report(what: &str, since: Instant, at: Instant) {
    println!("{what}: {:.3} s", at.saturating_duration_since(since).as_secs_f64());
}
