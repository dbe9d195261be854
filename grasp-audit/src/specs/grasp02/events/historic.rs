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
        tagged("repository-by-a", "a", "an event of a peer that names the repository under `a` is served"),
        tagged(
            "repository-by-upper-a",
            "A",
            "an event of a peer that names the repository under `A` is served",
        ),
        tagged("repository-by-q", "q", "an event of a peer that quotes the repository (`q`) is served"),
        replied("root-by-e", "e", "an event of a peer that names an issue here under `e` is served"),
        replied("root-by-upper-e", "E", "an event of a peer that names an issue here under `E` is served"),
        replied("root-by-q", "q", "an event of a peer that quotes an issue here (`q`) is served"),
        check(HISTORIC, "thread", "an issue and its comment, which only a peer has, are both served", thread),
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

/// The peer has the event before the server comes.
async fn comes_with_the_history(ctx: &Context, event: &Event) -> CheckResult {
    let peer = ctx.peer().await?;
    peer.publish(event).await?;
    ctx.hosted_naming(&[&peer]).await?;
    ctx.arrives(&peer, event).await
}

async fn tags_the_repository(ctx: Context, tag: &'static str) -> CheckResult {
    let kind = if tag == "q" { 1 } else { events::COMMENT };
    let draft = Draft::new(kind, "about the repository").tag([tag, &ctx.coordinate()]);
    let event = ctx.sign(&ctx.someone(), draft);
    comes_with_the_history(&ctx, &event).await
}

async fn tags_a_root(ctx: Context, tag: &'static str) -> CheckResult {
    let (peer, issue) = (ctx.peer().await?, ctx.issue("known here"));
    let kind = if tag == "q" { 1 } else { events::COMMENT };
    let reply = Draft::new(kind, "about the issue").tag([tag.to_owned(), issue.id.to_hex()]);
    let reply = ctx.sign(&ctx.someone(), reply);
    peer.publish(&reply).await?;
    ctx.hosted_naming(&[&peer]).await?;
    ctx.accepted(&issue).await?;
    ctx.arrives(&peer, &reply).await
}

async fn thread(ctx: Context) -> CheckResult {
    let (peer, issue) = (ctx.peer().await?, ctx.issue("elsewhere"));
    let comment = ctx.sign(&ctx.someone(), events::comment(&issue, "a comment"));
    peer.publish_all([&issue, &comment]).await?;
    ctx.hosted_naming(&[&peer]).await?;
    ctx.all_arrive(&peer, &[issue, comment]).await
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
