//! What one server shows of its repositories, read page by page.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use futures_util::{StreamExt as _, TryStreamExt as _};
use grasp_fixtures::events::{
    ANNOUNCEMENT, COMMENT, ISSUE, PATCH, PULL_REQUEST, PULL_REQUEST_UPDATE, STATE, coordinate,
};
use nostr::event::{Event, EventId};
use nostr::key::PublicKey;
use serde::{Serialize, Serializer};
use serde_json::{Value, json};

use super::{AgreementError, SERVED, Server, values};
use crate::calendar;
use crate::target::http::HttpClient;
use crate::target::smart_http;
use crate::target::transcript::Transcript;
use crate::target::url::{ServiceUrl, repository_path};
use crate::target::websocket::{Relay, RelayError};

/// Events asked for at once where NIP-11 states no `max_limit`.
const PAGE: u64 = 500;
/// The most that are asked for at once.
const LARGEST_PAGE: u64 = 5_000;
/// Values in one filter.
const VALUES: usize = 100;
/// Repositories whose refs are asked for at the same time.
const AT_ONCE: usize = 4;
/// How announcements name further maintainers.
const MAINTAINERS: [&str; 4] = ["maintainers", "M", "m", "o"];

/// Something of a repository that servers can differ in.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Item {
    /// The repository as a whole.
    Repository,
    /// Its announcement; the value is the event's id, with its time.
    Announcement,
    /// The state of one of its maintainers, in the same way.
    State(PublicKey),
    /// Another event, which is served or not.
    Event {
        /// Its kind.
        kind: u16,
        /// Its id.
        id: EventId,
    },
    /// What HEAD points to.
    Head,
    /// A ref; the value is an object id.
    Ref(String),
}

impl fmt::Display for Item {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Repository => write!(f, "repository"),
            Self::Announcement => write!(f, "announcement"),
            Self::State(author) => write!(f, "state of {}", author.to_hex()),
            Self::Event { kind, id } => match *kind {
                PATCH => write!(f, "patch {id}"),
                PULL_REQUEST => write!(f, "pull request {id}"),
                PULL_REQUEST_UPDATE => write!(f, "update of a pull request {id}"),
                ISSUE => write!(f, "issue {id}"),
                COMMENT => write!(f, "comment {id}"),
                1630..=1633 => write!(f, "status {id}"),
                kind => write!(f, "event of kind {kind} {id}"),
            },
            Self::Head => write!(f, "HEAD"),
            Self::Ref(name) => write!(f, "{name}"),
        }
    }
}

impl Serialize for Item {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// A repository as one server shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repository {
    /// Its announcement.
    pub announcement: Event,
    /// Everything that can be compared, each with its value.
    pub items: BTreeMap<Item, String>,
}

/// What one server shows of its repositories.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holdings {
    /// The name under which announcements list it.
    pub name: ServiceUrl,
    /// Its repositories, by coordinate.
    pub repositories: BTreeMap<String, Repository>,
}

impl Holdings {
    /// Reads everything that a server shows of its repositories, or of those with these identifiers.
    ///
    /// # Errors
    /// When it does not say what it has.
    pub async fn read(server: &Server, identifiers: &BTreeSet<String>) -> Result<Self, AgreementError> {
        let reader = Reader::open(server).await?;
        let mut repositories = reader.announced(identifiers).await?;
        reader.states(&mut repositories).await?;
        reader.talk(&mut repositories).await?;
        reader.refs(&mut repositories).await?;
        Ok(Self { name: server.name.clone(), repositories })
    }
}

type Repositories = BTreeMap<String, Repository>;

/// One server that is read.
struct Reader {
    title: String,
    relay: Relay,
    http: HttpClient,
    page: u64,
}

