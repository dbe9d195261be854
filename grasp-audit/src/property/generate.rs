//! Where stories come from: proptest's strategies, one tree per step, so that a failing step shrinks by itself while
//! [`super::shrink`] leaves steps out.
//!
//! Steps drawn blindly would mostly be refused. So a story is a row of *scenes* (a repository is founded, a state is
//! published and pushed, two states tie, a pull request comes in either order, …), each with its details drawn, and
//! steps drawn blindly between them.

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::{BoxedStrategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use sha2::{Digest, Sha256};

use super::story::{
    Aim, Authority, Extra, Listing, Name, Named, Object, Pack, Person, Project, Pull, Refs, Repo, Role, Step, Story,
    Subject, Twist, When,
};

/// How many pull requests a story may speak of.
const PULLS: usize = 3;

type Tree<T> = Box<dyn ValueTree<Value = T>>;

/// A story that can be made simpler.
pub struct StoryTree {
    pub(super) pulls: Vec<Tree<Pull>>,
    pub(super) steps: Vec<Tree<Step>>,
}

impl StoryTree {
    /// The story as it is now.
    #[must_use]
    pub fn current(&self) -> Story {
        Story {
            pulls: self.pulls.iter().map(|pull| pull.current()).collect(),
            steps: self.steps.iter().map(|step| step.current()).collect(),
        }
    }
}

/// The story of this seed and case, of at most `most` steps: always the same.
#[must_use]
pub fn story_tree(seed: u64, case: u64, most: usize) -> StoryTree {
    let hash = Sha256::digest(format!("grasp-audit property story {seed} {case}"));
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &hash);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let most = most.max(1);
    let length = drawn(&((most / 3).max(1)..=most), &mut runner);
    let mut steps: Vec<Tree<Step>> = Vec::new();
    // nearly every story needs a repository to begin with
    let mut next = if drawn(&(0..8), &mut runner) > 0 { founding(&mut runner) } else { Vec::new() };
    while steps.len() < length {
        steps.extend(next.iter().filter_map(|step| step.new_tree(&mut runner).ok()));
        next = scene(&mut runner);
    }
    steps.truncate(most);
    let pulls = (0..PULLS).filter_map(|number| pull(number).boxed().new_tree(&mut runner).ok()).collect();
    StoryTree { pulls, steps }
}

fn drawn<S: Strategy>(strategy: &S, runner: &mut TestRunner) -> S::Value {
    // none of the strategies here rejects anything
    loop {
        if let Ok(tree) = strategy.new_tree(runner) {
            return tree.current();
        }
    }
}

type Scene = Vec<BoxedStrategy<Step>>;

fn scene(runner: &mut TestRunner) -> Scene {
    match drawn(&(0u32..20), runner) {
        0..2 => founding(runner),
        2..6 => advance(runner),
        6..8 => tie(runner),
        8..11 => pull_request(runner),
        11 => data_from_elsewhere(runner),
        12 => retirement(runner),
        13 => conversation(runner),
        14 => vec![deletion().boxed()],
        _ => (0..drawn(&(1usize..3), runner)).map(|_| any_step()).collect(),
    }
}

/// Somebody announces a repository; a state of it is published and pushed, mostly.
fn founding(runner: &mut TestRunner) -> Scene {
    let (owner, project) = (drawn(&owner(), runner), drawn(&project(), runner));
    let repo = Repo { owner, project };
    let mut scene = vec![announce_here(repo).boxed()];
    let more = drawn(&(0..6), runner);
    if more > 0 {
        scene.push(state_by(repo, When::Later).boxed());
    }
    if more > 1 {
        scene.push(aligned(repo, owner).boxed());
    }
    scene
}

/// A state by anybody, pushed to anybody's repository.
fn advance(runner: &mut TestRunner) -> Scene {
    let (by, owner, project) = (drawn(&owner(), runner), drawn(&owner(), runner), drawn(&project(), runner));
    let mut scene = vec![state_by(Repo { owner: by, project }, When::Later).boxed()];
    let to = Repo { owner, project };
    match drawn(&(0..6), runner) {
        0 => scene.push(push_to(to).boxed()),
        1 => {
            let other = drawn(&super::generate::owner(), runner);
            scene.push(state_by(Repo { owner: other, project }, When::Later).boxed());
            scene.push(aligned(to, by).boxed());
        }
        2 => {
            scene.push(aligned(to, by).boxed());
            scene.push(aligned(to, by).boxed());
        }
        _ => scene.push(aligned(to, by).boxed()),
    }
    scene
}

