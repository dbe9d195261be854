//! G01/git/push-aligned: whose state admits a push. Maintainers, recursively, and several states at once.

use nostr::event::Event;

use crate::check::{Check, CheckResult};
use crate::context::{Context, Hosted};
use grasp_fixtures::Announcement;

const ROW: &str = "G01/git/push-aligned";

pub(super) fn checks() -> Vec<Check> {
    vec![
        Check::new(
            ROW,
            "co-maintainer",
            "the state of a listed maintainer admits a push to the owner's repository",
            co_maintainer,
        ),
        Check::new(ROW, "role-tag", "so does the state of an active `m` role", role_tag),
        Check::new(
            ROW,
            "two-hops",
            "so does the state of a maintainer's maintainer, whose link is lists no service",
            two_hops,
        ),
        Check::new(ROW, "cycle", "so does any state in a chain that leads back to the owner", cycle),
        Check::new(
            ROW,
            "announced-after-the-state",
            "a waiting state admits a push to a repository that was announced later",
            announced_after,
        ),
        Check::new(
            ROW,
            "two-states-waiting",
            "of two waiting states the one whose refs are pushed is served, the newer one later",
            two_states,
        ),
        Check::new(
            ROW,
            "newer-of-two-first",
            "once the newer of two waiting states is served, the older one admits no push",
            newer_first,
        ),
        Check::new(
            ROW,
            "older-than-served",
            "a state older than the served one admits no push",
            older_than_served,
        ),
        Check::new(
            ROW,
            "back-by-a-newer-state",
            "a newer state may lead back to what an older one said, with new commits beside it",
            back_again,
        ),
    ]
}

async fn co_maintainer(ctx: Context) -> CheckResult {
    let other = ctx.someone();
    let listing = ctx.announcement().maintainer(other.public_key());
    push_for(&ctx, &listing, &other).await
}

async fn role_tag(ctx: Context) -> CheckResult {
    let other = ctx.someone();
    let owner = ctx.owner.public_key();
    let listing = ctx.announcement().role('M', owner, &[]);
    push_for(&ctx, &listing.role('m', other.public_key(), &[]), &other).await
}

async fn two_hops(ctx: Context) -> CheckResult {
    let (link, end) = (ctx.someone(), ctx.someone());
    let listing = ctx.announcement().maintainer(link.public_key());
    let hosted = ctx.waiting_repository_as(&ctx.owner, &listing).await?;
    // it lists no service at all: taken because its author is a maintainer of what is hosted here
    let next = Announcement::new(&ctx.identifier).maintainer(end.public_key());
    ctx.accepted(&ctx.sign(&link, next.draft())).await?;
    push_to(&ctx, &hosted, &end).await
}

async fn cycle(ctx: Context) -> CheckResult {
    let (link, end) = (ctx.someone(), ctx.someone());
    let listing = ctx.announcement().maintainer(link.public_key());
    let hosted = ctx.waiting_repository_as(&ctx.owner, &listing).await?;
    let owner = ctx.owner.public_key();
    for (author, lists) in [(&link, end.public_key()), (&end, owner)] {
        let next = Announcement::new(&ctx.identifier).maintainer(lists);
        ctx.accepted(&ctx.sign(author, next.draft())).await?;
    }
    push_to(&ctx, &hosted, &end).await
}

async fn announced_after(ctx: Context) -> CheckResult {
    let late = ctx.someone();
    let first = ctx.waiting_repository().await?;
    let listing = ctx.announcement_of(&late, &ctx.identifier).maintainer(ctx.owner.public_key());
    let event = ctx.sign(&late, listing.draft());
    ctx.accepted(&event).await?;
    let url = ctx.target.url.clone_url(&late.public_key(), &ctx.identifier);
    let output = ctx.git.push(&first.repository, &url, &["refs/heads/main"]);
    crate::context::pushed(output.await?)?;
    ctx.served_already(&first.state).await?;
    ctx.served_already(&event).await
}

