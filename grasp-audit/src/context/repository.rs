//! Repositories of a check, announced, waiting or hosted: the git half of a check's sentences.

use grasp_fixtures::{Announcement, Output, Repository, State, events, keys};
use nostr::event::Event;
use nostr::key::Keys;

use super::Context;
use crate::check::{CheckResult, expect};
use crate::target::url::repository_path;

/// A repository this check has announced, with its state and its local data.
#[derive(Debug)]
pub struct Hosted {
    /// Its owner.
    pub owner: Keys,
    /// Its identifier.
    pub identifier: String,
    /// `30617:<owner>:<identifier>`
    pub coordinate: String,
    /// `http(s)://<authority>/<npub>/<identifier>.git`
    pub url: String,
    /// The path of the same.
    pub path: String,
    /// The announcement, accepted.
    pub announcement: Event,
    /// The state, accepted: `main` at [`Hosted::tip`], `HEAD` on it.
    pub state: Event,
    /// The local repository that holds the data.
    pub repository: Repository,
    /// The commit of `main`.
    pub tip: String,
}

impl Context {
    /// The owner's clone URL here.
    #[must_use]
    pub fn clone_url(&self) -> String {
        self.target.url.clone_url(&self.owner.public_key(), &self.identifier)
    }

    /// The owner's coordinate.
    #[must_use]
    pub fn coordinate(&self) -> String {
        events::coordinate(&self.owner.public_key(), &self.identifier)
    }

    /// An announcement of the owner's repository that lists the service.
    #[must_use]
    pub fn announcement(&self) -> Announcement {
        self.announcement_of(&self.owner, &self.identifier)
    }

    /// An announcement of anybody's repository that lists the service.
    #[must_use]
    pub fn announcement_of(&self, owner: &Keys, identifier: &str) -> Announcement {
        Announcement::new(identifier)
            .name("GRASP audit")
            .clone_url(self.target.url.clone_url(&owner.public_key(), identifier))
            .relay(self.target.url.relay())
    }

    /// A state of the check's identifier with `main` at `tip` and `HEAD` on it.
    #[must_use]
    pub fn state(&self, tip: &str) -> State {
        State::new(&self.identifier).branch("main", tip).head("main")
    }

    /// Publishes the owner's announcement, which must be taken.
    ///
    /// # Errors
    /// A failure when it is not.
    pub async fn announce(&self) -> CheckResult<Event> {
        let announcement = self.sign(&self.owner, self.announcement().draft());
        self.accepted(&announcement).await?;
        Ok(announcement)
    }

    /// A local repository with one commit on `main` that no other check has, and that commit's id.
    ///
    /// # Errors
    /// When git cannot run.
    pub async fn local_repository(&self) -> CheckResult<(Repository, String)> {
        let repository = self.git.init().await?;
        let content = format!("{}\n", self.other_identifier());
        let tip = repository.commit("README.md", &content, &[]).await?;
        repository.branch("main", &tip).await?;
        Ok((repository, tip))
    }

    /// Announcement and state are accepted; nothing is pushed yet.
    ///
    /// # Errors
    /// A failure when either is not accepted.
    pub async fn waiting_repository(&self) -> CheckResult<Hosted> {
        self.waiting_repository_of(&self.owner, &self.identifier).await
    }

    /// As [`Context::waiting_repository`], for anybody and any identifier.
    ///
    /// # Errors
    /// A failure when either is not accepted.
    pub async fn waiting_repository_of(&self, owner: &Keys, identifier: &str) -> CheckResult<Hosted> {
        let announcement = self.announcement_of(owner, identifier);
        self.waiting_repository_as(owner, &announcement).await
    }

    /// As [`Context::waiting_repository`], with an announcement of the check's own making.
    ///
    /// # Errors
    /// A failure when announcement or state is not accepted.
    pub async fn waiting_repository_as(
        &self,
        owner: &Keys,
        announcement: &Announcement,
    ) -> CheckResult<Hosted> {
        self.waiting_repository_at(owner, announcement, None).await
    }

    /// As [`Context::waiting_repository_as`], with a state of this time, in unix seconds.
    ///
    /// # Errors
    /// A failure when announcement or state is not accepted.
    pub async fn waiting_repository_at(
        &self,
        owner: &Keys,
        announcement: &Announcement,
        state_at: Option<u64>,
    ) -> CheckResult<Hosted> {
        let identifier = announcement.identifier.as_str();
        let announcement = self.sign(owner, announcement.draft());
        self.accepted(&announcement).await?;
        let (repository, tip) = self.local_repository().await?;
        let state = State::new(identifier).branch("main", &tip).head("main");
        let mut state = state.draft();
        state.created_at = state_at;
        let state = self.sign(owner, state);
        self.accepted(&state).await?;
        Ok(Hosted {
            coordinate: events::coordinate(&owner.public_key(), identifier),
            url: self.target.url.clone_url(&owner.public_key(), identifier),
            path: repository_path(&owner.public_key(), identifier),
            owner: owner.clone(),
            identifier: identifier.to_owned(),
            announcement,
            state,
            repository,
            tip,
        })
    }

