//! Placeholder.
/// Placeholder.
#[derive(Debug)]
pub struct PullRequest;
