//! A contributor with a commit, the place here that it may be pushed to, and the pull request that names it.

use grasp_fixtures::{Output, PullRequest, Repository, events, keys};
use nostr::event::Event;
use nostr::key::Keys;

use crate::check::CheckResult;
use crate::context::{Context, Hosted, pushed, refused_push};
use crate::target::url::contribution_path;

/// A contribution that is neither pushed nor published yet.
#[derive(Debug)]
pub(super) struct Contribution {
    pub(super) author: Keys,
    pub(super) identifier: String,
    /// `/prs/<npub>/<identifier>.git`
    pub(super) path: String,
    /// The same with scheme and authority.
    pub(super) url: String,
    /// Coordinate of the repository it is for.
    pub(super) target: String,
    pub(super) repository: Repository,
    pub(super) tip: String,
}

impl Contribution {
    /// For a repository that is hosted nowhere here.
    pub(super) async fn to_elsewhere(ctx: &Context) -> CheckResult<Self> {
        let (repository, tip) = ctx.local_repository().await?;
        let target = events::coordinate(&ctx.someone().public_key(), &ctx.identifier);
        Ok(Self::new(ctx, ctx.someone(), &ctx.identifier, target, repository, tip))
    }

    /// For a repository that is hosted here: a commit on top of its tip.
    pub(super) async fn to(ctx: &Context, hosted: &Hosted) -> CheckResult<Self> {
        let (repository, _) = ctx.git.clone(&hosted.url, &[]).await?;
        let tip = repository.commit("contribution", &keys::random_suffix(20), &[&hosted.tip]).await?;
        let target = hosted.coordinate.clone();
        Ok(Self::new(ctx, ctx.someone(), &hosted.identifier, target, repository, tip))
    }

    fn new(
        ctx: &Context,
        author: Keys,
        identifier: &str,
        target: String,
        repository: Repository,
        tip: String,
    ) -> Self {
        let path = contribution_path(&author.public_key(), identifier);
        let url = format!("{}{path}", ctx.target.url.base());
        Self { author, identifier: identifier.to_owned(), path, url, target, repository, tip }
    }

    /// What its pull request says.
    pub(super) fn said(&self) -> PullRequest {
        PullRequest::new(&self.target, &self.tip).clone_url(&self.url).subject("Contribution")
    }

    /// Its pull request, signed, not published.
    pub(super) fn pull_request(&self, ctx: &Context) -> Event {
        ctx.sign(&self.author, self.said().draft())
    }

    /// Pushes its tip for an event, which must succeed.
    pub(super) async fn push(&self, ctx: &Context, event: &Event) -> CheckResult<Output> {
        let refspec = format!("{}:{}", self.tip, name_of(event));
        pushed(ctx.git.push(&self.repository, &self.url, &[&refspec]).await?)
    }

    /// Pushes this refspec, which must be refused with a reason.
    pub(super) async fn push_refused(&self, ctx: &Context, refspec: &str) -> CheckResult<Output> {
        refused_push(ctx.git.push(&self.repository, &self.url, &["--force", refspec]).await?)
    }

    /// The contributor's repository must show the pull request at its tip, and its data can be fetched.
    pub(super) async fn is_there(&self, ctx: &Context, event: &Event) -> CheckResult {
        ctx.ref_becomes(&self.path, &name_of(event), Some(&self.tip)).await?;
        let elsewhere = ctx.git.init().await?;
        ctx.git.fetch(&elsewhere, &self.url, &[&name_of(event)]).await?.success()?;
        Ok(())
    }

    /// The contributor's repository must not show the pull request.
    pub(super) async fn is_not_there(&self, ctx: &Context, event: &Event) -> CheckResult {
        ctx.ref_becomes(&self.path, &name_of(event), None).await
    }
}

/// Where a pull request's data lives.
pub(super) fn name_of(event: &Event) -> String {
    format!("refs/nostr/{}", event.id.to_hex())
}
