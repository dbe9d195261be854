//! What NIP-11 `supported_nips` promises beyond NIP-01: each is held to it, and skipped where it is not listed.

use std::collections::BTreeSet;
use std::time::Duration;

use grasp_fixtures::{Draft, forged};
use nostr::event::Event;
use nostr::key::Keys;
use serde_json::json;

use super::ROW;
use crate::check::{Check, CheckResult, Ending, expect, expect_eq, fail};
use crate::context::{Context, SETTLES_WITHIN};
use crate::specs::grasp01::relay::{filed_issue, issue};
use crate::target::websocket::{OkReply, Relay};

/// How long an event of the expiration check lives, in seconds: longer when it was over before the event could be seen.
const LIVES: [u64; 3] = [3, 10, 30];

pub(super) fn checks() -> Vec<Check> {
    vec![
        Check::new(ROW, "nip40-expires", "NIP-40: an event is no longer served once it has expired", expires),
        Check::new(ROW, "nip40-expired", "NIP-40: an event that has expired already is not served", expired),
        Check::new(
            ROW,
            "nip42-answer",
            "NIP-42: a right answer to the challenge is taken, a forged one is not",
            right_answer,
        ),
        Check::new(
            ROW,
            "nip42-wrong-challenge",
            "NIP-42: an answer to another challenge is refused",
            |ctx| {
                wrong_answer(ctx, |ctx, _| {
                    auth_event(&ctx.owner, &ctx.target.url.relay(), "another", ctx.now())
                })
            },
        ),
        Check::new(ROW, "nip42-wrong-relay", "NIP-42: an answer for another relay is refused", |ctx| {
            wrong_answer(ctx, |ctx, challenge| {
                auth_event(&ctx.owner, "wss://grasp.invalid", challenge, ctx.now())
            })
        }),
        Check::new(ROW, "nip42-stale", "NIP-42: an answer signed an hour ago is refused", |ctx| {
            wrong_answer(ctx, |ctx, challenge| {
                auth_event(&ctx.owner, &ctx.target.url.relay(), challenge, ctx.now() - 3600)
            })
        }),
        Check::new(ROW, "nip42-wrong-kind", "NIP-42: an answer of another kind is refused", |ctx| {
            wrong_answer(ctx, |ctx, challenge| {
                let answer = Draft::new(1, "").tag(["challenge", challenge]);
                answer.tag(["relay", &ctx.target.url.relay()]).at(ctx.now()).sign(&ctx.owner)
            })
        }),
        Check::new(ROW, "nip42-not-stored", "NIP-42: an answer to a challenge is not served", not_stored),
        Check::new(ROW, "nip45-count", "NIP-45: COUNT counts what a REQ finds", count),
        Check::new(
            ROW,
            "nip70-anonymous",
            "NIP-70: a protected event is refused `auth-required:` on a connection nobody has authenticated",
            protected_anonymous,
        ),
        Check::new(
            ROW,
            "nip70-author",
            "NIP-70: a protected event is taken from its author",
            protected_author,
        ),
        Check::new(
            ROW,
            "nip70-somebody-else",
            "NIP-70: a protected event is refused from anybody but its author",
            protected_stranger,
        ),
        Check::new(
            ROW,
            "nip77-from-nothing",
            "NIP-77: reconciling with an empty set yields what a REQ finds",
            reconcile,
        ),
        Check::new(ROW, "nip77-difference", "NIP-77: reconciling yields exactly the differences", difference),
    ]
}

async fn expires(ctx: Context) -> CheckResult {
    ctx.needs_nip(40)?;
    let hosted = ctx.hosted_repository().await?;
    for life in LIVES {
        let end = ctx.now() + life;
        let event = ctx.sign(&ctx.owner, issue(&hosted).tag(["expiration", &end.to_string()]));
        let reply = ctx.publish(&event).await?;
        let seen = if reply.accepted { ctx.served(&event).await } else { expect(false, "OK true", &reply) };
        match seen {
            Ok(()) => {
                let what = "it is no longer served once it has expired";
                let within = Duration::from_secs(life) + SETTLES_WITHIN;
                return ctx.eventually(what, within, || async { Ok(!ctx.is_served(&event).await?) }).await;
            }
            Err(Ending::Fail { .. }) if ctx.now() >= end => {}
            Err(ending) => return Err(ending),
        }
    }
    Err(Ending::CannotRun(format!(
        "within {} s an event could not be published and seen",
        LIVES[LIVES.len() - 1]
    )))
}

