//! The details of single steps: strategies whose first choice is the plainest, which is what they shrink to.

use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::BoxedStrategy;

use super::PULLS;
use crate::property::story::{
    Aim, Authority, Extra, Listing, Name, Named, Object, Pack, Person, Project, Pull, Refs, Repo, Role, Step,
    Subject, Twist, When,
};

/// One of these, mostly; shrinks to the first.
pub(super) fn places_of(places: Vec<Repo>) -> BoxedStrategy<Repo> {
    if places.is_empty() {
        return repo().boxed();
    }
    prop_oneof![9 => select(places), 1 => repo()].boxed()
}

pub(super) fn any_step(places: Vec<Repo>) -> BoxedStrategy<Step> {
    let repo = || places_of(places.clone());
    prop_oneof![
        3 => (repo(), listing(), when()).prop_flat_map(|(repo, lists, when)| {
            authority(repo.owner).prop_map(move |authority| Step::Announce { repo, lists, authority, when })
        }),
        3 => (repo(), when()).prop_flat_map(|(repo, when)| state_by(repo, when)),
        5 => repo().prop_flat_map(push_to),
        1 => (0..PULLS).prop_map(Step::Pull),
        2 => (repo(), 0..PULLS, any::<bool>())
            .prop_flat_map(|(to, number, right)| push_pull(Just(to), Just(number), right)),
        1 => (person(), repo(), any::<bool>()).prop_map(|(by, about, quotes)| Step::Issue { by, about, quotes }),
        2 => (person(), subject(places.clone())).prop_map(|(by, on)| Step::Comment { by, on }),
        1 => Just(Step::Note),
        1 => person().prop_map(Step::Profile),
        3 => deletion(places.clone()),
        2 => subject(places.clone()).prop_map(Step::Again),
    ]
    .boxed()
}

pub(super) fn announce_here(repo: Repo) -> impl Strategy<Value = Step> {
    announce_at(repo, When::Later)
}

pub(super) fn announce_at(repo: Repo, when: When) -> impl Strategy<Value = Step> {
    authority(repo.owner).prop_map(move |authority| Step::Announce {
        repo,
        lists: Listing::Us,
        authority,
        when,
    })
}

pub(super) fn state_by(repo: Repo, when: When) -> impl Strategy<Value = Step> {
    let extra = prop_oneof![16 => Just(Extra::None), 2 => Just(Extra::Ignored), 1 => Just(Extra::ImpossibleName), 1 => Just(Extra::Sha256)];
    let head = prop_oneof![6 => Just(Some(Name::Main)), 2 => Just(None), 1 => Just(Some(Name::Dev)), 1 => Just(Some(Name::DevNext))];
    (refs(), head, extra).prop_map(move |(refs, head, extra)| Step::State { repo, refs, head, extra, when })
}

pub(super) fn aligned(to: Repo, by: Person) -> impl Strategy<Value = Step> {
    pack().prop_map(move |pack| Step::Push { to, aim: Aim::Newest(by), twist: Twist::None, pack })
}

pub(super) fn former(to: Repo, by: Person) -> impl Strategy<Value = Step> {
    pack().prop_map(move |pack| Step::Push { to, aim: Aim::Former(by), twist: Twist::None, pack })
}

/// The push of a state with a ref too many, too few, or elsewhere.
pub(super) fn missed(to: Repo, by: Person) -> impl Strategy<Value = Step> {
    (twist(), pack()).prop_map(move |(twist, pack)| Step::Push { to, aim: Aim::Newest(by), twist, pack })
}

pub(super) fn twist() -> impl Strategy<Value = Twist> {
    let with = (name(), object()).prop_map(|(name, object)| Twist::With(name, object));
    prop_oneof![1 => name().prop_map(Twist::Without), 2 => with]
}

pub(super) fn push_to(to: Repo) -> impl Strategy<Value = Step> {
    let aim = prop_oneof![
        4 => owner().prop_map(Aim::Newest),
        2 => owner().prop_map(Aim::Former),
        1 => Just(Aim::Newest(Person::Dave)),
        1 => Just(Aim::InPlace),
        1 => refs().prop_map(Aim::Refs),
    ];
    let twist = prop_oneof![1 => Just(Twist::None), 1 => twist()];
    (aim, twist, pack()).prop_map(move |(aim, twist, pack)| Step::Push { to, aim, twist, pack })
}

pub(super) fn push_pull(
    to: impl Strategy<Value = Repo>,
    number: impl Strategy<Value = usize>,
    right: bool,
) -> impl Strategy<Value = Step> {
    let other = if right { Just(None).boxed() } else { commit().prop_map(Some).boxed() };
    (to, number, other, pack()).prop_map(|(to, number, other, pack)| Step::PushPull {
        to,
        number,
        other,
        pack,
    })
}

pub(super) fn deletion(places: Vec<Repo>) -> impl Strategy<Value = Step> {
    let own = (places_of(places.clone()), any::<bool>()).prop_flat_map(|(repo, early)| {
        named_of(repo).prop_map(move |named| Step::Delete {
            by: repo.owner,
            names: vec![named],
            early: early && is_address(named),
        })
    });
    let any_named = prop::collection::vec(named(places), 1..3);
    let anyones = (person(), any_named).prop_map(|(by, names)| Step::Delete { by, names, early: false });
    let conversation = (person(), 0..PULLS).prop_flat_map(|(by, number)| {
        select(vec![
            Subject::Issue(by),
            Subject::Comment(by),
            Subject::Profile(by),
            Subject::Pull(number),
            Subject::Note,
        ])
        .prop_map(move |subject| Step::Delete {
            by: if matches!(subject, Subject::Pull(_) | Subject::Note) { Person::Dave } else { by },
            names: vec![Named::Id(subject)],
            early: false,
        })
    });
    prop_oneof![4 => own, 2 => anyones, 2 => conversation]
}

