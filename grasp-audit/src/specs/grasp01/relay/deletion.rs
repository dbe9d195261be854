//! `G01/relay/deletion`: NIP-09, for what is served. What waits is withdrawn: `G01/purgatory/withdrawn`.

use grasp_fixtures::{Draft, events};
use nostr::event::Event;

use super::related::served_pr;
use super::{filed_issue, issue, path_answers};
use crate::check::{Check, CheckResult};
use crate::context::{Context, Hosted};

const ROW: &str = "G01/relay/deletion";

/// How a kind 5 names an event.
#[derive(Debug, Clone, Copy)]
enum By {
    Id,
    Address,
}

impl By {
    fn deletion_of(self, event: &Event) -> Draft {
        match self {
            Self::Id => events::delete_ids([&event.id]),
            Self::Address => events::delete_address(&address(event)),
        }
    }
}

fn address(event: &Event) -> String {
    let identifier = event.tags.identifier().unwrap_or_default();
    format!("{}:{}:{identifier}", event.kind.as_u16(), event.pubkey.to_hex())
}

pub(super) fn checks() -> Vec<Check> {
    vec![
        Check::new(
            ROW,
            "issue",
            "an issue is gone when its author deletes it, and the kind 5 is served",
            delete_issue,
        ),
        Check::new(
            ROW,
            "comment",
            "a comment is gone when its author deletes it, and the issue stays",
            comment,
        ),
        Check::new(ROW, "several", "one kind 5 deletes several events", several),
        Check::new(ROW, "article", "an addressable event is gone when its address is deleted", article),
        Check::new(
            ROW,
            "state-by-id",
            "a state is gone when it is deleted by id; refs stay when none remains",
            |ctx| state(ctx, By::Id),
        ),
        Check::new(ROW, "state-by-address", "a state is gone when it is deleted by address", |ctx| {
            state(ctx, By::Address)
        }),
        Check::new(
            ROW,
            "state-falls-back",
            "refs follow the newest remaining state when a newer one is deleted",
            falls_back,
        ),
        Check::new(
            ROW,
            "announcement-by-id",
            "a deleted announcement takes the owner's states and the path with it",
            |ctx| announcement(ctx, By::Id),
        ),
        Check::new(ROW, "announcement-by-address", "the same by its address", |ctx| {
            announcement(ctx, By::Address)
        }),
        Check::new(ROW, "announcement-again", "a deleted repository can be announced again", announced_again),
        Check::new(ROW, "pr", "a deleted PR takes its refs/nostr/<id> with it", pr),
        Check::new(
            ROW,
            "by-stranger",
            "a stranger's kind 5 about others' events is refused, and nothing goes",
            |ctx| by_somebody_else(ctx, By::Id),
        ),
        Check::new(ROW, "by-stranger-address", "the same by address", |ctx| {
            by_somebody_else(ctx, By::Address)
        }),
        Check::new(
            ROW,
            "by-owner",
            "the owner cannot delete somebody's issue about its repository",
            by_owner,
        ),
        Check::new(ROW, "mixed", "a kind 5 that names own and others' events deletes the own ones", mixed),
        Check::new(ROW, "again", "a deleted event is refused when it is published again", again),
        Check::new(
            ROW,
            "again-address",
            "an event as old as the deletion of its address is refused, a newer one taken",
            newer,
        ),
        Check::new(
            ROW,
            "older-deletion",
            "a deletion of an address spares a version newer than itself",
            older_deletion,
        ),
        Check::new(ROW, "of-deletion", "deleting a kind 5 brings nothing back", of_deletion),
        Check::new(ROW, "unknown", "a kind 5 that names nothing known is refused", unknown),
        Check::new(ROW, "empty", "a kind 5 that names nothing at all is refused", empty),
    ]
}