impl Reader {
    async fn open(server: &Server) -> Result<Self, AgreementError> {
        let (target, transcript) = (&server.target, Arc::new(Transcript::new()));
        let relay = Relay::connect(target, transcript.clone(), "ws".to_owned()).await;
        let stated = target.nip11.as_ref().and_then(|told| told["limitation"]["max_limit"].as_u64());
        Ok(Self {
            relay: relay.map_err(|reason| AgreementError::Relay { server: server.title(), reason })?,
            title: server.title(),
            http: HttpClient::new(target.url.clone(), target.dialer.clone(), transcript),
            page: stated.unwrap_or(PAGE).clamp(1, LARGEST_PAGE),
        })
    }

    /// The announcements, and nothing else of their repositories yet.
    async fn announced(&self, identifiers: &BTreeSet<String>) -> Result<Repositories, AgreementError> {
        let events = if identifiers.is_empty() {
            self.all(json!({"kinds": [ANNOUNCEMENT]})).await?
        } else {
            self.tagged("d", identifiers, Some(ANNOUNCEMENT)).await?
        };
        let repository = |announcement: Event| {
            let at = coordinate(&announcement.pubkey, &identifier(&announcement));
            let items = BTreeMap::from([(Item::Announcement, version(&announcement))]);
            (at, Repository { announcement, items })
        };
        Ok(events.into_iter().map(repository).collect())
    }

    /// The states of the maintainers, as this server knows them.
    async fn states(&self, repositories: &mut Repositories) -> Result<(), AgreementError> {
        let mut announced: BTreeMap<String, Vec<Event>> = BTreeMap::new();
        for announcement in repositories.values().map(|repository| &repository.announcement) {
            announced.entry(identifier(announcement)).or_default().push(announcement.clone());
        }
        let mut stated: BTreeMap<String, Vec<Event>> = BTreeMap::new();
        for state in self.tagged("d", announced.keys(), Some(STATE)).await? {
            stated.entry(identifier(&state)).or_default().push(state);
        }
        for repository in repositories.values_mut() {
            let identifier = identifier(&repository.announcement);
            let maintainers = maintainers(repository.announcement.pubkey, &announced[&identifier]);
            for state in stated.get(&identifier).into_iter().flatten() {
                if maintainers.contains(&state.pubkey) {
                    repository.items.insert(Item::State(state.pubkey), version(state));
                }
            }
        }
        Ok(())
    }

    /// What tags the repositories, what tags that, and so on.
    async fn talk(&self, repositories: &mut Repositories) -> Result<(), AgreementError> {
        let mut about: BTreeMap<String, BTreeSet<String>> =
            repositories.keys().map(|at| (at.clone(), BTreeSet::from([at.clone()]))).collect();
        let mut open: BTreeSet<String> = about.keys().cloned().collect();
        let mut names = ["a", "A", "q"];
        while !open.is_empty() {
            let mut next = BTreeSet::new();
            for name in names {
                for event in self.tagged(name, &open, None).await? {
                    let tagged = names.iter().flat_map(|name| values(&event, name));
                    let of: BTreeSet<String> =
                        tagged.filter_map(|value| about.get(value)).flatten().cloned().collect();
                    add(repositories, &event, &of);
                    let id = event.id.to_hex();
                    // what does not match the filter is about nothing, and leads nowhere
                    if !of.is_empty() && !about.contains_key(&id) {
                        next.insert(id.clone());
                    }
                    about.entry(id).or_default().extend(of);
                }
            }
            (open, names) = (next, ["e", "E", "q"]);
        }
        Ok(())
    }

