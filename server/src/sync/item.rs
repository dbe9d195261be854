//! What can be asked of another relay, piece by piece.

use nostr::event::EventId;

use crate::fault;
use crate::nip34::{Coordinate, Identifier};

/// How much of a repository's surroundings is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// Its announcement waits in purgatory: the announcements and states of its identifier, no more. What tags the
    /// repository would be refused as long as it is not served.
    StatesOnly,
    /// Its announcement is served: everything that it covers (requirement G02/events/historic).
    Full,
}

/// One thing that is wanted from a relay. The order is that of asking: what lets other things in comes first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Item {
    /// All announcements and states (kinds 30617, 30618) that the relay has: once per connection.
    Announcements,
    /// The announcements and states of one identifier, by whomever: looked at again when more of them are authorised.
    /// New ones are covered by [`Item::Announcements`].
    Identifier(Identifier),
    /// What tags a repository (`a`, `A`, `q`).
    Repository(Coordinate),
    /// What tags a root event (`e`, `E`, `q`).
    Root(EventId),
}

/// Which sort of [`Item`]: items of one layer share filters.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Layer {
    /// [`Item::Announcements`].
    Announcements,
    /// [`Item::Identifier`].
    Identifiers,
    /// [`Item::Repository`].
    Repositories,
    /// [`Item::Root`].
    Roots,
}

impl Item {
    /// Its layer.
    #[must_use]
    pub const fn layer(&self) -> Layer {
        match self {
            Self::Announcements => Layer::Announcements,
            Self::Identifier(_) => Layer::Identifiers,
            Self::Repository(_) => Layer::Repositories,
            Self::Root(_) => Layer::Roots,
        }
    }

    /// Whether a live subscription is kept for it. New events of an identifier come with [`Item::Announcements`].
    #[must_use]
    pub fn is_live(&self) -> bool {
        match self {
            Self::Announcements => true,
            Self::Identifier(_) => fault::is("known-identifiers-only"),
            Self::Repository(_) => !fault::is("repositories-not-live"),
            Self::Root(_) => !fault::is("roots-not-live"),
        }
    }
}
