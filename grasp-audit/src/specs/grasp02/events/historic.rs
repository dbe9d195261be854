//! G02/events/historic: what was on the other relays before.

use grasp_fixtures::{Draft, events};
use nostr::event::Event;
use serde_json::json;

use super::super::elsewhere::check;
use crate::check::{Check, CheckResult};
use crate::context::Context;

const HISTORIC: &str = "G02/events/historic";

pub(super) fn checks() -> Vec<Check> {
    let tagged = |name: &'static str, tag: &'static str, title: &str| {
        check(HISTORIC, name, title, move |ctx| tags_the_repository(ctx, tag))
    };
    let replied = |name: &'static str, tag: &'static str, title: &str| {
        check(HISTORIC, name, title, move |ctx| tags_a_root(ctx, tag))
    };
    vec![
        check(
            HISTORIC,
            "maintainer",
            "a maintainer's announcement and newer state, which only a peer has, are served",
            maintainer,
        ),
        tagged("repository-by-a", "a", "events of a peer that name the repository under `a` are served"),
        tagged(
            "repository-by-upper-a",
            "A",
            "events of a peer that name the repository under `A` are served",
        ),
        tagged("repository-by-q", "q", "events of a peer that quote the repository (`q`) are served"),
        replied("root-by-e", "e", "events of a peer that name an issue here under `e` are served"),
        replied("root-by-upper-e", "E", "events of a peer that name an issue here under `E` are served"),
        replied("root-by-q", "q", "events of a peer that quote an issue here (`q`) are served"),
        check(HISTORIC, "thread", "an issue and its comments, which only a peer has, are all served", thread),
        check(HISTORIC, "two-relays", "what each of two relays has is served", two_relays),
        check(
            HISTORIC,
            "known-before",
            "what is about a repository that was here before its announcement named the peer is served",
            named_later,
        ),
    ]
}

async fn maintainer(ctx: Context) -> CheckResult {
    let (peer, maintainer) = (ctx.peer().await?, ctx.someone());
    let announcement = ctx.announcement_naming(&[&peer]).maintainer(maintainer.public_key());
    let hosted = ctx.hosted_repository_as(&ctx.owner, &announcement).await?;
    let theirs = grasp_fixtures::Announcement::new(&ctx.identifier)
        .clone_url(peer.clone_url(&maintainer.public_key(), &ctx.identifier))
        .relay(peer.relay());
    let theirs = ctx.sign(&maintainer, theirs.draft());
    // all its objects are here
    let state = ctx.sign(&maintainer, hosted.main_at(&hosted.tip).draft());
    peer.publish_all([&theirs, &state]).await?;
    ctx.all_arrive(&peer, &[theirs, state]).await
}

/// Two events by one person that name something under a tag, a minute apart: a history has more than its newest event,
/// which would come with any new subscription.
fn tagging(ctx: &Context, tag: &str, value: &str) -> [Event; 2] {
    let kind = if tag == "q" { 1 } else { events::COMMENT };
    let (author, now) = (ctx.someone(), ctx.now());
    [now - 60, now].map(|at| ctx.sign(&author, Draft::new(kind, "about it").tag([tag, value]).at(at)))
}

async fn tags_the_repository(ctx: Context, tag: &'static str) -> CheckResult {
    let (peer, events) = (ctx.peer().await?, tagging(&ctx, tag, &ctx.coordinate()));
    peer.publish_all(&events).await?;
    ctx.hosted_naming(&[&peer]).await?;
    ctx.all_arrive(&peer, &events).await
}

async fn tags_a_root(ctx: Context, tag: &'static str) -> CheckResult {
    let (peer, issue) = (ctx.peer().await?, ctx.issue("known here"));
    let replies = tagging(&ctx, tag, &issue.id.to_hex());
    peer.publish_all(&replies).await?;
    ctx.hosted_naming(&[&peer]).await?;
    ctx.accepted(&issue).await?;
    ctx.all_arrive(&peer, &replies).await
}

async fn thread(ctx: Context) -> CheckResult {
    let (peer, author, now) = (ctx.peer().await?, ctx.someone(), ctx.now());
    let issue = events::issue(&ctx.coordinate(), "elsewhere", "").at(now - 120);
    let issue = ctx.sign(&author, issue);
    let comments = [now - 60, now].map(|at| ctx.sign(&author, events::comment(&issue, "a comment").at(at)));
    let mut thread = vec![issue];
    thread.extend(comments);
    peer.publish_all(&thread).await?;
    ctx.hosted_naming(&[&peer]).await?;
    ctx.all_arrive(&peer, &thread).await
}

async fn two_relays(ctx: Context) -> CheckResult {
    let (one, other) = (ctx.peer().await?, ctx.peer().await?);
    let (first, second) = (ctx.issue("on one"), ctx.issue("on the other"));
    one.publish(&first).await?;
    other.publish(&second).await?;
    ctx.hosted_naming(&[&one, &other]).await?;
    ctx.arrives(&one, &first).await?;
    ctx.arrives(&other, &second).await
}

async fn named_later(ctx: Context) -> CheckResult {
    let (peer, issue) = (ctx.peer().await?, ctx.issue("older than the naming"));
    peer.publish(&issue).await?;
    ctx.hosted_repository().await?;
    let naming = ctx.sign(&ctx.owner, ctx.announcement_naming(&[&peer]).draft());
    ctx.accepted(&naming).await?;
    ctx.arrives(&peer, &issue).await?;
    let found = ctx.query(json!({"ids": [naming.id.to_hex()]})).await?;
    crate::check::expect(!found.is_empty(), "the newer announcement is served", "it is not")
}
