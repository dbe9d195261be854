//! May this push? Ref commands × current refs × signed states → what each ref is told.
//!
//! Pure. Requirements G01/git/push-aligned, /push-unauthorised, /nostr-refs and the decision table. A push has no
//! user: what makes it right is that it leads to exactly what somebody with authority has signed.

mod contribution;
mod refusal;

pub use contribution::contribution;

use std::collections::{BTreeMap, BTreeSet};

use nostr::event::EventId;
use nostr::key::PublicKey;

use crate::admission::{Family, Slot};
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
    /// A pull request by somebody else than the contributor whose repository is pushed to (GRASP-06).
    OtherSigner,
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
    /// Archived repositories take no pushes (requirement G05/sync).
    pub read_only_archive: bool,
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
    if facts.read_only_archive
        && facts.family.is_archived(facts.owner)
        && !fault::is("archived-are-pushed-to")
    {
        let refused = || Err(refusal::archived(facts));
        return Ruling { results: commands.iter().map(|_| refused()).collect(), ..ruling };
    }
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
            Namespace::Nostr => judge_nostr_ref(facts.current, facts.events, command, &mut ruling),
            Namespace::Other => Err(refusal::other_namespace()),
        };
        ruling.results.push(result);
    }
    keep_apart(&mut ruling, commands);
    ruling
}

/// One pack, one fate: what nobody has signed must not come into the family with what somebody has.
fn keep_apart(ruling: &mut Ruling, commands: &[RefCommand]) {
    if ruling.promotes.is_none() && ruling.signed.is_empty() {
        return;
    }
    for (id, _) in std::mem::take(&mut ruling.unsigned) {
        let name = RefName::nostr(&id);
        for (result, _) in ruling.results.iter_mut().zip(commands).filter(|(_, c)| c.name == name) {
            *result = Err(refusal::unsigned_with_signed());
        }
    }
}

/// The state that the commands make true (`None`: all is in place already), or why not, by ref.
fn judge_state_refs(
    facts: &PushFacts<'_>,
    commands: &[&RefCommand],
) -> Result<Option<EventId>, BTreeMap<RefName, String>> {
    let now: BTreeMap<&RefName, Oid> =
        facts.current.iter().filter(|(name, _)| name.is_in_state()).map(|(name, oid)| (name, *oid)).collect();
    let is = |command: &RefCommand| now.get(&command.name).copied().unwrap_or(Oid::ZERO);
    let in_place = |command: &RefCommand| {
        is(command) == command.new && !(fault::is("in-place-is-a-conflict") && command.old != command.new)
    };
    if let Some(refused) = forbidden(commands, &now) {
        return Err(refused);
    }
    if commands.iter().all(|command| in_place(command)) {
        return Ok(None);
    }
    let mut result = if fault::is("whole-states-only") { BTreeMap::new() } else { now.clone() };
    for command in commands {
        if command.new.is_zero() {
            result.remove(&command.name);
        } else {
            result.insert(&command.name, command.new);
        }
    }
    let candidates = candidates(facts);
    let equals = |state: &State| {
        (state.refs.len() == result.len() || fault::is("supersets-taken"))
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
    let everybody: BTreeSet<PublicKey> = facts.family.states.keys().copied().collect();
    let owner = BTreeSet::from([*facts.owner]);
    let maintainers = match () {
        () if fault::is("removed-maintainers-admit") => &everybody,
        () if fault::is("owners-states-only") => &owner,
        () => maintainers,
    };
    let served = facts.family.authorised(maintainers).filter(|_| !fault::is("older-states-admit"));
    let mut waiting = facts.family.waiting_states(maintainers);
    waiting.retain(|state| served.is_none_or(|served| state.is_newer_than(served)));
    if fault::is("newest-state-only") {
        waiting.truncate(1);
    }
    if fault::is("states-before-announcements-ignored") {
        let announced = facts.family.announcements.get(facts.owner).and_then(Slot::newest);
        waiting
            .retain(|state| announced.is_none_or(|known| state.created_at > known.announcement.created_at));
    }
    waiting
}

/// Faults of the test build: commands that are refused whatever has been signed.
fn forbidden(commands: &[&RefCommand], now: &BTreeMap<&RefName, Oid>) -> Option<BTreeMap<RefName, String>> {
    let becomes_folder = |command: &RefCommand| {
        let name = command.name.as_str();
        now.keys().any(|known| name.strip_prefix(known.as_str()).is_some_and(|rest| rest.starts_with('/')))
    };
    let refused = |command: &&&RefCommand| {
        fault::is("refs-never-deleted") && command.new.is_zero()
            || fault::is("folders-never-branches") && becomes_folder(command)
    };
    let refused: BTreeMap<RefName, String> = commands
        .iter()
        .filter(refused)
        .map(|command| (command.name.clone(), "this server does not do that".to_owned()))
        .collect();
    (!refused.is_empty()).then_some(refused)
}

fn judge_nostr_ref(
    current: &BTreeMap<RefName, Oid>,
    events: &BTreeMap<EventId, NamedEvent>,
    command: &RefCommand,
    ruling: &mut Ruling,
) -> Result<(), String> {
    let Some(id) = command.name.nostr_event() else {
        let forgiven = fault::is("nostr-names-unchecked");
        return if forgiven { Ok(()) } else { Err(refusal::malformed_nostr_ref()) };
    };
    let current = current.get(&command.name).copied();
    if current == Some(command.new) {
        return Ok(());
    }
    if command.new.is_zero() && fault::is("nostr-refs-deletable") {
        return Ok(());
    }
    if command.new.is_zero() {
        return Err(refusal::nostr_deletion(current.is_some()));
    }
    match events.get(&id).copied().unwrap_or(NamedEvent::Unknown) {
        NamedEvent::PullRequest { .. } if fault::is("nostr-refs-before-the-event") => {
            Err("the event is here already".to_owned())
        }
        NamedEvent::PullRequest { tip, names_identifier: true } if tip == Some(command.new) => {
            ruling.signed.push((id, command.new));
            Ok(())
        }
        NamedEvent::PullRequest { names_identifier: false, .. }
            if fault::is("foreign-pull-requests-taken") =>
        {
            Ok(())
        }
        NamedEvent::PullRequest { names_identifier: true, .. } if fault::is("other-tips-taken") => Ok(()),
        NamedEvent::Unknown if fault::is("nostr-refs-after-the-event") => {
            Err("publish the event first".to_owned())
        }
        NamedEvent::PullRequest { names_identifier: false, .. } => Err(refusal::foreign_pull_request()),
        NamedEvent::PullRequest { tip, .. } => Err(refusal::other_tip(tip)),
        NamedEvent::OtherSigner => Err(refusal::other_signer()),
        NamedEvent::Other => Err(refusal::no_pull_request()),
        NamedEvent::Unknown => {
            ruling.unsigned.push((id, command.new));
            Ok(())
        }
    }
}

#[cfg(test)]
mod tests;
