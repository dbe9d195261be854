//! Writes scenarios.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nostr::event::{Event, Kind};
use rand::rngs::StdRng;
use rand::seq::{IndexedRandom as _, SliceRandom as _};
use rand::{Rng as _, SeedableRng as _};

use super::cast::{PEOPLE, PULL_LINES, commit, sign, somebody};
use super::scenario::{Cast, Character, Deed, Role, START, Scenario, Scene, Setup, domain};
use crate::nip34::{
    ANNOUNCEMENT, Coordinate, ISSUE, Identifier, Oid, PATCH, PULL_REQUEST, PULL_REQUEST_UPDATE, RefName,
    STATE,
};
use crate::sync::RelayLimits;

/// A repository of the scenario.
struct Project {
    owner: usize,
    coordinate: Coordinate,
    maintainers: Vec<usize>,
    /// The nodes that its announcement names.
    hosts: Vec<usize>,
    /// Others that it names as relays, and as servers of git data.
    others: Vec<usize>,
    line: u16,
    announced: Duration,
}

/// Writes the scenario of a seed.
pub(super) fn write(seed: u64) -> Scenario {
    let mut author = Author::new(seed);
    author.engage();
    author.found();
    for project in 0..author.projects.len() {
        author.develop(project);
        author.discuss(project);
        author.reorganise(project);
    }
    author.misfortunes();
    author.script.sort_by_key(|scene| scene.at);
    Scenario { seed, cast: author.cast, script: author.script, storm: author.storm }
}

struct Author {
    rng: StdRng,
    cast: Vec<Cast>,
    servers: usize,
    projects: Vec<Project>,
    script: Vec<Scene>,
    storm: Duration,
    pulls: u16,
}

fn tag(parts: &[&str]) -> Vec<String> {
    parts.iter().map(|part| (*part).to_owned()).collect()
}

