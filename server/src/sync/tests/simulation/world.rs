//! The world: nodes, the ways between them, the time, and what is to happen next. One queue holds all of it, so a history
//! is a matter of its seed alone.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::Duration;

use nostr::event::Event;
use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use tokio::time::Instant;

use super::breakage::Breakage;
use super::house::House;
use super::scenario::{Character, Deed, Role, START, Scenario, domain};
use super::server::Server;
use super::wire::{Link, Message, Phase, Way};
use crate::nip34::Identifier;
use crate::sync::hunt::{End, FetchId};
use crate::sync::{Input, Millis, RelayUrl, Unreachable};

pub(super) type LinkId = u64;

/// Silence after which a connection is taken for dead: a ping, and as long again.
const SILENCE: Duration = Duration::from_secs(60);

/// What is wrong with a history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Complaint {
    /// Which rule is broken.
    pub(super) rule: &'static str,
    /// How.
    pub(super) how: String,
}

/// What happens next somewhere.
#[derive(Debug)]
pub(super) enum Happening {
    /// The next scene of the script.
    Scene,
    Dialled(LinkId),
    Arrives(LinkId, Way, Box<Message>),
    /// The client's end of a connection learns that it is over.
    Ends(LinkId, Unreachable),
    /// A report reaches the engine.
    Report {
        node: usize,
        boot: u64,
        input: Box<Input>,
    },
    /// Looks after silence on a connection.
    Listen(LinkId),
    /// What was sent when there was no way has waited for long.
    Stalled(LinkId),
    Intake(LinkId),
    /// What was refused before is offered again.
    Again {
        node: usize,
        boot: u64,
    },
    Wake {
        node: usize,
        boot: u64,
    },
    Expire {
        node: usize,
    },
    Fetched {
        node: usize,
        boot: u64,
        fetch: FetchId,
        end: Option<End>,
    },
    /// A node that is not ours does something of itself.
    Whim(usize),
}

struct Due(Millis, u64, Happening);

impl PartialEq for Due {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}
impl Eq for Due {}
impl PartialOrd for Due {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Due {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

/// A node.
pub(super) struct Node {
    pub(super) url: RelayUrl,
    pub(super) up: bool,
    pub(super) boot: u64,
    /// Of servers: what is kept on disk.
    pub(super) house: House,
    /// Of servers that run: what a restart loses.
    pub(super) server: Option<Box<Server>>,
    /// Of others: what they were given, or heard of.
    pub(super) lore: Vec<Arc<Event>>,
    pub(super) inbound: BTreeSet<LinkId>,
    pub(super) latency: u64,
}

/// See the module.
pub(super) struct World {
    pub(super) scenario: Arc<Scenario>,
    pub(super) breakage: Option<Breakage>,
    pub(super) now: Millis,
    /// Stands for the engine's own clock.
    epoch: Instant,
    queue: BinaryHeap<Reverse<Due>>,
    next: u64,
    pub(super) rng: StdRng,
    pub(super) nodes: Vec<Node>,
    pub(super) by_url: HashMap<RelayUrl, usize>,
    pub(super) links: BTreeMap<LinkId, Box<Link>>,
    next_link: LinkId,
    /// Ways that are cut, each as often as it was cut.
    cuts: BTreeMap<(usize, usize), usize>,
    scene: usize,
    pub(super) calm: bool,
    pub(super) published: Vec<Arc<Event>>,
    pub(super) complaint: Option<Complaint>,
    pub(super) log: Option<Vec<String>>,
    pub(super) happenings: u64,
    pub(super) requests: u64,
    pub(super) most_questions: usize,
    pub(super) most_attempts: usize,
}

impl World {
    pub(super) fn new(scenario: Arc<Scenario>, breakage: Option<Breakage>, with_log: bool) -> Self {
        let mut rng = StdRng::seed_from_u64(scenario.seed ^ 0x5eed);
        let nodes: Vec<Node> = (0..scenario.cast.len())
            .map(|n| Node {
                url: RelayUrl::parse(&domain(n).relay_url()).unwrap(),
                up: !matches!(scenario.cast[n].role, Role::Other(Character::Dead)),
                boot: 0,
                house: House::new(domain(n)),
                server: None,
                lore: Vec::new(),
                inbound: BTreeSet::new(),
                latency: rng.random_range(1..150),
            })
            .collect();
        let by_url = nodes.iter().enumerate().map(|(n, node)| (node.url.clone(), n)).collect();
        let mut world = Self {
            scenario,
            breakage,
            now: Millis::from_secs(START),
            epoch: Instant::now(),
            queue: BinaryHeap::new(),
            next: 0,
            rng,
            nodes,
            by_url,
            links: BTreeMap::new(),
            next_link: 0,
            cuts: BTreeMap::new(),
            scene: 0,
            calm: false,
            published: Vec::new(),
            complaint: None,
            log: with_log.then(Vec::new),
            happenings: 0,
            requests: 0,
            most_questions: 0,
            most_attempts: 0,
        };
        for node in 0..world.nodes.len() {
            match world.scenario.cast[node].role {
                Role::Server(_) => world.start(node),
                Role::Other(_) => world.after(1_000, Happening::Whim(node)),
            }
        }
        world.set_scene();
        world
    }

