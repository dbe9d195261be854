//! Two servers that synchronise: what is served in the end does not depend on who had what first (GRASP-02).
//!
//! Everything that the two had is offered to a world again and again, until nothing changes; data comes when something
//! waits for it. Where different orders end differently the table gives no one answer, and nothing is said.

use std::collections::{BTreeMap, BTreeSet};

use super::{Event, EventId, Family, Object, Person, Project, Refs, Repo, Says, World, reached};

/// How many worlds may be possible at once.
const MAX_WORLDS: usize = 64;
/// How often everything is offered; a chain of relations is never as long.
const MAX_ROUNDS: usize = 32;

/// What two servers had together.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Had {
    /// Events that were taken by one of them.
    pub events: Vec<Event>,
    /// Those that were published at the server under test.
    pub direct: BTreeSet<EventId>,
    /// Objects that were pushed to the server under test, by identifier.
    pub pushed: BTreeMap<Project, BTreeSet<Object>>,
    /// Tips that were pushed to it for pull requests, and where.
    pub uploads: BTreeMap<(Repo, EventId), Object>,
    /// Objects in the other one's repositories, by the path.
    pub hosted: BTreeMap<Repo, BTreeSet<Object>>,
}

/// Data that is elsewhere, for something that waits.
struct Found {
    id: EventId,
    project: Project,
    objects: BTreeSet<Object>,
    /// An announcement that counts for it names the place.
    is_its_host: bool,
}

/// Everything of a world that can be seen for certain.
type View = (BTreeSet<EventId>, BTreeMap<Repo, (Refs, BTreeMap<EventId, Object>)>);

impl Had {
    /// The worlds that may be in the end; `None` when the order in which things are heard of would decide.
    #[must_use]
    pub fn settled(&self) -> Option<Vec<World>> {
        let mut backward = self.events.clone();
        backward.reverse();
        let mut from_the_middle = self.events.clone();
        from_the_middle.rotate_left(self.events.len() / 2);
        let mut all: Vec<World> = Vec::new();
        let mut views = BTreeSet::new();
        for order in [&self.events, &backward, &from_the_middle] {
            let worlds = self.offered(order)?;
            views.insert(worlds.first().map(|world| self.view(world)));
            all.extend(worlds.into_iter().filter(|world| !all.contains(world)).collect::<Vec<_>>());
        }
        (views.len() == 1).then_some(all)
    }

    fn offered(&self, order: &[Event]) -> Option<Vec<World>> {
        let mut first = World::default();
        for (project, objects) in &self.pushed {
            first.family_mut(*project).objects.extend(objects);
        }
        let mut worlds = vec![first];
        for _ in 0..MAX_ROUNDS {
            let before = worlds.clone();
            for event in order {
                worlds = distinct(worlds.iter().flat_map(|world| world.having_heard(event)));
                worlds = distinct(worlds.iter().flat_map(|world| self.with_uploads(world)));
                worlds = distinct(worlds.iter().flat_map(|world| self.fetched(world)));
                if worlds.len() > MAX_WORLDS {
                    return None;
                }
            }
            if worlds == before {
                worlds.iter_mut().for_each(|world| self.show_uploads(world));
                return Some(worlds);
            }
        }
        None
    }

    /// What waits gets the data that one of its hosts has, whole or not at all. It comes at once for what came by sync; what was
    /// published here has somebody who may push, and when a server looks for it elsewhere is left open. So is whether it looks
    /// where only others announce the identifier.
    fn fetched(&self, world: &World) -> Vec<World> {
        let (open, certain): (Vec<_>, Vec<_>) = self
            .at_hand(world)
            .into_iter()
            .partition(|found| !found.is_its_host || self.direct.contains(&found.id));
        let mut first = world.clone();
        for found in certain {
            first.family_mut(found.project).objects.extend(found.objects);
        }
        let mut worlds = if first == *world { vec![first.clone()] } else { first.settled() };
        for found in open {
            let mut with = first.clone();
            with.family_mut(found.project).objects.extend(found.objects);
            worlds.extend(with.settled());
        }
        worlds
    }

