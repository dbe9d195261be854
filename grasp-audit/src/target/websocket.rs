//! A relay client (NIP-01, 42, 45, 77) that keeps everything the relay said until somebody asks for it.
//!
//! A task per connection reads, records and answers pings; nothing is lost between two calls. The client never
//! has more subscriptions or publishes more per connection than the server and politeness allow.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use futures_util::{SinkExt, StreamExt};
use http::HeaderMap;
use nostr::event::Event;
use serde_json::{Value, json};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::protocol::WebSocketConfig;
use tokio_tungstenite::tungstenite::{Error as WsError, Message};

use super::inbox::Inbox;
use super::limits::PUBLISHED_PER_CONNECTION;
use super::message::RelayMessage;
use super::patience::Patience;
use super::transcript::Transcript;
use super::{ANSWER_WITHIN, Target};
use crate::check::{Ending, fail};

/// The largest message taken from a relay, in bytes.
const MAX_MESSAGE: usize = 64 << 20;

/// Why the relay gave no answer to judge.
#[derive(Debug, thiserror::Error)]
pub enum RelayError {
    /// No connection.
    #[error("no connection: {0}")]
    Connect(#[source] std::io::Error),
    /// The upgrade was refused.
    #[error("the WebSocket upgrade failed: {0}")]
    Upgrade(String),
    /// The relay ended the connection.
    #[error("the connection ended: {0}")]
    Ended(String),
    /// Nothing that answers came in time.
    #[error("no {what} within {within:?}")]
    Late {
        /// What was waited for.
        what: String,
        /// How long.
        within: Duration,
    },
    /// A subscription was refused.
    #[error("CLOSED: {0}")]
    Closed(String),
    /// The relay served something that is no valid event.
    #[error("the relay sent an event that does not verify: {0}")]
    Forged(String),
    /// A limit the server stated stands in the way.
    #[error("{0}")]
    Limited(String),
}

impl From<RelayError> for Ending {
    fn from(error: RelayError) -> Self {
        match error {
            RelayError::Limited(why) => Self::Skip(why),
            RelayError::Closed(why) if is_limit(&why) => {
                Self::Skip(format!("the relay limits subscriptions: {why}"))
            }
            other => fail("the relay's answer", other),
        }
    }
}

/// Whether a machine-readable reason speaks of a limit and not of a judgement.
#[must_use]
pub fn is_limit(reason: &str) -> bool {
    reason.starts_with("rate-limited:")
}

/// The relay's answer to an EVENT.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OkReply {
    /// Whether it was taken.
    pub accepted: bool,
    /// The relay's words.
    pub message: String,
}

impl std::fmt::Display for OkReply {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "OK {} {:?}", self.accepted, self.message)
    }
}

/// One connection to the relay.
#[derive(Debug)]
pub struct Relay {
    outgoing: mpsc::Sender<Message>,
    inbox: Arc<Inbox>,
    driver: JoinHandle<()>,
    published: AtomicUsize,
    subscriptions: AtomicUsize,
    next_id: AtomicUsize,
    max_subscriptions: Option<usize>,
    max_message: Option<usize>,
    upgrade: HeaderMap,
    patience: Patience,
    transcript: Arc<Transcript>,
    channel: String,
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

impl Relay {
    /// Connects to `/` of the service; `channel` names the connection in the transcript.
    ///
    /// # Errors
    /// When there is no connection or no upgrade.
    pub async fn connect(
        target: &Target,
        transcript: Arc<Transcript>,
        channel: String,
    ) -> Result<Self, RelayError> {
        let opened = Self::open(target, transcript.clone(), channel.clone()).await;
        if let Err(error) = &opened {
            transcript.note(&channel, &format!("{}/: {error}", target.url.relay()));
        }
        opened
    }

