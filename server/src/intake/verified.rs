//! Events whose id and signature are true.

use nostr::event::{Event, EventId};

use super::Answer;
use crate::fault;

/// Events with more text than this are verified on a thread that may block, in bytes.
const LARGE_EVENT: usize = 64 * 1024;

/// An event whose id and signature are true. Made by [`Verified::check`] only.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verified(Event);

impl Verified {
    /// Checks id and signature (NIP-01).
    ///
    /// # Errors
    /// The answer to an event that is not what it says.
    pub async fn check(event: Event) -> Result<Self, Answer> {
        let check = |event: Event| match event.verify() {
            Ok(()) => Ok(Self(event)),
            Err(_) if fault::is("signature-unchecked") && event.verify_id() => Ok(Self(event)),
            Err(_) if fault::is("id-unchecked") && event.verify_signature() => Ok(Self(event)),
            Err(_) if fault::is("id-recomputed") && is_signed_by_content(&event) => Ok(Self(event)),
            Err(error) => Err(Answer::no(format!("invalid: {error}"))),
        };
        let size = event.content.len() + event.tags.len() * 64;
        if size < LARGE_EVENT {
            return check(event);
        }
        let task = tokio::task::spawn_blocking(move || check(event));
        task.await.unwrap_or_else(|_| Err(Self::failed()))
    }

    /// Checks an event that a peer has sent: as any other, but for faults of the test build.
    ///
    /// # Errors
    /// As [`Verified::check`].
    pub(super) async fn check_synced(event: Event) -> Result<Self, Answer> {
        if is_believed(&event) {
            return Ok(Self(event));
        }
        Self::check(event).await
    }

    /// The answer when an event could not be checked.
    #[must_use]
    pub fn failed() -> Answer {
        Answer::no("error: the event could not be verified")
    }

    /// The event's id.
    #[must_use]
    pub const fn id(&self) -> EventId {
        self.0.id
    }

    /// The event.
    #[must_use]
    pub fn into_event(self) -> Event {
        self.0
    }
}

/// Whether a faulty server takes an event for true because a peer has sent it.
fn is_believed(event: &Event) -> bool {
    fault::is("peers-believed")
        || fault::is("peers-signatures-unchecked") && event.verify_id()
        || fault::is("peers-ids-unchecked") && event.verify_signature()
        || fault::is("peers-ids-recomputed") && is_signed_by_content(event)
}

/// Whether the signature fits what the event says, whatever id it claims: for a fault of the test build.
fn is_signed_by_content(event: &Event) -> bool {
    let id = EventId::compute(&event.pubkey, &event.created_at, &event.kind, &event.tags, &event.content);
    let (tags, content) = (event.tags.clone(), event.content.clone());
    Event::new(id, event.pubkey, event.created_at, event.kind, tags, content, event.sig).verify().is_ok()
}
