//! Commands that have a file of their own.

pub(crate) mod audit;
pub(crate) mod diff;
pub(crate) mod guest;
pub(crate) mod reports;
pub(crate) mod snapshot;
