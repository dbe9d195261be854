//! A client of other relays (NIP-01, NIP-42, NIP-77 messages), through the address guard.
//!
//! One task per connection reads and writes; subscriptions are routes to whoever asked. It verifies nothing and keeps
//! nothing: events go on to the intake as they came. What a relay may make us hold is bounded in bytes, and a reader that
//! is behind makes the relay wait.

#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use nostr::event::{Event, EventBuilder, EventId, FinalizeEvent as _, Kind, Tag};
use nostr::filter::Filter;
use nostr::key::Keys;
use nostr::message::{ClientMessage, RelayMessage, SubscriptionId};
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use tokio::time::timeout;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::{HeaderValue, header::USER_AGENT};
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};
use tokio_util::task::AbortOnDropHandle;

use crate::outbound::http::AGENT;
use crate::outbound::{Connection, Destination, Outbound, OutboundError};

/// Events of one connection that have been read and not been taken in, in bytes of JSON.
const HELD_BYTES: usize = 8 << 20;
/// The same of all connections together.
const ALL_HELD_BYTES: usize = 128 << 20;
/// Answers of one subscription that wait for whoever asked.
const ROUTE: usize = 64;
/// How often a relay may ask who is there.
const MAX_CHALLENGES: usize = 8;

/// What a connection may cost.
#[derive(Debug, Clone, Copy)]
pub struct ClientLimits {
    /// The longest message that is read, in bytes.
    pub message_bytes: usize,
    /// How long the handshake may take.
    pub handshake: Duration,
    /// Silence after which the relay is pinged; after as much again it is left.
    pub idle: Duration,
    /// How long one message may take to be written.
    pub write: Duration,
}

impl Default for ClientLimits {
    fn default() -> Self {
        Self {
            message_bytes: 4 << 20,
            handshake: Duration::from_secs(10),
            idle: Duration::from_secs(30),
            write: Duration::from_secs(20),
        }
    }
}

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The guard or the network says no.
    #[error(transparent)]
    Outbound(#[from] OutboundError),
    /// It is no `ws` or `wss` URL.
    #[error("it is no relay URL (ws:// or wss://)")]
    NoRelay,
    /// It answers the handshake with this HTTP status.
    #[error("it answers with HTTP status {0}")]
    Status(u16),
    /// The other side does not become a WebSocket.
    #[error("it does not open a WebSocket: {0}")]
    Handshake(String),
}

/// What a relay says to one subscription.
#[derive(Debug)]
pub enum Said {
    /// An event; neither id nor signature is true until the intake has said so.
    Event(Held),
    /// All stored events have come.
    Eose,
    /// The relay has ended the subscription, for this reason.
    Closed(String),
    /// A message of a reconciliation.
    Neg(Vec<u8>),
    /// A NOTICE while a reconciliation is open: perhaps the relay does not know what that is.
    Notice(String),
}

/// An event that counts against what its connection may make us hold.
#[derive(Debug)]
pub struct Held {
    /// The event.
    pub event: Event,
    /// Counts until it is dropped.
    pub room: Room,
}

/// What an event counts for.
#[derive(Debug)]
pub struct Room {
    _of_all: OwnedSemaphorePermit,
    _of_one: OwnedSemaphorePermit,
}

#[derive(Debug)]
struct Route {
    said: mpsc::Sender<Said>,
    kin: Kin,
}

type Routes = Arc<Mutex<HashMap<String, Route>>>;

/// A connection to a relay. When the last handle is gone it ends.
#[derive(Debug, Clone)]
pub struct RelayClient {
    // Without a bound of its own: the planner bounds what is open, and each of it has one message under way. One that
    // is not written in time ends the connection.
    outgoing: mpsc::UnboundedSender<String>,
    routes: Routes,
}

/// What a relay says to no subscription in particular.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Aside {
    /// NOTICE.
    Notice(String),
    /// It has taken our proof of identity (NIP-42).
    Authenticated,
}

/// The end of a connection, and what is said on the way there.
#[derive(Debug)]
pub struct Watch {
    /// What is said aside.
    pub asides: mpsc::Receiver<Aside>,
    /// Ends with the connection, with the reason.
    pub ended: AbortOnDropHandle<String>,
}

