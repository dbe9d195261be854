//! What the door shows of how the server does: made from what the rooms say of themselves, less what is not for everybody.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use nostr::types::url::Url;
use parking_lot::Mutex;
use tokio::sync::watch;

use crate::git::GitService;
use crate::house::House;
use crate::http::{HuntedView, Overview, PeerEvents, PeerHealth, PeerState, PeerView, SyncView};
use crate::nip34::Coordinate;
use crate::relay::Relay;
use crate::sync::engine::{PeerStatus, ProactiveSync, SyncStatus};
use crate::sync::git_hunter::HuntStatus;
use crate::sync::hunt::QuarryStatus;
use crate::sync::status::{Cause, Health, Link, RelayStatus};
use crate::sync::{Millis, RelayUrl};

use super::figures;

/// Whoever asks, and how often: it is made anew no more often than this.
const MADE_EVERY: Duration = Duration::from_secs(1);

/// What proactive sync says of itself.
#[derive(Debug, Clone)]
pub(super) struct Standing {
    pub(super) sync: watch::Receiver<SyncStatus>,
    pub(super) hunt: watch::Receiver<HuntStatus>,
}

impl Standing {
    pub(super) fn of(sync: &ProactiveSync) -> Self {
        Self { sync: sync.status.clone(), hunt: sync.hunt.clone() }
    }
}

/// The rooms that are looked at.
pub(super) struct Rooms {
    pub(super) house: Arc<House>,
    pub(super) relay: Arc<Relay>,
    pub(super) git: Arc<GitService>,
    /// Nothing: sync is off.
    pub(super) standing: Option<Standing>,
    /// Whether figures are shown.
    pub(super) metrics: bool,
}

pub(super) struct Outlook {
    rooms: Rooms,
    view: Kept<Arc<SyncView>>,
    figures: Kept<Bytes>,
}

impl Outlook {
    pub(super) fn new(rooms: Rooms) -> Self {
        Self { rooms, view: Kept::default(), figures: Kept::default() }
    }

    fn look(&self, standing: &Standing) -> SyncView {
        let house = &self.rooms.house;
        let now = Millis(house.plan.clock.millis());
        let directory = house.directory.read();
        let served = |repository: &Coordinate| {
            directory.standing(repository).is_some_and(|standing| standing.served && standing.hosted)
        };
        let mut view = view(&standing.sync.borrow(), &standing.hunt.borrow(), now, served);
        view.waiting_repositories = directory.waiting();
        view
    }
}

impl Overview for Outlook {
    fn sync(&self) -> Option<Arc<SyncView>> {
        let standing = self.rooms.standing.as_ref()?;
        Some(self.view.get(|| Arc::new(self.look(standing))))
    }

    fn metrics(&self) -> Option<Bytes> {
        let figures = || figures::text(&self.rooms).into();
        self.rooms.metrics.then(|| self.figures.get(figures))
    }
}

/// A value that is made anew when somebody asks and it is too old.
struct Kept<T>(Mutex<Option<(Instant, T)>>);

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T: Clone> Kept<T> {
    fn get(&self, make: impl FnOnce() -> T) -> T {
        let mut kept = self.0.lock();
        if let Some((made, value)) = &*kept
            && made.elapsed() < MADE_EVERY
        {
            return value.clone();
        }
        let value = make();
        *kept = Some((Instant::now(), value.clone()));
        value
    }
}

/// What everybody may know of sync. `served`: whether a repository is served here.
fn view(sync: &SyncStatus, hunt: &HuntStatus, now: Millis, served: impl Fn(&Coordinate) -> bool) -> SyncView {
    let is_listed = |peer: &&PeerStatus| is_listed(&peer.relay);
    let mut peers: Vec<PeerView> =
        sync.peers.iter().filter(is_listed).map(|peer| peer_view(peer, now)).collect();
    peers.sort_by(|one, other| (one.state, &one.relay).cmp(&(other.state, &other.relay)));
    let mut hunted: BTreeMap<&Coordinate, Vec<&QuarryStatus>> = BTreeMap::new();
    for quarry in hunt.quarries.iter().filter(|quarry| served(&quarry.repository)) {
        hunted.entry(&quarry.repository).or_default().push(quarry);
    }
    SyncView {
        now: seconds(now),
        unlisted_peers: sync.peers.len() - peers.len(),
        queued_peers: sync.totals.relays_waiting,
        unlisted_hunted: hunt.quarries.len() - hunted.values().map(Vec::len).sum::<usize>(),
        hunted: hunted.into_iter().map(|(repository, quarries)| hunted_view(repository, &quarries)).collect(),
        fetches: hunt.running,
        peers,
        ..SyncView::default()
    }
}

