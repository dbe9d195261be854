//! The cast of a story: keys, identifiers and objects, and the events and pushes that its steps become.
//!
//! Identifiers are fresh for every telling, and keys are derived from them and the seed, so that a telling never meets
//! what an earlier one left behind. Ties are made: an event is signed again with another nonce until its id is lower, or
//! higher, than those it competes with, so that a story means the same whatever the keys are.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use grasp_fixtures::{Announcement, Draft, PullRequest, State, events, keys};
use nostr::event::{Event as Signed, EventId};
use nostr::key::{Keys, SecretKey};
use sha2::{Digest, Sha256};

use super::graph::Graph;
use super::model::{Address, Event, Says};
use super::story::{
    Extra, Listing, Named, Person, Place, Project, Pull, Refs, Repo, Step, Story, Subject, When,
};
use crate::context::MARK;
use crate::peer::Peer;
use crate::target::url::{ServiceUrl, contribution_path, repository_path};

/// How far before the present a story begins, in seconds: every step has room for its time.
const HEAD_START: u64 = 600;
/// How many nonces are tried to make an id lower or higher than others; each does with even odds at least once in a few.
const MAX_NONCES: u64 = 100_000;

/// What an event is in the story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Part {
    Announcement(Repo),
    State(Repo),
    Pull(usize),
    Issue(Person),
    Comment(Person),
    Note,
    Profile(Person),
    Deletion(Person),
}

/// An event of the story, signed.
#[derive(Debug, Clone)]
pub(super) struct Minted {
    /// As it is published.
    pub(super) signed: Signed,
    /// As the model sees it.
    pub(super) event: Event,
    part: Part,
    refs: Option<Refs>,
}

/// Everybody and everything that a telling needs.
#[derive(Debug)]
pub(super) struct Cast {
    people: BTreeMap<Person, Keys>,
    projects: BTreeMap<Project, String>,
    /// The git objects.
    pub(super) graph: Graph,
    url: ServiceUrl,
    pulls: Vec<Pull>,
    contributors: BTreeSet<Repo>,
    /// The other server, which every announcement names.
    peer: Option<Arc<Peer>>,
    minted: Vec<Minted>,
    last: u64,
}

impl Cast {
    /// The cast of `story` for the service at `url` whose clock says `now`; `name` is where identifiers begin.
    #[must_use]
    pub(super) fn new(story: &Story, url: ServiceUrl, now: u64, seed: u64, name: &str) -> Self {
        let people = Person::ALL.map(|person| (person, derived(seed, name, person)));
        let projects = [(Project::X, format!("{name}-x")), (Project::Y, format!("{name}-y"))];
        Self {
            people: people.into(),
            projects: projects.into(),
            graph: Graph::new(name),
            url,
            pulls: story.pulls.clone(),
            contributors: story.contributors(),
            peer: None,
            minted: Vec::new(),
            last: now.saturating_sub(HEAD_START),
        }
    }

    /// The same cast with another server, which every announcement names beside the service.
    #[must_use]
    pub(super) fn with_peer(mut self, peer: Arc<Peer>) -> Self {
        self.peer = Some(peer);
        self
    }

    /// Somebody's keys.
    #[must_use]
    pub(super) fn keys(&self, person: Person) -> &Keys {
        &self.people[&person]
    }

    /// What a project is called this time.
    #[must_use]
    pub(super) fn identifier(&self, project: Project) -> &str {
        &self.projects[&project]
    }

    /// The path of a repository.
    #[must_use]
    pub(super) fn path(&self, repo: Repo) -> String {
        repository_path(&self.keys(repo.owner).public_key(), self.identifier(repo.project))
    }

    /// The path of a contributor's repository.
    #[must_use]
    pub(super) fn contribution_path(&self, repo: Repo) -> String {
        contribution_path(&self.keys(repo.owner).public_key(), self.identifier(repo.project))
    }

    /// The contributor's repository that is meant, for the pull request of this number.
    #[must_use]
    pub(super) fn place(&self, number: usize, place: Place) -> Option<Repo> {
        self.pulls.get(number)?.place(place)
    }

    /// Every contributor's repository that the story speaks of.
    #[must_use]
    pub(super) fn contributors(&self) -> &BTreeSet<Repo> {
        &self.contributors
    }

    /// Every event so far, in the order of their making.
    #[must_use]
    pub(super) fn minted(&self) -> &[Minted] {
        &self.minted
    }

