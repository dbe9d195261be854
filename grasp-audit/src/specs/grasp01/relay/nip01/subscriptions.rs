//! Subscriptions: stored, EOSE, live, CLOSE; and what a subscription id may be.

use std::collections::BTreeSet;

use grasp_fixtures::events;
use nostr::event::Event;
use serde_json::{Value, json};

use super::ROW;
use crate::check::{Check, CheckResult, Ending, expect, expect_eq, fail};
use crate::context::{Context, Hosted, SETTLES_WITHIN};
use crate::specs::grasp01::relay::{filed_issue, issue};
use crate::target::message::RelayMessage;
use crate::target::websocket::{Relay, RelayError, Subscription};

/// How many events are published while subscriptions are being opened.
const STREAM: usize = 40;
/// How many subscriptions are opened while events are being published.
const WATCHERS: usize = 8;

pub(super) fn checks() -> Vec<Check> {
    vec![
        Check::new(ROW, "live", "after EOSE, what is published reaches the subscription", live),
        Check::new(
            ROW,
            "live-filtered",
            "a live subscription gets what its filters match, and only that",
            filtered,
        ),
        Check::new(ROW, "live-once", "a live event that two filters of one REQ match comes once", once),
        Check::new(ROW, "live-each", "two subscriptions of one connection each get the event", each),
        Check::new(
            ROW,
            "exactly-once",
            "subscriptions opened while 40 events are published get each exactly once, stored or live",
            exactly_once,
        ),
        Check::new(ROW, "close", "after CLOSE the subscription gets nothing more", close),
        Check::new(ROW, "close-own", "a CLOSE ends no subscription of another connection", close_own),
        Check::new(ROW, "replace", "a REQ with an id in use replaces that subscription", replace),
        Check::new(ROW, "id-64", "a subscription id of 64 characters, any characters, works", longest_id),
        Check::new(ROW, "id-65", "a subscription id of 65 characters is refused: CLOSED or NOTICE", |ctx| {
            bad_id(ctx, "x".repeat(65))
        }),
        Check::new(ROW, "id-empty", "an empty subscription id is refused: CLOSED or NOTICE", |ctx| {
            bad_id(ctx, String::new())
        }),
        Check::new(
            ROW,
            "bad-filter",
            "a REQ with a filter that is none is answered CLOSED or NOTICE, and other subscriptions live on",
            bad_filter,
        ),
        Check::new(
            ROW,
            "unknown-verb",
            "an unknown verb is answered with a NOTICE, and the connection lives",
            unknown_verb,
        ),
    ]
}

fn issues_of(hosted: &Hosted) -> Value {
    json!({"kinds": [1621], "#a": [hosted.coordinate]})
}

fn notes_of(hosted: &Hosted) -> Value {
    json!({"kinds": [1], "#a": [hosted.coordinate]})
}

async fn live(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let relay = ctx.relay().await?;
    let stored = filed_issue(&ctx, &hosted, &ctx.owner).await?;
    let mut live = relay.subscribe(&[issues_of(&hosted)]).await?;
    expect_eq("what is stored", &vec![stored], &live.stored)?;
    let published = filed_issue(&ctx, &hosted, &ctx.owner).await?;
    let seen = live.next_event(SETTLES_WITHIN).await?;
    expect_eq("what comes live", &Some(published), &seen)
}

async fn filtered(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let relay = ctx.relay().await?;
    let mine = json!({"#a": [hosted.coordinate], "kinds": [1], "#t": ["wanted"]});
    let mut live = relay.subscribe(&[mine]).await?;
    let note = |text: &str| events::note(text).tag(["a", &hosted.coordinate]);
    filed_issue(&ctx, &hosted, &ctx.owner).await?;
    ctx.publishes(&ctx.owner, note("unwanted").tag(["t", "unwanted"])).await?;
    let wanted = ctx.publishes(&ctx.owner, note("wanted").tag(["t", "wanted"])).await?;
    // whatever else it matched would have come before
    let seen = live.next_event(SETTLES_WITHIN).await?;
    expect_eq("the first event that comes live", &Some(wanted), &seen)
}

async fn once(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let relay = ctx.relay().await?;
    let filters = [issues_of(&hosted), json!({"authors": [ctx.owner.public_key().to_hex()]})];
    let mut live = relay.subscribe(&filters).await?;
    let first = filed_issue(&ctx, &hosted, &ctx.owner).await?;
    let second = filed_issue(&ctx, &hosted, &ctx.owner).await?;
    expect_eq("the first event", &Some(first), &live.next_event(SETTLES_WITHIN).await?)?;
    expect_eq("the next event", &Some(second), &live.next_event(SETTLES_WITHIN).await?)
}

async fn each(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let relay = ctx.relay().await?;
    let mut one = relay.subscribe(&[issues_of(&hosted)]).await?;
    let mut other = relay.subscribe(&[json!({"#a": [hosted.coordinate]})]).await?;
    let published = filed_issue(&ctx, &hosted, &ctx.owner).await?;
    for live in [&mut one, &mut other] {
        let seen = live.next_event(SETTLES_WITHIN).await?;
        expect_eq("what each subscription gets", &Some(&published), &seen.as_ref())?;
    }
    Ok(())
}

