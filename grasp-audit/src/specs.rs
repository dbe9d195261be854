//! The checks, one file per section of the specification.

pub mod grasp01;
pub mod grasp02;
pub mod grasp05;
pub mod grasp06;

use crate::check::Check;

/// Every check, in the order of the catalogue.
#[must_use]
pub fn all() -> Vec<Check> {
    let mut checks = grasp01::checks();
    checks.extend(grasp02::checks());
    checks.extend(grasp05::checks());
    checks.extend(grasp06::checks());
    let place =
        |check: &Check| crate::catalogue::REQUIREMENTS.iter().position(|row| row.id == check.requirement);
    checks.sort_by_key(place);
    checks
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn every_check_proves_a_row_and_has_its_own_id() {
        let checks = all();
        let ids: BTreeSet<&str> = checks.iter().map(|check| check.id.as_str()).collect();
        assert_eq!(ids.len(), checks.len());
        for check in &checks {
            assert!(check.row().is_some(), "{} proves no row", check.id);
        }
    }
}