    /// Every repository that anybody has announced so far, taken or not.
    #[must_use]
    pub(super) fn announced(&self) -> Vec<Repo> {
        let mut repos: Vec<Repo> = self
            .minted
            .iter()
            .filter_map(|minted| match minted.part {
                Part::Announcement(repo) => Some(repo),
                _ => None,
            })
            .collect();
        repos.sort();
        repos.dedup();
        repos
    }

    /// The event that a step publishes; `None` when there is nothing to do: what it refers to has not been made.
    pub(super) fn event(&mut self, step: &Step) -> Option<Minted> {
        let made = match step {
            Step::Announce { repo, lists, authority, when } => {
                let draft = self.announcement(*repo, *lists, authority);
                let says = Says::Announcement {
                    project: repo.project,
                    listed: *lists == Listing::Us,
                    authority: authority.clone(),
                };
                self.mint(Part::Announcement(*repo), repo.owner, draft, says, *when)
            }
            Step::State { repo, refs, head, extra, when } => {
                let draft = self.state(*repo, refs, *head, *extra);
                let says = Says::State {
                    project: repo.project,
                    refs: refs.clone(),
                    head: *head,
                    invalid: matches!(extra, Extra::ImpossibleName | Extra::Sha256),
                };
                self.mint(Part::State(*repo), repo.owner, draft, says, *when)
            }
            Step::Pull(number) => self.pull(*number)?,
            Step::Issue { by, about, quotes } => self.issue(*by, *about, *quotes),
            Step::Comment { by, on } => self.comment(*by, *on)?,
            Step::Note => self.note(),
            Step::Profile(by) => {
                self.mint(Part::Profile(*by), *by, events::profile("grasp-audit"), Says::Profile, When::Later)
            }
            Step::Delete { by, names, early } => self.deletion(*by, names, *early),
            Step::Again(subject) => self.find(*subject)?.clone(),
            Step::Published { step, .. } => return self.event(step),
            Step::Push { .. }
            | Step::PushPull { .. }
            | Step::Contribute { .. }
            | Step::ContributeRef { .. }
            | Step::PeerLeaves
            | Step::PeerReturns => return None,
        };
        Some(made)
    }

    /// What heads and tags somebody's newest state (`back` 0) of a project names, or one that is older by so many.
    #[must_use]
    pub(super) fn refs_of_state(&self, by: Person, project: Project, back: usize) -> Option<&Refs> {
        self.nth_last(Part::State(Repo { owner: by, project }), back)?.refs.as_ref()
    }

    /// `Alice's 2nd state of x`
    #[must_use]
    pub(super) fn name_of(&self, minted: &Minted) -> String {
        let before = self.minted.iter().take_while(|other| other.event.id != minted.event.id);
        let number = before.filter(|other| other.part == minted.part).count() + 1;
        let count = if number == 1 { String::new() } else { format!(" (number {number})") };
        match minted.part {
            Part::Announcement(repo) => format!("the announcement of {repo}{count}"),
            Part::State(repo) => format!("{}'s state of {}{count}", repo.owner, repo.project),
            Part::Pull(number) => format!("pull request {}", number + 1),
            Part::Issue(by) => format!("{by}'s issue{count}"),
            Part::Comment(by) => format!("{by}'s comment{count}"),
            Part::Note => "Dave's note".to_owned(),
            Part::Profile(by) => format!("{by}'s profile{count}"),
            Part::Deletion(by) => format!("{by}'s deletion request{count}"),
        }
    }

    fn announcement(&self, repo: Repo, lists: Listing, authority: &super::story::Authority) -> Draft {
        let owner = self.keys(repo.owner).public_key();
        let identifier = self.identifier(repo.project);
        let mut said = Announcement::new(identifier).name("GRASP audit, property");
        let elsewhere = format!("https://elsewhere.invalid{}", self.path(repo));
        let here = self.url.clone_url(&owner, identifier);
        said =
            said.clone_url(if matches!(lists, Listing::Us | Listing::CloneOnly) { here } else { elsewhere });
        let in_relays = matches!(lists, Listing::Us | Listing::RelaysOnly);
        said = said.relay(if in_relays { self.url.relay() } else { "wss://elsewhere.invalid".to_owned() });
        if let Some(peer) = &self.peer {
            said = said.relay(peer.relay()).clone_url(peer.clone_url(&owner, identifier));
        }
        for person in &authority.maintainers {
            said = said.maintainer(self.keys(*person).public_key());
        }
        for role in &authority.roles {
            let history: &[u64] = if role.active { &[5, 9, 12] } else { &[5, 9] };
            said = said.role(role.letter, self.keys(role.person).public_key(), history);
        }
        said.draft()
    }

