//! G06/push: what may be pushed to a contributor's repository.

use std::time::Duration;

use grasp_fixtures::keys;

use super::contribution::{Contribution, name_of};
use crate::check::{Check, CheckResult, expect};
use crate::context::{Context, pushed, refused_push};
use crate::target::url::contribution_path;

const ROW: &str = "G06/push";

pub(super) fn checks() -> Vec<Check> {
    let checks = vec![
        Check::new(ROW, "data-first", "data, then event: served, with its ref", data_first),
        Check::new(ROW, "event-first", "event, then data: served when the push returns", event_first),
        Check::new(ROW, "update", "a pull request update (1619) is pushed to the same place", update),
        Check::new(ROW, "unsigned", "an upload is shown before its event is known", unsigned),
        Check::new(ROW, "heads-and-tags", "branches, tags and other refs are refused", other_refs),
        Check::new(ROW, "malformed", "names that are no event id are refused", malformed),
        Check::new(ROW, "other-tip", "another tip than the known event names is refused", other_tip),
        Check::new(
            ROW,
            "other-tip-first",
            "a ref with another tip goes when the event arrives, which then waits for the right one",
            other_tip_first,
        ),
        Check::new(
            ROW,
            "other-signer",
            "below somebody else's key a known event's data is refused",
            other_signer,
        ),
        Check::new(
            ROW,
            "other-signer-first",
            "pushed below somebody else's key before the event: the ref goes when it arrives",
            other_signer_first,
        ),
        Check::new(
            ROW,
            "other-identifier",
            "to another identifier than the known event names: refused",
            other_identifier,
        ),
        Check::new(ROW, "deletion", "nobody deletes the ref of a known pull request by a push", deletion),
        Check::new(ROW, "side-by-side", "two pushes to one path at the same time both arrive", side_by_side),
        Check::new(
            ROW,
            "expires",
            "without its event the ref is gone after the stated time, and so is its data",
            expires,
        )
        .patient(Duration::from_secs(1_800)),
    ];
    checks.into_iter().map(|check| check.only_with("GRASP-06")).collect()
}

async fn data_first(ctx: Context) -> CheckResult {
    let contribution = Contribution::to_elsewhere(&ctx).await?;
    let pr = contribution.pull_request(&ctx);
    contribution.push(&ctx, &pr).await?;
    ctx.accepted(&pr).await?;
    ctx.served(&pr).await?;
    contribution.is_there(&ctx, &pr).await
}

async fn event_first(ctx: Context) -> CheckResult {
    let contribution = Contribution::to_elsewhere(&ctx).await?;
    let pr = contribution.pull_request(&ctx);
    ctx.accepted(&pr).await?;
    ctx.not_served(&pr).await?;
    contribution.push(&ctx, &pr).await?;
    ctx.served_already(&pr).await?;
    contribution.is_there(&ctx, &pr).await
}

async fn update(ctx: Context) -> CheckResult {
    let mut contribution = Contribution::to_elsewhere(&ctx).await?;
    let root = contribution.pull_request(&ctx);
    ctx.accepted(&root).await?;
    contribution.push(&ctx, &root).await?;
    let second = contribution.repository.commit("second", "more\n", &[&contribution.tip]).await?;
    let first = std::mem::replace(&mut contribution.tip, second);
    let update = ctx.sign(&contribution.author, contribution.said().update_of(&root));
    ctx.accepted(&update).await?;
    contribution.push(&ctx, &update).await?;
    ctx.served_already(&update).await?;
    contribution.is_there(&ctx, &update).await?;
    ctx.ref_becomes(&contribution.path, &name_of(&root), Some(&first)).await
}

async fn unsigned(ctx: Context) -> CheckResult {
    let contribution = Contribution::to_elsewhere(&ctx).await?;
    let pr = contribution.pull_request(&ctx);
    contribution.push(&ctx, &pr).await?;
    contribution.is_there(&ctx, &pr).await
}

async fn other_refs(ctx: Context) -> CheckResult {
    let contribution = Contribution::to_elsewhere(&ctx).await?;
    let tip = &contribution.tip;
    for name in ["refs/heads/main", "refs/heads/pr/x", "refs/tags/v1", "refs/notes/commits", "refs/x"] {
        contribution.push_refused(&ctx, &format!("{tip}:{name}")).await?;
    }
    let shown = ctx.shown(&contribution.path).await?.refs;
    expect(shown.is_empty(), "no refs", format!("{shown:?}"))
}

async fn malformed(ctx: Context) -> CheckResult {
    let contribution = Contribution::to_elsewhere(&ctx).await?;
    let (id, tip) = (keys::random_id(), &contribution.tip);
    for name in [id[..63].to_owned(), format!("{id}0"), format!("{}g", &id[..63]), format!("{id}/head")] {
        contribution.push_refused(&ctx, &format!("{tip}:refs/nostr/{name}")).await?;
    }
    Ok(())
}

async fn other_tip(ctx: Context) -> CheckResult {
    let contribution = Contribution::to_elsewhere(&ctx).await?;
    let pr = contribution.pull_request(&ctx);
    ctx.accepted(&pr).await?;
    let other = contribution.repository.commit("other", "other\n", &[&contribution.tip]).await?;
    let refspec = format!("{other}:{}", name_of(&pr));
    contribution.push_refused(&ctx, &refspec).await?;
    ctx.not_served(&pr).await?;
    contribution.push(&ctx, &pr).await?;
    contribution.push_refused(&ctx, &refspec).await?;
    contribution.is_there(&ctx, &pr).await
}

