//! One WebSocket connection, from the handshake's end to its own. One task reads, decides and writes, so that an idle
//! connection is small; queries for stored events run beside it.
//!
//! Events are handed to the intake one after the other; their answers go out as they become durable, while reading
//! goes on. Reading pauses when too much is undecided or too many answers wait, and so the peer is slowed by TCP.

use std::collections::HashMap;
use std::future::poll_fn;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, SplitSink, SplitStream};
use futures_util::{FutureExt, SinkExt, StreamExt};
use nostr::event::EventId;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::error::Error as SocketError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_util::sync::CancellationToken;

use super::addresses::Counters;
use super::closing::{self, End};
use super::feed::Subscription;
use super::limits::{Limits, Rate};
use super::negentropy::Reconciliation;
use super::outbox::{Load, Outbox};
use super::pulse::{Activity, Beat, Metered, Pulse};
use super::reply;
use super::service::Relay;
use crate::intake::{Answer, Source};

/// Bytes that tungstenite reads at once; every idle connection holds as many.
const READ_BUFFER: usize = 4 << 10;
/// Bytes of small frames that are gathered before they are written.
const WRITE_BUFFER: usize = 32 << 10;
/// How long live events that follow others wait for more, so that they go out together.
const GATHER: Duration = Duration::from_millis(2);

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
    let io = Metered::new(io, activity.clone());
    let socket = WebSocketStream::from_raw_socket(io, Role::Server, Some(socket_config(&relay.limits))).await;
    let (mut sink, mut stream) = socket.split();
    let within = relay.limits.close_timeout;
    let mut session = Session::new(relay, client);
    let end = session.run(&mut sink, &mut stream, &activity).await;
    tracing::debug!(address = %client.address, ?end, "a relay connection ended");
    session.leave();
    if matches!(end, End::ByUs(..)) {
        // What the sink holds would be lost with it.
        let _ = tokio::time::timeout(within, sink.flush()).await;
    }
    if let Ok(socket) = stream.reunite(sink) {
        Box::pin(closing::close(socket, end, &session.outbox, within)).await;
    }
    session.outbox.end();
}

fn socket_config(limits: &Limits) -> WebSocketConfig {
    WebSocketConfig::default()
        .read_buffer_size(READ_BUFFER)
        .write_buffer_size(WRITE_BUFFER)
        .max_message_size(Some(limits.max_message_length))
        .max_frame_size(Some(limits.max_message_length))
}

/// Sends what waits: as many frames as there are, then one flush.
///
/// Live events that follow each other closely are gathered: writing to the socket costs more than everything else
/// about a small message. Answers and stored events wait for nothing.
async fn write<S>(
    sink: &mut SplitSink<WebSocketStream<S>, Message>,
    outbox: &Outbox,
    activity: &Activity,
) -> SocketError
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let gathering = tokio::time::sleep_until(Instant::now());
    tokio::pin!(gathering);
    loop {
        outbox.filled().await;
        // The first after a pause goes out at once.
        tokio::select! {
            biased;
            () = &mut gathering => {}
            () = outbox.pressed() => {}
        }
        activity.writing.store(true, Ordering::Relaxed);
        loop {
            // A message leaves the queue only when the sink can hold it: this future may be dropped at any await.
            if let Err(error) = poll_fn(|context| sink.poll_ready_unpin(context)).await {
                return error;
            }
            let Some(message) = outbox.try_next() else { break };
            if let Err(error) = sink.start_send_unpin(message) {
                return error;
            }
        }
        if let Err(error) = sink.flush().await {
            return error;
        }
        activity.writing.store(false, Ordering::Relaxed);
        gathering.as_mut().reset(Instant::now() + GATHER);
    }
}

/// Something that must be done before the next message is read.
pub(super) enum Done {
    /// The intake has decided; its answer follows.
    Decided(EventId, BoxFuture<'static, Answer>),
    /// A reconciliation was opened or has answered.
    Reconciled(String, Result<(Reconciliation, Vec<u8>), String>),
}

pub(super) type Busy = BoxFuture<'static, Done>;
type Deciding = FuturesUnordered<BoxFuture<'static, (EventId, Answer)>>;

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
            open: HashMap::new(),
            running: Arc::new(Semaphore::new(limits.running_queries.max(1))),
            counting: Arc::new(()),
            reconciliations: HashMap::new(),
            gone: CancellationToken::new(),
            relay,
        }
    }

    async fn run<S>(
        &mut self,
        sink: &mut SplitSink<WebSocketStream<S>, Message>,
        stream: &mut SplitStream<WebSocketStream<S>>,
        activity: &Arc<Activity>,
    ) -> End
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let (relay, outbox) = (self.relay.clone(), self.outbox.clone());
        outbox.answer(reply::auth(&self.challenge));
        let mut pulse = Pulse::new(activity.clone(), &relay.limits, Instant::now());
        let mut deciding = Deciding::new();
        let mut busy: Option<Busy> = None;
        let writer = write(sink, &outbox, activity);
        let beat = tokio::time::sleep(pulse.interval());
        let shutdown = relay.shutdown.cancelled();
        tokio::pin!(writer, beat, shutdown);
        let end = loop {
            let crowded = match outbox.load() {
                Load::Overflown => break End::ByUs(CloseCode::Policy, "too many answers wait to be read"),
                load => load == Load::Crowded,
            };
            let reading = busy.is_none() && deciding.len() < relay.limits.events_in_flight && !crowded;
            tokio::select! {
                biased;
                Some((id, answer)) = deciding.next(), if !deciding.is_empty() => {
                    outbox.answer(reply::ok(&id, answer.accepted, &answer.message));
                    while let Some(Some((id, answer))) = deciding.next().now_or_never() {
                        outbox.answer(reply::ok(&id, answer.accepted, &answer.message));
                    }
                }
                done = async { match &mut busy { Some(busy) => busy.await, None => std::future::pending().await } } => {
                    busy = None;
                    match done {
                        Done::Decided(id, answer) => deciding.push(answer.map(move |answer| (id, answer)).boxed()),
                        Done::Reconciled(id, result) => self.reconciled(id, result),
                    }
                }
                _ = &mut writer => break End::Gone,
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
                message = stream.next(), if reading => match message {
                    Some(Ok(Message::Text(text))) => busy = self.handle(&text),
                    Some(Ok(Message::Binary(_))) => {
                        break End::ByUs(CloseCode::Unsupported, "binary message; this relay speaks JSON text");
                    }
                    Some(Ok(Message::Close(_))) => break End::ByPeer,
                    Some(Ok(_)) => {}
                    Some(Err(error)) => break End::of(&error),
                    None => break End::Gone,
                },
                () = outbox.uncrowded(), if crowded => {}
                () = &mut shutdown => break End::ByUs(CloseCode::Away, "the relay is shutting down"),
            }
        };
        self.finish_deciding(busy, deciding, &end).await;
        end
    }

    /// What the intake has begun is carried through; who is still there hears about it.
    async fn finish_deciding(&self, busy: Option<Busy>, mut deciding: Deciding, end: &End) {
        if busy.is_none() && deciding.is_empty() {
            return;
        }
        let outbox = self.outbox.clone();
        let rest = tokio::spawn(async move {
            if let Some(Done::Decided(id, answer)) = futures_util::future::OptionFuture::from(busy).await {
                deciding.push(answer.map(move |answer| (id, answer)).boxed());
            }
            while let Some((id, answer)) = deciding.next().await {
                outbox.answer(reply::ok(&id, answer.accepted, &answer.message));
            }
        });
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
