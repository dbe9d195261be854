//! Local repositories with histories made for measuring, and git as a client of the server.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use grasp_fixtures::Git;
use rand::RngCore as _;

use crate::{Bench, Result};

/// How long one run of git may take.
const TIME_LIMIT: Duration = Duration::from_secs(600);
/// How much one run of `fast-import` is fed, in bytes.
const IMPORT: usize = 64 << 20;

const COMMITTER: &str = "committer Bench <bench@grasp.invalid> 1735689600 +0000\n";

/// A repository of the measuring person.
#[derive(Debug)]
pub(crate) struct Local {
    folder: tempfile::TempDir,
    pub(crate) git: Git,
}

impl Local {
    pub(crate) async fn init(bench: &Bench) -> Result<Self> {
        let folder = bench.subfolder()?;
        // Random bytes get smaller neither by compression nor as deltas of each other; the time that trying would
        // take is nobody's figure.
        let git = Git::new(folder.path())
            .time_limit(TIME_LIMIT)
            .config("core.compression", "0")
            .config("pack.window", "0");
        git.run(folder.path(), &["init", "--quiet", "--bare", "work"]).await?.success()?;
        Ok(Self { folder, git })
    }

    pub(crate) fn path(&self) -> PathBuf {
        self.folder.path().join("work")
    }

    /// Runs git here, which must succeed: what it printed, and how long it took.
    pub(crate) async fn run(&self, arguments: &[&str], input: &[u8]) -> Result<(String, Duration)> {
        let begun = Instant::now();
        let output = self.git.run_with_input(&self.path(), arguments, input).await?;
        Ok((output.success()?.text(), begun.elapsed()))
    }

    async fn import(&self, stream: &[u8]) -> Result<()> {
        self.run(&["-c", "fastimport.unpackLimit=1", "fast-import", "--quiet", "--force"], stream).await?;
        Ok(())
    }

    /// So many branches, each at a commit of its own.
    pub(crate) async fn branches(&self, count: usize) -> Result<()> {
        let mut stream = Vec::new();
        for number in 0..count {
            commit(&mut stream, &format!("refs/heads/branch-{number:04}"), number, None);
            inline(&mut stream, "file", format!("of branch {number}\n").as_bytes());
        }
        self.import(&stream).await
    }

    /// A branch `main` whose tree holds so many blobs of so many random bytes.
    pub(crate) async fn blobs(&self, count: usize, size: usize) -> Result<()> {
        let (mut stream, mut parent) = (Vec::new(), None);
        let mut bytes = vec![0; size];
        for number in 0..count {
            rand::rng().fill_bytes(&mut bytes);
            commit(&mut stream, "refs/heads/main", number, parent);
            inline(&mut stream, &format!("blob-{number}"), &bytes);
            // Within one stream the branch goes on by itself.
            parent = None;
            if stream.len() >= IMPORT || number + 1 == count {
                self.import(&stream).await?;
                stream.clear();
                parent = Some("refs/heads/main^0");
            }
        }
        Ok(())
    }

    /// A branch `main` of so many versions of one text, each a small change of the one before: a small pack of deltas
    /// that takes long to index.
    pub(crate) async fn versions(&self, count: usize, size: usize) -> Result<()> {
        let mut text: Vec<u8> = (0..size).map(|at| if at % 64 == 63 { b'\n' } else { b'a' }).collect();
        rand::rng().fill_bytes(&mut text[..64]);
        let (mut stream, mut parent) = (Vec::new(), None);
        for number in 0..count {
            let at = (number * 7919 * 64) % (size - 16);
            text[at..at + 8].copy_from_slice(format!("{number:08}").as_bytes());
            commit(&mut stream, "refs/heads/main", number, parent);
            inline(&mut stream, "text", &text);
            parent = None;
            if stream.len() >= IMPORT || number + 1 == count {
                self.import(&stream).await?;
                stream.clear();
                parent = Some("refs/heads/main^0");
            }
        }
        Ok(())
    }

    /// Every ref and its value.
    pub(crate) async fn refs(&self) -> Result<Vec<(String, String)>> {
        let (listed, _) = self.run(&["for-each-ref", "--format=%(refname) %(objectname)"], &[]).await?;
        let pairs = listed.lines().filter_map(|line| line.split_once(' '));
        Ok(pairs.map(|(name, oid)| (name.to_owned(), oid.to_owned())).collect())
    }

    /// `git push <url> --all`: how long it takes.
    pub(crate) async fn push(&self, url: &str) -> Result<Duration> {
        Ok(self.run(&["push", "--quiet", url, "--all"], &[]).await?.1)
    }

    /// A bare repository without anything beside this one.
    pub(crate) async fn empty(&self, name: &str) -> Result<PathBuf> {
        let path = self.folder.path().join(name);
        self.git.run(self.folder.path(), &["init", "--quiet", "--bare", name]).await?.success()?;
        Ok(path)
    }

    /// Clones as a person would who wants no work tree: how long it takes. The clone is removed again.
    pub(crate) async fn clone_of(&self, url: &str) -> Result<Duration> {
        let begun = Instant::now();
        let arguments = ["clone", "--quiet", "--bare", url, "clone"];
        self.git.run(self.folder.path(), &arguments).await?.success()?;
        let elapsed = begun.elapsed();
        std::fs::remove_dir_all(self.folder.path().join("clone"))?;
        Ok(elapsed)
    }

    /// Everything that `main` reaches, as one pack file.
    pub(crate) async fn pack(&self) -> Result<PathBuf> {
        let (hash, _) = self.run(&["pack-objects", "--quiet", "--revs", "../pushed"], b"main\n").await?;
        Ok(self.folder.path().join(format!("pushed-{}.pack", hash.trim())))
    }
}

/// The URL of a folder, over which git copies as over a network.
pub(crate) fn file_url(path: &Path) -> String {
    format!("file://{}", path.display())
}

fn commit(stream: &mut Vec<u8>, branch: &str, number: usize, parent: Option<&str>) {
    let message = format!("Commit {number}\n");
    stream.extend(format!("commit {branch}\n{COMMITTER}data {}\n{message}", message.len()).bytes());
    if let Some(parent) = parent {
        stream.extend(format!("from {parent}\n").bytes());
    }
}

fn inline(stream: &mut Vec<u8>, name: &str, content: &[u8]) {
    stream.extend(format!("M 100644 inline {name}\ndata {}\n", content.len()).bytes());
    stream.extend_from_slice(content);
    stream.push(b'\n');
}
