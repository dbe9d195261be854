//! One relay: the connection, its health, what it takes, its live subscriptions and its histories.

use std::time::Duration;

use rand::RngCore;

use super::bounds::{
    ANSWER_TIMEOUT, CONNECT_TIMEOUT, DAILY, DEAD_RETRY, IDENTITY_WAIT, LATE, LIVE_STORED, MAX_STRIKES,
    OPENING_TIMEOUT, POLL, PROVEN_AFTER, RATE_LIMIT_PAUSE, SECOND_LOOK, SHORT_LIVED_BACKOFF,
};
use super::health::{RelayHealthTracker, backoff};
use super::history::{History, Question};
use super::input::{Action, Mode, RelayLimits, SubscriptionId, Unreachable};
use super::item::Item;
use super::live::Live;
use super::millis::{Millis, between, jittered};
use super::paging::Page;
use super::reconnect::Reconnect;
use super::settings::Settings;
use super::status::{Cause, Health, Link, RelayStatus};
use super::throttle::{Ceilings, Refusal};
use super::url::RelayUrl;
use crate::fault;

/// What a relay needs to act.
pub(super) struct Moment<'a> {
    pub(super) settings: &'a Settings,
    pub(super) now: Millis,
    pub(super) rng: &'a mut dyn RngCore,
    pub(super) next_id: &'a mut u64,
    pub(super) actions: &'a mut Vec<Action>,
}

impl Moment<'_> {
    fn id(&mut self) -> SubscriptionId {
        *self.next_id += 1;
        SubscriptionId(*self.next_id)
    }
}

/// Live subscriptions that the relay has ended: they are opened again, later each time.
#[derive(Debug, Default)]
struct Endings {
    count: u32,
    last: Option<Millis>,
    /// None is opened until then.
    until: Option<Millis>,
}

impl Endings {
    fn count(&mut self, moment: &mut Moment<'_>) {
        let now = moment.now;
        // Several that end together count as one.
        if self.until.is_none() {
            let remembered = self.last.is_some_and(|last| now.since(last) < 2 * moment.settings.max_backoff);
            self.count = if remembered { self.count.saturating_add(1) } else { 1 };
            let wait = backoff(moment.settings.base_backoff, moment.settings.max_backoff, self.count);
            self.until = Some(now + jittered(moment.rng, wait));
        }
        self.last = Some(now);
    }
}

/// See the module.
#[derive(Debug)]
pub(super) struct Relay {
    url: RelayUrl,
    bootstrap: bool,
    link: Link,
    health: RelayHealthTracker,
    ceilings: Ceilings,
    negentropy: bool,
    live: Live,
    history: History,
    /// When the last connection was made, and when it ended.
    connected: Option<Millis>,
    ended: Option<Millis>,
    /// We end the connection because of the relay.
    at_fault: bool,
    /// Connections in a row that failed before they had proven anything.
    short_lived: u32,
    /// Refusals and failed questions without a success in between.
    refusals: u32,
    strikes: u32,
    /// Nothing new is asked until then; the first because the relay has asked for it.
    paused: Option<Millis>,
    held: Option<Millis>,
    endings: Endings,
    reconcile: Option<Millis>,
    /// The next look for what no live subscription covers, and until when all is known of it.
    poll: Option<Millis>,
    covered: Millis,
}

impl Relay {
    /// A relay that is to be connected at some time.
    pub(super) fn new(url: RelayUrl, bootstrap: bool, settings: &Settings, until: Millis) -> Self {
        Self {
            url,
            bootstrap,
            link: Link::Waiting { until },
            health: RelayHealthTracker::default(),
            ceilings: Ceilings::default(),
            negentropy: settings.negentropy,
            live: Live::default(),
            history: History::default(),
            connected: None,
            ended: None,
            at_fault: false,
            short_lived: 0,
            refusals: 0,
            strikes: 0,
            paused: None,
            held: None,
            endings: Endings::default(),
            reconcile: None,
            poll: None,
            covered: until,
        }
    }

    pub(super) const fn link(&self) -> Link {
        self.link
    }

    pub(super) const fn is_bootstrap(&self) -> bool {
        self.bootstrap
    }

    pub(super) const fn health(&self) -> Health {
        self.health.health()
    }

    const fn is_connected(&self) -> bool {
        matches!(self.link, Link::Connected { .. })
    }

