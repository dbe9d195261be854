//! G01/relay: the relay, and which events it takes.

use grasp_fixtures::{Announcement, forged};

use crate::check::{Check, CheckResult};
use crate::context::Context;

/// The checks of this section.
#[must_use]
pub fn checks() -> Vec<Check> {
    vec![
        Check::new(
            "G01/relay/nip01",
            "forged-signature",
            "an announcement whose signature somebody else made is refused",
            forged_signature,
        ),
        Check::new(
            "G01/relay/accepts-repository-events",
            "announcement",
            "an announcement that lists the service is taken",
            announcement,
        ),
        Check::new(
            "G01/relay/rejects-unlisted",
            "other-service",
            "an announcement that lists only another service is refused",
            other_service,
        ),
    ]
}

async fn forged_signature(ctx: Context) -> CheckResult {
    let event = ctx.sign(&ctx.owner, ctx.announcement().draft());
    ctx.refused(&forged::bad_signature(&event)).await?;
    ctx.accepted(&event).await?; // the forgery must not stand in the way of the genuine event
    Ok(())
}

async fn announcement(ctx: Context) -> CheckResult {
    ctx.announce().await.map(drop)
}

async fn other_service(ctx: Context) -> CheckResult {
    let elsewhere = Announcement::new(&ctx.identifier)
        .clone_url("https://grasp.invalid/x.git")
        .relay("wss://grasp.invalid");
    let event = ctx.sign(&ctx.owner, elsewhere.draft());
    ctx.refused(&event).await?;
    ctx.not_served(&event).await
}
