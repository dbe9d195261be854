//! The reference model: what a GRASP server must do, by the decision table of the requirement catalogue.
//!
//! It is written from the table alone and knows no server. Pure: a [`World`] and something that happens give the worlds
//! that may be, each with the answer that goes with it. Where the table decides there is one; where it leaves something
//! open there are several, the most literal reading first, and what the server shows says which of them it is.

mod align;
mod announcement;
mod contribution;
mod deletion;
mod fixpoint;
mod maintainers;
mod nostr_refs;
mod pull;
mod push;
mod related;
mod rows;
mod seen;
mod state;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use nostr::event::EventId;

use super::story::{Authority, Name, Object, Person, Project, Refs, Repo};

pub use self::fixpoint::Had;
use self::nostr_refs::NostrRefs;
pub use self::push::{Push, Wants};
pub use self::rows::{Coverage, Row};
pub use self::seen::{Difference, Seen, Shown};

/// What an event says, as far as a server has to care.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    /// Kind 30617.
    Announcement {
        /// Its identifier.
        project: Project,
        /// Whether it lists the service.
        listed: bool,
        /// Whom it gives authority.
        authority: Authority,
    },
    /// Kind 30618.
    State {
        /// Its identifier.
        project: Project,
        /// Its heads and tags.
        refs: Refs,
        /// What its `HEAD` names.
        head: Option<Name>,
        /// Whether it holds a ref with an impossible name or value.
        invalid: bool,
    },
    /// Kinds 1618 and 1619.
    Pull {
        /// Its `a` tags.
        names: Vec<Repo>,
        /// Its `c` tag.
        tip: Object,
        /// The contributor's repository here that its `clone` tag names.
        contributed: Option<Repo>,
    },
    /// Kind 1621: an issue.
    Issue {
        /// Its `a` tag.
        about: Repo,
        /// Its `q` tags.
        quotes: Vec<EventId>,
    },
    /// Kind 1111, on an event.
    CommentOnEvent(EventId),
    /// Kind 1111, on a repository.
    CommentOnRepository(Repo),
    /// Kind 1, names nothing.
    Note,
    /// Kind 0.
    Profile,
    /// Kind 5.
    Deletion {
        /// Its `e` tags.
        ids: Vec<EventId>,
        /// Its `a` tags.
        addresses: Vec<Address>,
    },
}

/// The address of an announcement or a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Address {
    /// `30617:<owner>:<identifier>`
    Announcement(Repo),
    /// `30618:<author>:<identifier>`
    State(Repo),
}

impl Address {
    fn repo(self) -> Repo {
        match self {
            Self::Announcement(repo) | Self::State(repo) => repo,
        }
    }
}

/// An event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its id.
    pub id: EventId,
    /// Its time.
    pub at: u64,
    /// Its author.
    pub by: Person,
    /// What it says.
    pub says: Says,
}

impl Event {
    /// By time, then the lower id.
    fn is_newer_than(&self, other: &Self) -> bool {
        self.at > other.at || (self.at == other.at && self.id < other.id)
    }

    fn address(&self) -> Option<Address> {
        match self.says {
            Says::Announcement { project, .. } => {
                Some(Address::Announcement(Repo { owner: self.by, project }))
            }
            Says::State { project, .. } => Some(Address::State(Repo { owner: self.by, project })),
            _ => None,
        }
    }

    fn names(&self) -> &[Repo] {
        match &self.says {
            Says::Pull { names, .. } => names,
            _ => &[],
        }
    }
}

/// How the server must answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reply {
    /// `OK true`, and it is served. Of a push: every ref `ok`.
    Taken,
    /// `OK true` with `purgatory: …`.
    Waits,
    /// `OK true` with any words: it was here before.
    Repeated,
    /// `OK false`. Of a push: every ref `ng`.
    Refused,
    /// 404, of a push.
    NotHosted,
}

/// One way on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Alternative {
    /// The answer that goes with it.
    pub reply: Reply,
    /// The world afterwards.
    pub world: World,
}

