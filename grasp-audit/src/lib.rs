//! A black-box conformance suite for GRASP servers.
//!
//! It knows no server's code: it speaks HTTP, the relay protocol and git, to any URL. [`specs`] holds the checks,
//! one file per section of the specification; [`catalogue`] the requirements they prove; [`Suite`] runs them.
//!
//! # In your own tests
//!
//! Your harness starts your server; the suite examines it by its URL and gives back a [`Report`] made of data. All it needs
//! beside that is the program `git`. `examples/embed.rs` is such a harness, whole; here it is shown, there it is compiled:
//!
//! ```ignore
#![doc = include_str!("../examples/embed.rs")]
//! ```
//!
//! In an async test, [`Suite::run`] does the same on the test's own runtime. Checks mark what they publish, and delete it at
//! their end ([`Options::cleanup`]). What hostile input does to a server is another matter: see [`hardening`].
//!
//! # Versions
//!
//! [`VERSION`] is that of this suite: how it looks, and its interface. [`catalogue::REVISION`] is that of the catalogue it
//! implements: what it asks of servers. Either may change without the other, and every report names both.

pub mod agreement;
pub mod attachment;
pub mod calendar;
pub mod catalogue;
pub mod check;
pub mod context;
pub mod counted;
pub mod document;
pub mod escape;
pub mod hardening;
pub mod ledger;
pub mod page;
pub mod peer;
pub mod probe;
pub mod property;
pub mod report;
pub mod runner;
pub mod specs;
pub mod surface;
pub mod target;

pub use check::{Check, CheckResult, Ending, Verdict};
pub use context::Context;
/// What [`Suite::owner`] takes; `Keys::parse` reads `nsec1…` and hex.
pub use nostr::key::Keys;
pub use report::Report;
pub use runner::{Options, Progress, Suite};
pub use surface::Surface;
pub use target::TargetError;

/// Version of this suite.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// Suite and catalogue, as every report names them: `suite 0.1.0, catalogue 2026-09`.
#[must_use]
pub fn versions() -> String {
    format!("suite {VERSION}, catalogue {}", catalogue::REVISION)
}
