//! The reasons people read in their terminal when a push is refused: what is wrong, and what would be right.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::PushFacts;
use crate::admission::Slot;
use crate::git::RefCommand;
use crate::nip34::{Oid, RefName, State};

/// How many refs a suggested command names before it becomes a wildcard.
const REFS_IN_A_COMMAND: usize = 8;

pub(super) fn other_namespace() -> String {
    "only refs/heads/*, refs/tags/* and refs/nostr/<event-id> can be pushed here".to_owned()
}

pub(super) fn archived(facts: &PushFacts<'_>) -> String {
    /// How many of the places to push to are named.
    const NAMED: usize = 3;
    let newest = facts.family.announcements.get(facts.owner).and_then(Slot::newest);
    let urls: Vec<&str> =
        newest.iter().flat_map(|known| &known.announcement.clone).map(String::as_str).take(NAMED).collect();
    let places = if urls.is_empty() { "the servers that it lists".to_owned() } else { urls.join(" or ") };
    format!(
        "this is a read-only archive of the repository, which does not list this server; push to {places}"
    )
}

pub(super) fn not_for_contributions() -> String {
    "only refs/nostr/<event-id> of pull requests can be pushed to a contributor's repository; branches and tags go to \
     the repository itself"
        .to_owned()
}

pub(super) fn other_signer() -> String {
    "the pull request of that id is signed by somebody else; push to /prs/<npub of its signer>/<identifier>.git".to_owned()
}

pub(super) fn malformed_nostr_ref() -> String {
    "refs/nostr/ takes event ids of 64 lower-case hexadecimal digits".to_owned()
}

pub(super) fn nostr_deletion(exists: bool) -> String {
    if exists {
        "the ref goes with its pull request: publish a deletion request (kind 5) for the event".to_owned()
    } else {
        "there is no such ref".to_owned()
    }
}

pub(super) fn foreign_pull_request() -> String {
    "the pull request of that id is for other repositories (see its `a` tags)".to_owned()
}

pub(super) fn other_tip(tip: Option<Oid>) -> String {
    match tip {
        Some(tip) => format!("the pull request of that id names the tip {tip} (`c` tag); push that commit"),
        None => "the pull request of that id names a SHA-256 commit; this repository is SHA-1".to_owned(),
    }
}

pub(super) fn no_pull_request() -> String {
    "the event of that id is no pull request".to_owned()
}

pub(super) fn unsigned_with_signed() -> String {
    "the pull request is not known yet; push its ref apart from the others".to_owned()
}

/// Why the result of a push is no signed state, by ref.
pub(super) fn explain(
    facts: &PushFacts<'_>,
    commands: &[&RefCommand],
    result: &BTreeMap<&RefName, Oid>,
    candidates: &[&State],
) -> BTreeMap<RefName, String> {
    let hosted = facts.family.hosted();
    let served = hosted.get(facts.owner).and_then(|maintainers| facts.family.authorised(maintainers));
    // The state that the push comes nearest to: fewest refs that differ, then the newest.
    let nearest = candidates.iter().min_by_key(|state| differences(state, result).len());
    commands
        .iter()
        .map(|command| {
            let reason = match (nearest, served) {
                (Some(state), _) => against(command, state, result, commands),
                (None, Some(state)) => against_served(command, state),
                (None, None) => nothing_signed(command),
            };
            (command.name.clone(), reason)
        })
        .collect()
}

fn against(
    command: &RefCommand,
    state: &State,
    result: &BTreeMap<&RefName, Oid>,
    commands: &[&RefCommand],
) -> String {
    match state.refs.get(&command.name) {
        None if !command.new.is_zero() => not_listed(command, "the waiting state"),
        Some(oid) if command.new.is_zero() => {
            format!("the waiting state keeps this ref, at {}", short(oid))
        }
        Some(oid) if *oid != command.new => {
            format!(
                "the waiting state names {} here, not {}; sign and publish a new state first",
                short(oid),
                short(&command.new)
            )
        }
        _ => left_behind(state, result, commands),
    }
}

fn against_served(command: &RefCommand, state: &State) -> String {
    match state.refs.get(&command.name) {
        None if command.new.is_zero() => "there is no such ref".to_owned(),
        None => not_listed(command, "the repository's signed state"),
        Some(oid) => format!(
            "the repository's signed state names {} here; publish a newer state (kind 30618), then push",
            short(oid)
        ),
    }
}

fn nothing_signed(command: &RefCommand) -> String {
    if is_pull_request_branch(command) {
        return pull_request_branch();
    }
    "no signed state authorises this: a maintainer has to publish the repository's state (kind 30618) that lists \
     this ref, then push; `ngit` and `git push` to a nostr:// remote do both"
        .to_owned()
}

fn not_listed(command: &RefCommand, where_: &str) -> String {
    if is_pull_request_branch(command) {
        return pull_request_branch();
    }
    format!("{where_} does not list this ref; publish a state (kind 30618) that does, then push")
}

fn is_pull_request_branch(command: &RefCommand) -> bool {
    command.name.as_str().starts_with("refs/heads/pr/")
}

fn pull_request_branch() -> String {
    "branches named pr/… are pull requests: send them with `ngit send` or `git push` to a nostr:// remote; plain \
     git cannot push them"
        .to_owned()
}

/// This ref is right, but others are too much, or not part of the push.
fn left_behind(state: &State, result: &BTreeMap<&RefName, Oid>, commands: &[&RefCommand]) -> String {
    let missing = differences(state, result);
    let surplus = |command: &&&RefCommand| missing.get(&command.name) == Some(&Change::Delete);
    if let Some(extra) = commands.iter().find(surplus) {
        return format!(
            "the push also has {}, which the waiting state does not list; push without it",
            extra.name
        );
    }
    let mut text = "the waiting state also has ".to_owned();
    for (at, (name, change)) in missing.iter().take(REFS_IN_A_COMMAND).enumerate() {
        let comma = if at == 0 { "" } else { ", " };
        let _ =
            write!(text, "{comma}{}{name}", if *change == Change::Delete { "the deletion of " } else { "" });
    }
    if missing.len() > REFS_IN_A_COMMAND {
        let _ = write!(text, " and {} more", missing.len() - REFS_IN_A_COMMAND);
    }
    text.push_str("; push all of it at once: git push --prune <remote> '+refs/heads/*' '+refs/tags/*'");
    text
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Change {
    Set,
    Delete,
}

/// What is still missing between the result of a push and a state.
fn differences(state: &State, result: &BTreeMap<&RefName, Oid>) -> BTreeMap<RefName, Change> {
    let unset = state.refs.iter().filter(|(name, oid)| result.get(name) != Some(oid));
    let surplus = result.keys().filter(|name| !state.refs.contains_key(**name));
    unset
        .map(|(name, _)| (name.clone(), Change::Set))
        .chain(surplus.map(|name| ((*name).clone(), Change::Delete)))
        .collect()
}

fn short(oid: &Oid) -> String {
    oid.to_string()[..12].to_owned()
}