/// What follows from something that happens.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Judgement {
    /// The rows that decided.
    pub rows: BTreeSet<Row>,
    /// What may be, the most literal reading first; never empty.
    pub alternatives: Vec<Alternative>,
}

impl Judgement {
    fn one(row: Row, reply: Reply, world: World) -> Self {
        Self { rows: BTreeSet::from([row]), alternatives: vec![Alternative { reply, world }] }
    }

    fn or(mut self, reply: Reply, world: World) -> Self {
        let other = Alternative { reply, world };
        if !self.alternatives.contains(&other) {
            self.alternatives.push(other);
        }
        self
    }

    fn also(mut self, row: Row) -> Self {
        self.rows.insert(row);
        self
    }

    /// Each of these worlds with the answer that fits what became of `event` in it.
    fn of(row: Row, event: &Event, worlds: Vec<World>) -> Self {
        let mut judgement = Self { rows: BTreeSet::from([row]), alternatives: Vec::new() };
        for world in worlds {
            let reply = world.became_of(event);
            judgement = judgement.or(reply, world);
        }
        judgement
    }
}

/// An announcement that was accepted.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Announced {
    event: Event,
    listed: bool,
    authority: Authority,
    served: bool,
}

/// The states of one author: at most one served and one newer one that waits.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct States {
    served: Option<Event>,
    waiting: Option<Event>,
}

/// A repository that can be reached.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Hosted {
    refs: Refs,
    /// What HEAD names; `None`: the server's choice, until it was seen.
    head: Option<Name>,
    /// The state that made the refs what they are.
    follows: Option<EventId>,
    /// How many states it has followed since the world was last settled.
    turns: u8,
    nostr: NostrRefs,
}

/// Everything about one identifier.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Family {
    announced: BTreeMap<Person, Announced>,
    states: BTreeMap<Person, States>,
    hosted: BTreeMap<Person, Hosted>,
    objects: BTreeSet<Object>,
    /// Some of them came below `/prs/`.
    contributed: bool,
    /// More that may be here or not. Only while a world is being settled.
    objects_perhaps: BTreeSet<Object>,
    /// The served states of owners whose repository was retired.
    put_aside: BTreeMap<Person, Event>,
}

/// What a server knows and shows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct World {
    families: BTreeMap<Project, Family>,
    /// Contributors' repositories that are not empty.
    contributors: BTreeMap<Repo, NostrRefs>,
    /// Everything served that has no address.
    served: BTreeMap<EventId, Event>,
    /// Pull requests that wait.
    waiting: BTreeMap<EventId, Event>,
    /// Events that were deleted by id.
    deleted: BTreeSet<EventId>,
    /// Addresses that were deleted, up to which time.
    deleted_until: BTreeMap<Address, u64>,
    /// The same where the table does not say that it counts.
    doubtful_until: BTreeMap<Address, u64>,
    /// Events that may be refused when they come again: the table does not say.
    doubtful: BTreeSet<EventId>,
}

impl World {
    /// An event is published.
    #[must_use]
    pub fn publish(&self, event: &Event) -> Judgement {
        if self.was_deleted(event) {
            return Judgement::one(Row::DeletedAgain, Reply::Refused, self.clone());
        }
        if self.is_served(event.id) || self.is_waiting(event.id) {
            return self.repeated(event);
        }
        let judgement = match &event.says {
            Says::Announcement { project, listed, authority } => {
                self.announce(event, *project, *listed, authority)
            }
            Says::State { project, invalid, .. } => self.state(event, *project, *invalid),
            Says::Pull { names, tip, .. } => self.pull(event, names, *tip),
            Says::Deletion { ids, addresses } => self.delete(event, ids, addresses),
            Says::Issue { .. } | Says::CommentOnEvent(_) | Says::CommentOnRepository(_) | Says::Note => {
                self.other(event)
            }
            Says::Profile => self.profile(event),
        };
        if self.is_doubtful(event) { judgement.or(Reply::Refused, self.clone()) } else { judgement }
    }

