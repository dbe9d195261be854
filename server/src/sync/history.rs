//! The histories of one relay: what is to be asked for, what is on its way (`PendingSyncIndex`), what is confirmed
//! (`RelaySyncIndex`).
//!
//! An item is in exactly one of these places: to do, deferred after a refusal, in flight, or confirmed; a confirmed one
//! may beside that be due for what is new since some time. Items are asked for in batches of one layer; a batch is one
//! to three filters, each of them a history of its own, and its items are confirmed when all of them have ended.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet, VecDeque};
use std::time::Duration;

use nostr::filter::Filter;
use nostr::types::Timestamp;

use super::filters::{Group, take_group};
use super::input::SubscriptionId;
use super::item::Item;
use super::millis::Millis;
use super::paging::{Next, Page, Pages};
use super::throttle::Ceilings;
use crate::fault;

/// How far back a history goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scope {
    /// All of it.
    Full,
    /// What is newer than this.
    Since(Timestamp),
}

/// One filter's history.
#[derive(Debug, Clone)]
pub struct Request {
    batch: u64,
    filter: Filter,
    pages: Pages,
    /// Reconciliation has been refused for this one.
    by_pages: bool,
}

/// One batch of items whose histories are on their way.
#[derive(Debug)]
struct Batch {
    scope: Scope,
    items: Vec<Item>,
    /// Of these, those that are to be asked for once more when it has ended.
    again: BTreeSet<Item>,
    /// Of these, those that nobody wants any more.
    dropped: BTreeSet<Item>,
    /// Filters whose history has not ended.
    open: usize,
}

/// A question that waits for its answer.
#[derive(Debug)]
struct Asked {
    request: Request,
    negotiated: bool,
    deadline: Millis,
}

/// What is on its way.
#[derive(Debug, Default)]
pub struct PendingSyncIndex {
    batches: BTreeMap<u64, Batch>,
    of: HashMap<Item, u64>,
    ready: VecDeque<Request>,
    asked: BTreeMap<SubscriptionId, Asked>,
    next: u64,
}

/// What is confirmed: its history is here.
#[derive(Debug, Default)]
pub struct RelaySyncIndex(HashSet<Item>);

/// A question to be sent.
#[derive(Debug, Clone, PartialEq)]
pub enum Question {
    /// One page.
    Page(Filter),
    /// A reconciliation.
    Negotiation(Filter),
}

/// See the module.
#[derive(Debug, Default)]
pub struct History {
    full: BTreeSet<Item>,
    recent: BTreeSet<Item>,
    since: Option<Timestamp>,
    deferred: BTreeMap<Item, Scope>,
    deferred_until: Option<Millis>,
    pending: PendingSyncIndex,
    confirmed: RelaySyncIndex,
}

impl History {
    /// An item is wanted from now on.
    pub fn want(&mut self, item: Item) {
        if matches!(item, Item::Root(_)) && fault::is("roots-without-history") {
            return;
        }
        let Some(batch) = self.batch_of(&item) else {
            self.full.insert(item);
            return;
        };
        if batch.dropped.remove(&item) {
            // What came in between may have been refused.
            batch.again.insert(item);
        }
    }

    /// An item is wanted no more.
    pub fn unwant(&mut self, item: &Item) {
        self.full.remove(item);
        self.recent.remove(item);
        self.deferred.remove(item);
        self.confirmed.0.remove(item);
        if let Some(batch) = self.batch_of(item) {
            batch.dropped.insert(item.clone());
        }
    }

    /// A wanted item is to be looked at once more, wherever it stands.
    pub fn again(&mut self, item: &Item) {
        if let Some(batch) = self.batch_of(item) {
            batch.again.insert(item.clone());
        } else if let Some(scope) = self.deferred.get_mut(item) {
            *scope = Scope::Full;
        } else {
            self.confirmed.0.remove(item);
            self.recent.remove(item);
            self.full.insert(item.clone());
        }
    }

    /// What a confirmed item has that is newer than some time is asked for.
    pub fn recheck(&mut self, item: &Item, since: Timestamp) {
        if let Some(batch) = self.batch_of(item) {
            batch.again.insert(item.clone());
        } else if self.confirmed.0.contains(item) && !self.deferred.contains_key(item) {
            self.put_back(item.clone(), Scope::Since(since));
        }
    }

    /// Everything that is confirmed is asked for once more, as far back as it goes.
    pub fn start_over(&mut self) {
        for item in std::mem::take(&mut self.confirmed.0) {
            self.again(&item);
        }
        for scope in self.deferred.values_mut() {
            *scope = Scope::Full;
        }
    }

    /// What everything that is confirmed has that is newer than some time is asked for.
    pub fn catch_up(&mut self, since: Timestamp) {
        for item in self.confirmed.0.iter().cloned().collect::<Vec<_>>() {
            self.recheck(&item, since);
        }
    }

