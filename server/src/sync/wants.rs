//! What is wanted from which relay: the seed's `RepoSyncIndex`, kept up to date change by change.
//!
//! [`derive_relay_targets`] is the definition: from all that is known, what each relay is wanted for.
//! [`RepoSyncIndex`] always has the same answer, and a change costs what it changes.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use nostr::event::EventId;

use super::bounds::{Bounds, MAX_RELAYS_PER_REPOSITORY, MAX_REPOSITORIES_PER_ROOT};
use super::input::Repository;
use super::item::{Item, Level};
use super::url::RelayUrl;
use crate::fault;
use crate::nip34::{Coordinate, Identifier, ServiceDomain};

/// What is known of a repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Known {
    /// Its announcement.
    pub announcement: EventId,
    /// The other relays that it names, as far as they count.
    pub relays: BTreeSet<RelayUrl>,
    /// How much is wanted.
    pub level: Level,
}

/// Something about a relay's target has changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Wanted, and was not before.
    Wanted(RelayUrl, Item),
    /// Wanted no more.
    Unwanted(RelayUrl, Item),
    /// Still wanted, and to be looked at once more: what was refused may be taken now.
    Again(RelayUrl, Item),
}

/// The definition of what each relay is wanted for.
#[must_use]
pub fn derive_relay_targets(
    bootstrap: &BTreeSet<RelayUrl>,
    repositories: &HashMap<Coordinate, Known>,
    roots: &HashMap<EventId, Vec<Coordinate>>,
) -> BTreeMap<RelayUrl, BTreeSet<Item>> {
    let mut targets: BTreeMap<RelayUrl, BTreeSet<Item>> = BTreeMap::new();
    for relay in bootstrap {
        targets.entry(relay.clone()).or_default().insert(Item::Announcements);
    }
    for (coordinate, known) in repositories {
        for relay in &known.relays {
            targets.entry(relay.clone()).or_default().extend(items_of(coordinate, known.level));
        }
    }
    for (id, coordinates) in roots {
        let full = coordinates.iter().filter_map(|named| repositories.get(named));
        for relay in full.filter(|known| known.level == Level::Full).flat_map(|known| &known.relays) {
            targets.entry(relay.clone()).or_default().insert(Item::Root(*id));
        }
    }
    targets
}

/// What a repository itself makes its relays wanted for.
fn items_of(coordinate: &Coordinate, level: Level) -> impl Iterator<Item = Item> {
    let always = [Item::Announcements, Item::Identifier(coordinate.identifier.clone())];
    let left_out = usize::from(fault::is("known-identifiers-only"));
    always
        .into_iter()
        .skip(left_out)
        .chain((level == Level::Full).then(|| Item::Repository(coordinate.clone())))
}

/// What is known and what follows from it. Items are counted: several repositories may want the same of one relay.
#[derive(Debug)]
pub struct RepoSyncIndex {
    bounds: Bounds,
    service: ServiceDomain,
    bootstrap: BTreeSet<RelayUrl>,
    repositories: HashMap<Coordinate, Known>,
    roots: HashMap<EventId, Vec<Coordinate>>,
    /// Those of repositories that are not known are kept too: they may become known.
    roots_of: HashMap<Coordinate, BTreeSet<EventId>>,
    targets: HashMap<RelayUrl, HashMap<Item, u32>>,
    left_out: u64,
}

impl RepoSyncIndex {
    /// Nothing is known; only the bootstrap relays are wanted.
    #[must_use]
    pub fn new(bounds: Bounds, service: ServiceDomain, bootstrap: &[RelayUrl]) -> Self {
        let bootstrap: BTreeSet<RelayUrl> =
            bootstrap.iter().filter(|relay| !service.is_relay_url(relay.as_str())).cloned().collect();
        let wanted = || HashMap::from([(Item::Announcements, 1)]);
        let targets = bootstrap.iter().map(|relay| (relay.clone(), wanted())).collect();
        Self {
            bounds,
            service,
            bootstrap,
            repositories: HashMap::new(),
            roots: HashMap::new(),
            roots_of: HashMap::new(),
            targets,
            left_out: 0,
        }
    }

    /// The bootstrap relays.
    #[must_use]
    pub const fn bootstrap(&self) -> &BTreeSet<RelayUrl> {
        &self.bootstrap
    }

