//! G01/purgatory: events that wait, unserved, for the git data they name.

use crate::check::{Check, CheckResult, expect};
use crate::context::Context;

/// What the answer to an event that has to wait begins with.
const WAITS: &str = "purgatory: won't be served until git data arrives";

/// The checks of this section.
#[must_use]
pub fn checks() -> Vec<Check> {
    vec![
        Check::new(
            "G01/purgatory/ok-message",
            "announcement",
            "a new announcement is answered OK true with a purgatory message",
            ok_message,
        ),
        Check::new(
            "G01/purgatory/released",
            "after-push",
            "announcement and state are served after the push, not before",
            after_push,
        ),
    ]
}

async fn ok_message(ctx: Context) -> CheckResult {
    let event = ctx.sign(&ctx.owner, ctx.announcement().draft());
    let reply = ctx.accepted(&event).await?;
    expect(reply.message.starts_with(WAITS), format!("a message beginning `{WAITS}`"), reply)
}

async fn after_push(ctx: Context) -> CheckResult {
    let hosted = ctx.waiting_repository().await?;
    ctx.not_served(&hosted.announcement).await?;
    ctx.not_served(&hosted.state).await?;
    let push = ctx.git.push(&hosted.repository, &hosted.url, &["refs/heads/main"]).await?;
    crate::context::pushed(push)?;
    ctx.served(&hosted.announcement).await?;
    ctx.served(&hosted.state).await
}
