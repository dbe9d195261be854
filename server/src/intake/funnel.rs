//! The intake of the house: what every event goes through, from the wire to the stores.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use futures_util::FutureExt as _;
use futures_util::future::BoxFuture;
use nostr::event::{Event, EventId, Kind};
use nostr::filter::{Filter, SingleLetterTag};

use super::{Answer, Intake, Source, Verified, ready, tombstones};
use crate::admission::related::{self, Address, Relations, is_about_a_person, opens_doors};
use crate::admission::{Decision, Hosted, Prefix, Refusal, Slot, decide};
use crate::fault;
use crate::house::held::{Held, Why};
use crate::house::{House, HouseError};
use crate::nip34::{
    ANNOUNCEMENT, Announcement, Coordinate, ISSUE, Identifier, PATCH, PULL_REQUEST, PULL_REQUEST_UPDATE,
    PullRequest, STATE, ShapeError, State,
};
use crate::promotion::meeting::Meeting;
use crate::purgatory;
use crate::purgatory::unsigned::{Place, Upload};
use crate::store::events::Saved;
use crate::store::tables::Table;

/// How far ahead of the clock an event may be dated, in seconds (NIP-11 `created_at_upper_limit`).
pub const MAX_FUTURE_SECONDS: u64 = 15 * 60;
/// How many addresses of one event are looked up; events name one or two.
const MAX_ADDRESS_LOOKUPS: usize = 20;
/// How many events are read from the store in one go.
const EVENTS_AT_ONCE: usize = 16;
/// What the store can tell apart of a `d` value, in bytes; longer ones that agree so far would replace each other.
const INDEXED_IDENTIFIER: usize = 182;

/// How a purgatory answer begins (requirement G01/purgatory/ok-message).
pub const PURGATORY_MESSAGE: &str = "purgatory: won't be served until git data arrives";

impl From<Refusal> for Answer {
    fn from(refusal: Refusal) -> Self {
        Self::no(refusal.to_string())
    }
}

impl From<ShapeError> for Answer {
    fn from(error: ShapeError) -> Self {
        Self::no(format!("{}: {error}", Prefix::Invalid.as_str()))
    }
}

impl From<HouseError> for Answer {
    fn from(error: HouseError) -> Self {
        tracing::error!(%error, "an event could not be taken in");
        Self::no("error: this server could not store the event; its operator finds the cause in the log")
    }
}

/// The intake: a handle on the house.
#[derive(Debug, Clone)]
pub struct Funnel(pub Arc<House>);

#[async_trait::async_trait]
impl Intake for Funnel {
    async fn admit(&self, event: Verified, source: &Source) -> BoxFuture<'static, Answer> {
        let (house, begun) = (Arc::clone(&self.0), Instant::now());
        let synced = matches!(source, Source::Sync);
        let event = event.into_event();
        if let Err(answer) = house.check_door(&event, synced) {
            return ready(answer);
        }
        let kind = event.kind;
        if kind == ANNOUNCEMENT || kind == STATE || kind == PULL_REQUEST || kind == PULL_REQUEST_UPDATE {
            let mut locked = purgatory::identifiers(&event);
            if kind == PULL_REQUEST || kind == PULL_REQUEST_UPDATE {
                // An upload for it may be at a repository of an identifier that it does not name; then that goes.
                let uploads = house.unsigned.lock().for_event(&event.id);
                locked.extend(uploads.into_iter().map(|upload| upload.repository.identifier));
            }
            let done = house.operate_on(locked.clone(), move |house| async move {
                house.repository_event(event, synced, &locked).await
            });
            let answer = done.await.unwrap_or_else(Answer::from);
            if answer == serves() {
                self.0.meters.house.served_at_once(begun.elapsed());
            }
            self.0.spread_all().await;
            return ready(answer);
        }
        if kind == Kind::RequestToVanish {
            let answer = house.vanish(event).await.unwrap_or_else(Answer::from);
            self.0.spread_all().await;
            return ready(answer);
        }
        if kind == Kind::EventDeletion {
            let answer = house.deletion(event).await.unwrap_or_else(Answer::from);
            self.0.spread_all().await;
            return ready(answer);
        }
        match house.related_event(event, synced, begun).await {
            Ok(pending) => pending,
            Err(error) => ready(error.into()),
        }
    }
}

