//! Deletion requests carried out (NIP-09, requirements G01/relay/deletion and G01/purgatory/withdrawn).

use std::collections::BTreeSet;
use std::sync::Arc;

use nostr::event::{Event, Kind};
use nostr::filter::Filter;
use nostr::types::Timestamp;

use super::funnel::{duplicate, serves};
use super::{Answer, tombstones};
use crate::admission::deletion::{Targets, foreign_only};
use crate::admission::related::{Address, Relations};
use crate::fault;
use crate::house::held::Why;
use crate::house::{House, HouseError};
use crate::nip34::{ANNOUNCEMENT, Announcement, ISSUE, Identifier, PullRequest};
use crate::promotion::meeting::Meeting;
use crate::purgatory;

/// How many events are read from the store in one go.
const EVENTS_AT_ONCE: usize = 16;

/// How many ids of one request are remembered although nothing is known under them.
const MAX_UNKNOWN: usize = 100;

/// The known events that a request may delete.
#[derive(Debug, Default)]
struct Found {
    served: Vec<Event>,
    waiting: Vec<Event>,
    /// What is kept of retired repositories: it shall not come back with them.
    held: Vec<Event>,
}

impl House {
    pub(super) async fn deletion(self: Arc<Self>, event: Event) -> Result<Answer, HouseError> {
        if self.store.contains(&event.id).await? {
            return Ok(duplicate());
        }
        let targets = match Targets::of(&event) {
            Ok(targets) => targets,
            Err(refusal) => return Ok(refusal.into()),
        };
        // What is found tells which locks are needed; what counts is what is found under them.
        let identifiers = self.find(&event, &targets).await?.identifiers();
        self.operate_on(identifiers.clone(), move |house| async move {
            house.delete(event, &targets, &identifiers).await
        })
        .await
    }

    async fn delete(
        &self,
        event: Event,
        targets: &Targets,
        identifiers: &BTreeSet<Identifier>,
    ) -> Result<Answer, HouseError> {
        let mut found = self.find(&event, targets).await?;
        found.keep_within(identifiers);
        if found.is_empty() {
            return Ok(foreign_only().into());
        }
        let mut families = Vec::new();
        for identifier in identifiers {
            families.push(self.load(identifier).await?);
        }
        let mut meeting = Meeting::new(self, families);
        // What is not known here yet may still come; a stranger must not fill the disk with what never will.
        let remembered = if fault::is("deleted-comes-again") { 0 } else { MAX_UNKNOWN };
        for id in targets.events.iter().take(remembered) {
            meeting.write(tombstones::event(&event.pubkey, id));
        }
        for address in &targets.addresses {
            let until = if fault::is("deleted-for-ever") { u64::MAX } else { event.created_at.as_secs() };
            if !fault::is("deleted-addresses-come-again") {
                meeting.bury(address, until)?;
            }
        }
        for gone in found.waiting.iter().chain(&found.served).chain(&found.held) {
            if !fault::is("deleted-comes-again") {
                meeting.write(tombstones::event(&gone.pubkey, &gone.id));
            }
        }
        for gone in found.waiting.iter().chain(&found.served) {
            meeting.withdraw(gone, Why::Deleted).await?;
        }
        meeting.serve(event);
        if !fault::is("refs-stay-when-states-go") {
            meeting.settle()?;
        }
        meeting.commit().await?;
        Ok(serves())
    }

