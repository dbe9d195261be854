//! G02/events/discovery: relays and repositories that nobody has told the server of.

use grasp_fixtures::{Announcement, State};

use super::super::elsewhere::check;
use crate::check::{Check, CheckResult};
use crate::context::Context;
use crate::target::url::repository_path;

const DISCOVERY: &str = "G02/events/discovery";

pub(super) fn checks() -> Vec<Check> {
    vec![
        check(
            DISCOVERY,
            "second-relay",
            "a relay that only an announcement from another relay names is used: what it has is served",
            second_relay,
        ),
        check(
            DISCOVERY,
            "listing-announcement",
            "an announcement of another repository on a connected relay that lists this service is taken, and is hosted \
             with the state and data that its peer has",
            listing_announcement,
        ),
    ]
}

async fn second_relay(ctx: Context) -> CheckResult {
    let (first, second) = (ctx.peer().await?, ctx.peer().await?);
    ctx.hosted_naming(&[&first]).await?;
    let issue = ctx.issue("on the second relay");
    second.publish(&issue).await?;
    let naming = ctx.sign(&ctx.owner, ctx.announcement_naming(&[&first, &second]).draft());
    first.publish(&naming).await?;
    ctx.arrives(&first, &naming).await?;
    ctx.arrives(&second, &issue).await
}

async fn listing_announcement(ctx: Context) -> CheckResult {
    let (peer, owner, identifier) = (ctx.peer().await?, ctx.someone(), ctx.other_identifier());
    ctx.hosted_naming(&[&peer]).await?;
    let key = owner.public_key();
    let announcement: Announcement = ctx.announcement_of(&owner, &identifier);
    let announcement = announcement.relay(peer.relay()).clone_url(peer.clone_url(&key, &identifier));
    let announcement = ctx.sign(&owner, announcement.draft());
    let (repository, tip) = ctx.local_repository().await?;
    let state = State::new(&identifier).branch("main", &tip).head("main");
    let event = ctx.sign(&owner, state.draft());
    peer.host(&key, &identifier, &repository, &[format!("{tip}:refs/heads/main")]).await?;
    peer.publish_all([&event, &announcement]).await?;
    ctx.keeps(&announcement);
    ctx.all_arrive(&peer, &[announcement, event]).await?;
    ctx.comes_to_show(&repository_path(&key, &identifier), &state).await
}
