//! Git smart HTTP: what is read is answered in-process or by `git upload-pack`, what is pushed goes through quarantine.
//!
//! A shell: it moves bytes and asks [`PushGate`] what they may do. Advertisements and v2 `ls-refs` are written from a
//! [`RefSnapshot`] without starting git; a fetch streams through `git upload-pack`; a push streams into
//! `git index-pack` and lands through the gate. No body, in or out, is ever held whole in memory, and every process
//! runs in a group of its own that ends with the request it serves.

mod advertise;
mod answer;
mod body;
mod client;
mod commands;
pub mod contributions;
pub mod family;
pub(crate) mod files;
pub mod gate;
pub mod host;
mod index_pack;
mod limits;
mod ls_refs;
mod pkt_line;
pub(crate) mod process;
mod receive_pack;
pub mod refs;
mod rendered;
mod report;
pub mod repository;
mod service;
pub(crate) mod sift;
mod tips;
mod upload_pack;

pub use answer::GitBody;
pub use gate::{Gate, PushGate, RefCommand};
pub use limits::GitLimits;
pub use refs::{RefEntry, RefSnapshot};
pub use service::{GitPath, GitService, serve};
