//! G02/events/live: what comes to another relay while it is connected.

use std::time::Duration;

use grasp_fixtures::events;

use super::super::elsewhere::check;
use crate::check::{Check, CheckResult};
use crate::context::{Context, SYNCED_WITHIN};
use crate::peer::visits::Subscriptions;

const LIVE: &str = "G02/events/live";

pub(super) fn checks() -> Vec<Check> {
    vec![
        check(
            LIVE,
            "issue",
            "a new issue at a connected peer comes on the open subscription, without polling",
            issue,
        ),
        check(
            LIVE,
            "comment",
            "a new comment on an issue that is here comes on the open subscription, without polling",
            comment,
        ),
        check(
            LIVE,
            "comment-on-new-issue",
            "an issue comes live, and then a comment on it: it is subscribed for, too",
            comment_on_new_issue,
        ),
        check(
            LIVE,
            "state",
            "a new state at a connected peer, whose data is here, comes on the open subscription",
            state,
        ),
        check(
            LIVE,
            "without-eose",
            "a new issue comes live also from a peer that never tells the end of its stored events",
            without_eose,
        ),
    ]
}

async fn issue(ctx: Context) -> CheckResult {
    let peer = ctx.peer().await?;
    ctx.hosted_naming(&[&peer]).await?;
    ctx.arrives_live(&peer, &ctx.issue("new")).await
}

async fn comment(ctx: Context) -> CheckResult {
    let peer = ctx.peer().await?;
    ctx.hosted_naming(&[&peer]).await?;
    let issue = ctx.issue("known here");
    ctx.accepted(&issue).await?;
    let comment = ctx.sign(&ctx.someone(), events::comment(&issue, "new"));
    ctx.arrives_live(&peer, &comment).await
}

async fn comment_on_new_issue(ctx: Context) -> CheckResult {
    let peer = ctx.peer().await?;
    ctx.hosted_naming(&[&peer]).await?;
    let issue = ctx.issue("new");
    ctx.arrives_live(&peer, &issue).await?;
    let comment = ctx.sign(&ctx.someone(), events::comment(&issue, "newer"));
    ctx.arrives_live(&peer, &comment).await
}

async fn state(ctx: Context) -> CheckResult {
    let peer = ctx.peer().await?;
    let hosted = ctx.hosted_naming(&[&peer]).await?;
    // another branch at the commit that is here
    let state = hosted.main_at(&hosted.tip).branch("other", &hosted.tip);
    let event = ctx.sign(&ctx.owner, state.draft());
    ctx.arrives_live(&peer, &event).await?;
    ctx.comes_to_show(&hosted.path, &state).await
}

async fn without_eose(ctx: Context) -> CheckResult {
    let peer = ctx.peer().await?;
    peer.behave(|manners| manners.no_eose = true);
    ctx.hosted_naming(&[&peer]).await?;
    let issue = ctx.issue("new");
    ctx.visit(&peer, "a subscription that covers the issue", SYNCED_WITHIN, |visits| {
        let open = Subscriptions::after(visits);
        open.iter().any(|(_, open)| open.covers(&issue)).then_some(())
    })
    .await?;
    // a history that is being read would bring it as well
    ctx.reads_histories(&peer, Duration::ZERO).await;
    peer.publish(&issue).await?;
    ctx.arrives(&peer, &issue).await
}
