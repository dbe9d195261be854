//! `G01/nip11/limits`: what is stated is what is enforced. Up to the limit everything works; past it, it is refused.

use std::time::Duration;

use grasp_fixtures::{Draft, events, keys};
use serde_json::{Value, json};

use crate::check::{Check, CheckResult, expect, fail, skip};
use crate::context::{Context, Hosted, SETTLES_WITHIN};
use crate::target::message::RelayMessage;
use crate::target::websocket::{Relay, RelayError};

const ROW: &str = "G01/nip11/limits";

/// Beyond this, trying a limit out is more than a guest should do.
const MOST_SUBSCRIPTIONS: u64 = 1_000;
/// The same for one message, in bytes.
const LONGEST_MESSAGE: u64 = 16 << 20;
/// The same for filters of one REQ.
const MOST_FILTERS: u64 = 1_000;
/// The same for tags of one event.
const MOST_TAGS: u64 = 20_000;
/// How many events are published to see a limit on results.
const MOST_RESULTS: u64 = 40;
/// How far from the server's idea of a time limit a check stays, in seconds.
const CLOCK_MARGIN: u64 = 60;
/// How far ahead an event lies where nothing is stated, in seconds.
const A_DAY: u64 = 86_400;

pub(super) fn checks() -> Vec<Check> {
    vec![
        Check::new(
            ROW,
            "max-subscriptions",
            "as many subscriptions as stated, and not one more",
            max_subscriptions,
        )
        .bound(Duration::from_secs(120)),
        Check::new(
            ROW,
            "max-message-length",
            "a message of the stated length is read, a longer one is refused",
            max_message,
        ),
        Check::new(ROW, "max-filters", "a REQ of as many filters as stated, and not one more", max_filters),
        Check::new(
            ROW,
            "max-subid-length",
            "a subscription id of the stated length, and no longer one",
            max_subid,
        ),
        Check::new(ROW, "max-limit", "a REQ that asks for more than max_limit gets max_limit", |ctx| {
            results(ctx, "max_limit", |coordinate| json!({"#a": [coordinate], "limit": 1_000_000}))
        }),
        Check::new(ROW, "default-limit", "a REQ without limit gets default_limit", |ctx| {
            results(ctx, "default_limit", |coordinate| json!({"#a": [coordinate]}))
        }),
        Check::new(ROW, "max-event-tags", "an event of as many tags as stated, and no more", max_tags),
        Check::new(ROW, "max-content-length", "content of the stated length, and no longer", max_content),
        Check::new(
            ROW,
            "created-at-upper",
            "events ahead of the clock are refused past the stated limit; without one, they are taken",
            created_at_upper,
        ),
        Check::new(
            ROW,
            "created-at-lower",
            "events behind the clock are refused past the stated limit; without one, they are taken",
            created_at_lower,
        ),
        Check::new(
            ROW,
            "auth-required",
            "a REQ needs NIP-42 exactly when auth_required is stated",
            auth_required,
        ),
    ]
}

/// A stated limit that a check can try out.
fn stated(ctx: &Context, name: &str, most: u64) -> CheckResult<u64> {
    match limit(ctx, name) {
        None => Err(skip(format!("limitation does not state {name}"))),
        Some(limit) if limit > most => {
            Err(skip(format!("{name} is {limit}: more than a guest should try out")))
        }
        Some(limit) => Ok(limit),
    }
}

fn limit(ctx: &Context, name: &str) -> Option<u64> {
    ctx.target.nip11.as_ref().and_then(|document| document["limitation"][name].as_u64())
}

/// A document without a limitation object states nothing, and then nothing follows from what is absent.
fn states_limits(ctx: &Context) -> CheckResult {
    let states = ctx.target.nip11.as_ref().is_some_and(|document| document["limitation"].is_object());
    if states { Ok(()) } else { Err(fail("a limitation object in NIP-11", "none")) }
}

