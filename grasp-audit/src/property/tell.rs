//! Stories in words.

use std::fmt;

use super::story::{
    Aim, Authority, Extra, Listing, Name, Named, Object, Pack, Person, Project, Pull, Refs, Repo, Site, Step,
    Story, Subject, Twist, When,
};

impl fmt::Display for Person {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Alice => "Alice",
            Self::Bob => "Bob",
            Self::Carol => "Carol",
            Self::Dave => "Dave",
        })
    }
}

impl fmt::Display for Project {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::X => "x",
            Self::Y => "y",
        })
    }
}

impl fmt::Display for Repo {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}'s {}", self.owner, self.project)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.full().trim_start_matches("refs/heads/").trim_start_matches("refs/"))
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::C1 => "c1",
            Self::C2 => "c2",
            Self::C3 => "c3",
            Self::D2 => "d2",
            Self::R1 => "r1",
            Self::T2 => "t2",
        })
    }
}

/// `Dave's /prs/ of x`
pub(super) fn contributor(repo: Repo) -> String {
    format!("{}'s /prs/ of {}", repo.owner, repo.project)
}

/// `{main c1, dev c2}`
pub(super) fn refs(refs: &Refs) -> String {
    let named: Vec<String> = refs.iter().map(|(name, object)| format!("{name} {object}")).collect();
    format!("{{{}}}", named.join(", "))
}

fn list<T: fmt::Display>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| item.to_string()).collect();
    match items.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} and {last}", rest.join(", ")),
        Some((last, _)) => last.clone(),
        None => "nothing".to_owned(),
    }
}

fn authority(authority: &Authority) -> String {
    let mut said = Vec::new();
    if !authority.maintainers.is_empty() {
        said.push(format!("with {} as maintainer", list(&authority.maintainers)));
    }
    if !authority.roles.is_empty() {
        let role = |role: &super::story::Role| {
            format!("{} {}{}", role.letter, role.person, if role.active { "" } else { " (ended)" })
        };
        said.push(format!("with the role tags {}", list(authority.roles.iter().map(role))));
    }
    if said.is_empty() { String::new() } else { format!(", {}", said.join(" and ")) }
}

fn when(when: When, rivals: &str) -> String {
    match when {
        When::Later => String::new(),
        When::TieLower => format!(", in the same second as the newest {rivals}, with a lower id"),
        When::TieHigher => format!(", in the same second as the newest {rivals}, with a higher id"),
        When::Older => format!(", a second older than the newest {rivals}"),
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Announcement(repo) => write!(f, "the announcement of {repo}"),
            Self::FormerAnnouncement(repo) => write!(f, "the former announcement of {repo}"),
            Self::State(repo) => write!(f, "{}'s state of {}", repo.owner, repo.project),
            Self::FormerState(repo) => write!(f, "{}'s former state of {}", repo.owner, repo.project),
            Self::Pull(number) => write!(f, "pull request {}", number + 1),
            Self::Issue(by) => write!(f, "{by}'s issue"),
            Self::Comment(by) => write!(f, "{by}'s comment"),
            Self::Note => write!(f, "Dave's note"),
            Self::Profile(by) => write!(f, "{by}'s profile"),
        }
    }
}

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(subject) => write!(f, "{subject} (by id)"),
            Self::AnnouncementAddress(repo) => write!(f, "the announcement of {repo} (by address)"),
            Self::StateAddress(repo) => write!(f, "{}'s state of {} (by address)", repo.owner, repo.project),
        }
    }
}

fn pack(pack: Pack) -> &'static str {
    match pack {
        Pack::Whole => "",
        Pack::Missing => ", with what the repository does not show yet",
        Pack::Empty => ", with an empty pack",
    }
}

fn push(to: Repo, aim: &Aim, twist: Twist) -> String {
    let aim = match aim {
        Aim::Newest(by) => format!("what {by}'s newest state names"),
        Aim::Former(by) => format!("what {by}'s former state names"),
        Aim::InPlace => "what is there already".to_owned(),
        Aim::Refs(wanted) => refs(wanted),
    };
    let twist = match twist {
        Twist::None => String::new(),
        Twist::Without(name) => format!(", but without {name}"),
        Twist::With(name, object) => format!(", but with {name} at {object}"),
    };
    format!("somebody pushes to {to}: {aim}{twist}")
}

