//! One WebSocket connection, from the handshake's end to its own. One task reads, decides and writes, so that an idle
//! connection is small; queries for stored events run beside it.
//!
//! Events are handed to the intake one after the other; their answers go out as they become durable, while reading
//! goes on. Reading pauses when too much is undecided or too many answers wait, and so the peer is slowed by TCP.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use futures_util::future::BoxFuture;
use futures_util::stream::{FuturesUnordered, SplitSink, SplitStream};
use futures_util::{FutureExt, SinkExt, StreamExt};
use nostr::event::{Event, EventId};
use nostr::key::PublicKey;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio::time::Instant;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::error::Error as SocketError;
use tokio_tungstenite::tungstenite::protocol::frame::coding::CloseCode;
use tokio_tungstenite::tungstenite::protocol::{Role, WebSocketConfig};
use tokio_util::sync::CancellationToken;

use super::addresses::{AddressCounters, Counters};
use super::auth;
use super::closing::{self, End};
use super::feed::Subscription;
use super::filter;
use super::limits::{Limits, Rate};
use super::message::{self, AnswerTo, ClientMessage, Malformed, Question};
use super::negentropy::Reconciliation;
use super::outbox::{Load, Outbox};
use super::pulse::{Activity, Beat, Metered, Pulse};
use super::reply;
use super::service::Relay;
use super::stored::QueryError;
use crate::intake::{Answer, Source};

/// Bytes that tungstenite reads at once; every idle connection holds as many.
const READ_BUFFER: usize = 4 << 10;
/// Bytes of small frames that are gathered before they are written.
const WRITE_BUFFER: usize = 16 << 10;

/// COUNTs that wait or run at the same time on one connection.
const MAX_COUNTS: usize = 16;

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
async fn write<S>(
    sink: &mut SplitSink<WebSocketStream<S>, Message>,
    outbox: &Outbox,
    activity: &Activity,
) -> SocketError
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    loop {
        let mut next = Some(outbox.next().await);
        activity.writing.store(true, Ordering::Relaxed);
        while let Some(message) = next {
            if let Err(error) = sink.feed(message).await {
                return error;
            }
            next = outbox.try_next();
        }
        if let Err(error) = sink.flush().await {
            return error;
        }
        activity.writing.store(false, Ordering::Relaxed);
    }
}

/// Something that must be done before the next message is read.
enum Done {
    /// The intake has decided; its answer follows.
    Decided(EventId, BoxFuture<'static, Answer>),
    /// A reconciliation was opened or has answered.
    Reconciled(String, Result<(Reconciliation, Vec<u8>), String>),
}

type Busy = BoxFuture<'static, Done>;
type Deciding = FuturesUnordered<BoxFuture<'static, (EventId, Answer)>>;

struct Open {
    number: u64,
    size: usize,
    subscription: Arc<Subscription>,
}

struct Session {
    relay: Arc<Relay>,
    outbox: Arc<Outbox>,
    source: Source,
    challenge: String,
    address: Counters,
    events: Rate,
    queries: Rate,
    open: HashMap<String, Open>,
    running: Arc<Semaphore>,
    /// Shared with every COUNT that waits or runs.
    counting: Arc<()>,
    reconciliations: HashMap<String, Reconciliation>,
    gone: CancellationToken,
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

    fn handle(&mut self, text: &str) -> Option<Busy> {
        match message::parse(text) {
            Ok(ClientMessage::Event(event)) => return self.event(event),
            Ok(ClientMessage::Auth(event)) => self.authenticate(&event),
            Ok(ClientMessage::Req(question)) => self.subscribe(question),
            Ok(ClientMessage::Close { id }) => self.unsubscribe(&id),
            Ok(ClientMessage::Count(question)) => self.count(question),
            Ok(ClientMessage::NegOpen { id, filter, message }) => return self.reconcile(id, filter, message),
            Ok(ClientMessage::NegMsg { id, message }) => return self.reconcile_on(id, message),
            Ok(ClientMessage::NegClose { id }) => drop(self.reconciliations.remove(&id)),
            Err(malformed) => self.outbox.answer(answer_malformed(malformed)),
        }
        None
    }

