//! What a relay has stored for a filter: by reconciliation (NIP-77) where it speaks that, page by page where it does
//! not (requirement G02/sync/negentropy). Which page comes next is the planner's to say.
//!
//! A page that does not end with EOSE is a failure, not a short history. Everything a relay can make us do is bounded:
//! results, rounds, records, silence.

use std::time::Duration;

use negentropy::{Id, Negentropy, NegentropyStorageVector};
use nostr::event::EventId;
use nostr::filter::Filter;
use nostr::types::Timestamp;
use tokio::time::timeout;

use super::input::{Input, RelayLimits, SubscriptionId};
use super::offering::Offering;
use super::paging::Page;
use super::reading::Reading;
use super::relay_client::{Gone, Held, RelayClient, Said, Subscription};
use super::throttle::Refusal;
use super::url::RelayUrl;
use crate::fault;

/// Ids in one filter.
const IDS_AT_ONCE: usize = 256;
/// Bytes of one id in a filter: hexadecimal, quotes, comma.
const ID_BYTES: usize = 67;
/// The longest message, in bytes, that is sent to a relay that does not say what it takes: many take no more than
/// 128 KiB.
const USUAL_MESSAGE: usize = 128 << 10;
/// How long a relay may be silent between two answers.
const SILENCE: Duration = Duration::from_secs(30);
/// Room for what surrounds ids and frames in a message, in bytes.
const SURROUNDINGS: usize = 1 << 10;
/// The shortest and the longest message of a reconciliation, in bytes before it becomes hexadecimal. The library
/// allows no shorter ones.
const FRAME: (usize, usize) = (4_096, 60_000);
/// The most messages of one reconciliation.
pub(super) const MAX_ROUNDS: usize = 256;
/// The most ids that one reconciliation may say we lack.
pub(super) const MAX_NEEDED: usize = 500_000;

/// How long a relay may be silent, and what it takes.
#[derive(Debug, Clone, Copy)]
pub struct Pace {
    /// Silence between two answers.
    pub silence: Duration,
    /// Silence before the first answer to a reconciliation: relays that do not know it often say nothing at all.
    pub first: Duration,
    /// What the relay says of itself.
    pub limits: RelayLimits,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            silence: if fault::is("impatient") { Duration::from_millis(300) } else { SILENCE },
            first: Duration::from_secs(10),
            limits: RelayLimits::default(),
        }
    }
}

impl Pace {
    fn message_bytes(&self) -> usize {
        self.limits.message_bytes.unwrap_or(USUAL_MESSAGE).saturating_sub(SURROUNDINGS)
    }

    /// How many ids go into one filter.
    pub(super) fn ids_at_once(&self) -> usize {
        let results = self.limits.results.unwrap_or(IDS_AT_ONCE);
        IDS_AT_ONCE.min(results).min(self.message_bytes() / ID_BYTES).max(1)
    }

    /// How long a message of a reconciliation may be, before it becomes hexadecimal.
    fn frame(&self) -> u64 {
        (self.message_bytes() / 2).clamp(FRAME.0, FRAME.1) as u64
    }
}

/// Why a history is not complete.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RetrievalError {
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
    /// What is here could not be read.
    #[error("this server failed: {0}")]
    Here(String),
}

impl RetrievalError {
    /// A relay has ended a reconciliation. It would reconcile, but not now, or not with us: the planner knows what to do
    /// about that. Or it does not do that, or not for this filter.
    #[must_use]
    pub fn of_reconciliation(reason: String) -> Self {
        match Refusal::of(&reason) {
            Refusal::RateLimited | Refusal::Subscriptions | Refusal::Identity => Self::Closed(reason),
            Refusal::Filters | Refusal::Size | Refusal::Other => Self::Unreconciled(reason),
        }
    }

    /// What the planner is told of it; nothing when the end of the connection tells the rest.
    #[must_use]
    pub fn report(self, relay: RelayUrl, subscription: SubscriptionId) -> Option<Input> {
        Some(match self {
            Self::Gone => return None,
            Self::Closed(reason) => Input::Closed { relay, subscription, reason },
            Self::Unreconciled(_) => Input::NegentropyUnsupported { relay, subscription },
            error @ (Self::Silent(_) | Self::Endless(_) | Self::Here(_)) => {
                Input::Failed { relay, subscription, why: error.to_string() }
            }
        })
    }
}

impl From<Gone> for RetrievalError {
    fn from(_: Gone) -> Self {
        Self::Gone
    }
}

/// Fetches one page: what matches a filter, up to EOSE, or up to what the relay gives.
///
/// # Errors
/// [`RetrievalError`]; what has come until then has been passed on.
pub async fn page(
    subscription: &mut Subscription,
    asked: &Filter,
    pace: Pace,
    into: &Offering,
) -> Result<Page, RetrievalError> {
    let mut reading = Reading::page(asked.clone());
    while let Some(held) = next_event(subscription, pace).await? {
        if reading.take(&held.event)? {
            into.offer(held).await?;
        }
    }
    Ok(reading.finish())
}

