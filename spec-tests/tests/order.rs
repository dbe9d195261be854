//! Order does not matter, across the real server: a history is offered in its natural order and in any other one, with
//! repetitions, what was refused again and again, until nothing changes; what is served and the refs come out the same.
//!
//! Which histories this holds for is written where the pure property stands (`server/src/promotion/tests/order.rs`):
//! authority only grows, every state names something new, every pack holds what came before it, and the data of every
//! state is offered to every repository.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, BTreeSet};

use grasp_audit::Context;
use grasp_audit::target::websocket::Relay;
use grasp_fixtures::{PullRequest, Repository, State};
use nostr::event::Event;
use nostr::key::Keys;
use proptest::prelude::*;
use proptest::test_runner::{Config, TestRunner};
use spec_tests::view::{self, as_json};
use spec_tests::{Backend, Instance, Setup, instance};

const PEOPLE: usize = 2;
/// About two seconds each; `ORDER_CASES` asks for more.
const CASES: u32 = 15;

/// What happened, by the role of who did it.
#[derive(Debug, Clone)]
enum Step {
    /// Somebody announces the repository, and from then on lists the other one too if `lists`.
    Announce { author: usize, lists: bool },
    /// Somebody's state: `main` at a new commit, `dev` at an older one.
    State { author: usize, dev: Option<usize> },
    /// A pull request to somebody's repository, its data pushed to the other one's or the same.
    Pull { named: usize, pushed_to: usize },
}

fn step() -> impl Strategy<Value = Step> {
    let person = 0..PEOPLE;
    prop_oneof![
        2 => (person.clone(), any::<bool>()).prop_map(|(author, lists)| Step::Announce { author, lists }),
        3 => (person.clone(), prop::option::of(0usize..3)).prop_map(|(author, dev)| Step::State { author, dev }),
        1 => (person.clone(), person).prop_map(|(named, pushed_to)| Step::Pull { named, pushed_to }),
    ]
}

/// One thing to offer.
#[derive(Debug, Clone)]
enum Item {
    Publish(Event),
    Push(Vec<String>),
}

/// A history with people, an identifier and commits of its own.
struct History {
    ctx: Context,
    people: Vec<Keys>,
    repository: Repository,
    items: Vec<Item>,
    /// What each event and each commit is called, whoever lives through the history.
    roles: BTreeMap<String, String>,
}

impl History {
    async fn new(server: &Instance, steps: &[Step]) -> Self {
        let ctx = server.context("order").await;
        let people: Vec<Keys> = (0..PEOPLE).map(|_| ctx.someone()).collect();
        let repository = Repository::init("main").await.unwrap();
        let mut history = Self { ctx, people, repository, items: Vec::new(), roles: BTreeMap::new() };
        let commits = history.repository.chain(&history.ctx.identifier, steps.len(), None).await.unwrap();
        for (at, commit) in commits.iter().enumerate() {
            history.roles.insert(commit.clone(), format!("commit {at}"));
        }
        let mut lists = [false; PEOPLE];
        for (at, step) in steps.iter().enumerate() {
            match step {
                Step::Announce { author, lists: more } => {
                    lists[*author] |= more;
                    history.announce(at, *author, lists[*author]);
                }
                Step::State { author, dev } => {
                    let dev = dev.map(|back| &commits[at.saturating_sub(back)]);
                    history.state(at, *author, &commits[at], dev).await;
                }
                Step::Pull { named, pushed_to } => history.pull(at, *named, *pushed_to, &commits[0]).await,
            }
        }
        history
    }

    fn url(&self, owner: usize) -> String {
        self.ctx.target.url.clone_url(&self.people[owner].public_key(), &self.ctx.identifier)
    }

    fn publish(&mut self, event: Event, role: String) {
        self.roles.insert(event.id.to_hex(), role);
        self.items.push(Item::Publish(event));
    }

    fn announce(&mut self, at: usize, author: usize, lists: bool) {
        let mut announcement = self.ctx.announcement_of(&self.people[author], &self.ctx.identifier);
        if lists {
            announcement = announcement.maintainer(self.people[1 - author].public_key());
        }
        let event = self.ctx.sign(&self.people[author], announcement.draft());
        self.publish(event, format!("announcement {at}"));
    }

    async fn state(&mut self, at: usize, author: usize, main: &str, dev: Option<&String>) {
        let mut state = State::new(&self.ctx.identifier).branch("main", main).head("main");
        self.repository.set_ref(&format!("refs/states/{at}/main"), main).await.unwrap();
        if let Some(dev) = dev {
            state = state.branch("dev", dev);
            self.repository.set_ref(&format!("refs/states/{at}/dev"), dev).await.unwrap();
        }
        let event = self.ctx.sign(&self.people[author], state.draft());
        self.publish(event, format!("state {at}"));
        for owner in 0..PEOPLE {
            let arguments =
                ["--prune".to_owned(), self.url(owner), format!("+refs/states/{at}/*:refs/heads/*")];
            self.items.push(Item::Push(arguments.to_vec()));
        }
    }

