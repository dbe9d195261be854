//! G02/sync/health: a server is patient with peers that are down, busy, slow or silent.

use std::time::Duration;

use grasp_fixtures::events;

use super::super::elsewhere::check;
use crate::check::{Check, CheckResult, expect};
use crate::context::{Context, SYNCED_WITHIN};
use crate::peer::manners::{Negentropy, Relay};
use crate::peer::visits::{Visit, What, attempts, connected, filters};

const HEALTH: &str = "G02/sync/health";
/// Attempts after which the back-off is judged: four waits.
const ATTEMPTS: usize = 5;
/// 5 + 10 + 20 + 40 seconds, and as much again.
const BACK_OFF_WITHIN: Duration = Duration::from_secs(150);
/// Each wait is twice the one before; jitter and a busy machine take their part.
const GROWTH: f64 = 1.3;
/// A pause after a rate limit, less what jitter may take.
const PAUSE: Duration = Duration::from_secs(60);
/// What is on its way when a rate limit is told.
const ON_ITS_WAY: Duration = Duration::from_secs(3);

pub(super) fn checks() -> Vec<Check> {
    vec![
        check(HEALTH, "back-off", "the waits between attempts at a peer that is down grow", back_off),
        check(HEALTH, "recovers", "a peer that was down is found again, and what it has is served", recovers),
        check(
            HEALTH,
            "silent-peer",
            "a peer that never tells the end of its stored events does not hold up another that is named later",
            silent_peer,
        ),
        check(HEALTH, "slow-peer", "a peer that answers slowly is waited for", slow_peer),
        check(
            HEALTH,
            "rate-limited",
            "after `rate-limited:` nothing is asked for a minute, the connection stays, and then it goes on",
            rate_limited,
        )
        .patient(Duration::from_secs(420)),
    ]
}

async fn back_off(ctx: Context) -> CheckResult {
    let peer = ctx.peer().await?;
    peer.behave(|manners| manners.relay = Relay::Refuses);
    ctx.hosted_naming(&[&peer]).await?;
    let what = format!("{ATTEMPTS} attempts at a peer that is down");
    let tried = ctx.visit(&peer, &what, BACK_OFF_WITHIN, |visits| {
        Some(attempts(visits)).filter(|tried| tried.len() >= ATTEMPTS)
    });
    let tried = tried.await?;
    let waits: Vec<Duration> = tried.windows(2).map(|two| two[1] - two[0]).collect();
    ctx.note(&format!("waits between attempts: {waits:.1?}"));
    let grows = waits.windows(2).all(|two| two[1] >= two[0].mul_f64(GROWTH));
    expect(grows, format!("each wait at least {GROWTH} times the one before"), format!("{waits:.1?}"))
}

async fn recovers(ctx: Context) -> CheckResult {
    let peer = ctx.peer().await?;
    peer.behave(|manners| manners.relay = Relay::Refuses);
    let issue = ctx.issue("there all the time");
    peer.publish(&issue).await?;
    ctx.hosted_naming(&[&peer]).await?;
    ctx.visit(&peer, "two attempts", SYNCED_WITHIN, |visits| (attempts(visits).len() >= 2).then_some(()))
        .await?;
    peer.behave(|manners| manners.relay = Relay::Open);
    ctx.arrives(&peer, &issue).await
}

async fn silent_peer(ctx: Context) -> CheckResult {
    let (silent, honest) = (ctx.peer().await?, ctx.peer().await?);
    silent.behave(|manners| {
        manners.no_eose = true;
        manners.negentropy = Negentropy::Unknown;
    });
    let issue = ctx.issue("at the honest one");
    honest.publish(&issue).await?;
    ctx.hosted_naming(&[&silent]).await?;
    ctx.visit(&silent, "a question to the silent one", SYNCED_WITHIN, |visits| {
        filters(visits, Duration::ZERO).next().map(drop)
    })
    .await?;
    let naming = ctx.sign(&ctx.owner, ctx.announcement_naming(&[&silent, &honest]).draft());
    ctx.accepted(&naming).await?;
    ctx.arrives(&honest, &issue).await?;
    ctx.arrives_live(&honest, &ctx.issue("new")).await
}

async fn slow_peer(ctx: Context) -> CheckResult {
    let peer = ctx.peer().await?;
    peer.behave(|manners| manners.slow = Duration::from_secs(1));
    // the newest would come with any subscription, however soon the rest is given up
    let issues = ctx.issues(2);
    peer.publish_all(&issues).await?;
    ctx.hosted_naming(&[&peer]).await?;
    ctx.all_arrive(&peer, &issues).await
}

/// When the peer refused a question.
fn refused(visits: &[Visit]) -> Option<Duration> {
    visits.iter().find_map(|visit| matches!(visit.what, What::Ended { .. }).then_some(visit.at))
}

async fn rate_limited(ctx: Context) -> CheckResult {
    let peer = ctx.peer().await?;
    ctx.hosted_naming(&[&peer]).await?;
    ctx.arrives_live(&peer, &ctx.issue("before")).await?;
    let since = peer.visits().now();
    peer.behave(|manners| manners.closes = Some("rate-limited: slow down".to_owned()));
    // an issue that is new here makes the server ask for what is about it
    let issue = ctx.issue("asked about");
    let comment = ctx.sign(&ctx.someone(), events::comment(&issue, "at the peer"));
    peer.publish(&comment).await?;
    ctx.accepted(&issue).await?;
    let limited = ctx.visit(&peer, "a question, which is refused", SYNCED_WITHIN, |visits| {
        let later = visits.partition_point(|visit| visit.at < since);
        refused(&visits[later..])
    });
    let limited = limited.await?;
    peer.behave(|manners| manners.closes = None);
    let again = ctx.visit(&peer, "another question", 3 * SYNCED_WITHIN, |visits| {
        filters(visits, limited + ON_ITS_WAY).next().map(|(at, _)| at)
    });
    let again = again.await?.saturating_sub(limited);
    expect(
        again >= PAUSE,
        format!("a pause of at least {PAUSE:?}"),
        format!("it asked again after {again:.1?}"),
    )?;
    let stayed = peer.visits().read(|visits| (connected(visits), attempts(visits).len()));
    expect(stayed == (1, 1), "the connection stays", format!("{} attempts in all", stayed.1))?;
    ctx.arrives(&peer, &comment).await
}