async fn exactly_once(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let relay = ctx.relay().await?;
    let publishing = async {
        for number in 0..STREAM {
            ctx.publishes(&ctx.owner, issue(&hosted).tag(["n", &number.to_string()])).await?;
        }
        CheckResult::Ok(())
    };
    let opening = async {
        let mut watchers = Vec::new();
        for _ in 0..WATCHERS {
            watchers.push(relay.subscribe(&[issues_of(&hosted)]).await?);
        }
        CheckResult::Ok(watchers)
    };
    let ((), watchers) = tokio::try_join!(publishing, opening)?;
    // the last event of all: once it has come, nothing of the stream is still on its way
    let last = filed_issue(&ctx, &hosted, &ctx.owner).await?;
    for watcher in watchers {
        let seen = until(watcher, &last).await?;
        let distinct: BTreeSet<String> = seen.iter().map(|event| event.id.to_hex()).collect();
        expect_eq("distinct events", &(STREAM + 1), &distinct.len())?;
        expect_eq("events, repetitions included", &(STREAM + 1), &seen.len())?;
    }
    Ok(())
}

/// Everything a subscription got, up to and including `last`.
async fn until(mut live: Subscription<'_>, last: &Event) -> CheckResult<Vec<Event>> {
    let mut seen = std::mem::take(&mut live.stored);
    while seen.last() != Some(last) {
        match live.next_event(SETTLES_WITHIN).await? {
            Some(event) => seen.push(event),
            None => return Err(fail("every event, stored or live", format!("{} events", seen.len()))),
        }
    }
    Ok(seen)
}

async fn close(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let relay = ctx.relay().await?;
    relay.ask("closed", &[issues_of(&hosted)]).await?;
    relay.ask("open", &[issues_of(&hosted)]).await?;
    relay.send_json(&json!(["CLOSE", "closed"])).await?;
    relay.ask("behind the close", &[json!({"limit": 0})]).await?;
    let published = filed_issue(&ctx, &hosted, &ctx.owner).await?;
    expect_eq("what the open subscription gets", &Some(published.clone()), &heard(&relay, "open").await?)?;
    let late = relay.has_heard("closed", &published);
    expect(!late, "nothing for the closed subscription", "the event came for it")
}

async fn close_own(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let (mine, other) = (ctx.relay().await?, ctx.relay().await?);
    mine.ask("same", &[issues_of(&hosted)]).await?;
    other.ask("same", &[issues_of(&hosted)]).await?;
    other.send_json(&json!(["CLOSE", "same"])).await?;
    other.ask("behind the close", &[json!({"limit": 0})]).await?;
    let published = filed_issue(&ctx, &hosted, &ctx.owner).await?;
    expect_eq("what my subscription gets", &Some(published), &heard(&mine, "same").await?)
}

async fn replace(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let relay = ctx.relay().await?;
    relay.ask("same", &[issues_of(&hosted)]).await?;
    relay.ask("same", &[notes_of(&hosted)]).await?;
    filed_issue(&ctx, &hosted, &ctx.owner).await?;
    let note = ctx.publishes(&ctx.owner, events::note("new").tag(["a", &hosted.coordinate])).await?;
    // the issue was published first: it would have come first
    expect_eq("what the subscription gets", &Some(note), &heard(&relay, "same").await?)
}

async fn longest_id(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let relay = ctx.relay().await?;
    let id = format!("{}\"\\ '{{}}:[]", "x".repeat(53));
    relay.ask(&id, &[issues_of(&hosted)]).await?;
    let published = filed_issue(&ctx, &hosted, &ctx.owner).await?;
    expect_eq("what the subscription gets", &Some(published), &heard(&relay, &id).await?)
}

async fn bad_id(ctx: Context, id: String) -> CheckResult {
    let relay = ctx.relay().await?;
    relay.send_json(&json!(["REQ", id, {"limit": 1}])).await?;
    no_to_req(&relay, &id).await?;
    relay.ask("afterwards", &[json!({"limit": 0})]).await?;
    Ok(())
}

async fn bad_filter(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let relay = ctx.relay().await?;
    relay.ask("good", &[issues_of(&hosted)]).await?;
    relay.send_json(&json!(["REQ", "bad", {"kinds": "all"}])).await?;
    no_to_req(&relay, "bad").await?;
    let published = filed_issue(&ctx, &hosted, &ctx.owner).await?;
    expect_eq("what the good subscription gets", &Some(published), &heard(&relay, "good").await?)
}

async fn unknown_verb(ctx: Context) -> CheckResult {
    let relay = ctx.relay().await?;
    relay.send_json(&json!(["FETCH", "a", {}])).await?;
    relay.notice(SETTLES_WITHIN).await?;
    relay.ask("afterwards", &[json!({"limit": 0})]).await?;
    Ok(())
}

/// The next live event for the subscription called `id`.
async fn heard(relay: &Relay, id: &str) -> CheckResult<Option<Event>> {
    match relay.heard(id, SETTLES_WITHIN).await {
        Err(RelayError::Late { .. }) => Ok(None),
        other => Ok(other?),
    }
}

/// The relay must answer this REQ with CLOSED or a NOTICE, not with EOSE.
async fn no_to_req(relay: &Relay, id: &str) -> CheckResult {
    let answered = relay.take("CLOSED or NOTICE", SETTLES_WITHIN, |message| match message {
        RelayMessage::Closed { subscription, .. } if subscription == id => Some(Ok(true)),
        RelayMessage::Notice(_) => Some(Ok(true)),
        RelayMessage::Eose(subscription) if subscription == id => Some(Ok(false)),
        _ => None,
    });
    if answered.await.map_err(Ending::from)? {
        return Ok(());
    }
    Err(fail("CLOSED or NOTICE", "EOSE, as if the REQ were fine"))
}