    /// The connection has ended: what was on its way is to do again.
    pub fn abandon(&mut self) {
        for number in self.pending.batches.keys().copied().collect::<Vec<_>>() {
            self.dissolve(number);
        }
        self.resume();
    }

    /// What was deferred is to do.
    pub fn resume(&mut self) {
        self.deferred_until = None;
        for (item, scope) in std::mem::take(&mut self.deferred) {
            self.put_back(item, scope);
        }
    }

    /// When deferred items are to do again.
    #[must_use]
    pub const fn deferred_until(&self) -> Option<Millis> {
        self.deferred_until
    }

    /// The next question, if another may be on its way: the rest of what was begun, then the first layer's items.
    pub fn next(
        &mut self,
        id: impl FnOnce() -> SubscriptionId,
        ceilings: &Ceilings,
        negentropy: bool,
        (now, patience): (Millis, [Duration; 2]),
    ) -> Option<(SubscriptionId, Question)> {
        let nothing = !negentropy && fault::is("nothing-without-reconciliation");
        if self.pending.asked.len() >= ceilings.histories() || nothing {
            return None;
        }
        if self.pending.ready.is_empty() {
            self.begin(ceilings)?;
        }
        let request = self.pending.ready.pop_front()?;
        let negotiated = negentropy && !request.by_pages;
        let mut filter = request.filter.clone();
        let (question, wait) = if negotiated {
            (Question::Negotiation(filter), patience[1])
        } else {
            filter.until = request.pages.until();
            (Question::Page(filter.limit(ceilings.page())), patience[0])
        };
        let id = id();
        self.pending.asked.insert(id, Asked { request, negotiated, deadline: now + wait });
        Some((id, question))
    }

    /// Makes the next batch.
    fn begin(&mut self, ceilings: &Ceilings) -> Option<()> {
        let of = |items: &BTreeSet<Item>| items.first().map(Item::layer);
        let recent = match (of(&self.full), of(&self.recent)) {
            (Some(full), Some(recent)) => recent < full,
            (full, _) => full.is_none(),
        };
        let (group, scope) = if recent {
            let since = Scope::Since(self.since.unwrap_or_default());
            (take_group(&mut self.recent, ceilings)?, since)
        } else {
            (take_group(&mut self.full, ceilings)?, Scope::Full)
        };
        if self.recent.is_empty() {
            self.since = None;
        }
        self.pending.begin(&group, scope);
        Some(())
    }

    /// A page has come. False: it leads nowhere, and the question is to be taken for failed.
    #[must_use]
    pub fn page(&mut self, id: SubscriptionId, page: Page, cap: Option<usize>) -> bool {
        let Some(asked) = self.pending.asked.get_mut(&id) else { return true };
        match asked.request.pages.take(page, cap) {
            Next::Ask => self.ask_again(id, false),
            Next::Done => self.done(id),
            Next::Endless => return false,
        }
        true
    }

    /// A history has ended.
    pub fn done(&mut self, id: SubscriptionId) {
        let Some(asked) = self.pending.asked.remove(&id) else { return };
        let number = asked.request.batch;
        let Some(batch) = self.pending.batches.get_mut(&number) else { return };
        batch.open -= 1;
        if batch.open > 0 {
            return;
        }
        let Some(batch) = self.pending.batches.remove(&number) else { return };
        for item in batch.items {
            self.pending.of.remove(&item);
            if batch.dropped.contains(&item) {
                continue;
            }
            if batch.again.contains(&item) {
                self.confirmed.0.remove(&item);
                self.full.insert(item);
            } else {
                self.confirmed.0.insert(item);
            }
        }
    }

    /// A question is asked again as soon as there is room, `by_pages` if reconciliation was refused.
    pub fn ask_again(&mut self, id: SubscriptionId, by_pages: bool) {
        if let Some(mut asked) = self.pending.asked.remove(&id) {
            asked.request.by_pages |= by_pages;
            self.pending.ready.push_front(asked.request);
        }
    }

    /// A question has failed: its batch is to do again, at once or later. Returns the other questions of the batch, which
    /// are to be ended.
    pub fn give_up(&mut self, id: SubscriptionId, until: Option<Millis>) -> Vec<SubscriptionId> {
        let Some(asked) = self.pending.asked.remove(&id) else { return Vec::new() };
        let (items, others) = self.pending.take_apart(asked.request.batch);
        for (item, scope) in items {
            match until {
                Some(until) => {
                    self.deferred_until = Some(self.deferred_until.map_or(until, |known| known.max(until)));
                    self.deferred.insert(item, scope);
                }
                None => self.put_back(item, scope),
            }
        }
        others
    }

    fn dissolve(&mut self, number: u64) {
        for (item, scope) in self.pending.take_apart(number).0 {
            self.put_back(item, scope);
        }
    }

