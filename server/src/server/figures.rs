//! How things stand, as figures: read from the rooms when a monitoring system asks, once a second at most.

use std::collections::{BTreeMap, BTreeSet};

use nostr::event::Kind;

use super::overview::{Rooms, Standing, is_listed, name};
use crate::house::House;
use crate::metrics::Gauges;
use crate::nip34::{ANNOUNCEMENT, PULL_REQUEST, PULL_REQUEST_UPDATE, STATE};
use crate::sync::Millis;
use crate::sync::engine::{PeerStatus, SyncStatus};
use crate::sync::git_hunter::HuntStatus;
use crate::sync::status::{Health, Link};

/// Relays that have figures of their own: each is a label, and labels are what monitoring systems pay for.
const NAMED_RELAYS: usize = 100;

/// The kinds of what waits, and what they are called.
const WAITING: [(Kind, &str); 4] = [
    (ANNOUNCEMENT, "announcement"),
    (STATE, "state"),
    (PULL_REQUEST, "pull_request"),
    (PULL_REQUEST_UPDATE, "pull_request_update"),
];

/// Everything, as text.
pub(super) fn text(rooms: &Rooms) -> String {
    let gauges = Gauges::default();
    gauges.family("grasp_info", "The server's version", &["version"]).set(&[env!("CARGO_PKG_VERSION")], 1.0);
    traffic(&gauges, rooms);
    purgatory(&gauges, &rooms.house);
    if let Some(Standing { sync, hunt }) = &rooms.standing {
        relays(&gauges, &sync.borrow());
        hunting(&gauges, &hunt.borrow(), Millis(rooms.house.plan.clock.millis()));
    }
    rooms.house.meters().text() + &gauges.text()
}

fn traffic(gauges: &Gauges, rooms: &Rooms) {
    let Rooms { house, relay, git, .. } = rooms;
    gauges.one("grasp_relay_connections", "Relay connections that are open", count(relay.connections()));
    gauges.one("grasp_relay_subscriptions", "Subscriptions of relay clients", count(relay.subscriptions()));
    gauges.one(
        "grasp_relay_store_calls",
        "Questions that are with the event database",
        count(relay.running_store_calls()),
    );
    let (fetches, pushes) = git.running();
    let running = gauges.family("grasp_git_running", "Fetches and pushes that run", &["kind"]);
    running.set(&["fetch"], count(fetches));
    running.set(&["push"], count(pushes));
    let (hosted, waiting) = {
        let directory = house.directory.read();
        (directory.hosted(), directory.waiting())
    };
    let repositories = gauges.family("grasp_repositories", "Repositories that are hosted", &["state"]);
    repositories.set(&["served"], count(hosted - waiting));
    repositories.set(&["waiting"], count(waiting));
}

fn purgatory(gauges: &Gauges, house: &House) {
    let (now, patience) = (house.now(), house.plan.patience);
    // How many, and when the first of them came.
    let mut of: BTreeMap<Kind, (usize, u64)> = BTreeMap::new();
    let bytes = {
        let purgatory = house.purgatory.lock();
        for waiting in purgatory.iter() {
            let (count, first) = of.entry(waiting.event.kind).or_insert((0, u64::MAX));
            (*count, *first) = (*count + 1, waiting.since.min(*first));
        }
        purgatory.bytes()
    };
    let events = gauges.family("grasp_purgatory_events", "Events that wait for git data", &["kind"]);
    let oldest = gauges.family(
        "grasp_purgatory_oldest_seconds",
        "How long the oldest of these events waits; 0: none waits",
        &["kind"],
    );
    for (kind, name) in WAITING {
        let known = of.get(&kind);
        events.set(&[name], count(known.map_or(0, |(count, _)| *count)));
        oldest.set(&[name], number(known.map_or(0, |(_, first)| now.saturating_sub(*first))));
    }
    gauges.one("grasp_purgatory_bytes", "Memory that waiting events take, about", count(bytes));
    let (uploads, upload_bytes, first) = {
        let unsigned = house.unsigned.lock();
        (unsigned.len(), unsigned.bytes(), unsigned.first_deadline())
    };
    gauges.one("grasp_purgatory_uploads", "Uploads that wait for their event", count(uploads));
    gauges.one("grasp_purgatory_upload_bytes", "Bytes on disk of these uploads", number(upload_bytes));
    gauges.one(
        "grasp_purgatory_oldest_upload_seconds",
        "How long the oldest of these uploads waits; 0: none waits",
        number(first.map_or(0, |first| (now + patience.uploads).saturating_sub(first))),
    );
}