/// The next stored event; nothing at EOSE.
async fn next_event(subscription: &mut Subscription, pace: Pace) -> Result<Option<Held>, RetrievalError> {
    loop {
        let said = timeout(pace.silence, subscription.next()).await;
        match said.map_err(|_| RetrievalError::Silent(pace.silence))? {
            Some(Said::Event(held)) => return Ok(Some(held)),
            Some(Said::Eose) => return Ok(None),
            Some(Said::Closed(reason)) => return Err(RetrievalError::Closed(reason)),
            Some(Said::Neg(_) | Said::Notice(_)) => {}
            None => return Err(RetrievalError::Gone),
        }
    }
}

/// Fetches events by their ids, with one REQ open at a time; returns how many REQs it took.
///
/// # Errors
/// [`RetrievalError`]; what has come until then has been passed on.
pub async fn by_ids(
    client: &RelayClient,
    id: &str,
    ids: &[EventId],
    pace: Pace,
    into: &Offering,
) -> Result<usize, RetrievalError> {
    let mut requests = 0;
    for ids in ids.chunks(pace.ids_at_once()) {
        let filter = Filter::new().ids(ids.iter().copied());
        let name = format!("{id}-{requests}");
        let mut subscription = client.subscribe(name, std::slice::from_ref(&filter))?;
        page(&mut subscription, &filter, pace, into).await?;
        requests += 1;
    }
    Ok(requests)
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
/// [`RetrievalError::Unreconciled`] when the relay does not do that; otherwise why it ended early.
pub async fn reconcile(
    client: &RelayClient,
    id: &str,
    filter: &Filter,
    ours: Vec<(EventId, Timestamp)>,
    pace: Pace,
) -> Result<Difference, RetrievalError> {
    let failed = |error: &dyn std::fmt::Display| RetrievalError::Unreconciled(error.to_string());
    let (mut engine, first) = tokio::task::spawn_blocking(move || initiate(ours, pace.frame()))
        .await
        .map_err(|error| failed(&error))?
        .map_err(|error| failed(&error))?;
    let mut subscription = client.reconcile(id.to_owned(), filter, &first)?;
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
            return Err(RetrievalError::Endless("more ids than can be true"));
        }
        match next.map_err(|error| failed(&error))? {
            Some(next) => subscription.answer(&next)?,
            None => {
                let need = need.iter().map(|id| EventId::from_byte_array(id.to_bytes())).collect();
                return Ok(Difference { need, requests: round });
            }
        }
    }
    Err(RetrievalError::Endless("messages of a reconciliation without end"))
}

type Engine = Negentropy<'static, NegentropyStorageVector>;

fn initiate(ours: Vec<(EventId, Timestamp)>, frame: u64) -> Result<(Engine, Vec<u8>), negentropy::Error> {
    let mut storage = NegentropyStorageVector::with_capacity(ours.len());
    for (id, time) in ours {
        storage.insert(time.as_secs(), Id::from_byte_array(id.to_bytes()))?;
    }
    storage.seal()?;
    let mut engine = Negentropy::owned(storage, frame)?;
    let first = engine.initiate()?;
    Ok((engine, first))
}

async fn next_message(
    subscription: &mut Subscription,
    patience: Duration,
    round: usize,
) -> Result<Vec<u8>, RetrievalError> {
    loop {
        match timeout(patience, subscription.next()).await {
            Ok(Some(Said::Neg(message))) => return Ok(message),
            Ok(Some(Said::Closed(reason))) => return Err(RetrievalError::of_reconciliation(reason)),
            // It has not understood.
            Ok(Some(Said::Notice(text))) if round == 1 => return Err(RetrievalError::Unreconciled(text)),
            Ok(Some(_)) => {}
            Ok(None) => return Err(RetrievalError::Gone),
            Err(_) if round == 1 => {
                return Err(RetrievalError::Unreconciled(format!("no answer within {patience:?}")));
            }
            Err(_) => return Err(RetrievalError::Silent(patience)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_fit_what_the_relay_takes() {
        let pace = |message_bytes, results| Pace {
            limits: RelayLimits { message_bytes, results, ..RelayLimits::default() },
            ..Pace::default()
        };
        let usual = pace(None, None);
        assert_eq!((usual.ids_at_once(), usual.frame()), (256, 60_000));
        let small = pace(Some(16 << 10), Some(100));
        assert_eq!((small.ids_at_once(), small.frame()), (100, 7_680));
        assert!(small.frame() as usize * 2 + SURROUNDINGS <= 16 << 10);
        let tiny = pace(Some(1), Some(1));
        assert_eq!((tiny.ids_at_once(), tiny.frame()), (1, 4_096));
    }
}
