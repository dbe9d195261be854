//! G02/sync/negentropy: history goes by reconciliation where the peer speaks it, and page by page where it does not.

use std::time::Duration;

use nostr::event::Event;
use serde_json::Value;

use super::super::elsewhere::check;
use crate::check::{Check, CheckResult, expect, fail};
use crate::context::Context;
use crate::peer::Peer;
use crate::peer::manners::{Manners, Negentropy};
use crate::peer::visits::{Visit, What, histories};

const NEGENTROPY: &str = "G02/sync/negentropy";
/// Events of one history.
const HISTORY: u64 = 40;
/// Stored events that live subscriptions and the meeting itself may bring a second time.
const SOME: usize = 10;

pub(super) fn checks() -> Vec<Check> {
    vec![
        check(
            NEGENTROPY,
            "used",
            "the history of a peer that speaks NIP-77 is reconciled, and not read page by page",
            used,
        ),
        check(
            NEGENTROPY,
            "only-missing",
            "of a history that both have for the most part, only the rest is sent",
            only_missing,
        ),
        check(
            NEGENTROPY,
            "unknown",
            "the history of a peer that does not know NIP-77 comes all the same",
            |ctx| comes_with(ctx, |manners| manners.negentropy = Negentropy::Unknown),
        ),
        check(
            NEGENTROPY,
            "refused",
            "the history of a peer that refuses every NEG-OPEN comes all the same",
            |ctx| comes_with(ctx, |manners| manners.negentropy = Negentropy::Refused),
        ),
        check(
            NEGENTROPY,
            "pages",
            "a history of several pages comes whole from a peer that gives 25 events at a time",
            |ctx| comes_with(ctx, by_pages(25)),
        ),
        check(
            NEGENTROPY,
            "crowded-second",
            "what is older than a second with more events than a page comes, too, and the questions end",
            crowded_second,
        ),
        check(
            NEGENTROPY,
            "thousands",
            "2,000 events of one second come from a peer that speaks NIP-77",
            thousands,
        )
        .bound(Duration::from_secs(400)),
        check(NEGENTROPY, "answers", "the server itself answers NEG-OPEN", answers),
    ]
}

fn by_pages(page: usize) -> impl Fn(&mut Manners) + Send + Sync + Copy + 'static {
    move |manners| {
        manners.negentropy = Negentropy::Unknown;
        manners.page = page;
    }
}

async fn comes_with(ctx: Context, change: impl Fn(&mut Manners)) -> CheckResult {
    let (peer, issues) = (ctx.peer().await?, ctx.issues(2 * HISTORY));
    peer.behave(change);
    comes(&ctx, &peer, &issues).await
}

/// The peer has these events before the server comes.
async fn comes(ctx: &Context, peer: &Peer, events: &[Event]) -> CheckResult {
    peer.publish_all(events).await?;
    ctx.hosted_naming(&[peer]).await?;
    ctx.all_arrive(peer, events).await
}

async fn used(ctx: Context) -> CheckResult {
    let (peer, issues) = (ctx.peer().await?, ctx.issues(HISTORY));
    comes(&ctx, &peer, &issues).await?;
    let asked = peer.visits().read(|visits| histories(visits, Duration::ZERO));
    let about_it = |filter: &Value| filter.to_string().contains(&ctx.coordinate());
    let reconciled = asked.iter().any(|(negotiated, filter)| *negotiated && about_it(filter));
    expect(reconciled, "a NEG-OPEN for what names the repository", peer.visits().summary())?;
    // what is missing is then asked for by its id
    let paged = asked.iter().find(|(negotiated, filter)| !negotiated && filter.get("ids").is_none());
    let seen = paged.map(|(_, filter)| filter.to_string()).unwrap_or_default();
    expect(paged.is_none(), "no history is read by REQ", seen)
}

/// How many of these events the peer has sent.
fn sent(visits: &[Visit], events: &[Event]) -> usize {
    let ids: Vec<String> = events.iter().map(|event| event.id.to_hex()).collect();
    let is = |visit: &&Visit| matches!(&visit.what, What::Delivered { event, .. } if ids.contains(event));
    visits.iter().filter(is).count()
}

async fn only_missing(ctx: Context) -> CheckResult {
    let (peer, mut both) = (ctx.peer().await?, ctx.issues(HISTORY));
    // the oldest: it comes with the history, and after everything else that is sent of it
    let missing = both.remove(0);
    ctx.hosted_repository().await?;
    for issue in &both {
        ctx.accepted(issue).await?;
    }
    peer.publish_all(&both).await?;
    peer.publish(&missing).await?;
    let naming = ctx.sign(&ctx.owner, ctx.announcement_naming(&[&peer]).draft());
    ctx.accepted(&naming).await?;
    ctx.arrives(&peer, &missing).await?;
    let again = peer.visits().read(|visits| sent(visits, &both));
    let expected = format!("at most {SOME} of the {} events that both have are sent", both.len());
    expect(again <= SOME, expected, format!("{again} were sent"))
}

async fn crowded_second(ctx: Context) -> CheckResult {
    let (peer, older) = (ctx.peer().await?, ctx.issues(10));
    peer.behave(by_pages(30));
    let (author, second) = (ctx.someone(), ctx.now() - 600);
    let crowd = (0..80).map(|number| {
        let draft = grasp_fixtures::events::issue(&ctx.coordinate(), &format!("at once {number}"), "");
        ctx.sign(&author, draft.at(second))
    });
    let crowd: Vec<Event> = crowd.collect();
    ctx.offers(&crowd);
    peer.publish_all(&crowd).await?;
    comes(&ctx, &peer, &older).await?;
    let asked = peer.visits().read(|visits| histories(visits, Duration::ZERO).len());
    expect(asked <= 200, "the questions end", format!("{asked} questions"))
}

async fn thousands(ctx: Context) -> CheckResult {
    let (peer, author, second) = (ctx.peer().await?, ctx.someone(), ctx.now() - 600);
    let issue = ctx.issue("much discussed");
    let comments = (0..2_000).map(|number| {
        let draft = grasp_fixtures::events::comment(&issue, &format!("comment {number}"));
        ctx.sign(&author, draft.at(second))
    });
    let mut events: Vec<Event> = comments.collect();
    events.push(issue.clone());
    comes(&ctx, &peer, &events).await
}

async fn answers(ctx: Context) -> CheckResult {
    let peer = ctx.peer().await?;
    let issue = ctx.issue("at the peer");
    comes(&ctx, &peer, std::slice::from_ref(&issue)).await?;
    let filter = serde_json::json!({"kinds": [1621], "#a": [ctx.coordinate()]});
    let ids = ctx.relay().await?.neg_ids(&filter).await?;
    let ids = ids.ok_or_else(|| fail("NEG-MSG for NEG-OPEN", "the server does not speak NIP-77"))?;
    expect(ids == [issue.id.to_hex()], "the synced event, by reconciliation", format!("{ids:?}"))
}
