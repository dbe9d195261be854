//! The live subscriptions of one relay: each wanted item in exactly one of them, as far as the relay takes so many.
//!
//! New items get a subscription of their own at once, so small ones gather; past 70 filters, or when no further
//! subscription is possible, the small ones are consolidated (requirement G02/sync/consolidation). Those that are half
//! full stay as they are, so consolidation costs what has come since the last one.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use super::bounds::{CONSOLIDATION_THRESHOLD, CONSOLIDATION_WAIT, OPENING_AT_ONCE};
use super::filters::{Group, filters_of, take_groups};
use super::input::SubscriptionId;
use super::item::Item;
use super::millis::Millis;
use super::throttle::Ceilings;
use crate::fault;

/// Subscriptions that have to be small, and new, before the number of filters makes them be consolidated.
const FRAGMENTS: usize = 4;

#[derive(Debug)]
struct Subscription {
    items: BTreeSet<Item>,
    /// Of these, those that nobody wants any more: the relay is told with the next consolidation.
    gone: BTreeSet<Item>,
    filters: usize,
    bytes: usize,
    /// The relay has until then to answer; `None`: it has.
    opening: Option<Millis>,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Live {
    waiting: BTreeSet<Item>,
    subscriptions: BTreeMap<SubscriptionId, Subscription>,
    of: HashMap<Item, SubscriptionId>,
    filters: usize,
    opening: usize,
    /// Subscriptions that were opened since the last consolidation.
    fresh: usize,
    /// Items have come to wait since the last consolidation.
    news: bool,
    /// Consolidation is due, at the latest then.
    consolidation: Option<Millis>,
    /// What is opened now was subscribed for already or should have been: stored events close the gap.
    seam: bool,
}

impl Live {
    /// An item is wanted from now on.
    pub fn want(&mut self, item: Item) {
        if !item.is_live() {
            return;
        }
        if let Some(subscription) = self.of.get(&item).and_then(|id| self.subscriptions.get_mut(id)) {
            subscription.gone.remove(&item);
        } else {
            self.news |= self.waiting.insert(item);
        }
    }

    /// An item is wanted no more. Returns the subscription that is of no use without it.
    #[must_use]
    pub fn unwant(&mut self, item: &Item) -> Option<SubscriptionId> {
        self.waiting.remove(item);
        let id = *self.of.get(item)?;
        let subscription = self.subscriptions.get_mut(&id)?;
        subscription.gone.insert(item.clone());
        if subscription.gone.len() < subscription.items.len() {
            return None;
        }
        self.close(id);
        Some(id)
    }

    /// The next subscription to open, if another may be opened.
    pub fn next(&mut self, ceilings: &Ceilings) -> Option<Vec<Group>> {
        if !self.can_open(ceilings) || self.opening >= OPENING_AT_ONCE {
            return None;
        }
        Some(take_groups(&mut self.waiting, ceilings)).filter(|groups| !groups.is_empty())
    }

    /// What [`Self::next`] has given was sent.
    pub fn opened(&mut self, id: SubscriptionId, groups: Vec<Group>, deadline: Millis) {
        let filters = groups.iter().map(|group| filters_of(group.layer)).sum();
        let bytes = groups.iter().map(Group::size).sum();
        let items: BTreeSet<Item> = groups.into_iter().flat_map(|group| group.items).collect();
        self.of.extend(items.iter().map(|item| (item.clone(), id)));
        self.filters += filters;
        self.opening += 1;
        self.fresh += usize::from(!self.seam);
        self.seam &= !self.waiting.is_empty();
        let subscription =
            Subscription { items, gone: BTreeSet::new(), filters, bytes, opening: Some(deadline) };
        self.subscriptions.insert(id, subscription);
    }

    /// The relay has answered.
    pub fn established(&mut self, id: SubscriptionId) {
        if let Some(subscription) = self.subscriptions.get_mut(&id)
            && subscription.opening.take().is_some()
        {
            self.opening -= 1;
        }
    }

    /// Who has not answered in time is taken to be open: some relays say nothing.
    pub fn stop_waiting(&mut self, now: Millis) {
        if self.opening == 0 {
            return;
        }
        let late = |subscription: &Subscription| subscription.opening.is_some_and(|deadline| deadline <= now);
        let late: Vec<SubscriptionId> =
            self.subscriptions.iter().filter(|(_, open)| late(open)).map(|(id, _)| *id).collect();
        late.into_iter().for_each(|id| self.established(id));
    }

    /// A subscription has ended. Its items wait again; they are returned if it had been open, since something may have
    /// been missed.
    pub fn ended(&mut self, id: SubscriptionId) -> Vec<Item> {
        let Some(subscription) = self.close(id) else { return Vec::new() };
        let items: Vec<Item> = subscription.items.difference(&subscription.gone).cloned().collect();
        self.waiting.extend(items.iter().cloned());
        if subscription.opening.is_none() { items } else { Vec::new() }
    }