/// Whether a relay may be named: somebody has published that it is used, or the operator says so.
pub(super) const fn is_listed(relay: &RelayStatus) -> bool {
    relay.announced || relay.bootstrap
}

/// How a relay that may be named is called. What only the operator knows may carry a secret in its path.
pub(super) fn name(relay: &RelayStatus) -> String {
    if relay.announced { relay.relay.to_string() } else { without_path(&relay.relay) }
}

fn without_path(relay: &RelayUrl) -> String {
    let Ok(url) = Url::parse(relay.as_str()) else { return String::new() };
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default())
}

fn peer_view(peer: &PeerStatus, now: Millis) -> PeerView {
    let relay = &peer.relay;
    let (state, since, due) = match relay.link {
        Link::Connected { since } => (PeerState::Connected, Some(since), relay.paused_until),
        Link::Connecting { since } => (PeerState::Connecting, Some(since), None),
        Link::Leaving { since } => (PeerState::Leaving, Some(since), None),
        Link::Waiting { until } => (PeerState::Away, relay.away_since, Some(until)),
    };
    PeerView {
        relay: name(relay),
        bootstrap: relay.bootstrap,
        state,
        since: since.map(seconds),
        health: match relay.health {
            Health::Healthy => PeerHealth::Healthy,
            Health::Degraded => PeerHealth::Degraded,
            Health::Dead => PeerHealth::Dead,
        },
        failures: relay.failures,
        why: why(relay, now),
        next_try: due.filter(|due| *due > now).map(seconds),
        last_event: peer.last_taken,
        wanted: relay.wanted,
        confirmed: relay.confirmed,
        live: relay.live,
        events: PeerEvents {
            taken: peer.taken,
            known: peer.known,
            refused: peer.refused,
            forged: peer.forged,
        },
        reconciles: relay.negentropy,
        next_reconciliation: relay.next_reconciliation.map(seconds),
    }
}

fn why(relay: &RelayStatus, now: Millis) -> Option<&'static str> {
    let cause = relay.cause.map(|cause| match cause {
        Cause::Unreachable => "no connection came about, or it broke off",
        Cause::Forbidden => "it is at an address that this server does not talk to",
        Cause::Refused => "it has refused what it was asked",
        Cause::Unanswered => "it does not answer as it should",
        Cause::Misbehaved => "it sends events with false ids or signatures",
    });
    match relay.link {
        Link::Waiting { .. } => Some(cause.unwrap_or("it has not been tried yet")),
        Link::Connected { .. } if relay.paused_until.is_some_and(|until| until > now) => {
            Some("it has asked for less, and is left in peace for a while")
        }
        Link::Connected { .. } if relay.in_flight > 0 => Some("its history is being fetched"),
        Link::Connected { .. } if relay.failures == 0 => None,
        Link::Connected { .. } | Link::Connecting { .. } => cause,
        Link::Leaving { .. } => Some("no repository needs it any more, or it does not answer as it should"),
    }
}

fn hunted_view(repository: &Coordinate, quarries: &[&QuarryStatus]) -> HuntedView {
    let runs = quarries.iter().any(|quarry| quarry.next.is_none() && quarry.servers > 0);
    let next = quarries.iter().filter_map(|quarry| quarry.next).min();
    let most =
        |of: fn(&QuarryStatus) -> usize| quarries.iter().map(|quarry| of(quarry)).max().unwrap_or_default();
    HuntedView {
        path: repository.url_path(),
        identifier: repository.identifier.as_str().to_owned(),
        events: quarries.len(),
        missing: quarries.iter().map(|quarry| quarry.missing).sum(),
        servers: most(|quarry| quarry.servers),
        attempts: quarries.iter().map(|quarry| quarry.attempts).max().unwrap_or_default(),
        next_try: next.filter(|_| !runs).map(seconds),
    }
}

