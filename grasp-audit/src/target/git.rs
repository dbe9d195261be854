//! The `git` program against the server: hermetic, with the run's certificates, every run in the transcript.

use std::sync::Arc;

use grasp_fixtures::{Git, GitError, Output, Repository};

use super::Target;
use super::transcript::Transcript;

/// git commands that talk to the server under test.
#[derive(Debug, Clone)]
pub struct GitClient {
    target: Arc<Target>,
    transcript: Arc<Transcript>,
}

impl GitClient {
    /// A client that records into `transcript`.
    #[must_use]
    pub fn new(target: Arc<Target>, transcript: Arc<Transcript>) -> Self {
        Self { target, transcript }
    }

    /// A new local repository whose unborn branch is `main`.
    ///
    /// # Errors
    /// When git or the disk fails.
    pub async fn init(&self) -> Result<Repository, GitError> {
        Repository::init_with("main", |git| self.adjust(git)).await
    }

    /// `git clone <options> <url>`; use the repository only when the output is ok.
    ///
    /// # Errors
    /// When git could not be run.
    pub async fn clone(&self, url: &str, options: &[&str]) -> Result<(Repository, Output), GitError> {
        let cloned = Repository::clone_of(url, options, |git| self.adjust(git)).await?;
        self.record(&cloned.1);
        Ok(cloned)
    }

    /// `git push <url> <arguments>` from `repository`.
    ///
    /// # Errors
    /// When git could not be run.
    pub async fn push(
        &self,
        repository: &Repository,
        url: &str,
        arguments: &[&str],
    ) -> Result<Output, GitError> {
        let output = repository.push(url, arguments).await?;
        self.record(&output);
        Ok(output)
    }

    /// `git fetch <url> <arguments>` into `repository`.
    ///
    /// # Errors
    /// When git could not be run.
    pub async fn fetch(
        &self,
        repository: &Repository,
        url: &str,
        arguments: &[&str],
    ) -> Result<Output, GitError> {
        let output = repository.fetch(url, arguments).await?;
        self.record(&output);
        Ok(output)
    }

    /// `git ls-remote <options> <url>`.
    ///
    /// # Errors
    /// When git could not be run.
    pub async fn ls_remote(&self, options: &[&str], url: &str) -> Result<Output, GitError> {
        let nowhere = self.init().await?;
        let output = nowhere.ls_remote(options, url).await?;
        self.record(&output);
        Ok(output)
    }

    fn adjust(&self, git: Git) -> Git {
        match &self.target.ca {
            Some(ca) => git.config("http.sslCAInfo", ca.to_string_lossy()),
            None => git,
        }
    }

    fn record(&self, output: &Output) {
        self.transcript.sent("git", &format!("git {}", output.args.join(" ")));
        let ended = output.code.map_or_else(|| "ended by a signal".to_owned(), |code| format!("exit {code}"));
        self.transcript.received("git", &format!("{ended}\n{}", output.terminal()));
    }
}