/// The connection has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the connection has ended")]
pub struct Gone;

/// Connects to relays, all with the same limits.
#[derive(Debug, Clone)]
pub struct Dialer {
    outbound: Outbound,
    /// Sign the answer when a relay asks who is there (NIP-42).
    keys: Keys,
    limits: ClientLimits,
    held: Arc<Semaphore>,
}

impl Dialer {
    /// A dialer through this guard.
    #[must_use]
    pub fn new(outbound: Outbound, keys: Keys, limits: ClientLimits) -> Self {
        let held = Arc::new(Semaphore::new(ALL_HELD_BYTES.max(limits.message_bytes)));
        Self { outbound, keys, limits, held }
    }

    /// The guard.
    #[must_use]
    pub const fn outbound(&self) -> &Outbound {
        &self.outbound
    }

    /// Connects.
    ///
    /// # Errors
    /// [`ConnectError`].
    pub async fn connect(&self, to: &Destination) -> Result<(RelayClient, Watch), ConnectError> {
        let socket = self.open(to).await?;
        let (outgoing, to_write) = mpsc::unbounded_channel();
        let (aside, asides) = mpsc::channel(ROUTE);
        let routes = Routes::default();
        let task = Task {
            limits: self.limits,
            routes: Arc::clone(&routes),
            held: Arc::new(Semaphore::new(HELD_BYTES.max(self.limits.message_bytes))),
            all_held: Arc::clone(&self.held),
            aside,
            login: Login::new(self.keys.clone(), to.as_str()),
            back: outgoing.downgrade(),
        };
        let ended = AbortOnDropHandle::new(tokio::spawn(task.run(socket, to_write)));
        Ok((RelayClient { outgoing, routes }, Watch { asides, ended }))
    }

    async fn open(&self, to: &Destination) -> Result<Socket, ConnectError> {
        if !to.is_relay() {
            return Err(ConnectError::NoRelay);
        }
        let failed = |error: WsError| match error {
            WsError::Http(response) => ConnectError::Status(response.status().as_u16()),
            other => ConnectError::Handshake(short(&other.to_string())),
        };
        let mut request = to.as_str().into_client_request().map_err(failed)?;
        request.headers_mut().insert(USER_AGENT, HeaderValue::from_static(AGENT));
        let stream = self.outbound.connect(to).await?;
        let config = WebSocketConfig::default()
            .max_message_size(Some(self.limits.message_bytes))
            .max_frame_size(Some(self.limits.message_bytes));
        let opening = tokio_tungstenite::client_async_with_config(request, stream, Some(config));
        let opened = timeout(self.limits.handshake, opening).await;
        let late = |_| ConnectError::Handshake(format!("no answer within {:?}", self.limits.handshake));
        let (socket, _) = opened.map_err(late)?.map_err(failed)?;
        Ok(socket)
    }
}

impl RelayClient {
    /// Asks for what matches these filters, now and from now on. `id` is used once per connection.
    ///
    /// # Errors
    /// When the connection has ended.
    pub fn subscribe(&self, id: String, filters: &[Filter]) -> Result<Subscription, Gone> {
        let message = ClientMessage::Req {
            subscription_id: Cow::Owned(SubscriptionId::new(id.clone())),
            filters: filters.iter().map(Cow::Borrowed).collect(),
        };
        self.open(id, &message, Kin::Req)
    }

    /// Opens a reconciliation (NIP-77).
    ///
    /// # Errors
    /// When the connection has ended.
    pub fn reconcile(&self, id: String, filter: &Filter, first: &[u8]) -> Result<Subscription, Gone> {
        let message = ClientMessage::NegOpen {
            subscription_id: Cow::Owned(SubscriptionId::new(id.clone())),
            filter: Cow::Borrowed(filter),
            initial_message: Cow::Owned(hex::encode(first)),
        };
        self.open(id, &message, Kin::Neg)
    }

    fn open(&self, id: String, message: &ClientMessage<'_>, kin: Kin) -> Result<Subscription, Gone> {
        let (sender, said) = mpsc::channel(ROUTE);
        self.routes.lock().insert(id.clone(), Route { said: sender, kin });
        let subscription = Subscription { id, client: self.clone(), said };
        self.outgoing.send(message.as_json()).map_err(|_| Gone)?;
        Ok(subscription)
    }

