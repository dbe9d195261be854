//! G01/purgatory/ok-message and not-served: what waits is taken, says so, and is seen nowhere.

use std::time::Duration;

use grasp_fixtures::PullRequest;
use nostr::event::Event;
use serde_json::json;

use super::waiting::{Kind, Waiting};
use crate::check::{Check, CheckResult, expect, skip};
use crate::context::Context;

const MESSAGE: &str = "G01/purgatory/ok-message";
const UNSERVED: &str = "G01/purgatory/not-served";
/// What the answer to an event that has to wait begins with.
const WAITS: &str = "purgatory: won't be served until git data arrives";
/// How long a live subscription is watched after something else has come through it.
const QUIET: Duration = Duration::from_millis(300);

pub(super) fn checks() -> Vec<Check> {
    let mut checks = vec![
        Check::new(
            MESSAGE,
            "first-state",
            "the first state of a waiting announcement is answered OK true with a purgatory message",
            first_state,
        ),
        Check::new(
            MESSAGE,
            "update",
            "a pull request update without its data is answered OK true with a purgatory message",
            update,
        ),
        Check::new(UNSERVED, "refused-push", "a refused push releases nothing", refused_push),
    ];
    for kind in Kind::ALL {
        let name = kind.name();
        checks.push(Check::new(
            MESSAGE,
            name,
            format!("a new {name} without its data is answered OK true with a purgatory message"),
            move |ctx| message(ctx, kind),
        ));
        checks.push(Check::new(
            UNSERVED,
            &format!("{name}-req"),
            format!("no REQ finds a waiting {name}: by id, by author, by tag"),
            move |ctx| req(ctx, kind),
        ));
        checks.push(Check::new(
            UNSERVED,
            &format!("{name}-count"),
            format!("no COUNT counts a waiting {name}"),
            move |ctx| count(ctx, kind),
        ));
        checks.push(Check::new(
            UNSERVED,
            &format!("{name}-neg"),
            format!("no negentropy session lists a waiting {name}"),
            move |ctx| neg(ctx, kind),
        ));
        checks.push(Check::new(
            UNSERVED,
            &format!("{name}-live"),
            format!("no live subscription sees a waiting {name}"),
            move |ctx| live(ctx, kind),
        ));
    }
    checks
}

async fn message(ctx: Context, kind: Kind) -> CheckResult {
    let waiting = Waiting::prepare(&ctx, kind).await?;
    is_told(&ctx, &waiting.event).await
}

async fn first_state(ctx: Context) -> CheckResult {
    ctx.announce().await?;
    let (_, tip) = ctx.local_repository().await?;
    is_told(&ctx, &ctx.sign(&ctx.owner, ctx.state(&tip).draft())).await
}

async fn update(ctx: Context) -> CheckResult {
    let waiting = Waiting::prepare(&ctx, Kind::PullRequest).await?;
    ctx.accepted(&waiting.event).await?;
    waiting.release(&ctx).await?;
    let tip = waiting.served.commit("second").await?;
    let update = PullRequest::new(&waiting.served.coordinate, &tip).update_of(&waiting.event);
    is_told(&ctx, &ctx.sign(&waiting.author, update)).await
}

async fn req(ctx: Context, kind: Kind) -> CheckResult {
    let waiting = published(&ctx, kind).await?;
    for filter in waiting.filters() {
        let found = ctx.query(filter.clone()).await?;
        let unseen = found.iter().all(|event| event.id != waiting.event.id);
        expect(unseen, format!("not found by {filter}"), "it was found")?;
    }
    Ok(())
}

async fn count(ctx: Context, kind: Kind) -> CheckResult {
    let waiting = published(&ctx, kind).await?;
    for filter in waiting.filters() {
        let counted = ctx.publisher().await?.count(std::slice::from_ref(&filter)).await?;
        let counted = counted.ok_or_else(|| skip("the relay does not answer COUNT"))?;
        expect(counted == 0, format!("0 for COUNT {filter}"), counted)?;
    }
    Ok(())
}

async fn neg(ctx: Context, kind: Kind) -> CheckResult {
    let waiting = published(&ctx, kind).await?;
    for filter in waiting.filters() {
        let listed = ctx.publisher().await?.neg_ids(&filter).await?;
        let listed = listed.ok_or_else(|| skip("the relay does not speak negentropy"))?;
        let unseen = !listed.contains(&waiting.event.id.to_hex());
        expect(unseen, format!("not listed for {filter}"), "it was listed")?;
    }
    Ok(())
}

async fn live(ctx: Context, kind: Kind) -> CheckResult {
    let waiting = Waiting::prepare(&ctx, kind).await?;
    let relay = ctx.relay().await?;
    let since = waiting.event.created_at.as_secs();
    let mine = json!({"authors": [waiting.author.public_key().to_hex()], "since": since});
    let mut subscription = relay.subscribe(&[mine]).await?;
    ctx.accepted(&waiting.event).await?;
    let fence = waiting.fence(&ctx);
    ctx.accepted(&fence).await?;
    let mut within = crate::context::SETTLES_WITHIN;
    let mut fenced = false;
    while let Some(event) = subscription.next_event(within).await? {
        let unseen = event.id != waiting.event.id;
        expect(unseen, "nothing until it is released", "it was delivered")?;
        if event.id == fence.id {
            (fenced, within) = (true, QUIET);
        }
    }
    expect(fenced, "a served event to come live", "nothing came")
}

async fn refused_push(ctx: Context) -> CheckResult {
    let hosted = ctx.waiting_repository().await?;
    let other = hosted.commit("other").await?;
    ctx.push_refused(&hosted, &[&format!("{other}:refs/heads/main")]).await?;
    ctx.not_served(&hosted.announcement).await?;
    ctx.not_served(&hosted.state).await
}

async fn published(ctx: &Context, kind: Kind) -> CheckResult<Waiting> {
    let waiting = Waiting::prepare(ctx, kind).await?;
    ctx.accepted(&waiting.event).await?;
    Ok(waiting)
}

async fn is_told(ctx: &Context, event: &Event) -> CheckResult {
    let reply = ctx.accepted(event).await?;
    let told = reply.message.starts_with(WAITS);
    expect(told, format!("a message beginning `{WAITS}`"), reply)
}