/// Two states, or two announcements, of the same second.
fn tie(runner: &mut TestRunner) -> Scene {
    let (first, second, project) = (drawn(&owner(), runner), drawn(&owner(), runner), drawn(&project(), runner));
    let when = drawn(&select(vec![When::TieLower, When::TieHigher, When::Older]), runner);
    if drawn(&(0..4), runner) == 0 {
        let repo = Repo { owner: first, project };
        return vec![announce_here(repo).boxed(), announce_at(repo, when).boxed()];
    }
    let (one, other) = (Repo { owner: first, project }, Repo { owner: second, project });
    let to = Repo { owner: drawn(&owner(), runner), project };
    let mut scene = vec![state_by(one, When::Later).boxed()];
    if drawn(&any::<bool>(), runner) {
        scene.push(aligned(to, first).boxed());
    }
    scene.push(state_by(other, when).boxed());
    scene.push(aligned(to, second).boxed());
    scene
}

/// A pull request: event and data in either order, the data twice, or of another tip.
fn pull_request(runner: &mut TestRunner) -> Scene {
    let number = drawn(&(0..PULLS), runner);
    let to = Repo { owner: drawn(&owner(), runner), project: drawn(&project(), runner) };
    let publish = Just(Step::Pull(number)).boxed();
    let push = |right: bool| push_pull(Just(to), Just(number), right).boxed();
    match drawn(&(0..6), runner) {
        0 => vec![push(true), publish],
        1 => vec![push(false), publish, push(true)],
        2 => vec![publish, push(false), push(true)],
        3 => vec![publish],
        _ => vec![publish, push(true)],
    }
}

/// A state whose data comes by another way: with somebody else's push, or with a pull request.
fn data_from_elsewhere(runner: &mut TestRunner) -> Scene {
    let (by, other, project) = (drawn(&owner(), runner), drawn(&owner(), runner), drawn(&project(), runner));
    let (repo, elsewhere) = (Repo { owner: by, project }, Repo { owner: other, project });
    vec![
        announce_here(elsewhere).boxed(),
        state_by(elsewhere, When::Later).boxed(),
        state_by(repo, When::Later).boxed(),
        aligned(elsewhere, other).boxed(),
    ]
}

/// A repository is no longer announced here, and perhaps again.
fn retirement(runner: &mut TestRunner) -> Scene {
    let repo = Repo { owner: drawn(&owner(), runner), project: drawn(&project(), runner) };
    let leave = (unlisting(), authority()).prop_map(move |(lists, authority)| Step::Announce {
        repo,
        lists,
        authority,
        when: When::Later,
    });
    let delete = named_of(repo).prop_map(move |named| Step::Delete { by: repo.owner, names: vec![named], early: false });
    let mut scene =
        vec![if drawn(&any::<bool>(), runner) { leave.boxed() } else { delete.boxed() }];
    match drawn(&(0..3), runner) {
        0 => scene.push(announce_here(repo).boxed()),
        1 => scene.push(Just(Step::Again(Subject::Announcement(repo))).boxed()),
        _ => {}
    }
    scene
}

/// Issues, comments, the note and profiles.
fn conversation(runner: &mut TestRunner) -> Scene {
    let (by, about) = (drawn(&person(), runner), drawn(&repo(), runner));
    let issue = any::<bool>().prop_map(move |quotes| Step::Issue { by, about, quotes }).boxed();
    let comment = person().prop_map(move |other| Step::Comment { by: other, on: Subject::Issue(by) }).boxed();
    let more = prop_oneof![
        Just(Step::Note),
        person().prop_map(Step::Profile),
        subject().prop_map(move |on| Step::Comment { by, on }),
        Just(Step::Again(Subject::Note)),
        Just(Step::Delete { by, names: vec![Named::Id(Subject::Issue(by))], early: false }),
    ];
    let more = more.boxed();
    match drawn(&(0..3), runner) {
        0 => vec![issue, comment],
        1 => vec![issue, more.clone(), comment, more],
        _ => vec![more.clone(), issue, more],
    }
}