    /// The repositories that are known.
    #[must_use]
    pub const fn repositories(&self) -> &HashMap<Coordinate, Known> {
        &self.repositories
    }

    /// The root events that are known, with the repositories that they name.
    #[must_use]
    pub const fn roots(&self) -> &HashMap<EventId, Vec<Coordinate>> {
        &self.roots
    }

    /// What was left out for being too much.
    #[must_use]
    pub const fn left_out(&self) -> u64 {
        self.left_out
    }

    /// What a relay is wanted for, in no particular order.
    pub fn target(&self, relay: &RelayUrl) -> impl Iterator<Item = &Item> {
        self.targets.get(relay).into_iter().flat_map(HashMap::keys)
    }

    /// For how many things a relay is wanted.
    #[must_use]
    pub fn wanted(&self, relay: &RelayUrl) -> usize {
        self.targets.get(relay).map_or(0, HashMap::len)
    }

    /// Whether an announcement that is served names a relay.
    #[must_use]
    pub fn is_announced(&self, relay: &RelayUrl) -> bool {
        self.target(relay).any(|item| matches!(item, Item::Repository(_)))
    }

    /// A repository is known, or known otherwise.
    pub fn know(&mut self, repository: Repository) -> Vec<Change> {
        let Repository { coordinate, announcement, relays, level } = repository;
        if self.repositories.len() >= self.bounds.repositories && !self.repositories.contains_key(&coordinate)
        {
            self.left_out += 1;
            return Vec::new();
        }
        let mut known = Known { announcement, relays: self.relays(&relays), level };
        known.relays.retain(|relay| !self.is_overlooked(&coordinate, relay));
        let before = self.repositories.insert(coordinate.clone(), known.clone());
        let mut changes = Vec::new();
        // First what comes, then what goes: what stays never drops to nothing in between.
        self.count(&coordinate, Some(&known), before.as_ref(), &mut changes);
        self.count_out(&coordinate, before.as_ref(), Some(&known), &mut changes);
        if let Some(before) = before.filter(|before| before.announcement != announcement) {
            let again = Item::Identifier(coordinate.identifier.clone());
            let both = before.relays.intersection(&known.relays).cloned();
            changes.extend(both.map(|relay| Change::Again(relay, again.clone())));
        }
        changes
    }

    /// What relays have of an identifier's announcements and states is to be looked at again.
    pub fn look_again(&self, identifier: &Identifier) -> Vec<Change> {
        let item = Item::Identifier(identifier.clone());
        let asked = self.targets.iter().filter(|(_, items)| items.contains_key(&item));
        asked.map(|(relay, _)| Change::Again(relay.clone(), item.clone())).collect()
    }

    /// A repository is known no more. Its root events are kept: it may come back.
    pub fn forget(&mut self, coordinate: &Coordinate) -> Vec<Change> {
        let mut changes = Vec::new();
        if let Some(before) = self.repositories.remove(coordinate) {
            self.count_out(coordinate, Some(&before), None, &mut changes);
        }
        changes
    }

    /// A root event is served.
    pub fn know_root(&mut self, id: EventId, coordinates: Vec<Coordinate>) -> Vec<Change> {
        if self.roots.contains_key(&id) {
            return Vec::new();
        }
        let named: BTreeSet<Coordinate> = coordinates.into_iter().take(MAX_REPOSITORIES_PER_ROOT).collect();
        let full = |named: &Coordinate| {
            self.roots_of.get(named).is_some_and(|roots| roots.len() >= self.bounds.roots_per_repository)
        };
        let named: Vec<Coordinate> = named.into_iter().filter(|named| !full(named)).collect();
        if named.is_empty() || self.roots.len() >= self.bounds.roots {
            self.left_out += 1;
            return Vec::new();
        }
        let mut changes = Vec::new();
        for coordinate in &named {
            self.roots_of.entry(coordinate.clone()).or_default().insert(id);
            for relay in self.full_relays(coordinate) {
                self.want(&relay, Item::Root(id), &mut changes);
            }
        }
        self.roots.insert(id, named);
        changes
    }

    /// A root event is served no more.
    pub fn forget_root(&mut self, id: &EventId) -> Vec<Change> {
        let mut changes = Vec::new();
        for coordinate in self.roots.remove(id).unwrap_or_default() {
            if let Some(roots) = self.roots_of.get_mut(&coordinate) {
                roots.remove(id);
                if roots.is_empty() {
                    self.roots_of.remove(&coordinate);
                }
            }
            for relay in self.full_relays(&coordinate) {
                self.unwant(&relay, &Item::Root(*id), &mut changes);
            }
        }
        changes
    }