async fn delete_issue(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let author = ctx.someone();
    let issue = filed_issue(&ctx, &hosted, &author).await?;
    let deletion = ctx.publishes(&author, By::Id.deletion_of(&issue)).await?;
    ctx.gone(&issue).await?;
    ctx.not_served(&issue).await?;
    ctx.served(&deletion).await
}

async fn comment(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let (author, commenter) = (ctx.someone(), ctx.someone());
    let issue = filed_issue(&ctx, &hosted, &author).await?;
    let comment = ctx.publishes(&commenter, events::comment(&issue, "same here")).await?;
    ctx.publishes(&commenter, By::Id.deletion_of(&comment)).await?;
    ctx.gone(&comment).await?;
    ctx.served(&issue).await
}

async fn several(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let one = filed_issue(&ctx, &hosted, &ctx.owner).await?;
    let other = filed_issue(&ctx, &hosted, &ctx.owner).await?;
    let kept = filed_issue(&ctx, &hosted, &ctx.owner).await?;
    ctx.publishes(&ctx.owner, events::delete_ids([&one.id, &other.id])).await?;
    ctx.gone(&one).await?;
    ctx.gone(&other).await?;
    ctx.served(&kept).await
}

async fn article(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let author = ctx.someone();
    let article = |d: &str| Draft::new(30_023, "text").tag(["d", d]).tag(["a", &hosted.coordinate]);
    let deleted = ctx.publishes(&author, article("deleted")).await?;
    let kept = ctx.publishes(&author, article("kept")).await?;
    ctx.publishes(&author, By::Address.deletion_of(&deleted)).await?;
    ctx.gone(&deleted).await?;
    ctx.served(&kept).await
}

async fn state(ctx: Context, by: By) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    ctx.publishes(&ctx.owner, by.deletion_of(&hosted.state)).await?;
    ctx.gone(&hosted.state).await?;
    ctx.served(&hosted.announcement).await?;
    ctx.shows(&hosted.path, &hosted.main_at(&hosted.tip)).await
}

async fn falls_back(ctx: Context) -> CheckResult {
    let maintainer = ctx.someone();
    let announcement = ctx.announcement().maintainer(maintainer.public_key());
    let hosted = ctx.hosted_repository_as(&ctx.owner, &announcement).await?;
    let next = hosted.commit("more.txt").await?;
    let newer = ctx.state_by(&maintainer, &hosted.main_at(&next)).await?;
    ctx.push(&hosted, &[&format!("{next}:refs/heads/main")]).await?;
    ctx.comes_to_show(&hosted.path, &hosted.main_at(&next)).await?;
    ctx.publishes(&maintainer, By::Id.deletion_of(&newer)).await?;
    ctx.gone(&newer).await?;
    ctx.served(&hosted.state).await?;
    ctx.comes_to_show(&hosted.path, &hosted.main_at(&hosted.tip)).await
}

async fn announcement(ctx: Context, by: By) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    ctx.publishes(&ctx.owner, by.deletion_of(&hosted.announcement)).await?;
    ctx.gone(&hosted.announcement).await?;
    ctx.gone(&hosted.state).await?;
    path_answers(&ctx, &hosted.path, 404).await
}

async fn announced_again(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    ctx.publishes(&ctx.owner, By::Address.deletion_of(&hosted.announcement)).await?;
    path_answers(&ctx, &hosted.path, 404).await?;
    ctx.refused(&hosted.announcement).await?;
    ctx.announce().await?;
    path_answers(&ctx, &hosted.path, 200).await
}

async fn pr(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let author = ctx.someone();
    let (pr, tip) = served_pr(&ctx, &hosted, &author).await?;
    let name = format!("refs/nostr/{}", pr.id.to_hex());
    ctx.ref_becomes(&hosted.path, &name, Some(&tip)).await?;
    ctx.publishes(&author, By::Id.deletion_of(&pr)).await?;
    ctx.gone(&pr).await?;
    ctx.ref_becomes(&hosted.path, &name, None).await
}