/// Whether this text, which asks for the subscription `id`, is answered with EOSE; otherwise how it was refused.
async fn is_read(relay: &Relay, id: &str, text: String) -> CheckResult<bool> {
    let sent = relay.send_text(text).await;
    let answer = relay.take("EOSE, CLOSED, NOTICE or the end", SETTLES_WITHIN, |message| match message {
        RelayMessage::Eose(subscription) if subscription == id => Some(Ok(true)),
        RelayMessage::Closed { subscription, .. } if subscription == id => Some(Ok(false)),
        RelayMessage::Notice(_) | RelayMessage::Close { .. } => Some(Ok(false)),
        _ => None,
    });
    match (sent, answer.await) {
        (_, Ok(read)) => Ok(read),
        // a connection that is simply cut refuses too, if not politely
        (_, Err(RelayError::Ended(_))) | (Err(RelayError::Ended(_)), _) => Ok(false),
        (_, Err(error)) => Err(error.into()),
    }
}

fn nothing_stored() -> Value {
    json!({"limit": 0, "kinds": [1]})
}

async fn max_subscriptions(ctx: Context) -> CheckResult {
    let limit = stated(&ctx, "max_subscriptions", MOST_SUBSCRIPTIONS)?;
    let relay = ctx.relay().await?;
    for number in 0..=limit {
        let id = format!("s{number}");
        let open = is_read(&relay, &id, json!(["REQ", id, nothing_stored()]).to_string()).await?;
        let expected = if number < limit { "open" } else { "refused" };
        let what = format!("subscription {} of {limit} is {expected}", number + 1);
        expect(open == (number < limit), what, if open { "it is open" } else { "it is refused" })?;
    }
    relay.send_json(&json!(["CLOSE", "s0"])).await?;
    let again = is_read(&relay, "another", json!(["REQ", "another", nothing_stored()]).to_string()).await?;
    expect(again, "a subscription that is closed makes room for another", "it is refused")
}

async fn max_message(ctx: Context) -> CheckResult {
    let limit = stated(&ctx, "max_message_length", LONGEST_MESSAGE)?;
    let padded = |length: u64| {
        let text = json!(["REQ", "padded", nothing_stored()]).to_string();
        let spaces = usize::try_from(length).unwrap_or(usize::MAX).saturating_sub(text.len());
        format!("{}{}]", &text[..text.len() - 1], " ".repeat(spaces))
    };
    let relay = ctx.relay().await?;
    expect(
        is_read(&relay, "padded", padded(limit)).await?,
        format!("{limit} bytes are read"),
        "they are not",
    )?;
    let read = is_read(&ctx.relay().await?, "padded", padded(limit + 1)).await?;
    expect(!read, format!("a message longer than {limit} bytes is refused"), "it is read")
}

async fn max_filters(ctx: Context) -> CheckResult {
    let limit = stated(&ctx, "max_filters", MOST_FILTERS)?;
    let relay = ctx.relay().await?;
    for (filters, expected) in [(limit, true), (limit + 1, false)] {
        let mut request = vec![json!("REQ"), json!("many")];
        request.extend((0..filters).map(|kind| json!({"limit": 0, "kinds": [kind]})));
        let read = is_read(&relay, "many", Value::from(request).to_string()).await?;
        let what = format!("{filters} filters are {}", if expected { "taken" } else { "refused" });
        expect(read == expected, what, if read { "they are taken" } else { "they are refused" })?;
    }
    Ok(())
}

async fn max_subid(ctx: Context) -> CheckResult {
    let limit = stated(&ctx, "max_subid_length", 1_000)?;
    let relay = ctx.relay().await?;
    for (length, expected) in [(limit, true), (limit + 1, false)] {
        let id = "i".repeat(usize::try_from(length).unwrap_or_default());
        let read = is_read(&relay, &id, json!(["REQ", id, nothing_stored()]).to_string()).await?;
        let what = format!("an id of {length} is {}", if expected { "taken" } else { "refused" });
        expect(read == expected, what, if read { "it is taken" } else { "it is refused" })?;
    }
    Ok(())
}

async fn results(ctx: Context, name: &str, filter: fn(&str) -> Value) -> CheckResult {
    let limit = stated(&ctx, name, MOST_RESULTS)?;
    let hosted = ctx.hosted_repository().await?;
    for number in 0..=limit {
        ctx.publishes(&ctx.owner, plain(&hosted).tag(["n", &number.to_string()])).await?;
    }
    let found = ctx.query(filter(&hosted.coordinate)).await?.len();
    let what = format!("{limit} of {} events, for {name} is {limit}", limit + 1);
    expect(u64::try_from(found) == Ok(limit), what, found)
}

