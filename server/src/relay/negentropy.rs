//! Reconciliation of sets of events (NIP-77), the relay's side. A session holds ids and times only, as they were when
//! it was opened; its records count against a bound that all connections share.

use std::sync::Arc;

use negentropy::{Id, Negentropy, NegentropyStorageVector};
use nostr::filter::Filter;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

use super::limits::Limits;
use super::stored::Questions;
use crate::fault;

/// One open reconciliation.
#[derive(Debug)]
pub(crate) struct Reconciliation {
    engine: Negentropy<'static, NegentropyStorageVector>,
    last_used: Instant,
    _records: OwnedSemaphorePermit,
}

/// What all reconciliations share.
#[derive(Debug)]
pub(crate) struct Records {
    places: Arc<Semaphore>,
    per_session: usize,
    frame_size: u64,
}

impl Records {
    pub(crate) fn new(limits: &Limits) -> Self {
        let total = limits.max_neg_records_total.min(Semaphore::MAX_PERMITS);
        Self {
            places: Arc::new(Semaphore::new(total)),
            per_session: limits.max_neg_records.min(u32::MAX as usize - 1),
            frame_size: limits.neg_frame_size.max(4096),
        }
    }

    /// Opens a reconciliation over the stored events that match.
    ///
    /// # Errors
    /// A reason with a machine-readable prefix.
    pub(crate) async fn open(
        &self,
        questions: &Questions,
        filter: Option<Filter>,
    ) -> Result<Reconciliation, String> {
        let mut items = match filter {
            Some(filter) => {
                let limit = filter.limit.unwrap_or(usize::MAX).min(self.per_session + 1);
                questions.index(&filter, limit).await.map_err(|error| error.to_string())?
            }
            None => Vec::new(),
        };
        if fault::is("reconciliations-without-the-newest") {
            items.drain(..items.len().min(1));
        }
        if items.len() > self.per_session {
            let most = self.per_session;
            return Err(format!("blocked: more than {most} events match; reconcile a smaller part"));
        }
        let records = u32::try_from(items.len()).unwrap_or(u32::MAX);
        let places = self.places.clone().try_acquire_many_owned(records).map_err(|_| {
            "blocked: too many events are being reconciled on this relay right now; try again later"
                .to_owned()
        })?;
        let mut storage = NegentropyStorageVector::with_capacity(items.len());
        let failed = |error: negentropy::Error| format!("error: {error}");
        for (id, time) in items {
            storage.insert(time.as_secs(), Id::from_byte_array(id.to_bytes())).map_err(failed)?;
        }
        storage.seal().map_err(failed)?;
        let engine = Negentropy::owned(storage, self.frame_size).map_err(failed)?;
        Ok(Reconciliation { engine, last_used: Instant::now(), _records: places })
    }
}

impl Reconciliation {
    /// Answers one message of the client, away from the threads that serve connections.
    ///
    /// # Errors
    /// A reason with a machine-readable prefix; the reconciliation is over then.
    pub(crate) async fn answer(mut self, message: Vec<u8>) -> Result<(Self, Vec<u8>), String> {
        let work = tokio::task::spawn_blocking(move || {
            let answer = self.engine.reconcile(&message);
            self.last_used = Instant::now();
            (self, answer)
        });
        let (session, answer) = work.await.map_err(|_| "error: the reconciliation failed".to_owned())?;
        match answer {
            Ok(answer) => Ok((session, answer)),
            Err(error) => Err(format!("invalid: {error}")),
        }
    }

    /// When it was last used.
    pub(crate) fn last_used(&self) -> Instant {
        self.last_used
    }
}
