//! What went over the wire during one check, in order, with times; bounded.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use serde::{Deserialize, Serialize};

use crate::attachment::{Attachment, MAX_ATTACHMENTS};
use crate::peer::Visits;
use crate::peer::timeline::Timeline;

/// How many entries are kept: the first ones go when there are more.
const MAX_ENTRIES: usize = 400;
/// How many characters of one entry are kept.
const MAX_TEXT: usize = 2_000;

/// Who said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Direction {
    /// The auditor to the server.
    Sent,
    /// The server to the auditor.
    Received,
    /// Neither: what the auditor did.
    Note,
}

/// One message.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// Milliseconds since the check began.
    pub at_ms: u64,
    /// Which conversation: `http`, `ws 1`, `git`.
    pub channel: String,
    /// Who said it.
    pub direction: Direction,
    /// What was said, cut when it was long.
    pub text: String,
}

/// How many messages went each way.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// The auditor to the server.
    pub sent: usize,
    /// The server to the auditor.
    pub received: usize,
}

#[derive(Debug, Default)]
struct Record {
    entries: Vec<Entry>,
    traffic: BTreeMap<String, Traffic>,
    attachments: Vec<Attachment>,
    visits: Vec<Arc<Visits>>,
}

impl Record {
    fn count(&mut self, channel: &str, direction: Direction) {
        let kind = channel.split(' ').next().unwrap_or(channel).to_owned();
        match direction {
            Direction::Sent => self.traffic.entry(kind).or_default().sent += 1,
            Direction::Received => self.traffic.entry(kind).or_default().received += 1,
            Direction::Note => {}
        }
    }
}

/// The record of one check.
#[derive(Debug)]
pub struct Transcript {
    began: Instant,
    record: Mutex<Record>,
}

impl Default for Transcript {
    fn default() -> Self {
        Self::new()
    }
}

impl Transcript {
    /// An empty record that begins now.
    #[must_use]
    pub fn new() -> Self {
        Self { began: Instant::now(), record: Mutex::default() }
    }

    /// Records what the auditor said.
    pub fn sent(&self, channel: &str, text: &str) {
        self.record(channel, Direction::Sent, text);
    }

    /// Records what the server said.
    pub fn received(&self, channel: &str, text: &str) {
        self.record(channel, Direction::Received, text);
    }

    /// Records what the auditor did.
    pub fn note(&self, channel: &str, text: &str) {
        self.record(channel, Direction::Note, text);
    }

    /// Everything that was kept, oldest first.
    #[must_use]
    pub fn entries(&self) -> Vec<Entry> {
        self.lock().entries.clone()
    }

    /// How many messages there were by kind of conversation (`http`, `ws`, `git`), those that were not kept included.
    #[must_use]
    pub fn traffic(&self) -> BTreeMap<String, Traffic> {
        self.lock().traffic.clone()
    }

    /// Puts a piece of evidence beside the record; past [`MAX_ATTACHMENTS`] it is left out.
    pub fn attach(&self, attachment: Attachment) {
        let mut record = self.lock();
        if record.attachments.len() < MAX_ATTACHMENTS {
            record.attachments.push(attachment);
        }
    }

    /// What was put beside the record.
    #[must_use]
    pub fn attachments(&self) -> Vec<Attachment> {
        self.lock().attachments.clone()
    }

    /// What the server does at a peer belongs to this record, too. Returns the peer's number, from 1.
    pub fn visited(&self, visits: Arc<Visits>) -> usize {
        let mut record = self.lock();
        record.visits.push(visits);
        record.visits.len()
    }

    /// What the server has done at each peer.
    #[must_use]
    pub fn timelines(&self) -> Vec<Timeline> {
        let visits = self.lock().visits.clone();
        let numbered = (1..).zip(&visits);
        numbered.map(|(number, visits)| Timeline::of(&format!("peer {number}"), visits)).collect()
    }

    fn record(&self, channel: &str, direction: Direction, text: &str) {
        let mut kept: String = text.chars().take(MAX_TEXT).collect();
        if kept.len() < text.len() {
            kept.push_str(&format!(" … ({} bytes in all)", text.len()));
        }
        let mut record = self.lock();
        record.count(channel, direction);
        if record.entries.len() >= MAX_ENTRIES {
            record.entries.remove(0);
        }
        record.entries.push(Entry {
            at_ms: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            channel: channel.to_owned(),
            direction,
            text: kept,
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn record_is_bounded() {
        let transcript = Transcript::new();
        for number in 0..MAX_ENTRIES + 5 {
            transcript.sent("http", &format!("{number} {}", "x".repeat(3 * MAX_TEXT)));
        }
        let entries = transcript.entries();
        assert_eq!(entries.len(), MAX_ENTRIES);
        assert_eq!(transcript.traffic()["http"], Traffic { sent: MAX_ENTRIES + 5, received: 0 });
        assert!(entries[0].text.starts_with("5 ") && entries[0].text.len() < 2 * MAX_TEXT);
    }
}
