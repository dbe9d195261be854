//! G02/sync/consolidation: what is open at a peer stays bounded as a repository grows.

use std::collections::BTreeSet;
use std::time::Duration;

use grasp_fixtures::events;
use serde_json::Value;

use super::super::elsewhere::check;
use crate::attachment::Attachment;
use crate::check::{Check, CheckResult, expect};
use crate::context::{Context, SYNCED_WITHIN};
use crate::peer::Peer;
use crate::peer::visits::{Subscriptions, filters, most_open, values};

const CONSOLIDATION: &str = "G02/sync/consolidation";
/// Issues that come one after the other, each to be followed: three filters each, if nothing were put together.
const ISSUES: usize = 40;
/// Live filters past which they are put together, and what one more question and histories on their way may add.
const MOST_FILTERS: usize = 70 + 30;
/// Issues that are here before the peer is named.
const HERE_BEFORE: u64 = 130;
/// Values in one filter.
const MOST_VALUES: usize = 100;
/// Subscriptions that a modest peer allows.
const ALLOWED: usize = 8;

pub(super) fn checks() -> Vec<Check> {
    vec![
        check(
            CONSOLIDATION,
            "bounded",
            "as 40 issues come one by one, open filters at the peer stay bounded, and every issue stays followed",
            bounded,
        )
        .bound(Duration::from_secs(600)),
        check(
            CONSOLIDATION,
            "values",
            "130 issues are followed with at most 100 values in a filter",
            at_most_a_hundred,
        ),
        check(
            CONSOLIDATION,
            "stated-limit",
            "as issues come one by one, no more subscriptions are open than the peer's NIP-11 document allows",
            stated_limit,
        )
        .bound(Duration::from_secs(600)),
    ]
}

/// Whether an open subscription names this id.
fn is_followed(open: &Subscriptions, id: &str) -> bool {
    let names = |filter: &Value| {
        let lists = filter.as_object().into_iter().flat_map(|fields| fields.values());
        lists.filter_map(Value::as_array).flatten().any(|value| value == id)
    };
    open.iter().any(|(_, open)| open.filters.iter().any(names))
}

fn evidence(ctx: &Context, peer: &Peer) -> (usize, usize) {
    let most = peer.visits().read(most_open);
    let text = format!(
        "the most that was open at the same time: {} subscriptions, {} filters\n{}",
        most.0,
        most.1,
        peer.visits().summary()
    );
    ctx.attach(Attachment::text("the peer's count", &text));
    most
}

/// So many issues are published here, each when the one before is followed at the peer; their ids.
async fn one_by_one(ctx: &Context, peer: &Peer, issues: usize) -> CheckResult<Vec<String>> {
    let author = ctx.someone();
    let mut ids = Vec::with_capacity(issues);
    for number in 0..issues {
        let draft = events::issue(&ctx.coordinate(), &format!("issue {number}"), "");
        let issue = ctx.publishes(&author, draft).await?;
        let id = issue.id.to_hex();
        let what = format!("issue {number} of {issues} is followed at the peer");
        ctx.visit(peer, &what, SYNCED_WITHIN, |visits| {
            is_followed(&Subscriptions::after(visits), &id).then_some(())
        })
        .await?;
        ids.push(id);
    }
    Ok(ids)
}

async fn bounded(ctx: Context) -> CheckResult {
    let peer = ctx.peer().await?;
    ctx.hosted_naming(&[&peer]).await?;
    let ids = one_by_one(&ctx, &peer, ISSUES).await?;
    let (_, most) = evidence(&ctx, &peer);
    expect(most <= MOST_FILTERS, format!("at most {MOST_FILTERS} filters open at once"), most)?;
    // one that is put together with others stays followed; while that happens, none may be open for a moment
    ctx.visit(&peer, "every issue is followed at the end", SYNCED_WITHIN, |visits| {
        let open = Subscriptions::after(visits);
        ids.iter().all(|id| is_followed(&open, id)).then_some(())
    })
    .await
}

async fn at_most_a_hundred(ctx: Context) -> CheckResult {
    let peer = ctx.peer().await?;
    ctx.hosted_repository().await?;
    let issues = ctx.issues(HERE_BEFORE);
    for issue in &issues {
        ctx.accepted(issue).await?;
    }
    let naming = ctx.sign(&ctx.owner, ctx.announcement_naming(&[&peer]).draft());
    ctx.accepted(&naming).await?;
    let wanted: BTreeSet<String> = issues.iter().map(|issue| issue.id.to_hex()).collect();
    ctx.visit(&peer, "every issue is followed at the peer", SYNCED_WITHIN, |visits| {
        let open = Subscriptions::after(visits);
        wanted.iter().all(|id| is_followed(&open, id)).then_some(())
    })
    .await?;
    evidence(&ctx, &peer);
    let most =
        peer.visits().read(|visits| filters(visits, Duration::ZERO).map(|(_, filter)| values(filter)).max());
    let most = most.unwrap_or(0);
    expect(most <= MOST_VALUES, format!("at most {MOST_VALUES} values in a filter"), most)
}

async fn stated_limit(ctx: Context) -> CheckResult {
    let peer = ctx.peer().await?;
    peer.behave(|manners| manners.max_subscriptions = Some(ALLOWED));
    let issues = ctx.issues(20);
    peer.publish_all(&issues).await?;
    ctx.hosted_naming(&[&peer]).await?;
    ctx.all_arrive(&peer, &issues).await?;
    one_by_one(&ctx, &peer, 2 * ALLOWED).await?;
    ctx.arrives_live(&peer, &ctx.issue("new")).await?;
    let (most, _) = evidence(&ctx, &peer);
    expect(most <= ALLOWED, format!("at most {ALLOWED} subscriptions, as the peer's document says"), most)
}