fn relays(gauges: &Gauges, status: &SyncStatus) {
    let totals = &status.totals;
    gauges.one(
        "grasp_sync_repositories",
        "Repositories that sync knows, those that wait included",
        count(totals.repositories),
    );
    gauges.one(
        "grasp_sync_roots",
        "Root events that sync knows, those of repositories that are not here included",
        count(totals.roots),
    );
    gauges.one("grasp_sync_queued_relays", "Relays that wait for room", count(totals.relays_waiting));
    gauges.one(
        "grasp_sync_refused_remembered",
        "Refused events that are remembered",
        count(status.remembered),
    );
    gauges.total(
        "grasp_sync_left_out_total",
        "Repositories, roots and relays that were left out for being too many",
        &[],
        &[(&[], totals.left_out)],
    );
    let by_state =
        gauges.family("grasp_sync_relays", "Relays that are dealt with, by connection", &["state"]);
    for state in ["connected", "connecting", "leaving", "away"] {
        let is = |peer: &&PeerStatus| state_of(peer.relay.link) == state;
        by_state.set(&[state], count(status.peers.iter().filter(is).count()));
    }
    let by_health = gauges.family("grasp_sync_relays_by_health", "The same relays, by health", &["health"]);
    for (health, name) in
        [(Health::Healthy, "healthy"), (Health::Degraded, "degraded"), (Health::Dead, "dead")]
    {
        let of = status.peers.iter().filter(|peer| peer.relay.health == health);
        by_health.set(&[name], count(of.count()));
    }
    let sum = |of: fn(&PeerStatus) -> usize| count(status.peers.iter().map(of).sum());
    gauges.one(
        "grasp_sync_subscriptions",
        "Live subscriptions at other relays",
        sum(|peer| peer.relay.subscriptions),
    );
    gauges.one("grasp_sync_filters", "Filters in these subscriptions", sum(|peer| peer.relay.filters));
    let named = named(&status.peers);
    gauges.one(
        "grasp_sync_unnamed_relays",
        "Relays without figures of their own: too many, or named by waiting announcements only",
        count(status.peers.len() - named.len()),
    );
    each(gauges, &named);
}

/// The relays with figures of their own: the operator's, then those that most is wanted from.
fn named(peers: &[PeerStatus]) -> Vec<&PeerStatus> {
    let mut named: Vec<&PeerStatus> = peers.iter().filter(|peer| is_listed(&peer.relay)).collect();
    named.sort_by_key(|peer| (!peer.relay.bootstrap, std::cmp::Reverse(peer.relay.wanted)));
    named.truncate(NAMED_RELAYS);
    named
}

/// What each is called. Without their paths, several of the operator's may have one name: then they are numbered.
fn names(peers: &[&PeerStatus]) -> Vec<String> {
    let plain: Vec<String> = peers.iter().map(|peer| name(&peer.relay)).collect();
    let url = |peer: &PeerStatus| peer.relay.relay.as_str().to_owned();
    let all: BTreeSet<(&String, String)> = plain.iter().zip(peers.iter().map(|peer| url(peer))).collect();
    let numbered = plain.iter().zip(peers).map(|(name, peer)| {
        let before = all.range((name, String::new())..(name, url(peer))).count();
        if before == 0 { name.clone() } else { format!("{name} ({})", before + 1) }
    });
    numbered.collect()
}

fn each(gauges: &Gauges, peers: &[&PeerStatus]) {
    let of = |name: &str, help: &str| gauges.family(name, help, &["relay"]);
    let connected = of("grasp_sync_relay_connected", "1: the relay is connected");
    let health = of("grasp_sync_relay_health", "0: healthy, 1: degraded, 2: dead");
    let failures = of("grasp_sync_relay_failures", "Failures in a row");
    let subscriptions = of("grasp_sync_relay_subscriptions", "Live subscriptions at the relay");
    let filters = of("grasp_sync_relay_filters", "Filters in these subscriptions");
    let last =
        of("grasp_sync_relay_last_event_timestamp_seconds", "When its last event was taken in; 0: never");
    let items = gauges.family(
        "grasp_sync_relay_items",
        "What is wanted from the relay, and how much of it is fetched, here, and followed",
        &["relay", "state"],
    );
    let names = names(peers);
    let mut events: Vec<([&str; 2], u64)> = Vec::new();
    let mut requests: Vec<([&str; 1], u64)> = Vec::new();
    for (peer, name) in peers.iter().zip(&names) {
        let (name, relay) = (name.as_str(), &peer.relay);
        connected.set(&[name], f64::from(u8::from(matches!(relay.link, Link::Connected { .. }))));
        health.set(
            &[name],
            match relay.health {
                Health::Healthy => 0.0,
                Health::Degraded => 1.0,
                Health::Dead => 2.0,
            },
        );
        failures.set(&[name], f64::from(relay.failures));
        subscriptions.set(&[name], count(relay.subscriptions));
        filters.set(&[name], count(relay.filters));
        last.set(&[name], number(peer.last_taken.unwrap_or_default()));
        for (state, value) in [
            ("wanted", relay.wanted),
            ("in_flight", relay.in_flight),
            ("confirmed", relay.confirmed),
            ("live", relay.live),
        ] {
            items.set(&[name, state], count(value));
        }
        let outcomes = [
            ("taken", peer.taken),
            ("known", peer.known),
            ("refused", peer.refused),
            ("forged", peer.forged),
        ];
        events.extend(outcomes.map(|(outcome, value)| ([name, outcome], value)));
        requests.push(([name], peer.requests));
    }
    let events: Vec<(&[&str], u64)> = events.iter().map(|(labels, value)| (&labels[..], *value)).collect();
    let requests: Vec<(&[&str], u64)> =
        requests.iter().map(|(labels, value)| (&labels[..], *value)).collect();
    gauges.total(
        "grasp_sync_relay_events_total",
        "Events that the relay has sent, by what became of them",
        &["relay", "outcome"],
        &events,
    );
    gauges.total(
        "grasp_sync_relay_requests_total",
        "Requests that were sent to the relay",
        &["relay"],
        &requests,
    );
}