    /// An item is wanted from now on.
    pub(super) fn want(&mut self, item: Item) {
        if self.is_connected() {
            self.live.want(item.clone());
        }
        self.history.want(item);
    }

    /// An item is wanted no more.
    pub(super) fn unwant(&mut self, item: &Item, moment: &mut Moment<'_>) {
        self.history.unwant(item);
        if let Some(id) = self.live.unwant(item) {
            self.unsubscribe(id, moment);
        }
    }

    /// An item is to be looked at once more.
    pub(super) fn again(&mut self, item: &Item) {
        self.history.again(item);
    }

    /// A connection is to be made.
    pub(super) fn connect(&mut self, moment: &mut Moment<'_>) {
        self.link = Link::Connecting { since: moment.now };
        moment.actions.push(Action::Connect { relay: self.url.clone() });
    }

    /// The connection is to be ended.
    pub(super) fn leave(&mut self, why: &'static str, at_fault: bool, moment: &mut Moment<'_>) {
        (self.link, self.at_fault) = (Link::Leaving { since: moment.now }, at_fault);
        self.live.clear();
        self.history.abandon();
        moment.actions.push(Action::Disconnect { relay: self.url.clone(), why });
    }

    /// The connection is there. `wanted`: all that the relay is wanted for.
    pub(super) fn connected<'a>(&mut self, wanted: impl Iterator<Item = &'a Item>, moment: &mut Moment<'_>) {
        if !matches!(self.link, Link::Connecting { .. }) {
            return;
        }
        let now = moment.now;
        self.link = Link::Connected { since: now };
        (self.connected, self.covered) = (Some(now), now);
        (self.refusals, self.strikes, self.paused, self.held) = (0, 0, None, None);
        let overdue = self.reconcile.is_none_or(|due| due <= now);
        match Reconnect::of(self.ended, now) {
            Reconnect::Quick { since } if !overdue => {
                self.history.catch_up(since);
                self.look_again_soon(moment);
            }
            _ => self.start_over(moment),
        }
        self.live.clear();
        for item in wanted {
            self.live.want(item.clone());
        }
    }

    fn start_over(&mut self, moment: &mut Moment<'_>) {
        self.history.start_over();
        self.reconcile = Some(moment.now + between(moment.rng, DAILY.0, DAILY.1));
    }

    /// There was a gap. What is asked for to fill it goes by when an event was signed; what others have begun to serve
    /// meanwhile may be older, so the next full reconciliation is brought forward.
    fn look_again_soon(&mut self, moment: &mut Moment<'_>) {
        let (shortest, longest) = SECOND_LOOK[usize::from(!self.negentropy)];
        let due = moment.now + between(moment.rng, shortest, longest);
        self.reconcile = Some(self.reconcile.map_or(due, |known| known.min(due)));
    }

    /// There is no connection.
    pub(super) fn disconnected(&mut self, why: &Unreachable, moment: &mut Moment<'_>) {
        if matches!(self.link, Link::Waiting { .. }) {
            return;
        }
        let now = moment.now;
        let left = matches!(self.link, Link::Leaving { .. }) && self.connected > self.ended;
        let lasted = self.connected.filter(|_| self.is_connected() || left).map(|since| now.since(since));
        if lasted.is_some() {
            self.ended = Some(now);
        }
        let faulty = std::mem::take(&mut self.at_fault);
        let wait = match why {
            Unreachable::Failed(why) => {
                self.health.note(Cause::Unreachable, why);
                self.failed(lasted, SHORT_LIVED_BACKOFF, moment)
            }
            Unreachable::Misbehaved(why) => {
                self.health.note(Cause::Misbehaved, why);
                self.failed(lasted, moment.settings.max_backoff, moment)
            }
            Unreachable::Asked if faulty => self.failed(lasted, moment.settings.max_backoff, moment),
            Unreachable::RateLimited => between(moment.rng, RATE_LIMIT_PAUSE.0, RATE_LIMIT_PAUSE.1),
            Unreachable::Forbidden(why) => {
                self.health.note(Cause::Forbidden, why);
                self.health.forbidden(now, moment.rng)
            }
            Unreachable::Asked => Duration::ZERO,
        };
        self.link = Link::Waiting { until: now + wait };
        self.live.clear();
        self.history.abandon();
    }

    /// A failure, of a connection that has lasted so long, or of an attempt to make one. A relay that is of use for a
    /// moment each time is not asked again and again for ever.
    fn failed(&mut self, lasted: Option<Duration>, longest: Duration, moment: &mut Moment<'_>) -> Duration {
        let settings = moment.settings;
        match lasted {
            Some(lasted) if lasted < PROVEN_AFTER => self.short_lived = self.short_lived.saturating_add(1),
            Some(_) => self.short_lived = 0,
            None => {}
        }
        let base = settings.base_backoff;
        let wait = self.health.failed(moment.now, base, settings.max_backoff, moment.rng);
        if lasted.is_none() && fault::is("unreachable-for-ever") {
            return DEAD_RETRY.0;
        }
        if self.short_lived == 0 {
            return wait;
        }
        let longest = longest.min(settings.max_backoff);
        wait.max(jittered(moment.rng, backoff(base, longest, self.short_lived)))
    }

    pub(super) fn limits(&mut self, limits: &RelayLimits, settings: &Settings, moment: &mut Moment<'_>) {
        self.ceilings.told(limits);
        self.negentropy = settings.negentropy && limits.negentropy.unwrap_or(self.negentropy);
        self.shrink(moment);
    }

    pub(super) fn eose(&mut self, id: SubscriptionId, page: Page, moment: &mut Moment<'_>) {
        if self.live.has(id) {
            self.live.established(id);
            self.succeeded();
        } else if self.history.is_asked(id) {
            if self.history.page(id, page, self.ceilings.results) {
                self.succeeded();
            } else {
                self.question_failed(id, "a history without end", moment);
            }
        }
    }

    pub(super) fn done(&mut self, id: SubscriptionId) {
        if self.history.is_asked(id) {
            self.history.done(id);
            self.succeeded();
        }
    }

    pub(super) fn failed_question(&mut self, id: SubscriptionId, why: &str, moment: &mut Moment<'_>) {
        if self.history.is_asked(id) {
            self.question_failed(id, why, moment);
        }
    }

    pub(super) fn unsupported(&mut self, id: SubscriptionId) {
        if self.history.is_asked(id) {
            if fault::is("refused-reconciliations-count-as-done") {
                return self.history.done(id);
            }
            self.negentropy = false;
            self.history.ask_again(id, true);
        }
    }

    pub(super) fn authenticated(&mut self) {
        self.held = None;
    }

    fn succeeded(&mut self) {
        (self.refusals, self.strikes) = (0, 0);
        self.health.succeeded();
    }

    /// A subscription has been ended by the relay.
    pub(super) fn closed(&mut self, id: SubscriptionId, reason: &str, moment: &mut Moment<'_>) {
        let (live, asked) = (self.live.has(id), self.history.is_asked(id));
        if !live && !asked {
            return;
        }
        self.health.note(Cause::Refused, reason);
        let refusal = Refusal::of(reason);
        if live {
            self.missed(id, moment);
            self.endings.count(moment);
        } else if self.history.is_negotiated(id) && refusal == Refusal::Other {
            // It does reconcile, but not this: too many events, or too many others at the same time.
            self.history.ask_again(id, true);
            return;
        }
        let learned = self.refused(refusal, moment);
        if live {
            return;
        }
        match refusal {
            Refusal::RateLimited | Refusal::Identity => self.history.ask_again(id, false),
            Refusal::Subscriptions | Refusal::Filters if learned => self.history.ask_again(id, false),
            Refusal::Size if learned => self.give_up(id, None, moment),
            _ => self.question_failed(id, reason, moment),
        }
    }

    /// The relay has said something that belongs to no subscription.
    pub(super) fn notice(&mut self, message: &str, moment: &mut Moment<'_>) {
        if !self.is_connected() {
            return;
        }
        self.health.note(Cause::Refused, message);
        let refusal = Refusal::of(message);
        match refusal {
            Refusal::Other | Refusal::Identity => {}
            Refusal::RateLimited => drop(self.refused(refusal, moment)),
            Refusal::Subscriptions | Refusal::Filters | Refusal::Size => {
                // It does not say which: what it has not answered is asked again.
                for id in self.live.unanswered() {
                    self.missed(id, moment);
                    self.unsubscribe(id, moment);
                }
                for id in self.history.asked() {
                    self.give_up(id, None, moment);
                    self.unsubscribe(id, moment);
                }
                self.refused(refusal, moment);
            }
        }
    }

    /// A live subscription is there no more: what it may have missed is looked for.
    fn missed(&mut self, id: SubscriptionId, moment: &mut Moment<'_>) {
        let items = self.live.ended(id);
        self.recheck(&items, moment);
    }

    fn recheck(&mut self, items: &[Item], moment: &mut Moment<'_>) {
        if items.is_empty() {
            return;
        }
        let since = (moment.now - LATE).timestamp();
        items.iter().for_each(|item| self.history.recheck(item, since));
        self.look_again_soon(moment);
    }

    /// Learns from a refusal, and leaves the relay alone for a while. Whether anything was learned.
    fn refused(&mut self, refusal: Refusal, moment: &mut Moment<'_>) -> bool {
        let now = moment.now;
        if refusal == Refusal::RateLimited {
            let pause = between(moment.rng, RATE_LIMIT_PAUSE.0, RATE_LIMIT_PAUSE.1);
            let until = now + if fault::is("rate-limits-soon-forgotten") { pause / 13 } else { pause };
            self.paused = self.paused.max(Some(until));
            return true;
        }
        self.refusals = self.refusals.saturating_add(1);
        let wait = match refusal {
            Refusal::Identity if self.refusals == 1 => IDENTITY_WAIT,
            _ => self.backoff(moment),
        };
        self.held = self.held.max(Some(now + wait));
        let learned = self.ceilings.refused(refusal);
        self.shrink(moment);
        learned
    }

    fn backoff(&self, moment: &mut Moment<'_>) -> Duration {
        let settings = moment.settings;
        jittered(moment.rng, backoff(settings.base_backoff, settings.max_backoff, self.refusals))
    }

    /// Ends subscriptions that are too many.
    fn shrink(&mut self, moment: &mut Moment<'_>) {
        for id in self.history.asked().into_iter().skip(self.ceilings.histories()) {
            self.unsubscribe(id, moment);
            self.history.ask_again(id, false);
        }
        for (id, items) in self.live.shrink(&self.ceilings) {
            self.unsubscribe(id, moment);
            self.recheck(&items, moment);
        }
    }

    /// A question has failed: its batch is put off, and a relay that fails too often is left.
    fn question_failed(&mut self, id: SubscriptionId, why: &str, moment: &mut Moment<'_>) {
        self.health.note(Cause::Unanswered, why);
        self.strikes += 1;
        let until = moment.now + jittered(moment.rng, self.strike_wait(moment.settings));
        self.unsubscribe(id, moment);
        self.give_up(id, Some(until), moment);
        if self.strikes >= MAX_STRIKES && self.is_connected() {
            self.leave("it does not answer what it is asked", true, moment);
        }
    }

    fn strike_wait(&self, settings: &Settings) -> Duration {
        backoff(settings.base_backoff, settings.max_backoff, self.strikes)
    }

    fn give_up(&mut self, id: SubscriptionId, until: Option<Millis>, moment: &mut Moment<'_>) {
        for other in self.history.give_up(id, until) {
            self.unsubscribe(other, moment);
        }
    }

    fn unsubscribe(&self, subscription: SubscriptionId, moment: &mut Moment<'_>) {
        moment.actions.push(Action::Unsubscribe { relay: self.url.clone(), subscription });
    }

    /// Does what is due by now. Connections are for the planner to make: it counts them.
    pub(super) fn advance(&mut self, moment: &mut Moment<'_>) {
        let now = moment.now;
        match self.link {
            Link::Connecting { since } if now >= since + CONNECT_TIMEOUT => {
                self.health.note(Cause::Unreachable, "no connection came about in time");
                self.leave("it takes too long to connect", true, moment);
            }
            Link::Connected { .. } => self.advance_connected(moment),
            _ => {}
        }
    }

    fn advance_connected(&mut self, moment: &mut Moment<'_>) {
        let now = moment.now;
        while let Some((deadline, id)) = self.history.first_deadline()
            && deadline <= now
        {
            self.question_failed(id, "no end of the stored events came in time", moment);
            if !self.is_connected() {
                return;
            }
        }
        self.live.stop_waiting(now);
        if self.history.deferred_until().is_some_and(|until| until <= now) {
            self.history.resume();
        }
        if self.reconcile.is_some_and(|due| due <= now) {
            self.start_over(moment);
        }
        for hold in [&mut self.paused, &mut self.held] {
            hold.take_if(|until| *until <= now);
        }
        self.endings.until.take_if(|until| *until <= now);
        if self.paused.is_none() && self.held.is_none() {
            self.compute_actions(moment);
        }
        self.schedule_poll(moment);
    }

    /// What is wanted, less what is in flight, less what is confirmed: the only place where anything new is asked of a
    /// relay. Live first, then histories, as many at once as the relay takes.
    fn compute_actions(&mut self, moment: &mut Moment<'_>) {
        let live = self.endings.until.is_none();
        if live {
            self.open_live(moment);
        }
        if live && self.live.can_open(&self.ceilings) {
            return;
        }
        let (now, negentropy) = (moment.now, self.negentropy);
        while let Some((subscription, question)) =
            self.history.next(|| moment.id(), &self.ceilings, negentropy, (now, ANSWER_TIMEOUT))
        {
            let relay = self.url.clone();
            moment.actions.push(match question {
                Question::Page(filter) => {
                    let filters = vec![filter];
                    Action::Subscribe { relay, subscription, mode: Mode::Historic, filters }
                }
                Question::Negotiation(filter) => Action::Negotiate { relay, subscription, filter },
            });
        }
    }

    fn open_live(&mut self, moment: &mut Moment<'_>) {
        for id in self.live.consolidate(&self.ceilings, moment.now, self.history.is_quiet()) {
            self.unsubscribe(id, moment);
        }
        while let Some(groups) = self.live.next(&self.ceilings) {
            let stored = if self.live.seam() { LIVE_STORED.1 } else { LIVE_STORED.0 };
            let filters = groups.iter().flat_map(|group| group.live_filters(stored)).collect();
            let subscription = moment.id();
            self.live.opened(subscription, groups, moment.now + OPENING_TIMEOUT);
            let relay = self.url.clone();
            moment.actions.push(Action::Subscribe { relay, subscription, mode: Mode::Live, filters });
        }
    }

    /// What no live subscription covers is looked for now and then.
    fn schedule_poll(&mut self, moment: &mut Moment<'_>) {
        let now = moment.now;
        if self.live.waiting().is_empty() {
            (self.poll, self.covered) = (None, now);
            return;
        }
        let due = *self.poll.get_or_insert_with(|| now + between(moment.rng, POLL.0, POLL.1));
        if now < due {
            return;
        }
        let since = (self.covered - LATE).timestamp();
        for item in self.live.waiting() {
            self.history.recheck(item, since);
        }
        (self.poll, self.covered) = (Some(now + between(moment.rng, POLL.0, POLL.1)), now);
    }

    /// When something is due without anything happening.
    pub(super) fn wake(&self) -> Option<Millis> {
        match self.link {
            Link::Waiting { until } => Some(until),
            Link::Connecting { since } => Some(since + CONNECT_TIMEOUT),
            Link::Leaving { .. } => None,
            Link::Connected { .. } => {
                let deadline = self.history.first_deadline().map(|(deadline, _)| deadline);
                let held = self.paused.max(self.held).max(self.endings.until);
                let own = [self.reconcile, self.poll, held, deadline];
                let lanes = [self.history.deferred_until(), self.live.wake(held.is_none())];
                own.into_iter().chain(lanes).flatten().min()
            }
        }
    }

    /// How it stands. `announced`: an announcement that is served names it.
    pub(super) fn status(&self, wanted: usize, announced: bool) -> RelayStatus {
        let (subscriptions, filters, live) = self.live.size();
        let away_since = (!self.is_connected()).then(|| self.ended.or(self.health.failing_since()));
        RelayStatus {
            relay: self.url.clone(),
            bootstrap: self.bootstrap,
            announced,
            link: self.link,
            health: self.health.health(),
            failures: self.health.failures(),
            last_connected: self.connected,
            away_since: away_since.flatten(),
            paused_until: self.paused.max(self.held),
            trouble: self.health.trouble().map(str::to_owned),
            cause: self.health.cause(),
            wanted,
            in_flight: self.history.in_flight(),
            confirmed: self.history.confirmed(),
            live,
            subscriptions,
            filters,
            negentropy: self.negentropy,
            next_reconciliation: self.reconcile,
        }
    }
}

#[cfg(test)]
impl Relay {
    pub(super) fn lanes(&self) -> (&Live, &History) {
        (&self.live, &self.history)
    }

    pub(super) fn ceilings(&self) -> &Ceilings {
        &self.ceilings
    }
}
