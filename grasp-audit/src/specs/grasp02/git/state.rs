//! G02/git/state: the data that a state names is fetched from the announcement's other clone servers.

use std::time::Duration;

use grasp_fixtures::State;
use nostr::event::Event;

use super::super::elsewhere::check;
use crate::check::{Check, CheckResult, expect};
use crate::context::{Context, Hosted, SYNCED_WITHIN};
use crate::peer::Peer;
use crate::peer::manners::Git;
use crate::peer::visits::fetches;
use crate::target::url::repository_path;

const STATE: &str = "G02/git/state";
/// "At once", on a busy machine, and with news being gathered.
const AT_ONCE: Duration = Duration::from_secs(30);

pub(super) fn checks() -> Vec<Check> {
    vec![
        check(
            STATE,
            "at-once",
            "a state that comes by sync is served, with its refs, as soon as its data was fetched from the peer",
            at_once,
        ),
        check(
            STATE,
            "from-nothing",
            "a repository of which only the announcement was published here gets state and data from the peer",
            from_nothing,
        ),
        check(
            STATE,
            "not-before",
            "a state whose data the host refuses is not served and moves no ref; later it is fetched all the same",
            not_before,
        ),
        check(
            STATE,
            "second-host",
            "the data is found also when the first of two hosts does not have it",
            second_host,
        ),
        check(STATE, "two-parts", "parts on two hosts complete one state", two_parts),
        check(STATE, "tags", "annotated tags come with the branches", tags),
        check(
            STATE,
            "busy-host",
            "a host that answers 429 is left alone for a while, and then asked again",
            busy_host,
        )
        .patient(Duration::from_secs(300)),
    ]
}

/// A hosted repository and a newer state of it: its data is at the peer, the event is not published yet.
async fn with_news(ctx: &Context, peer: &Peer) -> CheckResult<(Hosted, State, Event)> {
    let hosted = ctx.hosted_naming(&[peer]).await?;
    let (tip, state, event) = ctx.next_state(&hosted).await?;
    has(ctx, peer, &hosted, &[("main", &tip)]).await?;
    Ok((hosted, state, event))
}

/// The peer hosts these branches of a repository.
async fn has(ctx: &Context, peer: &Peer, hosted: &Hosted, branches: &[(&str, &str)]) -> CheckResult {
    let refs: Vec<String> = branches.iter().map(|(name, tip)| format!("{tip}:refs/heads/{name}")).collect();
    Ok(peer.host(&ctx.owner.public_key(), &ctx.identifier, &hosted.repository, &refs).await?)
}

fn path(ctx: &Context) -> String {
    repository_path(&ctx.owner.public_key(), &ctx.identifier)
}

/// A request for the owner's repository at the peer, answered by `status`.
async fn asked_for(ctx: &Context, peer: &Peer, status: u16, within: Duration) -> CheckResult<Duration> {
    let path = path(ctx);
    let what = format!("{path} is asked for at the peer, and answered {status}");
    ctx.visit(peer, &what, within, |visits| {
        fetches(visits, &path).into_iter().find(|(_, answered)| *answered == status).map(|(at, _)| at)
    })
    .await
}

async fn at_once(ctx: Context) -> CheckResult {
    let peer = ctx.peer().await?;
    let (hosted, state, event) = with_news(&ctx, &peer).await?;
    ctx.is_subscribed(&peer, &event).await?;
    peer.publish(&event).await?;
    let published = peer.visits().now();
    let asked = asked_for(&ctx, &peer, 200, SYNCED_WITHIN).await?;
    ctx.arrives(&peer, &event).await?;
    ctx.comes_to_show(&hosted.path, &state).await?;
    let waited = asked.saturating_sub(published);
    expect(
        waited <= ctx.target.patience.of(AT_ONCE),
        format!("the data is asked for at once, within {AT_ONCE:?}"),
        format!("after {waited:?}"),
    )
}

