//! G01/purgatory/released: what waited is served as soon as its data is here, to live subscribers too.

use grasp_fixtures::State;
use nostr::event::Event;
use serde_json::json;

use super::waiting::{Kind, Waiting};
use crate::check::{Check, CheckResult, expect, fail, skip};
use crate::context::{Context, Hosted, SETTLES_WITHIN};
use crate::target::websocket::{Relay, Subscription};

const ROW: &str = "G01/purgatory/released";

pub(super) fn checks() -> Vec<Check> {
    let mut checks = vec![
        Check::new(
            ROW,
            "state-data-first",
            "a state whose data another owner pushed before is served on arrival, live too",
            state_data_first,
        ),
        Check::new(
            ROW,
            "announcement-data-first",
            "an announcement is served once its state names what another owner pushed before, live too",
            announcement_data_first,
        ),
        Check::new(
            ROW,
            "pull-request-data-first",
            "a pull request whose data was pushed before is served on arrival, live too",
            pull_request_data_first,
        ),
    ];
    for kind in Kind::ALL {
        let name = kind.name();
        checks.push(Check::new(
            ROW,
            &format!("{name}-req"),
            format!("when the push returns, REQ finds the {name}: by id, by author, by tag"),
            move |ctx| req(ctx, kind),
        ));
        checks.push(Check::new(
            ROW,
            &format!("{name}-count"),
            format!("and COUNT counts the {name}"),
            move |ctx| count(ctx, kind),
        ));
        checks.push(Check::new(
            ROW,
            &format!("{name}-neg"),
            format!("and negentropy lists the {name}"),
            move |ctx| neg(ctx, kind),
        ));
        checks.push(Check::new(
            ROW,
            &format!("{name}-live"),
            format!("a subscription opened before the push is sent the {name}, once"),
            move |ctx| live(ctx, kind),
        ));
    }
    checks
}

async fn req(ctx: Context, kind: Kind) -> CheckResult {
    let released = released(&ctx, kind).await?;
    for filter in released.filters() {
        let found = ctx.query(filter.clone()).await?;
        let seen = found.iter().any(|event| event.id == released.event.id);
        expect(seen, format!("REQ {filter} to find it"), "it did not")?;
    }
    Ok(())
}

async fn count(ctx: Context, kind: Kind) -> CheckResult {
    let released = released(&ctx, kind).await?;
    for filter in released.filters() {
        let relay = ctx.publisher().await?;
        let counted = relay.count(std::slice::from_ref(&filter)).await?;
        let counted = counted.ok_or_else(|| skip("the relay does not answer COUNT"))?;
        expect(counted == 1, format!("1 for COUNT {filter}"), counted)?;
    }
    Ok(())
}

async fn neg(ctx: Context, kind: Kind) -> CheckResult {
    let released = released(&ctx, kind).await?;
    for filter in released.filters() {
        let listed = ctx.publisher().await?.neg_ids(&filter).await?;
        let listed = listed.ok_or_else(|| skip("the relay does not speak negentropy"))?;
        let seen = listed.contains(&released.event.id.to_hex());
        expect(seen, format!("listed for {filter}"), format!("{listed:?}"))?;
    }
    Ok(())
}

async fn live(ctx: Context, kind: Kind) -> CheckResult {
    let waiting = Waiting::prepare(&ctx, kind).await?;
    let relay = ctx.relay().await?;
    let mut subscription = watch(&relay, &waiting.event).await?;
    ctx.accepted(&waiting.event).await?;
    waiting.release(&ctx).await?;
    comes(&mut subscription, &waiting.event).await?;
    let fence = waiting.fence(&ctx);
    ctx.accepted(&fence).await?;
    let between = comes(&mut subscription, &fence).await?;
    let once = between.iter().all(|event| event.id != waiting.event.id);
    expect(once, "it comes once", "it came twice")
}

async fn state_data_first(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let (other, tip) = pushed_by_another(&ctx).await?;
    let event = ctx.sign(&ctx.owner, hosted.main_at(&tip).draft());
    let relay = ctx.relay().await?;
    let mut subscription = watch(&relay, &event).await?;
    ctx.accepted(&event).await?;
    comes(&mut subscription, &event).await?;
    ctx.served(&event).await?;
    ctx.comes_to_show(&hosted.path, &hosted.main_at(&tip)).await?;
    ctx.shows(&other.path, &hosted.main_at(&tip)).await
}

async fn announcement_data_first(ctx: Context) -> CheckResult {
    let (_, tip) = pushed_by_another(&ctx).await?;
    let announcement = ctx.sign(&ctx.owner, ctx.announcement().draft());
    let relay = ctx.relay().await?;
    let mut subscription = watch(&relay, &announcement).await?;
    ctx.accepted(&announcement).await?;
    ctx.not_served(&announcement).await?;
    let state = State::new(&ctx.identifier).branch("main", &tip).head("main");
    ctx.state_by(&ctx.owner, &state).await?;
    comes(&mut subscription, &announcement).await?;
    ctx.served(&announcement).await
}

async fn pull_request_data_first(ctx: Context) -> CheckResult {
    let waiting = Waiting::prepare(&ctx, Kind::PullRequest).await?;
    waiting.push(&ctx).await?;
    let relay = ctx.relay().await?;
    let mut subscription = watch(&relay, &waiting.event).await?;
    ctx.accepted(&waiting.event).await?;
    comes(&mut subscription, &waiting.event).await?;
    ctx.served(&waiting.event).await
}

async fn released(ctx: &Context, kind: Kind) -> CheckResult<Waiting> {
    let waiting = Waiting::prepare(ctx, kind).await?;
    ctx.accepted(&waiting.event).await?;
    waiting.release(ctx).await?;
    Ok(waiting)
}

/// Another owner's hosted repository of the check's identifier, and its tip.
async fn pushed_by_another(ctx: &Context) -> CheckResult<(Hosted, String)> {
    let other = ctx.someone();
    let hosted = ctx.hosted_repository_of(&other, &ctx.identifier).await?;
    let tip = hosted.tip.clone();
    Ok((hosted, tip))
}

/// A subscription to what the event's author publishes from this event on.
async fn watch<'a>(relay: &'a Relay, event: &Event) -> CheckResult<Subscription<'a>> {
    let since = event.created_at.as_secs();
    let filter = json!({"authors": [event.pubkey.to_hex()], "since": since});
    Ok(relay.subscribe(&[filter]).await?)
}

/// The event must come live; returns what came before it.
async fn comes(subscription: &mut Subscription<'_>, event: &Event) -> CheckResult<Vec<Event>> {
    let mut before = Vec::new();
    while let Some(next) = subscription.next_event(SETTLES_WITHIN).await? {
        if next.id == event.id {
            return Ok(before);
        }
        before.push(next);
    }
    let wanted = format!("{} live within {SETTLES_WITHIN:?}", event.id);
    Err(fail(wanted, format!("{} other events", before.len())))
}
