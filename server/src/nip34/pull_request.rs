//! Pull requests (kind 1618) and their updates (kind 1619).

use std::collections::BTreeSet;

use nostr::event::{Event, EventId};
use nostr::key::PublicKey;

use super::tags::{first, values};
use super::{Coordinate, Identifier, Oid, PULL_REQUEST, PULL_REQUEST_UPDATE, ServiceDomain, ShapeError};

/// The most repositories a pull request can name; further `a` tags are left out.
pub const MAX_COORDINATES: usize = 100;

/// The most identifiers among them: the data is carried to the family of each.
pub const MAX_IDENTIFIERS: usize = 5;

/// The most `clone` URLs of a pull request that are looked at.
pub const MAX_CLONE_URLS: usize = 20;

/// What a pull request or an update of one says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PullRequest {
    /// The event; its data lives at `refs/nostr/<id>`.
    pub id: EventId,
    /// Its author.
    pub author: PublicKey,
    /// The repositories it is for (`a` tags).
    pub repositories: Vec<Coordinate>,
    /// The tip's commit id (`c` tag). `None`: an id of the SHA-256 object format, which never arrives here.
    pub tip: Option<Oid>,
    /// Where its author says that the data is (`clone` tags, each with one URL or several).
    pub clone_urls: Vec<String>,
}

impl PullRequest {
    /// Reads a pull request or an update.
    ///
    /// # Errors
    /// When the kind is another, or `c` is missing or no commit id.
    pub fn from_event(event: &Event) -> Result<Self, ShapeError> {
        if event.kind != PULL_REQUEST && event.kind != PULL_REQUEST_UPDATE {
            return Err(ShapeError::Kind(PULL_REQUEST.as_u16()));
        }
        let tip = first(event, "c").ok_or(ShapeError::NoTip)?;
        let sha256 = tip.len() == 64 && tip.bytes().all(|b| b.is_ascii_hexdigit());
        let tip = match tip.parse::<Oid>() {
            Ok(oid) if !oid.is_zero() => Some(oid),
            _ if sha256 => None,
            _ => return Err(ShapeError::Tip(tip.chars().take(80).collect())),
        };
        let mut repositories: Vec<Coordinate> =
            values(event, "a").filter_map(|value| value.parse().ok()).take(MAX_COORDINATES).collect();
        let mut identifiers: Vec<Identifier> = Vec::new();
        repositories.retain(|named: &Coordinate| {
            let known = identifiers.contains(&named.identifier);
            if !known && identifiers.len() < MAX_IDENTIFIERS {
                identifiers.push(named.identifier.clone());
                return true;
            }
            known
        });
        repositories.sort();
        repositories.dedup();
        let clone_urls = values(event, "clone").take(MAX_CLONE_URLS).map(str::to_owned).collect();
        Ok(Self { id: event.id, author: event.pubkey, repositories, tip, clone_urls })
    }

    /// The identifiers of the repositories that it names.
    #[must_use]
    pub fn identifiers(&self) -> BTreeSet<&Identifier> {
        self.repositories.iter().map(|repository| &repository.identifier).collect()
    }

    /// The contributor's own repositories here that its data may be pushed to: those of its author, for an identifier
    /// that it names, that its `clone` tags list (requirement G06/events).
    pub fn contributed(&self, service: &ServiceDomain) -> impl Iterator<Item = Coordinate> {
        let own =
            self.identifiers().into_iter().map(|identifier| Coordinate::new(self.author, identifier.clone()));
        own.filter(|own| self.clone_urls.iter().any(|url| service.is_contribution_url(url, own)))
    }
}
