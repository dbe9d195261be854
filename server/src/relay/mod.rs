//! The Nostr relay: sessions over WebSocket, subscriptions, limits, NIP-11.

pub mod feed;
