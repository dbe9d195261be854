//! What a relay has stored for a filter: by reconciliation (NIP-77) where it speaks that, by `until` pages where it does
//! not (requirement G02/sync/negentropy).
//!
//! A page that does not end with EOSE is a failure, not a short history. Relays cap the results of a filter, so the next
//! page begins in the second where the last one ended. Everything a relay can make us do is bounded: pages, rounds,
//! records, silence.

use std::collections::HashSet;
use std::time::Duration;

use negentropy::{Id, Negentropy, NegentropyStorageVector};
use nostr::event::EventId;
use nostr::filter::{Filter, MatchEventOptions};
use nostr::types::Timestamp;
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::relay_client::{Gone, Held, RelayClient, Said, Subscription};

/// How many results are asked for at once: what most relays give at most.
const PAGE: usize = 500;
/// A page with fewer results than this is the last: no relay caps them lower.
const SHORT_PAGE: usize = 20;
/// The most results of one page that are read.
const MAX_PAGE: usize = 10_000;
/// The most pages of one filter: a million events, as most relays count.
const MAX_PAGES: usize = 2_000;
/// The most pages that may begin in the same second.
const MAX_PAGES_OF_A_SECOND: usize = 20;
/// Results that match nothing that was asked for, before a relay is not listened to any more.
const MAX_FOREIGN: usize = 100;
/// Ids in one filter.
const IDS_AT_ONCE: usize = 256;
/// The longest message of a reconciliation that is sent, in bytes; twice as many in hexadecimal, and many relays take
/// no message of more than 128 KiB.
const FRAME: u64 = 60_000;
/// The most messages of one reconciliation.
const MAX_ROUNDS: usize = 256;
/// The most ids that one reconciliation may say we lack.
const MAX_NEEDED: usize = 500_000;

/// How long a relay may be silent.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Between two answers.
    pub silence: Duration,
    /// Before the first answer to a reconciliation: relays that do not know it often say nothing at all.
    pub first: Duration,
}

impl Default for Pace {
    fn default() -> Self {
        Self { silence: Duration::from_secs(30), first: Duration::from_secs(10) }
    }
}

/// Why a history is not complete.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum HistoryError {
    /// The relay has ended the subscription, for this reason.
    #[error("CLOSED: {0}")]
    Closed(String),
    /// The connection has ended.
    #[error("the connection has ended")]
    Gone,
    /// Nothing came.
    #[error("the relay was silent for {0:?}")]
    Silent(Duration),
    /// The relay sends without end, or what nobody asked for.
    #[error("the relay sends {0}")]
    Endless(&'static str),
    /// The relay does not reconcile, or not this filter; pages are another way.
    #[error("no reconciliation: {0}")]
    Unreconciled(String),
}

impl From<Gone> for HistoryError {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

/// Fetches page after page what matches a filter; returns how many events came, and how many requests it took.
///
/// # Errors
/// [`HistoryError`]; what has come until then has been passed on.
pub async fn by_pages(
    client: &RelayClient,
    filter: &Filter,
    pace: Pace,
    into: &mpsc::Sender<Held>,
) -> Result<Tally, HistoryError> {
    let mut tally = Tally::default();
    let mut until = filter.until;
    // What was seen of the second in which the next page begins.
    let mut seen: HashSet<EventId> = HashSet::new();
    let mut same_second = 0;
    while tally.requests < MAX_PAGES {
        let mut asked = filter.clone().limit(PAGE);
        asked.until = until;
        let page = read_page(client, &asked, pace, &seen, into).await?;
        tally.requests += 1;
        tally.events += page.fresh;
        let Some(oldest) = page.oldest.filter(|_| page.results >= SHORT_PAGE) else { return Ok(tally) };
        if page.fresh == 0 || same_second == MAX_PAGES_OF_A_SECOND {
            // Nothing more comes of that second.
            if oldest.as_secs() == 0 {
                return Ok(tally);
            }
            (until, same_second) = (Some(oldest - 1u64), 0);
            seen.clear();
        } else if until == Some(oldest) {
            same_second += 1;
            seen.extend(page.of_oldest);
        } else {
            (until, same_second) = (Some(oldest), 0);
            seen = page.of_oldest;
        }
    }
    Err(HistoryError::Endless("pages without end"))
}

/// What fetching has cost and brought.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Requests: REQs, and messages of a reconciliation.
    pub requests: usize,
    /// Events that were passed on.
    pub events: usize,
}

impl std::ops::AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.requests += other.requests;
        self.events += other.events;
    }
}

#[derive(Debug, Default)]
struct Page {
    results: usize,
    fresh: usize,
    oldest: Option<Timestamp>,
    of_oldest: HashSet<EventId>,
}

impl Page {
    fn count(&mut self, id: EventId, time: Timestamp) {
        self.results += 1;
        if self.oldest.is_none_or(|oldest| time < oldest) {
            self.oldest = Some(time);
            self.of_oldest.clear();
        }
        if self.oldest == Some(time) {
            self.of_oldest.insert(id);
        }
    }
}

