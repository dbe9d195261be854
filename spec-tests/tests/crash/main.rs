//! Crashes: at every named point of a promotion, and at random instants of a busy server.
//!
//! After each, on the same folders: what was acknowledged is served or waits, refs and HEAD are the served authorised
//! state, nothing is missing in any repository, and what was interrupted succeeds when it is done again.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod act;
mod points;
mod purge;
mod random;
mod scenarios;
mod waiting;

use spec_tests::{Backend, Setup};

fn setup() -> Setup {
    Setup::new(env!("CARGO_BIN_EXE_server-under-test"), Backend::Lmdb).set("NGIT_GRASP06_ENABLE", true)
}
