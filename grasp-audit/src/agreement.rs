//! Do servers hold the same? What each shows of a repository (its events, by id, and its refs), side by side.
//!
//! Servers that one announcement names are to end up level (GRASP-02), whoever received what first. Whether they have is
//! asked here over the wire, of any number of servers, and nothing is written to them. Refs of contributors' own
//! repositories (GRASP-06) are not looked at.

mod holdings;
pub mod terminal;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use nostr::event::Event;
use serde::Serialize;
use tokio::time::Instant;

pub use self::holdings::{Holdings, Item, Repository};
use crate::target::http::HttpError;
use crate::target::url::ServiceUrl;
use crate::target::websocket::RelayError;
use crate::target::{Target, TargetError};

/// What is said of something that has no value of its own: it is there.
const SERVED: &str = "served";
/// What is said where nothing was compared.
const NOTHING: &str = "there is nothing to compare: no announcement lists two of them (one that is listed under another name than the \
                       one by which it is reached is given as NAME=URL)";
/// How long to wait before servers that do not agree are asked again.
const ASK_AGAIN: Duration = Duration::from_secs(1);

/// One of the servers, and the name under which announcements list it.
#[derive(Debug, Clone)]
pub struct Server {
    /// Where it is reached.
    pub target: Arc<Target>,
    /// What stands in `clone` and `relays`. Behind a proxy, or at the published port of a container, it is another one.
    pub name: ServiceUrl,
}

impl Server {
    /// A server that is reached by its own name.
    #[must_use]
    pub fn new(target: Arc<Target>) -> Self {
        let name = target.url.clone();
        Self { target, name }
    }

    /// The same server, which announcements list under this name.
    #[must_use]
    pub fn named(mut self, name: ServiceUrl) -> Self {
        self.name = name;
        self
    }

    /// What it is called in the result.
    #[must_use]
    pub fn title(&self) -> String {
        self.name.authority()
    }
}

/// What is compared.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Question {
    /// Also on servers that a repository's announcement does not list: archives (GRASP-05), mirrors.
    pub everywhere: bool,
    /// Only repositories with these identifiers; all when there are none.
    pub identifiers: BTreeSet<String>,
}

/// Why it cannot be said whether servers agree.
#[derive(Debug, thiserror::Error)]
pub enum AgreementError {
    /// A server cannot be reached.
    #[error(transparent)]
    Target(#[from] TargetError),
    /// Its relay gives no answer.
    #[error("the relay of {server}: {reason}")]
    Relay {
        /// Which server.
        server: String,
        /// What happened.
        reason: RelayError,
    },
    /// It has more events of one second than it gives out at once, so the rest cannot be asked for.
    #[error(
        "the relay of {server} has {events} events or more of one second ({second}) and gives out no more"
    )]
    Crowded {
        /// Which server.
        server: String,
        /// How many came.
        events: usize,
        /// Unix seconds.
        second: u64,
    },
    /// A request for refs got no answer.
    #[error("the refs of {repository} at {server}: {reason}")]
    Http {
        /// Which server.
        server: String,
        /// Which repository.
        repository: String,
        /// What happened.
        reason: HttpError,
    },
    /// A request for refs got an answer that is neither a listing nor "not here".
    #[error("the refs of {repository} at {server}: HTTP {status}")]
    Refs {
        /// Which server.
        server: String,
        /// Which repository.
        repository: String,
        /// The answer's status.
        status: u16,
    },
}

/// Something in which servers differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Coordinate of the repository, `30617:<hex key>:<identifier>`.
    pub repository: String,
    /// What it is.
    pub item: Item,
    /// What each server shows of it, by the server's name; `None` when it shows nothing.
    pub seen: BTreeMap<String, Option<String>>,
}

/// Whether servers agree, and where not.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Agreement {
    /// [`Agreement::FORMAT`].
    pub format: &'static str,
    /// [`Agreement::SCHEMA`].
    pub schema: u32,
    /// Version of the suite.
    pub suite: &'static str,
    /// The servers' names, in the order given.
    pub servers: Vec<String>,
    /// How many repositories were compared: those that two of the servers or more are to have.
    pub repositories: usize,
    /// How many events and refs of theirs, each counted once.
    pub items: usize,
    /// Where they differ.
    pub differences: Vec<Difference>,
}

impl Agreement {
    /// What the field `format` says.
    pub const FORMAT: &'static str = "grasp-audit/agreement";
    /// The form of this document; it goes up when a field changes its meaning or goes.
    pub const SCHEMA: u32 = 1;

    /// Asks all servers, at the same time.
    ///
    /// # Errors
    /// When one of them does not say what it has.
    pub async fn ask(servers: &[Server], question: &Question) -> Result<Self, AgreementError> {
        let asked = servers.iter().map(|server| Holdings::read(server, &question.identifiers));
        let held = futures_util::future::try_join_all(asked).await?;
        Ok(Self::between(&held, question.everywhere))
    }

