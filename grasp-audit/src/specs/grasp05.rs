//! GRASP-05: an archive keeps copies of repositories that do not list the service.
//!
//! Optional. Where NIP-11 does not list it, the checks are skipped; that such announcements are then refused is
//! `G01/relay/rejects-unlisted`. Which repositories an archive takes is its operator's choice: the checks find out
//! whether it takes all, or are told an identifier that it takes (`--archived`).

use grasp_fixtures::{Announcement, State, events, keys};
use nostr::event::Event;

use crate::check::{Check, CheckResult, expect, fail, skip};
use crate::context::{Context, Hosted};
use crate::specs::grasp01::relay::path_answers;
use crate::target::url::repository_path;
use crate::target::websocket::OkReply;

const ACCEPT: &str = "G05/accept";
const SYNC: &str = "G05/sync";
const GRASP: &str = "GRASP-05";

/// The checks of this specification, in the order of the catalogue.
#[must_use]
pub fn checks() -> Vec<Check> {
    let checks = vec![
        Check::new(
            ACCEPT,
            "unlisted",
            "an announcement that does not list the service is taken, and its repository exists, empty",
            unlisted,
        ),
        Check::new(
            ACCEPT,
            "half-listed",
            "also when it has the service's relay but no clone URL here",
            half_listed,
        ),
        Check::new(ACCEPT, "replaced", "a newer announcement takes the waiting one's place", replaced),
        Check::new(ACCEPT, "state", "its owner's state is taken; a stranger's is refused", state),
        Check::new(
            ACCEPT,
            "others",
            "where a rule chooses what is archived, another identifier's announcement is refused",
            others,
        ),
        Check::new(
            ACCEPT,
            "listed",
            "an announcement that the rule covers and that lists the service is an ordinary repository",
            listed,
        ),
        Check::new(
            SYNC,
            "waits",
            "with GRASP-05, GRASP-02 is listed as well, and what is archived waits for its git data",
            waits,
        ),
        Check::new(
            SYNC,
            "push",
            "a push of exactly what is signed is refused with a reason when `curation` says read-only, and only then",
            push,
        ),
        Check::new(
            SYNC,
            "push-pull-request",
            "a push to refs/nostr/<event-id> is refused with a reason when `curation` says read-only, and only then",
            push_pull_request,
        ),
    ];
    checks.into_iter().map(|check| check.only_with(GRASP)).collect()
}

/// Ends the check with a skip when the server archives whatever is announced: then it refuses nothing for not listing it.
pub(super) async fn unless_everything_is_archived(ctx: &Context) -> CheckResult {
    if !ctx.target.supports(GRASP) || ctx.target.archived.is_some() {
        return Ok(());
    }
    let probe = ctx.sign(&ctx.someone(), elsewhere(&ctx.other_identifier()).draft());
    if ctx.publish(&probe).await?.accepted {
        return Err(skip("the server archives every repository that is announced to it (GRASP-05)"));
    }
    Ok(())
}

/// An announcement that lists another service alone.
fn elsewhere(identifier: &str) -> Announcement {
    let clone = format!("https://grasp.invalid/{}.git", keys::random_suffix(8));
    Announcement::new(identifier).clone_url(clone).relay("wss://grasp.invalid")
}

/// The identifier that is archived: what we were told, or this check's own.
fn identifier(ctx: &Context) -> String {
    ctx.target.archived.clone().unwrap_or_else(|| ctx.identifier.clone())
}

/// Publishes an announcement that has to be archived, if anything is known to be.
async fn archived(ctx: &Context, event: &Event) -> CheckResult<OkReply> {
    let reply = ctx.publish(event).await?;
    if !reply.accepted && ctx.target.archived.is_none() {
        return Err(skip(format!(
            "the server does not archive everything, and nobody said what; name an identifier that it archives with \
             --archived ({reply})"
        )));
    }
    expect(reply.accepted, "OK true for an announcement that is to be archived", &reply)?;
    Ok(reply)
}

/// An archived repository that waits: announcement and state are taken, the data is here only.
async fn waiting(ctx: &Context) -> CheckResult<Hosted> {
    let (owner, identifier) = (ctx.someone(), identifier(ctx));
    let announcement = ctx.sign(&owner, elsewhere(&identifier).draft());
    archived(ctx, &announcement).await?;
    let (repository, tip) = ctx.local_repository().await?;
    let state = ctx.state_by(&owner, &State::new(&identifier).branch("main", &tip).head("main")).await?;
    Ok(Hosted {
        coordinate: events::coordinate(&owner.public_key(), &identifier),
        url: ctx.target.url.clone_url(&owner.public_key(), &identifier),
        path: repository_path(&owner.public_key(), &identifier),
        owner,
        identifier,
        announcement,
        state,
        repository,
        tip,
    })
}

