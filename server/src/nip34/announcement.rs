//! Placeholder.
/// Placeholder.
#[derive(Debug)]
pub struct Announcement;
