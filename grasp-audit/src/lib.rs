//! A black-box conformance suite for GRASP servers.
//!
//! It knows no server's code: it speaks HTTP, the relay protocol and git, to any URL. [`specs`] holds the checks,
//! one file per section of the specification; [`catalogue`] the requirements they prove; [`Suite`] runs them.

pub mod attachment;
pub mod calendar;
pub mod catalogue;
pub mod check;
pub mod context;
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
pub use report::Report;
pub use runner::{Options, Progress, Suite};
pub use surface::Surface;
