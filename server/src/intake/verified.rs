//! Events whose id and signature are true.

use nostr::event::{Event, EventId};

use super::Answer;

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
            Err(error) => Err(Answer::no(format!("invalid: {error}"))),
        };
        let size = event.content.len() + event.tags.len() * 64;
        if size < LARGE_EVENT {
            return check(event);
        }
        let task = tokio::task::spawn_blocking(move || check(event));
        task.await.unwrap_or_else(|_| Err(Self::failed()))
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