impl House {
    /// What is asked of every event, whatever its kind.
    fn check_door(&self, event: &Event, synced: bool) -> Result<(), Answer> {
        let now = self.plan.clock.now();
        if event.created_at.as_secs() > now.as_secs() + MAX_FUTURE_SECONDS {
            return Err(Answer::no(
                "invalid: the event is dated more than 15 minutes ahead of this server's clock",
            ));
        }
        if event.is_expired_at(now) {
            return Err(Answer::no("invalid: the event has expired (NIP-40)"));
        }
        if event.kind == Kind::Authentication {
            return Err(Answer::no(
                "invalid: authentication events are sent by AUTH, and stored nowhere (NIP-42)",
            ));
        }
        let is_forgotten = synced && fault::is("deleted-comes-back-by-sync");
        if !is_forgotten && tombstones::buries(&self.tables, event).map_err(HouseError::from)? {
            return Err(Answer::no("blocked: the event was deleted by its author (NIP-09)"));
        }
        let vanished = tombstones::vanished(&self.tables, &event.pubkey).map_err(HouseError::from)?;
        let is_gone = vanished.is_some_and(|until| event.created_at.as_secs() <= until);
        if is_gone && event.kind != Kind::RequestToVanish {
            return Err(Answer::no("blocked: the event's author has asked to vanish from here (NIP-62)"));
        }
        if (synced || fault::is("expired-for-ever"))
            && self.has_expired(&event.id).map_err(HouseError::from)?
        {
            return Err(Answer::no(
                "blocked: the event has waited here in vain; its author may publish it anew",
            ));
        }
        let hosted = |repository: &Coordinate| self.is_hosted(repository);
        self.plan.curation.check(event, &self.plan.service, hosted).map_err(Answer::from)
    }

