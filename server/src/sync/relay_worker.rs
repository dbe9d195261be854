//! The work at one relay: a connection, and what the planner has asked of it. It reports what has happened and decides
//! nothing.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use nostr::filter::Filter;
use tokio::sync::mpsc;
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::timeout;
use tokio_util::task::AbortOnDropHandle;

use super::input::{Input, Mode, RelayLimits, SubscriptionId, Unreachable};
use super::nip11;
use super::offering::{Offering, Reception, Tally};
use super::paging::Page;
use super::reading::Reading;
use super::relay_client::{Aside, ConnectError, Dialer, RelayClient, Said, Subscription, Watch};
use super::retrieval::{self, Pace, RetrievalError};
use super::throttle::Refusal;
use super::url::RelayUrl;
use crate::fault;
use crate::outbound::{Destination, OutboundError};

/// Orders that wait for one relay. The planner has no more in flight.
const ORDERS: usize = 1024;
/// How long a relay's document (NIP-11) may hold up the first question, which had better know it.
const DOCUMENT_FIRST: Duration = Duration::from_millis(500);

/// What all workers share.
#[derive(Debug, Clone)]
pub(super) struct Workplace {
    pub(super) dialer: Dialer,
    pub(super) reception: Reception,
    /// Where what has happened is told.
    pub(super) reports: mpsc::Sender<Input>,
    pub(super) pace: Pace,
}

/// What is asked of a worker.
#[derive(Debug)]
pub(super) enum Order {
    Subscribe { subscription: SubscriptionId, mode: Mode, filters: Vec<Filter> },
    Unsubscribe(SubscriptionId),
    Negotiate { subscription: SubscriptionId, filter: Filter },
    Leave,
}

/// A handle on the work at one relay; the work ends with it.
#[derive(Debug)]
pub(super) struct Worker {
    orders: mpsc::Sender<Order>,
    _task: AbortOnDropHandle<()>,
}

impl Worker {
    /// Connects.
    pub(super) fn start(relay: RelayUrl, place: Workplace, tally: Arc<Tally>) -> Self {
        let (orders, to_do) = mpsc::channel(ORDERS);
        let task = tokio::spawn(run(relay, place, tally, to_do));
        Self { orders, _task: AbortOnDropHandle::new(task) }
    }

    /// Gives an order; `false` when it cannot be taken, because the relay is hopelessly behind.
    pub(super) fn order(&self, order: Order) -> bool {
        match self.orders.try_send(order) {
            Ok(()) => true,
            // The report of its end is on the way.
            Err(mpsc::error::TrySendError::Closed(_)) => true,
            Err(mpsc::error::TrySendError::Full(_)) => false,
        }
    }
}

async fn run(relay: RelayUrl, place: Workplace, tally: Arc<Tally>, mut orders: mpsc::Receiver<Order>) {
    let reports = place.reports.clone();
    let connected = tokio::select! {
        connected = connect(&relay, &place) => connected,
        () = told_to_leave(&mut orders) => Err(Unreachable::Asked),
    };
    let why = match connected {
        Ok(connected) => {
            let offering = Offering::open(place.reception.clone(), tally);
            let site = Site { relay: relay.clone(), place, client: connected.client, offering };
            site.work(connected.watch, connected.document, orders).await
        }
        Err(why) => why,
    };
    tracing::debug!(%relay, ?why, "a relay is not connected any more");
    // When the engine has gone nobody needs to know.
    let _ = reports.send(Input::Disconnected { relay, why }).await;
}

/// Before there is a connection, nothing else can be asked.
async fn told_to_leave(orders: &mut mpsc::Receiver<Order>) {
    while !matches!(orders.recv().await, Some(Order::Leave) | None) {}
}

struct Connected {
    client: RelayClient,
    watch: Watch,
    document: Document,
}

/// The question for a relay's document, or its answer.
enum Document {
    Asked(AbortOnDropHandle<Option<RelayLimits>>),
    Here(Option<RelayLimits>),
}

impl Document {
    /// Waits for the answer, and takes it; nothing when there is none, or it was taken before. Safe to cancel.
    async fn take(&mut self) -> Option<RelayLimits> {
        if let Self::Asked(asked) = self {
            let answer = asked.await.unwrap_or_default();
            *self = Self::Here(answer);
        }
        match self {
            Self::Here(limits) => limits.take(),
            Self::Asked(_) => None,
        }
    }
}

