//! The Nostr relay: sessions over WebSocket, subscriptions, limits, NIP-11.

mod addresses;
mod event_json;
pub mod feed;
pub mod filter;
mod hex_value;
pub mod limits;
pub mod message;
mod outbox;
pub mod reply;
pub mod subscriptions;

pub use addresses::ConnectionPermit;
