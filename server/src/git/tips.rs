//! Whether what a push names is there: the part that `index-pack --strict` cannot see.

use std::path::Path;

use git2::{ObjectType, Odb};

use super::gate::{CommandResult, RefCommand};
use crate::fault;
use crate::nip34::Oid;
use crate::nip34::refname::Namespace;

/// One result per command: the new tip is in one of the object folders, and a branch's tip is a commit.
///
/// Everything in the folders is complete by induction: families hold checked objects only, and `index-pack --strict`
/// has looked for what the objects in quarantine name. Reads from disk; call it where blocking is fine.
pub(crate) fn check(folders: &[&Path], commands: &[RefCommand]) -> Vec<CommandResult> {
    let odb = match open(folders) {
        Ok(odb) => odb,
        Err(error) => {
            tracing::error!(%error, "the objects of a push cannot be opened");
            return vec![Err("the objects cannot be read; please try again".into()); commands.len()];
        }
    };
    let checked = commands.iter().map(|command| tip(&odb, command)).collect();
    if fault::is("fast-forwards-only") { fast_forwards(odb, commands, checked) } else { checked }
}

/// A fault of the test build: a branch moves only to what is built on it.
fn fast_forwards(
    odb: Odb<'static>,
    commands: &[RefCommand],
    mut checked: Vec<CommandResult>,
) -> Vec<CommandResult> {
    let Ok(repository) = git2::Repository::from_odb(odb) else { return checked };
    let oid = |oid: &Oid| git2::Oid::from_bytes(oid.as_bytes());
    for (result, command) in checked.iter_mut().zip(commands) {
        let moves = !command.old.is_zero() && !command.new.is_zero();
        let forward = || repository.graph_descendant_of(oid(&command.new)?, oid(&command.old)?);
        if moves && !forward().unwrap_or(true) {
            *result = Err("non-fast-forward".to_owned());
        }
    }
    checked
}

fn open(folders: &[&Path]) -> Result<Odb<'static>, git2::Error> {
    let odb = Odb::new()?;
    for folder in folders {
        let path = folder.to_str().ok_or_else(|| git2::Error::from_str("the data path is no UTF-8"))?;
        odb.add_disk_alternate(path)?;
    }
    Ok(odb)
}

fn tip(odb: &Odb<'_>, command: &RefCommand) -> CommandResult {
    if command.new.is_zero() {
        return Ok(());
    }
    let found = git2::Oid::from_bytes(command.new.as_bytes()).and_then(|oid| odb.read_header(oid));
    match found {
        Ok((_, kind)) if kind != ObjectType::Commit && command.name.namespace() == Namespace::Branch => {
            Err(format!("a branch names a commit, and {} is a {}", command.new, kind.str()))
        }
        Ok(_) => Ok(()),
        Err(_) => Err("missing necessary objects".into()),
    }
}