async fn by_somebody_else(ctx: Context, by: By) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let stranger = ctx.someone();
    for theirs in [&hosted.announcement, &hosted.state] {
        ctx.refused(&ctx.sign(&stranger, by.deletion_of(theirs))).await?;
    }
    ctx.served(&hosted.announcement).await?;
    ctx.served(&hosted.state).await?;
    ctx.shows(&hosted.path, &hosted.main_at(&hosted.tip)).await
}

async fn by_owner(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let issue = filed_issue(&ctx, &hosted, &ctx.someone()).await?;
    ctx.refused(&ctx.sign(&ctx.owner, By::Id.deletion_of(&issue))).await?;
    ctx.served(&issue).await
}

async fn mixed(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let author = ctx.someone();
    let own = filed_issue(&ctx, &hosted, &author).await?;
    let others = filed_issue(&ctx, &hosted, &ctx.someone()).await?;
    let announcement = address(&hosted.announcement);
    ctx.publishes(&author, events::delete_ids([&others.id, &own.id]).tag(["a", &announcement])).await?;
    ctx.gone(&own).await?;
    ctx.served(&others).await?;
    ctx.served(&hosted.announcement).await
}

async fn again(ctx: Context) -> CheckResult {
    let (issue, _) = deleted_issue(&ctx, &ctx.hosted_repository().await?).await?;
    ctx.refused(&issue).await?;
    ctx.not_served(&issue).await
}

async fn deleted_issue(ctx: &Context, hosted: &Hosted) -> CheckResult<(Event, Event)> {
    let issue = ctx.publishes(&ctx.owner, issue(hosted)).await?;
    let deletion = ctx.publishes(&ctx.owner, By::Id.deletion_of(&issue)).await?;
    ctx.gone(&issue).await?;
    Ok((issue, deletion))
}

async fn newer(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let article = || Draft::new(30_023, "text").tag(["d", "same"]).tag(["a", &hosted.coordinate]);
    let first = ctx.publishes(&ctx.owner, article()).await?;
    let between = ctx.sign(&ctx.owner, article());
    ctx.publishes(&ctx.owner, By::Address.deletion_of(&first)).await?;
    ctx.gone(&first).await?;
    ctx.refused(&first).await?;
    ctx.refused(&between).await?;
    let newer = ctx.publishes(&ctx.owner, article()).await?;
    ctx.served(&newer).await
}

async fn older_deletion(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let article = Draft::new(30_023, "text").tag(["d", "same"]).tag(["a", &hosted.coordinate]);
    let address = format!("30023:{}:same", ctx.owner.public_key().to_hex());
    let deletion = ctx.sign(&ctx.owner, events::delete_address(&address));
    let article = ctx.publishes(&ctx.owner, article).await?;
    ctx.publish(&deletion).await?; // it deletes nothing: either answer will do
    ctx.served_already(&article).await
}

async fn of_deletion(ctx: Context) -> CheckResult {
    let (issue, deletion) = deleted_issue(&ctx, &ctx.hosted_repository().await?).await?;
    let undo = ctx.sign(&ctx.owner, By::Id.deletion_of(&deletion));
    ctx.publish(&undo).await?; // a relay may take it or not, it has no effect
    ctx.refused(&issue).await?;
    ctx.not_served(&issue).await
}

async fn unknown(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let never = ctx.sign(&ctx.owner, issue(&hosted));
    ctx.refused(&ctx.sign(&ctx.owner, By::Id.deletion_of(&never))).await?;
    let address = format!("30023:{}:never", ctx.owner.public_key().to_hex());
    ctx.refused(&ctx.sign(&ctx.owner, events::delete_address(&address))).await.map(drop)
}

async fn empty(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    ctx.refused(&ctx.sign(&ctx.owner, Draft::new(events::DELETION, "everything"))).await?;
    ctx.served(&hosted.announcement).await
}