    /// The relays that count, of those that an announcement names.
    fn relays(&mut self, named: &[String]) -> BTreeSet<RelayUrl> {
        let mut relays = BTreeSet::new();
        let most = if fault::is("first-relay-only") { 1 } else { MAX_RELAYS_PER_REPOSITORY };
        for url in named.iter().filter(|url| !self.service.is_relay_url(url)) {
            let Ok(relay) = RelayUrl::parse(url) else { continue };
            if relays.len() < most {
                relays.insert(relay);
            } else if !relays.contains(&relay) {
                self.left_out += 1;
            }
        }
        relays
    }

    /// Whether a faulty server does not use a relay that a newer announcement names.
    fn is_overlooked(&self, coordinate: &Coordinate, relay: &RelayUrl) -> bool {
        let before = || self.repositories.get(coordinate).map(|known| &known.relays);
        fault::is("relays-named-later-ignored") && before().is_some_and(BTreeSet::is_empty)
            || fault::is("further-relays-ignored")
                && before().is_some_and(|before| !before.is_empty() && !before.contains(relay))
    }

    fn full_relays(&self, coordinate: &Coordinate) -> Vec<RelayUrl> {
        let known = self.repositories.get(coordinate).filter(|known| known.level == Level::Full);
        known.map(|known| known.relays.iter().cloned().collect()).unwrap_or_default()
    }

    /// Counts what one standing of a repository wants and another does not.
    fn count(
        &mut self,
        coordinate: &Coordinate,
        one: Option<&Known>,
        other: Option<&Known>,
        changes: &mut Vec<Change>,
    ) {
        for (relay, item) in self.only_in(coordinate, one, other) {
            self.want(&relay, item, changes);
        }
    }

    /// The reverse of [`Self::count`].
    fn count_out(
        &mut self,
        coordinate: &Coordinate,
        one: Option<&Known>,
        other: Option<&Known>,
        changes: &mut Vec<Change>,
    ) {
        for (relay, item) in self.only_in(coordinate, one, other) {
            self.unwant(&relay, &item, changes);
        }
    }

    /// What one standing of a repository wants of its relays and another does not.
    fn only_in(
        &self,
        coordinate: &Coordinate,
        one: Option<&Known>,
        other: Option<&Known>,
    ) -> Vec<(RelayUrl, Item)> {
        let Some(one) = one else { return Vec::new() };
        let mut only = Vec::new();
        for relay in &one.relays {
            let level = other.filter(|other| other.relays.contains(relay)).map(|other| other.level);
            if level == Some(one.level) {
                continue;
            }
            let had = level.into_iter().flat_map(|level| items_of(coordinate, level)).collect::<Vec<_>>();
            let items = items_of(coordinate, one.level).filter(|item| !had.contains(item));
            only.extend(items.map(|item| (relay.clone(), item)));
            if one.level == Level::Full {
                let roots = self.roots_of.get(coordinate).into_iter().flatten();
                only.extend(roots.map(|id| (relay.clone(), Item::Root(*id))));
            }
        }
        only
    }

    fn want(&mut self, relay: &RelayUrl, item: Item, changes: &mut Vec<Change>) {
        if !self.targets.contains_key(relay) {
            self.targets.insert(relay.clone(), HashMap::new());
        }
        let Some(target) = self.targets.get_mut(relay) else { return };
        if let Some(count) = target.get_mut(&item) {
            *count += 1;
        } else {
            target.insert(item.clone(), 1);
            changes.push(Change::Wanted(relay.clone(), item));
        }
    }

    fn unwant(&mut self, relay: &RelayUrl, item: &Item, changes: &mut Vec<Change>) {
        let Some(target) = self.targets.get_mut(relay) else { return };
        let Some(count) = target.get_mut(item) else { return };
        *count -= 1;
        if *count == 0 {
            target.remove(item);
            changes.push(Change::Unwanted(relay.clone(), item.clone()));
        }
        if target.is_empty() {
            self.targets.remove(relay);
        }
    }
}

#[cfg(test)]
impl RepoSyncIndex {
    /// How many relays are wanted for anything.
    pub(super) fn targets(&self) -> usize {
        self.targets.len()
    }
}