    fn state(&self, repo: Repo, refs: &Refs, head: Option<super::story::Name>, extra: Extra) -> Draft {
        let named =
            refs.iter().map(|(name, object)| (name.full().to_owned(), self.graph.oid(*object).to_owned()));
        let mut state = State::new(self.identifier(repo.project)).references(named);
        if let Some(head) = head {
            state = state.head(head.full().trim_start_matches("refs/heads/"));
        }
        let first = self.graph.oid(super::story::Object::C1).to_owned();
        match extra {
            Extra::None => state,
            Extra::Ignored => state.reference("refs/tags/v9^{}", &first).reference("refs/pull/7/head", first),
            Extra::ImpossibleName => state.reference("refs/heads/no..name", first),
            Extra::Sha256 => state.reference("refs/heads/main2", "ab".repeat(32)),
        }
        .draft()
    }

    /// The pull request of this number, made when it is first spoken of.
    pub(super) fn pull(&mut self, number: usize) -> Option<Minted> {
        if let Some(made) = self.nth_last(Part::Pull(number), 0) {
            return Some(made.clone());
        }
        let pull = self.pulls.get(number)?.clone();
        let root = match pull.updates.filter(|updated| *updated < number) {
            Some(updated) => Some(self.pull(updated)?.signed),
            None => None,
        };
        let mut coordinates = pull.names.iter().map(|repo| self.coordinate(*repo));
        let mut said = PullRequest::new(coordinates.next()?, self.graph.oid(pull.tip)).subject("GRASP audit");
        for coordinate in coordinates {
            said = said.repository(coordinate);
        }
        let contributed = pull.contributed.and_then(|place| pull.place(place));
        if let Some(repo) = contributed {
            said = said.clone_url(format!("{}{}", self.url.base(), self.contribution_path(repo)));
        }
        let draft = root.map_or_else(|| said.draft(), |root| said.update_of(&root));
        let says = Says::Pull { names: pull.names.clone(), tip: pull.tip, contributed };
        Some(self.mint(Part::Pull(number), pull.by, draft, says, When::Later))
    }

    fn issue(&mut self, by: Person, about: Repo, quotes: bool) -> Minted {
        let mut draft = events::issue(&self.coordinate(about), "GRASP audit", "it breaks");
        let mut quoted = Vec::new();
        if quotes {
            let note = self.note().event.id;
            draft = draft.tag(["q".to_owned(), note.to_hex()]);
            quoted.push(note);
        }
        self.mint(Part::Issue(by), by, draft, Says::Issue { about, quotes: quoted }, When::Later)
    }

    fn comment(&mut self, by: Person, on: Subject) -> Option<Minted> {
        if let Subject::Announcement(repo) = on {
            let coordinate = self.coordinate(repo);
            let draft = Draft::new(events::COMMENT, "GRASP audit")
                .tag(["A".to_owned(), coordinate.clone()])
                .tag(["K", "30617"])
                .tag(["a".to_owned(), coordinate])
                .tag(["k", "30617"]);
            return Some(self.mint(
                Part::Comment(by),
                by,
                draft,
                Says::CommentOnRepository(repo),
                When::Later,
            ));
        }
        let on = self.find(on)?.signed.clone();
        let draft = events::comment(&on, "GRASP audit");
        Some(self.mint(Part::Comment(by), by, draft, Says::CommentOnEvent(on.id), When::Later))
    }

    fn note(&mut self) -> Minted {
        if let Some(made) = self.nth_last(Part::Note, 0) {
            return made.clone();
        }
        self.mint(Part::Note, Person::Dave, events::note("GRASP audit"), Says::Note, When::Later)
    }

    fn deletion(&mut self, by: Person, names: &[Named], early: bool) -> Minted {
        let mut draft = Draft::new(events::DELETION, "GRASP audit");
        let (mut ids, mut addresses, mut oldest) = (Vec::new(), Vec::new(), None::<u64>);
        for named in names {
            match named {
                Named::Id(subject) => {
                    let found = self.find(*subject).map(|minted| minted.event.id);
                    let id = found.unwrap_or_else(|| EventId::from_byte_array(Sha256::digest(MARK).into()));
                    draft = draft.tag(["e".to_owned(), id.to_hex()]);
                    ids.push(id);
                }
                Named::AnnouncementAddress(repo) | Named::StateAddress(repo) => {
                    let is_state = matches!(named, Named::StateAddress(_));
                    let part = if is_state { Part::State(*repo) } else { Part::Announcement(*repo) };
                    let address = if is_state { Address::State(*repo) } else { Address::Announcement(*repo) };
                    let kind = if is_state { events::STATE } else { events::ANNOUNCEMENT };
                    let owner = self.keys(repo.owner).public_key().to_hex();
                    let text = format!("{kind}:{owner}:{}", self.identifier(repo.project));
                    draft = draft.tag(["a".to_owned(), text]).tag(["k".to_owned(), kind.to_string()]);
                    addresses.push(address);
                    let newest = self.nth_last(part, 0).map(|minted| minted.event.at);
                    oldest = oldest.into_iter().chain(newest).min();
                }
            }
        }
        if early && let Some(oldest) = oldest {
            draft = draft.at(oldest.saturating_sub(1));
        }
        self.mint(Part::Deletion(by), by, draft, Says::Deletion { ids, addresses }, When::Later)
    }

