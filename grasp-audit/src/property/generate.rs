//! Where stories come from: proptest's strategies, one tree per step, so that a failing step shrinks by itself while
//! `shrink` leaves steps out.
//!
//! Steps drawn blindly would mostly be refused. So a story is a row of *scenes* (a repository is founded, a state is
//! published and pushed, two states tie, a pull request comes in either order, …), each with its details drawn, and
//! steps drawn blindly between them.

mod contributions;
mod steps;
mod two_servers;

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::{BoxedStrategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use sha2::{Digest, Sha256};

use self::contributions::{any_contribution, contributing_pull};
use self::steps::{
    aligned, announce_at, announce_here, any_step, authority, deletion, former, missed, named_of, other_than,
    owner, person, places_of, project, pull, push_pull, push_to, state_by, subject, unlisting,
};
use self::two_servers::pull_to;
use super::model::Row;
use super::story::{
    Authority, Extra, Listing, Name, Named, Object, Person, Pull, Refs, Repo, Step, Story, Subject, When,
};
use crate::target::Target;

/// How many pull requests a story may speak of.
const PULLS: usize = 3;

/// What stories are about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// What every GRASP server does.
    Core,
    /// Contributors' repositories below `/prs/`, too (GRASP-06).
    Contributors,
    /// The server and a peer of the auditor's (GRASP-02).
    TwoServers,
}

impl Scope {
    /// What a server does by itself, as this one says.
    #[must_use]
    pub fn of(target: &Target) -> Self {
        if target.supports("GRASP-06") { Self::Contributors } else { Self::Core }
    }

    /// The rows of the decision table that such stories exercise one by one; of two servers only the end is looked at.
    #[must_use]
    pub fn rows(self) -> Vec<Row> {
        let asked = |row: &Row| match self {
            Self::Core => !row.is_about_contributors(),
            Self::Contributors => true,
            Self::TwoServers => false,
        };
        Row::ALL.iter().copied().filter(asked).collect()
    }
}

type Tree<T> = Box<dyn ValueTree<Value = T>>;

/// A story that can be made simpler.
pub struct StoryTree {
    pub(super) pulls: Vec<Tree<Pull>>,
    pub(super) steps: Vec<Tree<Step>>,
    two_servers: bool,
}

impl StoryTree {
    /// The story as it is now.
    #[must_use]
    pub fn current(&self) -> Story {
        Story {
            pulls: self.pulls.iter().map(|pull| pull.current()).collect(),
            steps: self.steps.iter().map(|step| step.current()).collect(),
            two_servers: self.two_servers,
        }
    }
}

/// The story of this seed and case, of at most `most` steps: always the same.
#[must_use]
pub fn story_tree(seed: u64, case: u64, most: usize, scope: Scope) -> StoryTree {
    let hash = Sha256::digest(format!("grasp-audit property story {seed} {case}"));
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &hash);
    let mut author =
        Author { runner: TestRunner::new_with_rng(Config::default(), rng), scope, places: Vec::new() };
    let first = Repo { owner: author.draw(&owner()), project: author.draw(&project()) };
    author.places.push(first);
    let said = |number| match scope {
        Scope::Core => pull(number, first),
        Scope::Contributors => contributing_pull(number, first),
        Scope::TwoServers => pull_to(number, first),
    };
    let pulls = (0..PULLS).filter_map(|number| said(number).new_tree(&mut author.runner).ok()).collect();
    let two_servers = scope == Scope::TwoServers;
    let steps = if two_servers { author.two_servers(first, most) } else { author.steps(first, most.max(1)) };
    StoryTree { pulls, steps, two_servers }
}

type Scene = Vec<BoxedStrategy<Step>>;

/// Draws scene after scene.
struct Author {
    runner: TestRunner,
    scope: Scope,
    /// Repositories that have been announced, most likely: what follows is mostly about them.
    places: Vec<Repo>,
}

impl Author {
    fn steps(&mut self, first: Repo, most: usize) -> Vec<Tree<Step>> {
        let length = self.draw(&((most / 2).max(1)..=most));
        let mut steps: Vec<Tree<Step>> = Vec::new();
        // nearly every story needs a repository to begin with; a contributor's pull request does not
        let founded = match self.scope {
            Scope::Core | Scope::TwoServers => self.draw(&(0..12)) > 0,
            Scope::Contributors => self.draw(&(0..4)) > 0,
        };
        let mut next = if founded { self.founding(first) } else { Vec::new() };
        while steps.len() < length {
            steps.extend(next.iter().filter_map(|step| step.new_tree(&mut self.runner).ok()));
            next = self.scene();
        }
        steps.truncate(most);
        steps
    }

