//! The client's end of connections: what a worker at a relay does, with the pure parts of the real one.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use nostr::event::{Event, EventId};
use nostr::filter::Filter;
use rand::Rng as _;

use super::breakage::Breakage;
use super::cast::is_true;
use super::scenario::{Character, Role, name_of};
use super::wire::{Link, Message, Name, Offer, Phase, Route, Way, Work};
use super::world::{Happening, LinkId, World};
use crate::sync::offering::MAX_FORGED;
use crate::sync::reading::Reading;
use crate::sync::refused::Before;
use crate::sync::relay_worker::ended;
use crate::sync::retrieval::{MAX_NEEDED, MAX_ROUNDS, Pace, RetrievalError};
use crate::sync::{Input, Millis, Mode, Page, RelayUrl, SubscriptionId, Unreachable};

impl World {
    /// Begins to connect.
    pub(super) fn dial(&mut self, node: usize, url: &RelayUrl) {
        let Some(relay) = self.by_url.get(url).copied() else {
            return self.report(
                node,
                None,
                Input::Disconnected {
                    relay: url.clone(),
                    why: Unreachable::Failed("no such name".to_owned()),
                },
            );
        };
        let Some(server) = &mut self.nodes[node].server else { return };
        let link = Link {
            client: node,
            relay,
            url: url.clone(),
            phase: Phase::Dialling,
            again: !server.seen.insert(url.clone()),
            last: [Millis(0); 2],
            last_report: Millis(0),
            stalled: Vec::new(),
            open: Default::default(),
            known: false,
            asked: VecDeque::new(),
            routes: Default::default(),
            intake: VecDeque::new(),
            forged: 0,
            listens: None,
            pace: Pace::default(),
        };
        let id = self.new_link(link);
        if let Some(server) = &mut self.nodes[node].server {
            server.links.insert(url.clone(), id);
        }
        // The handshake's patience is ten seconds.
        let cut = self.is_cut(node, relay) || self.character_of(relay) == Some(Character::Dead);
        let wait = if cut { 10_000 } else { self.rng.random_range(1..600) };
        self.after(wait, Happening::Dialled(id));
    }

    fn character_of(&self, node: usize) -> Option<Character> {
        match self.scenario.cast[node].role {
            Role::Server(_) => None,
            Role::Other(character) => Some(character),
        }
    }

    pub(super) fn dialled(&mut self, id: LinkId) {
        let Some((node, relay)) = self.links.get(&id).map(|link| (link.client, link.relay)) else { return };
        let refused = match self.character_of(relay) {
            Some(Character::Dead) => Some(Unreachable::Failed("no route".to_owned())),
            Some(Character::Doorkeeper) => Some(match self.rng.random_range(0..3) {
                0 => Unreachable::RateLimited,
                1 => Unreachable::Forbidden("it leads to a loopback address".to_owned()),
                _ => Unreachable::Failed("it answers with HTTP status 403".to_owned()),
            }),
            _ if !self.nodes[relay].up => Some(Unreachable::Failed("connection refused".to_owned())),
            _ if self.is_cut(node, relay) => Some(Unreachable::Failed("no answer in time".to_owned())),
            _ => None,
        };
        if let Some(why) = refused {
            return self.ends(id, why);
        }
        let cast = &self.scenario.cast[relay];
        let (tells, limits, asks_who) = (cast.tells, cast.limits, cast.asks_who);
        let Some(link) = self.links.get_mut(&id) else { return };
        link.phase = Phase::Open;
        let url = link.url.clone();
        if tells {
            link.pace.limits = limits;
        }
        self.nodes[relay].inbound.insert(id);
        // The document is asked for beside, and may be late.
        let late = self.rng.random_bool(0.2);
        let limits = Input::Limits { relay: url.clone(), limits };
        if tells && !late {
            self.report(node, Some(id), limits.clone());
        }
        self.report(node, Some(id), Input::Connected { relay: url });
        if tells && late {
            self.report(node, Some(id), limits);
        }
        if asks_who {
            self.answer(id, Message::Challenge);
        }
    }

    /// Tells the engine, after a moment; what is told of one connection arrives in order.
    pub(super) fn report(&mut self, node: usize, id: Option<LinkId>, input: Input) {
        let mut time = self.now + Duration::from_millis(self.rng.random_range(0..4));
        if let Some(link) = id.and_then(|id| self.links.get_mut(&id)) {
            link.last_report = link.last_report.max(time);
            time = link.last_report;
        }
        let boot = self.nodes[node].boot;
        self.at(time, Happening::Report { node, boot, input: Box::new(input) });
    }

