//! May this push? Ref commands × current refs × signed states → what each ref is told.
//!
//! Pure. Requirements G01/git/push-aligned, /push-unauthorised, /nostr-refs and the decision table. A push has no
//! user: what makes it right is that it leads to exactly what somebody with authority has signed.

mod refusal;

use std::collections::BTreeMap;

use nostr::event::EventId;
use nostr::key::PublicKey;

use crate::admission::Family;
use crate::fault;
use crate::git::RefCommand;
use crate::nip34::refname::Namespace;
use crate::nip34::{Oid, RefName, State};

/// What is known about an event that a push names by `refs/nostr/<event-id>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NamedEvent {
    /// Nothing yet.
    Unknown,
    /// A pull request or an update, served or waiting.
    PullRequest {
        /// Its `c` tag, if that is a SHA-1 id.
        tip: Option<Oid>,
        /// One of its `a` tags names a repository of this identifier.
        names_identifier: bool,
    },
    /// Some other event.
    Other,
}

/// What a push is judged by.
#[derive(Debug)]
pub struct PushFacts<'a> {
    /// What is known about the identifier.
    pub family: &'a Family,
    /// Whose repository is pushed to.
    pub owner: &'a PublicKey,
    /// The repository's refs as they are, `refs/nostr/` included, unsigned uploads not.
    pub current: &'a BTreeMap<RefName, Oid>,
    /// The events that the commands name; what is missing counts as unknown.
    pub events: &'a BTreeMap<EventId, NamedEvent>,
}

/// The judgement of a push.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Ruling {
    /// For each command, in order: nothing, or the reason of the refusal.
    pub results: Vec<Result<(), String>>,
    /// The waiting state that the push makes true.
    pub promotes: Option<EventId>,
    /// Tips of known pull requests that come with the push.
    pub signed: Vec<(EventId, Oid)>,
    /// Uploads that no known event names yet: kept apart.
    pub unsigned: Vec<(EventId, Oid)>,
}

impl Ruling {
    /// Something is to be done: objects are needed.
    #[must_use]
    pub fn changes_anything(&self) -> bool {
        self.promotes.is_some() || !self.signed.is_empty() || !self.unsigned.is_empty()
    }
}

/// Judges a push.
#[must_use]
pub fn authorize(facts: &PushFacts<'_>, commands: &[RefCommand]) -> Ruling {
    let mut ruling = Ruling::default();
    let stateful: Vec<&RefCommand> = commands.iter().filter(|command| command.name.is_in_state()).collect();
    let on_state = judge_state_refs(facts, &stateful);
    ruling.promotes = on_state.as_ref().ok().copied().flatten();
    for command in commands {
        let result = match command.name.namespace() {
            Namespace::Branch | Namespace::Tag => match &on_state {
                Ok(_) => Ok(()),
                Err(refused) => Err(refused
                    .get(&command.name)
                    .cloned()
                    .unwrap_or_else(|| "refused with the others of this push".to_owned())),
            },
            Namespace::Nostr => judge_nostr_ref(facts, command, &mut ruling),
            Namespace::Other => Err(refusal::other_namespace()),
        };
        ruling.results.push(result);
    }
    // One pack, one fate: what nobody has signed must not come into the family with what somebody has.
    if ruling.promotes.is_some() || !ruling.signed.is_empty() {
        for (id, _) in std::mem::take(&mut ruling.unsigned) {
            let name = RefName::nostr(&id);
            for (result, _) in ruling.results.iter_mut().zip(commands).filter(|(_, c)| c.name == name) {
                *result = Err(refusal::unsigned_with_signed());
            }
        }
    }
    ruling
}

/// The state that the commands make true (`None`: all is in place already), or why not, by ref.
fn judge_state_refs(
    facts: &PushFacts<'_>,
    commands: &[&RefCommand],
) -> Result<Option<EventId>, BTreeMap<RefName, String>> {
    let now: BTreeMap<&RefName, Oid> =
        facts.current.iter().filter(|(name, _)| name.is_in_state()).map(|(name, oid)| (name, *oid)).collect();
    let in_place = |command: &RefCommand| now.get(&command.name).copied().unwrap_or(Oid::ZERO) == command.new;
    if commands.iter().all(|command| in_place(command)) {
        return Ok(None);
    }
    let mut result = now.clone();
    for command in commands {
        if command.new.is_zero() {
            result.remove(&command.name);
        } else {
            result.insert(&command.name, command.new);
        }
    }
    let candidates = candidates(facts);
    let equals = |state: &State| {
        (state.refs.len() == result.len() || fault::is("superset-authorised"))
            && state.refs.iter().all(|(name, oid)| result.get(name) == Some(oid))
    };
    let stale = |command: &&&RefCommand| {
        !in_place(command) && now.get(&command.name).copied().unwrap_or(Oid::ZERO) != command.old
    };
    if let Some(state) = candidates.iter().find(|state| equals(state)) {
        let moved: BTreeMap<_, _> = commands
            .iter()
            .filter(stale)
            .map(|command| {
                (command.name.clone(), "the ref has moved meanwhile; fetch and push again".to_owned())
            })
            .collect();
        return if moved.is_empty() { Ok(Some(state.id)) } else { Err(moved) };
    }
    Err(refusal::explain(facts, commands, &result, &candidates))
}

/// The waiting states that a push may make true: authorised, and newer than the served one. Newest first.
fn candidates<'a>(facts: &PushFacts<'a>) -> Vec<&'a State> {
    let hosted = facts.family.hosted();
    let Some(maintainers) = hosted.get(facts.owner) else { return Vec::new() };
    let served = facts.family.authorised(maintainers);
    let mut waiting = facts.family.waiting_states(maintainers);
    if !fault::is("older-state-authorises") {
        waiting.retain(|state| served.is_none_or(|served| state.is_newer_than(served)));
    }
    waiting
}

fn judge_nostr_ref(facts: &PushFacts<'_>, command: &RefCommand, ruling: &mut Ruling) -> Result<(), String> {
    let Some(id) = command.name.nostr_event() else { return Err(refusal::malformed_nostr_ref()) };
    let current = facts.current.get(&command.name).copied();
    if current == Some(command.new) {
        return Ok(());
    }
    if command.new.is_zero() {
        return Err(refusal::nostr_deletion(current.is_some()));
    }
    match facts.events.get(&id).copied().unwrap_or(NamedEvent::Unknown) {
        NamedEvent::PullRequest { tip, names_identifier: true } if tip == Some(command.new) => {
            ruling.signed.push((id, command.new));
            Ok(())
        }
        NamedEvent::PullRequest { names_identifier: false, .. } => Err(refusal::foreign_pull_request()),
        NamedEvent::PullRequest { tip, .. } => Err(refusal::other_tip(tip)),
        NamedEvent::Other => Err(refusal::no_pull_request()),
        NamedEvent::Unknown => {
            ruling.unsigned.push((id, command.new));
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