    async fn pull(&mut self, at: usize, named: usize, pushed_to: usize, parent: &str) {
        let tip = self.repository.commit("pr.txt", &format!("{at}\n"), &[parent]).await.unwrap();
        self.roles.insert(tip.clone(), format!("tip {at}"));
        let owner = self.people[named].public_key();
        let coordinate = grasp_fixtures::events::coordinate(&owner, &self.ctx.identifier);
        let event = self.ctx.sign(&self.ctx.someone(), PullRequest::new(coordinate, &tip).draft());
        let refspec = format!("{tip}:refs/nostr/{}", event.id.to_hex());
        self.publish(event, format!("pull request {at}"));
        self.items.push(Item::Push(vec![self.url(pushed_to), refspec]));
    }

    /// Offers everything in this order, again and again, until nothing changes.
    async fn offered(&self, order: &[usize]) -> View {
        let relay = instance::relay(&self.ctx.target).await.unwrap();
        let mut before = None;
        for _round in 0..=self.items.len() + 2 {
            // What waits is not in the view; that something was taken is a change too.
            let mut taken = Vec::new();
            for at in order {
                taken.push(self.offer(&relay, &self.items[*at % self.items.len()]).await);
            }
            let now = (taken, self.view(&relay).await);
            if before.as_ref() == Some(&now) {
                return now.1;
            }
            before = Some(now);
        }
        panic!("the server does not come to rest");
    }

    /// Whether it was taken.
    async fn offer(&self, relay: &Relay, item: &Item) -> bool {
        match item {
            Item::Publish(event) => relay.publish(&as_json(event)).await.unwrap().accepted,
            Item::Push(arguments) => {
                let arguments: Vec<&str> =
                    ["push"].into_iter().chain(arguments.iter().map(String::as_str)).collect();
                let output = self.repository.run(&arguments).await.unwrap();
                assert!(!output.timed_out && !output.terminal().contains("server failed"), "{output}");
                output.ok()
            }
        }
    }

    /// What a client sees, in roles.
    async fn view(&self, relay: &Relay) -> View {
        let role = |id: &str| self.roles.get(id).cloned().unwrap_or_else(|| id.to_owned());
        let ids = self.items.iter().filter_map(|item| match item {
            Item::Publish(event) => Some(event.id.to_hex()),
            Item::Push(_) => None,
        });
        let served = view::served_ids(relay, &ids.collect()).await;
        let mut refs = Vec::new();
        for owner in &self.people {
            let seen = view::refs(&self.ctx.target, &owner.public_key(), &self.ctx.identifier).await;
            refs.push(seen.map(|seen| {
                let named = seen.refs.iter().map(|(name, oid)| match name.strip_prefix("refs/nostr/") {
                    Some(id) => (format!("refs/nostr/{}", role(id)), role(oid)),
                    None => (name.clone(), role(oid)),
                });
                named.collect()
            }));
        }
        View { served: served.iter().map(|id| role(id)).collect(), refs }
    }
}

/// What a client sees, the same for two people who live through the same history.
#[derive(Debug, Clone, PartialEq, Eq)]
struct View {
    served: BTreeSet<String>,
    refs: Vec<Option<BTreeMap<String, String>>>,
}

/// Steps, and an order of what is offered, given as random keys to sort by; a few things come more often.
fn case() -> impl Strategy<Value = (Vec<Step>, Vec<u32>)> {
    (prop::collection::vec(step(), 2..5), prop::collection::vec(any::<u32>(), 20))
}

#[test]
fn every_order_of_a_history_ends_the_same_on_the_real_server() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let setup = Setup::new(env!("CARGO_BIN_EXE_server-under-test"), Backend::Memory);
    let server = runtime.block_on(setup.start());
    let cases = std::env::var("ORDER_CASES").ok().and_then(|text| text.parse().ok()).unwrap_or(CASES);
    let config = Config { cases, max_shrink_iters: 20, failure_persistence: None, ..Config::default() };
    let outcome = TestRunner::new(config).run(&case(), |(more, keys)| {
        // Every history begins with something that can come of it.
        let begin = [Step::Announce { author: 0, lists: false }, Step::State { author: 0, dev: None }];
        let steps: Vec<Step> = begin.into_iter().chain(more).collect();
        let (natural, other) = runtime.block_on(async {
            let natural = History::new(&server, &steps).await;
            let order: Vec<usize> = (0..natural.items.len()).collect();
            let natural = natural.offered(&order).await;
            let other = History::new(&server, &steps).await;
            let mut order: Vec<usize> = (0..other.items.len()).chain([0, other.items.len() / 2]).collect();
            order.sort_by_key(|at| keys[*at % keys.len()].wrapping_mul(2 * *at as u32 + 1));
            (natural, other.offered(&order).await)
        });
        prop_assert!(!natural.served.is_empty(), "something is served in the end");
        prop_assert_eq!(natural, other);
        Ok(())
    });
    outcome.unwrap_or_else(|failure| panic!("{failure}"));
}
