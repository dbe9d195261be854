//! What a server shows, held against a world.

use std::collections::{BTreeMap, BTreeSet};

use super::{EventId, Hosted, NostrRefs, Object, Project, Refs, Repo, World};

/// What was seen of one repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// Heads and tags.
    pub refs: Refs,
    /// What HEAD names, when it was told and is one of the known branches.
    pub head: Option<super::Name>,
    /// `refs/nostr/…`
    pub nostr: BTreeMap<EventId, Object>,
    /// What else is there, in words.
    pub strange: Vec<String>,
}

/// What was seen of everything a story is about.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Seen {
    /// The events asked for.
    pub asked: BTreeSet<EventId>,
    /// Those that are served.
    pub served: BTreeSet<EventId>,
    /// Each repository asked for; `None`: 404.
    pub repositories: BTreeMap<Repo, Option<Shown>>,
    /// Each contributor's repository asked for; `None`: 404.
    pub contributors: BTreeMap<Repo, Option<Shown>>,
    /// What else was seen that nobody has published, in words.
    pub strange: Vec<String>,
}

/// Where a server and a world differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Difference {
    /// An event is served and should not be.
    Served(EventId),
    /// An event should be served and is not.
    NotServed(EventId),
    /// A repository should be there, or should not.
    Hosting {
        /// Which.
        repo: Repo,
        /// Whether it should.
        expected: bool,
    },
    /// Heads and tags differ.
    Refs {
        /// Where.
        repo: Repo,
        /// As they should be.
        expected: Refs,
        /// As they are.
        seen: Refs,
    },
    /// HEAD differs.
    Head {
        /// Where.
        repo: Repo,
        /// What it should name.
        expected: super::Name,
        /// What it names.
        seen: Option<super::Name>,
    },
    /// `refs/nostr/<id>` differs.
    Nostr {
        /// Where.
        repo: Repo,
        /// Whose.
        id: EventId,
        /// Where it should be.
        expected: Option<Object>,
        /// Where it is.
        seen: Option<Object>,
    },
    /// A contributor's repository is not there, where it should at least be an empty one.
    NoContributor(Repo),
    /// `refs/nostr/<id>` of a contributor's repository differs.
    Contributed {
        /// Whose repository.
        repo: Repo,
        /// Whose ref.
        id: EventId,
        /// Where it should be.
        expected: Option<Object>,
        /// Where it is.
        seen: Option<Object>,
    },
    /// Something that nobody has published.
    Strange(String),
}

impl World {
    /// This world with everything it left open as it was seen.
    ///
    /// # Errors
    /// Where they differ.
    pub fn agrees_with(&self, seen: &Seen) -> Result<Self, Vec<Difference>> {
        let mut differences: Vec<Difference> =
            seen.strange.iter().cloned().map(Difference::Strange).collect();
        for id in &seen.asked {
            match (self.is_served(*id), seen.served.contains(id)) {
                (true, false) => differences.push(Difference::NotServed(*id)),
                (false, true) => differences.push(Difference::Served(*id)),
                _ => {}
            }
        }
        let mut world = self.clone();
        for (repo, shown) in &seen.repositories {
            match (world.hosted_mut(*repo), shown) {
                (Some(hosted), Some(shown)) => differences.extend(hosted.agree_with(*repo, shown)),
                (None, None) => {}
                (hosted, _) => {
                    differences.push(Difference::Hosting { repo: *repo, expected: hosted.is_some() });
                }
            }
        }
        for (repo, shown) in &seen.contributors {
            differences.extend(world.contributor_agrees_with(*repo, shown.as_ref()));
        }
        if differences.is_empty() { Ok(world) } else { Err(differences) }
    }

    fn contributor_agrees_with(&mut self, repo: Repo, shown: Option<&Shown>) -> Vec<Difference> {
        let Some(shown) = shown else { return vec![Difference::NoContributor(repo)] };
        let mut refs = self.contributors.remove(&repo).unwrap_or_default();
        let elsewhere = refs.agree_with(&shown.nostr);
        if !refs.is_empty() {
            self.contributors.insert(repo, refs);
        }
        let mut differences: Vec<Difference> =
            shown.strange.iter().cloned().map(Difference::Strange).collect();
        differences.extend(elsewhere.into_iter().map(|one| Difference::Contributed {
            repo,
            id: one.id,
            expected: one.expected,
            seen: one.seen,
        }));
        differences
    }

    /// Only what was seen of hosted repositories: what somebody needs to know who pushes to them.
    #[must_use]
    pub fn of_refs(seen: &Seen) -> Self {
        let mut world = Self::default();
        for (repo, shown) in &seen.repositories {
            let Some(shown) = shown else { continue };
            let nostr = NostrRefs { served: shown.nostr.clone(), ..NostrRefs::default() };
            let hosted = Hosted { refs: shown.refs.clone(), head: shown.head, nostr, ..Hosted::default() };
            world.family_mut(repo.project).hosted.insert(repo.owner, hosted);
        }
        world
    }

    /// Repositories that this world hosts.
    #[must_use]
    pub fn repositories(&self) -> Vec<Repo> {
        let of = |(project, family): (&Project, &super::Family)| {
            let project = *project;
            family.hosted.keys().map(move |owner| Repo { owner: *owner, project }).collect::<Vec<_>>()
        };
        self.families.iter().flat_map(of).collect()
    }
}

impl Hosted {
    fn agree_with(&mut self, repo: Repo, shown: &Shown) -> Vec<Difference> {
        let mut differences: Vec<Difference> =
            shown.strange.iter().cloned().map(Difference::Strange).collect();
        if self.refs != shown.refs {
            differences.push(Difference::Refs {
                repo,
                expected: self.refs.clone(),
                seen: shown.refs.clone(),
            });
        }
        match (self.head, shown.head) {
            (None, Some(seen)) => self.head = Some(seen),
            // A server need not tell where an unborn HEAD leads.
            (Some(expected), None) if !self.refs.contains_key(&expected) => {}
            (Some(expected), seen) if seen != Some(expected) => {
                differences.push(Difference::Head { repo, expected, seen });
            }
            _ => {}
        }
        let elsewhere = self.nostr.agree_with(&shown.nostr);
        differences.extend(elsewhere.into_iter().map(|one| Difference::Nostr {
            repo,
            id: one.id,
            expected: one.expected,
            seen: one.seen,
        }));
        differences
    }
}
