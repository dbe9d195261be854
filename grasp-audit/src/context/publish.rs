//! Publishing and asking, with expectations: the relay half of a check's sentences.

use std::sync::Arc;
use std::time::Duration;

use grasp_fixtures::Draft;
use nostr::event::{Event, EventId};
use nostr::key::Keys;
use serde::Serialize;
use serde_json::{Value, json};

use super::{Context, SETTLES_WITHIN};
use crate::check::{CheckResult, Ending, expect, skip};
use crate::target::websocket::{OkReply, Relay, is_limit};

/// How often a rate limit is answered by waiting.
const MAX_BACKOFFS: u32 = 4;

impl Context {
    /// Publishes an event (or any JSON in its place) on a connection with budget left, and returns the answer.
    /// Waits and tries again when rate-limited; authenticates as the owner when asked to.
    ///
    /// # Errors
    /// A failure when no OK comes; a skip when limits stand in the way.
    pub async fn publish<E: Serialize + ?Sized>(&self, event: &E) -> CheckResult<OkReply> {
        let event = serde_json::to_value(event).map_err(|error| Ending::CannotRun(error.to_string()))?;
        self.within_limits(&event)?;
        let mut authenticated = false;
        let mut backoffs = 0;
        loop {
            let relay = self.publisher().await?;
            let reply = relay.publish(&event).await?;
            if reply.accepted {
                self.ledger.published(&event);
                return Ok(reply);
            }
            if is_limit(&reply.message) {
                if backoffs == MAX_BACKOFFS {
                    return Err(skip(format!("rate-limited, also after waiting: {}", reply.message)));
                }
                *self.publisher.lock().await = None;
                tokio::time::sleep(Duration::from_secs(1 << backoffs)).await;
                backoffs += 1;
            } else if reply.message.starts_with("auth-required:") && !authenticated {
                self.authenticate(&relay).await?;
                authenticated = true;
            } else {
                return Ok(reply);
            }
        }
    }

    /// Publishes; the answer must be `OK true`.
    ///
    /// # Errors
    /// A failure when it is not.
    pub async fn accepted<E: Serialize + ?Sized>(&self, event: &E) -> CheckResult<OkReply> {
        let reply = self.publish(event).await?;
        if reply.message.starts_with("blocked:") && !reply.accepted && self.target.curates() {
            let author = serde_json::to_value(event)
                .ok()
                .and_then(|event| event["pubkey"].as_str().map(str::to_owned));
            if author.is_some_and(|author| author != self.owner.public_key().to_hex()) {
                return Err(skip(format!(
                    "the server curates (NIP-11 `curation`) and takes no such event of a key it does not know: {}",
                    reply.message
                )));
            }
        }
        expect(reply.accepted, format!("OK true for {}", self.describe(event)), &reply)?;
        Ok(reply)
    }

    /// Publishes; the answer must be `OK false`.
    ///
    /// # Errors
    /// A failure when it is not.
    pub async fn refused<E: Serialize + ?Sized>(&self, event: &E) -> CheckResult<OkReply> {
        let reply = self.publish(event).await?;
        expect(!reply.accepted, format!("OK false for {}", self.describe(event)), &reply)?;
        Ok(reply)
    }

    /// Publishes; the answer must be `OK false` with a message beginning `prefix`, `invalid:` for example.
    ///
    /// # Errors
    /// A failure when it is not.
    pub async fn refused_as<E: Serialize + ?Sized>(&self, event: &E, prefix: &str) -> CheckResult<OkReply> {
        let reply = self.refused(event).await?;
        let expected = format!("OK false with `{prefix} …` for {}", self.describe(event));
        expect(reply.message.starts_with(prefix), expected, &reply)?;
        Ok(reply)
    }

    /// Goes on only when NIP-11 lists this NIP.
    ///
    /// # Errors
    /// A skip when it does not.
    pub fn needs_nip(&self, nip: u64) -> CheckResult {
        if self.target.supports_nip(nip) {
            return Ok(());
        }
        Err(skip(format!("supported_nips does not list {nip}")))
    }

    /// Remembers an event that was published past this context, so that it is taken back at the end.
    pub fn keeps(&self, event: &Event) {
        self.ledger.published(&serde_json::to_value(event).unwrap_or_default());
    }

    /// Remembers events that a peer will have and nobody will wait for: what came of them is taken back at the end.
    pub fn offers(&self, events: &[Event]) {
        events.iter().for_each(|event| self.ledger.offered(event));
    }

    /// Signs and publishes, which must be taken.
    ///
    /// # Errors
    /// A failure when it is not.
    pub async fn publishes(&self, author: &Keys, draft: impl Into<Draft>) -> CheckResult<Event> {
        let event = self.sign(author, draft);
        self.accepted(&event).await?;
        Ok(event)
    }

