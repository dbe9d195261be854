//! Properties: generated stories against any server, each step held against a reference model of the specification.
//!
//! A [`story`] is a row of steps by a few people over shared identifiers: announcements, states, pushes, pull requests,
//! deletions. [`generate`] makes them from a seed; [`explore`] tells many of them, side by side, each with keys and
//! identifiers of its own; after every step the server's answer and everything it shows is compared with the
//! [`model`], which is the catalogue's decision table written a second time, from its text alone. A story that fails is
//! made as short as it can be and can be kept in a file ([`record`]) and told again.
//!
//! Stories of two servers (GRASP-02) are told in the same way, and looked at when they have ended.

mod cast;
mod deed;
mod explain;
mod explore;
pub mod generate;
mod graph;
mod look;
pub mod model;
mod play;
pub mod record;
mod rehearse;
mod shrink;
pub mod story;
mod sync;
mod tell;

pub use self::explore::{Failure, Findings, Plan, Progress, Silent, explore};
pub use self::generate::Scope;
pub use self::model::{Coverage, Row};
pub use self::play::{Break, Outcome, Telling, Told, tell};
pub use self::record::Record;
pub use self::rehearse::rehearse;
pub use self::sync::Peers;
