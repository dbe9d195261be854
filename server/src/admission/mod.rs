//! May this event in? The decision table of the requirement catalogue (section G01), in one place, for every source.
//!
//! Pure: facts in, decisions out; no clock, no I/O. The rows about git data ("is it here?") are not decided here:
//! what must wait is admitted as waiting, and [`crate::promotion::settle()`] then says whether it has to.

pub mod archive;
pub mod curation;
pub mod decide;
pub mod deletion;
pub mod family;
pub mod related;
pub mod rule;

pub use family::{Family, Hosted, Slot};

use std::fmt;

/// The machine-readable prefix of a refusal (NIP-01).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prefix {
    /// Not acceptable by rule.
    Blocked,
    /// The sender lacks a right or the event lacks a relation.
    Restricted,
    /// The event does not make sense.
    Invalid,
    /// A newer one of the same address is known.
    Replaced,
    /// Too much, too fast, or no room.
    RateLimited,
    /// This server failed.
    Error,
}

impl Prefix {
    /// As it stands in the message.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Blocked => "blocked",
            Self::Restricted => "restricted",
            Self::Invalid => "invalid",
            Self::Replaced => "replaced",
            Self::RateLimited => "rate-limited",
            Self::Error => "error",
        }
    }
}

/// A refusal: prefix and a reason that a person understands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// For machines.
    pub prefix: Prefix,
    /// For people.
    pub reason: String,
}

impl Refusal {
    /// Both parts.
    #[must_use]
    pub fn new(prefix: Prefix, reason: impl Into<String>) -> Self {
        Self { prefix, reason: reason.into() }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.prefix.as_str(), self.reason)
    }
}

/// What happens to an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// It is known already, served or waiting; nothing changes and the answer is yes.
    Known {
        /// It waits in purgatory.
        waiting: bool,
    },
    /// It is served at once.
    Serve,
    /// It enters purgatory, and leaves it at once if its git data is here.
    Wait,
    /// It is not taken.
    Refuse(Refusal),
}

#[cfg(test)]
mod tests;