const fn seconds(at: Millis) -> u64 {
    at.0 / 1_000
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]
    use nostr::event::EventId;

    use super::*;
    use crate::sync::status::Totals;

    const OWNER: &str = "3bf0c63fcb93463407af97a5e5ee64fa883d107ef9e558472c4eb9aaaefa459d";

    /// A relay that cannot be connected to.
    pub(in crate::server) fn relay(url: &str, announced: bool, bootstrap: bool) -> PeerStatus {
        let relay = RelayStatus {
            relay: RelayUrl::parse(url).unwrap(),
            bootstrap,
            announced,
            link: Link::Waiting { until: Millis::from_secs(500) },
            health: Health::Degraded,
            failures: 2,
            last_connected: None,
            away_since: Some(Millis::from_secs(50)),
            paused_until: None,
            trouble: Some("git.internal has the private address 10.0.0.7".to_owned()),
            cause: Some(Cause::Forbidden),
            wanted: 2,
            in_flight: 0,
            confirmed: 0,
            live: 0,
            subscriptions: 0,
            filters: 0,
            negentropy: true,
            next_reconciliation: None,
        };
        PeerStatus { relay, taken: 0, refused: 0, known: 0, forged: 0, last_taken: None, requests: 0 }
    }

    fn quarry(number: u8, identifier: &str) -> QuarryStatus {
        QuarryStatus {
            event: EventId::from_byte_array([number; 32]),
            repository: format!("30617:{OWNER}:{identifier}").parse().unwrap(),
            missing: 2,
            servers: 1,
            attempts: u32::from(number),
            next: Some(Millis::from_secs(200)),
        }
    }

    fn shown(sync: &SyncStatus, hunt: &HuntStatus) -> SyncView {
        view(sync, hunt, Millis::from_secs(100), |repository| repository.identifier.as_str() == "served")
    }

    #[test]
    fn relays_that_only_waiting_announcements_name_are_counted() {
        let peers = vec![
            relay("wss://told.example/a", true, false),
            relay("wss://hush.example", false, false),
            relay("wss://own.example:7777/secret?key=1", false, true),
        ];
        let sync = SyncStatus { peers, totals: Totals::default(), remembered: 0 };
        let view = shown(&sync, &HuntStatus::default());
        let names: Vec<&str> = view.peers.iter().map(|peer| peer.relay.as_str()).collect();
        assert_eq!((names, view.unlisted_peers), (vec!["wss://own.example:7777", "wss://told.example/a"], 1));
    }

    #[test]
    fn a_peer_tells_the_kind_of_trouble_and_no_address() {
        let peers = vec![relay("wss://told.example", true, false)];
        let view = shown(&SyncStatus { peers, ..SyncStatus::default() }, &HuntStatus::default());
        let peer = &view.peers[0];
        assert_eq!((peer.since, peer.next_try, peer.state), (Some(50), Some(500), PeerState::Away));
        assert!(peer.why.unwrap().contains("does not talk to"));
        assert!(!serde_json::to_string(&view).unwrap().contains("10.0.0.7"));
    }

    #[test]
    fn what_is_hunted_is_told_of_served_repositories_only() {
        let quarries = vec![quarry(1, "served"), quarry(2, "served"), quarry(3, "waits")];
        let hunt = HuntStatus { quarries, ..HuntStatus::default() };
        let view = shown(&SyncStatus::default(), &hunt);
        assert_eq!((view.hunted.len(), view.unlisted_hunted), (1, 1));
        let told = &view.hunted[0];
        assert_eq!((told.events, told.missing, told.attempts, told.next_try), (2, 4, 2, Some(200)));
    }
}
