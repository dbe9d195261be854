//! A story: what a few people do to a few repositories, one step after the other.
//!
//! Steps name people, projects and objects of a small fixed world, never ids, so that the same story can be told again
//! under fresh identifiers. What a step refers to it names by its role ("Bob's newest state"), so that it keeps its
//! meaning when other steps are left out.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

/// Who does something. Everybody has a key of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Person {
    /// Mostly an owner.
    Alice,
    /// Mostly a co-maintainer, or an owner.
    Bob,
    /// Another of those.
    Carol,
    /// Mostly a stranger.
    Dave,
}

impl Person {
    /// Everybody.
    pub const ALL: [Self; 4] = [Self::Alice, Self::Bob, Self::Carol, Self::Dave];
}

/// An identifier (`d`) that several people may use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Project {
    /// The one most steps are about.
    X,
    /// Another one.
    Y,
}

impl Project {
    /// Both.
    pub const ALL: [Self; 2] = [Self::X, Self::Y];
}

/// Somebody's repository of a project, or its address.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Repo {
    /// Its owner.
    pub owner: Person,
    /// Its identifier.
    pub project: Project,
}

/// A branch or tag of the small world.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Name {
    /// `refs/heads/main`
    #[serde(rename = "refs/heads/main")]
    Main,
    /// `refs/heads/dev`
    #[serde(rename = "refs/heads/dev")]
    Dev,
    /// `refs/heads/dev/next`, which cannot be beside `dev`.
    #[serde(rename = "refs/heads/dev/next")]
    DevNext,
    /// `refs/tags/v1`
    #[serde(rename = "refs/tags/v1")]
    V1,
    /// `refs/tags/v2`
    #[serde(rename = "refs/tags/v2")]
    V2,
}

impl Name {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Main, Self::Dev, Self::DevNext, Self::V1, Self::V2];

    /// The full name.
    #[must_use]
    pub fn full(self) -> &'static str {
        match self {
            Self::Main => "refs/heads/main",
            Self::Dev => "refs/heads/dev",
            Self::DevNext => "refs/heads/dev/next",
            Self::V1 => "refs/tags/v1",
            Self::V2 => "refs/tags/v2",
        }
    }

    /// Whether it is a branch.
    #[must_use]
    pub fn is_branch(self) -> bool {
        matches!(self, Self::Main | Self::Dev | Self::DevNext)
    }
}

/// A commit or annotated tag of the small world: `c1 ← c2 ← c3`, `c1 ← d2`, `r1` alone, and `t2`, a tag of `c2`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Object {
    /// The first commit.
    C1,
    /// On top of `c1`.
    C2,
    /// On top of `c2`.
    C3,
    /// Another one on top of `c1`.
    D2,
    /// A first commit of another history.
    R1,
    /// An annotated tag of `c2`.
    T2,
}

impl Object {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::C1, Self::C2, Self::C3, Self::D2, Self::R1, Self::T2];

    /// What it reaches, itself included.
    #[must_use]
    pub fn reaches(self) -> &'static [Self] {
        match self {
            Self::C1 => &[Self::C1],
            Self::C2 => &[Self::C1, Self::C2],
            Self::C3 => &[Self::C1, Self::C2, Self::C3],
            Self::D2 => &[Self::C1, Self::D2],
            Self::R1 => &[Self::R1],
            Self::T2 => &[Self::C1, Self::C2, Self::T2],
        }
    }
}

/// Branches and tags, and where they are.
pub type Refs = BTreeMap<Name, Object>;

/// Whether an announcement lists the service under test.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Listing {
    /// In `clone` and in `relays`.
    Us,
    /// In `clone` only.
    CloneOnly,
    /// In `relays` only.
    RelaysOnly,
    /// Another service.
    Elsewhere,
}

/// A role tag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Role {
    /// `M`, `m` or `o`.
    pub letter: char,
    /// Whose role.
    pub person: Person,
    /// Whether it is held now.
    pub active: bool,
}

/// Whom an announcement gives authority over refs.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Authority {
    /// Keys under `maintainers`.
    pub maintainers: Vec<Person>,
    /// Role tags; if there is any, `maintainers` does not count.
    pub roles: Vec<Role>,
}

