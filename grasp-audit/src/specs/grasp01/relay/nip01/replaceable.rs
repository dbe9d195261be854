//! Replaceable and addressable events: the newest stays, and of two of one second the one with the lower id.

use grasp_fixtures::{Draft, events};
use serde_json::json;

use super::ROW;
use crate::check::{Check, CheckResult, expect_eq};
use crate::context::{Context, Hosted};
use crate::specs::grasp01::relay::{filed_issue, twins};

/// A kind of event of which only one version is kept, and how to make a version.
type Kind = (&'static str, &'static str, fn(&Context, &Hosted, &str) -> Draft);

const KINDS: [Kind; 4] = [
    ("profile", "a profile (kind 0)", |_, _, text| events::profile(text)),
    ("relay-list", "a relay list (kind 10002)", |_, _, text| {
        events::relay_list(&[format!("wss://{text}.invalid")])
    }),
    ("article", "an addressable event (kind 30023)", |_, hosted, text| {
        Draft::new(30_023, text).tag(["d", "same"]).tag(["a", &hosted.coordinate])
    }),
    ("announcement", "a served announcement", |ctx, _, text| ctx.announcement().name(text).draft()),
];

pub(super) fn checks() -> Vec<Check> {
    let mut checks = Vec::new();
    for kind in KINDS {
        let (name, what, _) = kind;
        let mut check = |rule: &str, text: &str, run: fn(Context, Kind) -> _| {
            let title = format!("{what}: {text}");
            checks.push(Check::new(ROW, &format!("{name}-{rule}"), title, move |ctx| run(ctx, kind)));
        };
        check("newer", "a newer version takes the place of an older one", |ctx, kind| {
            Box::pin(newer(ctx, kind)) as futures_util::future::BoxFuture<'static, CheckResult>
        });
        check("older", "an older version is refused", |ctx, kind| Box::pin(older(ctx, kind)));
        check("tie-low-first", "of one second, the higher id is refused", |ctx, kind| {
            Box::pin(low_first(ctx, kind))
        });
        check("tie-high-first", "of one second, the lower id takes its place", |ctx, kind| {
            Box::pin(high_first(ctx, kind))
        });
    }
    checks.push(Check::new(
        ROW,
        "address-parts",
        "other authors and other d values are other addresses",
        addresses,
    ));
    checks.push(Check::new(
        ROW,
        "regular-kept",
        "regular events of one author and kind are all kept",
        regular,
    ));
    checks
}

async fn newer(ctx: Context, (_, _, version): Kind) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let old = ctx.publishes(&ctx.owner, version(&ctx, &hosted, "old")).await?;
    ctx.served(&old).await?;
    let new = ctx.publishes(&ctx.owner, version(&ctx, &hosted, "new")).await?;
    ctx.served(&new).await?;
    ctx.not_served(&old).await
}

async fn older(ctx: Context, (_, _, version): Kind) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let old = ctx.sign(&ctx.owner, version(&ctx, &hosted, "old"));
    let new = ctx.publishes(&ctx.owner, version(&ctx, &hosted, "new")).await?;
    ctx.served(&new).await?;
    ctx.refused(&old).await?;
    ctx.not_served(&old).await?;
    ctx.served(&new).await
}

async fn low_first(ctx: Context, (_, _, version): Kind) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let (low, high) = twins(&ctx, &ctx.owner, |text| version(&ctx, &hosted, text));
    ctx.accepted(&low).await?;
    ctx.served(&low).await?;
    ctx.refused(&high).await?;
    ctx.not_served(&high).await?;
    ctx.served(&low).await
}

async fn high_first(ctx: Context, (_, _, version): Kind) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let (low, high) = twins(&ctx, &ctx.owner, |text| version(&ctx, &hosted, text));
    ctx.accepted(&high).await?;
    ctx.served(&high).await?;
    ctx.accepted(&low).await?;
    ctx.served(&low).await?;
    ctx.not_served(&high).await
}

async fn addresses(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let article = |d: &str| Draft::new(30_023, "text").tag(["d", d]).tag(["a", &hosted.coordinate]);
    let mine = ctx.publishes(&ctx.owner, article("one")).await?;
    let other_d = ctx.publishes(&ctx.owner, article("other")).await?;
    let empty_d = ctx.publishes(&ctx.owner, article("")).await?;
    let theirs = ctx.publishes(&ctx.someone(), article("one")).await?;
    for event in [&mine, &other_d, &empty_d, &theirs] {
        ctx.served(event).await?;
    }
    let found = ctx.query(json!({"kinds": [30_023], "#a": [hosted.coordinate], "#d": ["one"]})).await?;
    expect_eq("articles called `one`", &2, &found.len())
}

async fn regular(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let first = filed_issue(&ctx, &hosted, &ctx.owner).await?;
    let second = filed_issue(&ctx, &hosted, &ctx.owner).await?;
    ctx.served(&first).await?;
    ctx.served(&second).await
}
