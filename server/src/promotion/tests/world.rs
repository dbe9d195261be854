//! A server without disks and sockets: the pure rooms, driven the way the shells drive them.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use nostr::event::EventId;
use nostr::key::{Keys, PublicKey};
use nostr::types::Timestamp;
use sha2::{Digest, Sha256};

use crate::admission::archive::Archive;
use crate::admission::{Decision, Family, Hosted, decide};
use crate::authorize::{NamedEvent, PushFacts, authorize};
use crate::git::RefCommand;
use crate::nip34::{Announcement, Coordinate, Identifier, Oid, PullRequest, RefName, ServiceDomain, State};
use crate::promotion::{settle, wanted};

pub(crate) fn oid(n: u8) -> Oid {
    Oid::from_bytes([n; 20])
}

pub(crate) fn refname(name: &str) -> RefName {
    name.parse().unwrap()
}

fn id_of(parts: &impl std::fmt::Debug) -> EventId {
    EventId::from_byte_array(Sha256::digest(format!("{parts:?}")).into())
}

/// Something that may happen to a server.
#[derive(Debug, Clone)]
pub(crate) enum Item {
    Announcement(Announcement),
    State(State),
    Pull(PullRequest),
    /// A push that makes heads and tags what a state says, with a pack of these objects.
    Push {
        owner: PublicKey,
        refs: BTreeMap<RefName, Oid>,
        pack: Vec<Oid>,
    },
    PullPush {
        owner: PublicKey,
        id: EventId,
        tip: Oid,
    },
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct World {
    pub(crate) family: Family,
    pub(crate) here: HashSet<Oid>,
    pub(crate) refs: BTreeMap<PublicKey, BTreeMap<RefName, Oid>>,
    pub(crate) pulls_served: BTreeMap<EventId, PullRequest>,
    pub(crate) unsigned: BTreeMap<EventId, Oid>,
    pub(crate) archive: Archive,
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            family: Family::new(Identifier::new("project").unwrap()),
            here: HashSet::new(),
            refs: BTreeMap::new(),
            pulls_served: BTreeMap::new(),
            unsigned: BTreeMap::new(),
            archive: Archive::default(),
        }
    }

    pub(crate) fn service() -> ServiceDomain {
        "git.example.org".parse().unwrap()
    }

    pub(crate) fn announcement(
        author: PublicKey,
        at: u64,
        listed: impl IntoIterator<Item = PublicKey>,
    ) -> Announcement {
        let identifier = Identifier::new("project").unwrap();
        let listed: BTreeSet<_> = listed.into_iter().collect();
        let coordinate = Coordinate::new(author, identifier.clone());
        Announcement {
            id: id_of(&("announcement", author, at, &listed)),
            author,
            created_at: Timestamp::from(at),
            identifier,
            name: None,
            description: None,
            clone: vec![Self::service().clone_url(&coordinate)],
            relays: vec![Self::service().relay_url()],
            listed,
            author_left: false,
        }
    }

    pub(crate) fn state_of(author: PublicKey, at: u64, refs: BTreeMap<RefName, Oid>) -> State {
        State {
            id: id_of(&("state", author, at, &refs)),
            author,
            created_at: Timestamp::from(at),
            identifier: Identifier::new("project").unwrap(),
            head: refs.keys().find(|name| name.as_str().starts_with("refs/heads/")).cloned(),
            refs,
        }
    }

    pub(crate) fn announce(&mut self, author: &Keys, at: u64, listed: &[&Keys]) -> EventId {
        let new = Self::announcement(author.public_key(), at, listed.iter().map(|keys| keys.public_key()));
        let id = new.id;
        self.offer(&Item::Announcement(new));
        id
    }

    pub(crate) fn state(&mut self, author: &Keys, at: u64, refs: &[(&str, Oid)]) -> EventId {
        let refs = refs.iter().map(|(name, oid)| (refname(name), *oid)).collect();
        let new = Self::state_of(author.public_key(), at, refs);
        let id = new.id;
        self.offer(&Item::State(new));
        id
    }

    pub(crate) fn arrive(&mut self, oids: impl IntoIterator<Item = Oid>) {
        self.here.extend(oids);
        self.settle();
    }

    pub(crate) fn refs_of(&self, owner: &Keys) -> BTreeMap<RefName, Oid> {
        let refs = self.refs.get(&owner.public_key()).cloned().unwrap_or_default();
        refs.into_iter().filter(|(name, _)| name.is_in_state()).collect()
    }

    pub(crate) fn served(&self) -> BTreeSet<EventId> {
        let announcements =
            self.family.announcements.values().filter_map(|slot| Some(slot.served.as_ref()?.announcement.id));
        let states = self.family.states.values().filter_map(|slot| Some(slot.served.as_ref()?.id));
        announcements.chain(states).chain(self.pulls_served.keys().copied()).collect()
    }

    /// What a client can see.
    pub(crate) fn visible(&self) -> (BTreeSet<EventId>, BTreeMap<PublicKey, BTreeMap<RefName, Oid>>) {
        let refs = self.refs.iter().filter(|(_, refs)| !refs.is_empty());
        (self.served(), refs.map(|(owner, refs)| (*owner, refs.clone())).collect())
    }

    pub(crate) fn offer(&mut self, item: &Item) {
        match item {
            Item::Announcement(new) => {
                let decision =
                    decide::announcement(&self.family, new, &Self::service(), &self.archive).decision;
                let announced = || Hosted::new(new.clone(), &Self::service(), &self.archive);
                let slot = self.family.announcements.entry(new.author).or_default();
                match decision {
                    Decision::Serve => slot.served = Some(announced()),
                    Decision::Wait => slot.waiting = Some(announced()),
                    _ => {}
                }
            }
            Item::State(new) => {
                if decide::state(&self.family, new) == Decision::Wait {
                    self.family.states.entry(new.author).or_default().waiting = Some(new.clone());
                }
            }
            Item::Pull(new) => self.offer_pull(new),
            Item::Push { owner, refs, pack } => self.push(owner, refs, pack),
            Item::PullPush { owner, id, tip } => self.push_pull(owner, id, *tip),
        }
        self.settle();
    }

    fn offer_pull(&mut self, new: &PullRequest) {
        if self.pulls_served.contains_key(&new.id) || self.family.pulls.contains_key(&new.id) {
            return;
        }
        let served = |repository: &Coordinate| self.family.is_served(&repository.owner);
        if decide::pull_request(new, false, served, |_| false) == Decision::Wait {
            if let Some(tip) = self.unsigned.remove(&new.id).filter(|tip| Some(*tip) == new.tip) {
                self.here.insert(tip);
            }
            self.family.pulls.insert(new.id, new.clone());
        }
    }

    fn named(&self, id: &EventId) -> NamedEvent {
        match self.family.pulls.get(id).or_else(|| self.pulls_served.get(id)) {
            Some(pull) => NamedEvent::PullRequest { tip: pull.tip, names_identifier: true },
            None => NamedEvent::Unknown,
        }
    }

    fn push(&mut self, owner: &PublicKey, refs: &BTreeMap<RefName, Oid>, pack: &[Oid]) {
        if !self.family.is_hosted(owner) {
            return;
        }
        let current = self.refs.get(owner).cloned().unwrap_or_default();
        let names: BTreeSet<_> =
            current.keys().filter(|name| name.is_in_state()).chain(refs.keys()).collect();
        let value = |map: &BTreeMap<RefName, Oid>, name| map.get(name).copied().unwrap_or(Oid::ZERO);
        let commands: Vec<RefCommand> = names
            .into_iter()
            .map(|name| RefCommand { name: name.clone(), old: value(&current, name), new: value(refs, name) })
            .collect();
        let facts = PushFacts {
            family: &self.family,
            owner,
            current: &current,
            events: &BTreeMap::default(),
            read_only_archive: true,
        };
        if authorize(&facts, &commands).promotes.is_some() {
            self.here.extend(pack);
        }
    }

    fn push_pull(&mut self, owner: &PublicKey, id: &EventId, tip: Oid) {
        if !self.family.is_hosted(owner) {
            return;
        }
        let current = self.refs.get(owner).cloned().unwrap_or_default();
        let events = BTreeMap::from([(*id, self.named(id))]);
        let facts = PushFacts {
            family: &self.family,
            owner,
            current: &current,
            events: &events,
            read_only_archive: true,
        };
        let ruling = authorize(&facts, &[RefCommand { name: RefName::nostr(id), old: Oid::ZERO, new: tip }]);
        self.here.extend(ruling.signed.iter().map(|(_, tip)| *tip));
        self.unsigned.extend(ruling.unsigned);
    }

    fn settle(&mut self) {
        let wanted = wanted(&self.family);
        let here = wanted.into_iter().filter(|oid| self.here.contains(oid)).collect();
        let settled = settle(&self.family, &here);
        for slot in self.family.announcements.values_mut() {
            if let Some(new) = slot.waiting.take_if(|new| settled.serve.contains(&new.announcement.id)) {
                slot.served = Some(new);
            }
        }
        for slot in self.family.states.values_mut() {
            if let Some(new) = slot.waiting.take_if(|new| settled.serve.contains(&new.id)) {
                slot.served = Some(new);
            }
        }
        for (owner, target) in settled.repositories {
            let refs = self.refs.entry(owner).or_default();
            refs.retain(|name, _| !name.is_in_state());
            refs.extend(target.refs);
        }
        for (owner, id, tip) in settled.pulls {
            self.refs.entry(owner).or_default().insert(RefName::nostr(&id), tip);
        }
        let served: Vec<_> =
            self.family.pulls.keys().filter(|id| settled.serve.contains(*id)).copied().collect();
        for id in served {
            let pull = self.family.pulls.remove(&id).unwrap();
            self.pulls_served.insert(id, pull);
        }
        // A repository that is announced after a pull request was served gets its ref (`Meeting::welcome`).
        for pull in self.pulls_served.values() {
            let hosted = pull.repositories.iter().filter(|named| self.family.is_hosted(&named.owner));
            for (named, tip) in hosted.zip(pull.tip.into_iter().cycle()) {
                self.refs.entry(named.owner).or_default().insert(RefName::nostr(&pull.id), tip);
            }
        }
    }
}