    fn close(&mut self, id: SubscriptionId) -> Option<Subscription> {
        let subscription = self.subscriptions.remove(&id)?;
        self.filters -= subscription.filters;
        self.opening -= usize::from(subscription.opening.is_some());
        for item in &subscription.items {
            self.of.remove(item);
        }
        Some(subscription)
    }

    /// Ends the newest subscriptions until as many are open as the relay takes; returns them, and their items.
    pub fn shrink(&mut self, ceilings: &Ceilings) -> Vec<(SubscriptionId, Vec<Item>)> {
        let surplus = self.subscriptions.len().saturating_sub(ceilings.live());
        let newest: Vec<SubscriptionId> = self.subscriptions.keys().rev().take(surplus).copied().collect();
        newest.into_iter().map(|id| (id, self.ended(id))).collect()
    }

    /// Consolidates, when it is time to: returns the subscriptions to end. Their items wait, and are the next to be
    /// opened, packed. `quiet`: no history is on its way.
    pub fn consolidate(&mut self, ceilings: &Ceilings, now: Millis, quiet: bool) -> Vec<SubscriptionId> {
        let fragments = self.fragments(ceilings);
        let no_room = !self.waiting.is_empty()
            && self.news
            && !fragments.is_empty()
            && self.subscriptions.len() >= ceilings.live();
        let many =
            self.filters > CONSOLIDATION_THRESHOLD && self.fresh >= FRAGMENTS && fragments.len() >= FRAGMENTS;
        if !no_room && !many || fault::is("never-consolidated") {
            self.consolidation = None;
            return Vec::new();
        }
        let due = *self.consolidation.get_or_insert(now + CONSOLIDATION_WAIT);
        if !quiet && now < due {
            return Vec::new();
        }
        (self.consolidation, self.fresh, self.news, self.seam) = (None, 0, false, true);
        for id in &fragments {
            self.ended(*id);
        }
        fragments
    }

    /// Subscriptions that are less than half full.
    fn fragments(&self, ceilings: &Ceilings) -> Vec<SubscriptionId> {
        if self.filters <= CONSOLIDATION_THRESHOLD && self.subscriptions.len() < ceilings.live() {
            return Vec::new();
        }
        let most = (ceilings.filters / 3).max(1) * ceilings.values;
        let is_fragment = |open: &Subscription| {
            2 * (open.items.len() - open.gone.len()) < most && 2 * open.bytes < ceilings.bytes
        };
        self.subscriptions.iter().filter(|(_, open)| is_fragment(open)).map(|(id, _)| *id).collect()
    }

    /// The connection has ended.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// Whether something waits that could be subscribed for.
    #[must_use]
    pub fn can_open(&self, ceilings: &Ceilings) -> bool {
        !self.waiting.is_empty() && self.subscriptions.len() < ceilings.live()
    }

    /// The items that wait.
    #[must_use]
    pub const fn waiting(&self) -> &BTreeSet<Item> {
        &self.waiting
    }

    /// Whether stored events are to close a gap.
    #[must_use]
    pub const fn seam(&self) -> bool {
        self.seam
    }

    /// Whether this subscription is one of these.
    #[must_use]
    pub fn has(&self, id: SubscriptionId) -> bool {
        self.subscriptions.contains_key(&id)
    }

    /// Those that the relay has not answered yet.
    #[must_use]
    pub fn unanswered(&self) -> Vec<SubscriptionId> {
        let unanswered = self.subscriptions.iter().filter(|(_, open)| open.opening.is_some());
        unanswered.map(|(id, _)| *id).collect()
    }

    /// When something is due without anything happening. `may_open`: subscriptions may be opened at the moment; otherwise
    /// consolidation waits, however long it has been due.
    #[must_use]
    pub fn wake(&self, may_open: bool) -> Option<Millis> {
        let opening = if self.opening == 0 {
            None
        } else {
            self.subscriptions.values().filter_map(|subscription| subscription.opening).min()
        };
        opening.into_iter().chain(self.consolidation.filter(|_| may_open)).min()
    }

    /// Subscriptions, the filters in them, and the items that are subscribed for.
    #[must_use]
    pub fn size(&self) -> (usize, usize, usize) {
        (self.subscriptions.len(), self.filters, self.of.len())
    }
}

#[cfg(test)]
impl Live {
    /// Everything that is subscribed for or waits, and is wanted.
    pub(super) fn items(&self) -> BTreeSet<Item> {
        let open = |open: &Subscription| open.items.difference(&open.gone).cloned().collect::<Vec<_>>();
        self.subscriptions.values().flat_map(open).chain(self.waiting.iter().cloned()).collect()
    }

    /// How often the items occur that occur most often. 1, unless something is wrong.
    pub(super) fn most_subscribed(&self) -> usize {
        let mut counts: HashMap<&Item, usize> = HashMap::new();
        for item in self.subscriptions.values().flat_map(|open| &open.items).chain(&self.waiting) {
            *counts.entry(item).or_default() += 1;
        }
        counts.into_values().max().unwrap_or(0)
    }
}
