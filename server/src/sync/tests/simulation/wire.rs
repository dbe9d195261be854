//! What goes over a simulated connection, and what both ends know of it.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use nostr::event::{Event, EventId};
use nostr::filter::Filter;

use crate::sync::reading::Reading;
use crate::sync::refused::Before;
use crate::sync::retrieval::Pace;
use crate::sync::{Input, Millis, RelayUrl, SubscriptionId};

/// The name of a subscription on the wire; parts are the REQs of a reconciliation that fetch what it has found.
pub(super) type Name = (SubscriptionId, u32);

/// One direction of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Way {
    ToRelay,
    ToClient,
}

/// A message.
#[derive(Debug, Clone)]
pub(super) enum Message {
    Req {
        name: Name,
        filters: Arc<[Filter]>,
    },
    Close {
        name: Name,
    },
    /// A reconciliation, with everything that is here of the filter. What the `negentropy` crate makes of that in a few
    /// rounds is one message each way.
    NegOpen {
        name: Name,
        filter: Box<Filter>,
        held: Vec<EventId>,
    },
    NegAgain {
        name: Name,
    },
    AuthAnswer,
    /// Events of one subscription, one after the other.
    Events {
        name: Name,
        events: Vec<Arc<Event>>,
    },
    Eose {
        name: Name,
    },
    Closed {
        name: Name,
        reason: String,
    },
    /// What a reconciliation says that we lack: these, and so many more; or that another round is needed.
    Neg {
        name: Name,
        need: Vec<EventId>,
        more: usize,
        again: bool,
    },
    Notice(String),
    Challenge,
    Authenticated,
}

/// What a subscription is for, at the client's end.
#[derive(Debug)]
pub(super) enum Work {
    Live(Reading),
    Page(Reading),
    Reconcile { rounds: usize },
    Fetch { ids: VecDeque<EventId>, reading: Reading },
}

/// A subscription at the client's end.
#[derive(Debug)]
pub(super) struct Route {
    pub(super) work: Work,
    /// When its silence has lasted too long.
    pub(super) deadline: Option<Millis>,
}

/// What is on its way into the intake.
#[derive(Debug)]
pub(super) enum Offer {
    Fetched(Arc<Event>),
    /// It was judged; what follows from that is not drawn yet.
    Judged {
        event: Event,
        before: Before,
        message: String,
    },
    /// All before this was judged: then it is to be told.
    Flush(SubscriptionId, Input),
}

/// How far a connection is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Dialling,
    Open,
    /// One end has gone; the other does not know it yet.
    Broken,
}

/// A connection of one node's server to another's relay.
#[derive(Debug)]
pub(super) struct Link {
    pub(super) client: usize,
    pub(super) relay: usize,
    pub(super) url: RelayUrl,
    pub(super) phase: Phase,
    /// It is not the first since the server has started.
    pub(super) again: bool,
    /// When the last message of each direction arrives: none overtakes it.
    pub(super) last: [Millis; 2],
    pub(super) last_report: Millis,
    /// What waits for a way.
    pub(super) stalled: Vec<(Way, Message)>,
    // At the relay.
    pub(super) open: BTreeMap<Name, Arc<[Filter]>>,
    pub(super) known: bool,
    pub(super) asked: VecDeque<Millis>,
    // At the client.
    pub(super) routes: BTreeMap<Name, Route>,
    pub(super) intake: VecDeque<Offer>,
    pub(super) forged: usize,
    /// When silence is looked after next.
    pub(super) listens: Option<Millis>,
    pub(super) pace: Pace,
}