impl Author {
    fn new(seed: u64) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let storm = match rng.random_range(0..100) {
            0..65 => rng.random_range(60..1_800),
            65..98 => rng.random_range(1_800..6 * 3_600),
            _ => rng.random_range(86_400..3 * 86_400),
        };
        let storm = Duration::from_secs(storm);
        Self {
            rng,
            cast: Vec::new(),
            servers: 0,
            projects: Vec::new(),
            script: Vec::new(),
            storm,
            pulls: PULL_LINES,
        }
    }

    fn chance(&mut self, percent: u32) -> bool {
        self.rng.random_range(0..100) < percent
    }

    fn some(&mut self, of: &[usize], least: usize) -> Vec<usize> {
        let mut some = of.to_vec();
        some.shuffle(&mut self.rng);
        some.truncate(self.rng.random_range(least.min(of.len())..=of.len()));
        some.sort_unstable();
        some
    }

    fn pick(&mut self, of: &[usize]) -> usize {
        *of.choose(&mut self.rng).unwrap()
    }

    /// A moment in a part of the storm, in percent of it.
    fn moment(&mut self, from: u64, to: u64) -> Duration {
        let whole = self.storm.as_millis() as u64;
        Duration::from_millis(self.rng.random_range(whole * from / 100..=whole * to / 100))
    }

    fn soon(&mut self, after: Duration, seconds: u64) -> Duration {
        after + Duration::from_millis(self.rng.random_range(0..seconds * 1_000))
    }

    fn scene(&mut self, at: Duration, deed: Deed) {
        self.script.push(Scene { at: at.min(self.storm), deed });
    }

    /// Events are dated when they are published, or a little before.
    fn dated(&mut self, at: Duration) -> u64 {
        let before =
            if self.chance(5) { self.rng.random_range(0..3_600) } else { self.rng.random_range(0..3) };
        START + at.as_secs() - before
    }

    fn engage(&mut self) {
        self.servers = match self.rng.random_range(0..1_000) {
            0..920 => self.rng.random_range(3..=6),
            920..995 => self.rng.random_range(7..=12),
            _ => self.rng.random_range(13..=50),
        };
        for _ in 0..self.servers {
            let bootstrap =
                if self.chance(25) { vec![self.rng.random_range(0..self.servers)] } else { vec![] };
            let setup = Setup {
                negentropy: !self.chance(25),
                bootstrap: bootstrap.into_iter().filter(|node| *node != self.cast.len()).collect(),
                window: Duration::from_millis(if self.chance(50) { 200 } else { 5_000 }),
                forgetful: self.chance(10),
                startup: Duration::from_millis(if self.chance(50) { 0 } else { 10_000 }),
            };
            let cast = self.relay(Role::Server(setup));
            self.cast.push(cast);
        }
        for _ in 0..self.rng.random_range(0..=2) {
            let character = *Character::ALL.choose(&mut self.rng).unwrap();
            let cast = self.relay(Role::Other(character));
            self.cast.push(cast);
        }
    }

    /// How somebody is as a relay.
    fn relay(&mut self, role: Role) -> Cast {
        let tells = !self.chance(40);
        let mut limits = RelayLimits { negentropy: Some(!self.chance(20)), ..RelayLimits::default() };
        if self.chance(30) {
            limits.subscriptions = Some(self.rng.random_range(3..40));
        }
        if self.chance(20) {
            limits.filters = Some(self.rng.random_range(3..20));
        }
        if self.chance(30) {
            // Who does not say so gives at least what everybody takes for more than the rest.
            limits.results = Some(self.rng.random_range(if tells { 2 } else { 25 }..100));
        }
        let patience = if self.chance(10) { self.rng.random_range(5..30) } else { usize::MAX };
        Cast { role, limits, tells, asks_who: self.chance(5), patience }
    }

    fn found(&mut self) {
        let servers: Vec<usize> = (0..self.servers).collect();
        let others: Vec<usize> = (self.servers..self.cast.len()).collect();
        let count = 1 + self.rng.random_range(0..=(self.servers / 3).min(8));
        for n in 0..count {
            let shared = n > 0 && self.chance(20);
            let of = if shared { n - 1 } else { n };
            let identifier = Identifier::new(&format!("project-{of}")).unwrap();
            let owner = n % PEOPLE;
            let mut maintainers = (0..PEOPLE).collect::<Vec<_>>();
            maintainers.shuffle(&mut self.rng);
            maintainers.truncate(self.rng.random_range(0..3));
            if shared {
                maintainers.push(self.projects[n - 1].owner);
            }
            let mut hosts = self.some(&servers, 2);
            hosts.truncate(8);
            let project = Project {
                owner,
                coordinate: Coordinate::new(somebody(owner), identifier),
                maintainers,
                others: self.some(&others, 0),
                hosts,
                line: 2 * n as u16,
                announced: self.moment(0, 15),
            };
            let at = project.announced;
            self.projects.push(project);
            self.announce(n, at);
        }
    }

    fn announce(&mut self, n: usize, at: Duration) {
        let dated = self.dated(at);
        let project = &self.projects[n];
        let mut tags = vec![tag(&["d", project.coordinate.identifier.as_str()])];
        let all: Vec<usize> = project.hosts.iter().chain(&project.others).copied().collect();
        let clones = all.iter().map(|node| domain(*node).clone_url(&project.coordinate));
        tags.push(["clone".to_owned()].into_iter().chain(clones).collect());
        let relays = all.iter().map(|node| domain(*node).relay_url());
        tags.push(["relays".to_owned()].into_iter().chain(relays).collect());
        let listed = project.maintainers.iter().map(|person| somebody(*person).to_hex());
        tags.push(["maintainers".to_owned()].into_iter().chain(listed).collect());
        let event = sign(project.owner, dated, ANNOUNCEMENT, &tags, "");
        let hosts = project.hosts.clone();
        let mut to = if self.chance(70) { hosts } else { self.some(&hosts, 1) };
        to.extend(self.archives(n));
        self.scene(at, Deed::Publish { event, to });
    }

    /// The common relays that a project names.
    fn archives(&self, n: usize) -> Vec<usize> {
        let archive = |node: &&usize| matches!(self.cast[**node].role, Role::Other(Character::Archive));
        self.projects[n].others.iter().filter(archive).copied().collect()
    }

    /// States, and pushes of their data.
    fn develop(&mut self, n: usize) {
        let mut dev = 0;
        // What is announced waits for half an hour.
        let longest = if self.chance(85) { self.storm.as_secs().min(1_500) } else { 4_000 };
        let mut at = self.soon(self.projects[n].announced, longest);
        for step in 1..=self.rng.random_range(1..=4) {
            let project = &self.projects[n];
            let (line, hosts, coordinate) = (project.line, project.hosts.clone(), project.coordinate.clone());
            let mut people = project.maintainers.clone();
            people.push(project.owner);
            people.push(project.owner);
            let author = self.pick(&people);
            dev += u32::from(self.chance(50));
            let mut refs = BTreeMap::from([("refs/heads/main".parse().unwrap(), commit(line, step))]);
            if dev > 0 {
                refs.insert("refs/heads/dev".parse::<RefName>().unwrap(), commit(line + 1, dev));
            }
            let mut tags =
                vec![tag(&["d", coordinate.identifier.as_str()]), tag(&["HEAD", "ref: refs/heads/main"])];
            tags.extend(
                refs.iter().map(|(name, oid): (&RefName, &Oid)| tag(&[name.as_str(), &oid.to_string()])),
            );
            let dated = self.dated(at);
            let event = sign(author, dated, STATE, &tags, "");
            let mut to = if self.chance(50) { self.some(&hosts, 1) } else { hosts };
            let pushed = self.pick(&to);
            to.extend(self.archives(n));
            self.scene(at, Deed::Publish { event, to });
            let patience = if self.chance(10) { 3_000 } else { 300 };
            let then = self.soon(at, patience);
            self.scene(then, Deed::Push { repository: coordinate, refs, to: pushed });
            let gap = (self.storm.as_secs() / 6).max(2);
            at = self.soon(then, gap);
        }
    }

    /// Issues, patches, pull requests, and what is said about them.
    fn discuss(&mut self, n: usize) {
        let (hosts, coordinate) = (self.projects[n].hosts.clone(), self.projects[n].coordinate.clone());
        let address = coordinate.to_string();
        for _ in 0..self.rng.random_range(0..=4) {
            let at = self.moment(25, 95);
            let (author, dated) = (self.rng.random_range(0..PEOPLE), self.dated(at));
            let text = format!("root {}", self.script.len());
            let mut to = self.some(&hosts, 1);
            let event = match self.rng.random_range(0..4) {
                0 => sign(author, dated, PATCH, &[tag(&["a", &address])], &text),
                1 => self.pull(n, author, at, to[0], None),
                _ => sign(author, dated, ISSUE, &[tag(&["a", &address])], &text),
            };
            if self.chance(50) {
                to.extend(self.archives(n));
            }
            self.scene(at, Deed::Publish { event: Arc::clone(&event), to });
            self.replies(n, &event, at);
        }
    }

    fn pull(
        &mut self,
        n: usize,
        author: usize,
        at: Duration,
        to: usize,
        updates: Option<&Event>,
    ) -> Arc<Event> {
        let coordinate = self.projects[n].coordinate.clone();
        self.pulls += 1;
        let tip = commit(self.pulls, 1);
        let mut tags = vec![
            tag(&["a", &coordinate.to_string()]),
            tag(&["c", &tip.to_string()]),
            tag(&["clone", &domain(to).clone_url(&coordinate)]),
        ];
        tags.extend(updates.map(|root| tag(&["E", &root.id.to_hex()])));
        let kind = if updates.is_some() { PULL_REQUEST_UPDATE } else { PULL_REQUEST };
        let dated = self.dated(at);
        let event = sign(author, dated, kind, &tags, "");
        let early = self.chance(30).then(|| at.saturating_sub(Duration::from_secs(20)));
        let pushed = early.unwrap_or_else(|| self.soon(at, 120));
        self.scene(pushed, Deed::PushPull { repository: coordinate, id: event.id, tip, to });
        event
    }

    fn replies(&mut self, n: usize, root: &Arc<Event>, at: Duration) {
        let (hosts, address) = (self.projects[n].hosts.clone(), self.projects[n].coordinate.to_string());
        let id = root.id.to_hex();
        let mut said = 0;
        for _ in 0..self.rng.random_range(0..=2) {
            let then = self.soon(at, 600);
            let (author, dated) = (self.rng.random_range(0..PEOPLE), self.dated(then));
            let text = format!("reply {}", self.script.len());
            let to = self.some(&hosts, 1);
            let event = match self.rng.random_range(0..4) {
                0 => sign(author, dated, Kind::Reaction, &[tag(&["e", &id])], &text),
                1 if root.kind == PULL_REQUEST => self.pull(n, author, then, to[0], Some(root)),
                2 => sign(author, dated, Kind::Comment, &[tag(&["E", &id]), tag(&["e", &id])], &text),
                _ => sign(author, dated, Kind::Comment, &[tag(&["A", &address]), tag(&["q", &id])], &text),
            };
            said += 1;
            self.scene(then, Deed::Publish { event, to });
        }
        if said == 0 && root.kind == ISSUE && self.chance(20) {
            let then = self.soon(at, 3_000);
            let author = (0..PEOPLE).find(|person| somebody(*person) == root.pubkey).unwrap();
            let dated = self.dated(then).max(root.created_at.as_secs());
            let to = self.some(&hosts, 1);
            let event = sign(author, dated, Kind::EventDeletion, &[tag(&["e", &id])], "");
            self.scene(then, Deed::Publish { event, to });
        }
    }

    /// The announcement changes: other servers, other maintainers.
    fn reorganise(&mut self, n: usize) {
        if !self.chance(25) {
            return;
        }
        let at = self.moment(40, 90);
        let before = self.projects[n].hosts.clone();
        let servers: Vec<usize> = (0..self.servers).filter(|node| !before.contains(node)).collect();
        let newcomer = self.rng.random_range(0..PEOPLE);
        let project = &mut self.projects[n];
        match (self.rng.random_range(0..3), servers.choose(&mut self.rng)) {
            (0, Some(server)) => project.hosts.push(*server),
            (1, _) if before.len() > 2 => drop(project.hosts.pop()),
            _ => project.maintainers.push(newcomer),
        }
        self.announce(n, at);
        if let Some(Scene { deed: Deed::Publish { to, .. }, .. }) = self.script.last_mut() {
            // Those who are left are told, too.
            to.extend(before.iter().filter(|node| !to.contains(node)).copied().collect::<Vec<_>>());
        }
    }

    fn misfortunes(&mut self) {
        for server in 0..self.servers {
            for _ in 0..self.rng.random_range(0..=2) {
                if !self.chance(40) {
                    continue;
                }
                let at = self.moment(5, 95);
                let longest = if self.chance(30) { 7_200 } else { 120 };
                let back = self.soon(at, longest);
                self.scene(at, Deed::Crash(server));
                self.scene(back, Deed::Start(server));
            }
        }
        let nodes = self.cast.len();
        for _ in 0..self.rng.random_range(0..=nodes.min(12)) {
            let (one, other) = (self.rng.random_range(0..nodes), self.rng.random_range(0..nodes));
            if one == other {
                continue;
            }
            let at = self.moment(0, 100);
            if self.chance(50) {
                self.scene(at, Deed::Break(one, other));
                continue;
            }
            let longest = if self.chance(30) { 7_200 } else { 180 };
            let back = self.soon(at, longest);
            // Sometimes one is alone.
            let all =
                if self.chance(20) { (0..nodes).filter(|node| *node != one).collect() } else { vec![other] };
            for other in all {
                self.scene(at, Deed::Cut(one, other));
                self.scene(back, Deed::Mend(one, other));
            }
        }
    }
}