async fn two_states(ctx: Context) -> CheckResult {
    let (hosted, older, newer) = two_waiting(&ctx).await?;
    push_tip(&ctx, &hosted, &older.1).await?;
    ctx.served_already(&older.0).await?;
    ctx.not_served(&newer.0).await?;
    ctx.shows(&hosted.path, &hosted.main_at(&older.1)).await?;
    push_tip(&ctx, &hosted, &newer.1).await?;
    ctx.served_already(&newer.0).await?;
    ctx.shows(&hosted.path, &hosted.main_at(&newer.1)).await
}

async fn newer_first(ctx: Context) -> CheckResult {
    let (hosted, older, newer) = two_waiting(&ctx).await?;
    push_tip(&ctx, &hosted, &newer.1).await?;
    ctx.served_already(&newer.0).await?;
    let back = format!("+{}:refs/heads/main", older.1);
    ctx.push_refused(&hosted, &[&back]).await?;
    ctx.shows(&hosted.path, &hosted.main_at(&newer.1)).await
}

async fn older_than_served(ctx: Context) -> CheckResult {
    let other = ctx.someone();
    let listing = ctx.announcement().maintainer(other.public_key());
    let early = ctx.later(); // a second before everything that follows
    let hosted = ctx.hosted_repository_as(&ctx.owner, &listing).await?;
    let tip = hosted.commit("older").await?;
    // whether it is taken or refused does not matter here
    let older = ctx.sign(&other, hosted.main_at(&tip).draft().at(early));
    ctx.publish(&older).await?;
    let branch = format!("{tip}:refs/heads/main");
    ctx.push_refused(&hosted, &[&branch]).await?;
    ctx.shows(&hosted.path, &hosted.main_at(&hosted.tip)).await
}

async fn back_again(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let (second, beside) = (hosted.commit("second").await?, hosted.commit("beside").await?);
    ctx.state_by(&hosted.owner, &hosted.main_at(&second)).await?;
    push_tip(&ctx, &hosted, &second).await?;
    let state = hosted.main_at(&hosted.tip).branch("beside", &beside);
    ctx.state_by(&hosted.owner, &state).await?;
    let back = format!("+{}:refs/heads/main", hosted.tip);
    let beside = format!("{beside}:refs/heads/beside");
    ctx.push(&hosted, &[&back, &beside]).await?;
    ctx.shows(&hosted.path, &state).await
}

/// The owner announces `listing`; a state by `author` must admit a push.
async fn push_for(ctx: &Context, listing: &Announcement, author: &nostr::key::Keys) -> CheckResult {
    let hosted = ctx.waiting_repository_as(&ctx.owner, listing).await?;
    push_to(ctx, &hosted, author).await
}

/// A state by `author` must admit a push to the owner's repository, and be served with the announcement.
async fn push_to(ctx: &Context, hosted: &Hosted, author: &nostr::key::Keys) -> CheckResult {
    let tip = hosted.commit("theirs").await?;
    let event = ctx.state_by(author, &hosted.main_at(&tip)).await?;
    push_tip(ctx, hosted, &tip).await?;
    ctx.shows(&hosted.path, &hosted.main_at(&tip)).await?;
    ctx.served_already(&event).await?;
    ctx.served_already(&hosted.announcement).await
}

async fn push_tip(ctx: &Context, hosted: &Hosted, tip: &str) -> CheckResult {
    let branch = format!("+{tip}:refs/heads/main");
    ctx.push(hosted, &[&branch]).await.map(drop)
}

/// A state and the commit of its `main`.
type Waiting = (Event, String);

/// A hosted repository with two waiting states: the older one by the owner, the newer one by a maintainer.
async fn two_waiting(ctx: &Context) -> CheckResult<(Hosted, Waiting, Waiting)> {
    let other = ctx.someone();
    let listing = ctx.announcement().maintainer(other.public_key());
    let hosted = ctx.hosted_repository_as(&ctx.owner, &listing).await?;
    let (one, two) = (hosted.commit("one").await?, hosted.commit("two").await?);
    let older = ctx.state_by(&ctx.owner, &hosted.main_at(&one)).await?;
    let newer = ctx.state_by(&other, &hosted.main_at(&two)).await?;
    Ok((hosted, (older, one), (newer, two)))
}
