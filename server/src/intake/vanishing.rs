//! Requests to vanish (NIP-62): everything by a key goes, its repositories included, and is refused when it comes again.

use std::collections::BTreeSet;
use std::sync::Arc;

use nostr::event::{Event, EventId, Kind};
use nostr::filter::Filter;

use super::funnel::{duplicate, serves};
use super::{Answer, tombstones};
use crate::admission::{Prefix, Refusal};
use crate::house::held::{Held, Why};
use crate::house::{House, HouseError};
use crate::nip34::tags::values;
use crate::nip34::{ANNOUNCEMENT, Coordinate, Identifier, PULL_REQUEST, PULL_REQUEST_UPDATE, STATE};
use crate::promotion::meeting::Meeting;
use crate::purgatory;
use crate::purgatory::unsigned::{Place, Upload};

/// The word in a `relay` tag that means every relay.
const EVERYWHERE: &str = "ALL_RELAYS";

/// What of a key's is here, up to the time of its request.
#[derive(Debug, Default)]
struct Belongings {
    /// Served and waiting announcements, states and pull requests: what repositories follow.
    followed: Vec<Event>,
    /// Everything else that is served.
    others: Vec<EventId>,
    /// Data that waits for an event, below `/prs/`.
    uploads: Vec<Upload>,
    /// Repositories that were retired before.
    held: Vec<Coordinate>,
}

impl Belongings {
    fn is_empty(&self) -> bool {
        self.followed.is_empty() && self.others.is_empty() && self.uploads.is_empty() && self.held.is_empty()
    }

    /// What has to be locked.
    fn identifiers(&self) -> BTreeSet<Identifier> {
        let named = self.followed.iter().flat_map(purgatory::identifiers);
        let uploaded = self.uploads.iter().map(|upload| upload.repository.identifier.clone());
        let held = self.held.iter().map(|held| held.identifier.clone());
        named.chain(uploaded).chain(held).collect()
    }

    /// Leaves out what came up only after the locks were chosen.
    fn keep_within(&mut self, locked: &BTreeSet<Identifier>) {
        self.followed.retain(|event| purgatory::identifiers(event).is_subset(locked));
        self.uploads.retain(|upload| locked.contains(&upload.repository.identifier));
        self.held.retain(|held| locked.contains(&held.identifier));
    }
}

impl House {
    pub(super) async fn vanish(self: Arc<Self>, request: Event) -> Result<Answer, HouseError> {
        if self.store.contains(&request.id).await? {
            return Ok(duplicate());
        }
        let concerns_us = |relay: &str| relay == EVERYWHERE || self.plan.service.is_relay_url(relay);
        if !values(&request, "relay").any(concerns_us) {
            return Ok(not_asked(&self.plan.service.relay_url()).into());
        }
        // What is found tells which locks are needed; what counts is what is found under them.
        let found = self.belongings(&request).await?;
        if found.is_empty() {
            return Ok(nothing_here().into());
        }
        let locked = found.identifiers();
        self.operate_on(locked.clone(), move |house| async move { house.let_vanish(request, &locked).await })
            .await
    }

    async fn let_vanish(&self, request: Event, locked: &BTreeSet<Identifier>) -> Result<Answer, HouseError> {
        let mut found = self.belongings(&request).await?;
        found.keep_within(locked);
        let mut families = Vec::new();
        for identifier in locked {
            families.push(self.load(identifier).await?);
        }
        let mut meeting = Meeting::new(self, families);
        let known = tombstones::vanished(&self.tables, &request.pubkey)?.unwrap_or_default();
        meeting.write(tombstones::author(&request.pubkey, request.created_at.as_secs().max(known)));
        for event in &found.followed {
            meeting.withdraw(event, Why::Vanished).await?;
        }
        found.others.into_iter().for_each(|id| meeting.drop_served(id));
        found.uploads.into_iter().for_each(|upload| meeting.drop_upload(upload));
        for repository in &found.held {
            if let Some(held) = Held::read(&self.tables, repository)? {
                meeting.hold_no_longer(held);
            }
        }
        locked.iter().cloned().for_each(|identifier| meeting.shrink(identifier));
        meeting.serve(request);
        meeting.settle()?;
        meeting.commit().await?;
        Ok(serves())
    }

    /// Everything of the key's up to the time of its request, but for its requests to vanish.
    async fn belongings(&self, request: &Event) -> Result<Belongings, HouseError> {
        let followed = [ANNOUNCEMENT, STATE, PULL_REQUEST, PULL_REQUEST_UPDATE];
        let own = || Filter::new().author(request.pubkey).until(request.created_at);
        let mut found =
            Belongings { followed: self.store.query(own().kinds(followed)).await?, ..Belongings::default() };
        let is_later =
            |held: &Held| held.announced.is_some_and(|announced| announced > request.created_at.as_secs());
        let held = self.held_of(&request.pubkey)?.into_iter().filter(|held| !is_later(held));
        found.held.extend(held.map(|held| held.repository));
        let mut apart: BTreeSet<EventId> = found.followed.iter().map(|event| event.id).collect();
        apart
            .extend(self.store.index(own().kind(Kind::RequestToVanish)).await?.into_iter().map(|(id, _)| id));
        let all = self.store.index(own()).await?.into_iter().map(|(id, _)| id);
        found.others = all.filter(|id| !apart.contains(id)).collect();
        {
            let purgatory = self.purgatory.lock();
            let waiting = purgatory.iter().map(|waiting| &waiting.event);
            let own = waiting
                .filter(|event| event.pubkey == request.pubkey && event.created_at <= request.created_at);
            found.followed.extend(own.cloned());
        }
        let unsigned = self.unsigned.lock();
        for (place, repository) in unsigned.repositories() {
            if place == Place::Contributed && repository.owner == request.pubkey {
                found.uploads.extend(unsigned.to(place, &repository));
            }
        }
        Ok(found)
    }
}

fn not_asked(own: &str) -> Refusal {
    let reason = format!(
        "the request names other relays; to vanish from here, add [\"relay\", \"{own}\"] or [\"relay\", \"{EVERYWHERE}\"]"
    );
    Refusal::new(Prefix::Invalid, reason)
}

fn nothing_here() -> Refusal {
    Refusal::new(Prefix::Restricted, "nothing by this key is here, so there is nothing to forget")
}

impl Meeting<'_> {
    /// What was retired before goes at once, and cannot come back.
    fn hold_no_longer(&mut self, held: Held) {
        let until = self.house.now();
        self.held.push(Held { until, why: Why::Vanished, events: Vec::new(), ..held });
    }
}