    /// A moment of the engine's own clock.
    pub(super) fn instant(&self) -> Instant {
        self.epoch + self.now.since(Millis::from_secs(START))
    }

    pub(super) fn millis(&self, instant: Instant) -> Millis {
        Millis::from_secs(START) + instant.duration_since(self.epoch)
    }

    pub(super) fn seconds(&self) -> u64 {
        self.now.0 / 1_000
    }

    pub(super) fn breaks(&self, breakage: Breakage) -> bool {
        self.breakage == Some(breakage)
    }

    pub(super) fn say(&mut self, what: impl FnOnce() -> String) {
        if let Some(log) = &mut self.log {
            let since = self.now.since(Millis::from_secs(START));
            let (seconds, millis) = (since.as_secs(), since.subsec_millis());
            log.push(format!(
                "{}d {:02}:{:02}:{:02}.{millis:03}  {}",
                seconds / 86_400,
                seconds / 3_600 % 24,
                seconds / 60 % 60,
                seconds % 60,
                what()
            ));
        }
    }

    pub(super) fn complain(&mut self, rule: &'static str, how: impl Into<String>) {
        let how = how.into();
        self.say(|| format!("BROKEN: {rule}: {how}"));
        if self.complaint.is_none() {
            self.complaint = Some(Complaint { rule, how });
        }
    }

    pub(super) fn at(&mut self, time: Millis, what: Happening) {
        self.next += 1;
        self.queue.push(Reverse(Due(time.max(self.now), self.next, what)));
    }

    pub(super) fn after(&mut self, millis: u64, what: Happening) {
        self.at(Millis(self.now.0 + millis), what);
    }

    fn set_scene(&mut self) {
        let next = self.scenario.script.get(self.scene).map(|scene| scene.at);
        if let Some(at) = next {
            self.at(Millis::from_secs(START) + at, Happening::Scene);
        }
    }

    /// Lets everything happen until a moment, or until something is wrong.
    pub(super) fn run_until(&mut self, end: Millis) {
        while self.complaint.is_none() {
            if self.queue.peek().is_none_or(|Reverse(due)| due.0 > end) {
                break;
            }
            let Some(Reverse(Due(time, _, what))) = self.queue.pop() else { break };
            self.now = time;
            self.happenings += 1;
            if self.happenings > 3_000_000 {
                let servers = self.nodes.iter().filter_map(|node| node.server.as_ref());
                let wakes: Vec<_> = servers.map(|server| server.next_wakes()).collect();
                let how =
                    format!("three million happenings; at {time:?}, the last: {what:?}; wakes: {wakes:?}");
                return self.complain("a history has an end", how);
            }
            self.happens(what);
        }
        self.now = self.now.max(end);
    }

    fn happens(&mut self, what: Happening) {
        match what {
            Happening::Scene => {
                let scenario = Arc::clone(&self.scenario);
                self.act_out(&scenario.script[self.scene].deed);
                self.scene += 1;
                self.set_scene();
            }
            Happening::Dialled(link) => self.dialled(link),
            Happening::Arrives(link, way, message) => self.arrives(link, way, *message),
            Happening::Ends(link, why) => self.ends(link, why),
            Happening::Report { node, boot, input } => {
                if self.is_boot(node, boot) {
                    self.reported(node, *input);
                }
            }
            Happening::Listen(link) => self.listen(link),
            Happening::Stalled(id) => {
                let stalled = |link: &Link| !link.stalled.is_empty() && self.is_cut(link.client, link.relay);
                if self.links.get(&id).is_some_and(|link| stalled(link)) {
                    self.break_link(id, "silence");
                }
            }
            Happening::Intake(link) => self.take_in(link),
            Happening::Again { node, boot } => {
                if self.is_boot(node, boot) {
                    self.take_in_again(node);
                }
            }
            Happening::Wake { node, boot } => {
                if self.is_boot(node, boot) {
                    self.wake(node);
                }
            }
            Happening::Expire { node } => self.expire(node),
            Happening::Fetched { node, boot, fetch, end } => {
                if self.is_boot(node, boot) {
                    self.fetched(node, fetch, end);
                }
            }
            Happening::Whim(node) => self.whim(node),
        }
    }