async fn connect(relay: &RelayUrl, place: &Workplace) -> Result<Connected, Unreachable> {
    let to = Destination::parse(relay.as_str()).map_err(|why| Unreachable::Forbidden(why.to_string()))?;
    let (outbound, web) = (place.dialer.outbound().clone(), to.clone());
    let asked = async move { nip11::ask(&outbound, &web).await.ok().flatten() };
    let mut document = Document::Asked(AbortOnDropHandle::new(tokio::spawn(asked)));
    let (client, watch) = place.dialer.connect(&to).await.map_err(unreachable)?;
    if let Ok(limits) = timeout(DOCUMENT_FIRST, document.take()).await {
        document = Document::Here(limits);
    }
    Ok(Connected { client, watch, document })
}

fn unreachable(error: ConnectError) -> Unreachable {
    let why = error.to_string();
    match error {
        // 503 is what a server says that stops, and a proxy whose server does: soon it may be back.
        ConnectError::Status(429) => Unreachable::RateLimited,
        ConnectError::NoRelay
        | ConnectError::Outbound(
            OutboundError::Url(_) | OutboundError::Forbidden { .. } | OutboundError::Elsewhere(_),
        ) => Unreachable::Forbidden(why),
        ConnectError::Status(_) | ConnectError::Handshake(_) | ConnectError::Outbound(_) => {
            Unreachable::Failed(why)
        }
    }
}

/// Where a worker is.
#[derive(Clone)]
struct Site {
    relay: RelayUrl,
    place: Workplace,
    client: RelayClient,
    offering: Offering,
}

impl Site {
    /// Works until the connection ends; returns why.
    async fn work(
        mut self,
        mut watch: Watch,
        mut document: Document,
        mut orders: mpsc::Receiver<Order>,
    ) -> Unreachable {
        if let Document::Here(limits) = &mut document
            && let Some(limits) = limits.take()
        {
            self.learn(limits).await;
        }
        self.report(Input::Connected { relay: self.relay.clone() }).await;
        let mut jobs = JoinSet::new();
        let mut running: HashMap<SubscriptionId, AbortHandle> = HashMap::new();
        let why = loop {
            tokio::select! {
                order = orders.recv() => match order {
                    Some(Order::Unsubscribe(id)) => {
                        self.client.close(&id.to_string());
                        if let Some(job) = running.remove(&id) {
                            job.abort();
                        }
                    }
                    Some(Order::Subscribe { subscription, mode, filters }) => {
                        // Sent here, in the order of the orders; what comes of it is heard beside.
                        let open = self.client.subscribe(subscription.to_string(), &filters);
                        let Ok(open) = open else { continue };
                        self.count_requests(1);
                        let site = self.clone();
                        let job = async move { site.follow(subscription, mode, filters, open).await; subscription };
                        running.insert(subscription, jobs.spawn(job));
                    }
                    Some(Order::Negotiate { subscription, filter }) => {
                        let site = self.clone();
                        let job = async move { site.negotiate(subscription, filter).await; subscription };
                        running.insert(subscription, jobs.spawn(job));
                    }
                    Some(Order::Leave) | None => break Unreachable::Asked,
                },
                Some(aside) = watch.asides.recv() => self.hear(aside).await,
                Some(limits) = document.take() => self.learn(limits).await,
                reason = &mut watch.ended => break ended(reason.unwrap_or_default()),
                () = self.offering.forgeries() => {
                    break Unreachable::Misbehaved("it sends events with false ids or signatures".to_owned());
                }
                Some(done) = jobs.join_next(), if !jobs.is_empty() => {
                    // One that was ended by an order has left the list already.
                    if let Ok(subscription) = done {
                        running.remove(&subscription);
                    }
                }
            }
        };
        // No report of theirs comes after that of the end.
        jobs.shutdown().await;
        why
    }

    async fn learn(&mut self, limits: RelayLimits) {
        self.place.pace.limits = limits;
        self.report(Input::Limits { relay: self.relay.clone(), limits }).await;
    }

    async fn report(&self, input: Input) {
        // When the engine has gone, this task soon will.
        let _ = self.place.reports.send(input).await;
    }

