//! The relay information document (NIP-11, GRASP-01): who we are, what we take, and every limit that is enforced.

use nostr::key::PublicKey;
use serde_json::{Map, Value, json};

use super::limits::Limits;

/// The NIPs that are supported.
pub const SUPPORTED_NIPS: [u16; 10] = [1, 9, 11, 34, 40, 42, 45, 62, 70, 77];

/// How far ahead of the clock an event may be dated, in seconds; the intake enforces it.
pub use crate::intake::funnel::MAX_FUTURE_SECONDS as CREATED_AT_UPPER_LIMIT;

/// What the operator says about the service.
#[derive(Debug, Clone)]
pub struct Description {
    /// Name of the service.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The operator's key.
    pub owner: Option<PublicKey>,
    /// URL of a picture.
    pub icon: Option<String>,
    /// Which repositories are taken (`repo_acceptance_criteria`).
    pub acceptance: String,
    /// How events are curated beyond spam prevention; absent when they are not.
    pub curation: Option<String>,
    /// The GRASPs that are supported, like `GRASP-01`.
    pub grasps: Vec<String>,
    /// Where the software comes from.
    pub software: String,
    /// Version of the software.
    pub version: String,
}

impl Default for Description {
    fn default() -> Self {
        Self {
            name: "GRASP server".to_owned(),
            description: "Git repositories, announced and stated with Nostr events".to_owned(),
            owner: None,
            icon: None,
            acceptance: "Any repository whose announcement lists this service in `clone` and `relays`."
                .to_owned(),
            curation: None,
            grasps: vec!["GRASP-01".to_owned()],
            software: env!("CARGO_PKG_NAME").to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
        }
    }
}

/// The document, for `Accept: application/nostr+json`.
#[must_use]
pub fn document(about: &Description, limits: &Limits) -> Value {
    let mut document = Map::new();
    let mut set = |name: &str, value: Value| document.insert(name.to_owned(), value);
    set("name", json!(about.name));
    set("description", json!(about.description));
    if let Some(owner) = &about.owner {
        set("pubkey", json!(owner));
    }
    if let Some(icon) = &about.icon {
        set("icon", json!(icon));
    }
    set("supported_nips", json!(SUPPORTED_NIPS));
    set("software", json!(about.software));
    set("version", json!(about.version));
    set("supported_grasps", json!(about.grasps));
    set("repo_acceptance_criteria", json!(about.acceptance));
    if let Some(curation) = &about.curation {
        set("curation", json!(curation));
    }
    set("limitation", limitation(limits));
    Value::Object(document)
}

/// The standard fields first, then those that NIP-11 has no name for.
fn limitation(limits: &Limits) -> Value {
    let mut limitation = json!({
        "max_message_length": limits.max_message_length,
        "max_subscriptions": limits.max_subscriptions,
        "max_filters": limits.max_filters,
        "max_subid_length": limits.max_subid_length,
        "max_limit": limits.max_limit,
        "default_limit": limits.default_limit,
        "auth_required": false,
        "payment_required": false,
        "restricted_writes": true,
        "created_at_upper_limit": CREATED_AT_UPPER_LIMIT,
        "max_filter_values": limits.max_filter_values,
        "max_results": limits.max_results,
        "max_count": limits.max_count,
        "max_connections": limits.max_connections,
        "max_connections_per_address": limits.max_connections_per_address,
        "max_authenticated_keys": limits.max_authenticated_keys,
        "max_neg_sessions": limits.max_neg_sessions,
        "max_neg_records": limits.max_neg_records,
        "max_waiting_live_events": limits.queue_live_events,
        "max_waiting_live_bytes": limits.queue_live_bytes,
        "idle_ping_seconds": limits.idle_ping.as_secs(),
        "pong_timeout_seconds": limits.pong_timeout.as_secs(),
        "write_timeout_seconds": limits.write_timeout.as_secs(),
        "neg_idle_seconds": limits.neg_idle.as_secs(),
    });
    let rates = [
        ("events_per_minute", limits.events_per_minute),
        ("events_per_minute_per_address", limits.events_per_minute_per_address),
        ("queries_per_minute", limits.queries_per_minute),
        ("queries_per_minute_per_address", limits.queries_per_minute_per_address),
    ];
    for (name, rate) in rates.into_iter().filter(|(_, rate)| *rate > 0) {
        limitation[name] = json!(rate);
    }
    limitation
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_document_says_what_grasp_asks_for() {
        let document = document(&Description::default(), &Limits::default());
        assert_eq!(document["supported_grasps"], json!(["GRASP-01"]));
        assert_eq!(document["supported_nips"], json!([1, 9, 11, 34, 40, 42, 45, 62, 70, 77]));
        assert!(document["repo_acceptance_criteria"].is_string());
        assert_eq!(document.get("curation"), None);
        assert_eq!(document["limitation"]["max_limit"], 5_000);
        assert_eq!(document["limitation"]["created_at_upper_limit"], 900);
    }

    #[test]
    fn what_is_not_enforced_is_not_stated() {
        let limits = Limits { events_per_minute: 0, ..Limits::default() };
        let about = Description { curation: Some("no pictures".to_owned()), ..Description::default() };
        let document = document(&about, &limits);
        assert_eq!(document["limitation"].get("events_per_minute"), None);
        assert_eq!(document["limitation"]["queries_per_minute"], 12_000);
        assert_eq!(document["curation"], "no pictures");
    }
}
