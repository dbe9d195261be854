//! The Nostr relay: sessions over WebSocket, subscriptions, limits, NIP-11.
//!
//! The handshake is the HTTP room's: it asks [`Relay::admit`], answers the upgrade, and calls [`serve`]. Whether an event
//! is taken is the intake's to decide; the relay moves messages and keeps its bounds.

mod addresses;
mod auth;
mod closing;
mod connection;
mod event_json;
pub mod feed;
pub mod filter;
mod frame;
mod gathering;
mod hex_value;
pub mod limits;
pub mod message;
mod negentropy;
pub mod nip11;
mod outbox;
mod publishing;
mod pulse;
pub mod reply;
mod requests;
mod run;
mod service;
mod session;
mod stored;
mod subscription;
pub mod subscriptions;
mod verifying;
mod wire;

pub use addresses::ConnectionPermit;
pub use feed::Feed;
pub use limits::Limits;
pub use service::{Relay, RelayParts};
pub use session::{ClientInfo, serve};