    async fn hear(&self, aside: Aside) {
        let relay = self.relay.clone();
        match aside {
            Aside::Notice(message) => {
                tracing::debug!(%relay, message, "a relay has sent a notice");
                self.report(Input::Notice { relay, message }).await;
            }
            Aside::Authenticated => self.report(Input::Authenticated { relay }).await,
        }
    }

    fn count_requests(&self, requests: usize) {
        self.offering.tally().requests.fetch_add(requests as u64, Ordering::Relaxed);
    }

    async fn follow(&self, id: SubscriptionId, mode: Mode, filters: Vec<Filter>, open: Subscription) {
        let ended = match mode {
            Mode::Live => self.live(id, filters, open).await,
            Mode::Historic => self.page(id, &filters, open).await,
        };
        if let Err(error) = ended {
            self.failed(id, error).await;
        }
    }

    async fn live(
        &self,
        subscription: SubscriptionId,
        filters: Vec<Filter>,
        mut open: Subscription,
    ) -> Result<(), RetrievalError> {
        let mut reading = Reading::live(filters);
        let mut heard = !fault::is("heard-from-eose-on");
        loop {
            match open.next().await {
                Some(Said::Event(held)) => {
                    if reading.take(&held.event)? && heard {
                        self.offering.offer(held).await?;
                    }
                }
                Some(Said::Eose) => {
                    heard = true;
                    self.offering.flush().await?;
                    let (relay, page) = (self.relay.clone(), Page::default());
                    self.report(Input::Eose { relay, subscription, page }).await;
                }
                Some(Said::Closed(reason)) => return Err(RetrievalError::Closed(reason)),
                Some(Said::Neg(_) | Said::Notice(_)) => {}
                None => return Err(RetrievalError::Gone),
            }
        }
    }

    async fn page(
        &self,
        subscription: SubscriptionId,
        filters: &[Filter],
        mut open: Subscription,
    ) -> Result<(), RetrievalError> {
        let Some(filter) = filters.first() else { return Ok(()) };
        let page = retrieval::page(&mut open, filter, self.place.pace, &self.offering).await?;
        drop(open);
        self.offering.flush().await?;
        self.report(Input::Eose { relay: self.relay.clone(), subscription, page }).await;
        Ok(())
    }

    async fn negotiate(&self, subscription: SubscriptionId, filter: Filter) {
        match self.reconcile(subscription, &filter).await {
            Ok(()) => {
                self.report(Input::BatchDone { relay: self.relay.clone(), subscription }).await;
            }
            Err(error) => self.failed(subscription, error).await,
        }
    }

    async fn reconcile(&self, subscription: SubscriptionId, filter: &Filter) -> Result<(), RetrievalError> {
        let reception = &self.place.reception;
        let held = reception.holds(filter).await;
        let mut held = held.map_err(|error| RetrievalError::Here(error.to_string()))?;
        if fault::is("reconciled-with-nothing") {
            held.clear();
        }
        let (name, pace) = (subscription.to_string(), self.place.pace);
        let mut found = retrieval::reconcile(&self.client, &name, filter, held, pace).await?;
        self.count_requests(found.requests);
        found.need.retain(|id| !reception.counts_as_had(id));
        found.need.truncate(if fault::is("reconciliations-cut-short") { 500 } else { usize::MAX });
        let requests = retrieval::by_ids(&self.client, &name, &found.need, pace, &self.offering).await?;
        self.count_requests(requests);
        self.offering.flush().await?;
        Ok(())
    }

    async fn failed(&self, subscription: SubscriptionId, error: RetrievalError) {
        let relay = self.relay.clone();
        tracing::debug!(%relay, %error, "a question has come to nothing");
        if let Some(input) = error.report(relay, subscription) {
            self.report(input).await;
        }
    }
}

/// Whether a relay that has ended the connection is only too busy.
pub(super) fn ended(reason: String) -> Unreachable {
    match Refusal::of(&reason) {
        Refusal::RateLimited => Unreachable::RateLimited,
        _ => Unreachable::Failed(reason),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_who_asks_for_less_is_given_a_pause() {
        let paused = |status| matches!(unreachable(ConnectError::Status(status)), Unreachable::RateLimited);
        assert!(paused(429));
        // A server that is stopping, behind a proxy or not, is back before such a pause is over.
        assert!([502, 503, 504].into_iter().all(|status| !paused(status)));
    }
}