    /// Asks again and again until they agree, for so long at most; the last answer. A server that cannot be asked
    /// meanwhile may be on its way back.
    ///
    /// # Errors
    /// When at the end one of them does not say what it has.
    pub async fn reached(
        servers: &[Server],
        question: &Question,
        within: Duration,
    ) -> Result<Self, AgreementError> {
        let deadline = Instant::now() + within;
        loop {
            let asked = Self::ask(servers, question).await;
            let agreed = asked.as_ref().is_ok_and(Self::is_reached);
            if agreed || Instant::now() + ASK_AGAIN > deadline {
                return asked;
            }
            tokio::time::sleep(ASK_AGAIN).await;
        }
    }

    /// Compares what servers have shown. Unless it is `everywhere`, a repository is looked for on those that its newest
    /// announcement lists.
    #[must_use]
    pub fn between(held: &[Holdings], everywhere: bool) -> Self {
        let known: BTreeSet<&String> = held.iter().flat_map(|held| held.repositories.keys()).collect();
        let mut agreement = Self {
            format: Self::FORMAT,
            schema: Self::SCHEMA,
            suite: crate::VERSION,
            servers: held.iter().map(|held| held.name.authority()).collect(),
            repositories: 0,
            items: 0,
            differences: Vec::new(),
        };
        for coordinate in known {
            let listed = listed(coordinate, held);
            let is_expected = |held: &&Holdings| everywhere || listed.contains(&held.name.authority());
            let expected: Vec<&Holdings> = held.iter().filter(is_expected).collect();
            if expected.len() > 1 {
                agreement.repositories += 1;
                agreement.compare(coordinate, &expected);
            }
        }
        agreement
    }

    /// Where a server does not have the repository at all, that is said once and not of everything in it.
    fn compare(&mut self, coordinate: &str, held: &[&Holdings]) {
        let having: Vec<(String, &Repository)> = held
            .iter()
            .filter_map(|held| Some((held.name.authority(), held.repositories.get(coordinate)?)))
            .collect();
        if having.len() < held.len() {
            let shown = |held: &&Holdings| {
                let name = held.name.authority();
                let shown = having.iter().any(|(having, _)| *having == name).then(|| SERVED.to_owned());
                (name, shown)
            };
            self.differ(coordinate, Item::Repository, held.iter().map(shown).collect());
        }
        let items: BTreeSet<&Item> = having.iter().flat_map(|(_, held)| held.items.keys()).collect();
        self.items += items.len();
        for item in items {
            let seen: BTreeMap<String, Option<String>> =
                having.iter().map(|(name, held)| (name.clone(), held.items.get(item).cloned())).collect();
            let mut values = seen.values();
            let first = values.next();
            if values.any(|value| Some(value) != first) {
                self.differ(coordinate, item.clone(), seen);
            }
        }
    }

    fn differ(&mut self, repository: &str, item: Item, seen: BTreeMap<String, Option<String>>) {
        self.differences.push(Difference { repository: repository.to_owned(), item, seen });
    }

    /// Whether there is something to compare, and all servers show the same.
    #[must_use]
    pub fn is_reached(&self) -> bool {
        self.exit_code() == 0
    }

    /// 0 when they agree, 1 when they do not, 2 when there is nothing to compare.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self.repositories {
            0 => 2,
            _ => u8::from(!self.differences.is_empty()),
        }
    }

    /// The result in one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        let counted = format!("repositories: {}; events and refs: {}", self.repositories, self.items);
        match self.differences.len() {
            _ if self.repositories == 0 => NOTHING.to_owned(),
            0 => format!("they agree ({counted})"),
            places => format!("they differ (places: {places}; {counted})"),
        }
    }

    /// The whole result as JSON.
    ///
    /// # Errors
    /// Never in practice: every field is plain data.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }
}

/// The names that the newest known announcement of a repository lists, under `clone` and under `relays`.
fn listed(coordinate: &str, held: &[Holdings]) -> BTreeSet<String> {
    let known = held.iter().filter_map(|held| Some(&held.repositories.get(coordinate)?.announcement));
    // of one second, the lower id wins (NIP-01)
    let newest = known.max_by(|a, b| a.created_at.cmp(&b.created_at).then(b.id.cmp(&a.id)));
    let named = |tag| newest.map(|newest| services(newest, tag)).unwrap_or_default();
    named("clone").intersection(&named("relays")).cloned().collect()
}

/// Host and port of the URLs of a tag.
fn services(announcement: &Event, tag: &str) -> BTreeSet<String> {
    let service = |url: &String| {
        let (scheme, rest) = url.split_once("://")?;
        let authority = rest.split('/').next()?;
        Some(ServiceUrl::parse(&format!("{scheme}://{authority}")).ok()?.authority())
    };
    values(announcement, tag).filter_map(service).collect()
}

/// Everything behind the name in an event's tags of that name.
fn values<'a>(event: &'a Event, name: &'a str) -> impl Iterator<Item = &'a String> {
    let tags = event.tags.iter().map(nostr::event::Tag::as_slice);
    tags.filter(move |tag| tag.first().is_some_and(|first| first == name)).flat_map(|tag| &tag[1..])
}

#[cfg(test)]
mod tests;