    fn draw<S: Strategy>(&mut self, strategy: &S) -> S::Value {
        // none of the strategies here rejects anything
        loop {
            if let Ok(tree) = strategy.new_tree(&mut self.runner) {
                return tree.current();
            }
        }
    }

    /// A repository that is there already, mostly.
    fn place(&mut self) -> Repo {
        let places = self.places.clone();
        self.draw(&places_of(places))
    }

    fn scene(&mut self) -> Scene {
        if self.scope == Scope::Contributors {
            match self.draw(&(0..6)) {
                0 => return self.contribution(),
                1 if self.draw(&any::<bool>()) => return self.contribution(),
                2 if self.draw(&any::<bool>()) => return vec![any_contribution().boxed()],
                _ => {}
            }
        }
        match self.draw(&(0u32..28)) {
            0..3 => {
                let project = self.place().project;
                let repo = Repo { owner: self.draw(&owner()), project };
                self.founding(repo)
            }
            3..8 => self.advance(),
            8..10 => self.tie(),
            10..14 => self.pull_request(),
            14..16 => self.data_from_elsewhere(),
            16..18 => self.retirement(),
            18..20 => self.conversation(),
            20..22 => vec![deletion(self.places.clone()).boxed()],
            22..25 => self.authority_moves(),
            25 => self.older_and_here(),
            _ => (0..self.draw(&(1usize..3))).map(|_| any_step(self.places.clone())).collect(),
        }
    }

    /// Somebody announces a repository; a state of it is published and pushed, mostly.
    fn founding(&mut self, repo: Repo) -> Scene {
        self.places.push(repo);
        let mut scene = vec![announce_here(repo).boxed()];
        let more = self.draw(&(0..8));
        if more > 0 {
            scene.push(state_by(repo, When::Later).boxed());
        }
        if more > 1 {
            scene.push(aligned(repo, repo.owner).boxed());
        }
        scene
    }

    /// A state by the owner or a maintainer, pushed to anybody's repository of the project.
    fn advance(&mut self) -> Scene {
        let (repo, other) = (self.place(), self.place());
        let by = if self.draw(&(0..4)) > 0 { repo.owner } else { self.draw(&owner()) };
        let to = if other.project == repo.project { other } else { repo };
        let mut scene = vec![state_by(Repo { owner: by, ..repo }, When::Later).boxed()];
        let other = self.draw(&other_than(by));
        let theirs = Repo { owner: other, ..repo };
        match self.draw(&(0..10)) {
            0 => scene.push(push_to(to).boxed()),
            1 | 2 => {
                // misses it first
                scene.push(missed(to, by).boxed());
                scene.push(aligned(to, by).boxed());
            }
            3 | 4 => {
                // two wait at once, and either may be pushed first
                scene.push(state_by(theirs, When::Later).boxed());
                let pushes = [aligned(to, other).boxed(), aligned(to, by).boxed()];
                let only = self.draw(&(1usize..3));
                scene.extend(pushes.into_iter().take(only));
            }
            5 => {
                // and what was before it once more
                scene.push(aligned(to, by).boxed());
                scene.push(former(to, by).boxed());
            }
            6 => {
                scene.push(aligned(to, by).boxed());
                scene.push(aligned(to, by).boxed());
            }
            _ => scene.push(aligned(to, by).boxed()),
        }
        scene
    }

    /// Two states, or two announcements, of the same second.
    fn tie(&mut self) -> Scene {
        let (repo, to) = (self.place(), self.place());
        let when = self.draw(&select(vec![When::TieLower, When::TieHigher, When::Older]));
        if self.draw(&(0..4)) == 0 {
            return vec![announce_here(repo).boxed(), announce_at(repo, when).boxed()];
        }
        let second = Repo { owner: self.draw(&other_than(repo.owner)), ..repo };
        let to = if to.project == repo.project { to } else { repo };
        let mut scene = vec![state_by(repo, When::Later).boxed()];
        if self.draw(&any::<bool>()) {
            scene.push(aligned(to, repo.owner).boxed());
        }
        scene.push(state_by(second, when).boxed());
        scene.push(aligned(to, second.owner).boxed());
        scene
    }

    /// A pull request: event and data in either order, the data twice, or of another tip; withdrawn, perhaps.
    fn pull_request(&mut self) -> Scene {
        let number = self.draw(&(0..PULLS));
        let to = self.place();
        let publish = Just(Step::Pull(number)).boxed();
        let push = |right: bool| push_pull(Just(to), Just(number), right).boxed();
        let withdraw =
            Step::Delete { by: Person::Dave, names: vec![Named::Id(Subject::Pull(number))], early: false };
        let withdraw = Just(withdraw).boxed();
        match self.draw(&(0..9)) {
            0 | 1 => vec![push(true), publish],
            2 => vec![push(false), publish, push(true)],
            3 => vec![publish, push(false), push(true)],
            4 => vec![publish, push(false)],
            5 => vec![publish, push(true), withdraw],
            6 => vec![publish, withdraw, Just(Step::Again(Subject::Pull(number))).boxed()],
            _ => vec![publish, push(true)],
        }
    }

