//! What a relay said and nobody has asked for yet; bounded.

use std::collections::VecDeque;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;
use tokio::sync::futures::OwnedNotified;

use super::message::RelayMessage;

/// How many messages are kept; the oldest go when nobody takes them.
const MAX_KEPT: usize = 50_000;

#[derive(Debug, Default)]
struct Kept {
    messages: VecDeque<RelayMessage>,
    ended: Option<String>,
}

/// Messages in the order of their arrival.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    kept: Mutex<Kept>,
    news: std::sync::Arc<Notify>,
}

impl Inbox {
    pub(crate) fn push(&self, message: RelayMessage) {
        let mut kept = self.lock();
        if kept.messages.len() >= MAX_KEPT {
            kept.messages.pop_front();
        }
        kept.messages.push_back(message);
        drop(kept);
        self.news.notify_waiters();
    }

    pub(crate) fn end(&self, why: String) {
        self.lock().ended.get_or_insert(why);
        self.news.notify_waiters();
    }

    /// Why the connection ended, if it has.
    pub(crate) fn ended(&self) -> Option<String> {
        self.lock().ended.clone()
    }

    /// Resolves at the first arrival after this call.
    pub(crate) fn arrival(&self) -> OwnedNotified {
        self.news.clone().notified_owned()
    }

    pub(crate) fn take<T>(&self, wanted: &mut impl FnMut(&RelayMessage) -> Option<T>) -> Option<T> {
        let mut kept = self.lock();
        let mut found = None;
        let position = kept.messages.iter().position(|message| {
            found = wanted(message);
            found.is_some()
        })?;
        kept.messages.remove(position);
        found
    }

    pub(crate) fn find<T>(&self, wanted: impl FnMut(&RelayMessage) -> Option<T>) -> Option<T> {
        self.lock().messages.iter().find_map(wanted)
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
