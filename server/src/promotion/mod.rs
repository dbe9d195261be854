//! The meeting of events and git data.
//!
//! [`settle()`] says, from what is known and which objects are here, what is now to be served and what every ref shall
//! be. It is declarative: it looks at what is there, not at how it came, which is why order does not matter.

mod contributed;
pub mod crash;
pub mod journal;
pub(crate) mod meeting;
pub(crate) mod purge;
mod retire;
mod run;
pub mod settle;
mod spread;

#[cfg(test)]
pub(crate) mod tests;

pub use settle::{RefTarget, Settled, settle, wanted};
