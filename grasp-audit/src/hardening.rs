//! Hostile input: what a robust server does with it, and what this one did. Not conformance, and reported apart.
//!
//! A [`Case`] sends what no well-behaved client sends, within a stated [`Load`], and grades the answers: robust,
//! tolerable with a remark, or weak. While a case runs, and after it, the server's [`vital signs`](VitalSigns) are taken; a
//! server that does not recover ends the run, and the report says which case did it. Cases run one after the other.
//!
//! [`HardeningSuite`] runs them. [`statement`] says beforehand what will be sent and how much of it.

mod case;
mod frames;
mod git;
mod ground;
mod http;
mod meter;
mod relay;
mod replies;
pub mod report;
mod runner;
mod statement;
pub mod terminal;
mod vital_signs;
mod wire;

pub use case::{Area, Case, Findings, Grade};
pub use ground::{Ground, Victim};
pub use meter::Load;
pub use replies::Reply;
pub use report::HardeningReport;
pub use runner::HardeningSuite;
pub use statement::statement;
pub use vital_signs::{Ailment, VitalSigns, Vitals};
pub use wire::{End, Heard};

/// Revision of the catalogue of cases.
pub const REVISION: &str = "2026-11";

/// Every case, area by area, in the order in which they run: what is only odd first, what costs the server most last.
#[must_use]
pub fn all() -> Vec<Case> {
    [http::cases(), git::cases(), relay::cases()].concat()
}

/// The case called `id`, `H/http/path-traversal` for example.
#[must_use]
pub fn case(id: &str) -> Option<Case> {
    all().into_iter().find(|case| case.id == id)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;
    use std::time::Duration;

    #[test]
    fn every_case_has_its_own_id_and_says_what_it_sends_and_what_is_robust() {
        let cases = all();
        let ids: BTreeSet<&str> = cases.iter().map(|case| case.id.as_str()).collect();
        assert_eq!(ids.len(), cases.len());
        for case in &cases {
            assert!(case.id.starts_with(case.area.id()), "{}", case.id);
            assert!(case.sends.len() > 20 && case.robust.len() > 20, "{} explains itself", case.id);
            assert!(!case.sends.ends_with('.') && !case.robust.ends_with('.'), "{}", case.id);
        }
    }

    #[test]
    fn every_case_is_bounded() {
        for case in all() {
            assert!((1..=256).contains(&case.load.at_once), "{}: {} connections", case.id, case.load.at_once);
            assert!((1..=20_000).contains(&case.load.messages), "{}: {}", case.id, case.load.messages);
            assert!((1..=32 << 20).contains(&case.load.bytes), "{}: {} bytes", case.id, case.load.bytes);
            assert!(case.bound <= Duration::from_secs(300), "{}: {:?}", case.id, case.bound);
        }
    }
}
