//! The shared objects of all repositories of one identifier.
//!
//! Packs only, never pruned: thin repositories point here by alternates. Every object in here is complete, with
//! everything it reaches, because only checked packs are taken in (`index-pack --strict`); so "is it here?" is one
//! look-up. `refs/keep/<oid>` holds every promoted tip against anybody's `git gc`.

use std::collections::{BTreeSet, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::files::{flush_folder, make_folder, remove_folder, replace};
use crate::nip34::{Identifier, Oid};

/// The families below one git data folder.
#[derive(Debug, Clone)]
pub struct Families {
    root: PathBuf,
    /// Where folders are made before they are put in their place.
    pub(super) scratch: PathBuf,
}

const CONFIG: &str = "[core]
\trepositoryformatversion = 0
\tfilemode = true
\tbare = true
[gc]
\tauto = 0
\tpruneExpire = never
";

/// From so many packs on, a family is repacked in the background.
const PACKS_BEFORE_UPKEEP: usize = 16;

/// Objects could not be read or taken in.
#[derive(Debug, thiserror::Error)]
pub enum FamilyError {
    /// The file system failed.
    #[error("the family's files: {0}")]
    Io(#[from] io::Error),
    /// The object store is not readable.
    #[error("the family's objects: {0}")]
    Git(#[from] git2::Error),
}

impl Families {
    /// Families below `<git-data>/.grasp/families/sha1`.
    #[must_use]
    pub fn new(git_data: &Path) -> Self {
        Self { root: git_data.join(".grasp/families/sha1"), scratch: git_data.join(".grasp/quarantine") }
    }

    /// The bare repository that holds a family's objects.
    #[must_use]
    pub fn path(&self, identifier: &Identifier) -> PathBuf {
        self.root.join(format!("{identifier}.git"))
    }

    /// Its object folder.
    #[must_use]
    pub fn objects(&self, identifier: &Identifier) -> PathBuf {
        self.path(identifier).join("objects")
    }

    /// Makes the family's folders, durably; fine if they are there.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn ensure(&self, identifier: &Identifier) -> io::Result<()> {
        let path = self.path(identifier);
        if path.join("HEAD").exists() {
            return Ok(());
        }
        make_folder(&path, &self.scratch, |folder| {
            fs::create_dir_all(folder.join("objects/pack"))?;
            fs::create_dir_all(folder.join("objects/info"))?;
            fs::create_dir_all(folder.join("refs"))?;
            replace(&folder.join("config"), CONFIG.as_bytes())?;
            replace(&folder.join("HEAD"), b"ref: refs/heads/none\n")
        })
    }

    /// Removes a family that never had an object; any other stays. Fine if it is not there.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn remove_empty(&self, identifier: &Identifier) -> io::Result<()> {
        let packs = match fs::read_dir(self.objects(identifier).join("pack")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other?,
        };
        if packs.count() == 0 { remove_folder(&self.path(identifier)) } else { Ok(()) }
    }

    /// Removes a family that no repository needs any more, whole; fine if it is not there.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn discard(&self, identifier: &Identifier) -> io::Result<()> {
        // Out of sight at once; what a stop leaves of it is swept at the next start.
        let trash = self.scratch.with_file_name(format!("trash-{:016x}", rand::random::<u64>()));
        match fs::rename(self.path(identifier), &trash) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(error),
            Ok(()) => {
                flush_folder(&self.root)?;
                remove_folder(&trash)
            }
        }
    }

    /// Which of these objects are here.
    ///
    /// # Errors
    /// When the object store cannot be read.
    pub fn present(
        &self,
        identifier: &Identifier,
        oids: impl IntoIterator<Item = Oid>,
    ) -> Result<HashSet<Oid>, FamilyError> {
        let oids: Vec<Oid> = oids.into_iter().collect();
        let objects = self.objects(identifier);
        if oids.is_empty() || !objects.exists() {
            return Ok(HashSet::new());
        }
        let odb = open(&objects)?;
        let mut present = HashSet::new();
        for oid in oids {
            if odb.exists(git2::Oid::from_bytes(oid.as_bytes())?) {
                present.insert(oid);
            }
        }
        Ok(present)
    }

    /// What an annotated tag leads to in the end; `None` for all other objects.
    ///
    /// # Errors
    /// When an object is missing or cannot be read.
    pub fn peel(&self, identifier: &Identifier, oids: &[Oid]) -> Result<Vec<Option<Oid>>, FamilyError> {
        if oids.is_empty() {
            return Ok(Vec::new());
        }
        let odb = open(&self.objects(identifier))?;
        oids.iter().map(|oid| peel(&odb, *oid)).collect()
    }

    /// Links the packs of a quarantine or an upload in: `.pack` first, `.idx` last, then flushed. Can be repeated.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn adopt(&self, identifier: &Identifier, quarantine: &Path) -> io::Result<()> {
        let from = quarantine.join("pack");
        let into = self.objects(identifier).join("pack");
        if !from.exists() {
            return Ok(());
        }
        let mut names: Vec<PathBuf> =
            fs::read_dir(&from)?.map(|entry| entry.map(|e| e.path())).collect::<Result<_, _>>()?;
        // Readers look for `.idx`; everything else has to be there before it.
        names.sort_by_key(|path| path.extension().is_some_and(|extension| extension == "idx"));
        for path in names {
            let is_pack_file = path
                .extension()
                .and_then(|e| e.to_str())
                .is_some_and(|e| matches!(e, "pack" | "idx" | "rev"));
            let Some(name) = path.file_name().filter(|_| is_pack_file) else { continue };
            fs::File::open(&path)?.sync_all()?;
            let target = into.join(name);
            // Linked, not moved: what is undone after a crash must still be where it came from, which for an upload
            // is a place that was promised. Named by content: what has the name already is the same pack.
            if !target.exists() {
                fs::hard_link(&path, &target)?;
            }
        }
        flush_folder(&into)
    }

    /// The packs of a quarantine that the family does not have, as `pack-<hash>`.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn new_packs(&self, identifier: &Identifier, quarantine: &Path) -> io::Result<Vec<String>> {
        let from = quarantine.join("pack");
        if !from.exists() {
            return Ok(Vec::new());
        }
        let into = self.objects(identifier).join("pack");
        let mut packs = Vec::new();
        for entry in fs::read_dir(&from)? {
            let path = entry?.path();
            let stem = path.file_stem().map(|stem| stem.to_string_lossy().into_owned());
            let is_index = path.extension().is_some_and(|extension| extension == "idx");
            packs.extend(stem.filter(|stem| is_index && !into.join(format!("{stem}.idx")).exists()));
        }
        Ok(packs)
    }

    /// Takes packs out again that nothing has been built on: readers' entry (`.idx`) first. Can be repeated.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn expel(&self, identifier: &Identifier, packs: &[String]) -> io::Result<()> {
        let folder = self.objects(identifier).join("pack");
        for pack in packs {
            for extension in ["idx", "rev", "pack"] {
                match fs::remove_file(folder.join(format!("{pack}.{extension}"))) {
                    Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                    _ => {}
                }
            }
        }
        Ok(())
    }

    /// Adds `refs/keep/<oid>` for tips that have none yet.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn keep(&self, identifier: &Identifier, tips: &BTreeSet<Oid>) -> io::Result<()> {
        let file = self.path(identifier).join("packed-refs");
        let known = match fs::read_to_string(&file) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            other => other?,
        };
        let mut kept: BTreeSet<Oid> = known
            .lines()
            .filter_map(|line| line.split_once(" refs/keep/").and_then(|(oid, _)| oid.parse().ok()))
            .collect();
        let before = kept.len();
        kept.extend(tips);
        if kept.len() == before { Ok(()) } else { self.keep_only(identifier, &kept) }
    }

    /// Has `refs/keep/<oid>` for these tips and no others.
    ///
    /// # Errors
    /// When the file system fails.
    pub fn keep_only(&self, identifier: &Identifier, tips: &BTreeSet<Oid>) -> io::Result<()> {
        let mut text = String::with_capacity(tips.len() * 92 + 32);
        text.push_str("# pack-refs with: sorted \n");
        for oid in tips {
            text.push_str(&format!("{oid} refs/keep/{oid}\n"));
        }
        replace(&self.path(identifier).join("packed-refs"), text.as_bytes())
    }

    /// Whether so many packs have come together that [`Families::upkeep`] is worth its while.
    #[must_use]
    pub fn needs_upkeep(&self, identifier: &Identifier) -> bool {
        let packs = fs::read_dir(self.objects(identifier).join("pack"));
        let is_pack = |entry: io::Result<fs::DirEntry>| {
            entry.is_ok_and(|entry| entry.path().extension().is_some_and(|extension| extension == "pack"))
        };
        packs.is_ok_and(|packs| packs.map(is_pack).filter(|is| *is).count() >= PACKS_BEFORE_UPKEEP)
    }

    /// The command that repacks a family geometrically, with a multi-pack index and bitmaps; never a prune.
    #[must_use]
    pub fn upkeep(&self, identifier: &Identifier) -> tokio::process::Command {
        self.repack(identifier, "--geometric=2")
    }

    /// The command that repacks a family to what its tips reach, and removes everything else.
    #[must_use]
    pub fn shrink(&self, identifier: &Identifier) -> tokio::process::Command {
        self.repack(identifier, "-a")
    }

    fn repack(&self, identifier: &Identifier, how: &str) -> tokio::process::Command {
        let mut command = super::process::git();
        command
            .args(["-c", "core.fsync=all", "-c", "repack.writeBitmaps=true", "repack"])
            .args([how, "-d", "--write-midx", "--write-bitmap-index", "-q"])
            .current_dir(self.path(identifier))
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command
    }
}

fn open(objects: &Path) -> Result<git2::Odb<'static>, git2::Error> {
    let odb = git2::Odb::new()?;
    odb.add_disk_alternate(&objects.to_string_lossy())?;
    Ok(odb)
}

fn peel(odb: &git2::Odb<'_>, oid: Oid) -> Result<Option<Oid>, FamilyError> {
    /// Tags that tag tags that tag tags end somewhere; git itself sets no bound.
    const DEPTH: usize = 64;
    let mut at = git2::Oid::from_bytes(oid.as_bytes())?;
    let mut peeled = None;
    for _ in 0..DEPTH {
        let (_, kind) = odb.read_header(at)?;
        if kind != git2::ObjectType::Tag {
            return Ok(peeled);
        }
        let object = odb.read(at)?;
        let target = object.data().strip_prefix(b"object ").and_then(|rest| rest.get(..40));
        let Some(target) = target.and_then(|hex| std::str::from_utf8(hex).ok()?.parse::<Oid>().ok()) else {
            return Ok(peeled);
        };
        at = git2::Oid::from_bytes(target.as_bytes())?;
        peeled = Some(target);
    }
    Ok(peeled)
}
