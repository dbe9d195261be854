//! G01/git/push-unauthorised: any other push changes nothing, and the terminal says why, ref by ref.

use grasp_fixtures::{Output, keys::random_suffix};

use crate::check::{Check, CheckResult, expect};
use crate::context::{Context, Hosted};

const ROW: &str = "G01/git/push-unauthorised";

pub(super) fn checks() -> Vec<Check> {
    vec![
        Check::new(ROW, "no-state", "announced, but no state at all: the push is refused", no_state),
        Check::new(
            ROW,
            "partial",
            "one of the state's two branches is not enough; both together are",
            partial,
        ),
        Check::new(
            ROW,
            "extra-branch",
            "a branch that the state does not list is refused, and the rest with it",
            extra_branch,
        ),
        Check::new(
            ROW,
            "extra-tag",
            "a tag that the state does not list is refused, and the rest with it",
            extra_tag,
        ),
        Check::new(ROW, "new-tag", "a tag pushed alone to a served repository is refused", new_tag),
        Check::new(
            ROW,
            "other-commit",
            "another commit than the state's is refused, and cannot be fetched afterwards",
            other_commit,
        ),
        Check::new(ROW, "deletion", "a branch that the state lists cannot be deleted", deletion),
        Check::new(ROW, "stranger", "a stranger's state is refused and admits no push", stranger),
        Check::new(
            ROW,
            "other-owner",
            "the state of another owner of the same identifier admits no push",
            other_owner,
        ),
        Check::new(
            ROW,
            "removed-maintainer",
            "a maintainer who is no longer listed admits no push",
            removed_maintainer,
        ),
        Check::new(
            ROW,
            "removed-while-waiting",
            "nor does the state that waited when its author was removed",
            removed_while_waiting,
        ),
        Check::new(ROW, "older-content", "what an older state said cannot be pushed back", older_content),
        Check::new(ROW, "pr-branch", "a branch `pr/…` that no state lists is refused", pr_branch),
        Check::new(
            ROW,
            "other-namespaces",
            "refs outside heads, tags and nostr are refused: notes, pull, keep, replace",
            other_namespaces,
        ),
    ]
}

async fn no_state(ctx: Context) -> CheckResult {
    let announcement = ctx.announce().await?;
    let (data, _) = ctx.local_repository().await?;
    let url = ctx.clone_url();
    let output = ctx.git.push(&data, &url, &["refs/heads/main"]);
    refused_each(output.await?, &["main"])?;
    ctx.not_served(&announcement).await
}

async fn partial(ctx: Context) -> CheckResult {
    let hosted = ctx.waiting_repository().await?;
    let tip = hosted.commit("dev").await?;
    let state = hosted.main_at(&hosted.tip).branch("dev", &tip);
    let event = ctx.state_by(&hosted.owner, &state).await?;
    let dev = format!("{tip}:refs/heads/dev");
    for alone in ["refs/heads/main", &dev] {
        ctx.push_refused(&hosted, &[alone]).await?;
        ctx.shows_nothing(&hosted.path).await?;
        ctx.not_served(&event).await?;
    }
    ctx.push(&hosted, &["refs/heads/main", &dev]).await?;
    ctx.shows(&hosted.path, &state).await
}

async fn extra_branch(ctx: Context) -> CheckResult {
    over_complete(ctx, "refs/heads/extra").await
}

async fn extra_tag(ctx: Context) -> CheckResult {
    over_complete(ctx, "refs/tags/extra").await
}

async fn over_complete(ctx: Context, extra: &'static str) -> CheckResult {
    let hosted = ctx.waiting_repository().await?;
    let extra = format!("{}:{extra}", hosted.tip);
    let output = ctx.push_refused(&hosted, &["refs/heads/main", &extra]).await?;
    refused_each(output, &["extra"])?;
    ctx.shows_nothing(&hosted.path).await?;
    ctx.not_served(&hosted.state).await?;
    ctx.push(&hosted, &["refs/heads/main"]).await.map(drop)
}

async fn new_tag(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    hosted.repository.annotated_tag("v1", &hosted.tip).await?;
    let output = ctx.push_refused(&hosted, &["refs/tags/v1"]).await?;
    refused_each(output, &["v1"])?;
    unchanged(&ctx, &hosted).await
}

async fn other_commit(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let (named, pushed) = (hosted.commit("named").await?, hosted.commit("pushed").await?);
    let state = ctx.state_by(&hosted.owner, &hosted.main_at(&named)).await?;
    let branch = format!("{pushed}:refs/heads/main");
    let output = ctx.push_refused(&hosted, &[&branch]).await?;
    refused_each(output, &["main"])?;
    unchanged(&ctx, &hosted).await?;
    ctx.not_served(&state).await?;
    let elsewhere = ctx.git.init().await?;
    let fetched = ctx.git.fetch(&elsewhere, &hosted.url, &[&pushed]).await?;
    let seen = fetched.terminal();
    expect(!fetched.ok(), "what was refused cannot be fetched", seen)
}

