//! G01/git: git over smart HTTP.

use crate::check::{Check, CheckResult, expect, expect_eq};
use crate::context::{Context, pushed};

/// The checks of this section.
#[must_use]
pub fn checks() -> Vec<Check> {
    vec![Check::new(
        "G01/git/push-aligned",
        "round-trip",
        "announce, state, push: a clone has the same commit on the same branch",
        round_trip,
    )]
}

async fn round_trip(ctx: Context) -> CheckResult {
    let hosted = ctx.waiting_repository().await?;
    pushed(ctx.git.push(&hosted.repository, &hosted.url, &["refs/heads/main"]).await?)?;
    let (clone, output) = ctx.git.clone(&hosted.url, &[]).await?;
    expect(output.ok(), "the clone succeeds", output.terminal())?;
    expect_eq("HEAD of the clone", &hosted.tip, &clone.oid("HEAD").await?)?;
    expect_eq("branch of the clone", &"main".to_owned(), &clone.git(&["branch", "--show-current"]).await?)
}