    /// Announcement and state are accepted, the data is pushed, everything is served.
    ///
    /// # Errors
    /// A failure when any of it does not happen.
    pub async fn hosted_repository(&self) -> CheckResult<Hosted> {
        self.hosted_repository_of(&self.owner, &self.identifier).await
    }

    /// As [`Context::hosted_repository`], for anybody and any identifier.
    ///
    /// # Errors
    /// A failure when any of it does not happen.
    pub async fn hosted_repository_of(&self, owner: &Keys, identifier: &str) -> CheckResult<Hosted> {
        let announcement = self.announcement_of(owner, identifier);
        self.hosted_repository_as(owner, &announcement).await
    }

    /// As [`Context::hosted_repository`], with an announcement of the check's own making.
    ///
    /// # Errors
    /// A failure when any of it does not happen.
    pub async fn hosted_repository_as(
        &self,
        owner: &Keys,
        announcement: &Announcement,
    ) -> CheckResult<Hosted> {
        let hosted = self.waiting_repository_as(owner, announcement).await?;
        self.push(&hosted, &["refs/heads/main"]).await?;
        self.served(&hosted.announcement).await?;
        self.served(&hosted.state).await?;
        Ok(hosted)
    }

    /// Signs and publishes a state, which must be taken.
    ///
    /// # Errors
    /// A failure when it is not.
    pub async fn state_by(&self, author: &Keys, state: &State) -> CheckResult<Event> {
        let event = self.sign(author, state.draft());
        self.accepted(&event).await?;
        Ok(event)
    }

    /// `git push <url> <arguments>` out of the repository's local data, which must succeed.
    ///
    /// # Errors
    /// A failure with the terminal's text when it does not.
    pub async fn push(&self, hosted: &Hosted, arguments: &[&str]) -> CheckResult<Output> {
        let output = self.git.push(&hosted.repository, &hosted.url, arguments);
        pushed(output.await?)
    }

    /// The same, which must be refused with a reason per ref.
    ///
    /// # Errors
    /// A failure with the terminal's text when it is not.
    pub async fn push_refused(&self, hosted: &Hosted, arguments: &[&str]) -> CheckResult<Output> {
        let output = self.git.push(&hosted.repository, &hosted.url, arguments);
        refused_push(output.await?)
    }
}

impl Hosted {
    /// A commit on top of the tip that nobody else has; no ref moves.
    ///
    /// # Errors
    /// When git cannot run.
    pub async fn commit(&self, file: &str) -> CheckResult<String> {
        self.commit_on(file, &[&self.tip]).await
    }

    /// A commit with these parents that nobody else has; no ref moves.
    ///
    /// # Errors
    /// When git cannot run.
    pub async fn commit_on(&self, file: &str, parents: &[&str]) -> CheckResult<String> {
        let content = format!("{}\n", keys::random_suffix(20));
        Ok(self.repository.commit(file, &content, parents).await?)
    }

    /// A state of this repository's identifier without refs.
    #[must_use]
    pub fn no_refs(&self) -> State {
        State::new(&self.identifier)
    }

    /// A state of this repository's identifier with `main` at `tip` and `HEAD` on it.
    #[must_use]
    pub fn main_at(&self, tip: &str) -> State {
        self.no_refs().branch("main", tip).head("main")
    }
}

/// The push must have succeeded.
///
/// # Errors
/// A failure with the terminal's text when it did not.
pub fn pushed(output: Output) -> CheckResult<Output> {
    expect(output.ok(), format!("`git {}` succeeds", output.args.join(" ")), output.terminal())?;
    Ok(output)
}

/// The push must have been refused, by the server and with a reason per ref.
///
/// # Errors
/// A failure when it succeeded, or when the terminal names no refused ref.
pub fn refused_push(output: Output) -> CheckResult<Output> {
    let command = format!("`git {}`", output.args.join(" "));
    expect(!output.ok(), format!("{command} is refused"), output.terminal())?;
    let told = output.terminal().lines().any(|line| line.contains("[remote rejected]") && line.contains('('));
    expect(
        told,
        format!("{command}: every refused ref with its reason, `! [remote rejected] … (reason)`"),
        output.terminal(),
    )?;
    Ok(output)
}