    /// The connection is over, as the worker sees it.
    pub(super) fn ends(&mut self, id: LinkId, why: Unreachable) {
        let Some(link) = self.links.get(&id) else { return };
        let (node, relay) = (link.client, link.url.clone());
        if let Some(server) = &mut self.nodes[node].server
            && server.links.get(&relay) == Some(&id)
        {
            server.links.remove(&relay);
        }
        let why = match why {
            Unreachable::Failed(reason) => ended(reason),
            other => other,
        };
        self.report(node, Some(id), Input::Disconnected { relay, why });
        let Some(mut link) = self.drop_link(id) else { return };
        // What has come is still taken in; nobody waits for it any more.
        let rest: Vec<Offer> =
            link.intake.drain(..).filter(|offer| !matches!(offer, Offer::Flush(..))).collect();
        for offer in rest {
            self.take(node, None, offer);
        }
        self.follow_up(node);
    }

    /// Opens what the planner has asked for.
    pub(super) fn open(
        &mut self,
        id: LinkId,
        subscription: SubscriptionId,
        mode: Mode,
        filters: Vec<Filter>,
    ) {
        let work = match mode {
            Mode::Live => Work::Live(Reading::live(filters.clone())),
            Mode::Historic => Work::Page(Reading::page(filters[0].clone())),
        };
        self.send_req(id, (subscription, 0), work, filters);
    }

    fn send_req(&mut self, id: LinkId, name: Name, work: Work, filters: Vec<Filter>) {
        let now = self.now;
        let Some(link) = self.links.get_mut(&id) else { return };
        let deadline = (!matches!(work, Work::Live(_))).then(|| now + link.pace.silence);
        link.routes.insert(name, Route { work, deadline });
        self.requests += 1;
        self.send(id, Way::ToRelay, Message::Req { name, filters: filters.into() });
        self.await_answer(id, deadline);
    }

    fn await_answer(&mut self, id: LinkId, deadline: Option<Millis>) {
        let Some(deadline) = deadline else { return };
        let Some(link) = self.links.get_mut(&id) else { return };
        if link.listens.is_none_or(|known| deadline < known) {
            link.listens = Some(deadline);
            self.at(deadline, Happening::Listen(id));
        }
    }

    pub(super) fn negotiate(&mut self, id: LinkId, subscription: SubscriptionId, filter: Filter) {
        let now = self.now;
        let Some(link) = self.links.get_mut(&id) else { return };
        let (name, deadline) = ((subscription, 0), Some(now + link.pace.first));
        link.routes.insert(name, Route { work: Work::Reconcile { rounds: 1 }, deadline });
        let held = self.nodes[link.client].house.holds(&filter);
        self.requests += 1;
        self.send(id, Way::ToRelay, Message::NegOpen { name, filter: Box::new(filter), held });
        self.await_answer(id, deadline);
    }

