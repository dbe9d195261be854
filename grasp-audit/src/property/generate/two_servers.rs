//! Stories of two servers (GRASP-02): what comes of them must not depend on who hears of what first, so nothing is deleted,
//! no repository leaves, nobody's authority is taken back, and `main` is always there and `HEAD`.

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::BoxedStrategy;

use super::steps::{commit, other_than, person, refs, updates};
use super::{Author, PULLS, Scene, Tree};
use crate::property::story::{
    Aim, Authority, Extra, Listing, Name, Pack, Person, Pull, Repo, Site, Step, Subject, Twist, When,
};

impl Author {
    /// A repository is announced to the server under test, and names the peer; then things happen at both.
    pub(super) fn two_servers(&mut self, first: Repo, most: usize) -> Vec<Tree<Step>> {
        let length = self.draw(&((most / 2).max(2)..=most.max(2)));
        let mut steps = vec![announced(first, select(vec![Site::Target, Site::Both]))];
        while steps.len() < length {
            let mut scene = self.at_both();
            if self.draw(&(0..3)) == 0 {
                let at = self.draw(&(0..=scene.len()));
                scene.insert(at, Just(Step::PeerLeaves).boxed());
                if self.draw(&(0..3)) > 0 {
                    scene.push(Just(Step::PeerReturns).boxed());
                }
            }
            steps.extend(scene);
        }
        steps.truncate(most);
        steps.iter().filter_map(|step| step.new_tree(&mut self.runner).ok()).collect()
    }

    fn at_both(&mut self) -> Scene {
        let repo = self.place_announced();
        match self.draw(&(0..12)) {
            0..5 => self.advance_somewhere(repo),
            5..7 => {
                let other = Repo { owner: self.draw(&other_than(repo.owner)), ..repo };
                if self.places.contains(&other) {
                    return self.advance_somewhere(repo);
                }
                self.places.push(other);
                let mut scene = vec![announced(other, site())];
                scene.extend(self.advance_somewhere(other));
                scene
            }
            7..10 => self.pull_somewhere(),
            _ => {
                let by = self.draw(&person());
                let issue = site()
                    .prop_map(move |at| published(Step::Issue { by, about: repo, quotes: false }, at, None));
                let comment = (person(), site()).prop_map(move |(other, at)| {
                    published(Step::Comment { by: other, on: Subject::Issue(by) }, at, None)
                });
                vec![issue.boxed(), comment.boxed()]
            }
        }
    }

    /// A repository that this story has announced.
    fn place_announced(&mut self) -> Repo {
        let places = self.places.clone();
        self.draw(&select(places))
    }

    /// A state; its data is at the peer, or pushed to the server, or nowhere.
    fn advance_somewhere(&mut self, repo: Repo) -> Scene {
        let by = if self.draw(&(0..4)) > 0 { repo.owner } else { self.draw(&other_than(repo.owner)) };
        let way = self.draw(&(0..10));
        let (at, data) = match way {
            // what somebody publishes at the server waits for a push
            0..6 => (Site::Peer, Some(repo)),
            6..9 => (self.draw(&select(vec![Site::Target, Site::Both])), None),
            _ => (self.draw(&site()), None),
        };
        let when = self.draw(&prop_oneof![6 => Just(When::Later), 1 => Just(When::Older)]);
        let state = stated(Repo { owner: by, ..repo }, when);
        let mut scene = vec![state.prop_map(move |step| published(step, at, data)).boxed()];
        if (6..9).contains(&way) {
            let push = Step::Push { to: repo, aim: Aim::Newest(by), twist: Twist::None, pack: Pack::Whole };
            scene.push(Just(push).boxed());
        }
        scene
    }

    /// A pull request; its data is at the peer, or pushed to the server before or after, or nowhere.
    fn pull_somewhere(&mut self) -> Scene {
        let repo = self.places[0];
        let number = self.draw(&(0..PULLS));
        let push = Just(Step::PushPull { to: repo, number, other: None, pack: Pack::Whole }).boxed();
        let hosted = Just(published(Step::Pull(number), Site::Peer, Some(repo))).boxed();
        let publish = site().prop_map(move |at| published(Step::Pull(number), at, None)).boxed();
        match self.draw(&(0..8)) {
            0..4 => vec![hosted],
            4 | 5 => vec![publish, push],
            6 => vec![push, publish],
            _ => vec![publish],
        }
    }
}

fn published(step: Step, at: Site, data: Option<Repo>) -> Step {
    Step::Published { step: Box::new(step), at, data }
}

fn site() -> impl Strategy<Value = Site> {
    select(vec![Site::Peer, Site::Target, Site::Both])
}

fn announced(repo: Repo, at: impl Strategy<Value = Site> + 'static) -> BoxedStrategy<Step> {
    let maintainers = prop_oneof![
        1 => Just(Vec::new()),
        3 => other_than(repo.owner).prop_map(|other| vec![other]),
    ];
    (maintainers, at)
        .prop_map(move |(maintainers, at)| {
            let authority = Authority { maintainers, roles: Vec::new() };
            published(Step::Announce { repo, lists: Listing::Us, authority, when: When::Later }, at, None)
        })
        .boxed()
}

fn stated(repo: Repo, when: When) -> impl Strategy<Value = Step> {
    (refs(), commit()).prop_map(move |(mut refs, main)| {
        refs.entry(Name::Main).or_insert(main);
        Step::State { repo, refs, head: Some(Name::Main), extra: Extra::None, when }
    })
}

/// A pull request to the first repository.
pub(super) fn pull_to(number: usize, first: Repo) -> BoxedStrategy<Pull> {
    let by = prop_oneof![5 => Just(Person::Dave), 1 => person()];
    (by, commit(), updates(number))
        .prop_map(move |(by, tip, updates)| Pull { by, names: vec![first], tip, updates, contributed: None })
        .boxed()
}
