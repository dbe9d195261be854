//! What was deleted stays deleted (NIP-09): remembered by author and event id, and by address up to a time; and all by an
//! author who has asked to vanish (NIP-62), up to the time of that.

use nostr::event::{Event, EventId};
use nostr::key::PublicKey;
use sha2::{Digest as _, Sha256};

use crate::admission::related::Address;
use crate::store::tables::{Table, Tables, TablesError, Write};

fn id_key(author: &PublicKey, id: &EventId) -> Vec<u8> {
    [&b"i"[..], author.as_bytes(), id.as_bytes()].concat()
}

fn address_key(address: &Address) -> Vec<u8> {
    [&b"a"[..], &Sha256::digest(address.to_string())].concat()
}

/// An author's event, known or not, is deleted.
pub(crate) fn event(author: &PublicKey, id: &EventId) -> Write {
    Write::put(Table::Tombstones, id_key(author, id), [])
}

/// All versions of an address up to a time are deleted.
pub(crate) fn address(address: &Address, until: u64) -> Write {
    Write::put(Table::Tombstones, address_key(address), until.to_be_bytes())
}

fn author_key(author: &PublicKey) -> Vec<u8> {
    [&b"v"[..], author.as_bytes()].concat()
}

/// Everything by an author up to a time is gone.
pub(crate) fn author(author: &PublicKey, until: u64) -> Write {
    Write::put(Table::Tombstones, author_key(author), until.to_be_bytes())
}

/// The time up to which everything by an author is gone, if its author has asked to vanish.
pub(crate) fn vanished(tables: &Tables, author: &PublicKey) -> Result<Option<u64>, TablesError> {
    Ok(time(tables.get(Table::Tombstones, &author_key(author))?))
}

fn time(value: Option<Vec<u8>>) -> Option<u64> {
    value.and_then(|bytes| bytes.try_into().ok()).map(u64::from_be_bytes)
}

/// Whether an event was deleted by its author.
pub(crate) fn buries(tables: &Tables, event: &Event) -> Result<bool, TablesError> {
    if tables.get(Table::Tombstones, &id_key(&event.pubkey, &event.id))?.is_some() {
        return Ok(true);
    }
    let Some(address) = Address::of(event) else { return Ok(false) };
    Ok(until(tables, &address)?.is_some_and(|until| event.created_at.as_secs() <= until))
}

/// The time up to which all versions of an address are deleted, if any are.
pub(crate) fn until(tables: &Tables, address: &Address) -> Result<Option<u64>, TablesError> {
    Ok(time(tables.get(Table::Tombstones, &address_key(address))?))
}