fn any_step() -> BoxedStrategy<Step> {
    prop_oneof![
        3 => (repo(), listing(), authority(), when())
            .prop_map(|(repo, lists, authority, when)| Step::Announce { repo, lists, authority, when }),
        3 => (repo(), when()).prop_flat_map(|(repo, when)| state_by(repo, when)),
        5 => repo().prop_flat_map(push_to),
        1 => (0..PULLS).prop_map(Step::Pull),
        2 => (0..PULLS, any::<bool>()).prop_flat_map(|(number, right)| push_pull(repo(), Just(number), right)),
        1 => (person(), repo(), any::<bool>()).prop_map(|(by, about, quotes)| Step::Issue { by, about, quotes }),
        2 => (person(), subject()).prop_map(|(by, on)| Step::Comment { by, on }),
        1 => Just(Step::Note),
        1 => person().prop_map(Step::Profile),
        3 => deletion(),
        2 => subject().prop_map(Step::Again),
    ]
    .boxed()
}

fn announce_here(repo: Repo) -> impl Strategy<Value = Step> {
    announce_at(repo, When::Later)
}

fn announce_at(repo: Repo, when: When) -> impl Strategy<Value = Step> {
    authority().prop_map(move |authority| Step::Announce { repo, lists: Listing::Us, authority, when })
}

fn state_by(repo: Repo, when: When) -> impl Strategy<Value = Step> {
    let extra = prop_oneof![16 => Just(Extra::None), 2 => Just(Extra::Ignored), 1 => Just(Extra::ImpossibleName), 1 => Just(Extra::Sha256)];
    let head = prop_oneof![6 => Just(Some(Name::Main)), 2 => Just(None), 1 => Just(Some(Name::Dev)), 1 => Just(Some(Name::DevNext))];
    (refs(), head, extra).prop_map(move |(refs, head, extra)| Step::State { repo, refs, head, extra, when })
}

fn aligned(to: Repo, by: Person) -> impl Strategy<Value = Step> {
    pack().prop_map(move |pack| Step::Push { to, aim: Aim::Newest(by), twist: Twist::None, pack })
}

fn push_to(to: Repo) -> impl Strategy<Value = Step> {
    let aim = prop_oneof![
        4 => owner().prop_map(Aim::Newest),
        2 => owner().prop_map(Aim::Former),
        1 => Just(Aim::Newest(Person::Dave)),
        1 => Just(Aim::InPlace),
        1 => refs().prop_map(Aim::Refs),
    ];
    let twist = prop_oneof![
        4 => Just(Twist::None),
        2 => name().prop_map(Twist::Without),
        2 => (name(), object()).prop_map(|(name, object)| Twist::With(name, object)),
    ];
    (aim, twist, pack()).prop_map(move |(aim, twist, pack)| Step::Push { to, aim, twist, pack })
}

fn push_pull(
    to: impl Strategy<Value = Repo>,
    number: impl Strategy<Value = usize>,
    right: bool,
) -> impl Strategy<Value = Step> {
    let other = if right { Just(None).boxed() } else { commit().prop_map(Some).boxed() };
    (to, number, other, pack()).prop_map(|(to, number, other, pack)| Step::PushPull { to, number, other, pack })
}

fn deletion() -> impl Strategy<Value = Step> {
    let own = (repo(), any::<bool>()).prop_flat_map(|(repo, early)| {
        named_of(repo).prop_map(move |named| Step::Delete { by: repo.owner, names: vec![named], early: early && is_address(named) })
    });
    let any_named = prop::collection::vec(named(), 1..3);
    let anyones = (person(), any_named).prop_map(|(by, names)| Step::Delete { by, names, early: false });
    let conversation = (person(), 0..PULLS).prop_flat_map(|(by, number)| {
        select(vec![Subject::Issue(by), Subject::Comment(by), Subject::Profile(by), Subject::Pull(number), Subject::Note])
            .prop_map(move |subject| Step::Delete {
                by: if matches!(subject, Subject::Pull(_) | Subject::Note) { Person::Dave } else { by },
                names: vec![Named::Id(subject)],
                early: false,
            })
    });
    prop_oneof![3 => own, 2 => anyones, 2 => conversation]
}

fn is_address(named: Named) -> bool {
    !matches!(named, Named::Id(_))
}

/// Ways to name what the owner of this repository has published about it.
fn named_of(repo: Repo) -> impl Strategy<Value = Named> {
    select(vec![
        Named::Id(Subject::State(repo)),
        Named::Id(Subject::Announcement(repo)),
        Named::StateAddress(repo),
        Named::AnnouncementAddress(repo),
        Named::Id(Subject::FormerState(repo)),
        Named::Id(Subject::FormerAnnouncement(repo)),
    ])
}