    /// Whether an event has waited in vain, and may not come back by sync yet.
    pub(crate) fn has_expired(&self, id: &EventId) -> Result<bool, crate::store::tables::TablesError> {
        let until = self.tables.get(Table::Expired, id.as_bytes())?;
        let until = until.and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes);
        Ok(until.is_some_and(|until| self.now() < until))
    }

    /// Announcements, states, pull requests and their updates, under the locks of their identifiers and of others.
    async fn repository_event(
        &self,
        event: Event,
        synced: bool,
        locked: &BTreeSet<Identifier>,
    ) -> Result<Answer, HouseError> {
        let identifiers = purgatory::identifiers(&event);
        if self.store.contains(&event.id).await? {
            return Ok(duplicate());
        }
        if self.purgatory.lock().get(&event.id).is_some() {
            return Ok(waits());
        }
        if let Some(answer) = self.check_index(&event, &identifiers).await? {
            return Ok(answer);
        }
        if event.kind == ANNOUNCEMENT {
            self.announcement(event, synced).await
        } else if event.kind == STATE {
            self.state(event, synced).await
        } else {
            let taken = self.pull_request(event, synced, &identifiers, locked).await;
            if taken.is_err() {
                identifiers.iter().try_for_each(|identifier| self.undo_adoptions(Some(identifier)))?;
            }
            taken
        }
    }

    /// Judges an announcement that was served once and that the operator's lists had sent away.
    pub(crate) async fn judge_again(&self, event: Event) -> Result<(), HouseError> {
        match self.check_door(&event, false) {
            Ok(()) => self.announcement(event, true).await.map(drop),
            Err(_) => Ok(()),
        }
    }

    async fn announcement(&self, event: Event, synced: bool) -> Result<Answer, HouseError> {
        let new = match Announcement::from_event(&event) {
            Ok(new) => new,
            Err(error) => return Ok(error.into()),
        };
        let family = self.load(&new.identifier).await?;
        let judged = decide::announcement(&family, &new, &self.plan.service, &self.plan.curation.archive);
        let was_hosted = family.is_hosted(&new.author);
        let retired = family.announcements.get(&new.author).and_then(Slot::newest);
        let retired = retired.map(|known| known.announcement.id);
        let mut meeting = Meeting::new(self, [family]);
        let coordinate = new.coordinate();
        if judged.retires {
            meeting.retire(&coordinate, Why::MovedAway).await?;
            if let Some(address) = Address::of(&event) {
                // What it replaces stays away; it itself may come again, and so may anything newer.
                let until = event.created_at.as_secs().saturating_sub(1);
                meeting.bury(&address, if fault::is("moved-away-for-ever") { u64::MAX } else { until })?;
            }
            if let Some(id) = retired {
                // It may be of the same second.
                meeting.write(tombstones::event(&event.pubkey, &id));
            }
        }
        let id = event.id;
        match judged.decision {
            Decision::Known { .. } => return Ok(duplicate()),
            Decision::Refuse(_) if synced && fault::is("unlisted-from-peers-taken") => meeting.serve(event),
            Decision::Refuse(refusal) => {
                if judged.retires {
                    meeting.settle()?;
                    meeting.commit().await?;
                }
                return Ok(refusal.into());
            }
            Decision::Serve => meeting.serve(event),
            Decision::Wait => meeting.wait(event, synced),
        }
        let Hosted { hosted, archived, .. } = self.plan.announced(new);
        if hosted && !was_hosted {
            meeting.welcome(&coordinate).await?;
            if let Some(held) = Held::read(&self.tables, &coordinate)? {
                meeting.bring_back(held)?;
            }
        }
        if !fault::is("announcements-always-wait") {
            meeting.settle()?;
        }
        let waiting = meeting.waits(&id);
        if waiting && !meeting.fits() {
            return Ok(no_room());
        }
        if hosted && !(archived && fault::is("archived-repositories-missing")) {
            self.repositories.ensure(&coordinate)?;
        }
        meeting.commit().await?;
        Ok(if waiting { waits() } else { serves() })
    }

    async fn state(&self, event: Event, synced: bool) -> Result<Answer, HouseError> {
        let new = match State::from_event(&event) {
            Ok(new) => new,
            Err(error) => return Ok(error.into()),
        };
        let family = self.load(&new.identifier).await?;
        let decision = decide::state(&family, &new);
        let mut meeting = Meeting::new(self, [family]);
        match decision {
            Decision::Known { .. } => return Ok(duplicate()),
            Decision::Refuse(_) if synced && fault::is("anybodys-states-from-peers-taken") => {
                meeting.serve(event);
                meeting.commit().await?;
                return Ok(serves());
            }
            Decision::Refuse(refusal) => return Ok(refusal.into()),
            Decision::Serve | Decision::Wait => {}
        }
        let id = event.id;
        let own_data_only = fault::is("own-data-only")
            && meeting
                .family(&new.identifier)
                .is_some_and(|f| f.is_hosted(&new.author) && !f.is_served(&new.author));
        meeting.wait(event, synced);
        meeting.restart_clocks_of(&new);
        if !own_data_only && !fault::is("states-always-wait") {
            meeting.settle()?;
        }
        let waiting = meeting.waits(&id);
        if waiting && !meeting.fits() {
            return Ok(no_room());
        }
        meeting.commit().await?;
        Ok(if waiting { waits() } else { serves() })
    }

    async fn pull_request(
        &self,
        event: Event,
        synced: bool,
        identifiers: &BTreeSet<Identifier>,
        locked: &BTreeSet<Identifier>,
    ) -> Result<Answer, HouseError> {
        let new = match PullRequest::from_event(&event) {
            Ok(new) => new,
            Err(error) => return Ok(error.into()),
        };
        let standing = |repository: &Coordinate| {
            self.directory.read().standing(repository).filter(|standing| standing.hosted)
        };
        let served = |repository: &Coordinate| standing(repository).is_some_and(|standing| standing.served);
        let waiting = |repository: &Coordinate| standing(repository).is_some_and(|standing| !standing.served);
        let contributed = self.is_contributed(&new);
        if let Decision::Refuse(refusal) = decide::pull_request(&new, contributed, served, waiting) {
            return Ok(refusal.into());
        }
        let mut families = Vec::new();
        for identifier in identifiers {
            families.push(self.load(identifier).await?);
        }
        let mut meeting = Meeting::new(self, families);
        let mut uploads = self.unsigned.lock().for_event(&new.id);
        // One that came up only after the locks were chosen is left to its clock.
        uploads.retain(|upload| locked.contains(&upload.repository.identifier));
        for upload in uploads {
            if is_of(&upload, &new, identifiers) && !is_forgotten(&upload) {
                if let Some(objects) = upload.objects(&self.plan.git_data) {
                    self.adopt(&upload.repository.identifier, &objects, &[upload.tip]).await?;
                }
                meeting.pushed(upload.place, &upload.repository, &new, upload.tip);
            }
            if outstays(&upload, &new, identifiers) {
                continue;
            }
            meeting.drop_upload(upload);
        }
        let id = event.id;
        meeting.wait(event, synced);
        if !fault::is("pull-requests-always-wait") {
            meeting.settle()?;
        }
        let waiting = meeting.waits(&id);
        if waiting && !meeting.fits() {
            identifiers.iter().try_for_each(|identifier| self.undo_adoptions(Some(identifier)))?;
            return Ok(no_room());
        }
        meeting.commit().await?;
        Ok(if waiting { waits() } else { serves() })
    }

    /// Everything else: taken when it is related to what is served here.
    async fn related_event(
        self: Arc<Self>,
        event: Event,
        synced: bool,
        begun: Instant,
    ) -> Result<BoxFuture<'static, Answer>, HouseError> {
        let relations = Relations::of(&event);
        let is_believed = synced && fault::is("unrelated-from-peers-taken");
        if !is_believed && !self.is_related(&event, &relations).await? {
            // What it was related to may have gone since it was taken.
            let known = self.store.contains(&event.id).await?;
            return Ok(ready(if known { duplicate() } else { related::unrelated(&event).into() }));
        }
        self.in_flight.lock().change(&event, &relations, true);
        self.feed.expect(&[event.id]);
        Ok(async move {
            let saved = self.save_and_deliver(&event).await;
            self.in_flight.lock().change(&event, &relations, false);
            match saved {
                Ok(Saved::New | Saved::NotStored) => {
                    self.meters.house.served_at_once(begun.elapsed());
                    serves()
                }
                Ok(Saved::Duplicate) => duplicate(),
                Ok(Saved::Replaced) => {
                    Answer::no("replaced: a newer event of this kind and author is known here")
                }
                Err(error) => error.into(),
            }
        }
        .boxed())
    }

    async fn is_related(&self, event: &Event, relations: &Relations) -> Result<bool, HouseError> {
        let served = |repository: &Coordinate| {
            let directory = self.directory.read();
            directory.standing(repository).is_some_and(|standing| standing.served)
                || fault::is("repositories-by-identifier")
                    && directory.knows_identifier(&repository.identifier)
                || fault::is("repositories-by-owner") && directory.knows(&repository.owner)
        };
        if relations.repositories.iter().any(served) || self.in_flight.lock().relates_to(event, relations) {
            return Ok(true);
        }
        if is_about_a_person(event.kind) && self.knows_person(event).await? {
            return Ok(true);
        }
        let opens = |event: &Event| opens_doors(event.kind);
        // A few at a time: they may be large, and one is enough.
        for ids in relations.events.chunks(EVENTS_AT_ONCE) {
            if self.store.by_ids(ids).await?.iter().any(opens) {
                return Ok(true);
            }
        }
        for address in relations.addresses.iter().take(MAX_ADDRESS_LOOKUPS) {
            let kind = Kind::from(address.kind);
            let mut filter = Filter::new().author(address.author).kind(kind).limit(1);
            if kind.is_addressable() {
                filter = filter.identifier(&address.d);
            }
            if self.store.query(filter).await?.iter().any(opens) {
                return Ok(true);
            }
        }
        self.is_tagged(event).await
    }

    /// Whether something served tags this event.
    async fn is_tagged(&self, event: &Event) -> Result<bool, HouseError> {
        /// Somebody else's doors are looked through first; more than these are not.
        const LOOKED_AT: usize = 50;
        let event_tags =
            [SingleLetterTag::LOWERCASE_E, SingleLetterTag::UPPERCASE_E, SingleLetterTag::LOWERCASE_Q];
        let event_tags = match () {
            () if fault::is("named-events-not-looked-up") => &event_tags[..0],
            () if fault::is("named-by-e-only") => &event_tags[..2],
            () if fault::is("named-by-q-only") => &event_tags[2..],
            () => &event_tags[..],
        };
        let address_tags =
            [SingleLetterTag::LOWERCASE_A, SingleLetterTag::UPPERCASE_A, SingleLetterTag::LOWERCASE_Q];
        let by_id = event_tags.iter().map(|tag| (*tag, event.id.to_hex()));
        let by_address = Address::of(event).filter(|_| !fault::is("named-addresses-not-looked-up"));
        let by_address = by_address.map(|address| address_tags.map(|tag| (tag, address.to_string())));
        for (tag, value) in by_id.chain(by_address.into_iter().flatten()) {
            let filter = Filter::new().custom_tag(tag, value).limit(LOOKED_AT);
            if self.store.query(filter).await?.iter().any(|event| opens_doors(event.kind)) {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Owners, maintainers, and authors of root events.
    async fn knows_person(&self, event: &Event) -> Result<bool, HouseError> {
        if self.directory.read().knows(&event.pubkey) {
            return Ok(true);
        }
        if fault::is("root-authors-unknown") {
            return Ok(false);
        }
        let roots = Filter::new()
            .author(event.pubkey)
            .kinds([PATCH, PULL_REQUEST, PULL_REQUEST_UPDATE, ISSUE])
            .limit(1);
        Ok(!self.store.query(roots).await?.is_empty())
    }

    /// The event index tells long identifiers apart by their beginning only: a second one that begins the same is
    /// refused rather than stored over the first.
    async fn check_index(
        &self,
        event: &Event,
        identifiers: &BTreeSet<Identifier>,
    ) -> Result<Option<Answer>, HouseError> {
        let Some(identifier) = identifiers.first().filter(|i| i.as_str().len() > INDEXED_IDENTIFIER) else {
            return Ok(None);
        };
        if !event.kind.is_addressable() {
            return Ok(None);
        }
        let begins_the_same = |other: &Event| {
            let d = crate::nip34::tags::first(other, "d").unwrap_or_default();
            d != identifier.as_str()
                && d.as_bytes().get(..INDEXED_IDENTIFIER)
                    == identifier.as_str().as_bytes().get(..INDEXED_IDENTIFIER)
        };
        let own = Filter::new().author(event.pubkey).kind(event.kind);
        Ok(self.store.query(own).await?.iter().any(begins_the_same).then(|| {
            Answer::no("blocked: another identifier of yours here has the same first 182 bytes; choose a shorter one")
        }))
    }
}

/// Whether an upload is what a pull request names: its tip, for one of its identifiers, and where the repository is a
/// contributor's own, pushed to its signer's.
fn is_of(upload: &Upload, pull: &PullRequest, identifiers: &BTreeSet<Identifier>) -> bool {
    let signer = upload.place == Place::Hosted
        || upload.repository.owner == pull.author
        || fault::is("contributed-by-others-counts");
    signer && identifiers.contains(&upload.repository.identifier) && Some(upload.tip) == pull.tip
}

/// It is served from now on.
pub(super) fn serves() -> Answer {
    Answer::yes("")
}

/// A fault of the test build: what was pushed before the event counts for nothing.
fn is_forgotten(upload: &Upload) -> bool {
    upload.place == Place::Contributed && fault::is("contributed-data-forgotten")
}

/// Faults of the test build: an upload that contradicts the pull request stays where it is.
fn outstays(upload: &Upload, pull: &PullRequest, identifiers: &BTreeSet<Identifier>) -> bool {
    let other_tip = Some(upload.tip) != pull.tip;
    let contributed = upload.place == Place::Contributed;
    other_tip && fault::is("other-tips-stay")
        || contributed && other_tip && fault::is("contributed-other-tips-stay")
        || contributed && upload.repository.owner != pull.author && fault::is("contributed-by-others-stays")
        || contributed
            && !identifiers.contains(&upload.repository.identifier)
            && fault::is("contributed-elsewhere-stays")
}

/// It is known already.
pub(super) fn duplicate() -> Answer {
    Answer::yes("duplicate: already have this event")
}

fn no_room() -> Answer {
    Answer::no("rate-limited: too much waits for git data here at the moment; try again later")
}

fn waits() -> Answer {
    Answer::yes(PURGATORY_MESSAGE)
}