async fn other_tip_first(ctx: Context) -> CheckResult {
    let contribution = Contribution::to_elsewhere(&ctx).await?;
    let pr = contribution.pull_request(&ctx);
    let other = contribution.repository.commit("other", "other\n", &[&contribution.tip]).await?;
    let refspec = format!("{other}:{}", name_of(&pr));
    pushed(ctx.git.push(&contribution.repository, &contribution.url, &[&refspec]).await?)?;
    ctx.accepted(&pr).await?;
    contribution.is_not_there(&ctx, &pr).await?;
    ctx.not_served(&pr).await?;
    contribution.push(&ctx, &pr).await?;
    ctx.served_already(&pr).await
}

/// The URL of somebody else's repository of the same identifier.
fn elsewhere(ctx: &Context, contribution: &Contribution) -> (String, String) {
    let path = contribution_path(&ctx.someone().public_key(), &contribution.identifier);
    (format!("{}{path}", ctx.target.url.base()), path)
}

async fn other_signer(ctx: Context) -> CheckResult {
    let contribution = Contribution::to_elsewhere(&ctx).await?;
    let pr = contribution.pull_request(&ctx);
    ctx.accepted(&pr).await?;
    let (url, path) = elsewhere(&ctx, &contribution);
    let refspec = format!("{}:{}", contribution.tip, name_of(&pr));
    refused_push(ctx.git.push(&contribution.repository, &url, &[&refspec]).await?)?;
    ctx.ref_becomes(&path, &name_of(&pr), None).await?;
    ctx.not_served(&pr).await
}

async fn other_signer_first(ctx: Context) -> CheckResult {
    let contribution = Contribution::to_elsewhere(&ctx).await?;
    let pr = contribution.pull_request(&ctx);
    let (url, path) = elsewhere(&ctx, &contribution);
    let refspec = format!("{}:{}", contribution.tip, name_of(&pr));
    pushed(ctx.git.push(&contribution.repository, &url, &[&refspec]).await?)?;
    ctx.accepted(&pr).await?;
    ctx.ref_becomes(&path, &name_of(&pr), None).await?;
    ctx.not_served(&pr).await
}

async fn other_identifier(ctx: Context) -> CheckResult {
    let contribution = Contribution::to_elsewhere(&ctx).await?;
    let pr = contribution.pull_request(&ctx);
    ctx.accepted(&pr).await?;
    let path = contribution_path(&contribution.author.public_key(), &ctx.other_identifier());
    let url = format!("{}{path}", ctx.target.url.base());
    let refspec = format!("{}:{}", contribution.tip, name_of(&pr));
    refused_push(ctx.git.push(&contribution.repository, &url, &[&refspec]).await?)?;
    ctx.ref_becomes(&path, &name_of(&pr), None).await
}

async fn deletion(ctx: Context) -> CheckResult {
    let contribution = Contribution::to_elsewhere(&ctx).await?;
    let pr = contribution.pull_request(&ctx);
    ctx.accepted(&pr).await?;
    contribution.push(&ctx, &pr).await?;
    contribution.is_there(&ctx, &pr).await?;
    contribution.push_refused(&ctx, &format!(":{}", name_of(&pr))).await?;
    contribution.is_there(&ctx, &pr).await
}

async fn side_by_side(ctx: Context) -> CheckResult {
    let mut contribution = Contribution::to_elsewhere(&ctx).await?;
    let one = contribution.pull_request(&ctx);
    let second = contribution.repository.commit("second", "more\n", &[&contribution.tip]).await?;
    let first = std::mem::replace(&mut contribution.tip, second);
    let two = contribution.pull_request(&ctx);
    ctx.accepted(&two).await?;
    let refspec = format!("{first}:{}", name_of(&one));
    let arguments = [refspec.as_str()];
    let (earlier, later) = tokio::join!(
        ctx.git.push(&contribution.repository, &contribution.url, &arguments),
        contribution.push(&ctx, &two),
    );
    later?;
    pushed(earlier?)?;
    ctx.accepted(&one).await?;
    ctx.served(&one).await?;
    ctx.ref_becomes(&contribution.path, &name_of(&one), Some(&first)).await?;
    contribution.is_there(&ctx, &two).await
}

async fn expires(ctx: Context) -> CheckResult {
    let contribution = Contribution::to_elsewhere(&ctx).await?;
    let pr = contribution.pull_request(&ctx);
    contribution.push(&ctx, &pr).await?;
    // a minute for a server that looks once in a while
    tokio::time::sleep(ctx.expiry.nostr_ref + Duration::from_secs(60)).await;
    contribution.is_not_there(&ctx, &pr).await?;
    let elsewhere = ctx.git.init().await?;
    let fetched = ctx.git.fetch(&elsewhere, &contribution.url, &[&contribution.tip]).await?;
    expect(!fetched.ok(), "its data is gone", fetched.terminal())?;
    ctx.accepted(&pr).await?;
    ctx.not_served(&pr).await
}
