//! One WebSocket connection, from the handshake's end to its own. One task reads, decides and writes, so that an idle
//! connection is small; queries for stored events run beside it.
//!
//! Events are verified and judged while reading goes on; whatever else is asked waits until those before it are
//! judged. Reading pauses when too much is unanswered or too many answers wait, and so the peer is slowed by TCP.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_util::sync::CancellationToken;

use super::addresses::Counters;
use super::closing::{self, End};
use super::connection::{Connection, Input};
use super::limits::Rate;
use super::message::ClientMessage;
use super::negentropy::Reconciliation;
use super::outbox::{Load, Outbox};
use super::publishing::{Publishing, tell};
use super::pulse::{Activity, Beat, Pulse};
use super::reply;
use super::service::Relay;
use super::subscription::Subscription;
use crate::intake::Source;

/// Who is at the other end.
#[derive(Debug, Clone, Copy)]
pub struct ClientInfo {
    /// The client's address (behind trusted proxies: the one they name).
    pub address: IpAddr,
}

/// Serves one connection whose WebSocket handshake is done, until it ends.
///
/// The caller holds the [`super::ConnectionPermit`] of the connection meanwhile.
pub async fn serve<S>(io: S, client: ClientInfo, relay: Arc<Relay>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let activity = Arc::new(Activity::default());
    let mut connection = Connection::new(io, &relay.limits, Arc::clone(&activity)).await;
    let within = relay.limits.close_timeout;
    let mut session = Session::new(relay, client);
    let end = session.run(&mut connection, &activity).await;
    tracing::debug!(address = %client.address, ?end, "a relay connection ended");
    session.leave();
    Box::pin(closing::close(connection, end, &session.outbox, within)).await;
    session.outbox.end();
}

/// A reconciliation that was opened or has answered; nothing is read before.
pub(super) type Reconciling = BoxFuture<'static, (String, Result<(Reconciliation, Vec<u8>), String>)>;

async fn reconciled(
    reconciling: &mut Option<Reconciling>,
) -> (String, Result<(Reconciliation, Vec<u8>), String>) {
    match reconciling {
        Some(reconciling) => reconciling.await,
        None => std::future::pending().await,
    }
}

/// A subscription as its session knows it.
pub(super) struct Open {
    /// Its number in the feed.
    pub(super) number: u64,
    /// How many values its filters hold.
    pub(super) size: usize,
    pub(super) subscription: Arc<Subscription>,
}

/// What one connection has and may do.
pub(super) struct Session {
    pub(super) relay: Arc<Relay>,
    pub(super) outbox: Arc<Outbox>,
    pub(super) source: Source,
    pub(super) challenge: String,
    pub(super) address: Counters,
    pub(super) events: Rate,
    pub(super) queries: Rate,
    pub(super) publishing: Publishing,
    /// A message that waits until the events before it are judged.
    pub(super) held: Option<ClientMessage>,
    pub(super) open: HashMap<String, Open>,
    pub(super) running: Arc<Semaphore>,
    /// Shared with every COUNT that waits or runs.
    pub(super) counting: Arc<()>,
    pub(super) reconciliations: HashMap<String, Reconciliation>,
    pub(super) gone: CancellationToken,
}

impl Session {
    fn new(relay: Arc<Relay>, client: ClientInfo) -> Self {
        let limits = &relay.limits;
        let now = Instant::now();
        Self {
            outbox: Arc::new(Outbox::new(limits)),
            source: Source::Client { address: client.address, authenticated: Arc::new([]) },
            challenge: hex::encode(rand::random::<[u8; 16]>()),
            address: relay.addresses.counters(client.address),
            events: Rate::new(limits.events_per_minute, now),
            queries: Rate::new(limits.queries_per_minute, now),
            publishing: Publishing::new(relay.intake.clone()),
            held: None,
            open: HashMap::new(),
            running: Arc::new(Semaphore::new(limits.running_queries.max(1))),
            counting: Arc::new(()),
            reconciliations: HashMap::new(),
            gone: CancellationToken::new(),
            relay,
        }
    }