    fn coordinate(&self, repo: Repo) -> String {
        events::coordinate(&self.keys(repo.owner).public_key(), self.identifier(repo.project))
    }

    fn find(&self, subject: Subject) -> Option<&Minted> {
        match subject {
            Subject::Announcement(repo) => self.nth_last(Part::Announcement(repo), 0),
            Subject::FormerAnnouncement(repo) => self.nth_last(Part::Announcement(repo), 1),
            Subject::State(repo) => self.nth_last(Part::State(repo), 0),
            Subject::FormerState(repo) => self.nth_last(Part::State(repo), 1),
            Subject::Pull(number) => self.nth_last(Part::Pull(number), 0),
            Subject::Issue(by) => self.nth_last(Part::Issue(by), 0),
            Subject::Comment(by) => self.nth_last(Part::Comment(by), 0),
            Subject::Note => self.nth_last(Part::Note, 0),
            Subject::Profile(by) => self.nth_last(Part::Profile(by), 0),
        }
    }

    fn nth_last(&self, part: Part, back: usize) -> Option<&Minted> {
        self.minted.iter().rev().filter(|minted| minted.part == part).nth(back)
    }

    fn mint(&mut self, part: Part, by: Person, draft: Draft, says: Says, when: When) -> Minted {
        let rivals: Vec<(u64, EventId)> = self
            .minted
            .iter()
            .filter(|minted| competes(minted.part, part))
            .map(|minted| (minted.event.at, minted.event.id))
            .collect();
        let newest = rivals.iter().map(|(at, _)| *at).max();
        let at = match (draft.created_at, when, newest) {
            (Some(at), _, _) => at,
            (None, When::TieLower | When::TieHigher, Some(newest)) => newest,
            (None, When::Older, Some(newest)) => newest.saturating_sub(1),
            _ => self.last + 2,
        };
        self.last = self.last.max(at);
        let tied: Vec<EventId> = rivals.iter().filter(|(time, _)| *time == at).map(|(_, id)| *id).collect();
        let draft = draft.tag(["t", MARK]).tag(["client", MARK]).at(at);
        let signed = self.signed(by, &draft, &tied, when == When::TieLower);
        let refs = match &says {
            Says::State { refs, .. } => Some(refs.clone()),
            _ => None,
        };
        let minted = Minted { event: Event { id: signed.id, at, by, says }, signed, part, refs };
        self.minted.push(minted.clone());
        minted
    }

    /// Signed, with an id lower or higher than all of these.
    fn signed(&self, by: Person, draft: &Draft, tied: &[EventId], lower: bool) -> Signed {
        let fits = |id: EventId| tied.iter().all(|other| if lower { id < *other } else { id > *other });
        let keys = self.keys(by);
        // what is published twice with the same content would be the same event
        let number = self.minted.len();
        let mut signed = draft.clone().tag(["nonce".to_owned(), number.to_string()]).sign(keys);
        for nonce in 0..MAX_NONCES {
            if fits(signed.id) {
                break;
            }
            signed = draft.clone().tag(["nonce".to_owned(), format!("{number}-{nonce}")]).sign(keys);
        }
        signed
    }
}

/// Whether two events are compared by their times.
fn competes(one: Part, other: Part) -> bool {
    match (one, other) {
        (Part::Announcement(a), Part::Announcement(b)) => a == b,
        (Part::State(a), Part::State(b)) => a.project == b.project,
        (Part::Profile(a), Part::Profile(b)) => a == b,
        _ => false,
    }
}

/// A key pair that follows from the seed, the telling's name and the person.
fn derived(seed: u64, name: &str, person: Person) -> Keys {
    for attempt in 0u32..=u32::MAX {
        let hash = Sha256::digest(format!("grasp-audit property {seed} {name} {person:?} {attempt}"));
        // all but a vanishing share of 32-byte strings are secret keys
        if let Ok(secret) = SecretKey::from_slice(&hash) {
            return Keys::new(secret);
        }
    }
    keys::fresh()
}
