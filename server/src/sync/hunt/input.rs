//! What the hunt is told, and what it answers.

use nostr::event::EventId;

use crate::nip34::{Coordinate, Oid, RefName};
use crate::sync::url::CloneUrl;

/// One fetch. Never used twice by one hunt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FetchId(pub u64);

/// How a waiting event came.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Origin {
    /// By sync: its data is elsewhere, and fetched at once.
    Synced,
    /// From a client: its push is expected, and only if it does not come, the data is fetched.
    Published,
}

/// A waiting event and what it waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quarry {
    /// The state, PR or PR update.
    pub event: EventId,
    /// The repository into whose family the objects belong. Of a PR that names several: the first that is hosted here.
    pub repository: Coordinate,
    /// The objects that it names and that are not here, with a ref under which a server that refuses bare object ids
    /// may advertise them (`refs/heads/…`, `refs/tags/…`; for PRs `refs/nostr/<id>`).
    pub missing: Vec<(Oid, RefName)>,
    /// Where they may be: `clone` of the announcements of all maintainers, and the PR's own; as they stand there. This
    /// service and what is no http(s) URL are left out.
    pub servers: Vec<String>,
    /// How it came.
    pub origin: Origin,
}

/// What has happened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HuntInput {
    /// An event waits, or what is known of it has changed (fewer objects, more servers). Told again, it keeps its
    /// back-off, but servers that are new are tried at once.
    Wanted(Quarry),
    /// It waits no longer: released, replaced, withdrawn or expired.
    Settled(EventId),
    /// Objects have come here some other way (a push), with everything they reach.
    Here {
        /// Into the family of this repository.
        repository: Coordinate,
        /// Which.
        oids: Vec<Oid>,
    },
    /// A fetch has ended. What it brought was checked and is kept, whether or not it completes anything.
    Fetched {
        /// Which.
        fetch: FetchId,
        /// Of the objects asked for, those that are here now, with everything they reach.
        here: Vec<Oid>,
        /// How it ended.
        end: End,
    },
    /// Time has passed; due at `Hunt::next_wake`, harmless at any time.
    Tick,
}

/// How a fetch has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// The server has given what it has of what was asked for.
    Answered,
    /// It does not take bare object ids ("not our ref"): it is asked for the refs at once.
    OidsRefused,
    /// It is too busy (HTTP 429): a pause for the host, not a failure.
    RateLimited,
    /// No connection, no repository, garbage, too large, too slow.
    Failed,
}

/// How objects are asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum By {
    /// By exact id.
    Oid,
    /// By the refs that the server advertises: those whose value is wanted.
    Ref,
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HuntAction {
    /// Fetch; answered by [`HuntInput::Fetched`].
    Fetch {
        /// Under which id.
        fetch: FetchId,
        /// For the family of this repository.
        repository: Coordinate,
        /// From where.
        server: CloneUrl,
        /// What, each with a ref that may lead to it. Not empty.
        wants: Vec<(Oid, RefName)>,
        /// How.
        by: By,
        /// The waiting events that this is for: they do not expire while it runs.
        events: Vec<EventId>,
    },
    /// Nobody waits for this fetch any more: it may be ended. It is answered all the same.
    Abandon {
        /// Which.
        fetch: FetchId,
    },
}