    fn put_back(&mut self, item: Item, scope: Scope) {
        match scope {
            Scope::Since(since) if self.confirmed.0.contains(&item) => {
                self.since = Some(self.since.map_or(since, |known| known.min(since)));
                self.recent.insert(item);
            }
            Scope::Full | Scope::Since(_) => {
                self.confirmed.0.remove(&item);
                self.recent.remove(&item);
                self.full.insert(item);
            }
        }
    }

    fn batch_of(&mut self, item: &Item) -> Option<&mut Batch> {
        let number = self.pending.of.get(item)?;
        self.pending.batches.get_mut(number)
    }

    /// Whether this question is a reconciliation that waits for its end.
    #[must_use]
    pub fn is_negotiated(&self, id: SubscriptionId) -> bool {
        self.pending.asked.get(&id).is_some_and(|asked| asked.negotiated)
    }

    /// Whether this question waits for an answer.
    #[must_use]
    pub fn is_asked(&self, id: SubscriptionId) -> bool {
        self.pending.asked.contains_key(&id)
    }

    /// The question whose answer is due first.
    #[must_use]
    pub fn first_deadline(&self) -> Option<(Millis, SubscriptionId)> {
        self.pending.asked.iter().map(|(id, asked)| (asked.deadline, *id)).min()
    }

    /// The questions that wait for an answer.
    #[must_use]
    pub fn asked(&self) -> Vec<SubscriptionId> {
        self.pending.asked.keys().copied().collect()
    }

    /// Whether nothing is on its way.
    #[must_use]
    pub fn is_quiet(&self) -> bool {
        self.pending.batches.is_empty()
    }

    /// Whether something could be asked.
    #[must_use]
    pub fn has_work(&self) -> bool {
        !self.pending.ready.is_empty() || !self.full.is_empty() || !self.recent.is_empty()
    }

    /// How many items are in flight.
    #[must_use]
    pub fn in_flight(&self) -> usize {
        self.pending.of.len()
    }

    /// How many items are confirmed.
    #[must_use]
    pub fn confirmed(&self) -> usize {
        self.confirmed.0.len()
    }
}

impl PendingSyncIndex {
    fn begin(&mut self, group: &Group, scope: Scope) {
        let number = self.next;
        self.next += 1;
        let filters = group.filters();
        let batch = Batch {
            scope,
            items: group.items.clone(),
            again: BTreeSet::new(),
            dropped: BTreeSet::new(),
            open: filters.len(),
        };
        self.of.extend(batch.items.iter().map(|item| (item.clone(), number)));
        self.batches.insert(number, batch);
        for mut filter in filters {
            if let Scope::Since(since) = scope {
                filter.since = Some(since);
            }
            self.ready.push_back(Request { batch: number, filter, pages: Pages::default(), by_pages: false });
        }
    }

    /// Ends a batch: its items that are still wanted, and the questions that are on their way for it.
    fn take_apart(&mut self, number: u64) -> (Vec<(Item, Scope)>, Vec<SubscriptionId>) {
        let Some(batch) = self.batches.remove(&number) else { return Default::default() };
        self.ready.retain(|request| request.batch != number);
        let of_batch =
            |(id, asked): (&SubscriptionId, &Asked)| (asked.request.batch == number).then_some(*id);
        let others: Vec<SubscriptionId> = self.asked.iter().filter_map(of_batch).collect();
        for id in &others {
            self.asked.remove(id);
        }
        for item in &batch.items {
            self.of.remove(item);
        }
        let scope = |item: &Item| if batch.again.contains(item) { Scope::Full } else { batch.scope };
        let wanted = batch.items.into_iter().filter(|item| !batch.dropped.contains(item));
        (wanted.map(|item| (item.clone(), scope(&item))).collect(), others)
    }
}

#[cfg(test)]
impl History {
    /// Where an item stands: to do, deferred, in flight, confirmed. Exactly one is true of a wanted item.
    pub(super) fn places(&self, item: &Item) -> [bool; 4] {
        [
            self.full.contains(item),
            self.deferred.contains_key(item) && !self.confirmed.0.contains(item),
            self.pending.of.contains_key(item) && !self.confirmed.0.contains(item),
            self.confirmed.0.contains(item),
        ]
    }

    /// Everything that is anywhere and wanted.
    pub(super) fn items(&self) -> BTreeSet<Item> {
        let dropped: BTreeSet<&Item> =
            self.pending.batches.values().flat_map(|batch| &batch.dropped).collect();
        let pending = self.pending.of.keys().filter(|item| !dropped.contains(item));
        let all = self.full.iter().chain(&self.recent).chain(self.deferred.keys());
        all.chain(pending).chain(&self.confirmed.0).cloned().collect()
    }

    /// Whether nothing is to do any more.
    pub(super) fn is_done(&self) -> bool {
        self.is_quiet() && !self.has_work() && self.deferred.is_empty()
    }
}
