//! The repository events of NIP-34 as checked types.
//!
//! Pure: text and tags in, values out. Whoever holds an [`Announcement`], a [`State`] or a [`PullRequest`] need not
//! look at tags again: everything the protocol asks of their shape was checked when they were made.

pub mod announcement;
pub mod coordinate;
pub mod maintainers;
pub mod oid;
pub mod pull_request;
pub mod refname;
pub mod service;
pub mod state;
pub(crate) mod tags;
#[cfg(test)]
mod tests;

pub use announcement::Announcement;
pub use coordinate::{Coordinate, Identifier};
pub use oid::Oid;
pub use pull_request::PullRequest;
pub use refname::RefName;
pub use service::ServiceDomain;
pub use state::State;

use nostr::event::Kind;

/// Kind of a repository announcement (NIP-34).
pub const ANNOUNCEMENT: Kind = Kind::Custom(30617);
/// Kind of a repository state (NIP-34).
pub const STATE: Kind = Kind::Custom(30618);
/// Kind of a patch (NIP-34).
pub const PATCH: Kind = Kind::Custom(1617);
/// Kind of a pull request (NIP-34).
pub const PULL_REQUEST: Kind = Kind::Custom(1618);
/// Kind of a pull request update (NIP-34).
pub const PULL_REQUEST_UPDATE: Kind = Kind::Custom(1619);
/// Kind of an issue (NIP-34).
pub const ISSUE: Kind = Kind::Custom(1621);

/// Why an event is not what its kind says (answered with the prefix `invalid:`).
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ShapeError {
    /// The `d` tag is missing or empty.
    #[error("the `d` tag with the repository's identifier is missing or empty")]
    NoIdentifier,
    /// The identifier cannot be one path segment.
    #[error("the identifier {0:?} {1}")]
    Identifier(String, &'static str),
    /// A ref name that git itself would refuse.
    #[error("{0:?} is no valid ref name (see git-check-ref-format(1))")]
    RefName(String),
    /// A ref's value is no object id.
    #[error("the value {1:?} of {0} is no object id of 40 hexadecimal digits")]
    RefValue(String, String),
    /// An object id of the SHA-256 object format.
    #[error("{0} names a SHA-256 object id; this service hosts SHA-1 repositories only")]
    Sha256(String),
    /// Two different values for one ref.
    #[error("{0} is listed twice, with different values")]
    Contradiction(String),
    /// Two names of which one is a folder of the other cannot both exist in a repository.
    #[error("{0} and {1} cannot exist side by side in a git repository")]
    FolderClash(String, String),
    /// A pull request without its tip.
    #[error("the `c` tag with the tip's commit id is missing")]
    NoTip,
    /// A pull request whose tip is no object id.
    #[error("the `c` tag {0:?} is no commit id of 40 or 64 hexadecimal digits")]
    Tip(String),
    /// The event has another kind than asked for.
    #[error("kind {0} was expected here")]
    Kind(u16),
}
