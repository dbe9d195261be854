//! Peers of a check: other servers from which the server under test is to fetch (GRASP-02), and sentences about them.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use nostr::event::Event;
use serde_json::json;

use super::{Context, comes_true};
use crate::check::{CheckResult, expect, fail, skip};
use crate::peer::Peer;
use crate::peer::visits::{Subscriptions, Visit, What};

/// How long what a peer has may take to come by sync: connecting may have to wait its turn, and news may be gathered.
pub const SYNCED_WITHIN: Duration = Duration::from_secs(60);
/// Ids in one REQ of ours.
const IDS_AT_ONCE: usize = 50;

impl Context {
    /// Another server, of the auditor's own. What happens there is in the report of the check.
    ///
    /// # Errors
    /// A skip when the server under test does not come to the auditor's peers at all, with the fix; an error of the check
    /// when the auditor's machine has no place for it.
    pub async fn peer(&self) -> CheckResult<Peer> {
        if !self.lodging.address().reachable {
            let reached = self.lodging.reached.get_or_try_init(|| self.is_visited()).await?;
            if let Err(why) = reached {
                return Err(skip(why.clone()));
            }
        }
        self.new_peer().await
    }

    async fn new_peer(&self) -> CheckResult<Peer> {
        let peer = self.lodging.peer().await?;
        let number = self.transcript.visited(peer.visits().clone());
        self.note(&format!("peer {number} is at {}", peer.relay()));
        Ok(peer)
    }

    /// Whether the server comes to a peer that the announcement of a served repository names; why it may not.
    async fn is_visited(&self) -> CheckResult<Result<(), String>> {
        let peer = self.new_peer().await?;
        let announcement = self.announcement_of(&self.owner, &self.other_identifier()).relay(peer.relay());
        self.hosted_repository_as(&self.owner, &announcement).await?;
        let within = self.target.patience.of(SYNCED_WITHIN);
        let came = peer.visits().until(within, |visits| (!visits.is_empty()).then_some(())).await;
        if came.is_some() {
            return Ok(Ok(()));
        }
        Ok(Err(format!(
            "the server has not come to the auditor's peer at {} within {within:?}, though a repository that it serves names \
             it. Give an address that the server reaches (--peer-bind, --peer-url; docs/how-to/audit-sync.md). A server \
             that keeps to public addresses has to allow others: grasp-server by \
             NGIT_SYNC_ALLOW_NON_GLOBAL_TARGETS=true. If you know that it can reach the peer, --peer-reachable makes \
             this a failure",
            peer.relay()
        )))
    }

    /// The event, which a peer has, must come to be served here.
    ///
    /// # Errors
    /// A failure that says what the server did at the peer.
    pub async fn arrives(&self, peer: &Peer, event: &Event) -> CheckResult {
        self.all_arrive(peer, std::slice::from_ref(event)).await
    }

    /// All these events, which a peer has, must come to be served here.
    ///
    /// # Errors
    /// A failure that says how many have come, and what the server did at the peer.
    pub async fn all_arrive(&self, peer: &Peer, events: &[Event]) -> CheckResult {
        let waited_for: Mutex<Vec<&Event>> = Mutex::new(events.iter().collect());
        let left = || waited_for.lock().unwrap_or_else(PoisonError::into_inner);
        let within = self.target.patience.of(SYNCED_WITHIN);
        let all_came = comes_true(within, || async {
            let asked = left().clone();
            let missing = self.missing_of(&asked).await?;
            // what has come is to be taken back at the end, as if it had been published here
            asked.iter().filter(|event| !missing.contains(event)).for_each(|event| self.keeps(event));
            *left() = missing;
            Ok(left().is_empty())
        });
        if all_came.await? {
            return Ok(());
        }
        let expected = match events {
            [event] => {
                format!("kind {} {}…, which the peer has, is served", event.kind.as_u16(), short(event))
            }
            _ => format!("all {} events that the peer has are served", events.len()),
        };
        let seen = format!(
            "{} of {} did not come within {within:?}; {}",
            left().len(),
            events.len(),
            peer.visits().summary()
        );
        Err(fail(expected, seen))
    }

    /// Those that are not served.
    async fn missing_of<'e>(&self, events: &[&'e Event]) -> CheckResult<Vec<&'e Event>> {
        let mut missing = Vec::new();
        for some in events.chunks(IDS_AT_ONCE) {
            let ids: Vec<String> = some.iter().map(|event| event.id.to_hex()).collect();
            let found = self.query(json!({ "ids": ids })).await?;
            missing.extend(some.iter().filter(|event| found.iter().all(|found| found.id != event.id)));
        }
        Ok(missing)
    }

    /// The server must do something at a peer: `look` finds it.
    ///
    /// # Errors
    /// A failure that names `what`, and what the server did instead.
    pub async fn visit<T>(
        &self,
        peer: &Peer,
        what: &str,
        within: Duration,
        look: impl FnMut(&[Visit]) -> Option<T>,
    ) -> CheckResult<T> {
        let within = self.target.patience.of(within);
        let found = peer.visits().until(within, look).await;
        found.ok_or_else(|| fail(format!("{what} within {within:?}"), peer.visits().summary()))
    }

    /// The server must have a subscription open at the peer on which this event, published there, will be sent; since
    /// when.
    ///
    /// # Errors
    /// A failure when it has none.
    pub async fn is_subscribed(&self, peer: &Peer, event: &Event) -> CheckResult<Duration> {
        let what =
            format!("a subscription at the peer that stays open and covers kind {}", event.kind.as_u16());
        self.visit(peer, &what, SYNCED_WITHIN, |visits| {
            let open = Subscriptions::after(visits);
            let covering = open.iter().filter(|(_, open)| open.answered && open.covers(event));
            covering.map(|(_, open)| open.since).min()
        })
        .await
    }

    /// Publishes the event at the peer, where a subscription covers it; it must come on that, and be served.
    ///
    /// # Errors
    /// A failure when it does not, or when the server had to ask again.
    pub async fn arrives_live(&self, peer: &Peer, event: &Event) -> CheckResult {
        self.is_subscribed(peer, event).await?;
        peer.publish(event).await?;
        self.arrives(peer, event).await?;
        let id = event.id.to_hex();
        let live = peer.visits().read(|visits| {
            let is = |visit: &Visit| matches!(&visit.what, What::Delivered { event, live: true, .. } if *event == id);
            visits.iter().any(is)
        });
        expect(live, "the event comes on the subscription that was open", peer.visits().summary())
    }
}

fn short(event: &Event) -> String {
    event.id.to_hex().chars().take(8).collect()
}