    /// Ends what the planner does not want any more.
    pub(super) fn unsubscribe(&mut self, id: LinkId, subscription: SubscriptionId) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let of_it = |name: &&Name| name.0 == subscription;
        let names: Vec<Name> = link.routes.keys().filter(of_it).copied().collect();
        link.intake.retain(|offer| !matches!(offer, Offer::Flush(waits, _) if *waits == subscription));
        for name in names {
            self.close(id, name);
        }
    }

    fn close(&mut self, id: LinkId, name: Name) -> Option<Work> {
        let route = self.links.get_mut(&id)?.routes.remove(&name)?;
        if !self.breaks(Breakage::NothingIsClosed) {
            self.send(id, Way::ToRelay, Message::Close { name });
        }
        Some(route.work)
    }

    fn fails(&mut self, id: LinkId, name: Name, error: RetrievalError) {
        self.close(id, name);
        let Some(link) = self.links.get(&id) else { return };
        let (node, relay) = (link.client, link.url.clone());
        if let Some(input) = error.report(relay, name.0) {
            self.report(node, Some(id), input);
        }
    }

    /// A message reaches the client's end.
    pub(super) fn client_hears(&mut self, id: LinkId, message: Message) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let (node, url, silence) = (link.client, link.url.clone(), link.pace.silence);
        let name = match &message {
            Message::Events { name, .. }
            | Message::Eose { name }
            | Message::Closed { name, .. }
            | Message::Neg { name, .. } => Some(*name),
            _ => None,
        };
        if let Some(name) = name {
            // A subscription that was closed meanwhile is not listened to.
            let Some(route) = link.routes.get_mut(&name) else { return };
            if let Some(deadline) = &mut route.deadline {
                *deadline = self.now + silence;
            }
        }
        match message {
            Message::Events { name, events } => {
                events.into_iter().for_each(|event| self.hear_event(id, name, event));
            }
            Message::Eose { name } => self.hear_end(id, name),
            Message::Closed { name, reason } => {
                let work = link.routes.remove(&name).map(|route| route.work);
                let reconciles = matches!(work, Some(Work::Reconcile { .. }));
                let error = if reconciles {
                    RetrievalError::of_reconciliation(reason)
                } else {
                    RetrievalError::Closed(reason)
                };
                self.fails(id, name, error);
            }
            Message::Neg { name, need, more, again } => self.hear_reconciliation(id, name, need, more, again),
            Message::Notice(message) => {
                let fresh = |route: &Route| matches!(route.work, Work::Reconcile { rounds: 1 });
                let fresh: Vec<Name> =
                    link.routes.iter().filter(|(_, route)| fresh(route)).map(|(name, _)| *name).collect();
                for name in fresh {
                    self.fails(id, name, RetrievalError::Unreconciled(message.clone()));
                }
                self.report(node, Some(id), Input::Notice { relay: url, message });
            }
            Message::Challenge => self.send(id, Way::ToRelay, Message::AuthAnswer),
            Message::Authenticated => self.report(node, Some(id), Input::Authenticated { relay: url }),
            _ => {}
        }
    }

    fn hear_event(&mut self, id: LinkId, name: Name, event: Arc<Event>) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let Some(route) = link.routes.get_mut(&name) else { return };
        let (Work::Live(reading) | Work::Page(reading) | Work::Fetch { reading, .. }) = &mut route.work
        else {
            return;
        };
        match reading.take(&event) {
            Ok(true) => self.offer(id, Offer::Fetched(event)),
            Ok(false) => {}
            Err(error) => self.fails(id, name, error),
        }
    }

    fn hear_end(&mut self, id: LinkId, name: Name) {
        let Some(link) = self.links.get_mut(&id) else { return };
        let Some(route) = link.routes.get_mut(&name) else { return };
        let (relay, subscription, part) = (link.url.clone(), name.0, name.1);
        if let Work::Live(_) = &route.work {
            let input = Input::Eose { relay, subscription, page: Page::default() };
            return self.offer(id, Offer::Flush(subscription, input));
        }
        match self.close(id, name) {
            Some(Work::Page(reading)) => {
                let input = Input::Eose { relay, subscription, page: reading.finish() };
                self.offer(id, Offer::Flush(subscription, input));
            }
            Some(Work::Fetch { ids, .. }) => self.fetch_ids(id, subscription, ids, part + 1),
            _ => {}
        }
    }

    /// Fetches what a reconciliation has found, with one REQ open at a time.
    fn fetch_ids(&mut self, id: LinkId, subscription: SubscriptionId, mut ids: VecDeque<EventId>, part: u32) {
        let Some(link) = self.links.get(&id) else { return };
        if ids.is_empty() {
            let input = Input::BatchDone { relay: link.url.clone(), subscription };
            return self.offer(id, Offer::Flush(subscription, input));
        }
        let first: Vec<EventId> = ids.drain(..link.pace.ids_at_once().min(ids.len())).collect();
        let filter = Filter::new().ids(first);
        let work = Work::Fetch { ids, reading: Reading::page(filter.clone()) };
        self.send_req(id, (subscription, part), work, vec![filter]);
    }

    fn hear_reconciliation(&mut self, id: LinkId, name: Name, need: Vec<EventId>, more: usize, again: bool) {
        let (now, Some(link)) = (self.now, self.links.get_mut(&id)) else { return };
        let Some(Route { work: Work::Reconcile { rounds }, .. }) = link.routes.get_mut(&name) else { return };
        if need.len() + more > MAX_NEEDED {
            return self.fails(id, name, RetrievalError::Endless("more ids than can be true"));
        }
        if again {
            *rounds += 1;
            if *rounds > MAX_ROUNDS {
                return self.fails(id, name, RetrievalError::Endless("a reconciliation without end"));
            }
            return self.send(id, Way::ToRelay, Message::NegAgain { name });
        }
        let node = link.client;
        self.close(id, name);
        let need = need.into_iter().filter(|id| !self.counts_as_had(node, id, now)).collect();
        self.fetch_ids(id, name.0, need, 1);
    }

    /// Looks whether somebody has been silent for too long.
    pub(super) fn listen(&mut self, id: LinkId) {
        let now = self.now;
        let Some(link) = self.links.get_mut(&id).filter(|link| link.listens == Some(now)) else { return };
        link.listens = None;
        let late = |route: &Route| route.deadline.is_some_and(|deadline| deadline <= now);
        let names: Vec<Name> =
            link.routes.iter().filter(|(_, route)| late(route)).map(|(name, _)| *name).collect();
        let (first, silence) = (link.pace.first, link.pace.silence);
        for name in names {
            let Some(route) = self.links.get(&id).and_then(|link| link.routes.get(&name)) else { continue };
            let error = match route.work {
                Work::Reconcile { rounds: 1 } => {
                    RetrievalError::Unreconciled(format!("silent for {first:?}"))
                }
                _ => RetrievalError::Silent(silence),
            };
            self.fails(id, name, error);
        }
        let next = self.links.get(&id).and_then(|link| link.routes.values().filter_map(|r| r.deadline).min());
        self.await_answer(id, next);
    }

    /// Something is on its way into the intake.
    fn offer(&mut self, id: LinkId, offer: Offer) {
        let Some(link) = self.links.get_mut(&id) else { return };
        link.intake.push_back(offer);
        if link.intake.len() == 1 {
            let wait = self.rng.random_range(0..30);
            self.after(wait, Happening::Intake(id));
        }
    }

    /// Takes in some of what is on its way.
    pub(super) fn take_in(&mut self, id: LinkId) {
        let Some(node) = self.links.get(&id).map(|link| link.client) else { return };
        let most = if self.rng.random_bool(0.5) { usize::MAX } else { self.rng.random_range(1..4) };
        for _ in 0..most {
            let Some(offer) = self.links.get_mut(&id).and_then(|link| link.intake.pop_front()) else { break };
            if let Some(judged) = self.take(node, Some(id), offer)
                && let Some(link) = self.links.get_mut(&id)
            {
                link.intake.push_front(judged);
                break;
            }
        }
        self.follow_up(node);
        if self.links.get(&id).is_some_and(|link| !link.intake.is_empty()) {
            let wait = self.rng.random_range(1..40);
            self.after(wait, Happening::Intake(id));
        }
    }

    /// Takes in one thing; what is left to do about it comes back.
    pub(super) fn take(&mut self, node: usize, id: Option<LinkId>, offer: Offer) -> Option<Offer> {
        match offer {
            Offer::Fetched(event) => {
                let now = self.now;
                let house = &self.nodes[node].house;
                if house.served.contains_key(&event.id) || self.counts_as_had(node, &event.id, now) {
                    return None;
                }
                if !is_true(&event) && !self.breaks(Breakage::NothingIsVerified) {
                    self.forged(id);
                    return None;
                }
                self.submit(node, &event)
            }
            Offer::Judged { event, before, message } => {
                let again = self.refuse(node, event, &message, before)?;
                self.submit(node, &Arc::new(again))
            }
            Offer::Flush(_, input) => {
                let withheld = matches!(input, Input::Eose { .. } | Input::BatchDone { .. })
                    && self.breaks(Breakage::EndsAreLostAfterReconnects)
                    && id.and_then(|id| self.links.get(&id)).is_some_and(|link| link.again);
                if !withheld {
                    self.report(node, id, input);
                }
                None
            }
        }
    }

    pub(super) fn submit(&mut self, node: usize, event: &Arc<Event>) -> Option<Offer> {
        let before = self.nodes[node].server.as_ref()?.refused.before();
        let (now, server) = (self.seconds(), self.nodes[node].server.as_ref()?);
        let news = Arc::clone(&server.subscriber);
        let answer = self.nodes[node].house.admit(event, true, now, &news);
        if answer.accepted && !is_true(event) {
            self.complain("nothing forged is taken", format!("{node} takes {}", name_of(event)));
        }
        if answer.accepted {
            return None;
        }
        self.say(|| format!("{node} refuses {}: {}", name_of(event), answer.message));
        let server = self.nodes[node].server.as_mut()?;
        server.ever_refused.insert(event.id);
        let (event, message) = ((**event).clone(), answer.message);
        if self.rng.random_bool(0.3) {
            return Some(Offer::Judged { event, before, message });
        }
        let again = self.refuse(node, event, &message, before)?;
        self.submit(node, &Arc::new(again))
    }

    /// Remembers what was refused. Comes back when it is to be offered again at once.
    fn refuse(&mut self, node: usize, event: Event, message: &str, before: Before) -> Option<Event> {
        if self.breaks(Breakage::RefusedForEver) {
            return None;
        }
        let now = self.now.timestamp();
        self.nodes[node].server.as_mut()?.refused.refused(event, message, before, now)
    }

    fn forged(&mut self, id: Option<LinkId>) {
        let Some(id) = id else { return };
        let Some(link) = self.links.get_mut(&id) else { return };
        link.forged += 1;
        if link.forged == MAX_FORGED {
            let why = Unreachable::Misbehaved("it sends events with false ids or signatures".to_owned());
            // Not in the midst of what is being taken in.
            self.after(0, Happening::Ends(id, why));
        }
    }

    /// As `Reception` has it.
    pub(super) fn counts_as_had(&self, node: usize, id: &EventId, now: Millis) -> bool {
        let (house, server) = (&self.nodes[node].house, self.nodes[node].server.as_ref());
        let for_ever = self.breaks(Breakage::RefusedForEver);
        server.is_some_and(|server| {
            server.refused.has(id, now.timestamp()) || for_ever && server.ever_refused.contains(id)
        }) || house.purgatory.get(id).is_some()
            || house.has_expired(id, now.0 / 1_000)
    }
}
