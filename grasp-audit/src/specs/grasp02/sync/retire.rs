//! G02/sync/retire: a relay that no repository needs is left.

use std::time::Duration;

use super::super::elsewhere::check;
use crate::check::{Check, CheckResult};
use crate::context::Context;
use crate::peer::visits::connected;

const RETIRE: &str = "G02/sync/retire";
/// It is looked for every minute.
const LEFT_WITHIN: Duration = Duration::from_secs(150);

pub(super) fn checks() -> Vec<Check> {
    vec![check(
        RETIRE,
        "no-longer-named",
        "a peer that the announcement no longer names is left; one that it still names is not",
        no_longer_named,
    )]
}

async fn no_longer_named(ctx: Context) -> CheckResult {
    let (left, kept) = (ctx.peer().await?, ctx.peer().await?);
    ctx.hosted_naming(&[&left, &kept]).await?;
    ctx.arrives_live(&left, &ctx.issue("at one")).await?;
    ctx.arrives_live(&kept, &ctx.issue("at the other")).await?;
    let naming = ctx.sign(&ctx.owner, ctx.announcement_naming(&[&kept]).draft());
    ctx.accepted(&naming).await?;
    ctx.visit(&left, "the peer that is no longer named is left", LEFT_WITHIN, |visits| {
        (connected(visits) == 0).then_some(())
    })
    .await?;
    ctx.arrives_live(&kept, &ctx.issue("afterwards")).await
}
