//! G06/events: which pull requests for repositories that are not hosted here are taken.

use grasp_fixtures::{Draft, PullRequest};
use nostr::event::Event;

use super::contribution::Contribution;
use crate::check::{Check, CheckResult, expect};
use crate::context::Context;
use crate::target::url::contribution_path;

const ROW: &str = "G06/events";

pub(super) fn checks() -> Vec<Check> {
    let checks = vec![
        Check::new(
            ROW,
            "named",
            "with a `clone` tag that names its signer's repository here, a pull request is taken and waits",
            named,
        ),
        Check::new(ROW, "separate-tags", "also when each URL has a `clone` tag of its own", separate_tags),
        Check::new(ROW, "update", "an update (1619) that names it is taken in the same way", update),
        Check::new(ROW, "unnamed", "without a `clone` tag it is refused", unnamed),
        Check::new(
            ROW,
            "other-signer",
            "naming somebody else's repository here, it is refused",
            other_signer,
        ),
        Check::new(ROW, "other-identifier", "naming another identifier's, it is refused", other_identifier),
        Check::new(ROW, "elsewhere", "naming the same path of another service, it is refused", elsewhere),
        Check::new(ROW, "no-repository", "without an `a` tag it is refused", no_repository),
        Check::new(
            ROW,
            "only-pull-requests",
            "an issue for the repository is refused, as it is not hosted here",
            only_pull_requests,
        ),
        Check::new(ROW, "comment", "once it is served, a comment on it is taken", comment),
    ];
    checks.into_iter().map(|check| check.only_with("GRASP-06")).collect()
}

async fn named(ctx: Context) -> CheckResult {
    let contribution = Contribution::to_elsewhere(&ctx).await?;
    waits(&ctx, &contribution.pull_request(&ctx)).await
}

/// The pull request must be taken, and wait for its data.
async fn waits(ctx: &Context, pr: &Event) -> CheckResult {
    let reply = ctx.accepted(pr).await?;
    expect(reply.message.starts_with("purgatory:"), "OK true with `purgatory: …`", &reply)?;
    ctx.not_served(pr).await
}

async fn separate_tags(ctx: Context) -> CheckResult {
    let contribution = Contribution::to_elsewhere(&ctx).await?;
    let said = PullRequest::new(&contribution.target, &contribution.tip).draft();
    let said = said.tag(["clone", "https://git.example/x.git"]).tag(["clone", &contribution.url]);
    waits(&ctx, &ctx.sign(&contribution.author, said)).await
}

async fn update(ctx: Context) -> CheckResult {
    let contribution = Contribution::to_elsewhere(&ctx).await?;
    let root = contribution.pull_request(&ctx);
    waits(&ctx, &ctx.sign(&contribution.author, contribution.said().update_of(&root))).await
}

/// A pull request with these clone URLs must be refused.
async fn refused_with(ctx: &Context, contribution: &Contribution, urls: &[String]) -> CheckResult {
    let said = PullRequest::new(&contribution.target, &contribution.tip);
    let said = urls.iter().fold(said, |said, url| said.clone_url(url));
    let pr = ctx.sign(&contribution.author, said.draft());
    ctx.refused(&pr).await?;
    ctx.not_served(&pr).await
}

async fn unnamed(ctx: Context) -> CheckResult {
    let contribution = Contribution::to_elsewhere(&ctx).await?;
    refused_with(&ctx, &contribution, &[]).await
}

async fn other_signer(ctx: Context) -> CheckResult {
    let contribution = Contribution::to_elsewhere(&ctx).await?;
    let path = contribution_path(&ctx.someone().public_key(), &ctx.identifier);
    refused_with(&ctx, &contribution, &[format!("{}{path}", ctx.target.url.base())]).await
}

async fn other_identifier(ctx: Context) -> CheckResult {
    let contribution = Contribution::to_elsewhere(&ctx).await?;
    let path = contribution_path(&contribution.author.public_key(), &ctx.other_identifier());
    refused_with(&ctx, &contribution, &[format!("{}{path}", ctx.target.url.base())]).await
}

async fn elsewhere(ctx: Context) -> CheckResult {
    let contribution = Contribution::to_elsewhere(&ctx).await?;
    let url = format!("https://elsewhere.example{}", contribution.path);
    // nor does its own place as a hosted repository do
    let hosted = ctx.target.url.clone_url(&contribution.author.public_key(), &contribution.identifier);
    refused_with(&ctx, &contribution, &[url, hosted]).await
}

async fn no_repository(ctx: Context) -> CheckResult {
    let contribution = Contribution::to_elsewhere(&ctx).await?;
    let mut said = contribution.said();
    said.repositories.clear();
    let pr = ctx.sign(&contribution.author, said.draft());
    ctx.refused(&pr).await.map(drop)
}

async fn only_pull_requests(ctx: Context) -> CheckResult {
    let contribution = Contribution::to_elsewhere(&ctx).await?;
    let issue = Draft::new(1621, "An issue").tag(["a", &contribution.target]);
    let issue = ctx.sign(&contribution.author, issue.tag(["clone", &contribution.url]));
    ctx.refused(&issue).await.map(drop)
}

async fn comment(ctx: Context) -> CheckResult {
    let contribution = Contribution::to_elsewhere(&ctx).await?;
    let pr = contribution.pull_request(&ctx);
    ctx.accepted(&pr).await?;
    contribution.push(&ctx, &pr).await?;
    ctx.served(&pr).await?;
    let said = Draft::new(1111, "A comment").tag(["E".to_owned(), pr.id.to_hex()]);
    let comment = ctx.publishes(&ctx.someone(), said).await?;
    ctx.served(&comment).await
}