    fn event(&mut self, event: Box<Event>) -> Option<Busy> {
        let now = Instant::now();
        if !self.events.take(now) || !self.address.lock().take_event(now) {
            let reason = "rate-limited: too many events from here; wait a moment and send it again";
            self.outbox.answer(reply::ok(&event.id, false, reason));
            return None;
        }
        if let Err(reason) = auth::may_publish(&event, self.authenticated()) {
            self.outbox.answer(reply::ok(&event.id, false, reason));
            return None;
        }
        let (intake, source) = (self.relay.intake.clone(), self.source.clone());
        Some(Box::pin(async move {
            let id = event.id;
            Done::Decided(id, intake.submit(*event, &source).await)
        }))
    }

    fn authenticated(&self) -> &[PublicKey] {
        match &self.source {
            Source::Client { authenticated, .. } => authenticated,
            Source::Sync => &[],
        }
    }

    fn authenticate(&mut self, event: &Event) {
        let now = Instant::now();
        let checked = if !self.events.take(now) || !self.address.lock().take_event(now) {
            Err("rate-limited: too many events from here; wait a moment and send it again".to_owned())
        } else {
            let relay = &self.relay;
            auth::check_authentication(event, &self.challenge, relay.host.as_deref(), relay.clock.now())
        };
        let most = self.relay.limits.max_authenticated_keys;
        let result = checked.and_then(|key| match &mut self.source {
            Source::Client { authenticated, .. } if !authenticated.contains(&key) => {
                if authenticated.len() >= most {
                    return Err(format!("rate-limited: at most {most} keys per connection"));
                }
                *authenticated = authenticated.iter().copied().chain([key]).collect();
                Ok(())
            }
            _ => Ok(()),
        });
        let reason = result.as_ref().err().map_or("", String::as_str);
        self.outbox.answer(reply::ok(&event.id, result.is_ok(), reason));
    }

    /// Whether a question may be asked at all.
    fn check_question(&mut self, id: &str, filters: usize) -> Result<(), String> {
        let limits = &self.relay.limits;
        if id.len() > limits.max_subid_length {
            return Err(format!("invalid: a subscription id has at most {} bytes", limits.max_subid_length));
        }
        if filters > limits.max_filters {
            return Err(format!("invalid: {filters} filters; at most {} are taken", limits.max_filters));
        }
        let now = Instant::now();
        if !self.queries.take(now) || !AddressCounters::take_query(&mut self.address.lock(), now) {
            return Err("rate-limited: too many queries from here; wait a moment and ask again".to_owned());
        }
        Ok(())
    }

    fn subscribe(&mut self, question: Question) {
        // The same id again replaces the subscription (NIP-01), and a refusal ends it.
        self.unsubscribe(&question.id);
        if let Err(reason) = self.may_subscribe(&question) {
            self.outbox.answer(reply::closed(&question.id, &reason));
            return;
        }
        let size = question.filters.iter().map(filter::size).sum();
        let filters: Arc<[_]> = question.filters.into();
        let subscription =
            Arc::new(Subscription::new(question.id.clone(), self.outbox.clone(), self.gone.child_token()));
        let number = self.relay.feed.enter(filters.clone(), &subscription);
        let open = Open { number, size, subscription: subscription.clone() };
        self.open.insert(question.id, open);
        if filters.iter().all(|filter| filter.limit == Some(0)) {
            self.relay.feed.go_live(&subscription, &Default::default());
            return;
        }
        let (relay, running) = (self.relay.clone(), self.running.clone());
        tokio::spawn(async move {
            let stored = async {
                let _place = running.acquire().await.map_err(|_| QueryError::Gone)?;
                relay.questions.send(&filters, &subscription).await
            };
            let sent = tokio::select! {
                () = subscription.stop().cancelled() => return,
                sent = stored => sent,
            };
            match sent {
                Ok(sent) => relay.feed.go_live(&subscription, &sent),
                Err(error) => subscription.close(&error.to_string()),
            }
        });
    }

    fn may_subscribe(&mut self, question: &Question) -> Result<(), String> {
        self.check_question(&question.id, question.sent)?;
        let limits = &self.relay.limits;
        if self.open.len() >= limits.max_subscriptions {
            let feed = &self.relay.feed;
            self.open.retain(|_, open| {
                let ended = open.subscription.is_ended();
                if ended {
                    feed.leave(open.number);
                }
                !ended
            });
        }
        if self.open.len() >= limits.max_subscriptions {
            let most = limits.max_subscriptions;
            return Err(format!(
                "rate-limited: at most {most} subscriptions per connection; CLOSE one first"
            ));
        }
        let size: usize = self.open.values().map(|open| open.size).sum();
        if size + question.filters.iter().map(filter::size).sum::<usize>() > limits.max_filter_values {
            let most = limits.max_filter_values;
            return Err(format!(
                "rate-limited: the filters of this connection would hold more than {most} values; CLOSE one first"
            ));
        }
        Ok(())
    }