    /// Refs and HEAD. A repository that is announced and has none yet shows none.
    async fn refs(&self, repositories: &mut Repositories) -> Result<(), AgreementError> {
        let asked = futures_util::stream::iter(repositories.iter_mut().map(|(at, repository)| async move {
            let announcement = &repository.announcement;
            let path = repository_path(&announcement.pubkey, &identifier(announcement));
            let of = || (self.title.clone(), at.clone());
            let (response, refs) = smart_http::ls_refs(&self.http, &path).await.map_err(|reason| {
                let (server, repository) = of();
                AgreementError::Http { server, repository, reason }
            })?;
            if !matches!(response.status, 200 | 404) {
                let (server, repository) = of();
                return Err(AgreementError::Refs { server, repository, status: response.status });
            }
            for listed in refs {
                let head = listed.name == "HEAD";
                let item = if head { Item::Head } else { Item::Ref(listed.name) };
                repository.items.insert(item, listed.symref_target.unwrap_or(listed.oid));
            }
            Ok(())
        }));
        asked.buffer_unordered(AT_ONCE).try_collect().await
    }

    /// Everything with one of these values in its tags called `name`.
    async fn tagged<'a>(
        &self,
        name: &str,
        values: impl IntoIterator<Item = &'a String>,
        kind: Option<u16>,
    ) -> Result<Vec<Event>, AgreementError> {
        let values: Vec<&String> = values.into_iter().collect();
        let mut found = Vec::new();
        for some in values.chunks(VALUES) {
            let mut filter = json!({ format!("#{name}"): some });
            if let Some(kind) = kind {
                filter["kinds"] = json!([kind]);
            }
            found.extend(self.all(filter).await?);
        }
        Ok(found)
    }

    /// Everything that matches, page by page. The next page begins in the second in which the last one ended, so that
    /// a second with many events loses none; whether there are more is asked and not concluded from the length of a
    /// page, for relays give out less than they are asked for.
    async fn all(&self, mut filter: Value) -> Result<Vec<Event>, AgreementError> {
        let failed = |reason: RelayError| AgreementError::Relay { server: self.title.clone(), reason };
        let mut found: BTreeMap<EventId, Event> = BTreeMap::new();
        filter["limit"] = json!(self.page);
        loop {
            let page = self.relay.req(std::slice::from_ref(&filter)).await.map_err(failed)?;
            let Some(oldest) = page.iter().map(|event| event.created_at.as_secs()).min() else {
                return Ok(found.into_values().collect());
            };
            let (known, events) = (found.len(), page.len());
            found.extend(page.into_iter().map(|event| (event.id, event)));
            filter["until"] = json!(oldest);
            if found.len() == known {
                if u64::try_from(events).is_ok_and(|events| events >= self.page) {
                    return Err(AgreementError::Crowded {
                        server: self.title.clone(),
                        events,
                        second: oldest,
                    });
                }
                let Some(before) = oldest.checked_sub(1) else { return Ok(found.into_values().collect()) };
                filter["until"] = json!(before);
            }
        }
    }
}

fn add(repositories: &mut Repositories, event: &Event, of: &BTreeSet<String>) {
    for at in of {
        if let Some(repository) = repositories.get_mut(at) {
            let item = Item::Event { kind: event.kind.as_u16(), id: event.id };
            repository.items.insert(item, SERVED.to_owned());
        }
    }
}

/// Which of the events of one address it is.
fn version(event: &Event) -> String {
    format!("{} of {}", event.id, calendar::minute(event.created_at.as_secs()))
}

/// An announcement's or a state's `d`.
fn identifier(event: &Event) -> String {
    event.tags.identifier().unwrap_or_default()
}

/// An owner, whom the owner's announcement names as maintainers, whom theirs name, and so on; the announcements are those
/// of one identifier.
fn maintainers(owner: PublicKey, announced: &[Event]) -> BTreeSet<PublicKey> {
    let mut set = BTreeSet::from([owner]);
    let mut open = vec![owner];
    while let Some(next) = open.pop() {
        for announcement in announced.iter().filter(|announcement| announcement.pubkey == next) {
            let named = MAINTAINERS.iter().flat_map(|name| values(announcement, name));
            open.extend(named.filter_map(|key| PublicKey::parse(key).ok()).filter(|key| set.insert(*key)));
        }
    }
    set
}