    /// What waits, and whose data is complete with what is elsewhere.
    fn at_hand(&self, world: &World) -> Vec<Found> {
        let mut found = Vec::new();
        for (project, family) in &world.families {
            for state in family.states.values().filter_map(|held| held.waiting.as_ref()) {
                let Says::State { refs, .. } = &state.says else { continue };
                let owners = family.owners_for(state.by);
                found.extend(self.found(family, *project, state.id, reached(refs.values()), &owners));
            }
        }
        for event in world.waiting.values() {
            let Says::Pull { names, tip, .. } = &event.says else { continue };
            for repo in names.iter().filter(|repo| world.hosted(**repo).is_some()) {
                let Some(family) = world.family(repo.project) else { continue };
                let owners = BTreeSet::from([repo.owner]);
                found.extend(self.found(family, repo.project, event.id, reached([tip]), &owners));
            }
        }
        found
    }

    fn found(
        &self,
        family: &Family,
        project: Project,
        id: EventId,
        objects: BTreeSet<Object>,
        owners: &BTreeSet<Person>,
    ) -> Option<Found> {
        let has_all = |owners: &BTreeSet<Person>| {
            let near = self.near(project, owners);
            objects.iter().all(|object| family.objects.contains(object) || near.contains(object))
        };
        let is_its_host = has_all(owners);
        if objects.is_subset(&family.objects) || !has_all(&family.announced.keys().copied().collect()) {
            return None;
        }
        Some(Found { id, project, objects, is_its_host })
    }

    /// What was pushed for a pull request that waits is here with it.
    fn with_uploads(&self, world: &World) -> Vec<World> {
        let mut with = world.clone();
        for ((to, id), pushed) in &self.uploads {
            let waits = world.waiting.get(id);
            let fits = |event: &&Event| {
                event.names_project(to.project)
                    && matches!(&event.says, Says::Pull { tip, .. } if tip == pushed)
            };
            if waits.as_ref().is_some_and(fits) {
                with.family_mut(to.project).objects.extend(pushed.reaches());
            }
        }
        if with == *world { vec![with] } else { with.settled() }
    }

    /// What the other server hosts of an identifier, below these owners.
    fn near(&self, project: Project, owners: &BTreeSet<Person>) -> BTreeSet<Object> {
        let hosted = self.hosted.iter().filter(|(repo, _)| repo.project == project);
        hosted
            .filter(|(repo, _)| owners.contains(&repo.owner))
            .flat_map(|(_, objects)| objects)
            .copied()
            .collect()
    }

    /// Refs that were pushed for pull requests are there until somebody signs for them, and may be there then.
    fn show_uploads(&self, world: &mut World) {
        for ((repo, id), tip) in &self.uploads {
            let signed = world.is_served(*id);
            let Some(hosted) = world.hosted_mut(*repo) else { continue };
            if !signed {
                hosted.nostr.upload(*id, *tip);
            } else if !hosted.nostr.served.contains_key(id) {
                hosted.nostr.maybe.insert(*id, *tip);
            }
        }
    }

    fn view(&self, world: &World) -> View {
        let served = self.events.iter().map(|event| event.id).filter(|id| world.is_served(*id)).collect();
        let repositories = world.repositories().into_iter().filter_map(|repo| {
            let hosted = world.hosted(repo)?;
            Some((repo, (hosted.refs.clone(), hosted.nostr.served.clone())))
        });
        (served, repositories.collect())
    }
}

impl World {
    /// The worlds after the event has been heard of, whatever the answer.
    fn having_heard(&self, event: &Event) -> Vec<Self> {
        if self.is_served(event.id) || self.is_waiting(event.id) {
            return vec![self.clone()];
        }
        self.publish(event).alternatives.into_iter().map(|way| way.world).collect()
    }
}

impl Family {
    /// The owners whose announcements give this person authority.
    fn owners_for(&self, by: Person) -> BTreeSet<Person> {
        self.announced.keys().copied().filter(|owner| self.maintainers(*owner).contains(&by)).collect()
    }
}

fn distinct(worlds: impl Iterator<Item = World>) -> Vec<World> {
    let mut distinct = Vec::new();
    for world in worlds {
        if !distinct.contains(&world) {
            distinct.push(world);
        }
    }
    distinct
}
