//! A simple gate: one repository with a family, everything allowed that is not forbidden by name.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex};

use git2::Repository;
use grasp_server::git::gate::{CommandResult, Hold, Quarantine};
use grasp_server::git::{Gate, PushGate, RefCommand, RefEntry, RefSnapshot};
use grasp_server::nip34::{Coordinate, Oid};

pub(crate) struct OneRepository {
    pub(crate) thin: PathBuf,
    pub(crate) family: PathBuf,
    pub(crate) quarantines: PathBuf,
    pub(crate) state: Mutex<State>,
}

#[derive(Default)]
pub(crate) struct State {
    /// Ref name → why it is refused when judged.
    pub(crate) judged_no: HashMap<String, String>,
    /// Ref name → why it is refused when landing.
    pub(crate) landed_no: HashMap<String, String>,
    /// What is shown instead of what is on disk.
    pub(crate) shown: Option<Arc<RefSnapshot>>,
    pub(crate) haves: Vec<Oid>,
    pub(crate) unsigned: Vec<RefEntry>,
    pub(crate) unsigned_objects: Vec<PathBuf>,
    /// Landing waits for a permit of this.
    pub(crate) landing: Option<Arc<tokio::sync::Semaphore>>,
    pub(crate) landings: Vec<Vec<String>>,
}

fn oid(oid: git2::Oid) -> Oid {
    oid.to_string().parse().unwrap()
}

/// The refs of a repository, read with libgit2.
pub(crate) fn snapshot(path: &Path, unsigned: Vec<RefEntry>) -> RefSnapshot {
    let repository = Repository::open_bare(path).unwrap();
    let head = std::fs::read_to_string(path.join("HEAD")).unwrap();
    let mut refs = Vec::new();
    for reference in repository.references().unwrap() {
        let reference = reference.unwrap();
        let target = reference.target().unwrap();
        let peeled = reference.peel(git2::ObjectType::Any).unwrap().id();
        refs.push(RefEntry {
            name: reference.name().unwrap().parse().unwrap(),
            oid: oid(target),
            peeled: (peeled != target).then(|| oid(peeled)),
        });
    }
    refs.sort_by(|a, b| a.name.cmp(&b.name));
    RefSnapshot { head: head.trim().strip_prefix("ref: ").unwrap().parse().unwrap(), refs, unsigned }
}

impl OneRepository {
    fn update(&self, command: &RefCommand) -> CommandResult {
        let mut git = Command::new("git");
        git.arg("--git-dir").arg(&self.thin).arg("update-ref");
        match command.new.is_zero() {
            true => git.args(["-d", command.name.as_str(), &command.old.to_string()]),
            false => git.args([command.name.as_str(), &command.new.to_string(), &command.old.to_string()]),
        };
        let output = git.output().unwrap();
        if output.status.success() {
            Ok(())
        } else {
            Err(String::from_utf8_lossy(&output.stderr).into_owned())
        }
    }
}

#[async_trait::async_trait]
impl PushGate for OneRepository {
    async fn open(&self, repository: &Coordinate) -> Result<Option<Gate>, String> {
        if repository.identifier.as_str() != "project" {
            return Ok(None);
        }
        let state = self.state.lock().unwrap();
        Ok(Some(Gate {
            refs: state
                .shown
                .clone()
                .unwrap_or_else(|| Arc::new(snapshot(&self.thin, state.unsigned.clone()))),
            path: self.thin.clone(),
            family_objects: self.family.join("objects"),
            unsigned_objects: state.unsigned_objects.clone(),
            haves: state.haves.clone(),
        }))
    }

    fn quarantine(&self) -> std::io::Result<Quarantine> {
        let folder = tempfile::tempdir_in(&self.quarantines)?;
        std::fs::create_dir(folder.path().join("pack"))?;
        Ok(Quarantine::new(folder))
    }

    async fn judge(&self, _: &Coordinate, commands: &[RefCommand]) -> (Vec<CommandResult>, Hold) {
        let state = self.state.lock().unwrap();
        let judge = |command: &RefCommand| match state.judged_no.get(command.name.as_str()) {
            Some(reason) => Err(reason.clone()),
            None => Ok(()),
        };
        (commands.iter().map(judge).collect(), Hold::default())
    }

    async fn land(
        &self,
        _: &Coordinate,
        commands: &[RefCommand],
        atomic: bool,
        quarantine: Option<Quarantine>,
    ) -> Vec<CommandResult> {
        let wait = self.state.lock().unwrap().landing.clone();
        if let Some(wait) = wait {
            wait.acquire().await.unwrap().forget();
        }
        let names: HashSet<_> = commands.iter().map(|command| command.name.as_str().to_owned()).collect();
        let no = {
            let mut state = self.state.lock().unwrap();
            state.landings.push(commands.iter().map(|command| command.name.to_string()).collect());
            state.landed_no.clone()
        };
        if atomic && names.iter().any(|name| no.contains_key(name)) {
            return commands.iter().map(|_| Err("not all of them".into())).collect();
        }
        if let Some(quarantine) = &quarantine {
            let mut files: Vec<_> = std::fs::read_dir(quarantine.objects().join("pack"))
                .unwrap()
                .map(|file| file.unwrap().path())
                .collect();
            files.sort_by_key(|file| file.extension().is_some_and(|extension| extension == "idx"));
            for file in files {
                std::fs::rename(&file, self.family.join("objects/pack").join(file.file_name().unwrap()))
                    .unwrap();
            }
        }
        let land = |command: &RefCommand| match no.get(command.name.as_str()) {
            Some(reason) => Err(reason.clone()),
            None => self.update(command),
        };
        commands.iter().map(land).collect()
    }
}
