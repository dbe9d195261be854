//! G01/git/release: what is true at the very moment a push has succeeded. Nothing here waits.

use grasp_fixtures::State;
use nostr::event::Event;
use nostr::key::Keys;

use crate::check::{Check, CheckResult, expect, expect_eq};
use crate::context::{Context, Hosted};

const ROW: &str = "G01/git/release";

pub(super) fn checks() -> Vec<Check> {
    vec![
        Check::new(
            ROW,
            "before-the-client-is-told",
            "when the push returns, announcement and state are served, refs and HEAD aligned",
            before_told,
        ),
        Check::new(
            ROW,
            "newer-state",
            "when a later push returns, the newer state is served instead of the older one",
            newer_state,
        ),
        Check::new(
            ROW,
            "head",
            "HEAD becomes the branch that the state names, and clones check it out",
            head,
        ),
        Check::new(
            ROW,
            "head-without-ref",
            "so it does when the tag's value lacks `ref: `",
            head_without_ref,
        ),
        Check::new(ROW, "head-moves", "HEAD moves with a push whose state names another branch", head_moves),
        Check::new(
            ROW,
            "head-not-listed",
            "HEAD stays as it is when the state names a branch that it does not list",
            head_not_listed,
        ),
        Check::new(
            ROW,
            "siblings",
            "two owners list each other: one push aligns both repositories",
            siblings,
        ),
        Check::new(
            ROW,
            "siblings-later",
            "later pushes, by the other's state and to the other's repository, align both as well",
            siblings_later,
        ),
        Check::new(
            ROW,
            "sibling-one-way",
            "who lists another owner follows their state; who lists nobody does not",
            one_way,
        ),
        Check::new(
            ROW,
            "sibling-keeps-newer",
            "a sibling whose served state is newer keeps its refs",
            keeps_newer,
        ),
        Check::new(
            ROW,
            "sibling-two-hops",
            "a repository whose maintainers' maintainer signed the state is aligned too",
            sibling_two_hops,
        ),
    ]
}

async fn before_told(ctx: Context) -> CheckResult {
    let hosted = ctx.waiting_repository().await?;
    ctx.push(&hosted, &["refs/heads/main"]).await?;
    ctx.served_already(&hosted.announcement).await?;
    ctx.served_already(&hosted.state).await?;
    ctx.shows(&hosted.path, &hosted.main_at(&hosted.tip)).await
}

async fn newer_state(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let tip = hosted.commit("newer").await?;
    let newer = ctx.state_by(&ctx.owner, &hosted.main_at(&tip)).await?;
    ctx.served_already(&hosted.state).await?; // until then the older one is what is true
    push(&ctx, &hosted, "main", &tip).await?;
    ctx.served_already(&newer).await?;
    ctx.not_served(&hosted.state).await?;
    ctx.shows(&hosted.path, &hosted.main_at(&tip)).await
}

async fn head(ctx: Context) -> CheckResult {
    head_is(ctx, |state| state.head("trunk")).await
}

async fn head_without_ref(ctx: Context) -> CheckResult {
    head_is(ctx, |state| state.bare_head("trunk")).await
}

async fn head_is(ctx: Context, name: fn(State) -> State) -> CheckResult {
    let hosted = ctx.waiting_repository().await?;
    let state = hosted.no_refs().branch("main", &hosted.tip);
    let state = name(state.branch("trunk", &hosted.tip));
    ctx.state_by(&ctx.owner, &state).await?;
    let trunk = format!("{}:refs/heads/trunk", hosted.tip);
    ctx.push(&hosted, &["refs/heads/main", &trunk]).await?;
    ctx.shows(&hosted.path, &state).await?;
    let (clone, output) = ctx.git.clone(&hosted.url, &[]).await?;
    expect(output.ok(), "the clone succeeds", output.terminal())?;
    let branch = clone.git(&["branch", "--show-current"]).await?;
    expect_eq("branch of the clone", &"trunk".to_owned(), &branch)
}

async fn head_moves(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let tip = hosted.commit("dev").await?;
    let state = hosted.no_refs().branch("main", &hosted.tip);
    let state = state.branch("dev", &tip).head("dev");
    ctx.state_by(&ctx.owner, &state).await?;
    push(&ctx, &hosted, "dev", &tip).await?;
    ctx.shows(&hosted.path, &state).await
}

