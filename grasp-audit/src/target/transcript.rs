//! What went over the wire during one check, in order, with times; bounded.

use std::sync::Mutex;
use std::time::Instant;

use serde::Serialize;

/// How many entries are kept: the first ones go when there are more.
const MAX_ENTRIES: usize = 400;
/// How many characters of one entry are kept.
const MAX_TEXT: usize = 2_000;

/// Who said it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
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
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
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

/// The record of one check.
#[derive(Debug)]
pub struct Transcript {
    began: Instant,
    entries: Mutex<Vec<Entry>>,
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
        Self { began: Instant::now(), entries: Mutex::new(Vec::new()) }
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
        self.lock().clone()
    }

    fn record(&self, channel: &str, direction: Direction, text: &str) {
        let mut kept: String = text.chars().take(MAX_TEXT).collect();
        if kept.len() < text.len() {
            kept.push_str(&format!(" … ({} bytes in all)", text.len()));
        }
        let mut entries = self.lock();
        if entries.len() >= MAX_ENTRIES {
            entries.remove(0);
        }
        entries.push(Entry {
            at_ms: u64::try_from(self.began.elapsed().as_millis()).unwrap_or(u64::MAX),
            channel: channel.to_owned(),
            direction,
            text: kept,
        });
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Entry>> {
        self.entries.lock().unwrap_or_else(std::sync::PoisonError::into_inner)
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
        assert!(entries[0].text.starts_with("5 ") && entries[0].text.len() < 2 * MAX_TEXT);
    }
}