    async fn open(target: &Target, transcript: Arc<Transcript>, channel: String) -> Result<Self, RelayError> {
        let stream = target.dialer.dial().await.map_err(RelayError::Connect)?;
        let upgrade = |error: WsError| RelayError::Upgrade(error.to_string());
        let request = format!("{}/", target.url.relay()).into_client_request().map_err(upgrade)?;
        let config =
            WebSocketConfig::default().max_message_size(Some(MAX_MESSAGE)).max_frame_size(Some(MAX_MESSAGE));
        let handshake = tokio_tungstenite::client_async_with_config(request, stream, Some(config));
        let (socket, response) = tokio::time::timeout(target.patience.of(ANSWER_WITHIN), handshake)
            .await
            .map_err(|_| RelayError::Late { what: "101 response".into(), within: ANSWER_WITHIN })?
            .map_err(upgrade)?;
        transcript.note(&channel, &format!("connected to {}/", target.url.relay()));
        let inbox = Arc::new(Inbox::default());
        let (outgoing, mut queue) = mpsc::channel::<Message>(256);
        let (mut sink, mut source) = socket.split();
        let (kept, record, called) = (inbox.clone(), transcript.clone(), channel.clone());
        let driver = tokio::spawn(async move {
            let ended = loop {
                tokio::select! {
                    next = queue.recv() => {
                        let Some(message) = next else { break "by the auditor".to_owned() };
                        if let Err(error) = sink.send(message).await { break error.to_string() }
                    }
                    next = source.next() => match next {
                        Some(Ok(Message::Text(text))) => {
                            record.received(&called, text.as_str());
                            kept.push(RelayMessage::parse(text.as_str()));
                        }
                        Some(Ok(Message::Binary(bytes))) => kept.push(RelayMessage::Binary(bytes.len())),
                        Some(Ok(Message::Close(frame))) => {
                            let code = frame.as_ref().map(|frame| u16::from(frame.code));
                            let reason = frame.map(|frame| frame.reason.to_string()).unwrap_or_default();
                            record.received(&called, &format!("close {code:?} {reason}"));
                            kept.push(RelayMessage::Close { code, reason });
                        }
                        Some(Ok(_)) => {} // pings are answered by the library
                        Some(Err(error)) => break error.to_string(),
                        None => break "by the relay".to_owned(),
                    }
                }
            };
            record.note(&called, &format!("ended: {ended}"));
            kept.end(ended);
        });
        Ok(Self {
            outgoing,
            inbox,
            driver,
            published: AtomicUsize::new(0),
            subscriptions: AtomicUsize::new(0),
            next_id: AtomicUsize::new(1),
            max_subscriptions: target.limits.max_subscriptions,
            max_message: target.limits.max_message_length,
            upgrade: response.headers().clone(),
            patience: target.patience,
            transcript,
            channel,
        })
    }

    /// The header fields of the 101 response.
    #[must_use]
    pub fn upgrade_headers(&self) -> &HeaderMap {
        &self.upgrade
    }

    /// Whether this connection has published as many events as politeness allows.
    #[must_use]
    pub fn is_spent(&self) -> bool {
        self.published.load(Ordering::Relaxed) >= PUBLISHED_PER_CONNECTION || self.inbox.ended().is_some()
    }

    /// Whether the connection is still open as far as we know.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.inbox.ended().is_none()
    }

