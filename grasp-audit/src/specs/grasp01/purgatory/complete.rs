//! G01/purgatory/nothing-to-wait-for: what names only data that is here is served on arrival, refs and HEAD with it.

use grasp_fixtures::{PullRequest, State};
use nostr::event::Event;

use crate::check::{Check, CheckResult, expect};
use crate::context::{Context, Hosted};

const ROW: &str = "G01/purgatory/nothing-to-wait-for";

pub(super) fn checks() -> Vec<Check> {
    vec![
        Check::new(ROW, "deleted", "a state without a branch and a tag that were there", deleted),
        Check::new(ROW, "renamed", "a state in which a branch has another name", renamed),
        Check::new(ROW, "head-moved", "a state in which only HEAD names another branch", head_moved),
        Check::new(ROW, "rollback", "a state that goes back to an older commit", rollback),
        Check::new(
            ROW,
            "second-owner",
            "announcement and state of a second owner with the tips that are here",
            second_owner,
        ),
        Check::new(
            ROW,
            "maintainers-state",
            "the announcement of an owner whose maintainer's state is served here already",
            maintainers_state,
        ),
        Check::new(
            ROW,
            "pull-request",
            "a pull request whose tip is here: served, its ref in place",
            pull_request,
        ),
        Check::new(
            ROW,
            "refused-data",
            "but data that came with a refused push does not count",
            refused_data,
        ),
        Check::new(
            ROW,
            "unsigned-data",
            "nor does data under `refs/nostr/…` that no event names",
            unsigned_data,
        ),
    ]
}

async fn deleted(ctx: Context) -> CheckResult {
    let (hosted, tip) = two_branches(&ctx).await?;
    let state = hosted.main_at(&tip);
    let event = arrives(&ctx, &hosted, &state).await?;
    ctx.served(&event).await
}

async fn renamed(ctx: Context) -> CheckResult {
    let (hosted, tip) = two_branches(&ctx).await?;
    let state = hosted.no_refs().branch("trunk", &tip).head("trunk");
    arrives(&ctx, &hosted, &state).await.map(drop)
}

async fn head_moved(ctx: Context) -> CheckResult {
    let (hosted, tip) = two_branches(&ctx).await?;
    let state = branches(&hosted, &tip).head("dev");
    arrives(&ctx, &hosted, &state).await.map(drop)
}

async fn rollback(ctx: Context) -> CheckResult {
    let (hosted, _) = two_branches(&ctx).await?;
    let state = hosted.main_at(&hosted.tip);
    arrives(&ctx, &hosted, &state).await.map(drop)
}

async fn second_owner(ctx: Context) -> CheckResult {
    let second = ctx.someone();
    let (hosted, tip) = two_branches(&ctx).await?;
    let url = ctx.target.url.clone_url(&second.public_key(), &ctx.identifier);
    let announcement = ctx.announcement_of(&second, &ctx.identifier);
    let announcement = ctx.sign(&second, announcement.draft());
    ctx.accepted(&announcement).await?;
    let state = branches(&hosted, &tip).head("dev");
    let event = ctx.state_by(&second, &state).await?;
    ctx.served(&event).await?;
    ctx.served(&announcement).await?;
    let path = url.trim_start_matches(&ctx.target.url.base()).to_owned();
    ctx.comes_to_show(&path, &state).await?;
    let (clone, output) = ctx.git.clone(&url, &[]).await?;
    expect(output.ok(), "the clone succeeds", output.terminal())?;
    clone.git(&["fsck", "--full"]).await?;
    Ok(())
}

async fn maintainers_state(ctx: Context) -> CheckResult {
    let late = ctx.someone();
    let (_, tip) = two_branches(&ctx).await?;
    let announcement = ctx.announcement_of(&late, &ctx.identifier).maintainer(ctx.owner.public_key());
    let announcement = ctx.sign(&late, announcement.draft());
    ctx.accepted(&announcement).await?;
    ctx.served(&announcement).await?;
    let path = crate::target::url::repository_path(&late.public_key(), &ctx.identifier);
    let state = ctx.state(&tip).branch("dev", &tip).git_tag("v1", &tip);
    ctx.comes_to_show(&path, &state).await
}

async fn pull_request(ctx: Context) -> CheckResult {
    let (hosted, tip) = two_branches(&ctx).await?;
    for here in [&tip, &hosted.tip] {
        let said = PullRequest::new(&hosted.coordinate, here).clone_url(&hosted.url);
        let pr = ctx.sign(&ctx.someone(), said.draft());
        ctx.accepted(&pr).await?;
        ctx.served(&pr).await?;
        let name = format!("refs/nostr/{}", pr.id.to_hex());
        ctx.ref_becomes(&hosted.path, &name, Some(here)).await?;
    }
    Ok(())
}

async fn refused_data(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let tip = hosted.commit("early").await?;
    let branch = format!("{tip}:refs/heads/main");
    ctx.push_refused(&hosted, &[&branch]).await?;
    let event = ctx.state_by(&ctx.owner, &hosted.main_at(&tip)).await?;
    ctx.not_served(&event).await?;
    ctx.push(&hosted, &[&branch]).await?;
    ctx.served_already(&event).await
}

async fn unsigned_data(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let tip = hosted.commit("unsigned").await?;
    let nobody = grasp_fixtures::keys::random_id();
    ctx.push(&hosted, &[&format!("{tip}:refs/nostr/{nobody}")]).await?;
    let event = ctx.state_by(&ctx.owner, &hosted.main_at(&tip)).await?;
    ctx.not_served(&event).await?;
    ctx.push(&hosted, &[&format!("{tip}:refs/heads/main")]).await?;
    ctx.served_already(&event).await
}

/// The state must be served and shown without a push.
async fn arrives(ctx: &Context, hosted: &Hosted, state: &State) -> CheckResult<Event> {
    let event = ctx.state_by(&ctx.owner, state).await?;
    ctx.served(&event).await?;
    ctx.comes_to_show(&hosted.path, state).await?;
    Ok(event)
}

fn branches(hosted: &Hosted, tip: &str) -> State {
    let state = hosted.no_refs().branch("main", tip).branch("dev", tip);
    state.git_tag("v1", tip)
}

/// A hosted repository with a second commit: on `main` (HEAD), `dev` and the tag `v1`.
async fn two_branches(ctx: &Context) -> CheckResult<(Hosted, String)> {
    let hosted = ctx.waiting_repository().await?;
    let tip = hosted.commit("second").await?;
    let state = branches(&hosted, &tip).head("main");
    ctx.state_by(&ctx.owner, &state).await?;
    let refs = ["refs/heads/main", "refs/heads/dev", "refs/tags/v1"];
    let refspecs = refs.map(|name| format!("{tip}:{name}"));
    let refspecs: Vec<&str> = refspecs.iter().map(String::as_str).collect();
    ctx.push(&hosted, &refspecs).await?;
    ctx.shows(&hosted.path, &state).await?;
    Ok((hosted, tip))
}