async fn unlisted(ctx: Context) -> CheckResult {
    let (owner, identifier) = (ctx.someone(), identifier(&ctx));
    let path = repository_path(&owner.public_key(), &identifier);
    path_answers(&ctx, &path, 404).await?;
    archived(&ctx, &ctx.sign(&owner, elsewhere(&identifier).draft())).await?;
    path_answers(&ctx, &path, 200).await?;
    ctx.shows_nothing(&path).await
}

async fn half_listed(ctx: Context) -> CheckResult {
    let (owner, identifier) = (ctx.someone(), identifier(&ctx));
    let path = repository_path(&owner.public_key(), &identifier);
    path_answers(&ctx, &path, 404).await?;
    let announcement = elsewhere(&identifier).relay(ctx.target.url.relay());
    archived(&ctx, &ctx.sign(&owner, announcement.draft())).await?;
    path_answers(&ctx, &path, 200).await
}

async fn replaced(ctx: Context) -> CheckResult {
    let (owner, identifier) = (ctx.someone(), identifier(&ctx));
    let first = ctx.sign(&owner, elsewhere(&identifier).draft());
    archived(&ctx, &first).await?;
    let second = ctx.sign(&owner, elsewhere(&identifier).name("renamed").draft());
    let reply = ctx.publish(&second).await?;
    expect(reply.accepted, "OK true for a newer announcement of what is archived", &reply)?;
    ctx.refused(&first).await?;
    path_answers(&ctx, &repository_path(&owner.public_key(), &identifier), 200).await
}

async fn state(ctx: Context) -> CheckResult {
    let repository = waiting(&ctx).await?;
    ctx.not_served(&repository.state).await?;
    let strangers = State::new(&repository.identifier).branch("main", &repository.tip).head("main");
    ctx.refused(&ctx.sign(&ctx.someone(), strangers.draft())).await.map(drop)
}

async fn others(ctx: Context) -> CheckResult {
    if ctx.target.archived.is_none() {
        return Err(skip("nobody said which identifier is archived (--archived)"));
    }
    let owner = ctx.someone();
    archived(&ctx, &ctx.sign(&owner, elsewhere(&identifier(&ctx)).draft())).await?;
    let other = ctx.sign(&owner, elsewhere(&ctx.identifier).draft());
    ctx.refused(&other).await?;
    path_answers(&ctx, &repository_path(&owner.public_key(), &ctx.identifier), 404).await
}

async fn listed(ctx: Context) -> CheckResult {
    let owner = ctx.someone();
    ctx.hosted_repository_of(&owner, &identifier(&ctx)).await.map(drop)
}

async fn waits(ctx: Context) -> CheckResult {
    let listed = ctx.target.supports("GRASP-02");
    expect(listed, "GRASP-02 in `supported_grasps`, beside GRASP-05", "it is not there")?;
    let event = ctx.sign(&ctx.someone(), elsewhere(&identifier(&ctx)).draft());
    let reply = archived(&ctx, &event).await?;
    expect(
        reply.message.starts_with("purgatory:"),
        "OK true with `purgatory: …` for what waits to be archived",
        &reply,
    )?;
    ctx.not_served(&event).await
}

/// Whether `curation` says that archived repositories are read-only.
fn is_read_only(ctx: &Context) -> bool {
    let curation = ctx.target.nip11.as_ref().and_then(|document| document["curation"].as_str());
    let said = curation.unwrap_or_default().to_lowercase();
    said.contains("read-only") || said.contains("read only")
}

async fn push(ctx: Context) -> CheckResult {
    let repository = waiting(&ctx).await?;
    if !is_read_only(&ctx) {
        ctx.push(&repository, &["refs/heads/main"]).await?;
        ctx.served(&repository.announcement).await?;
        return ctx.served(&repository.state).await;
    }
    ctx.push_refused(&repository, &["refs/heads/main"]).await?;
    ctx.shows_nothing(&repository.path).await?;
    ctx.not_served(&repository.announcement).await?;
    ctx.not_served(&repository.state).await
}

async fn push_pull_request(ctx: Context) -> CheckResult {
    let repository = waiting(&ctx).await?;
    let name = format!("refs/nostr/{}", keys::fresh().public_key().to_hex());
    let refspec = format!("{}:{name}", repository.tip);
    if !is_read_only(&ctx) {
        ctx.push(&repository, &[&refspec]).await?;
        return ctx.ref_becomes(&repository.path, &name, Some(&repository.tip)).await;
    }
    ctx.push_refused(&repository, &[&refspec]).await?;
    let shown = ctx.shown(&repository.path).await?;
    match shown.refs.get(&name) {
        Some(oid) => Err(fail(format!("{} does not show what was refused", repository.path), oid)),
        None => Ok(()),
    }
}