fn pull(pull: Option<&Pull>, number: usize) -> String {
    let name = format!("pull request {}", number + 1);
    let Some(pull) = pull else { return name };
    let updates = pull.updates.map(|updated| format!("an update of pull request {}, ", updated + 1));
    let contributed = pull.contributed.and_then(|place| pull.place(place));
    let data = contributed.map(|repo| format!(", data at {}", contributor(repo)));
    format!(
        "{name} ({}to {}, tip {}{})",
        updates.unwrap_or_default(),
        list(&pull.names),
        pull.tip,
        data.unwrap_or_default()
    )
}

impl Story {
    /// A step as a sentence without its full stop.
    #[must_use]
    pub fn sentence(&self, step: &Step) -> String {
        match step {
            Step::Announce { repo, lists, authority: given, when: time } => {
                let lists = match lists {
                    Listing::Us => "listing this service",
                    Listing::CloneOnly => "listing this service in `clone` only",
                    Listing::RelaysOnly => "listing this service in `relays` only",
                    Listing::Elsewhere => "listing another service",
                };
                let time = when(*time, "announcement of it");
                format!("{} announces {}, {lists}{}{time}", repo.owner, repo.project, authority(given))
            }
            Step::State { repo, refs: named, head, extra, when: time } => {
                let head = head.map(|head| format!(", HEAD {head}")).unwrap_or_default();
                let extra = match extra {
                    Extra::None => "",
                    Extra::Ignored => ", and what is to be ignored",
                    Extra::ImpossibleName => ", and a ref with an impossible name",
                    Extra::Sha256 => ", and a SHA-256 value",
                };
                let time = when(*time, "state of the project");
                format!(
                    "{} publishes a state of {}: {}{head}{extra}{time}",
                    repo.owner,
                    repo.project,
                    refs(named)
                )
            }
            Step::Push { to, aim, twist, pack: data } => format!("{}{}", push(*to, aim, *twist), pack(*data)),
            Step::Pull(number) => {
                let by = self.pulls.get(*number).map_or(Person::Dave, |pull| pull.by);
                format!("{by} publishes {}", pull(self.pulls.get(*number), *number))
            }
            Step::PushPull { to, number, other, pack: data } => {
                let own = self.pulls.get(*number).map(|pull| pull.tip);
                let tip = other.or(own).map(|tip| tip.to_string()).unwrap_or_default();
                format!(
                    "somebody pushes {tip} to {to} for {}{}",
                    pull(self.pulls.get(*number), *number),
                    pack(*data)
                )
            }
            Step::Contribute { number, to, other, pack: data } => {
                let said = self.pulls.get(*number);
                let place = said.and_then(|said| said.place(*to)).map(contributor).unwrap_or_default();
                let tip = other.or(said.map(|pull| pull.tip)).map(|tip| tip.to_string()).unwrap_or_default();
                format!("somebody pushes {tip} to {place} for {}{}", pull(said, *number), pack(*data))
            }
            Step::ContributeRef { to, name, object } => {
                format!("somebody pushes {name} at {object} to {}", contributor(*to))
            }
            Step::Issue { by, about, quotes } => {
                format!(
                    "{by} opens an issue in {about}{}",
                    if *quotes { ", quoting Dave's note" } else { "" }
                )
            }
            Step::Comment { by, on } => format!("{by} comments on {on}"),
            Step::Note => "Dave publishes a note that names nothing".to_owned(),
            Step::Profile(by) => format!("{by} publishes a profile"),
            Step::Delete { by, names, early } => {
                let early = if *early { ", by a request a second older than it" } else { "" };
                format!("{by} asks for deletion of {}{early}", list(names))
            }
            Step::Again(subject) => format!("{subject} is published again"),
            Step::Published { step, at, data } => {
                let at = match at {
                    Site::Target => "to the server",
                    Site::Peer => "to the peer",
                    Site::Both => "to both",
                };
                let data = data.map(|repo| format!(", its data in the peer's {repo}")).unwrap_or_default();
                format!("{} ({at}{data})", self.sentence(step))
            }
            Step::PeerLeaves => "the peer goes away".to_owned(),
            Step::PeerReturns => "the peer comes back".to_owned(),
        }
    }
}