async fn head_not_listed(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let tip = hosted.commit("dev").await?;
    let state = hosted.main_at(&hosted.tip).branch("dev", &tip);
    ctx.state_by(&ctx.owner, &state.clone().head("nowhere")).await?;
    push(&ctx, &hosted, "dev", &tip).await?;
    ctx.shows(&hosted.path, &state.head("main")).await
}

async fn siblings(ctx: Context) -> CheckResult {
    let (one, two, _) = each_other(&ctx).await?;
    let (state, event) = pushed_state(&ctx, &ctx.owner, &one, "theirs").await?;
    ctx.shows(&one.path, &state).await?;
    ctx.shows(&two.path, &state).await?;
    ctx.served_already(&event).await?;
    ctx.served_already(&one.announcement).await?;
    ctx.served(&two.announcement).await
}

async fn siblings_later(ctx: Context) -> CheckResult {
    let (one, two, other) = each_other(&ctx).await?;
    pushed_state(&ctx, &ctx.owner, &one, "first").await?;
    for (author, to) in [(&other, &one), (&ctx.owner, &two), (&other, &two)] {
        let (state, _) = pushed_state(&ctx, author, to, "later").await?;
        ctx.shows(&one.path, &state).await?;
        ctx.shows(&two.path, &state).await?;
    }
    Ok(())
}

async fn one_way(ctx: Context) -> CheckResult {
    let follower = ctx.someone();
    let one = ctx.waiting_repository().await?;
    let two = listing(&ctx, &follower, &ctx.owner).await?;
    let (first, _) = pushed_state(&ctx, &ctx.owner, &one, "first").await?;
    ctx.shows(&one.path, &first).await?;
    ctx.shows(&two.path, &first).await?;
    let (second, _) = pushed_state(&ctx, &follower, &two, "second").await?;
    ctx.shows(&two.path, &second).await?;
    ctx.shows(&one.path, &first).await
}

async fn keeps_newer(ctx: Context) -> CheckResult {
    let follower = ctx.someone();
    let early = ctx.later(); // a second before everything that follows
    let announcement = ctx.announcement();
    let one = ctx.waiting_repository_at(&ctx.owner, &announcement, Some(early));
    let one = one.await?;
    let two = listing(&ctx, &follower, &ctx.owner).await?;
    let (newer, _) = pushed_state(&ctx, &follower, &two, "newer").await?;
    ctx.push(&one, &["refs/heads/main"]).await?;
    ctx.shows(&one.path, &one.main_at(&one.tip)).await?;
    ctx.shows(&two.path, &newer).await
}

async fn sibling_two_hops(ctx: Context) -> CheckResult {
    let (link, end) = (ctx.someone(), ctx.someone());
    let last = ctx.waiting_repository_of(&end, &ctx.identifier).await?;
    let middle = listing(&ctx, &link, &end).await?;
    let first = listing(&ctx, &ctx.owner, &link).await?;
    let (state, _) = pushed_state(&ctx, &end, &last, "theirs").await?;
    for hosted in [&last, &middle, &first] {
        ctx.shows(&hosted.path, &state).await?;
    }
    Ok(())
}

async fn push(ctx: &Context, hosted: &Hosted, branch: &str, tip: &str) -> CheckResult {
    let refspec = format!("+{tip}:refs/heads/{branch}");
    ctx.push(hosted, &[&refspec]).await.map(drop)
}

/// A new state of `main` by `author`, and the push of it to `hosted`.
async fn pushed_state(
    ctx: &Context,
    author: &Keys,
    hosted: &Hosted,
    file: &str,
) -> CheckResult<(State, Event)> {
    let tip = hosted.commit(file).await?;
    let state = hosted.main_at(&tip);
    let event = ctx.state_by(author, &state).await?;
    push(ctx, hosted, "main", &tip).await?;
    Ok((state, event))
}

/// Two waiting repositories of one identifier whose owners list each other, and the second owner.
async fn each_other(ctx: &Context) -> CheckResult<(Hosted, Hosted, Keys)> {
    let other = ctx.someone();
    let one = listing(ctx, &ctx.owner, &other).await?;
    let two = listing(ctx, &other, &ctx.owner).await?;
    Ok((one, two, other))
}

/// A waiting repository of the check's identifier by `owner`, which lists `maintainer`.
async fn listing(ctx: &Context, owner: &Keys, maintainer: &Keys) -> CheckResult<Hosted> {
    let announcement = ctx.announcement_of(owner, &ctx.identifier);
    let announcement = announcement.maintainer(maintainer.public_key());
    ctx.waiting_repository_as(owner, &announcement).await
}