    async fn run<S>(&mut self, connection: &mut Connection<S>, activity: &Arc<Activity>) -> End
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (relay, outbox) = (self.relay.clone(), self.outbox.clone());
        outbox.answer(&reply::auth(&self.challenge));
        let mut pulse = Pulse::new(activity.clone(), &relay.limits, Instant::now());
        let mut reconciling: Option<Reconciling> = None;
        let beat = tokio::time::sleep(pulse.interval());
        let shutdown = relay.shutdown.cancelled();
        tokio::pin!(beat, shutdown);
        let end = loop {
            let load = outbox.attend();
            if load == Load::Overflown {
                break End::ByUs(CloseCode::Policy, "too many answers wait to be read");
            }
            if self.publishing.unjudged() == 0
                && let Some(message) = self.held.take()
            {
                reconciling = self.act(message, 0);
            }
            let crowded = load == Load::Crowded;
            let room =
                self.publishing.unanswered() < relay.limits.events_in_flight && !self.publishing.is_full();
            let reading = room && !crowded && reconciling.is_none() && self.held.is_none();
            let filling = self.publishing.is_filling();
            tokio::select! {
                biased;
                answers = self.publishing.answers(&self.source) => tell(&outbox, &relay.meters.relay, answers),
                (id, result) = reconciled(&mut reconciling) => {
                    reconciling = None;
                    self.reconciled(id, result);
                }
                () = &mut beat => {
                    match pulse.beat(Instant::now(), reading) {
                        Beat::Fine => {}
                        Beat::Ping => outbox.ping(),
                        Beat::Silent => break End::ByUs(CloseCode::Away, "no answer to a ping"),
                        Beat::Stuck => break End::Gone,
                    }
                    self.expire_reconciliations();
                    beat.as_mut().reset(Instant::now() + pulse.interval());
                }
                input = connection.next(&outbox, reading, filling) => match input {
                    Some(Ok(Input::Pause)) => self.publishing.start(),
                    Some(Ok(Input::Message(Message::Text(text)))) => reconciling = self.handle(&text),
                    Some(Ok(Input::Message(Message::Binary(_)))) => {
                        break End::ByUs(CloseCode::Unsupported, "binary message; this relay speaks JSON text");
                    }
                    Some(Ok(Input::Message(Message::Close(_)))) => break End::ByPeer,
                    Some(Ok(Input::Message(_))) => {}
                    Some(Err(error)) => break End::of(&error),
                    None => break End::Gone,
                },
                () = outbox.uncrowded(), if crowded => {}
                () = &mut shutdown => {
                    // Whoever was promised an event gets it.
                    relay.feed.deliver_gathered();
                    break End::ByUs(CloseCode::Away, "the relay is shutting down");
                }
            }
        };
        self.finish_publishing(&end).await;
        end
    }

    /// What was taken in is carried through; who is still there hears about it.
    async fn finish_publishing(&mut self, end: &End) {
        let fresh = Publishing::new(self.relay.intake.clone());
        let publishing = std::mem::replace(&mut self.publishing, fresh);
        if publishing.unanswered() == 0 {
            return;
        }
        let rest = tokio::spawn(publishing.finish(
            self.source.clone(),
            self.outbox.clone(),
            self.relay.meters.clone(),
        ));
        if matches!(end, End::ByUs(..)) {
            // Whoever takes longer is not waited for; the task itself goes on.
            let _ = tokio::time::timeout(self.relay.limits.close_timeout, rest).await;
        }
    }

    /// Ends everything that belongs to this connection.
    fn leave(&mut self) {
        self.gone.cancel();
        for (_, open) in self.open.drain() {
            self.relay.feed.leave(open.number);
            open.subscription.drop_silently();
        }
        self.reconciliations.clear();
    }
}