    /// The author's own known events that the request names. A request cannot delete a request, to vanish neither.
    async fn find(&self, request: &Event, targets: &Targets) -> Result<Found, HouseError> {
        let mut found = Found::default();
        let may = |event: &Event| event.pubkey == request.pubkey || is_anybodys(request, event);
        let own = |event: &Event| {
            may(event) && event.kind != Kind::EventDeletion && event.kind != Kind::RequestToVanish
        };
        let ids: Vec<_> = targets.events.iter().copied().collect();
        for ids in ids.chunks(EVENTS_AT_ONCE) {
            found.served.extend(self.store.by_ids(ids).await?.into_iter().filter(&own).map(lightened));
        }
        {
            let purgatory = self.purgatory.lock();
            let waiting = ids.iter().filter_map(|id| purgatory.get(id)).map(|waiting| &waiting.event);
            let anybodys = fault::is("anybody-withdraws");
            found.waiting.extend(waiting.filter(|event| anybodys || own(event)).cloned());
        }
        let reaches_all = fault::is("deletions-reach-newer-versions");
        let until = if reaches_all { Timestamp::from(u64::MAX) } else { request.created_at };
        for address in &targets.addresses {
            let mut filter = Filter::new().author(address.author).kind(Kind::from(address.kind)).until(until);
            if Kind::from(address.kind).is_addressable() {
                filter = filter.identifier(&address.d);
            }
            let same = |event: &Event| Address::of(event).as_ref() == Some(address) && own(event);
            found.served.extend(self.store.query(filter).await?.into_iter().filter(same));
            let Ok(identifier) = Identifier::new(&address.d) else { continue };
            let purgatory = self.purgatory.lock();
            let waiting = purgatory.of(&identifier).map(|waiting| &waiting.event);
            let early =
                |event: &&Event| event.created_at <= until || fault::is("withdrawals-reach-newer-events");
            found.waiting.extend(waiting.filter(|event| same(event)).filter(early).cloned());
        }
        let named = |event: &Event| {
            let address = Address::of(event).filter(|_| event.created_at <= until);
            targets.events.contains(&event.id)
                || address.is_some_and(|address| targets.addresses.contains(&address))
        };
        let held = self.held_of(&request.pubkey)?.into_iter().flat_map(|held| held.events);
        found.held.extend(held.filter(|event| named(event) && own(event)));
        Ok(found)
    }
}

/// Faults of the test build: an event that somebody else than its author deletes.
fn is_anybodys(request: &Event, event: &Event) -> bool {
    let owner = || {
        let mut about = Relations::of(event).repositories.into_iter();
        about.any(|repository| repository.owner == request.pubkey)
    };
    fault::is("anybody-deletes") || fault::is("owners-delete-issues") && event.kind == ISSUE && owner()
}

/// Without what deletion does not look at: a request may name many events, and all of them may be large.
fn lightened(mut event: Event) -> Event {
    event.content = String::new();
    if purgatory::identifiers(&event).is_empty() {
        event.tags = nostr::event::Tags::new();
    }
    event
}

impl Found {
    fn is_empty(&self) -> bool {
        self.served.is_empty() && self.waiting.is_empty() && self.held.is_empty()
    }

    fn identifiers(&self) -> BTreeSet<Identifier> {
        let all = self.served.iter().chain(&self.waiting).chain(&self.held);
        all.flat_map(purgatory::identifiers).collect()
    }

    /// Leaves out what came up only after the locks were chosen.
    fn keep_within(&mut self, identifiers: &BTreeSet<Identifier>) {
        let within = |event: &Event| purgatory::identifiers(event).is_subset(identifiers);
        self.served.retain(within);
        self.waiting.retain(within);
        self.held.retain(within);
    }
}

impl Meeting<'_> {
    /// Takes a deleted event out, and what hangs on it: repository, refs.
    pub(super) async fn withdraw(&mut self, gone: &Event, why: Why) -> Result<(), HouseError> {
        if gone.kind == ANNOUNCEMENT
            && let Ok(announcement) = Announcement::from_event(gone)
        {
            let repository = announcement.coordinate();
            // By another name of this service than that of an earlier run, nothing is hosted: but it is there.
            let is_here = self.family(&repository.identifier).is_some_and(|f| f.is_hosted(&repository.owner))
                || self.house.repositories.path(&repository).exists();
            if is_here && !fault::is("retired-is-served") {
                self.retire(&repository, why).await?;
            }
        }
        if let Ok(pull) = PullRequest::from_event(gone)
            && !fault::is("pull-request-refs-stay")
        {
            self.hide(&pull);
        }
        self.drop_waiting(&gone.id);
        self.drop_served(gone.id);
        Ok(())
    }
}