async fn deletion(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let output = ctx.push_refused(&hosted, &[":refs/heads/main"]).await?;
    refused_each(output, &["main"])?;
    unchanged(&ctx, &hosted).await
}

async fn stranger(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    push_by(&ctx, &hosted, &ctx.someone()).await
}

async fn other_owner(ctx: Context) -> CheckResult {
    let other = ctx.someone();
    let hosted = ctx.hosted_repository().await?;
    let theirs = ctx.waiting_repository_of(&other, &ctx.identifier).await?;
    let branch = ["+refs/heads/main"];
    let output = ctx.git.push(&theirs.repository, &hosted.url, &branch);
    refused_each(output.await?, &["main"])?;
    unchanged(&ctx, &hosted).await?;
    ctx.not_served(&theirs.state).await
}

async fn removed_maintainer(ctx: Context) -> CheckResult {
    let removed = ctx.someone();
    let listing = ctx.announcement().maintainer(removed.public_key());
    let hosted = ctx.hosted_repository_as(&ctx.owner, &listing).await?;
    ctx.announce().await?; // without them
    push_by(&ctx, &hosted, &removed).await
}

async fn removed_while_waiting(ctx: Context) -> CheckResult {
    let removed = ctx.someone();
    let listing = ctx.announcement().maintainer(removed.public_key());
    let hosted = ctx.hosted_repository_as(&ctx.owner, &listing).await?;
    let tip = hosted.commit("theirs").await?;
    let state = ctx.state_by(&removed, &hosted.main_at(&tip)).await?;
    ctx.announce().await?; // without them
    ctx.push_refused(&hosted, &[&format!("{tip}:refs/heads/main")]).await?;
    ctx.not_served(&state).await?;
    unchanged(&ctx, &hosted).await
}

async fn older_content(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let newer = hosted.commit("newer").await?;
    ctx.state_by(&hosted.owner, &hosted.main_at(&newer)).await?;
    ctx.push(&hosted, &[&format!("{newer}:refs/heads/main")]).await?;
    let back = format!("+{}:refs/heads/main", hosted.tip);
    let output = ctx.push_refused(&hosted, &[&back]).await?;
    refused_each(output, &["main"])?;
    ctx.shows(&hosted.path, &hosted.main_at(&newer)).await
}

async fn pr_branch(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let tip = hosted.commit("contribution").await?;
    let branch = format!("{tip}:refs/heads/pr/contribution");
    let output = ctx.push_refused(&hosted, &[&branch]).await?;
    refused_each(output, &["pr/contribution"])?;
    unchanged(&ctx, &hosted).await
}

async fn other_namespaces(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    for name in [
        "refs/notes/commits".to_owned(),
        "refs/pull/1/head".to_owned(),
        format!("refs/keep/{}", random_suffix(8)),
        format!("refs/replace/{}", hosted.tip),
    ] {
        let tip = hosted.commit("other").await?;
        let output = ctx.push_refused(&hosted, &[&format!("{tip}:{name}")]).await?;
        refused_each(output, &[&name])?;
        let shown = ctx.shown(&hosted.path).await?;
        let there = shown.refs.get(&name);
        expect(there.is_none(), format!("no {name}"), format!("{there:?}"))?;
    }
    unchanged(&ctx, &hosted).await
}

/// A state by `author` must be refused and admit no push.
async fn push_by(ctx: &Context, hosted: &Hosted, author: &nostr::key::Keys) -> CheckResult {
    let tip = hosted.commit("theirs").await?;
    let state = ctx.sign(author, hosted.main_at(&tip).draft());
    ctx.refused(&state).await?;
    ctx.push_refused(hosted, &[&format!("{tip}:refs/heads/main")]).await?;
    ctx.not_served(&state).await?;
    unchanged(ctx, hosted).await
}

async fn unchanged(ctx: &Context, hosted: &Hosted) -> CheckResult {
    ctx.shows(&hosted.path, &hosted.main_at(&hosted.tip)).await
}

/// The push must have been refused, and the terminal must name each of these refs with a reason.
fn refused_each(output: Output, names: &[&str]) -> CheckResult {
    let output = crate::context::refused_push(output)?;
    let terminal = output.terminal();
    for name in names {
        let told = terminal.lines().any(|line| {
            let named = line.contains(&format!(" {name} (")) && line.trim_end().ends_with(')');
            line.contains("! [remote rejected]") && named
        });
        expect(told, format!("`! [remote rejected] … {name} (reason)`"), &terminal)?;
    }
    Ok(())
}
