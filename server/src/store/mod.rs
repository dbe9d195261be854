//! What is kept: served events, and beside them our own tables.

pub mod events;
pub mod tables;

pub use events::EventStore;