    /// Sends a text frame as it is.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn send_text(&self, text: impl Into<String>) -> Result<(), RelayError> {
        self.send(Message::text(text.into())).await
    }

    /// Sends a binary frame.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn send_binary(&self, bytes: Vec<u8>) -> Result<(), RelayError> {
        self.send(Message::binary(bytes)).await
    }

    /// Sends a JSON message; refuses to exceed the server's `max_message_length`.
    ///
    /// # Errors
    /// When the connection has ended or the message is longer than the server takes.
    pub async fn send_json(&self, message: &Value) -> Result<(), RelayError> {
        let text = message.to_string();
        match self.max_message {
            Some(limit) if text.len() > limit => Err(RelayError::Limited(format!(
                "a message of {} bytes is needed, the server takes {limit}",
                text.len()
            ))),
            _ => self.send_text(text).await,
        }
    }

    /// Publishes an event, or any JSON in its place, and waits for its OK.
    ///
    /// # Errors
    /// When no OK for its id comes.
    pub async fn publish(&self, event: &Value) -> Result<OkReply, RelayError> {
        let wanted = event["id"].as_str().unwrap_or_default().to_owned();
        self.published.fetch_add(1, Ordering::Relaxed);
        self.send_json(&json!(["EVENT", event])).await?;
        self.ok(&wanted).await
    }

    /// Publishes without waiting for the answer: [`Relay::ok_for`] does.
    ///
    /// # Errors
    /// When the connection has ended or the message is longer than the server takes.
    pub async fn send_publish(&self, event: &Event) -> Result<(), RelayError> {
        self.published.fetch_add(1, Ordering::Relaxed);
        self.send_json(&json!(["EVENT", event])).await
    }

    /// The answer to an event that was sent before.
    ///
    /// # Errors
    /// When no OK for its id comes.
    pub async fn ok_for(&self, event: &Event) -> Result<OkReply, RelayError> {
        self.ok(&event.id.to_hex()).await
    }

    /// Answers the challenge (NIP-42) with this signed event of kind 22242.
    ///
    /// # Errors
    /// When no OK for its id comes.
    pub async fn authenticate(&self, answer: &Event) -> Result<OkReply, RelayError> {
        let wanted = answer.id.to_hex();
        self.send_json(&json!(["AUTH", answer])).await?;
        self.ok(&wanted).await
    }

    async fn ok(&self, wanted: &str) -> Result<OkReply, RelayError> {
        self.take(&format!("OK for {wanted}"), ANSWER_WITHIN, |message| match message {
            RelayMessage::Ok { id, accepted, message } if id == wanted => {
                Some(Ok(OkReply { accepted: *accepted, message: message.clone() }))
            }
            _ => None,
        })
        .await
    }

    /// Everything stored that matches, until EOSE; the subscription is closed afterwards.
    ///
    /// # Errors
    /// When it is refused, or no EOSE comes, or something does not verify.
    pub async fn req(&self, filters: &[Value]) -> Result<Vec<Event>, RelayError> {
        let mut live = self.subscribe(filters).await?;
        let stored = std::mem::take(&mut live.stored);
        live.close().await?;
        Ok(stored)
    }

    /// Opens a subscription and waits for EOSE; what is stored is in [`Subscription::stored`].
    ///
    /// # Errors
    /// When it is refused, or no EOSE comes, or something does not verify.
    pub async fn subscribe(&self, filters: &[Value]) -> Result<Subscription<'_>, RelayError> {
        let open = self.subscriptions.fetch_add(1, Ordering::Relaxed);
        let mut subscription =
            Subscription { relay: self, id: self.fresh_id(), stored: Vec::new(), open: true };
        if self.max_subscriptions.is_some_and(|limit| open >= limit) {
            return Err(RelayError::Limited(format!(
                "more than {open} subscriptions are needed, the server allows no more"
            )));
        }
        subscription.stored = self.ask(&subscription.id, filters).await?;
        Ok(subscription)
    }

    /// Opens (or replaces) the subscription called `id` and returns what is stored, until EOSE; it stays open, and
    /// nobody closes it: for checks about subscription ids.
    ///
    /// # Errors
    /// When it is refused, or no EOSE comes, or something does not verify.
    pub async fn ask(&self, id: &str, filters: &[Value]) -> Result<Vec<Event>, RelayError> {
        let mut request = vec![json!("REQ"), json!(id)];
        request.extend(filters.iter().cloned());
        self.send_json(&Value::Array(request)).await?;
        let mut stored = Vec::new();
        while let Some(event) = self.heard(id, ANSWER_WITHIN).await? {
            stored.push(event);
        }
        Ok(stored)
    }

    /// The next event for the subscription called `id`, or `None` for its EOSE.
    ///
    /// # Errors
    /// When neither comes in time, the subscription or the connection ends, or the event does not verify.
    pub async fn heard(&self, id: &str, within: Duration) -> Result<Option<Event>, RelayError> {
        self.take("EVENT or EOSE", within, |message| match message {
            RelayMessage::Event { subscription, event } if subscription == id => {
                Some(verified(event).map(Some))
            }
            RelayMessage::Eose(subscription) if subscription == id => Some(Ok(None)),
            RelayMessage::Closed { subscription, reason } if subscription == id => {
                Some(Err(RelayError::Closed(reason.clone())))
            }
            _ => None,
        })
        .await
    }

    /// Whether an event for the subscription called `id` has come by now and was not taken yet.
    #[must_use]
    pub fn has_heard(&self, id: &str, event: &Event) -> bool {
        let wanted = event.id.to_hex();
        let named = |message: &RelayMessage| match message {
            RelayMessage::Event { subscription, event } if subscription == id => {
                (event["id"].as_str() == Some(&wanted)).then_some(())
            }
            _ => None,
        };
        self.inbox.find(named).is_some()
    }

    /// The relay's count (NIP-45); `None` when it does not answer COUNT.
    ///
    /// # Errors
    /// When the connection ends.
    pub async fn count(&self, filters: &[Value]) -> Result<Option<u64>, RelayError> {
        let wanted = self.fresh_id();
        let mut request = vec![json!("COUNT"), json!(wanted)];
        request.extend(filters.iter().cloned());
        self.send_json(&Value::Array(request)).await?;
        self.take("COUNT", ANSWER_WITHIN, |message| match message {
            RelayMessage::Count { subscription, count } if *subscription == wanted => Some(Ok(Some(*count))),
            RelayMessage::Closed { subscription, .. } if *subscription == wanted => Some(Ok(None)),
            RelayMessage::Notice(_) => Some(Ok(None)),
            _ => None,
        })
        .await
    }

    /// The next NOTICE.
    ///
    /// # Errors
    /// When none comes in time.
    pub async fn notice(&self, within: Duration) -> Result<String, RelayError> {
        self.take("NOTICE", within, |message| match message {
            RelayMessage::Notice(text) => Some(Ok(text.clone())),
            _ => None,
        })
        .await
    }

    /// The challenge of NIP-42, when the relay sent one by now.
    #[must_use]
    pub fn challenge(&self) -> Option<String> {
        self.inbox.find(|message| match message {
            RelayMessage::Auth(challenge) => Some(challenge.clone()),
            _ => None,
        })
    }

    /// Whatever the relay says next, of any kind.
    ///
    /// # Errors
    /// When nothing comes in time or the connection ends.
    pub async fn next(&self, within: Duration) -> Result<RelayMessage, RelayError> {
        self.take("message", within, |message| Some(Ok(message.clone()))).await
    }

    /// The code and reason with which the relay ends the connection; `None` for an end without a close frame.
    ///
    /// # Errors
    /// [`RelayError::Late`] when it stays open.
    pub async fn closed(&self, within: Duration) -> Result<Option<(Option<u16>, String)>, RelayError> {
        let close = self.take("end of the connection", within, |message| match message {
            RelayMessage::Close { code, reason } => Some(Ok((*code, reason.clone()))),
            _ => None,
        });
        match close.await {
            Ok(close) => Ok(Some(close)),
            Err(RelayError::Ended(_)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Takes the first message, past or to come, that `wanted` recognises; the others stay.
    ///
    /// # Errors
    /// When none comes in time or the connection ends before.
    pub async fn take<T>(
        &self,
        what: &str,
        within: Duration,
        mut wanted: impl FnMut(&RelayMessage) -> Option<Result<T, RelayError>>,
    ) -> Result<T, RelayError> {
        let within = self.patience.of(within);
        let deadline = Instant::now() + within;
        loop {
            let arrival = self.inbox.arrival();
            if let Some(found) = self.inbox.take(&mut wanted) {
                return found;
            }
            if let Some(why) = self.inbox.ended() {
                return Err(RelayError::Ended(why));
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if tokio::time::timeout(left, arrival).await.is_err() {
                return Err(RelayError::Late { what: what.to_owned(), within });
            }
        }
    }

    pub(super) fn fresh_id(&self) -> String {
        format!("audit-{}", self.next_id.fetch_add(1, Ordering::Relaxed))
    }

    async fn send(&self, message: Message) -> Result<(), RelayError> {
        match &message {
            Message::Text(text) => self.transcript.sent(&self.channel, text.as_str()),
            Message::Binary(bytes) => {
                self.transcript.sent(&self.channel, &format!("{} binary bytes", bytes.len()))
            }
            _ => {}
        }
        let ended = || RelayError::Ended(self.inbox.ended().unwrap_or_else(|| "by the relay".to_owned()));
        self.outgoing.send(message).await.map_err(|_| ended())
    }
}

/// A live subscription; closed when it is dropped.
#[derive(Debug)]
pub struct Subscription<'a> {
    relay: &'a Relay,
    id: String,
    open: bool,
    /// What was stored when it was opened.
    pub stored: Vec<Event>,
}

impl Subscription<'_> {
    /// The next live event, or `None` when none comes in time.
    ///
    /// # Errors
    /// When the subscription or the connection ends, or the event does not verify.
    pub async fn next_event(&mut self, within: Duration) -> Result<Option<Event>, RelayError> {
        match self.relay.heard(&self.id, within).await {
            Ok(event) => Ok(event),
            Err(RelayError::Late { .. }) => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// Ends the subscription.
    ///
    /// # Errors
    /// When the connection has ended.
    pub async fn close(mut self) -> Result<(), RelayError> {
        self.open = false;
        self.relay.subscriptions.fetch_sub(1, Ordering::Relaxed);
        self.relay.send_json(&json!(["CLOSE", self.id])).await
    }
}

impl Drop for Subscription<'_> {
    fn drop(&mut self) {
        if self.open {
            self.relay.subscriptions.fetch_sub(1, Ordering::Relaxed);
            let close = json!(["CLOSE", self.id]).to_string();
            // a full queue means the connection is stuck, and then a CLOSE does not matter
            let _ = self.relay.outgoing.try_send(Message::text(close));
        }
    }
}

fn verified(event: &Value) -> Result<Event, RelayError> {
    let forged = |why: String| RelayError::Forged(format!("{why}: {event}"));
    let parsed: Event = serde_json::from_value(event.clone()).map_err(|error| forged(error.to_string()))?;
    parsed.verify().map_err(|error| forged(error.to_string()))?;
    Ok(parsed)
}
