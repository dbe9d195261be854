//! Deletion requests (NIP-09, requirement G01/relay/deletion).

use std::collections::BTreeSet;

use nostr::event::{Event, EventId};

use super::related::Address;
use super::{Prefix, Refusal};
use crate::fault;
use crate::nip34::tags::tags;

/// The most things one deletion request can name.
pub const MAX_TARGETS: usize = 1_000;

/// What a kind 5 asks to delete.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Targets {
    /// Events by id (`e`).
    pub events: BTreeSet<EventId>,
    /// The author's own addresses (`a`): all versions up to the request's time.
    pub addresses: BTreeSet<Address>,
}

impl Targets {
    /// Reads a deletion request; addresses of other authors are left out at once.
    ///
    /// # Errors
    /// When it names nothing, or more than [`MAX_TARGETS`] things.
    pub fn of(event: &Event) -> Result<Self, Refusal> {
        let mut targets = Self::default();
        let mut foreign = false;
        for tag in tags(event) {
            let Some(value) = tag.get(1) else { continue };
            match tag[0].as_str() {
                "e" if fault::is("first-deletion-only") && !targets.events.is_empty() => {}
                "e" => targets.events.extend(EventId::from_hex(value).ok()),
                "a" => match Address::parse(value) {
                    Some(address) if address.author == event.pubkey || fault::is("anybody-deletes") => {
                        targets.addresses.insert(address);
                    }
                    Some(_) => foreign = true,
                    None => {}
                },
                _ => {}
            }
        }
        if targets.events.len() + targets.addresses.len() > MAX_TARGETS {
            return Err(Refusal::new(
                Prefix::Invalid,
                format!(
                    "a deletion request names at most {MAX_TARGETS} events and addresses here; send several"
                ),
            ));
        }
        if targets.events.is_empty() && targets.addresses.is_empty() {
            return Err(if foreign {
                foreign_only()
            } else {
                Refusal::new(
                    Prefix::Invalid,
                    "the deletion request names no event (`e`) and no address (`a`)",
                )
            });
        }
        Ok(targets)
    }
}

/// The refusal of a request that names only what is unknown or somebody else's.
#[must_use]
pub fn foreign_only() -> Refusal {
    Refusal::new(
        Prefix::Restricted,
        "nothing that the deletion request names is known here as yours; only an event's author can delete it",
    )
}