const fn state_of(link: Link) -> &'static str {
    match link {
        Link::Waiting { .. } => "away",
        Link::Connecting { .. } => "connecting",
        Link::Connected { .. } => "connected",
        Link::Leaving { .. } => "leaving",
    }
}

fn hunting(gauges: &Gauges, status: &HuntStatus, now: Millis) {
    let events = gauges.family(
        "grasp_hunt_events",
        "Waiting events whose git data is looked for, by what is done",
        &["state"],
    );
    let (mut fetching, mut nowhere, mut back_off, mut wanted) = (0, 0, 0, 0);
    for quarry in &status.quarries {
        *match quarry.next {
            _ if quarry.servers == 0 => &mut nowhere,
            None => &mut fetching,
            Some(next) if quarry.attempts > 0 && next > now => &mut back_off,
            Some(_) => &mut wanted,
        } += 1;
    }
    for (state, value) in
        [("wanted", wanted), ("fetching", fetching), ("back_off", back_off), ("nowhere", nowhere)]
    {
        events.set(&[state], count(value));
    }
    let missing = status.quarries.iter().map(|quarry| quarry.missing).sum();
    gauges.one(
        "grasp_hunt_missing_objects",
        "Objects that these events name and that are not here",
        count(missing),
    );
    gauges.one("grasp_hunt_running_fetches", "Fetches from other servers that run", count(status.running));
    gauges.total("grasp_hunt_fetches_total", "Fetches from other servers", &[], &[(&[], status.fetches)]);
    gauges.total(
        "grasp_hunt_useful_fetches_total",
        "Fetches from other servers that have brought something",
        &[],
        &[(&[], status.useful)],
    );
    gauges.total(
        "grasp_hunt_completed_events_total",
        "Waiting events that were completed by what was fetched",
        &[],
        &[(&[], status.completed)],
    );
}

#[allow(clippy::cast_precision_loss)] // far below 2^53
const fn count(of: usize) -> f64 {
    of as f64
}

#[allow(clippy::cast_precision_loss)] // far below 2^53
const fn number(of: u64) -> f64 {
    of as f64
}

#[cfg(test)]
mod tests {
    use super::super::overview::tests::relay;
    use super::*;

    #[test]
    fn a_hundred_relays_are_named_the_operators_first_and_none_that_only_waits() {
        let announced = (0..150_usize).map(|number| {
            let mut peer = relay(&format!("wss://relay-{number}.example"), true, false);
            peer.relay.wanted = number;
            peer
        });
        let own = relay("wss://own.example", false, true);
        let hush = relay("wss://hush.example", false, false);
        let peers: Vec<PeerStatus> = announced.chain([own, hush]).collect();
        let gauges = Gauges::default();
        relays(&gauges, &SyncStatus { peers, ..SyncStatus::default() });
        let text = gauges.text();
        let named: Vec<&str> =
            text.lines().filter(|line| line.starts_with("grasp_sync_relay_connected{")).collect();
        assert_eq!(named.len(), NAMED_RELAYS);
        let has = |name: &str| named.iter().any(|line| line.contains(&format!("\"wss://{name}.example\"")));
        assert!(has("own") && has("relay-149") && has("relay-51"), "{named:?}");
        assert!(!has("relay-50") && !text.contains("hush"), "{text}");
        assert!(text.contains("grasp_sync_unnamed_relays 52\n"), "{text}");
    }

    #[test]
    fn two_of_the_operators_relays_on_one_host_have_figures_of_their_own() {
        let mut peers = ["one", "two"].map(|path| relay(&format!("wss://own.example/{path}"), false, true));
        peers[1].relay.failures = 7;
        let gauges = Gauges::default();
        relays(&gauges, &SyncStatus { peers: peers.into(), ..SyncStatus::default() });
        let text = gauges.text();
        assert!(text.contains("grasp_sync_relay_failures{relay=\"wss://own.example\"} 2\n"), "{text}");
        assert!(text.contains("grasp_sync_relay_failures{relay=\"wss://own.example (2)\"} 7\n"), "{text}");
        assert!(!text.contains("/one") && !text.contains("/two"), "a path may be a secret: {text}");
    }
}