async fn from_nothing(ctx: Context) -> CheckResult {
    let peer = ctx.peer().await?;
    let (repository, tip) = ctx.local_repository().await?;
    let state = State::new(&ctx.identifier).branch("main", &tip).head("main");
    let event = ctx.sign(&ctx.owner, state.draft());
    let refs = [format!("{tip}:refs/heads/main")];
    peer.host(&ctx.owner.public_key(), &ctx.identifier, &repository, &refs).await?;
    peer.publish(&event).await?;
    let announcement = ctx.sign(&ctx.owner, ctx.announcement_naming(&[&peer]).draft());
    ctx.accepted(&announcement).await?;
    ctx.arrives(&peer, &event).await?;
    ctx.served(&announcement).await?;
    ctx.comes_to_show(&path(&ctx), &state).await
}

async fn not_before(ctx: Context) -> CheckResult {
    let peer = ctx.peer().await?;
    peer.behave(|manners| manners.git = Git::Status(500));
    let (hosted, state, event) = with_news(&ctx, &peer).await?;
    peer.publish(&event).await?;
    asked_for(&ctx, &peer, 500, SYNCED_WITHIN).await?;
    ctx.not_served(&event).await?;
    ctx.shows(&hosted.path, &hosted.main_at(&hosted.tip)).await?;
    peer.behave(|manners| manners.git = Git::Serves);
    ctx.arrives(&peer, &event).await?;
    ctx.comes_to_show(&hosted.path, &state).await
}

async fn second_host(ctx: Context) -> CheckResult {
    let (without, with) = (ctx.peer().await?, ctx.peer().await?);
    let hosted = ctx.hosted_naming(&[&without, &with]).await?;
    let (tip, state, event) = ctx.next_state(&hosted).await?;
    has(&ctx, &with, &hosted, &[("main", &tip)]).await?;
    without.publish(&event).await?;
    ctx.arrives(&with, &event).await?;
    ctx.comes_to_show(&hosted.path, &state).await
}

async fn two_parts(ctx: Context) -> CheckResult {
    let (one, other) = (ctx.peer().await?, ctx.peer().await?);
    let hosted = ctx.hosted_naming(&[&one, &other]).await?;
    let (left, right) = (hosted.commit("left.txt").await?, hosted.commit("right.txt").await?);
    has(&ctx, &one, &hosted, &[("left", &left)]).await?;
    has(&ctx, &other, &hosted, &[("right", &right)]).await?;
    let state = hosted.main_at(&hosted.tip).branch("left", &left).branch("right", &right);
    let event = ctx.sign(&ctx.owner, state.draft());
    one.publish(&event).await?;
    ctx.arrives(&one, &event).await?;
    ctx.comes_to_show(&hosted.path, &state).await
}

async fn tags(ctx: Context) -> CheckResult {
    let peer = ctx.peer().await?;
    let hosted = ctx.hosted_naming(&[&peer]).await?;
    let tip = hosted.commit("released.txt").await?;
    let tag = hosted.repository.annotated_tag("v1", &tip).await?;
    let refs = [format!("{tip}:refs/heads/main"), "refs/tags/v1:refs/tags/v1".to_owned()];
    peer.host(&ctx.owner.public_key(), &ctx.identifier, &hosted.repository, &refs).await?;
    let state = hosted.main_at(&tip).git_tag("v1", &tag);
    let event = ctx.sign(&ctx.owner, state.draft());
    peer.publish(&event).await?;
    ctx.arrives(&peer, &event).await?;
    ctx.comes_to_show(&hosted.path, &state).await
}

async fn busy_host(ctx: Context) -> CheckResult {
    let peer = ctx.peer().await?;
    peer.behave(|manners| manners.git = Git::Status(429));
    let (hosted, state, event) = with_news(&ctx, &peer).await?;
    peer.publish(&event).await?;
    let refused = asked_for(&ctx, &peer, 429, SYNCED_WITHIN).await?;
    peer.behave(|manners| manners.git = Git::Serves);
    let again = asked_for(&ctx, &peer, 200, 3 * SYNCED_WITHIN).await?;
    expect(
        again.saturating_sub(refused) >= Duration::from_secs(5),
        "a busy host is left alone for a while",
        format!("it was asked again after {:?}", again.saturating_sub(refused)),
    )?;
    ctx.arrives(&peer, &event).await?;
    ctx.comes_to_show(&hosted.path, &state).await
}
