//! The commands that are more than a few lines, one file each.

pub(crate) mod audit;
pub(crate) mod hardening;
pub(crate) mod reports;