    /// Everything stored that matches, asked on the check's own connection.
    ///
    /// # Errors
    /// A failure when no EOSE comes or something does not verify.
    pub async fn query(&self, filter: Value) -> CheckResult<Vec<Event>> {
        Ok(self.publisher().await?.req(&[filter]).await?)
    }

    /// Whether the event is served now.
    ///
    /// # Errors
    /// A failure when the relay does not answer.
    pub async fn is_served(&self, event: &Event) -> CheckResult<bool> {
        is_served_by(self.publisher().await?.as_ref(), event.id).await
    }

    /// The event must be served, now or soon.
    ///
    /// # Errors
    /// A failure when it is not.
    pub async fn served(&self, event: &Event) -> CheckResult {
        let what = format!("{} is served", self.describe(event));
        self.eventually(&what, SETTLES_WITHIN, || self.is_served(event)).await
    }

    /// The event must be served at this very moment: what led to it is over.
    ///
    /// # Errors
    /// A failure when it is not.
    pub async fn served_already(&self, event: &Event) -> CheckResult {
        expect(
            self.is_served(event).await?,
            format!("{} is served, at once", self.describe(event)),
            "REQ by its id does not find it",
        )
    }

    /// The event must not be served now: by id or by author and kind.
    ///
    /// # Errors
    /// A failure when it is.
    pub async fn not_served(&self, event: &Event) -> CheckResult {
        for filter in [
            json!({"ids": [event.id.to_hex()]}),
            json!({"authors": [event.pubkey.to_hex()], "kinds": [event.kind.as_u16()]}),
        ] {
            let found = self.query(filter.clone()).await?;
            let seen = format!("REQ {filter} found it");
            expect(
                found.iter().all(|found| found.id != event.id),
                format!("{} is not served", self.describe(event)),
                seen,
            )?;
        }
        Ok(())
    }

    /// The event must stop being served, now or soon.
    ///
    /// # Errors
    /// A failure when it is still served.
    pub async fn gone(&self, event: &Event) -> CheckResult {
        let what = format!("{} is no longer served", self.describe(event));
        self.eventually(&what, SETTLES_WITHIN, || async { Ok(!self.is_served(event).await?) }).await
    }

    /// The connection on which the check publishes and asks: a fresh one when its budget is spent.
    ///
    /// # Errors
    /// A failure when there is none.
    pub async fn publisher(&self) -> CheckResult<Arc<Relay>> {
        let mut current = self.publisher.lock().await;
        if let Some(relay) = current.as_ref().filter(|relay| !relay.is_spent()) {
            return Ok(relay.clone());
        }
        let relay = Arc::new(self.relay().await?);
        *current = Some(relay.clone());
        Ok(relay)
    }

    async fn authenticate(&self, relay: &Relay) -> CheckResult {
        let challenge =
            relay.challenge().ok_or_else(|| skip("the relay wants NIP-42 and sent no challenge"))?;
        let answer = Draft::new(22242, "")
            .tag(["relay", &self.target.url.relay()])
            .tag(["challenge", &challenge])
            .at(self.now())
            .sign(&self.owner);
        let reply = relay.authenticate(&answer).await?;
        if reply.accepted {
            Ok(())
        } else {
            Err(skip(format!("the relay wants NIP-42 and refused ours: {reply}")))
        }
    }

    fn within_limits(&self, event: &Value) -> CheckResult {
        let limits = &self.target.limits;
        let tags = event["tags"].as_array().map_or(0, Vec::len);
        if limits.max_event_tags.is_some_and(|most| tags > most) {
            return Err(skip(format!("an event of {tags} tags is needed, more than the server takes")));
        }
        if limits.min_pow_difficulty > 0 {
            let bits = limits.min_pow_difficulty;
            return Err(skip(format!(
                "the server asks for {bits} bits of proof of work, which the suite does not do"
            )));
        }
        Ok(())
    }

    fn describe<E: Serialize + ?Sized>(&self, event: &E) -> String {
        let event = serde_json::to_value(event).unwrap_or_default();
        let id: String = event["id"].as_str().unwrap_or("?").chars().take(8).collect();
        format!("kind {} {id}…", event["kind"])
    }
}

/// Whether a REQ for this id on `relay` finds it.
///
/// # Errors
/// A failure when the relay does not answer.
pub async fn is_served_by(relay: &Relay, id: EventId) -> CheckResult<bool> {
    let found = relay.req(&[json!({"ids": [id.to_hex()]})]).await?;
    Ok(found.iter().any(|event| event.id == id))
}
