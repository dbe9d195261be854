//! The requirements a GRASP server is held to: one table, one row each, in the order of the specification.
//!
//! The identifier of a row is the key that checks, reports and tests use. The texts are our own restatement of
//! the protocol; wire constants are quoted exactly. A unit test holds identifiers and levels against a list,
//! so that no row changes in silence.

use serde::{Deserialize, Serialize};

/// Which reading of the protocol the table holds; changes whenever a row does.
pub const REVISION: &str = "2026-09";

/// How binding a requirement is (RFC 2119; `seed`: the seed documents of the project).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Level {
    /// An absolute requirement.
    #[serde(rename = "MUST")]
    Must,
    /// To be done unless there is a good reason not to.
    #[serde(rename = "SHOULD")]
    Should,
    /// Truly optional.
    #[serde(rename = "MAY")]
    May,
    /// Asked for by the seed documents, not by the protocol.
    #[serde(rename = "seed")]
    Seed,
}

impl std::fmt::Display for Level {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Must => "MUST",
            Self::Should => "SHOULD",
            Self::May => "MAY",
            Self::Seed => "seed",
        })
    }
}

/// One row of the catalogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Requirement {
    /// `G01/cors/origin`.
    pub id: &'static str,
    /// How binding it is.
    pub level: Level,
    /// What it asks for, in our own words.
    pub text: &'static str,
}

impl Requirement {
    /// The section: the identifier without its last part, `G01/cors`.
    #[must_use]
    pub fn section(&self) -> &'static str {
        section_of(self.id)
    }
}

/// The section of a requirement's identifier: all but its last part, `G01/cors` of `G01/cors/origin`.
#[must_use]
pub fn section_of(requirement: &str) -> &str {
    requirement.rsplit_once('/').map_or(requirement, |(section, _)| section)
}

/// The heading of a section, `Core service: CORS` for `G01/cors`.
#[must_use]
pub fn heading(section: &str) -> &'static str {
    match section {
        "G01/relay" => "Core service: relay",
        "G01/purgatory" => "Core service: purgatory",
        "G01/nip11" => "Core service: relay information document",
        "G01/git" => "Core service: git over smart HTTP",
        "G01/cors" => "Core service: CORS on every response",
        "G02/events" => "Proactive sync: events",
        "G02/git" => "Proactive sync: git data",
        "G02/sync" => "Proactive sync: behaviour",
        "G05" => "Archive",
        "G06" => "Contributor pull requests",
        _ => "Other",
    }
}

/// The row with this identifier.
#[must_use]
pub fn requirement(id: &str) -> Option<&'static Requirement> {
    REQUIREMENTS.iter().find(|requirement| requirement.id == id)
}

/// Why no check examines the row with this identifier, where that is so.
#[must_use]
pub fn why_unexamined(id: &str) -> Option<&'static str> {
    (id == "G02/sync/daily").then_some("it takes a day to see that it is done, and two to see that it is not")
}

