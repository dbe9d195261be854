//! Plays a history and judges how it ends.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use nostr::event::{Event, EventId, Kind};

use super::breakage::Breakage;
use super::house::Refs;
use super::scenario::{Character, Role, START, Scenario, name_of};
use super::world::{Complaint, World};
use crate::admission::related::Relations;
use crate::nip34::{ANNOUNCEMENT, Coordinate, Oid, STATE};
use crate::sync::status::{Health, Link};
use crate::sync::{Item, Millis, RelayUrl};

/// Moments after the storm, in minutes, at which it is asked whether everybody agrees; at the last of them they have to.
///
/// Most do at once, and all within [`SOON`], unless there is a reason: what has waited in vain counts as had for a day, and
/// the reconciliation that fetches it again may be another day away.
const ASKED: [u64; 7] = [2, 15, 90, 8 * 60, 27 * 60, 54 * 60, 80 * 60];

/// The moment at which everybody agrees, if nothing excuses them.
const SOON: usize = 3;

/// How a history has ended.
#[derive(Debug, Clone, Default)]
pub(super) struct Outcome {
    pub(super) complaint: Option<Complaint>,
    /// At which of the moments everybody agreed.
    pub(super) agreed: usize,
    pub(super) servers: usize,
    /// Repositories that two servers or more have in common, and serve.
    pub(super) shared: usize,
    /// Refs that were compared.
    pub(super) refs: usize,
    /// Events that were compared.
    pub(super) events: usize,
    pub(super) happenings: u64,
    pub(super) requests: u64,
    pub(super) most_questions: usize,
    pub(super) most_attempts: usize,
    pub(super) log: Vec<String>,
}

/// Plays a history.
pub(super) fn play(scenario: &Arc<Scenario>, breakage: Option<Breakage>, with_log: bool) -> Outcome {
    let mut world = World::new(Arc::clone(scenario), breakage, with_log);
    let played = catch_unwind(AssertUnwindSafe(|| world.play()));
    let agreed = played.unwrap_or_else(|panic| {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        world.complain("nothing panics", text.unwrap_or_default());
        0
    });
    let mut outcome = Outcome { agreed, ..world.sum_up() };
    outcome.log = world.log.unwrap_or_default();
    outcome
}

/// What a server shows of a repository.
#[derive(Debug, PartialEq, Eq)]
struct View {
    refs: Refs,
    events: BTreeSet<EventId>,
}

impl World {
    fn play(&mut self) -> usize {
        let end = Millis::from_secs(START) + self.scenario.storm;
        self.run_until(end);
        self.look();
        self.calm_down();
        let mut apart = None;
        for (n, minutes) in ASKED.iter().enumerate() {
            self.run_until(end + Duration::from_secs(minutes * 60));
            self.look();
            if self.complaint.is_some() {
                return n;
            }
            apart = self.apart();
            if apart.is_none() {
                return n;
            }
            if n >= SOON && !self.is_excused() {
                break;
            }
        }
        if let Some(Complaint { rule, how }) = apart {
            self.complain(rule, how);
        }
        ASKED.len()
    }

