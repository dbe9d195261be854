//! Mutants of G01/git/push-unauthorised: pushes reported as taken, and refusals that nobody understands.

use std::collections::BTreeMap;

use hyper::StatusCode;

use crate::lie::report::{Command, edit_report, refusals, reports_ok};
use crate::mutant::{Mutant, fault, proxy};

const ROW: &str = "G01/git/push-unauthorised";

/// What one state says about refs.
type State = BTreeMap<String, String>;

fn names(state: &State, command: &Command) -> bool {
    state.contains_key(&command.name)
}

fn says(state: &State, command: &Command) -> bool {
    state.get(&command.name) == Some(&command.new)
}

fn is_branch(command: &Command) -> bool {
    command.name.starts_with("refs/heads/")
}

fn is_tag(command: &Command) -> bool {
    command.name.starts_with("refs/tags/")
}

pub(super) fn mutants() -> Vec<Mutant> {
    [reported(), told(), objects()].into_iter().flatten().collect()
}

/// Wrong in words: `ok` where nothing has happened.
fn reported() -> Vec<Mutant> {
    vec![
        proxy("stateless-pushes-ok", ROW, "a push to what has no state yet is reported as taken", {
            reports_ok(|command, states| is_branch(command) && states.is_empty())
        }),
        proxy("parts-of-states-ok", ROW, "a part of what a state says is reported as taken", {
            reports_ok(|command, states| states.last().is_some_and(|state| says(state, command)))
        }),
        proxy("older-contents-ok", ROW, "what an older state said is reported as taken", {
            reports_ok(|command, states| {
                let older = states.split_last().map(|(_, older)| older).unwrap_or_default();
                older.iter().any(|state| says(state, command))
            })
        })
        .affects("G01/purgatory/withdrawn/*", "the replaced state is older")
        .affects("G01/git/push-aligned/*", "the state that admits no push is older"),
        proxy("unknown-branches-ok", ROW, "a branch that no state names is reported as taken", {
            reports_ok(|command, states| {
                is_branch(command) && !states.is_empty() && !states.iter().any(|state| names(state, command))
            })
        }),
        proxy("unknown-tags-ok", ROW, "a tag that no state names is reported as taken", {
            reports_ok(|command, states| is_tag(command) && !states.iter().any(|state| names(state, command)))
        }),
        proxy("other-commits-ok", ROW, "another commit than the state's is reported as taken", {
            reports_ok(|command, states| {
                !command.deletes()
                    && states.iter().any(|state| names(state, command))
                    && !states.iter().any(|state| says(state, command))
            })
        })
        .affects("G01/purgatory/not-served/refused-push", "it pushes another commit")
        .affects("G01/purgatory/nothing-to-wait-for/refused-data", "it pushes a commit before its state"),
        proxy("deletions-ok", ROW, "the deletion of a branch is reported as done", {
            reports_ok(|command, _| is_branch(command) && command.deletes())
        }),
        proxy("other-namespaces-ok", ROW, "refs of other namespaces are reported as taken", {
            reports_ok(|command, _| {
                !is_branch(command) && !is_tag(command) && !command.name.starts_with("refs/nostr/")
            })
        }),
    ]
}

/// Refusals without a reason, or by other means than git's.
fn told() -> Vec<Mutant> {
    vec![
        proxy("deletions-refused-by-http", ROW, "a refused deletion is answered 403", {
            refusals(
                |commands| commands.iter().all(Command::deletes),
                |head, body| {
                    head.status = StatusCode::FORBIDDEN;
                    body.to_vec()
                },
            )
        })
        .affects("G01/git/nostr-refs/deletion", "a pull request's ref is deleted by the same means"),
        proxy("tags-refused-without-reason", ROW, "a refused tag has no reason", {
            refusals(
                |commands| commands.iter().any(is_tag),
                |_, body| {
                    edit_report(body, |line| {
                        let name = line.strip_prefix("ng refs/tags/").and_then(|rest| rest.split(' ').next());
                        Some(name.map_or_else(|| line.to_owned(), |name| format!("ng refs/tags/{name}")))
                    })
                },
            )
        }),
        proxy("refusals-hidden-behind-unpack", ROW, "a refused branch is not named in the report", {
            refusals(
                |commands| commands.iter().any(|command| command.name.contains("/pr/")),
                |_, body| edit_report(body, |line| (!line.starts_with("ng ")).then(|| line.to_owned())),
            )
        }),
    ]
}

fn objects() -> Vec<Mutant> {
    vec![fault("supersets-taken", ROW), fault("removed-maintainers-admit", ROW)]
}