fn plain(hosted: &Hosted) -> Draft {
    events::issue(&hosted.coordinate, "limits", "")
}

async fn max_tags(ctx: Context) -> CheckResult {
    let limit = stated(&ctx, "max_event_tags", MOST_TAGS)?;
    let hosted = ctx.hosted_repository().await?;
    let relay = ctx.relay().await?;
    for (tags, expected) in [(limit, true), (limit + 1, false)] {
        let mut draft = plain(&hosted).at(ctx.later());
        while u64::try_from(draft.tags.len()).is_ok_and(|made| made < tags) {
            draft = draft.tag(["x"]);
        }
        taken_or_not(&ctx, &relay, &draft, expected, &format!("{tags} tags")).await?;
    }
    Ok(())
}

async fn max_content(ctx: Context) -> CheckResult {
    let limit = stated(&ctx, "max_content_length", LONGEST_MESSAGE)?;
    let hosted = ctx.hosted_repository().await?;
    let relay = ctx.relay().await?;
    for (length, expected) in [(limit, true), (limit + 1, false)] {
        let content = "c".repeat(usize::try_from(length).unwrap_or_default());
        let draft = Draft { content, ..plain(&hosted) }.at(ctx.later());
        taken_or_not(&ctx, &relay, &draft, expected, &format!("{length} characters of content")).await?;
    }
    Ok(())
}

async fn taken_or_not(
    ctx: &Context,
    relay: &Relay,
    draft: &Draft,
    expected: bool,
    what: &str,
) -> CheckResult {
    let event = draft.sign(&ctx.owner);
    relay.send_publish(&event).await?;
    let reply = relay.ok_for(&event).await?;
    if reply.accepted {
        ctx.keeps(&event);
    }
    expect(reply.accepted == expected, format!("OK {expected} for {what}"), &reply)
}

async fn created_at_upper(ctx: Context) -> CheckResult {
    states_limits(&ctx)?;
    let hosted = ctx.hosted_repository().await?;
    let ahead = |seconds: u64| ctx.sign(&ctx.owner, plain(&hosted).at(ctx.now() + seconds));
    let Some(limit) = limit(&ctx, "created_at_upper_limit") else {
        return ctx.accepted(&ahead(A_DAY)).await.map(drop);
    };
    ctx.accepted(&ahead(limit.saturating_sub(CLOCK_MARGIN))).await?;
    let future = ahead(limit + CLOCK_MARGIN);
    ctx.refused_as(&future, "invalid:").await?;
    ctx.not_served(&future).await
}

async fn created_at_lower(ctx: Context) -> CheckResult {
    states_limits(&ctx)?;
    let hosted = ctx.hosted_repository().await?;
    let behind = |seconds: u64| ctx.sign(&ctx.owner, plain(&hosted).at(ctx.now().saturating_sub(seconds)));
    let Some(limit) = limit(&ctx, "created_at_lower_limit") else {
        let old = behind(10 * 365 * A_DAY);
        ctx.accepted(&old).await?;
        return ctx.served(&old).await;
    };
    ctx.accepted(&behind(limit.saturating_sub(CLOCK_MARGIN))).await?;
    ctx.refused_as(&behind(limit + CLOCK_MARGIN), "invalid:").await.map(drop)
}

async fn auth_required(ctx: Context) -> CheckResult {
    states_limits(&ctx)?;
    let relay = ctx.relay().await?;
    let id = keys::random_suffix(8);
    relay.send_json(&json!(["REQ", id, {"kinds": [30_617], "limit": 1}])).await?;
    let needed = relay.take("EOSE or CLOSED", SETTLES_WITHIN, |message| match message {
        RelayMessage::Eose(subscription) if *subscription == id => Some(Ok(false)),
        RelayMessage::Closed { subscription, reason } if *subscription == id => {
            Some(Ok(reason.starts_with("auth-required:")))
        }
        _ => None,
    });
    let (needed, stated) = (needed.await?, ctx.target.limits.auth_required);
    let seen = if needed { "CLOSED auth-required:" } else { "it is answered to anybody" };
    expect(needed == stated, format!("a REQ as auth_required {stated} has it"), seen)
}