    fn servers(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.nodes.len()).filter(|node| self.scenario.cast[*node].is_server())
    }

    /// What has to hold at any moment.
    fn look(&mut self) {
        for node in self.servers().collect::<Vec<_>>() {
            if let Some(fault) = self.nodes[node].house.fault() {
                self.complain("what is served is true and complete", format!("{node}: {fault}"));
            }
            let Some(server) = &self.nodes[node].server else { continue };
            if let Some(relay) = server.watch.neglected(&server.planner, self.now) {
                self.complain("who is not there is tried every day", format!("{node} does not try {relay}"));
            }
        }
    }

    /// Whether it may take days until all agree: something has waited in vain, or a memory of refused events has overflown.
    fn is_excused(&self) -> bool {
        let forgets = |node: usize| match &self.scenario.cast[node].role {
            Role::Server(setup) => setup.forgetful,
            Role::Other(_) => false,
        };
        self.servers().any(|node| forgets(node) || self.nodes[node].house.has_lost_patience())
    }

    /// In what the servers are apart.
    fn apart(&self) -> Option<Complaint> {
        let complaint = |rule, how| Some(Complaint { rule, how });
        for node in self.servers() {
            if let Some(how) = self.lacks(node) {
                return complaint("what others serve and it would take is here", how);
            }
            if let Some(how) = self.waits_for_what_is_there(node) {
                return complaint("what waits is fetched from whoever has it", how);
            }
            let planner = self.nodes[node].server.as_ref().map(|server| &server.planner);
            if let Some(how) = self.has_to_do(node) {
                return complaint("everything that is wanted of an honest relay is confirmed", how);
            }
            let needless = planner.and_then(|planner| planner.relays().find(|status| status.wanted == 0));
            if let Some(status) = needless {
                return complaint("who is needed no more is left", format!("{node} keeps {}", status.relay));
            }
        }
        self.disagreement().and_then(|how| complaint("who shares a repository agrees about it", how))
    }

    /// Those who answer as they should.
    fn honest(&self, url: &RelayUrl) -> Option<usize> {
        let node = *self.by_url.get(url)?;
        let honest = match self.scenario.cast[node].role {
            Role::Server(_) => true,
            Role::Other(character) => character == Character::Archive,
        };
        honest.then_some(node)
    }

    /// A relay that answers as it should, and of which not everything is confirmed.
    fn has_to_do(&self, node: usize) -> Option<String> {
        let server = self.nodes[node].server.as_ref()?;
        let honest = server.planner.relays().filter(|status| self.honest(&status.relay).is_some());
        let mut behind = honest.filter(|status| {
            !matches!(status.link, Link::Connected { .. })
                || status.confirmed < status.wanted
                || status.health != Health::Healthy
        });
        behind.next().map(|status| format!("{node}: {status:?}"))
    }

    /// An event that another one serves, that is asked for there, and that this one would take.
    fn lacks(&self, node: usize) -> Option<String> {
        let (house, server) = (&self.nodes[node].house, self.nodes[node].server.as_ref()?);
        for status in server.planner.relays().filter(|status| status.wanted > 0) {
            let Some(other) = self.honest(&status.relay) else { continue };
            let wanted: HashSet<&Item> = server.planner.wants().target(&status.relay).collect();
            let theirs: Vec<&Arc<Event>> = match self.scenario.cast[other].role {
                Role::Server(_) => self.nodes[other].house.served.values().collect(),
                Role::Other(_) => self.nodes[other].lore.iter().collect(),
            };
            for event in theirs {
                if house.served.contains_key(&event.id) || !covers(&wanted, event) {
                    continue;
                }
                // What waits for data that only an archive has heard of may wait in vain, and again.
                let waits = !crate::purgatory::identifiers(event).is_empty();
                if waits && !self.scenario.cast[other].is_server() {
                    continue;
                }
                if matches!(house.judge(event, true, self.seconds()), Some(Ok(()))) {
                    return Some(format!("{node} lacks {}, which {other} serves", name_of(event)));
                }
            }
        }
        None
    }

    /// An event that waits for objects which a server has that it may ask for them.
    fn waits_for_what_is_there(&self, node: usize) -> Option<String> {
        for waiting in self.nodes[node].house.purgatory.iter() {
            let Some(quarry) = self.quarry(node, &waiting.event.id) else { continue };
            let missing: BTreeSet<Oid> = quarry.missing.iter().map(|(oid, _)| *oid).collect();
            for url in &quarry.servers {
                let mut parts = url.rsplit('/');
                let (Some(name), Some(npub)) = (parts.next(), parts.next()) else { continue };
                let Some(repository) = Coordinate::from_path(npub, name) else { continue };
                let host = |other: &usize| self.nodes[*other].house.service.is_host_of(url);
                let Some(other) = self.servers().find(host) else { continue };
                let here = self.nodes[other].house.serves_objects(&repository, &missing);
                if other != node && here.is_some_and(|here| !here.is_empty()) {
                    return Some(format!("{node}: {} waits for what {other} has", name_of(&waiting.event)));
                }
            }
        }
        None
    }

    /// Events that were deleted, or name what was.
    fn deleted(&self) -> HashSet<EventId> {
        let requests = self.published.iter().filter(|event| event.kind == Kind::EventDeletion);
        let mut deleted: HashSet<EventId> = requests
            .flat_map(|request| [request.id].into_iter().chain(Relations::of(request).events))
            .collect();
        let naming = |event: &&Arc<Event>| Relations::of(event).events.iter().any(|id| deleted.contains(id));
        let naming: Vec<EventId> = self.published.iter().filter(naming).map(|event| event.id).collect();
        deleted.extend(naming);
        deleted
    }

    /// The repositories that each server serves.
    fn repositories(&self) -> BTreeMap<Coordinate, Vec<usize>> {
        let mut all: BTreeMap<Coordinate, Vec<usize>> = BTreeMap::new();
        for node in self.servers() {
            for family in self.nodes[node].house.families.values() {
                for owner in family.hosted().into_keys().filter(|owner| family.is_served(owner)) {
                    all.entry(family.coordinate(owner)).or_default().push(node);
                }
            }
        }
        all
    }

    fn view(&self, node: usize, repository: &Coordinate, deleted: &HashSet<EventId>) -> View {
        let house = &self.nodes[node].house;
        let names = |event: &Event| Relations::of(event).repositories.contains(repository);
        let roots: HashSet<EventId> =
            house.served.values().filter(|event| names(event)).map(|event| event.id).collect();
        let people = house.families.get(&repository.identifier).map(|family| family.hosted());
        let people = people.and_then(|mut hosted| hosted.remove(&repository.owner)).unwrap_or_default();
        let own = |event: &Event| {
            let identifier = crate::nip34::tags::first(event, "d") == Some(repository.identifier.as_str());
            (event.kind == STATE && identifier && people.contains(&event.pubkey))
                || (event.kind == ANNOUNCEMENT && identifier && event.pubkey == repository.owner)
        };
        let about = |event: &&Arc<Event>| {
            own(event) || names(event) || Relations::of(event).events.iter().any(|id| roots.contains(id))
        };
        let events = house.served.values().filter(about).map(|event| event.id);
        View {
            refs: house.refs.get(repository).cloned().unwrap_or_default(),
            events: events.filter(|id| !deleted.contains(id)).collect(),
        }
    }

    fn is_asked(&self, node: usize, other: usize, repository: &Coordinate) -> bool {
        let server = self.nodes[node].server.as_ref();
        server.is_some_and(|server| {
            let known = server.planner.wants().repositories().get(repository);
            known.is_some_and(|known| known.relays.contains(&self.nodes[other].url))
        })
    }

    fn disagreement(&self) -> Option<String> {
        let deleted = self.deleted();
        for (repository, nodes) in self.repositories() {
            let views: Vec<View> = nodes.iter().map(|node| self.view(*node, &repository, &deleted)).collect();
            for (n, one) in nodes.iter().enumerate() {
                for (m, other) in nodes.iter().enumerate().skip(n + 1) {
                    let mutual =
                        self.is_asked(*one, *other, &repository) && self.is_asked(*other, *one, &repository);
                    if !mutual || views[n] == views[m] {
                        continue;
                    }
                    let difference = views[n].events.symmetric_difference(&views[m].events);
                    let known = |id: &EventId| self.published.iter().find(|event| event.id == *id);
                    let names: Vec<String> =
                        difference.filter_map(known).map(|event| name_of(event)).collect();
                    let refs = if views[n].refs == views[m].refs { "the same refs" } else { "other refs" };
                    return Some(format!(
                        "{one} and {other} about {repository}: {refs}; only at one of them: {names:?}"
                    ));
                }
            }
        }
        None
    }

    /// What there was to compare.
    fn sum_up(&self) -> Outcome {
        let mut outcome = Outcome {
            complaint: self.complaint.clone(),
            servers: self.servers().count(),
            happenings: self.happenings,
            requests: self.requests,
            most_questions: self.most_questions,
            most_attempts: self.most_attempts,
            ..Outcome::default()
        };
        for (repository, nodes) in self.repositories().iter().filter(|(_, nodes)| nodes.len() > 1) {
            let view = self.view(nodes[0], repository, &HashSet::new());
            outcome.shared += 1;
            outcome.refs += view.refs.refs.len();
            outcome.events += view.events.len();
        }
        outcome
    }
}

/// Whether an event is among what is wanted of a relay.
fn covers(wanted: &HashSet<&Item>, event: &Event) -> bool {
    if event.kind == ANNOUNCEMENT || event.kind == STATE {
        return wanted.contains(&Item::Announcements);
    }
    let relations = Relations::of(event);
    relations.repositories.into_iter().any(|named| wanted.contains(&Item::Repository(named)))
        || relations.events.into_iter().any(|id| wanted.contains(&Item::Root(id)))
}