async fn expired(ctx: Context) -> CheckResult {
    ctx.needs_nip(40)?;
    let hosted = ctx.hosted_repository().await?;
    let end = (ctx.now() - 60).to_string();
    let dead = ctx.sign(&ctx.owner, issue(&hosted).tag(["expiration", &end]));
    ctx.publish(&dead).await?;
    let end = (ctx.now() + 3600).to_string();
    let alive = ctx.publishes(&ctx.owner, issue(&hosted).tag(["expiration", &end])).await?;
    ctx.served(&alive).await?;
    ctx.not_served(&dead).await
}

async fn right_answer(ctx: Context) -> CheckResult {
    ctx.needs_nip(42)?;
    let (relay, challenge) = challenged(&ctx).await?;
    let answer = auth_event(&ctx.owner, &ctx.target.url.relay(), &challenge, ctx.now());
    let forged = serde_json::from_value(forged::bad_signature(&answer));
    let reply = relay.authenticate(&forged.map_err(|error| Ending::CannotRun(error.to_string()))?).await?;
    expect(!reply.accepted, "OK false for a forged answer", &reply)?;
    for keys in [&ctx.owner, &ctx.someone()] {
        let reply = answer_as(&ctx, &relay, keys, &challenge).await?;
        expect(reply.accepted, "OK true for the right answer of each of two keys", &reply)?;
    }
    Ok(())
}

async fn wrong_answer(ctx: Context, answer: fn(&Context, &str) -> Event) -> CheckResult {
    ctx.needs_nip(42)?;
    let (relay, challenge) = challenged(&ctx).await?;
    let reply = relay.authenticate(&answer(&ctx, &challenge)).await?;
    expect(!reply.accepted, "OK false for a wrong answer", &reply)?;
    let reply = answer_as(&ctx, &relay, &ctx.owner, &challenge).await?;
    expect(reply.accepted, "OK true for the right answer afterwards", &reply)
}

async fn not_stored(ctx: Context) -> CheckResult {
    ctx.needs_nip(42)?;
    let hosted = ctx.hosted_repository().await?;
    let (relay, challenge) = challenged(&ctx).await?;
    let reply = answer_as(&ctx, &relay, &ctx.owner, &challenge).await?;
    expect(reply.accepted, "OK true", &reply)?;
    let related = Draft::new(22_242, "").tag(["a", &hosted.coordinate]).at(ctx.now()).sign(&ctx.owner);
    ctx.publish(&related).await?; // as an EVENT it may be refused or not: nobody gets to see it
    let filter = json!({"kinds": [22_242], "authors": [ctx.owner.public_key().to_hex()]});
    let found = relay.req(&[filter]).await?;
    expect(found.is_empty(), "no event of kind 22242", format!("{} found", found.len()))
}

async fn count(ctx: Context) -> CheckResult {
    ctx.needs_nip(45)?;
    let hosted = ctx.hosted_repository().await?;
    for _ in 0..3 {
        filed_issue(&ctx, &hosted, &ctx.someone()).await?;
    }
    let relay = ctx.relay().await?;
    let issues = json!({"kinds": [1621], "#a": [hosted.coordinate]});
    let nothing = json!({"kinds": [7], "#a": [hosted.coordinate]});
    expect_eq("count of issues", &Some(3), &relay.count(std::slice::from_ref(&issues)).await?)?;
    expect_eq("count of nothing", &Some(0), &relay.count(std::slice::from_ref(&nothing)).await?)?;
    let owner = json!({"#a": [hosted.coordinate]}); // the same events, and no other
    expect_eq("count over two filters", &Some(3), &relay.count(&[issues, owner]).await?)
}

