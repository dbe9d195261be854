//! What a history is made of: who is there, and what happens to them. Everything follows from the seed.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use nostr::event::{Event, EventId};

use crate::nip34::{Coordinate, Oid, RefName, ServiceDomain};
use crate::sync::RelayLimits;

/// When histories begin, in Unix seconds.
pub(super) const START: u64 = 1_800_000_000;

/// How a node that is no server of ours behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Character {
    /// A common relay: keeps what it is given, and does nothing of itself.
    Archive,
    /// Answers nothing.
    Mute,
    /// Answers, and never says that this was all.
    Endless,
    /// Always has another page.
    MorePages,
    /// Sends what nobody has signed, under ids of its own and of others.
    Forger,
    /// Sends what nobody has asked for.
    Foreign,
    /// Ends what is asked, for whatever reason.
    Closer,
    /// Complains and ends subscriptions, asked or not.
    Noisy,
    /// Lies about what it has when it reconciles.
    Liar,
    /// Ends connections.
    Flapper,
    /// Answers after minutes.
    Slow,
    /// Lets nobody in.
    Doorkeeper,
    /// Has some of what there is, a little of everything else, and mixes it.
    Gossip,
    /// Is not there.
    Dead,
}

impl Character {
    pub(super) const ALL: [Self; 14] = [
        Self::Archive,
        Self::Mute,
        Self::Endless,
        Self::MorePages,
        Self::Forger,
        Self::Foreign,
        Self::Closer,
        Self::Noisy,
        Self::Liar,
        Self::Flapper,
        Self::Slow,
        Self::Doorkeeper,
        Self::Gossip,
        Self::Dead,
    ];
}

/// How a server of ours is set up.
#[derive(Debug, Clone)]
pub(super) struct Setup {
    pub(super) negentropy: bool,
    pub(super) bootstrap: Vec<usize>,
    pub(super) window: Duration,
    /// Its memory of refused events is so small that it overflows.
    pub(super) forgetful: bool,
    pub(super) startup: Duration,
}

/// Who a node is.
#[derive(Debug, Clone)]
pub(super) enum Role {
    Server(Setup),
    Other(Character),
}

/// A node: a server of ours, or somebody else's.
#[derive(Debug, Clone)]
pub(super) struct Cast {
    pub(super) role: Role,
    /// What it takes as a relay.
    pub(super) limits: RelayLimits,
    /// Whether it says so.
    pub(super) tells: bool,
    /// It wants to know who is there.
    pub(super) asks_who: bool,
    /// Questions in ten seconds that it puts up with.
    pub(super) patience: usize,
}

impl Cast {
    pub(super) const fn is_server(&self) -> bool {
        matches!(self.role, Role::Server(_))
    }
}

/// What happens.
#[derive(Debug, Clone)]
pub(super) enum Deed {
    /// Somebody publishes an event at some nodes.
    Publish {
        event: Arc<Event>,
        to: Vec<usize>,
    },
    /// Somebody pushes branches.
    Push {
        repository: Coordinate,
        refs: BTreeMap<RefName, Oid>,
        to: usize,
    },
    /// Somebody pushes a pull request's data.
    PushPull {
        repository: Coordinate,
        id: EventId,
        tip: Oid,
        to: usize,
    },
    Crash(usize),
    Start(usize),
    /// No way leads from one to the other.
    Cut(usize, usize),
    Mend(usize, usize),
    /// All connections between the two break.
    Break(usize, usize),
}

/// What happens, and when.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    pub(super) at: Duration,
    pub(super) deed: Deed,
}

/// A history before it happens.
#[derive(Debug, Clone)]
pub(super) struct Scenario {
    pub(super) seed: u64,
    pub(super) cast: Vec<Cast>,
    pub(super) script: Vec<Scene>,
    pub(super) storm: Duration,
}

/// The name of a node as services have it.
pub(super) fn domain(node: usize) -> ServiceDomain {
    format!("n{node}.example").parse().unwrap()
}

impl fmt::Display for Deed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Publish { event, to } => write!(f, "{} is published at {to:?}", name_of(event)),
            Self::Push { repository, refs, to } => {
                let refs: Vec<String> =
                    refs.iter().map(|(name, oid)| format!("{name}={}", &oid.to_string()[..12])).collect();
                write!(f, "a push to {} at {to}: {}", repository.identifier, refs.join(" "))
            }
            Self::PushPull { repository, id, to, .. } => {
                write!(
                    f,
                    "a push for pull request {} to {} at {to}",
                    &id.to_hex()[..8],
                    repository.identifier
                )
            }
            Self::Crash(node) => write!(f, "{node} crashes"),
            Self::Start(node) => write!(f, "{node} starts"),
            Self::Cut(one, other) => write!(f, "no way between {one} and {other}"),
            Self::Mend(one, other) => write!(f, "a way between {one} and {other}"),
            Self::Break(one, other) => write!(f, "connections between {one} and {other} break"),
        }
    }
}

/// An event, for people who read a log.
pub(super) fn name_of(event: &Event) -> String {
    let kind = match event.kind.as_u16() {
        30_617 => "announcement",
        30_618 => "state",
        1617 => "patch",
        1618 => "pull request",
        1619 => "pull request update",
        1621 => "issue",
        1111 => "comment",
        5 => "deletion",
        7 => "reaction",
        1 => "note",
        _ => "event",
    };
    format!("{kind} {}", &event.id.to_hex()[..8])
}
