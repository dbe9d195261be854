//! Git smart HTTP: what is read is answered in-process or by `git upload-pack`, what is pushed goes through quarantine.

pub mod family;
pub(crate) mod files;
pub mod gate;
pub mod host;
pub(crate) mod process;
pub mod refs;
pub mod repository;

pub use gate::{Gate, PushGate, RefCommand};
pub use refs::{RefEntry, RefSnapshot};
