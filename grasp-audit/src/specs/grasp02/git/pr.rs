//! G02/git/pr: the same for pull requests and their updates, whose own clone URLs count, too.

use grasp_fixtures::{PullRequest, events};
use nostr::event::Event;
use nostr::key::Keys;

use super::super::elsewhere::check;
use crate::check::{Check, CheckResult};
use crate::context::{Context, Hosted};
use crate::peer::Peer;

const PR: &str = "G02/git/pr";

pub(super) fn checks() -> Vec<Check> {
    vec![
        check(
            PR,
            "announcement-clone",
            "the data of a pull request comes from the announcement's other clone server, at `refs/nostr/<event-id>`",
            announcement_clone,
        ),
        check(
            PR,
            "own-clone",
            "the data of a pull request comes from its own clone URL, which the announcement does not name",
            own_clone,
        ),
        check(
            PR,
            "update",
            "the data of an update of a pull request comes, too, at a ref of its own",
            update,
        ),
    ]
}

/// A change on top of a hosted repository, and its pull request; published nowhere.
async fn change(
    ctx: &Context,
    hosted: &Hosted,
    author: &Keys,
    file: &str,
    clone: Option<String>,
) -> CheckResult<(String, PullRequest, Event)> {
    let tip = hosted.commit(file).await?;
    let mut request = PullRequest::new(&hosted.coordinate, &tip).subject(file);
    request.clone.extend(clone);
    let event = ctx.sign(author, request.draft());
    Ok((tip, request, event))
}

async fn comes_with_its_data(
    ctx: &Context,
    peer: &Peer,
    hosted: &Hosted,
    event: &Event,
    tip: &str,
) -> CheckResult {
    peer.publish(event).await?;
    ctx.arrives(peer, event).await?;
    ctx.ref_becomes(&hosted.path, &format!("refs/nostr/{}", event.id), Some(tip)).await
}

async fn announcement_clone(ctx: Context) -> CheckResult {
    let peer = ctx.peer().await?;
    let hosted = ctx.hosted_naming(&[&peer]).await?;
    let (tip, _, event) = change(&ctx, &hosted, &ctx.someone(), "a change", None).await?;
    let refs = [format!("{tip}:refs/nostr/{}", event.id)];
    peer.host(&ctx.owner.public_key(), &ctx.identifier, &hosted.repository, &refs).await?;
    comes_with_its_data(&ctx, &peer, &hosted, &event, &tip).await
}

async fn own_clone(ctx: Context) -> CheckResult {
    let (peer, fork) = (ctx.peer().await?, ctx.peer().await?);
    let hosted = ctx.hosted_naming(&[&peer]).await?;
    let author = ctx.someone();
    let url = fork.clone_url(&author.public_key(), "fork");
    let (tip, _, event) = change(&ctx, &hosted, &author, "a change", Some(url)).await?;
    let refs = [format!("{tip}:refs/heads/change")];
    fork.host(&author.public_key(), "fork", &hosted.repository, &refs).await?;
    comes_with_its_data(&ctx, &peer, &hosted, &event, &tip).await
}

async fn update(ctx: Context) -> CheckResult {
    let peer = ctx.peer().await?;
    let hosted = ctx.hosted_naming(&[&peer]).await?;
    let author = ctx.someone();
    let (tip, _, root) = change(&ctx, &hosted, &author, "a change", None).await?;
    let (newer, request, _) = change(&ctx, &hosted, &author, "a better change", None).await?;
    let event = ctx.sign(&author, request.update_of(&root));
    debug_assert_eq!(event.kind.as_u16(), events::PULL_REQUEST_UPDATE);
    let refs = [format!("{tip}:refs/nostr/{}", root.id), format!("{newer}:refs/nostr/{}", event.id)];
    peer.host(&ctx.owner.public_key(), &ctx.identifier, &hosted.repository, &refs).await?;
    comes_with_its_data(&ctx, &peer, &hosted, &root, &tip).await?;
    comes_with_its_data(&ctx, &peer, &hosted, &event, &newer).await
}
