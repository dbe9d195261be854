//! G02/sync/reconnect: after a short disconnection only what is new is asked for, after a long one everything.

use std::time::Duration;

use nostr::event::Event;
use serde_json::Value;

use super::super::elsewhere::check;
use crate::check::{Check, CheckResult, expect};
use crate::context::{Context, SYNCED_WITHIN};
use crate::peer::Peer;
use crate::peer::manners::Relay;
use crate::peer::visits::{connected, histories};

const RECONNECT: &str = "G02/sync/reconnect";
/// Up to here a disconnection is short, and so far behind its beginning it is asked.
const WINDOW: Duration = Duration::from_secs(15 * 60);
/// What clocks and machines may add to that.
const SLACK: u64 = 60;

pub(super) fn checks() -> Vec<Check> {
    vec![
        check(
            RECONNECT,
            "short",
            "after a short disconnection what came in between is fetched, and nothing older than 15 minutes before it is \
             asked for",
            short,
        ),
        check(
            RECONNECT,
            "long",
            "after more than 15 minutes the full history is asked for: what is older comes, too",
            long,
        )
        .patient(Duration::from_secs(50 * 60)),
    ]
}

/// A repository is synced with the peer, and everything is quiet.
async fn settled(ctx: &Context) -> CheckResult<Peer> {
    let peer = ctx.peer().await?;
    let first = ctx.issue("from before");
    peer.publish(&first).await?;
    ctx.hosted_naming(&[&peer]).await?;
    ctx.arrives(&peer, &first).await?;
    ctx.arrives_live(&peer, &ctx.issue("from the last moment")).await?;
    Ok(peer)
}

/// The peer turns the server out, and nobody in; when that was.
async fn disconnected(ctx: &Context, peer: &Peer) -> CheckResult<Duration> {
    peer.behave(|manners| manners.relay = Relay::Refuses);
    let at = peer.drop_connections();
    ctx.visit(peer, "the connection ends", SYNCED_WITHIN, |visits| (connected(visits) == 0).then_some(()))
        .await?;
    Ok(at)
}

/// It lets the server in again; when that was.
fn lets_in(peer: &Peer) -> Duration {
    peer.behave(|manners| manners.relay = Relay::Open);
    peer.visits().now()
}

async fn short(ctx: Context) -> CheckResult {
    let peer = settled(&ctx).await?;
    disconnected(&ctx, &peer).await?;
    let ended = ctx.now();
    let missed = ctx.issue("in between");
    peer.publish(&missed).await?;
    let back = lets_in(&peer);
    ctx.arrives(&peer, &missed).await?;
    ctx.arrives_live(&peer, &ctx.issue("after")).await?;
    let earliest = ended.saturating_sub(WINDOW.as_secs() + SLACK);
    let questions = peer.visits().read(|visits| histories(visits, back));
    expect(
        !questions.is_empty(),
        "what is new since the disconnection is asked for",
        "nothing was asked for",
    )?;
    let too_far = questions.iter().find(|(_, filter)| since(filter).is_none_or(|since| since < earliest));
    let expected = format!("every question after it has `since` of {earliest} or later");
    expect(too_far.is_none(), expected, too_far.map(|(_, filter)| filter.to_string()).unwrap_or_default())
}

fn since(filter: &Value) -> Option<u64> {
    filter["since"].as_u64()
}

async fn long(ctx: Context) -> CheckResult {
    let peer = settled(&ctx).await?;
    disconnected(&ctx, &peer).await?;
    ctx.note("15 minutes begin");
    tokio::time::sleep(WINDOW + Duration::from_secs(SLACK)).await;
    // older than anything that a question for news would find
    let old: Event = ctx.issues(1).remove(0);
    peer.publish(&old).await?;
    let back = lets_in(&peer);
    let within = Duration::from_secs(25 * 60);
    ctx.visit(&peer, "a history without `since`", within, |visits| {
        histories(visits, back).iter().any(|(_, filter)| since(filter).is_none()).then_some(())
    })
    .await?;
    ctx.arrives(&peer, &old).await
}