    fn repeated(&self, event: &Event) -> Judgement {
        let repeated = Judgement::one(Row::Repeated, Reply::Repeated, self.clone());
        let has_a_place =
            event.contributes().is_some() || event.names().iter().any(|repo| self.hosted(*repo).is_some());
        if has_a_place || !self.waiting.contains_key(&event.id) {
            return repeated;
        }
        // It waits for a repository that is not here any more: whether it does so still, the table does not say.
        let mut without = self.clone();
        without.waiting.remove(&event.id);
        repeated.or(Reply::Refused, without)
    }

    fn was_deleted(&self, event: &Event) -> bool {
        let by_address = event.address().and_then(|address| self.deleted_until.get(&address));
        self.deleted.contains(&event.id) || by_address.is_some_and(|until| event.at <= *until)
    }

    fn is_doubtful(&self, event: &Event) -> bool {
        let by_address = event.address().and_then(|address| self.doubtful_until.get(&address));
        self.doubtful.contains(&event.id) || by_address.is_some_and(|until| event.at <= *until)
    }

    /// Whether the event is served.
    #[must_use]
    pub fn is_served(&self, id: EventId) -> bool {
        let in_family = |family: &Family| {
            family.announced.values().any(|announced| announced.served && announced.event.id == id)
                || family.states.values().any(|states| states.served.as_ref().is_some_and(|s| s.id == id))
        };
        self.served.contains_key(&id) || self.families.values().any(in_family)
    }

    /// Whether the event waits in purgatory.
    #[must_use]
    pub fn is_waiting(&self, id: EventId) -> bool {
        let in_family = |family: &Family| {
            family.announced.values().any(|announced| !announced.served && announced.event.id == id)
                || family.states.values().any(|states| states.waiting.as_ref().is_some_and(|s| s.id == id))
        };
        self.waiting.contains_key(&id) || self.families.values().any(in_family)
    }

    fn became_of(&self, event: &Event) -> Reply {
        if self.is_served(event.id) {
            Reply::Taken
        } else if self.is_waiting(event.id) {
            Reply::Waits
        } else {
            Reply::Refused
        }
    }

    fn family(&self, project: Project) -> Option<&Family> {
        self.families.get(&project)
    }

    fn family_mut(&mut self, project: Project) -> &mut Family {
        self.families.entry(project).or_default()
    }

    fn hosted(&self, repo: Repo) -> Option<&Hosted> {
        self.family(repo.project)?.hosted.get(&repo.owner)
    }

    fn hosted_mut(&mut self, repo: Repo) -> Option<&mut Hosted> {
        self.families.get_mut(&repo.project)?.hosted.get_mut(&repo.owner)
    }

    fn announced(&self, repo: Repo) -> Option<&Announced> {
        self.family(repo.project)?.announced.get(&repo.owner)
    }

    /// Heads and tags that a hosted repository has.
    #[must_use]
    pub fn refs(&self, repo: Repo) -> Option<&Refs> {
        self.hosted(repo).map(|hosted| &hosted.refs)
    }

    /// Where `refs/nostr/<id>` is in a hosted repository.
    #[must_use]
    pub fn shown_at(&self, repo: Repo, id: EventId) -> Option<Object> {
        self.hosted(repo)?.nostr.at(id)
    }

    /// Every object that a hosted repository shows by a ref.
    #[must_use]
    pub fn shown_objects(&self, repo: Repo) -> BTreeSet<Object> {
        let Some(hosted) = self.hosted(repo) else { return BTreeSet::new() };
        reached(hosted.refs.values().chain(hosted.nostr.served.values()))
    }
}

/// Everything that these objects reach.
fn reached<'a>(tips: impl IntoIterator<Item = &'a Object>) -> BTreeSet<Object> {
    tips.into_iter().flat_map(|tip| tip.reaches()).copied().collect()
}