/// Every row, in the order of the specification.
pub const REQUIREMENTS: &[Requirement] = &[
    row(
        "G01/relay/nip01",
        Level::Must,
        "At /, a WebSocket upgrade reaches a NIP-01 relay: EVENT→OK, REQ→EVENT…EOSE then live, CLOSE, CLOSED, NOTICE; ids and signatures verified; replaceable and addressable rules; ties by lowest id",
    ),
    row("G01/relay/accepts-repository-events", Level::Must, "It takes announcements and their states"),
    row(
        "G01/relay/rejects-unlisted",
        Level::Must,
        "An announcement that does not list the service is refused, unless GRASP-05 covers it or the co-maintainer rule of the decision table does",
    ),
    row(
        "G01/relay/accepts-related",
        Level::Must,
        "Any event that tags, or is tagged by, an accepted announcement, or an accepted issue, patch or PR (or an event already accepted that way) is taken. Tags looked at: a,A,q for coordinates; e,E,q for events, in both directions (a note that an accepted issue quotes is taken when it is published later; a comment on a comment is taken). A kind 5 opens no door for what it names",
    ),
    row(
        "G01/relay/rejects-unrelated",
        Level::Should,
        "An event with no such relation is refused with a reason, so the relay is no free general store. Exceptions that clients need: kinds 0, 10002, 10317 of pubkeys that are known here (owners, maintainers, root authors), and kind 5 by an author about its own events",
    ),
    row(
        "G01/relay/deletion",
        Level::Should,
        "NIP-09, for events that are served or waiting: see the decision table. What was deleted is refused when it is published again",
    ),
    row(
        "G01/relay/curation",
        Level::May,
        "Refuse or delete for spam or curation (allow lists, block lists, quotas, proof of work)",
    ),
    row(
        "G01/purgatory/ok-message",
        Level::Should,
        "A new announcement, state, PR or PR update whose git data is not here is answered OK true with a message beginning purgatory: won't be served until git data arrives",
    ),
    row(
        "G01/purgatory/not-served",
        Level::Should,
        "It appears in no REQ, COUNT, NEG or live subscription until released",
    ),
    row(
        "G01/purgatory/released",
        Level::Should,
        "It is served, live subscribers included, as soon as the git data is here, whichever of the two came first",
    ),
    row(
        "G01/purgatory/nothing-to-wait-for",
        Level::Must,
        "A state or PR whose objects are all here already does not wait: it is promoted on arrival (a branch deleted, HEAD moved, a rollback, a tip that came with another owner's push), refs and HEAD included",
    ),
    row(
        "G01/purgatory/withdrawn",
        Level::Should,
        "A kind 5 by its author, by event id or by coordinate, removes a waiting event; a replacement takes the waiting one's place",
    ),
    row(
        "G01/purgatory/expires",
        Level::Should,
        "It is dropped 30 minutes after arrival (an announcement's clock restarts when a state for it, a push to it or a replacement arrives). An announcement's empty repository goes with it. A running push or fetch for it holds the clock. So that sync does not bring it back again and again, an expired id is remembered for 24 h, for synced copies only: a person who publishes it again starts anew",
    ),
    row(
        "G01/nip11/document",
        Level::Must,
        "GET / with Accept: application/nostr+json yields the NIP-11 document, CORS headers included",
    ),
    row("G01/nip11/supported-grasps", Level::Must, "supported_grasps: string array, GRASP-XX each"),
    row("G01/nip11/acceptance", Level::Must, "repo_acceptance_criteria: a human-readable string"),
    row(
        "G01/nip11/curation",
        Level::Must,
        "curation: a summary if events are curated beyond spam prevention, absent otherwise",
    ),
    row(
        "G01/nip11/limits",
        Level::Should,
        "limitation states every limit that is enforced (max_message_length, max_subscriptions, max_limit, default_limit, …) and nothing that is not",
    ),
    row(
        "G01/git/serves",
        Level::Must,
        "The (empty) repository exists before an announcement is answered OK. Unauthenticated smart HTTP at /<npub>/<percent-encoded identifier>.git for every announcement that is served or in purgatory; protocol v0/v1 and v2; shallow and partial clones",
    ),
    row(
        "G01/git/push-aligned",
        Level::Must,
        "A push is accepted when, together with what is there, it makes the repository's heads and tags exactly those of a state that waits in purgatory (or is served) and is authorised for this owner and identifier; recursive maintainers respected; an older state than the served one authorises nothing",
    ),
    row(
        "G01/git/push-unauthorised",
        Level::Must,
        "Any other push changes nothing, and the person sees why in their terminal (per ref, by the git protocol, not a bare HTTP error)",
    ),
    row(
        "G01/git/release",
        Level::Must,
        "When a push has succeeded, before the client is told so: the state and its announcement leave purgatory, HEAD is aligned, and every other repository here for which that state is authoritative gets the same refs",
    ),
    row(
        "G01/git/nostr-refs",
        Level::Must,
        "refs/nostr/<event-id> (64 hex) is accepted from anybody, before or after the event. SHOULD be refused when the event is known and names another tip; when the event arrives later and names another tip, the ref goes. Without an accepted PR or PR update whose c matches within 20 minutes the ref and its objects are removed",
    ),
    row(
        "G01/git/wants",
        Level::Must,
        "The v0/v1 advertisement includes allow-reachable-sha1-in-want, allow-tip-sha1-in-want and filter; v2 offers fetch with filter; blob:none, tree:0 and wants of available objects by id are served",
    ),
    row(
        "G01/git/web",
        Level::Should,
        "A browser that opens the repository URL gets a page that leads to git nostr clients; for a repository that is not hosted, a 404 page",
    ),
    row("G01/cors/origin", Level::Must, "Access-Control-Allow-Origin: *"),
    row("G01/cors/methods", Level::Must, "Access-Control-Allow-Methods contains GET, POST"),
    row(
        "G01/cors/headers",
        Level::Must,
        "Access-Control-Allow-Headers contains Content-Type; browsers' git clients also send Git-Protocol, Authorization, Accept, Content-Encoding, X-Requested-With, and need them allowed",
    ),
    row("G01/cors/options", Level::Must, "OPTIONS anywhere → 204"),
    row(
        "G02/events/historic",
        Level::Must,
        "For each accepted announcement, the events it covers that exist on the other relays of its relays tag are fetched: announcements and states of the identifier, events that tag the repository (a,A,q), events that tag its root events (e,E,q)",
    ),
    row(
        "G02/events/live",
        Level::Must,
        "New ones arrive while the other relay is connected, without polling",
    ),
    row(
        "G02/events/discovery",
        Level::Must,
        "A relay that only a synced announcement names is found and used; announcements on connected relays that list this service are taken",
    ),
    row(
        "G02/events/admission",
        Level::Must,
        "A synced event passes the very rules of a published one, signature included; a peer is never trusted",
    ),
    row(
        "G02/git/state",
        Level::Must,
        "Git data that a waiting state names is fetched from the announcement's other clone servers: at once when the event came by sync, and no less often than every hour while it is missing; then released as after a push",
    ),
    row(
        "G02/git/pr",
        Level::Must,
        "The same for PRs and PR updates (their own clone tags too), served at refs/nostr/<event-id>",
    ),
    row(
        "G02/sync/reconnect",
        Level::Seed,
        "Disconnected < 15 minutes: confirmed state is kept and only what is new since (last connection − 15 min) is asked for; longer, or never connected: full history",
    ),
    row("G02/sync/daily", Level::Seed, "A full reconciliation per relay every 23 to 25 hours, randomised"),
    row(
        "G02/sync/health",
        Level::Seed,
        "Healthy, degraded, dead. Back-off 5 s · 2^(failures−1), capped at one hour; after 24 h of failures a relay is dead and tried once a day; a rate-limit notice pauses it (65 s), which is not a failure",
    ),
    row(
        "G02/sync/consolidation",
        Level::Seed,
        "Subscriptions per relay stay bounded: past 70 filters they are consolidated, after in-flight batches have ended or 30 s; 100 coordinates or ids at most in a filter",
    ),
    row(
        "G02/sync/retire",
        Level::Seed,
        "A relay that no repository needs is disconnected (checked every 60 s); bootstrap relays never",
    ),
    row(
        "G02/sync/negentropy",
        Level::Should,
        "History goes by NIP-77 where the peer speaks it, and by REQ + EOSE with until pages where it does not; our own relay answers NEG-OPEN",
    ),
    row(
        "G05/accept",
        Level::May,
        "Announcements that do not list the service are taken, by rule (<npub>, <npub>/<identifier>, <identifier>, all, or a set of other GRASP services)",
    ),
    row(
        "G05/sync",
        Level::Must,
        "GRASP-02 holds for them; by default they are read-only here, and NIP-11's curation says so",
    ),
    row("G06/advertised", Level::Must, "NIP-11 lists GRASP-06 exactly when it is on; off, /prs/… is 404"),
    row(
        "G06/empty",
        Level::Must,
        "upload-pack on any well-formed /prs/<npub>/<identifier>.git answers as an empty repository, without creating anything on disk",
    ),
    row(
        "G06/push",
        Level::Must,
        "Pushes to refs/nostr/<event-id> are accepted there, any other ref is refused; signer, identifier and tip are held against the event as soon as both are known",
    ),
    row(
        "G06/events",
        Level::Must,
        "A PR or PR update with an a tag for some repository and a clone tag naming this service's /prs/<signer-npub>/<identifier>.git is taken even when the repository is not hosted here; only then",
    ),
    row(
        "G06/mirror",
        Level::Must,
        "On release the ref also appears in the hosted repositories that the event's a tags name; never the other way",
    ),
    row("G06/clean", Level::Should, "A /prs/ repository that ends with no ref is removed"),
];