fn named() -> impl Strategy<Value = Named> {
    prop_oneof![
        3 => subject().prop_map(Named::Id),
        1 => repo().prop_map(Named::AnnouncementAddress),
        1 => repo().prop_map(Named::StateAddress),
    ]
}

fn subject() -> impl Strategy<Value = Subject> {
    prop_oneof![
        2 => repo().prop_map(Subject::Announcement),
        2 => repo().prop_map(Subject::State),
        1 => repo().prop_map(Subject::FormerAnnouncement),
        1 => repo().prop_map(Subject::FormerState),
        2 => (0..PULLS).prop_map(Subject::Pull),
        1 => person().prop_map(Subject::Issue),
        1 => person().prop_map(Subject::Comment),
        1 => Just(Subject::Note),
    ]
}

fn pull(number: usize) -> impl Strategy<Value = Pull> {
    let by = prop_oneof![3 => Just(Person::Dave), 1 => person()];
    let names = prop_oneof![
        4 => repo().prop_map(|one| vec![one]),
        2 => (repo(), repo()).prop_map(|(one, other)| if one == other { vec![one] } else { vec![one, other] }),
    ];
    let updates = if number == 0 { Just(None).boxed() } else { prop_oneof![2 => Just(None), 1 => (0..number).prop_map(Some)].boxed() };
    (by, names, commit(), updates).prop_map(|(by, names, tip, updates)| Pull { by, names, tip, updates })
}

/// Heads and tags that can be beside each other.
fn refs() -> impl Strategy<Value = Refs> {
    let side = prop_oneof![
        5 => Just(None),
        2 => commit().prop_map(|commit| Some((Name::Dev, commit))),
        1 => commit().prop_map(|commit| Some((Name::DevNext, commit))),
    ];
    let tag = |name| {
        prop_oneof![
            6 => Just(None),
            1 => Just(Some((name, Object::T2))),
            1 => commit().prop_map(move |commit| Some((name, commit))),
        ]
    };
    let main = prop_oneof![12 => commit().prop_map(|commit| Some((Name::Main, commit))), 2 => Just(None)];
    (main, side, tag(Name::V1), tag(Name::V2))
        .prop_map(|(main, side, v1, v2)| [main, side, v1, v2].into_iter().flatten().collect())
}

fn authority() -> impl Strategy<Value = Authority> {
    let maintainers = prop_oneof![
        2 => Just(Vec::new()),
        4 => owner().prop_map(|one| vec![one]),
        1 => prop::collection::vec(person(), 2..3),
    ];
    let role = (select(vec!['m', 'M', 'o']), owner(), any::<bool>())
        .prop_map(|(letter, person, active)| Role { letter, person, active });
    let roles = prop_oneof![8 => Just(Vec::new()), 1 => prop::collection::vec(role, 1..3)];
    (maintainers, roles).prop_map(|(maintainers, roles)| Authority { maintainers, roles })
}

fn listing() -> impl Strategy<Value = Listing> {
    prop_oneof![3 => Just(Listing::Us), 2 => unlisting()]
}

fn unlisting() -> impl Strategy<Value = Listing> {
    select(vec![Listing::Elsewhere, Listing::CloneOnly, Listing::RelaysOnly])
}

fn when() -> impl Strategy<Value = When> {
    prop_oneof![4 => Just(When::Later), 1 => Just(When::TieLower), 1 => Just(When::TieHigher), 1 => Just(When::Older)]
}

fn pack() -> impl Strategy<Value = Pack> {
    prop_oneof![6 => Just(Pack::Whole), 3 => Just(Pack::Missing), 1 => Just(Pack::Empty)]
}

fn owner() -> impl Strategy<Value = Person> {
    prop_oneof![5 => Just(Person::Alice), 4 => Just(Person::Bob), 1 => Just(Person::Carol)]
}

fn person() -> impl Strategy<Value = Person> {
    select(Person::ALL.to_vec())
}

fn project() -> impl Strategy<Value = Project> {
    prop_oneof![9 => Just(Project::X), 1 => Just(Project::Y)]
}

fn repo() -> impl Strategy<Value = Repo> {
    (owner(), project()).prop_map(|(owner, project)| Repo { owner, project })
}

fn name() -> impl Strategy<Value = Name> {
    select(Name::ALL.to_vec())
}

fn object() -> impl Strategy<Value = Object> {
    select(Object::ALL.to_vec())
}

fn commit() -> impl Strategy<Value = Object> {
    select(vec![Object::C1, Object::C2, Object::C3, Object::D2, Object::R1])
}
