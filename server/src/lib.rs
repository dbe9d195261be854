//! The reference GRASP server: a Nostr relay and a git smart-HTTP host behind one port.
//!
//! Signed events and git objects come through the door in either order; each half waits until the other is there,
//! and then, in one step that survives a crash, the refs are set and the events are served. `docs/explanation` tells
//! the whole story; the module documentation tells what each room may know.

pub mod admission;
pub mod authorize;
pub mod clock;
pub mod command;
pub mod config;
pub mod directory;
pub mod fault;
pub mod git;
pub mod healthcheck;
pub mod house;
pub mod http;
pub mod intake;
pub mod metrics;
pub mod nip34;
pub mod outbound;
pub mod owner_key;
pub mod promotion;
pub mod purgatory;
pub mod relay;
pub mod server;
pub mod store;
pub mod sync;