pub(super) fn is_address(named: Named) -> bool {
    !matches!(named, Named::Id(_))
}

/// Ways to name what the owner of this repository has published about it.
pub(super) fn named_of(repo: Repo) -> impl Strategy<Value = Named> {
    select(vec![
        Named::Id(Subject::State(repo)),
        Named::Id(Subject::Announcement(repo)),
        Named::StateAddress(repo),
        Named::AnnouncementAddress(repo),
        Named::Id(Subject::FormerState(repo)),
        Named::Id(Subject::FormerAnnouncement(repo)),
    ])
}

pub(super) fn named(places: Vec<Repo>) -> impl Strategy<Value = Named> {
    let repo = || places_of(places.clone());
    prop_oneof![
        3 => subject(places.clone()).prop_map(Named::Id),
        1 => repo().prop_map(Named::AnnouncementAddress),
        1 => repo().prop_map(Named::StateAddress),
    ]
}

pub(super) fn subject(places: Vec<Repo>) -> impl Strategy<Value = Subject> {
    let repo = || places_of(places.clone());
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

/// A pull request, most likely to the first repository of the story.
pub(super) fn pull(number: usize, first: Repo) -> BoxedStrategy<Pull> {
    let by = prop_oneof![5 => Just(Person::Dave), 1 => person()];
    let names = prop_oneof![
        6 => Just(vec![first]),
        1 => repo().prop_map(|one| vec![one]),
        3 => (Just(first), repo()).prop_map(|(one, other)| if one == other { vec![one] } else { vec![one, other] }),
    ];
    (by, names, commit(), updates(number))
        .prop_map(|(by, names, tip, updates)| Pull { by, names, tip, updates, contributed: None })
        .boxed()
}

/// Which earlier pull request this one updates, if any.
pub(super) fn updates(number: usize) -> BoxedStrategy<Option<usize>> {
    if number == 0 {
        Just(None).boxed()
    } else {
        prop_oneof![2 => Just(None), 1 => (0..number).prop_map(Some)].boxed()
    }
}

/// Heads and tags that can be beside each other.
pub(super) fn refs() -> impl Strategy<Value = Refs> {
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

pub(super) fn authority(of: Person) -> impl Strategy<Value = Authority> {
    let maintainers = prop_oneof![
        2 => Just(Vec::new()),
        5 => other_than(of).prop_map(|one| vec![one]),
        1 => prop::collection::vec(person(), 2..3),
    ];
    let role = (select(vec!['m', 'M', 'o']), owner(), any::<bool>())
        .prop_map(|(letter, person, active)| Role { letter, person, active });
    let roles = prop_oneof![8 => Just(Vec::new()), 1 => prop::collection::vec(role, 1..3)];
    (maintainers, roles).prop_map(|(maintainers, roles)| Authority { maintainers, roles })
}

pub(super) fn listing() -> impl Strategy<Value = Listing> {
    prop_oneof![3 => Just(Listing::Us), 2 => unlisting()]
}

pub(super) fn unlisting() -> impl Strategy<Value = Listing> {
    select(vec![Listing::Elsewhere, Listing::CloneOnly, Listing::RelaysOnly])
}

pub(super) fn when() -> impl Strategy<Value = When> {
    prop_oneof![4 => Just(When::Later), 1 => Just(When::TieLower), 1 => Just(When::TieHigher), 1 => Just(When::Older)]
}

pub(super) fn pack() -> impl Strategy<Value = Pack> {
    prop_oneof![6 => Just(Pack::Whole), 3 => Just(Pack::Missing), 1 => Just(Pack::Empty)]
}

pub(super) fn owner() -> impl Strategy<Value = Person> {
    prop_oneof![5 => Just(Person::Alice), 4 => Just(Person::Bob), 1 => Just(Person::Carol)]
}

/// Another owner, mostly.
pub(super) fn other_than(person: Person) -> impl Strategy<Value = Person> {
    let other = if person == Person::Alice { Person::Bob } else { Person::Alice };
    prop_oneof![6 => Just(other), 1 => owner()]
}

pub(super) fn person() -> impl Strategy<Value = Person> {
    select(Person::ALL.to_vec())
}

pub(super) fn project() -> impl Strategy<Value = Project> {
    prop_oneof![9 => Just(Project::X), 1 => Just(Project::Y)]
}

pub(super) fn repo() -> impl Strategy<Value = Repo> {
    (owner(), project()).prop_map(|(owner, project)| Repo { owner, project })
}

pub(super) fn name() -> impl Strategy<Value = Name> {
    select(Name::ALL.to_vec())
}

pub(super) fn object() -> impl Strategy<Value = Object> {
    select(Object::ALL.to_vec())
}

pub(super) fn commit() -> impl Strategy<Value = Object> {
    select(vec![Object::C1, Object::C2, Object::C3, Object::D2, Object::R1])
}
