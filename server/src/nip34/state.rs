//! Placeholder.
/// Placeholder.
#[derive(Debug)]
pub struct State;
