//! EVENT and its OK: what is taken is served as it was signed, what is forged is not.

use grasp_fixtures::{Draft, events, forged};
use nostr::event::Event;
use serde_json::{Value, json};

use super::ROW;
use crate::check::{Check, CheckResult, expect, expect_eq, fail};
use crate::context::Context;
use crate::specs::grasp01::relay::{filed_issue, issue};

/// A way to forge an event.
type Forgery = (&'static str, &'static str, fn(&Context, &Event) -> Value);

const FORGERIES: [Forgery; 4] = [
    ("forged-signature", "whose signature somebody else made", |_, event| forged::bad_signature(event)),
    ("forged-id", "whose id is not the hash of its content", |_, event| forged::bad_id(event)),
    ("altered-content", "whose content was changed after signing", |_, event| forged::altered_content(event)),
    ("stolen-name", "under somebody else's name", |ctx, event| {
        forged::stolen_name(event, &ctx.someone().public_key())
    }),
];

pub(super) fn checks() -> Vec<Check> {
    let mut checks = vec![
        Check::new(ROW, "taken", "an event that is taken gets OK true and is served as it was signed", taken),
        Check::new(
            ROW,
            "refused",
            "an event that is refused gets OK false with a reason: `prefix: text`",
            refused,
        ),
        Check::new(ROW, "duplicate", "an event published again gets OK true, and is served once", duplicate),
        Check::new(ROW, "verbatim", "content with every kind of escape is served byte for byte", verbatim),
        Check::new(
            ROW,
            "tags-verbatim",
            "tags with empty, long and odd values are served as they were signed",
            tags,
        ),
        Check::new(
            ROW,
            "ephemeral",
            "an ephemeral event reaches live subscribers and is not stored",
            ephemeral,
        ),
        Check::new(ROW, "pipelined", "20 events sent without waiting get 20 OKs", pipelined),
    ];
    for (name, what, forge) in FORGERIES {
        let title = format!("an event {what} is refused `invalid:`, and the genuine one is taken afterwards");
        checks.push(Check::new(ROW, name, title, move |ctx| forgery(ctx, forge)));
    }
    checks
}

async fn forgery(ctx: Context, forge: fn(&Context, &Event) -> Value) -> CheckResult {
    let event = ctx.sign(&ctx.owner, ctx.announcement().draft());
    ctx.refused_as(&forge(&ctx, &event), "invalid:").await?;
    ctx.accepted(&event).await?; // the forgery must not stand in the way of the genuine event
    Ok(())
}

async fn taken(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let issue = filed_issue(&ctx, &hosted, &ctx.someone()).await?;
    let found = ctx.query(json!({"ids": [issue.id.to_hex()]})).await?;
    expect_eq("what a REQ by id finds", &vec![issue], &found)
}

async fn refused(ctx: Context) -> CheckResult {
    let reply = ctx.refused(&ctx.sign(&ctx.someone(), events::note("about nothing here"))).await?;
    let told = reply.message.split_once(": ").is_some_and(|(prefix, text)| {
        !text.trim().is_empty() && prefix.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
    });
    expect(told, "OK false with `prefix: reason`", reply)
}

async fn duplicate(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let issue = filed_issue(&ctx, &hosted, &ctx.someone()).await?;
    ctx.accepted(&issue).await?;
    let found = ctx.query(json!({"authors": [issue.pubkey.to_hex()]})).await?;
    expect_eq("what is served", &vec![issue], &found)
}

async fn verbatim(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let content =
        "\"quoted\" \\ / \n\r\t\u{8}\u{c} \u{1} \u{7f} é ü 漢 🦀 \u{2028}\u{feff} e\u{301} </script>";
    let event = ctx.publishes(&ctx.owner, Draft { content: content.into(), ..issue(&hosted) }).await?;
    let found = ctx.query(json!({"ids": [event.id.to_hex()]})).await?;
    expect_eq("content", &Some(content), &found.first().map(|event| event.content.as_str()))
}

async fn tags(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let odd = issue(&hosted)
        .tag(["empty", ""])
        .tag(["alone"])
        .tag(["many", "1", "", "3", " 4 ", "\n"])
        .tag(["long", &"x".repeat(2_000)]);
    let event = ctx.publishes(&ctx.owner, odd).await?;
    let found = ctx.query(json!({"ids": [event.id.to_hex()]})).await?;
    expect_eq("the event", &vec![event], &found)
}

async fn ephemeral(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let filter = json!({"kinds": [20_001], "#a": [hosted.coordinate]});
    let relay = ctx.relay().await?;
    let mut live = relay.subscribe(std::slice::from_ref(&filter)).await?;
    let event = ctx.sign(&ctx.owner, Draft::new(20_001, "passing").tag(["a", &hosted.coordinate]));
    ctx.accepted(&event).await?;
    let seen = live.next_event(crate::context::SETTLES_WITHIN).await?;
    expect_eq("what the live subscription gets", &Some(event), &seen)?;
    let stored = ctx.query(filter).await?;
    expect(stored.is_empty(), "no stored ephemeral event", format!("{} found", stored.len()))
}

async fn pipelined(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let relay = ctx.relay().await?;
    let issues: Vec<Event> =
        (0..20).map(|number| ctx.sign(&ctx.owner, issue(&hosted).tag(["n", &number.to_string()]))).collect();
    let all = issues.iter().map(|issue| relay.send_publish(issue));
    futures_util::future::try_join_all(all).await?;
    for issue in &issues {
        let reply = relay.ok_for(issue).await?;
        expect(reply.accepted, "OK true for each of 20 events in flight", &reply)?;
        ctx.keeps(issue);
    }
    let found = ctx.query(json!({"authors": [ctx.owner.public_key().to_hex()], "kinds": [1621]})).await?;
    if found.len() == issues.len() { Ok(()) } else { Err(fail("20 served", found.len())) }
}