    pub(super) fn is_boot(&self, node: usize, boot: u64) -> bool {
        self.nodes[node].server.is_some() && self.nodes[node].boot == boot
    }

    fn act_out(&mut self, deed: &Deed) {
        self.say(|| format!("* {deed}"));
        match deed {
            Deed::Publish { event, to } => {
                self.published.push(Arc::clone(event));
                for node in to.clone() {
                    self.publish(node, event);
                }
            }
            Deed::Push { repository, refs, to } => {
                self.at_house(*to, |house, news, _| house.push(repository, refs, news));
            }
            Deed::PushPull { repository, id, tip, to } => {
                self.at_house(*to, |house, news, _| house.push_pull(repository, id, *tip, news));
            }
            Deed::Crash(node) => self.crash(*node),
            Deed::Start(node) => self.start(*node),
            Deed::Cut(one, other) => self.cut(*one, *other),
            Deed::Mend(one, other) => self.mend(*one, *other),
            Deed::Break(one, other) => {
                let (one, other) = (*one, *other);
                let between = |link: &Link| {
                    (link.client, link.relay) == (one, other) || (link.client, link.relay) == (other, one)
                };
                let links: Vec<LinkId> =
                    self.links.iter().filter(|(_, link)| between(link)).map(|(id, _)| *id).collect();
                links.into_iter().for_each(|link| self.break_link(link, "reset"));
            }
        }
    }

    fn publish(&mut self, node: usize, event: &Arc<Event>) {
        if !self.scenario.cast[node].is_server() {
            self.hand_over(node, event);
            return;
        }
        self.at_house(node, |house, news, now| house.admit(event, false, now, news).accepted);
    }

    /// The storm is over: everybody is there, and every way is open.
    pub(super) fn calm_down(&mut self) {
        self.say(|| "* the storm is over".to_owned());
        self.calm = true;
        let cuts: Vec<(usize, usize)> = self.cuts.keys().copied().collect();
        for (one, other) in cuts {
            self.cuts.insert((one, other), 1);
            self.mend(one, other);
        }
        for node in 0..self.nodes.len() {
            if self.scenario.cast[node].is_server() {
                self.start(node);
            }
        }
    }

    pub(super) fn is_cut(&self, one: usize, other: usize) -> bool {
        self.cuts.contains_key(&(one.min(other), one.max(other)))
    }

    fn cut(&mut self, one: usize, other: usize) {
        *self.cuts.entry((one.min(other), one.max(other))).or_default() += 1;
    }

    fn mend(&mut self, one: usize, other: usize) {
        let pair = (one.min(other), one.max(other));
        let Some(count) = self.cuts.get_mut(&pair) else { return };
        *count -= 1;
        if *count > 0 {
            return;
        }
        self.cuts.remove(&pair);
        let stalled = |link: &Link| !link.stalled.is_empty() && !self.is_cut(link.client, link.relay);
        let links: Vec<LinkId> =
            self.links.iter().filter(|(_, link)| stalled(link)).map(|(id, _)| *id).collect();
        for id in links {
            let Some(link) = self.links.get_mut(&id) else { continue };
            for (way, message) in std::mem::take(&mut link.stalled) {
                self.arrives(id, way, message);
            }
        }
    }

    /// A server stops as abruptly as a process that is killed.
    fn crash(&mut self, node: usize) {
        if self.nodes[node].server.take().is_none() {
            return;
        }
        self.nodes[node].up = false;
        self.nodes[node].boot += 1;
        let mine: Vec<LinkId> =
            self.links.iter().filter(|(_, link)| link.client == node).map(|(id, _)| *id).collect();
        mine.into_iter().for_each(|id| drop(self.drop_link(id)));
        let theirs: Vec<LinkId> = self.nodes[node].inbound.iter().copied().collect();
        theirs.into_iter().for_each(|id| self.break_link(id, "the relay has gone"));
    }

