//! Git smart HTTP: what is read is answered in-process or by `git upload-pack`, what is pushed goes through quarantine.

pub mod gate;
pub mod refs;

pub use gate::{Gate, PushGate, RefCommand};
pub use refs::{RefEntry, RefSnapshot};