async fn protected_anonymous(ctx: Context) -> CheckResult {
    ctx.needs_nip(70)?;
    let hosted = ctx.hosted_repository().await?;
    let event = ctx.sign(&ctx.owner, issue(&hosted).tag(["-"]));
    let relay = ctx.relay().await?;
    let reply = relay.publish(&serde_json::to_value(&event).unwrap_or_default()).await?;
    let refused = !reply.accepted && reply.message.starts_with("auth-required:");
    expect(refused, "OK false with `auth-required: …`", &reply)?;
    ctx.not_served(&event).await
}

async fn protected_author(ctx: Context) -> CheckResult {
    ctx.needs_nip(70)?;
    let hosted = ctx.hosted_repository().await?;
    // the context authenticates as the owner when it is asked to
    let event = ctx.publishes(&ctx.owner, issue(&hosted).tag(["-"])).await?;
    ctx.served(&event).await
}

async fn protected_stranger(ctx: Context) -> CheckResult {
    ctx.needs_nip(70)?;
    let hosted = ctx.hosted_repository().await?;
    let event = ctx.sign(&ctx.someone(), issue(&hosted).tag(["-"]));
    ctx.refused(&event).await?;
    ctx.not_served(&event).await
}

async fn reconcile(ctx: Context) -> CheckResult {
    ctx.needs_nip(77)?;
    let hosted = ctx.hosted_repository().await?;
    let filter = json!({"kinds": [1621], "#a": [hosted.coordinate]});
    let mut expected = BTreeSet::new();
    for _ in 0..5 {
        expected.insert(filed_issue(&ctx, &hosted, &ctx.owner).await?.id.to_hex());
    }
    let seen = ctx.relay().await?.neg_ids(&filter).await?;
    expect_eq("ids by negentropy", &Some(expected), &seen.map(|ids| ids.into_iter().collect()))
}

async fn difference(ctx: Context) -> CheckResult {
    ctx.needs_nip(77)?;
    let hosted = ctx.hosted_repository().await?;
    let filter = json!({"kinds": [1621], "#a": [hosted.coordinate]});
    let both = filed_issue(&ctx, &hosted, &ctx.owner).await?;
    let theirs = filed_issue(&ctx, &hosted, &ctx.owner).await?;
    let ours = ctx.sign(&ctx.owner, issue(&hosted));
    let found = ctx.relay().await?.neg_difference(&filter, &[&both, &ours]).await?;
    let found =
        found.ok_or_else(|| fail("a reconciliation: NIP-77 is listed", "NEG-ERR, CLOSED or NOTICE"))?;
    expect_eq("what only the relay has", &vec![theirs.id.to_hex()], &found.need)?;
    expect_eq("what only we have", &vec![ours.id.to_hex()], &found.have)
}

/// A connection, and the challenge it was sent: at once, or when it publishes something that needs one.
async fn challenged(ctx: &Context) -> CheckResult<(Relay, String)> {
    let relay = ctx.relay().await?;
    relay.req(&[json!({"limit": 0})]).await?;
    if relay.challenge().is_none() {
        let protected = Draft::new(1, "protected").tag(["-"]).at(ctx.now()).sign(&ctx.owner);
        relay.publish(&serde_json::to_value(&protected).unwrap_or_default()).await?;
    }
    ctx.eventually("an AUTH challenge", SETTLES_WITHIN, || async { Ok(relay.challenge().is_some()) }).await?;
    let challenge = relay.challenge().unwrap_or_default();
    Ok((relay, challenge))
}

fn auth_event(keys: &Keys, relay: &str, challenge: &str, at: u64) -> Event {
    Draft::new(22_242, "").tag(["relay", relay]).tag(["challenge", challenge]).at(at).sign(keys)
}

async fn answer_as(ctx: &Context, relay: &Relay, keys: &Keys, challenge: &str) -> CheckResult<OkReply> {
    let answer = auth_event(keys, &ctx.target.url.relay(), challenge, ctx.now());
    Ok(relay.authenticate(&answer).await?)
}
