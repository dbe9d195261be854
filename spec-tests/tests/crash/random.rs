//! `kill -9` at random instants while people publish and push, then a restart, then every acknowledged write.
//!
//! `CRASH_KILLS` says how often (12 unless it is set), `CRASH_SEED` repeats a run's choices; instants depend on the
//! machine as well. What was said and done is kept beside each project, and held against the server after each kill.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use grasp_audit::target::Target;
use grasp_audit::target::websocket::Relay;
use grasp_fixtures::{Announcement, PullRequest, Repository, State, events, keys};
use nostr::event::Event;
use nostr::key::Keys;
use nostr::types::Timestamp;
use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use spec_tests::{Instance, disk, instance, view};

use crate::act::{Act, Outcome};
use crate::setup;

const KILLS: usize = 12;
/// People who work at the same time.
const WORKERS: u64 = 3;
/// The latest instant of a kill, counted from the start of the work, in milliseconds.
const LATEST_KILL: u64 = 500;
/// Events are dated from so long ago on, a second apart, so that none is ahead of the clock.
const PAST: u64 = 1_000_000;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_kills_lose_nothing_that_was_acknowledged() {
    let number = |name: &str| std::env::var(name).ok().and_then(|text| text.parse().ok());
    let kills = number("CRASH_KILLS").map_or(KILLS, |kills: u64| kills.try_into().unwrap());
    let seed = number("CRASH_SEED").unwrap_or_else(rand::random::<u64>);
    eprintln!("{kills} kills, CRASH_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let mut server = setup().start().await;
    let target = server.target().await;
    let mut workers: Vec<Worker> =
        (0..WORKERS).map(|n| Worker::new(seed.wrapping_add(n), target.clone())).collect();

    for kill in 1..=kills {
        let working: Vec<_> = workers.drain(..).map(|worker| tokio::spawn(worker.until_the_kill())).collect();
        // Not waiting for anything: this is the random instant.
        tokio::time::sleep(Duration::from_millis(random.random_range(5..LATEST_KILL))).await;
        server.kill();
        for worker in working {
            workers.push(worker.await.expect("a worker meets nothing but the end of the server"));
        }
        server.restart().await;
        for worker in &mut workers {
            worker.newest().is_whole(&server).await;
        }
        if kill % 10 == 0 {
            eprintln!("{kill} kills survived");
        }
    }
    let mut acknowledged = 0;
    for worker in &mut workers {
        acknowledged += worker.acknowledged;
        for project in &mut worker.projects {
            project.is_whole(&server).await;
            project.can_be_cloned().await;
        }
    }
    let git_data = server.git_data();
    disk::fsck(disk::repositories(&git_data).into_iter().chain(disk::families(&git_data))).await;
    eprintln!("{kills} kills, {acknowledged} acknowledged writes, none lost");
}

/// Somebody who works on one project at a time.
struct Worker {
    random: StdRng,
    target: Arc<Target>,
    projects: Vec<Project>,
    acknowledged: usize,
}

impl Worker {
    fn new(seed: u64, target: Arc<Target>) -> Self {
        Self { random: StdRng::seed_from_u64(seed), target, projects: Vec::new(), acknowledged: 0 }
    }

    fn newest(&mut self) -> &mut Project {
        self.projects.last_mut().expect("a worker begins with a project")
    }

    async fn until_the_kill(mut self) -> Self {
        if self.projects.is_empty() || self.random.random_bool(0.2) {
            self.projects.push(Project::new(self.target.clone()).await);
        }
        loop {
            let choice = self.random.random_range(0..11);
            let Self { random, projects, acknowledged, .. } = &mut self;
            let project = projects.last_mut().expect("there is one");
            let before = project.acknowledged;
            let met = match choice {
                _ if project.announced.is_none() => project.announce("first").await,
                _ if project.pushed.is_none() => project.state_and_push(random.random_bool(0.8)).await,
                0..4 => project.issues(random.random_range(1..8)).await,
                4..7 => project.state_and_push(random.random_bool(0.7)).await,
                7 => project.announce("renamed").await,
                8 => project.pull_request(true).await,
                9 => project.pull_request(false).await,
                _ => project.leave_and_return().await,
            };
            *acknowledged += project.acknowledged - before;
            if met.is_none() {
                return self;
            }
        }
    }
}

/// A pull request on its way.
struct Pull {
    event: Event,
    tip: String,
    event_taken: bool,
    data_taken: bool,
}

/// A repository, what was done to it, and what of that was acknowledged.
struct Project {
    target: Arc<Target>,
    owner: Keys,
    identifier: String,
    repository: Repository,
    time: u64,
    acknowledged: usize,
    commits: Vec<String>,
    /// The newest announcement that was acknowledged.
    announced: Option<Event>,
    /// The newest state whose publication was begun, its commit, and whether it was acknowledged.
    newest_state: Option<(Event, String, bool)>,
    /// The newest state whose push was acknowledged.
    pushed: Option<Event>,
    /// A deletion and the announcement that follows it, while these are on their way.
    leaving: Option<(Event, Event)>,
    issues: Vec<Event>,
    pulls: Vec<Pull>,
}

impl Project {
    async fn new(target: Arc<Target>) -> Self {
        Self {
            target,
            owner: keys::fresh(),
            identifier: format!("killed-{}", keys::random_suffix(8)),
            repository: Repository::init("main").await.unwrap(),
            time: Timestamp::now().as_secs() - PAST,
            acknowledged: 0,
            commits: Vec::new(),
            announced: None,
            newest_state: None,
            pushed: None,
            leaving: None,
            issues: Vec::new(),
            pulls: Vec::new(),
        }
    }

    fn url(&self) -> String {
        self.target.url.clone_url(&self.owner.public_key(), &self.identifier)
    }

    fn coordinate(&self) -> String {
        events::coordinate(&self.owner.public_key(), &self.identifier)
    }

    fn later(&mut self) -> u64 {
        self.time += 1;
        self.time
    }

    async fn commit(&mut self) -> String {
        let parent: Vec<&str> = self.commits.last().map(String::as_str).into_iter().collect();
        let content = format!("{} {}\n", self.identifier, keys::random_suffix(12));
        let commit = self.repository.commit("file.txt", &content, &parent).await.unwrap();
        self.commits.push(commit.clone());
        commit
    }

    /// Does it; nothing when the server is gone.
    async fn act(&mut self, act: Act) -> Option<()> {
        match act.carry_out(&self.target).await {
            Outcome::Acknowledged(_) => self.acknowledged += 1,
            Outcome::Refused(words) => panic!("{act:?} was refused: {words}"),
            Outcome::Lost => return None,
        }
        Some(())
    }

    fn announcement(&mut self, name: &str) -> Event {
        let announcement = Announcement::new(&self.identifier)
            .name(name)
            .clone_url(self.url())
            .relay(self.target.url.relay());
        announcement.draft().at(self.later()).sign(&self.owner)
    }

    /// The repository is deleted, and announced again: it comes back.
    async fn leave_and_return(&mut self) -> Option<()> {
        let deletion = events::delete_address(&self.coordinate()).at(self.later()).sign(&self.owner);
        let again = self.announcement("again");
        self.leaving = Some((deletion.clone(), again.clone()));
        // What waits for a repository goes with it.
        if let Some((_, _, acknowledged)) = &mut self.newest_state {
            *acknowledged = false;
        }
        for pull in self.pulls.iter_mut().filter(|pull| !pull.event_taken) {
            pull.data_taken = false;
        }
        self.act(Act::Publish(deletion)).await?;
        self.act(Act::Publish(again)).await?;
        self.has_returned();
        Some(())
    }

    fn has_returned(&mut self) {
        if let Some((_, again)) = self.leaving.take() {
            self.announced = Some(again);
        }
    }

    /// A return that was interrupted is made now: the repository need not wait for what it had.
    async fn returns(&mut self) {
        let Some((deletion, again)) = self.leaving.clone() else { return };
        Act::Publish(deletion).succeeds(&self.target).await;
        let words = Act::Publish(again).succeeds(&self.target).await;
        assert!(!words.starts_with("purgatory:"), "a repository has not come back: {words}");
        self.has_returned();
    }

    async fn announce(&mut self, name: &str) -> Option<()> {
        let announcement = self.announcement(name);
        self.act(Act::Publish(announcement.clone())).await?;
        self.announced = Some(announcement);
        Some(())
    }

    /// A new state, and its push unless somebody is interrupted by something else.
    async fn state_and_push(&mut self, push: bool) -> Option<()> {
        let tip = self.commit().await;
        let state = State::new(&self.identifier).branch("main", &tip).head("main");
        let state = state.draft().at(self.later()).sign(&self.owner);
        self.newest_state = Some((state.clone(), tip.clone(), false));
        self.act(Act::Publish(state.clone())).await?;
        self.newest_state = Some((state.clone(), tip.clone(), true));
        if push {
            self.push(&tip).await?;
            self.pushed = Some(state);
        }
        Some(())
    }

    async fn push(&mut self, tip: &str) -> Option<()> {
        let refspec = format!("{tip}:refs/heads/main");
        self.act(Act::push(&self.repository, &self.url(), &[&refspec])).await
    }

    async fn issues(&mut self, count: usize) -> Option<()> {
        for number in 0..count {
            let issue = events::issue(&self.coordinate(), "it breaks", &format!("{number}"));
            let issue = issue.at(self.later()).sign(&self.owner);
            self.act(Act::Publish(issue.clone())).await?;
            self.issues.push(issue);
        }
        Some(())
    }

    async fn pull_request(&mut self, event_first: bool) -> Option<()> {
        let parent = self.commits[0].clone();
        let tip = self.repository.commit("pr.txt", &keys::random_suffix(12), &[&parent]).await.unwrap();
        let event = PullRequest::new(self.coordinate(), &tip).draft().at(self.later()).sign(&keys::fresh());
        self.pulls.push(Pull { event, tip, event_taken: false, data_taken: false });
        let which = self.pulls.len() - 1;
        if event_first {
            self.publish_pull(which).await?;
            self.push_pull(which).await
        } else {
            self.push_pull(which).await?;
            self.publish_pull(which).await
        }
    }

    async fn publish_pull(&mut self, which: usize) -> Option<()> {
        self.act(Act::Publish(self.pulls[which].event.clone())).await?;
        self.pulls[which].event_taken = true;
        Some(())
    }

    async fn push_pull(&mut self, which: usize) -> Option<()> {
        let pull = &self.pulls[which];
        let refspec = format!("{}:refs/nostr/{}", pull.tip, pull.event.id.to_hex());
        self.act(Act::push(&self.repository, &self.url(), &[&refspec])).await?;
        self.pulls[which].data_taken = true;
        Some(())
    }

    /// Nothing acknowledged is lost, everything holds, and what was interrupted succeeds now.
    async fn is_whole(&mut self, server: &Instance) {
        let relay = instance::relay(&self.target).await.expect("the server is back");
        self.returns().await;
        if self.announced.is_some() {
            view::refs_are_the_authorised_state(&self.target, &relay, &self.identifier, &[]).await;
        }
        let paths =
            disk::repositories(&server.git_data()).into_iter().chain(disk::families(&server.git_data()));
        let own = paths.filter(|path| path.ends_with(format!("{}.git", self.identifier)));
        disk::fsck(own).await;
        self.served_is_what_was_pushed(&relay).await;
        self.what_waits_is_still_there().await;
        self.served_is_what_was_pushed(&relay).await;
        self.issues_are_served(&relay).await;
        self.pull_requests_are_whole(&relay).await;
    }

    /// The served state and announcement are the newest acknowledged ones, or newer ones that were interrupted.
    async fn served_is_what_was_pushed(&self, relay: &Relay) {
        let Some(pushed) = &self.pushed else { return };
        let served = view::Served::ask(relay, &self.identifier).await;
        let owner = self.owner.public_key();
        let state = served.states.get(&owner).expect("the state whose push was acknowledged is served");
        assert!(state.created_at >= pushed.created_at, "{} is served, {} was pushed", state.id, pushed.id);
        let announcement = served.announcements.get(&owner).expect("the announcement is served");
        let newest = self.announced.as_ref().expect("it was announced");
        assert!(announcement.created_at >= newest.created_at, "an older announcement is served");
    }

    /// An acknowledged state that waits authorises its push; one whose publication was interrupted is published.
    async fn what_waits_is_still_there(&mut self) {
        let Some((state, tip, acknowledged)) = self.newest_state.clone() else { return };
        if !acknowledged {
            Act::Publish(state.clone()).succeeds(&self.target).await;
            self.newest_state = Some((state.clone(), tip.clone(), true));
        }
        self.push(&tip).await.expect("the server is there");
        self.pushed = Some(state);
    }

    async fn issues_are_served(&self, relay: &Relay) {
        let ids: BTreeSet<String> = self.issues.iter().map(|issue| issue.id.to_hex()).collect();
        assert_eq!(view::served_ids(relay, &ids).await, ids, "acknowledged issues are served");
    }

    async fn pull_requests_are_whole(&mut self, relay: &Relay) {
        for which in 0..self.pulls.len() {
            let (event_taken, data_taken) = (self.pulls[which].event_taken, self.pulls[which].data_taken);
            let event = self.pulls[which].event.clone();
            if data_taken && !event_taken {
                // The acknowledged upload is here: its event need not wait.
                let words = Act::Publish(event.clone()).succeeds(&self.target).await;
                assert!(!words.starts_with("purgatory:"), "an acknowledged upload is lost: {words}");
            } else if !event_taken {
                self.publish_pull(which).await.expect("the server is there");
            }
            if !data_taken {
                self.push_pull(which).await.expect("the server is there");
            }
            let pull = &mut self.pulls[which];
            (pull.event_taken, pull.data_taken) = (true, true);
        }
        let ids: BTreeSet<String> = self.pulls.iter().map(|pull| pull.event.id.to_hex()).collect();
        assert_eq!(view::served_ids(relay, &ids).await, ids, "pull requests are served");
        if let Some(refs) = view::refs(&self.target, &self.owner.public_key(), &self.identifier).await {
            for pull in &self.pulls {
                let seen = refs.refs.get(&format!("refs/nostr/{}", pull.event.id.to_hex()));
                assert_eq!(seen, Some(&pull.tip), "the ref of a pull request");
            }
        }
    }

    async fn can_be_cloned(&self) {
        if self.pushed.is_none() {
            return;
        }
        let (clone, output) = Repository::clone_of(&self.url(), &["--mirror"], |git| git).await.unwrap();
        assert!(output.ok(), "{output}");
        clone.git(&["fsck", "--full"]).await.unwrap();
    }
}
