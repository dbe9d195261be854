//! The relay's end of connections: our servers, which answer as they should, and everybody else.

use std::sync::Arc;

use nostr::event::{Event, EventId};
use nostr::filter::Filter;
use rand::Rng as _;
use rand::seq::{IndexedRandom as _, SliceRandom as _};

use super::cast::{forge, matches};
use super::scenario::{Character, Role};
use super::wire::{Message, Name, Way};
use super::world::{Happening, LinkId, World};
use crate::sync::bounds::CEILING_SUBSCRIPTIONS;

/// Results of a filter that a relay gives which says nothing about it.
const RESULTS: usize = 500;

/// What relays say when they end a subscription.
const REASONS: &[&str] = &[
    "rate-limited: slow down",
    "error: too many subscriptions",
    "invalid: too many filters",
    "invalid: filter has too many elements",
    "auth-required: who are you?",
    "error: database is busy",
    "blocked: go away",
    "",
];

impl World {
    fn character(&self, node: usize) -> Option<Character> {
        match self.scenario.cast[node].role {
            Role::Server(_) => None,
            Role::Other(character) => Some(character),
        }
    }

    pub(super) fn answer(&mut self, link: LinkId, message: Message) {
        self.send(link, Way::ToClient, message);
    }

    /// A message reaches a relay.
    pub(super) fn relay_hears(&mut self, id: LinkId, message: Message) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let (node, now) = (link.relay, self.now);
        match message {
            Message::Close { name } => drop(link.open.remove(&name)),
            Message::AuthAnswer => {
                link.known = true;
                self.answer(id, Message::Authenticated);
            }
            Message::Req { name, filters } => {
                link.asked.push_back(now);
                match self.character(node) {
                    None | Some(Character::Archive) => self.answer_honestly(id, name, filters),
                    Some(character) => self.misbehave(character, id, name, &filters),
                }
            }
            Message::NegOpen { name, filter, held } => {
                link.asked.push_back(now);
                match self.character(node) {
                    None | Some(Character::Archive) => self.reconcile(id, name, &filter, &held),
                    Some(character) => self.misreconcile(character, id, name, &filter),
                }
            }
            Message::NegAgain { name } => {
                let message = Message::Neg { name, need: Vec::new(), more: 0, again: true };
                self.answer(id, message);
            }
            _ => {}
        }
    }

    /// What a relay gives, newest first.
    fn stored(&self, node: usize) -> Box<dyn Iterator<Item = &Arc<Event>> + '_> {
        if self.scenario.cast[node].is_server() {
            Box::new(self.nodes[node].house.served.values())
        } else {
            Box::new(self.nodes[node].lore.iter())
        }
    }

    fn query(&self, node: usize, filters: &[Filter]) -> Vec<Arc<Event>> {
        let cap = self.scenario.cast[node].limits.results.unwrap_or(RESULTS);
        let mut all: Vec<Arc<Event>> = Vec::new();
        for filter in filters {
            let mut of_filter: Vec<&Arc<Event>> =
                self.stored(node).filter(|event| matches(filter, event)).collect();
            of_filter.sort_by_key(|event| (std::cmp::Reverse(event.created_at), event.id));
            let limit = filter.limit.unwrap_or(cap).min(cap);
            for event in of_filter.into_iter().take(limit) {
                if all.iter().all(|known| known.id != event.id) {
                    all.push(Arc::clone(event));
                }
            }
        }
        all
    }

    /// Why a relay does not take a question, by its own rules.
    fn refusal(&self, id: LinkId, filters: usize) -> Option<String> {
        let link = self.links.get(&id)?;
        let cast = &self.scenario.cast[link.relay];
        let recent = |at: &&crate::sync::Millis| self.now.since(**at).as_secs() < 10;
        if cast.asks_who && !link.known {
            return Some("auth-required: we want to know who you are".to_owned());
        }
        if link.asked.iter().rev().take_while(recent).count() > cast.patience {
            return Some("rate-limited: too many queries from here; wait a moment and ask again".to_owned());
        }
        if cast.limits.subscriptions.is_some_and(|most| link.open.len() >= most) {
            return Some("error: too many subscriptions".to_owned());
        }
        let most = cast.limits.filters.filter(|most| filters > *most)?;
        Some(format!("invalid: {filters} filters; at most {most} are taken"))
    }

    fn answer_honestly(&mut self, id: LinkId, name: Name, filters: Arc<[Filter]>) {
        if let Some(reason) = self.refusal(id, filters.len()) {
            return self.answer(id, Message::Closed { name, reason });
        }
        let Some(link) = self.links.get_mut(&id) else { return };
        link.open.insert(name, Arc::clone(&filters));
        let (node, open) = (link.relay, link.open.len());
        // What a relay says of itself may come after the first questions.
        let told = self.scenario.cast[node].limits.subscriptions.filter(|_| self.scenario.cast[node].tells);
        let most = told.unwrap_or(0).max(CEILING_SUBSCRIPTIONS.0);
        if open > most {
            let client = self.links.get(&id).map(|link| link.client);
            let how = format!("{open} of {client:?} are open at {node}, which takes {most}");
            self.complain("subscriptions are bounded on the wire", how);
        }
        let events = self.query(node, &filters);
        self.give(id, name, events);
        self.answer(id, Message::Eose { name });
    }

    fn reconcile(&mut self, id: LinkId, name: Name, filter: &Filter, held: &[EventId]) {
        let Some(node) = self.links.get(&id).map(|link| link.relay) else { return };
        if self.scenario.cast[node].limits.negentropy == Some(false) {
            return match self.rng.random_range(0..3) {
                0 => self.answer(id, Message::Notice("ERROR: unknown message type NEG-OPEN".to_owned())),
                1 => self
                    .answer(id, Message::Closed { name, reason: "blocked: no negentropy here".to_owned() }),
                _ => {}
            };
        }
        if let Some(reason) = self.refusal(id, 1) {
            return self.answer(id, Message::Closed { name, reason });
        }
        let missing = self.stored(node).filter(|event| matches(filter, event) && !held.contains(&event.id));
        let need = missing.map(|event| event.id).collect();
        self.answer(id, Message::Neg { name, need, more: 0, again: false });
    }

    /// A relay tells those who have subscribed.
    pub(super) fn broadcast(&mut self, node: usize, event: &Arc<Event>) {
        let mut told = Vec::new();
        for id in &self.nodes[node].inbound {
            let Some(link) = self.links.get(id) else { continue };
            let wanted = |filters: &Arc<[Filter]>| filters.iter().any(|filter| matches(filter, event));
            let names = link.open.iter().filter(|(_, filters)| wanted(filters));
            told.extend(names.map(|(name, _)| (*id, *name)));
        }
        for (id, name) in told {
            self.give(id, name, vec![Arc::clone(event)]);
        }
    }

    /// Somebody gives a common relay an event, or lets a gossip hear of it.
    pub(super) fn hand_over(&mut self, node: usize, event: &Arc<Event>) {
        self.nodes[node].lore.push(Arc::clone(event));
        self.broadcast(node, event);
    }

    /// Sends events, in one go or in two.
    fn give(&mut self, id: LinkId, name: Name, mut events: Vec<Arc<Event>>) {
        if events.len() > 1 && self.rng.random_bool(0.3) {
            let rest = events.split_off(self.rng.random_range(1..events.len()));
            self.answer(id, Message::Events { name, events });
            events = rest;
        }
        if !events.is_empty() {
            self.answer(id, Message::Events { name, events });
        }
    }

    /// What fits the filters, as something that nobody has signed could look like.
    fn models(&self, filters: &[Filter]) -> Vec<Arc<Event>> {
        let fits = |event: &&Arc<Event>| filters.iter().any(|filter| matches(filter, event));
        self.published.iter().filter(fits).cloned().collect()
    }

    fn forgeries(&mut self, filters: &[Filter], count: usize) -> Vec<Arc<Event>> {
        let models = self.models(filters);
        let mut forge_one = |_| {
            let like = models.choose(&mut self.rng)?;
            let own_id = self.rng.random_bool(0.7).then(|| self.rng.random());
            Some(forge(like, own_id))
        };
        (0..count).filter_map(&mut forge_one).collect()
    }

    fn misbehave(&mut self, character: Character, id: LinkId, name: Name, filters: &Arc<[Filter]>) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let node = link.relay;
        if matches!(character, Character::Gossip | Character::Noisy | Character::Slow | Character::Flapper) {
            link.open.insert(name, Arc::clone(filters));
        }
        match character {
            Character::Endless => {
                let count = self.rng.random_range(0..40);
                let events = self.forgeries(filters, count);
                self.give(id, name, events);
            }
            Character::MorePages => self.another_page(id, name, filters),
            Character::Forger => {
                let count = self.rng.random_range(0..30);
                let events = self.forgeries(filters, count);
                self.give(id, name, events);
                self.answer(id, Message::Eose { name });
            }
            Character::Foreign => {
                let other = |event: &&Arc<Event>| !filters.iter().any(|filter| matches(filter, event));
                let others: Vec<Arc<Event>> =
                    self.published.iter().filter(other).take(150).cloned().collect();
                let events = others.into_iter().cycle().take(self.rng.random_range(0..150)).collect();
                self.give(id, name, events);
                self.answer(id, Message::Eose { name });
            }
            Character::Closer => {
                let reason = (*REASONS.choose(&mut self.rng).unwrap_or(&"")).to_owned();
                self.answer(id, Message::Closed { name, reason });
            }
            Character::Flapper if self.rng.random_bool(0.3) => self.break_link(id, "flap"),
            Character::Slow if self.rng.random_bool(0.5) => {
                // Its answers come when nobody waits for them any more.
                let wait = std::time::Duration::from_secs(self.rng.random_range(10..200));
                if let Some(link) = self.links.get_mut(&id) {
                    link.last[1] = link.last[1].max(self.now + wait);
                }
                self.gossip(node, id, name, filters);
            }
            Character::Gossip | Character::Liar | Character::Noisy | Character::Flapper | Character::Slow => {
                self.gossip(node, id, name, filters);
            }
            _ => {}
        }
    }

    /// Some of what there is, in any order.
    fn gossip(&mut self, node: usize, id: LinkId, name: Name, filters: &[Filter]) {
        let mut events = self.query(node, filters);
        events.shuffle(&mut self.rng);
        events.truncate(self.rng.random_range(0..=events.len()));
        self.give(id, name, events);
        self.answer(id, Message::Eose { name });
    }

    /// A page as full as was asked for, and dated so that the next one is asked for.
    fn another_page(&mut self, id: LinkId, name: Name, filters: &[Filter]) {
        let Some(filter) = filters.first() else { return };
        let until = filter.until.map(|until| until.as_secs());
        let models = self.models(&[Filter { until: None, since: None, ..filter.clone() }]);
        let mut events = Vec::new();
        if let Some(like) = models.choose(&mut self.rng) {
            for n in 0..filter.limit.unwrap_or(RESULTS).min(25) as u64 {
                let mut event = forge(like, Some(self.rng.random()));
                if let Some(until) = until {
                    let time = nostr::types::Timestamp::from_secs(until - n.min(until));
                    Arc::make_mut(&mut event).created_at = time;
                }
                events.push(event);
            }
        }
        self.give(id, name, events);
        self.answer(id, Message::Eose { name });
    }

    fn misreconcile(&mut self, character: Character, id: LinkId, name: Name, filter: &Filter) {
        let filters: Arc<[Filter]> = Arc::from([filter.clone()]);
        let mut claims = |count: usize| -> Vec<EventId> {
            let mut id = || EventId::from_byte_array(self.rng.random());
            (0..count).map(|_| id()).collect()
        };
        let message = match character {
            Character::Liar => {
                let need = claims(5);
                let (more, again) = match self.rng.random_range(0..4) {
                    0 => (0, true),
                    1 => (1_000_000, false),
                    _ => (0, false),
                };
                Message::Neg { name, need, more, again }
            }
            Character::Gossip => {
                let Some(node) = self.links.get(&id).map(|link| link.relay) else { return };
                let need = self.query(node, &filters).iter().map(|event| event.id).collect();
                Message::Neg { name, need, more: 0, again: false }
            }
            Character::Closer => {
                let reason = (*REASONS.choose(&mut self.rng).unwrap_or(&"")).to_owned();
                Message::Closed { name, reason }
            }
            Character::Flapper => return self.break_link(id, "flap"),
            Character::Noisy => Message::Notice("ERROR: bad message".to_owned()),
            Character::Forger | Character::Foreign => {
                Message::Neg { name, need: claims(3), more: 0, again: false }
            }
            _ => return,
        };
        self.answer(id, message);
    }

    /// What others do of themselves.
    pub(super) fn whim(&mut self, node: usize) {
        let Some(character) = self.character(node) else { return };
        let inbound: Vec<LinkId> = self.nodes[node].inbound.iter().copied().collect();
        if matches!(
            character,
            Character::Gossip | Character::Liar | Character::Noisy | Character::Flapper | Character::Slow
        ) && let Some(event) = self.published.choose(&mut self.rng).cloned()
            && self.nodes[node].lore.iter().all(|known| known.id != event.id)
        {
            self.hand_over(node, &event);
        }
        if let Some(id) = inbound.choose(&mut self.rng).copied() {
            match character {
                Character::Flapper => self.break_link(id, "flap"),
                Character::Noisy => {
                    let text = (*REASONS.choose(&mut self.rng).unwrap_or(&"")).to_owned();
                    let name = self.links.get(&id).and_then(|link| link.open.keys().next().copied());
                    match name.filter(|_| self.rng.random_bool(0.5)) {
                        Some(name) => {
                            self.links.entry(id).and_modify(|link| drop(link.open.remove(&name)));
                            self.answer(id, Message::Closed { name, reason: text });
                        }
                        None => self.answer(id, Message::Notice(text)),
                    }
                }
                _ => {}
            }
        }
        // As often in a long storm as in a short one; after it less often.
        let storm = self.scenario.storm.as_millis() as u64;
        let longest = if self.calm { 7_200_000 } else { (storm / 40).max(5_000) };
        let wait = self.rng.random_range(100..longest);
        if !matches!(character, Character::Archive | Character::Dead | Character::Mute) {
            self.after(wait, Happening::Whim(node));
        }
    }
}