    fn unsubscribe(&mut self, id: &str) {
        if let Some(open) = self.open.remove(id) {
            self.relay.feed.leave(open.number);
            open.subscription.drop_silently();
        }
    }

    fn count(&mut self, question: Question) {
        if let Err(reason) = self.check_question(&question.id, question.sent) {
            self.outbox.answer(reply::closed(&question.id, &reason));
            return;
        }
        let most = MAX_COUNTS;
        if Arc::strong_count(&self.counting) > most {
            let reason = format!("rate-limited: {most} counts are running on this connection; wait for one");
            self.outbox.answer(reply::closed(&question.id, &reason));
            return;
        }
        let (relay, running, counting) = (self.relay.clone(), self.running.clone(), self.counting.clone());
        let (outbox, gone) = (self.outbox.clone(), self.gone.clone());
        tokio::spawn(async move {
            let counted = async {
                let _place = running.acquire().await.map_err(|_| QueryError::Gone)?;
                relay.questions.count(&question.filters).await
            };
            let counted = tokio::select! {
                () = gone.cancelled() => return,
                counted = counted => counted,
            };
            drop(counting);
            outbox.answer(match counted {
                Ok((count, approximate)) => reply::count(&question.id, count, approximate),
                Err(error) => reply::closed(&question.id, &error.to_string()),
            });
        });
    }

    fn reconcile(
        &mut self,
        id: String,
        filter: Option<nostr::filter::Filter>,
        message: Vec<u8>,
    ) -> Option<Busy> {
        self.reconciliations.remove(&id);
        let most = self.relay.limits.max_neg_sessions;
        let allowed = self.check_question(&id, 1).and_then(|()| {
            let room = self.reconciliations.len() < most;
            let reason =
                || format!("blocked: at most {most} reconciliations per connection; NEG-CLOSE one first");
            room.then_some(()).ok_or_else(reason)
        });
        if let Err(reason) = allowed {
            self.outbox.answer(reply::neg_err(&id, &reason));
            return None;
        }
        let relay = self.relay.clone();
        Some(Box::pin(async move {
            let result = match relay.records.open(&relay.questions, filter).await {
                Ok(session) => session.answer(message).await,
                Err(reason) => Err(reason),
            };
            Done::Reconciled(id, result)
        }))
    }

    fn reconcile_on(&mut self, id: String, message: Vec<u8>) -> Option<Busy> {
        let Some(session) = self.reconciliations.remove(&id) else {
            self.outbox.answer(reply::neg_err(&id, "closed: no such reconciliation is open; NEG-OPEN it"));
            return None;
        };
        Some(Box::pin(async move { Done::Reconciled(id, session.answer(message).await) }))
    }

    fn reconciled(&mut self, id: String, result: Result<(Reconciliation, Vec<u8>), String>) {
        match result {
            Ok((session, answer)) => {
                self.outbox.answer(reply::neg_msg(&id, &answer));
                self.reconciliations.insert(id, session);
            }
            Err(reason) => self.outbox.answer(reply::neg_err(&id, &reason)),
        }
    }

    fn expire_reconciliations(&mut self) {
        let (idle, now) = (self.relay.limits.neg_idle, Instant::now());
        let outbox = &self.outbox;
        self.reconciliations.retain(|id, session| {
            let alive = now.saturating_duration_since(session.last_used()) < idle;
            if !alive {
                outbox.answer(reply::neg_err(id, "closed: the reconciliation was idle for too long"));
            }
            alive
        });
    }
}

fn answer_malformed(malformed: Malformed) -> String {
    let reason = format!("invalid: {}", malformed.reason);
    match malformed.answer {
        AnswerTo::Connection => reply::notice(&reason),
        AnswerTo::Event(id) => reply::refused(&id, &reason),
        AnswerTo::Subscription(id) => reply::closed(&id, &reason),
        AnswerTo::Reconciliation(id) => reply::neg_err(&id, &reason),
    }
}
