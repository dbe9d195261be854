//! G01/purgatory/expires: what nobody brings data for is forgotten, and may be published again.

use std::time::{Duration, Instant};

use super::waiting::{Kind, Waiting};
use crate::check::{Check, CheckResult, expect_eq};
use crate::context::{Context, gone_after};
use crate::target::smart_http::info_refs;

const ROW: &str = "G01/purgatory/expires";
const BOUND: Duration = Duration::from_secs(2_400);

pub(super) fn checks() -> Vec<Check> {
    vec![
        Check::new(
            ROW,
            "announcement",
            "a waiting announcement and its repository are gone after the stated time, not long before; published again it starts anew",
            announcement,
        )
        .patient(BOUND),
        Check::new(
            ROW,
            "clock-restarts",
            "a state restarts the clock of its waiting announcement",
            clock_restarts,
        )
        .patient(BOUND),
        Check::new(
            ROW,
            "state",
            "a waiting state admits no push after the stated time; published again it does",
            state,
        )
        .patient(BOUND),
        Check::new(
            ROW,
            "pull-request",
            "a waiting pull request is not released by data that comes after the stated time",
            pull_request,
        )
        .patient(BOUND),
    ]
}

async fn announcement(ctx: Context) -> CheckResult {
    let waiting = Waiting::prepare(&ctx, Kind::Announcement).await?;
    ctx.accepted(&waiting.event).await?;
    let (arrived, whole) = (Instant::now(), ctx.expiry.purgatory);
    until(arrived, whole.mul_f64(0.9)).await;
    answers(&ctx, &waiting, 200).await?;
    until(arrived, gone_after(whole)).await;
    answers(&ctx, &waiting, 404).await?;
    ctx.not_served(&waiting.event).await?;
    ctx.accepted(&waiting.event).await?;
    answers(&ctx, &waiting, 200).await?;
    waiting.release(&ctx).await?;
    ctx.served_already(&waiting.event).await
}

async fn clock_restarts(ctx: Context) -> CheckResult {
    let hosted = Waiting::prepare(&ctx, Kind::Announcement).await?;
    ctx.accepted(&hosted.event).await?;
    let (arrived, whole) = (Instant::now(), ctx.expiry.purgatory);
    until(arrived, whole.mul_f64(0.6)).await;
    if let Some(state) = &hosted.state {
        ctx.accepted(state).await?;
    }
    until(arrived, whole.mul_f64(1.3)).await;
    answers(&ctx, &hosted, 200).await?;
    hosted.push(&ctx).await?;
    ctx.served_already(&hosted.event).await
}

async fn state(ctx: Context) -> CheckResult {
    let waiting = Waiting::prepare(&ctx, Kind::State).await?;
    ctx.accepted(&waiting.event).await?;
    until(Instant::now(), gone_after(ctx.expiry.purgatory)).await;
    let taken = waiting.try_push(&ctx).await?;
    expect_eq("the push is taken", &false, &taken)?;
    ctx.accepted(&waiting.event).await?;
    waiting.push(&ctx).await?;
    ctx.served_already(&waiting.event).await
}

async fn pull_request(ctx: Context) -> CheckResult {
    let waiting = Waiting::prepare(&ctx, Kind::PullRequest).await?;
    ctx.accepted(&waiting.event).await?;
    until(Instant::now(), gone_after(ctx.expiry.purgatory)).await;
    waiting.try_push(&ctx).await?;
    ctx.not_served(&waiting.event).await
}

async fn until(start: Instant, later: Duration) {
    tokio::time::sleep_until((start + later).into()).await;
}

async fn answers(ctx: &Context, waiting: &Waiting, status: u16) -> CheckResult {
    let response = info_refs(&ctx.http, &waiting.path, "git-upload-pack", 2).await?;
    expect_eq("status of the repository", &status, &response.status)
}