    /// A state whose data comes by another way: with somebody else's push.
    fn data_from_elsewhere(&mut self) -> Scene {
        let repo = self.place();
        let elsewhere = Repo { owner: self.draw(&other_than(repo.owner)), ..repo };
        let mut scene = Vec::new();
        if !self.places.contains(&elsewhere) || self.draw(&(0..4)) == 0 {
            self.places.push(elsewhere);
            scene.push(announce_here(elsewhere).boxed());
        }
        scene.push(state_by(elsewhere, When::Later).boxed());
        scene.push(state_by(repo, When::Later).boxed());
        scene.push(aligned(elsewhere, elsewhere.owner).boxed());
        scene
    }

    /// Somebody is made maintainer after the fact, or announces elsewhere what they maintain here.
    fn authority_moves(&mut self) -> Scene {
        let repo = self.place();
        let other = self.draw(&other_than(repo.owner));
        let theirs = Repo { owner: other, ..repo };
        let lists = |lists, maintainers: Vec<Person>, repo| {
            let authority = Authority { maintainers, roles: Vec::new() };
            Just(Step::Announce { repo, lists, authority, when: When::Later }).boxed()
        };
        let given = lists(Listing::Us, vec![other], repo);
        let taken = lists(Listing::Us, Vec::new(), repo);
        let state = state_by(theirs, When::Later).boxed();
        let push = |to| aligned(to, other).boxed();
        match self.draw(&(0..5)) {
            0 => vec![
                lists(Listing::Elsewhere, Vec::new(), theirs),
                given,
                lists(Listing::Elsewhere, Vec::new(), theirs),
            ],
            1 => vec![given, state, push(repo), taken],
            2 => vec![given, state, push(repo)],
            _ => {
                self.places.push(theirs);
                vec![lists(Listing::Us, Vec::new(), theirs), state, push(theirs), given]
            }
        }
    }

    /// A state that is complete and older than the served one.
    fn older_and_here(&mut self) -> Scene {
        let repo = self.place();
        let second = Repo { owner: self.draw(&other_than(repo.owner)), ..repo };
        let refs = Refs::from([(Name::Main, Object::C1)]);
        let older =
            Step::State { repo: second, refs, head: Some(Name::Main), extra: Extra::None, when: When::Older };
        vec![state_by(repo, When::Later).boxed(), aligned(repo, repo.owner).boxed(), Just(older).boxed()]
    }

    /// A repository is no longer announced here, and perhaps again.
    fn retirement(&mut self) -> Scene {
        let repo = self.place();
        let leave = (unlisting(), authority(repo.owner)).prop_map(move |(lists, authority)| Step::Announce {
            repo,
            lists,
            authority,
            when: When::Later,
        });
        let delete = named_of(repo).prop_map(move |named| Step::Delete {
            by: repo.owner,
            names: vec![named],
            early: false,
        });
        let mut scene = vec![if self.draw(&any::<bool>()) { leave.boxed() } else { delete.boxed() }];
        match self.draw(&(0..4)) {
            0 => scene.push(announce_here(repo).boxed()),
            1 => scene.push(Just(Step::Again(Subject::Announcement(repo))).boxed()),
            2 => scene.push(Just(Step::Again(Subject::State(repo))).boxed()),
            _ => {}
        }
        scene
    }

    /// Issues, comments, the note and profiles.
    fn conversation(&mut self) -> Scene {
        let (by, about) = (self.draw(&person()), self.place());
        let issue = any::<bool>().prop_map(move |quotes| Step::Issue { by, about, quotes }).boxed();
        let comment =
            person().prop_map(move |other| Step::Comment { by: other, on: Subject::Issue(by) }).boxed();
        let more = prop_oneof![
            Just(Step::Note),
            person().prop_map(Step::Profile),
            subject(self.places.clone()).prop_map(move |on| Step::Comment { by, on }),
            Just(Step::Again(Subject::Note)),
            Just(Step::Delete { by, names: vec![Named::Id(Subject::Issue(by))], early: false }),
            Just(Step::Again(Subject::Issue(by))),
        ];
        let more = more.boxed();
        match self.draw(&(0..3)) {
            0 => vec![issue, comment],
            1 => vec![issue, more.clone(), comment, more],
            _ => vec![more.clone(), issue, more],
        }
    }
}