const fn row(id: &'static str, level: Level, text: &'static str) -> Requirement {
    Requirement { id, level, text }
}

#[cfg(test)]
mod tests {
    use super::*;

    const EXPECTED: &[(&str, &str)] = &[
        ("G01/relay/nip01", "MUST"),
        ("G01/relay/accepts-repository-events", "MUST"),
        ("G01/relay/rejects-unlisted", "MUST"),
        ("G01/relay/accepts-related", "MUST"),
        ("G01/relay/rejects-unrelated", "SHOULD"),
        ("G01/relay/deletion", "SHOULD"),
        ("G01/relay/curation", "MAY"),
        ("G01/purgatory/ok-message", "SHOULD"),
        ("G01/purgatory/not-served", "SHOULD"),
        ("G01/purgatory/released", "SHOULD"),
        ("G01/purgatory/nothing-to-wait-for", "MUST"),
        ("G01/purgatory/withdrawn", "SHOULD"),
        ("G01/purgatory/expires", "SHOULD"),
        ("G01/nip11/document", "MUST"),
        ("G01/nip11/supported-grasps", "MUST"),
        ("G01/nip11/acceptance", "MUST"),
        ("G01/nip11/curation", "MUST"),
        ("G01/nip11/limits", "SHOULD"),
        ("G01/git/serves", "MUST"),
        ("G01/git/push-aligned", "MUST"),
        ("G01/git/push-unauthorised", "MUST"),
        ("G01/git/release", "MUST"),
        ("G01/git/nostr-refs", "MUST"),
        ("G01/git/wants", "MUST"),
        ("G01/git/web", "SHOULD"),
        ("G01/cors/origin", "MUST"),
        ("G01/cors/methods", "MUST"),
        ("G01/cors/headers", "MUST"),
        ("G01/cors/options", "MUST"),
        ("G02/events/historic", "MUST"),
        ("G02/events/live", "MUST"),
        ("G02/events/discovery", "MUST"),
        ("G02/events/admission", "MUST"),
        ("G02/git/state", "MUST"),
        ("G02/git/pr", "MUST"),
        ("G02/sync/reconnect", "seed"),
        ("G02/sync/daily", "seed"),
        ("G02/sync/health", "seed"),
        ("G02/sync/consolidation", "seed"),
        ("G02/sync/retire", "seed"),
        ("G02/sync/negentropy", "SHOULD"),
        ("G05/accept", "MAY"),
        ("G05/sync", "MUST"),
        ("G06/advertised", "MUST"),
        ("G06/empty", "MUST"),
        ("G06/push", "MUST"),
        ("G06/events", "MUST"),
        ("G06/mirror", "MUST"),
        ("G06/clean", "SHOULD"),
    ];

    #[test]
    fn rows_are_those_of_the_specification() {
        let rows: Vec<(&str, String)> =
            REQUIREMENTS.iter().map(|row| (row.id, row.level.to_string())).collect();
        let expected: Vec<(&str, String)> =
            EXPECTED.iter().map(|(id, level)| (*id, (*level).to_owned())).collect();
        assert_eq!(rows, expected);
    }

    #[test]
    fn every_section_has_a_heading() {
        for row in REQUIREMENTS {
            assert_ne!(heading(row.section()), "Other", "{}", row.id);
        }
    }
}
