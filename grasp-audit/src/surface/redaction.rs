//! Replaces what varies between two recordings by names.

use std::sync::LazyLock;

use grasp_fixtures::keys;
use nostr::event::Event;
use regex::{Captures, Regex};
use serde_json::Value;

use crate::context::{Context, Hosted};
use crate::target::url::repository_path;

/// Lengths to which people and programs shorten an id, the longest first.
const SHORT_FORMS: [usize; 6] = [16, 12, 10, 9, 8, 7];

/// Names for what varies.
#[derive(Debug, Clone, Default)]
pub(super) struct Redaction(Vec<(String, String)>);

impl Redaction {
    pub(super) fn name(mut self, text: impl Into<String>, name: &str) -> Self {
        self.add(text, name);
        self
    }

    /// Longer texts are replaced first: one name may be the beginning of another.
    pub(super) fn add(&mut self, text: impl Into<String>, name: &str) {
        self.0.push((text.into(), name.to_owned()));
        self.0.sort_by_key(|(text, _)| std::cmp::Reverse(text.len()));
    }

    /// An id in hex, whole or shortened.
    pub(super) fn id(mut self, hex: &str, name: &str) -> Self {
        self.add_id(hex, name);
        self
    }

    pub(super) fn add_id(&mut self, hex: &str, name: &str) {
        self.add(hex, name);
        for length in SHORT_FORMS {
            self.add(&hex[..length.min(hex.len())], name);
        }
    }

    pub(super) fn add_event(&mut self, event: &Event) {
        self.add_id(&event.id.to_hex(), "<event>");
    }

    pub(super) fn of_context(self, ctx: &Context) -> Self {
        let owner = ctx.owner.public_key();
        self.name(repository_path(&owner, &ctx.identifier), "/<npub>/<identifier>.git")
            .name(keys::npub(&owner), "<npub>")
            .id(&owner.to_hex(), "<owner>")
            .name(&ctx.identifier, "<identifier>")
    }

    pub(super) fn of_hosted(self, hosted: &Hosted) -> Self {
        let mut redaction = self.id(&hosted.tip, "<tip>");
        redaction.add_event(&hosted.announcement);
        redaction.add_event(&hosted.state);
        redaction
    }

    /// The text with names in place of what varies.
    pub(super) fn apply(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (from, to) in &self.0 {
            text = text.replace(from, to);
        }
        loose(&text)
    }

    /// The same for every text in a JSON value.
    pub(super) fn of(&self, value: Value) -> Value {
        match value {
            Value::String(text) => Value::String(self.apply(&text)),
            Value::Array(values) => values.into_iter().map(|value| self.of(value)).collect(),
            Value::Object(fields) => {
                fields.into_iter().map(|(name, value)| (self.apply(&name), self.of(value))).collect()
            }
            other => other,
        }
    }
}

/// Ids, keys and times of anybody's.
fn loose(text: &str) -> String {
    static VARYING: LazyLock<Option<Regex>> = LazyLock::new(|| {
        // a signature, an event id or key, an object id, an npub, unix seconds from 2017 to 2033
        Regex::new(r"\b(?:[0-9a-f]{128}|[0-9a-f]{64}|[0-9a-f]{40}|npub1[02-9ac-hj-np-z]{58}|1[5-9]\d{8})\b")
            .ok()
    });
    let named = |found: &Captures<'_>| match found[0].len() {
        128 => "<signature>",
        64 => "<id>",
        40 => "<oid>",
        63 => "<npub>",
        _ => "<time>",
    };
    // the pattern is a constant, and a test uses it
    VARYING.as_ref().map_or_else(|| text.to_owned(), |varying| varying.replace_all(text, named).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_varies_gets_a_name() {
        let redaction = Redaction::default()
            .name("127.0.0.1:7334", "<service>")
            .name("audit-x", "<identifier>")
            .name("audit-x-other", "<other>")
            .id(&"ab".repeat(20), "<tip>");
        let said = format!(
            "http://127.0.0.1:7334/audit-x-other/audit-x abababababab {} {}, {} at 1795512600; 160 bytes of deadbeef",
            "ab".repeat(20),
            "0".repeat(64),
            "c".repeat(40)
        );
        assert_eq!(
            redaction.apply(&said),
            "http://<service>/<other>/<identifier> <tip> <tip> <id>, <oid> at <time>; 160 bytes of deadbeef"
        );
        let seen = serde_json::json!({"audit-x": ["audit-x", 1]});
        assert_eq!(redaction.of(seen), serde_json::json!({"<identifier>": ["<identifier>", 1]}));
    }
}
