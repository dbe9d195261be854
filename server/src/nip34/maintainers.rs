//! Who may say what a repository's refs are: the maintainer set.

use std::collections::{BTreeMap, BTreeSet};

use nostr::key::PublicKey;

use super::Announcement;
use crate::fault;

/// The most people a maintainer set has; those found first, nearest to the owner, stay.
pub const MAX_MAINTAINERS: usize = 1_000;
/// How many announcements a chain of trust may lead through.
pub const MAX_HOPS: usize = 32;

/// The maintainer set of (owner, identifier): the owner unless it has left, everybody its announcement lists, and,
/// recursively, everybody those list in their own announcements of the same identifier. Cycles are normal.
///
/// `announcements` has the newest announcement of each author for one identifier, served or waiting.
/// The result does not depend on any order.
#[must_use]
pub fn maintainer_set(
    owner: &PublicKey,
    announcements: &BTreeMap<PublicKey, &Announcement>,
) -> BTreeSet<PublicKey> {
    let mut set = BTreeSet::new();
    let mut asked = BTreeSet::from([*owner]);
    let mut level = vec![*owner];
    if announcements.get(owner).is_some_and(|announcement| !announcement.author_left) {
        set.insert(*owner);
    }
    let hops = match () {
        () if fault::is("direct-maintainers-only") => 1,
        () if fault::is("three-hops-at-most") => 3,
        () => MAX_HOPS,
    };
    let lists_back = |listed: &PublicKey, person: &PublicKey| {
        announcements.get(listed).is_some_and(|announcement| announcement.listed.contains(person))
    };
    for _hop in 0..hops {
        let mut next = BTreeSet::new();
        for person in &level {
            if let Some(announcement) = announcements.get(person) {
                next.extend(announcement.listed.iter().copied());
            }
            if fault::is("maintainers-must-list-back") {
                next.retain(|listed| lists_back(listed, person));
            }
        }
        let room = MAX_MAINTAINERS.saturating_sub(set.len());
        set.extend(
            next.iter().filter(|person| !set.contains(*person)).copied().take(room).collect::<Vec<_>>(),
        );
        level = next.into_iter().filter(|person| set.contains(person) && asked.insert(*person)).collect();
        if level.is_empty() {
            break;
        }
    }
    set
}