/// When an event was made, against the newest event that competes with it: of the same address for announcements, of
/// anybody in the same project for states, everything for the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum When {
    /// Later than everything so far.
    Later,
    /// In the same second, with a lower id.
    TieLower,
    /// In the same second, with a higher id.
    TieHigher,
    /// A second before.
    Older,
}

/// What a state says beside its refs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Extra {
    /// Nothing.
    None,
    /// What is to be ignored: peeled entries, refs outside heads and tags.
    Ignored,
    /// A ref with an impossible name.
    ImpossibleName,
    /// A SHA-256 value.
    Sha256,
}

/// What a push shall make of heads and tags, before its [`Twist`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Aim {
    /// Exactly the newest state of somebody.
    Newest(Person),
    /// Exactly the state of somebody before that one.
    Former(Person),
    /// What is there already.
    InPlace,
    /// These.
    Refs(Refs),
}

/// How a push misses its aim.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Twist {
    /// Not at all.
    None,
    /// Without this ref.
    Without(Name),
    /// With this ref at that object.
    With(Name, Object),
}

/// What data a push carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pack {
    /// Everything that the new values reach.
    Whole,
    /// The same without what that repository shows already, as a client would send it.
    Missing,
    /// Nothing.
    Empty,
}

/// Something that was published, by its role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Subject {
    /// The newest announcement of a repository.
    Announcement(Repo),
    /// The announcement before that one.
    FormerAnnouncement(Repo),
    /// The newest state by that person.
    State(Repo),
    /// The state before that one.
    FormerState(Repo),
    /// A pull request or update, by its number in the story.
    Pull(usize),
    /// Somebody's newest issue.
    Issue(Person),
    /// Somebody's newest comment.
    Comment(Person),
    /// The note.
    Note,
    /// Somebody's newest profile.
    Profile(Person),
}

/// What a deletion request names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Named {
    /// An event, by its id; an id that nothing has when there is no such event yet.
    Id(Subject),
    /// An announcement's address.
    AnnouncementAddress(Repo),
    /// A state's address.
    StateAddress(Repo),
}

/// A contributor's repository, `/prs/<npub>/<identifier>.git` (GRASP-06), as a pull request speaks of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Place {
    /// That of its author, of the first project that it names.
    Own,
    /// This one.
    Of(Repo),
}

/// A pull request, or an update of one, that may appear in the story.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pull {
    /// Its author.
    pub by: Person,
    /// The repositories it names.
    pub names: Vec<Repo>,
    /// Its tip.
    pub tip: Object,
    /// The number of the pull request that it updates: a smaller one than its own.
    pub updates: Option<usize>,
    /// The contributor's repository that its `clone` tag names.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub contributed: Option<Place>,
}

impl Pull {
    /// The contributor's repository that is meant; its path has an owner and an identifier, as a hosted one has.
    #[must_use]
    pub fn place(&self, place: Place) -> Option<Repo> {
        match place {
            Place::Own => self.names.first().map(|first| Repo { owner: self.by, project: first.project }),
            Place::Of(repo) => Some(repo),
        }
    }
}

/// Where an event is published, in a story of two servers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Site {
    /// At the server under test.
    Target,
    /// At the peer.
    Peer,
    /// At both.
    Both,
}