async fn read_page(
    client: &RelayClient,
    asked: &Filter,
    pace: Pace,
    seen: &HashSet<EventId>,
    into: &mpsc::Sender<Held>,
) -> Result<Page, HistoryError> {
    let mut subscription = client.subscribe(std::slice::from_ref(asked)).await?;
    let (mut page, mut foreign) = (Page::default(), 0);
    while let Some(held) = next_event(&mut subscription, pace).await? {
        if !asked.match_event(&held.event, MatchEventOptions::new()) {
            foreign += 1;
            if foreign > MAX_FOREIGN {
                return Err(HistoryError::Endless("events that nobody asked for"));
            }
            continue;
        }
        let (id, time) = (held.event.id, held.event.created_at);
        page.count(id, time);
        if page.results > MAX_PAGE {
            return Err(HistoryError::Endless("a page without end"));
        }
        if !seen.contains(&id) {
            page.fresh += 1;
            into.send(held).await.map_err(|_| HistoryError::Gone)?;
        }
    }
    Ok(page)
}

/// The next stored event; nothing at EOSE.
async fn next_event(subscription: &mut Subscription, pace: Pace) -> Result<Option<Held>, HistoryError> {
    loop {
        let said = timeout(pace.silence, subscription.next()).await;
        match said.map_err(|_| HistoryError::Silent(pace.silence))? {
            Some(Said::Event(held)) => return Ok(Some(held)),
            Some(Said::Eose) => return Ok(None),
            Some(Said::Closed(reason)) => return Err(HistoryError::Closed(reason)),
            Some(Said::Neg(_) | Said::Notice(_)) => {}
            None => return Err(HistoryError::Gone),
        }
    }
}

/// Fetches events by their ids.
///
/// # Errors
/// [`HistoryError`]; what has come until then has been passed on.
pub async fn by_ids(
    client: &RelayClient,
    ids: &[EventId],
    pace: Pace,
    into: &mpsc::Sender<Held>,
) -> Result<Tally, HistoryError> {
    let mut tally = Tally::default();
    for ids in ids.chunks(IDS_AT_ONCE) {
        let filter = Filter::new().ids(ids.iter().copied());
        let page = read_page(client, &filter, pace, &HashSet::new(), into).await?;
        tally += Tally { requests: 1, events: page.fresh };
    }
    Ok(tally)
}

/// What a reconciliation has found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Difference {
    /// The relay has these, and we do not.
    pub need: Vec<EventId>,
    /// Messages that were sent.
    pub requests: usize,
}

/// Holds what is here against what a relay has for a filter.
///
/// # Errors
/// [`HistoryError::Unreconciled`] when the relay does not do that; otherwise why it ended early.
pub async fn reconcile(
    client: &RelayClient,
    filter: &Filter,
    ours: Vec<(EventId, Timestamp)>,
    pace: Pace,
) -> Result<Difference, HistoryError> {
    let failed = |error: &dyn std::fmt::Display| HistoryError::Unreconciled(error.to_string());
    let (mut engine, first) = tokio::task::spawn_blocking(move || initiate(ours))
        .await
        .map_err(|error| failed(&error))?
        .map_err(|error| failed(&error))?;
    let mut subscription = client.reconcile(filter, &first).await?;
    let mut need: Vec<Id> = Vec::new();
    for round in 1..=MAX_ROUNDS {
        let patience = if round == 1 { pace.first } else { pace.silence };
        let message = next_message(&mut subscription, patience, round).await?;
        let work = move || {
            let next = engine.reconcile_with_ids(&message, &mut Vec::new(), &mut need);
            (engine, next, need)
        };
        let next;
        (engine, next, need) = tokio::task::spawn_blocking(work).await.map_err(|error| failed(&error))?;
        if need.len() > MAX_NEEDED {
            return Err(HistoryError::Endless("more ids than can be true"));
        }
        match next.map_err(|error| failed(&error))? {
            Some(next) => subscription.answer(&next).await?,
            None => {
                let need = need.iter().map(|id| EventId::from_byte_array(id.to_bytes())).collect();
                return Ok(Difference { need, requests: round });
            }
        }
    }
    Err(HistoryError::Endless("messages of a reconciliation without end"))
}

type Engine = Negentropy<'static, NegentropyStorageVector>;

fn initiate(ours: Vec<(EventId, Timestamp)>) -> Result<(Engine, Vec<u8>), negentropy::Error> {
    let mut storage = NegentropyStorageVector::with_capacity(ours.len());
    for (id, time) in ours {
        storage.insert(time.as_secs(), Id::from_byte_array(id.to_bytes()))?;
    }
    storage.seal()?;
    let mut engine = Negentropy::owned(storage, FRAME)?;
    let first = engine.initiate()?;
    Ok((engine, first))
}

async fn next_message(
    subscription: &mut Subscription,
    patience: Duration,
    round: usize,
) -> Result<Vec<u8>, HistoryError> {
    loop {
        match timeout(patience, subscription.next()).await {
            Ok(Some(Said::Neg(message))) => return Ok(message),
            Ok(Some(Said::Closed(reason))) => return Err(HistoryError::Unreconciled(reason)),
            // It has not understood.
            Ok(Some(Said::Notice(text))) if round == 1 => return Err(HistoryError::Unreconciled(text)),
            Ok(Some(_)) => {}
            Ok(None) => return Err(HistoryError::Gone),
            Err(_) if round == 1 => {
                return Err(HistoryError::Unreconciled(format!("no answer within {patience:?}")));
            }
            Err(_) => return Err(HistoryError::Silent(patience)),
        }
    }
}
