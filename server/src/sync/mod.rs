//! Proactive sync (GRASP-02): what is wanted from which other relay, what is on its way, and what is confirmed.
//!
//! These rooms are pure: no I/O, no clock, no randomness. [`planner::Planner`] is told what has happened and when,
//! and returns what to do about other relays; [`hunt::Hunt`] does the same for git data that is missing. Time comes in as
//! [`Millis`], chance as a generator that the caller seeds. Both are driven by an engine in production and by
//! a simulated network in tests.
//!
//! The shells: [`relay_client`] and [`retrieval`] speak with one relay, [`offering`] takes to the intake what comes from
//! there, [`self_subscriber`] hears what happens here.

pub mod bounds;
pub mod engine;
pub mod filters;
pub mod git_hunter;
pub mod health;
pub mod history;
pub mod hunt;
pub mod input;
pub mod item;
pub mod live;
pub mod millis;
mod nip11;
pub mod offering;
pub mod paging;
pub mod planner;
pub mod reading;
pub mod reconnect;
pub mod refused;
mod relay;
pub mod relay_client;
mod relay_worker;
pub mod retrieval;
mod roster;
pub mod self_subscriber;
pub mod settings;
pub mod status;
pub mod throttle;
pub mod url;
pub mod wants;

pub use input::{Action, Input, Mode, RelayLimits, Repository, SubscriptionId, Unreachable};
pub use item::{Item, Layer, Level};
pub use millis::Millis;
pub use paging::Page;
pub use planner::Planner;
pub use settings::Settings;
pub use url::{CloneUrl, RelayUrl};

#[cfg(test)]
mod tests;
