//! Pushes to a contributor's own repository, `/prs/<npub>/<identifier>.git` (requirement G06/push).

use std::collections::BTreeMap;

use nostr::event::EventId;

use super::{NamedEvent, Ruling, judge_nostr_ref, keep_apart, refusal};
use crate::git::RefCommand;
use crate::nip34::refname::Namespace;
use crate::nip34::{Oid, RefName};

/// Judges a push to a contributor's repository: `refs/nostr/<event-id>` only, and nothing that contradicts the event.
#[must_use]
pub fn contribution(
    current: &BTreeMap<RefName, Oid>,
    events: &BTreeMap<EventId, NamedEvent>,
    commands: &[RefCommand],
) -> Ruling {
    let mut ruling = Ruling::default();
    for command in commands {
        let result = match command.name.namespace() {
            Namespace::Nostr => judge_nostr_ref(current, events, command, &mut ruling),
            Namespace::Branch | Namespace::Tag | Namespace::Other => Err(refusal::not_for_contributions()),
        };
        ruling.results.push(result);
    }
    keep_apart(&mut ruling, commands);
    ruling
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn oid(n: u8) -> Oid {
        Oid::from_bytes([n; 20])
    }

    fn push(name: &str, new: u8) -> RefCommand {
        RefCommand { name: name.parse().unwrap(), old: Oid::ZERO, new: oid(new) }
    }

    fn ruling(event: NamedEvent, commands: &[RefCommand]) -> Ruling {
        let events = BTreeMap::from([(EventId::from_byte_array([7; 32]), event)]);
        contribution(&BTreeMap::new(), &events, commands)
    }

    #[test]
    fn only_refs_of_pull_requests_are_taken() {
        for name in ["refs/heads/main", "refs/tags/v1", "refs/notes/x", "refs/nostr/abc"] {
            assert!(ruling(NamedEvent::Unknown, &[push(name, 1)]).results[0].is_err(), "{name}");
        }
    }

    #[test]
    fn the_event_is_held_against_signer_identifier_and_tip() {
        let id = EventId::from_byte_array([7; 32]);
        let command = [push(&format!("refs/nostr/{id}"), 1)];
        let pull = |tip, names_identifier| NamedEvent::PullRequest { tip: Some(oid(tip)), names_identifier };
        assert_eq!(ruling(pull(1, true), &command).signed, [(id, oid(1))]);
        assert_eq!(ruling(NamedEvent::Unknown, &command).unsigned, [(id, oid(1))]);
        for event in [pull(2, true), pull(1, false), NamedEvent::OtherSigner, NamedEvent::Other] {
            let ruling = ruling(event, &command);
            assert!(ruling.results[0].is_err() && !ruling.changes_anything(), "{event:?}");
        }
    }
}