    /// Closes a subscription, whoever holds it; fine if it is closed already.
    pub fn close(&self, id: &str) {
        let route = self.routes.lock().remove(id);
        let Some(route) = route else { return };
        let id = Cow::Owned(SubscriptionId::new(id));
        let message = match route.kin {
            Kin::Req => ClientMessage::Close(id),
            Kin::Neg => ClientMessage::NegClose { subscription_id: id },
        };
        // A connection that has ended has closed it, too.
        let _ = self.outgoing.send(message.as_json());
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kin {
    Req,
    Neg,
}

/// One subscription; closed when dropped.
#[derive(Debug)]
pub struct Subscription {
    id: String,
    client: RelayClient,
    said: mpsc::Receiver<Said>,
}

impl Subscription {
    /// What the relay says next; nothing when the connection has ended or the relay has closed it before. Safe to
    /// cancel.
    pub async fn next(&mut self) -> Option<Said> {
        self.said.recv().await
    }

    /// The next message of a reconciliation.
    ///
    /// # Errors
    /// When the connection has ended.
    pub fn answer(&self, message: &[u8]) -> Result<(), Gone> {
        let message = ClientMessage::NegMsg {
            subscription_id: Cow::Owned(SubscriptionId::new(self.id.clone())),
            message: Cow::Owned(hex::encode(message)),
        };
        self.client.outgoing.send(message.as_json()).map_err(|_| Gone)
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.client.close(&self.id);
    }
}

/// What answers a challenge (NIP-42).
struct Login {
    keys: Keys,
    relay: String,
    answered: Option<EventId>,
    left: usize,
}

impl Login {
    fn new(keys: Keys, relay: &str) -> Self {
        Self { keys, relay: relay.to_owned(), answered: None, left: MAX_CHALLENGES }
    }

    fn answer(&mut self, challenge: &str) -> Option<String> {
        self.left = self.left.checked_sub(1)?;
        let tags = [Tag::parse(["relay", &self.relay]), Tag::parse(["challenge", challenge])];
        let tags: Vec<Tag> = tags.into_iter().collect::<Result<_, _>>().ok()?;
        let event = EventBuilder::new(Kind::Authentication, "").tags(tags).finalize(&self.keys).ok()?;
        self.answered = Some(event.id);
        Some(ClientMessage::Auth(Cow::Owned(event)).as_json())
    }
}

/// The work of one connection.
struct Task {
    limits: ClientLimits,
    routes: Routes,
    held: Arc<Semaphore>,
    all_held: Arc<Semaphore>,
    aside: mpsc::Sender<Aside>,
    login: Login,
    back: mpsc::WeakUnboundedSender<String>,
}

type Socket = WebSocketStream<Connection>;

impl Task {
    /// Runs until the connection ends; returns why.
    async fn run(self, socket: Socket, to_write: mpsc::UnboundedReceiver<String>) -> String {
        let (sink, stream) = socket.split();
        let (pinger, pings) = mpsc::channel(1);
        let (limits, routes) = (self.limits, Arc::clone(&self.routes));
        let reason = tokio::select! {
            reason = self.read(stream, pinger) => reason,
            reason = write(sink, to_write, pings, limits.write) => reason,
        };
        // Whoever waits for an answer learns that none will come.
        routes.lock().clear();
        reason
    }

    async fn read(
        mut self,
        mut stream: futures_util::stream::SplitStream<Socket>,
        pinger: mpsc::Sender<()>,
    ) -> String {
        let mut pinged = false;
        loop {
            let message = match timeout(self.limits.idle, stream.next()).await {
                Ok(Some(Ok(message))) => message,
                Ok(Some(Err(error))) => return short(&error.to_string()),
                Ok(None) => return "the relay has closed the connection".to_owned(),
                Err(_) if pinged => {
                    return format!("the relay has been silent for {:?}", 2 * self.limits.idle);
                }
                Err(_) => {
                    pinged = true;
                    let _ = pinger.try_send(());
                    continue;
                }
            };
            pinged = false;
            match message {
                Message::Text(text) => self.take(&text).await,
                Message::Close(frame) => {
                    let why = frame.map(|frame| frame.reason.to_string()).filter(|why| !why.is_empty());
                    return why
                        .map_or_else(|| "the relay has closed the connection".to_owned(), |why| short(&why));
                }
                // Pings are answered below; nothing else means anything to us.
                _ => {}
            }
        }
    }

    async fn take(&mut self, text: &str) {
        // What cannot be read is none of ours; a relay may know messages that we do not.
        let Ok(message) = RelayMessage::from_json(text) else { return };
        match message {
            RelayMessage::Event { subscription_id, event } => {
                let Some(room) = self.room(text.len()).await else { return };
                let held = Held { event: event.into_owned(), room };
                self.deliver(subscription_id.as_str(), Said::Event(held)).await;
            }
            RelayMessage::EndOfStoredEvents(id) => self.deliver(id.as_str(), Said::Eose).await,
            RelayMessage::Closed { subscription_id, message } => {
                self.closed(subscription_id.as_str(), &message).await;
            }
            RelayMessage::NegMsg { subscription_id, message } => {
                // No hexadecimal is no message; the reconciliation ends by its own patience.
                if let Ok(bytes) = hex::decode(message.as_bytes()) {
                    self.deliver(subscription_id.as_str(), Said::Neg(bytes)).await;
                }
            }
            RelayMessage::NegErr { subscription_id, message } => {
                self.closed(subscription_id.as_str(), &message).await;
            }
            RelayMessage::Notice(text) => self.notice(&text),
            RelayMessage::Auth { challenge } => {
                if let (Some(answer), Some(outgoing)) = (self.login.answer(&challenge), self.back.upgrade()) {
                    let _ = outgoing.send(answer);
                }
            }
            RelayMessage::Ok { event_id, status: true, .. } if self.login.answered == Some(event_id) => {
                let _ = self.aside.send(Aside::Authenticated).await;
            }
            RelayMessage::Ok { .. } | RelayMessage::Count { .. } => {}
        }
    }

    fn notice(&self, text: &str) {
        for route in self.routes.lock().values().filter(|route| route.kin == Kin::Neg) {
            let _ = route.said.try_send(Said::Notice(short(text)));
        }
        // More of them than anybody reads say nothing new.
        let _ = self.aside.try_send(Aside::Notice(short(text)));
    }

    async fn deliver(&self, id: &str, said: Said) {
        let route = self.routes.lock().get(id).map(|route| route.said.clone());
        if let Some(route) = route {
            // A subscription that was dropped meanwhile has said so itself.
            let _ = route.send(said).await;
        }
    }

    async fn closed(&self, id: &str, reason: &str) {
        let route = self.routes.lock().remove(id);
        if let Some(route) = route {
            let _ = route.said.send(Said::Closed(short(reason))).await;
        }
    }

    /// Waits until there is room for an event of so many bytes.
    async fn room(&self, bytes: usize) -> Option<Room> {
        let bytes = u32::try_from(bytes).ok()?;
        let of_one = Arc::clone(&self.held).acquire_many_owned(bytes).await.ok()?;
        let of_all = Arc::clone(&self.all_held).acquire_many_owned(bytes).await.ok()?;
        Some(Room { _of_all: of_all, _of_one: of_one })
    }
}

/// Writes what is asked for until nobody can ask any more; returns why it ended.
async fn write(
    mut sink: futures_util::stream::SplitSink<Socket, Message>,
    mut messages: mpsc::UnboundedReceiver<String>,
    mut pings: mpsc::Receiver<()>,
    patience: Duration,
) -> String {
    loop {
        let message = tokio::select! {
            message = messages.recv() => match message {
                Some(message) => Message::text(message),
                None => {
                    // A relay that does not listen any more need not be told good-bye.
                    let _ = timeout(patience, sink.close()).await;
                    return "this server has closed the connection".to_owned();
                }
            },
            Some(()) = pings.recv() => Message::Ping(Vec::new().into()),
        };
        match timeout(patience, sink.send(message)).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => return short(&error.to_string()),
            Err(_) => return format!("the relay has read nothing for {patience:?}"),
        }
    }
}

/// What a stranger has said, cut to a length that can be logged and shown.
pub(super) fn short(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).take(300).collect()
}
