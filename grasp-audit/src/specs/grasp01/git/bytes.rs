//! G01/git/push-aligned and push-unauthorised, as bytes: pushes that no git client sends, or only in a race.

use crate::check::{Check, CheckResult, expect, expect_eq};
use crate::context::{Context, Hosted};
use crate::target::receive_pack::{Command, PushReport, receive_pack};

const ALIGNED: &str = "G01/git/push-aligned";
const REFUSED: &str = "G01/git/push-unauthorised";
const MAIN: &str = "refs/heads/main";

pub(super) fn checks() -> Vec<Check> {
    vec![
        Check::new(
            ALIGNED,
            "targets-in-place",
            "commands whose targets are in place already are reported `ok`, whatever old value they name",
            targets_in_place,
        ),
        Check::new(
            REFUSED,
            "over-git-protocol",
            "a refusal is a `report-status` over HTTP 200, `ng <ref> <reason>`",
            over_git_protocol,
        ),
        Check::new(
            REFUSED,
            "without-objects",
            "a push of the state's own commit whose pack does not hold it is refused",
            without_objects,
        ),
        Check::new(
            REFUSED,
            "with-a-hole",
            "a push of the state's own commit whose pack lacks a file is refused",
            with_a_hole,
        ),
        Check::new(
            REFUSED,
            "broken-pack",
            "a push of the state's own commit whose pack is damaged is refused",
            broken_pack,
        ),
    ]
}

async fn targets_in_place(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let pack = pack(&hosted, &[]).await?;
    let other = hosted.commit("other").await?;
    for command in [Command::create(MAIN, &hosted.tip), Command::update(MAIN, &other, &hosted.tip)] {
        let report = receive_pack(&ctx.http, &hosted.path, &[command], &pack).await?;
        expect(report.took(MAIN), format!("ok {MAIN}"), report.seen())?;
    }
    ctx.shows(&hosted.path, &hosted.main_at(&hosted.tip)).await
}

/// As bytes, because a git client that looks when the other one is done sends nothing at all.
pub(super) async fn twice_at_once(ctx: Context) -> CheckResult {
    let hosted = ctx.waiting_repository().await?;
    let pack = pack(&hosted, &["main", "main^{tree}", "main:README.md"]).await?;
    let command = [Command::create(MAIN, &hosted.tip)];
    let push = || receive_pack(&ctx.http, &hosted.path, &command, &pack);
    let (one, two) = tokio::join!(push(), push());
    for report in [one?, two?] {
        expect(report.took(MAIN), format!("ok {MAIN}, both times"), report.seen())?;
    }
    ctx.shows(&hosted.path, &hosted.main_at(&hosted.tip)).await
}

async fn over_git_protocol(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let tip = hosted.commit("other").await?;
    let full = pack(&hosted, &[&tip, &format!("{tip}^{{tree}}")]).await?;
    let extra = "refs/heads/extra";
    for (commands, pack) in [
        (vec![Command::delete(MAIN, &hosted.tip)], vec![]),
        (vec![Command::update(MAIN, &hosted.tip, &tip), Command::create(extra, &tip)], full),
    ] {
        let report = receive_pack(&ctx.http, &hosted.path, &commands, &pack).await?;
        let names: Vec<&str> = commands.iter().map(|c| c.name.as_str()).collect();
        refused(&report, &names)?;
    }
    ctx.shows(&hosted.path, &hosted.main_at(&hosted.tip)).await
}

async fn without_objects(ctx: Context) -> CheckResult {
    lacking(ctx, &[]).await
}

async fn with_a_hole(ctx: Context) -> CheckResult {
    lacking(ctx, &["main", "main^{tree}"]).await
}

async fn broken_pack(ctx: Context) -> CheckResult {
    let hosted = ctx.waiting_repository().await?;
    let mut pack = pack(&hosted, &["main", "main^{tree}", "main:README.md"]).await?;
    let middle = pack.len() / 2;
    pack[middle] ^= 0xff;
    nothing_released(&ctx, &hosted, &pack).await
}

/// A push whose pack holds only these objects must be refused, and the whole one taken afterwards.
async fn lacking(ctx: Context, objects: &[&str]) -> CheckResult {
    let hosted = ctx.waiting_repository().await?;
    let pack = pack(&hosted, objects).await?;
    nothing_released(&ctx, &hosted, &pack).await
}

async fn nothing_released(ctx: &Context, hosted: &Hosted, pack: &[u8]) -> CheckResult {
    let command = [Command::create(MAIN, &hosted.tip)];
    let report = receive_pack(&ctx.http, &hosted.path, &command, pack).await?;
    refused(&report, &[MAIN])?;
    ctx.not_served(&hosted.announcement).await?;
    ctx.not_served(&hosted.state).await?;
    ctx.shows_nothing(&hosted.path).await?;
    ctx.push(hosted, &[MAIN]).await?; // and it stands in nobody's way
    ctx.served_already(&hosted.state).await
}

fn refused(report: &PushReport, names: &[&str]) -> CheckResult {
    expect_eq("status", &200, &report.response.status)?;
    let result = "application/x-git-receive-pack-result".to_owned();
    let content_type = report.response.header("content-type");
    expect_eq("Content-Type", &result, &content_type)?;
    for name in names {
        let refused = report.refused(name).is_some();
        expect(refused, format!("ng {name} <reason>"), report.seen())?;
    }
    Ok(())
}

/// A pack of exactly these objects.
async fn pack(hosted: &Hosted, revisions: &[&str]) -> CheckResult<Vec<u8>> {
    let mut objects = String::new();
    for revision in revisions {
        objects.push_str(&hosted.repository.oid(revision).await?);
        objects.push('\n');
    }
    let pack = ["pack-objects", "--stdout", "--quiet"];
    let output = hosted.repository.run_with_input(&pack, objects.as_bytes());
    Ok(output.await?.success()?.stdout)
}
