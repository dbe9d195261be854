//! Commands that have a file of their own.

pub(crate) mod agree;
pub(crate) mod audit;
pub(crate) mod catalogue;
pub(crate) mod diff;
pub(crate) mod guest;
pub(crate) mod hardening;
pub(crate) mod outputs;
pub(crate) mod peers;
pub(crate) mod property;
pub(crate) mod replay;
pub(crate) mod reports;
pub(crate) mod server;
pub(crate) mod snapshot;
pub(crate) mod values;