    /// A connection breaks; what was on its way is lost, and the client's end learns of it soon or after a while.
    pub(super) fn break_link(&mut self, id: LinkId, why: &str) {
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.phase != Phase::Open {
            return;
        }
        link.phase = Phase::Broken;
        link.open.clear();
        link.stalled.clear();
        let relay = link.relay;
        self.nodes[relay].inbound.remove(&id);
        let millis = if self.rng.random_bool(0.8) {
            self.rng.random_range(0..500)
        } else {
            self.rng.random_range(500..SILENCE.as_millis() as u64)
        };
        self.after(millis, Happening::Ends(id, Unreachable::Failed(why.to_owned())));
    }

    /// A connection is gone at both ends.
    pub(super) fn drop_link(&mut self, id: LinkId) -> Option<Box<Link>> {
        let link = self.links.remove(&id)?;
        self.nodes[link.relay].inbound.remove(&id);
        Some(link)
    }

    pub(super) fn new_link(&mut self, link: Link) -> LinkId {
        self.next_link += 1;
        self.links.insert(self.next_link, Box::new(link));
        self.next_link
    }

    /// Sends a message; none overtakes another of its direction.
    pub(super) fn send(&mut self, id: LinkId, way: Way, message: Message) {
        let Some(link) = self.links.get_mut(&id).filter(|link| link.phase == Phase::Open) else { return };
        let latency = self.nodes[link.client].latency + self.nodes[link.relay].latency;
        let late = if self.rng.random_ratio(1, 64) { self.rng.random_range(0..8_000) } else { 0 };
        let wait = latency + self.rng.random_range(0..=latency / 4) + late;
        let last = &mut link.last[usize::from(way == Way::ToClient)];
        *last = (*last).max(self.now + Duration::from_millis(wait));
        let time = *last;
        self.at(time, Happening::Arrives(id, way, Box::new(message)));
    }

    fn arrives(&mut self, id: LinkId, way: Way, message: Message) {
        let Some(link) = self.links.get(&id).filter(|link| link.phase == Phase::Open) else { return };
        if self.is_cut(link.client, link.relay) {
            let first = link.stalled.is_empty();
            self.links.entry(id).and_modify(|link| link.stalled.push((way, message)));
            if first {
                self.after(SILENCE.as_millis() as u64, Happening::Stalled(id));
            }
            return;
        }
        match way {
            Way::ToRelay => self.relay_hears(id, message),
            Way::ToClient => self.client_hears(id, message),
        }
    }

    /// Does something at a house that runs, and what follows from it.
    pub(super) fn at_house<T: Default>(
        &mut self,
        node: usize,
        what: impl FnOnce(&mut House, &crate::sync::self_subscriber::SelfSubscriber, u64) -> T,
    ) -> T {
        let now = self.seconds();
        let Some(server) = &self.nodes[node].server else { return T::default() };
        let news = Arc::clone(&server.subscriber);
        let done = what(&mut self.nodes[node].house, &news, now);
        self.follow_up(node);
        done
    }

    /// What is served now is told to those who have subscribed, and to the engine.
    pub(super) fn follow_up(&mut self, node: usize) {
        let fresh = std::mem::take(&mut self.nodes[node].house.fresh);
        for event in &fresh {
            self.say(|| format!("{node} serves {}", super::scenario::name_of(event)));
            self.broadcast(node, event);
        }
        self.pump(node);
        if let Some(expiry) = self.nodes[node].house.next_expiry() {
            let due = Millis::from_secs(expiry);
            // One that is overdue is being fetched.
            let due = if due > self.now { due } else { self.now + Duration::from_secs(5) };
            let known = self.nodes[node].server.as_mut().map(|server| &mut server.expiry);
            if let Some(known) = known.filter(|known| known.is_none_or(|known| due < known)) {
                *known = Some(due);
                self.at(due, Happening::Expire { node });
            }
        }
    }

    fn expire(&mut self, node: usize) {
        let held: BTreeSet<Identifier> = match &mut self.nodes[node].server {
            Some(server) => {
                server.expiry = None;
                server.running.values().map(|fetch| fetch.repository.identifier.clone()).collect()
            }
            None => return,
        };
        self.at_house(node, |house, news, now| house.expire(now, &held, news));
    }
}
