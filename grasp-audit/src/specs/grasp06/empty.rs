//! G06/advertised and G06/empty: what `/prs/` is before anything was pushed to it.

use super::contribution::{Contribution, name_of};
use crate::check::{Check, CheckResult, expect, skip};
use crate::context::Context;
use crate::target::smart_http::ls_refs;
use crate::target::url::contribution_path;

const ADVERTISED: &str = "G06/advertised";
const EMPTY: &str = "G06/empty";
const CLEAN: &str = "G06/clean";
const GRASP: &str = "GRASP-06";

pub(super) fn checks() -> Vec<Check> {
    let named = |name: &'static str, identifier: &'static str| {
        let title = format!("upload-pack of an identifier {name} answers as an empty repository");
        Check::new(EMPTY, name, title, move |ctx| empty_named(ctx, identifier)).only_with(GRASP)
    };
    vec![
        Check::new(
            ADVERTISED,
            "off",
            "without GRASP-06 in supported_grasps, /prs/… is 404 for every service of git",
            off,
        ),
        Check::new(ADVERTISED, "on", "with GRASP-06 in supported_grasps, /prs/… answers git", on)
            .only_with(GRASP),
        Check::new(EMPTY, "clone", "git lists and clones an empty repository", clone).only_with(GRASP),
        named("with-spaces", "my project"),
        named("with-emoji", "🦀"),
        named("with-dots", "a.b..c.git"),
        Check::new(EMPTY, "malformed", "a path that names no key or no safe identifier is 404", malformed)
            .only_with(GRASP),
        Check::new(
            CLEAN,
            "deleted",
            "after its only pull request was deleted, the repository is empty again",
            deleted,
        )
        .only_with(GRASP),
        Check::new(
            CLEAN,
            "other-tip",
            "after its only upload was contradicted by the event, the repository is empty again",
            contradicted,
        )
        .only_with(GRASP),
    ]
}

fn some_path(ctx: &Context, identifier: &str) -> String {
    contribution_path(&ctx.someone().public_key(), identifier)
}

async fn off(ctx: Context) -> CheckResult {
    if ctx.target.supports(GRASP) {
        return Err(skip("the server lists GRASP-06"));
    }
    let path = some_path(&ctx, &ctx.identifier);
    for service in ["git-upload-pack", "git-receive-pack"] {
        let response = ctx.http.get(&format!("{path}/info/refs?service={service}"), &[]).await?;
        expect(response.status == 404, format!("404 for {service} of {path}"), response.head())?;
        let headers = [("content-type", &*format!("application/x-{service}-request"))];
        let response = ctx.http.post(&format!("{path}/{service}"), &headers, "0000").await?;
        expect(response.status == 404, format!("404 for a POST to {service} of {path}"), response.head())?;
    }
    Ok(())
}

async fn on(ctx: Context) -> CheckResult {
    let path = some_path(&ctx, &ctx.identifier);
    for service in ["git-upload-pack", "git-receive-pack"] {
        let response = ctx.http.get(&format!("{path}/info/refs?service={service}"), &[]).await?;
        let smart = response.header("content-type") == format!("application/x-{service}-advertisement");
        let expected = format!("the advertisement of {service} of {path}");
        expect(response.status == 200 && smart, expected, response.head())?;
    }
    Ok(())
}

async fn clone(ctx: Context) -> CheckResult {
    let path = some_path(&ctx, &ctx.identifier);
    let url = format!("{}{path}", ctx.target.url.base());
    for protocol in ["0", "2"] {
        let version = format!("protocol.version={protocol}");
        let (_, cloned) = ctx.git.clone(&url, &["-c", &version]).await?;
        expect(cloned.ok(), format!("a clone by protocol v{protocol} succeeds"), cloned.terminal())?;
    }
    is_empty(&ctx, &path).await
}

async fn empty_named(ctx: Context, identifier: &str) -> CheckResult {
    is_empty(&ctx, &some_path(&ctx, &format!("{identifier}-{}", ctx.identifier))).await
}

async fn malformed(ctx: Context) -> CheckResult {
    let npub = grasp_fixtures::keys::npub(&ctx.someone().public_key());
    let hex = ctx.someone().public_key().to_hex();
    for path in [
        format!("/prs/{hex}/x.git"),
        format!("/prs/{}x/x.git", &npub[..npub.len() - 1]),
        "/prs/npub1/x.git".to_owned(),
        format!("/prs/{npub}/x"),
        format!("/prs/{npub}/.git"),
        format!("/prs/{npub}/a%2Fb.git"),
        format!("/prs/{npub}/%2e%2e.git"),
        format!("/prs/{npub}/x%00.git"),
        format!("/prs/{npub}/a/b.git"),
    ] {
        let response = ctx.http.get(&format!("{path}/info/refs?service=git-upload-pack"), &[]).await?;
        expect(response.status == 404, format!("404 for {path}"), response.head())?;
    }
    Ok(())
}

async fn deleted(ctx: Context) -> CheckResult {
    let contribution = Contribution::to_elsewhere(&ctx).await?;
    let pr = contribution.pull_request(&ctx);
    ctx.accepted(&pr).await?;
    contribution.push(&ctx, &pr).await?;
    contribution.is_there(&ctx, &pr).await?;
    let request = grasp_fixtures::Draft::new(grasp_fixtures::events::DELETION, "");
    ctx.publishes(&contribution.author, request.tag(["e".to_owned(), pr.id.to_hex()])).await?;
    ctx.gone(&pr).await?;
    contribution.is_not_there(&ctx, &pr).await?;
    is_empty(&ctx, &contribution.path).await
}

async fn contradicted(ctx: Context) -> CheckResult {
    let contribution = Contribution::to_elsewhere(&ctx).await?;
    let other = contribution.repository.commit("other", "other\n", &[&contribution.tip]).await?;
    let pr = ctx.sign(&contribution.author, contribution.said().without_tip().draft().tag(["c", &other]));
    contribution.push(&ctx, &pr).await?;
    ctx.ref_becomes(&contribution.path, &name_of(&pr), Some(&contribution.tip)).await?;
    ctx.accepted(&pr).await?;
    contribution.is_not_there(&ctx, &pr).await?;
    is_empty(&ctx, &contribution.path).await
}

async fn is_empty(ctx: &Context, path: &str) -> CheckResult {
    let (response, listed) = ls_refs(&ctx.http, path).await?;
    let smart = response.header("content-type") == "application/x-git-upload-pack-result";
    expect(response.status == 200 && smart, format!("the answer to ls-refs of {path}"), response.head())?;
    // an unborn HEAD may be listed
    let refs: Vec<&str> = listed.iter().map(|r| r.name.as_str()).filter(|name| *name != "HEAD").collect();
    expect(refs.is_empty(), format!("{path} has no refs"), format!("{refs:?}"))
}
