//! What lies have in common.

pub(crate) mod contributions;
pub(crate) mod git;
pub(crate) mod http;
pub(crate) mod reconcile;
pub(crate) mod relay;
pub(crate) mod report;
pub(crate) mod shadow;
