//! Commands that have a file of their own.

pub(crate) mod property;
pub(crate) mod replay;
pub(crate) mod server;
