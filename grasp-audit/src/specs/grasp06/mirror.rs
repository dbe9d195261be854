//! G06/mirror: from a contributor's repository to the hosted ones that the pull request names, never back.

use super::contribution::{Contribution, name_of};
use crate::check::{Check, CheckResult};
use crate::context::{Context, pushed};

const ROW: &str = "G06/mirror";

pub(super) fn checks() -> Vec<Check> {
    let checks = vec![
        Check::new(
            ROW,
            "event-first",
            "pushed to the contributor's repository, the ref appears in the hosted one when the push returns",
            |ctx| mirrored(ctx, false),
        ),
        Check::new(
            ROW,
            "data-first",
            "pushed before the event, the ref appears in the hosted repository when the event is taken",
            |ctx| mirrored(ctx, true),
        ),
        Check::new(ROW, "unsigned", "an upload without its event appears in no hosted repository", unsigned),
        Check::new(
            ROW,
            "never-back",
            "pushed to the hosted repository, the ref does not appear in the contributor's",
            never_back,
        ),
        Check::new(ROW, "only-named", "the ref appears in no other repository of the identifier", only_named),
    ];
    checks.into_iter().map(|check| check.only_with("GRASP-06")).collect()
}

async fn mirrored(ctx: Context, data_first: bool) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let contribution = Contribution::to(&ctx, &hosted).await?;
    let pr = contribution.pull_request(&ctx);
    if data_first {
        contribution.push(&ctx, &pr).await?;
        ctx.accepted(&pr).await?;
    } else {
        ctx.accepted(&pr).await?;
        contribution.push(&ctx, &pr).await?;
    }
    ctx.served(&pr).await?;
    ctx.ref_becomes(&hosted.path, &name_of(&pr), Some(&contribution.tip)).await?;
    contribution.is_there(&ctx, &pr).await?;
    let elsewhere = ctx.git.init().await?;
    ctx.git.fetch(&elsewhere, &hosted.url, &[&name_of(&pr)]).await?.success()?;
    Ok(())
}

async fn unsigned(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let contribution = Contribution::to(&ctx, &hosted).await?;
    let pr = contribution.pull_request(&ctx);
    contribution.push(&ctx, &pr).await?;
    contribution.is_there(&ctx, &pr).await?;
    ctx.ref_becomes(&hosted.path, &name_of(&pr), None).await
}

async fn never_back(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let contribution = Contribution::to(&ctx, &hosted).await?;
    let pr = contribution.pull_request(&ctx);
    ctx.accepted(&pr).await?;
    let refspec = format!("{}:{}", contribution.tip, name_of(&pr));
    pushed(ctx.git.push(&contribution.repository, &hosted.url, &[&refspec]).await?)?;
    ctx.served_already(&pr).await?;
    contribution.is_not_there(&ctx, &pr).await?;
    // and when it is pushed there as well, it is there
    contribution.push(&ctx, &pr).await?;
    contribution.is_there(&ctx, &pr).await
}

async fn only_named(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let sibling = ctx.hosted_repository_of(&ctx.someone(), &ctx.identifier).await?;
    let contribution = Contribution::to(&ctx, &hosted).await?;
    let pr = contribution.pull_request(&ctx);
    ctx.accepted(&pr).await?;
    contribution.push(&ctx, &pr).await?;
    ctx.ref_becomes(&hosted.path, &name_of(&pr), Some(&contribution.tip)).await?;
    ctx.ref_becomes(&sibling.path, &name_of(&pr), None).await
}