/// What happens.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Step {
    /// Somebody announces a repository.
    Announce {
        /// Whose it is and what it is called.
        repo: Repo,
        /// Whether it lists the service.
        lists: Listing,
        /// Whom it lists.
        authority: Authority,
        /// Its time.
        when: When,
    },
    /// Somebody says what the refs shall be.
    State {
        /// By whom, of what.
        repo: Repo,
        /// The refs.
        refs: Refs,
        /// What `HEAD` names.
        head: Option<Name>,
        /// What else it says.
        extra: Extra,
        /// Its time.
        when: When,
    },
    /// A push to heads and tags of a repository.
    Push {
        /// Where to.
        to: Repo,
        /// What it shall lead to.
        aim: Aim,
        /// How it misses that.
        twist: Twist,
        /// What it carries.
        pack: Pack,
    },
    /// A pull request, or an update, is published.
    Pull(usize),
    /// A push to `refs/nostr/<id of a pull request>`.
    PushPull {
        /// Where to.
        to: Repo,
        /// Which pull request, published or not.
        number: usize,
        /// Another object than its tip.
        other: Option<Object>,
        /// What it carries.
        pack: Pack,
    },
    /// A push to `refs/nostr/<id of a pull request>` of a contributor's repository.
    Contribute {
        /// Which pull request, published or not.
        number: usize,
        /// Where to.
        to: Place,
        /// Another object than its tip.
        other: Option<Object>,
        /// What it carries.
        pack: Pack,
    },
    /// A push to a branch or tag of a contributor's repository.
    ContributeRef {
        /// Where to.
        to: Repo,
        /// Which one.
        name: Name,
        /// At what.
        object: Object,
    },
    /// Somebody opens an issue.
    Issue {
        /// Who.
        by: Person,
        /// In which repository.
        about: Repo,
        /// Whether it quotes the note.
        quotes: bool,
    },
    /// Somebody comments.
    Comment {
        /// Who.
        by: Person,
        /// On what.
        on: Subject,
    },
    /// Dave's note, which names nothing, is published.
    Note,
    /// Somebody publishes a profile.
    Profile(Person),
    /// Somebody asks for deletion.
    Delete {
        /// Who.
        by: Person,
        /// Of what.
        names: Vec<Named>,
        /// Whether the request is a second older than what it names (addresses only).
        early: bool,
    },
    /// Something that was published before, taken or not, is published again.
    Again(Subject),
    /// What another step publishes, in a story of two servers.
    Published {
        /// That step.
        step: Box<Step>,
        /// Where.
        at: Site,
        /// The data that it names is put into the peer's git host first, below this repository's path.
        data: Option<Repo>,
    },
    /// The peer ends its connections and lets nobody in, until it returns or the story ends.
    PeerLeaves,
    /// The peer is there again.
    PeerReturns,
}

/// The whole of it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Story {
    /// The pull requests that steps refer to by number.
    pub pulls: Vec<Pull>,
    /// What happens, in order.
    pub steps: Vec<Step>,
    /// It is about two servers: the one under test, and a peer that every announcement names.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub two_servers: bool,
}

impl Story {
    /// Every contributor's repository that it speaks of. A server has to have GRASP-06 when there is any.
    #[must_use]
    pub fn contributors(&self) -> BTreeSet<Repo> {
        let named = self.pulls.iter().filter_map(|pull| pull.place(pull.contributed?));
        let pushed = self.steps.iter().filter_map(|step| match step {
            Step::Contribute { number, to, .. } => self.pulls.get(*number)?.place(*to),
            Step::ContributeRef { to, .. } => Some(*to),
            _ => None,
        });
        named.chain(pushed).collect()
    }

    /// The story in which one person does and is all that another one did and was.
    #[must_use]
    pub fn with_the_same(&self, from: Person, to: Person) -> Self {
        self.substituted(from, to)
    }

    /// The story in which both projects are the first one.
    #[must_use]
    pub fn in_one_project(&self) -> Self {
        self.substituted(Project::Y, Project::X)
    }

    /// By way of JSON: a person or project stands in many places of a story, and always by the same word.
    fn substituted<T: Serialize>(&self, from: T, to: T) -> Self {
        let replaced = || -> serde_json::Result<Self> {
            let (from, to) = (serde_json::to_value(from)?, serde_json::to_value(to)?);
            let mut story = serde_json::to_value(self)?;
            replace(&mut story, &from, &to);
            serde_json::from_value(story)
        };
        replaced().unwrap_or_else(|_| self.clone())
    }
}

fn replace(value: &mut serde_json::Value, from: &serde_json::Value, to: &serde_json::Value) {
    match value {
        serde_json::Value::Array(items) => items.iter_mut().for_each(|item| replace(item, from, to)),
        serde_json::Value::Object(fields) => fields.values_mut().for_each(|field| replace(field, from, to)),
        other if other == from => other.clone_from(to),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn people_and_projects_can_stand_for_each_other() {
        let repo = |owner, project| Repo { owner, project };
        let push = |to, by| Step::Push { to, aim: Aim::Newest(by), twist: Twist::None, pack: Pack::Whole };
        let steps = vec![push(repo(Person::Bob, Project::Y), Person::Bob), Step::Profile(Person::Carol)];
        let story = Story { steps, ..Story::default() };
        let same = story.with_the_same(Person::Bob, Person::Alice).in_one_project();
        let expected =
            vec![push(repo(Person::Alice, Project::X), Person::Alice), Step::Profile(Person::Carol)];
        assert_eq!(same.steps, expected);
    }
}
