//! Scenes below `/prs/` (GRASP-06): a pull request and its data in either order, in the right place and in others.

use proptest::prelude::*;
use proptest::strategy::BoxedStrategy;

use super::steps::{commit, name, object, owner, pack, person, project, repo};
use super::{Author, PULLS, Scene};
use crate::property::story::{Named, Person, Place, Pull, Repo, Step, Subject};

impl Author {
    /// The data of a pull request is pushed to its author's repository, before the event or after it.
    pub(super) fn contribution(&mut self) -> Scene {
        let number = self.draw(&(0..PULLS));
        let publish = Just(Step::Pull(number)).boxed();
        let push = |to, right| contribute(Just(number), to, right).boxed();
        let foreign = Place::Of(self.draw(&contributor()));
        match self.draw(&(0..14)) {
            0..3 => vec![publish, push(Place::Own, true)],
            3..5 => vec![push(Place::Own, true), publish],
            5 => vec![push(Place::Own, false), publish, push(Place::Own, true)],
            6 => vec![publish, push(Place::Own, false), push(Place::Own, true)],
            7 => vec![push(foreign, true), publish, push(Place::Own, true)],
            8 => vec![publish, push(foreign, true), push(Place::Own, true)],
            9 => vec![push(foreign, true), push(Place::Own, true), publish],
            10 => {
                let hosted = self.place();
                let other = super::push_pull(Just(hosted), Just(number), true).boxed();
                let mut scene = vec![other, push(Place::Own, true)];
                let at = self.draw(&(0usize..3));
                scene.insert(at, publish);
                scene
            }
            11 => vec![push(Place::Own, true), publish, withdraw(number), push(Place::Own, true)],
            12 => vec![publish, push(Place::Own, true), withdraw(number), again(number)],
            _ => vec![contributed_ref().boxed()],
        }
    }
}

fn withdraw(number: usize) -> BoxedStrategy<Step> {
    let names = vec![Named::Id(Subject::Pull(number))];
    Just(Step::Delete { by: Person::Dave, names, early: false }).boxed()
}

fn again(number: usize) -> BoxedStrategy<Step> {
    Just(Step::Again(Subject::Pull(number))).boxed()
}

/// A step below `/prs/`, drawn blindly.
pub(super) fn any_contribution() -> impl Strategy<Value = Step> {
    let place = prop_oneof![2 => Just(Place::Own), 1 => contributor().prop_map(Place::Of)];
    let pushed = (place, any::<bool>()).prop_flat_map(|(to, right)| contribute(0..PULLS, to, right));
    prop_oneof![4 => pushed, 1 => contributed_ref()]
}

fn contribute(number: impl Strategy<Value = usize>, to: Place, right: bool) -> impl Strategy<Value = Step> {
    let other = if right { Just(None).boxed() } else { commit().prop_map(Some).boxed() };
    (number, other, pack()).prop_map(move |(number, other, pack)| Step::Contribute {
        number,
        to,
        other,
        pack,
    })
}

fn contributed_ref() -> impl Strategy<Value = Step> {
    (contributor(), name(), object()).prop_map(|(to, name, object)| Step::ContributeRef { to, name, object })
}

/// Somebody's repository below `/prs/`, most likely Dave's.
fn contributor() -> impl Strategy<Value = Repo> {
    let owner = prop_oneof![2 => Just(Person::Dave), 1 => owner()];
    (owner, project()).prop_map(|(owner, project)| Repo { owner, project })
}

/// A pull request, to the first repository of the story or to one that may be hosted nowhere, with its data below `/prs/`
/// mostly.
pub(super) fn contributing_pull(number: usize, first: Repo) -> BoxedStrategy<Pull> {
    let by = prop_oneof![8 => Just(Person::Dave), 1 => person()];
    let names = prop_oneof![
        3 => Just(vec![first]),
        3 => repo().prop_map(|one| vec![one]),
        2 => (repo(), Just(first)).prop_map(|(one, other)| if one == other { vec![one] } else { vec![one, other] }),
    ];
    let contributed = prop_oneof![
        5 => Just(Some(Place::Own)),
        2 => Just(None),
        1 => contributor().prop_map(|repo| Some(Place::Of(repo))),
    ];
    (by, names, commit(), super::steps::updates(number), contributed)
        .prop_map(|(by, names, tip, updates, contributed)| Pull { by, names, tip, updates, contributed })
        .boxed()
}
