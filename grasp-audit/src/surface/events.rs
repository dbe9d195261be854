//! Answers to events: those that are refused, with the relay's words, and a few that are taken.

use grasp_fixtures::{Announcement, Draft, PullRequest, State, events, forged};
use nostr::event::Event;
use serde::Serialize;
use serde_json::json;

use super::world::{Stage, World, told};
use super::{Entry, SurfaceError};

const NIP01: &str = "G01/relay/nip01";
const REPOSITORY: &str = "G01/relay/accepts-repository-events";
const UNLISTED: &str = "G01/relay/rejects-unlisted";
const RELATED: &str = "G01/relay/accepts-related";
const UNRELATED: &str = "G01/relay/rejects-unrelated";
const DELETION: &str = "G01/relay/deletion";

pub(super) async fn entries(world: &World) -> Result<Vec<Entry>, SurfaceError> {
    let mut stage = match world.hosted("event").await? {
        Ok(stage) => stage,
        Err(entry) => return Ok(vec![entry]),
    };
    let mut entries = Vec::new();
    let note = stage.ctx.sign(&stage.ctx.owner, events::note("hello"));
    for (what, forgery) in
        [("forged id", forged::bad_id(&note)), ("forged signature", forged::bad_signature(&note))]
    {
        entries.push(answer(&stage, what, &forgery, NIP01).await?);
    }
    for (what, event, requirement) in events(&mut stage, note) {
        stage.redaction.add_event(&event);
        entries.push(answer(&stage, what, &event, requirement).await?);
    }
    Ok(entries)
}

async fn answer<E: Serialize>(
    stage: &Stage,
    what: &str,
    event: &E,
    requirement: &str,
) -> Result<Entry, SurfaceError> {
    let reply = stage.ctx.publish(event).await;
    let seen = reply.map(|reply| json!({"ok": reply.accepted, "message": reply.message}));
    Ok(Entry::new(format!("event/{what}"), &[requirement], told(seen, &stage.redaction)?))
}

/// The events in the order in which they are published: some depend on those before them.
fn events(stage: &mut Stage, note: Event) -> Vec<(&'static str, Event, &'static str)> {
    let waiting = stage.ctx.other_identifier();
    stage.redaction.add(&waiting, "<other identifier>");
    let (ctx, hosted) = (&stage.ctx, &stage.hosted);
    let (owner, stranger) = (&ctx.owner, &ctx.someone());
    let sign = |draft: Draft| ctx.sign(owner, draft);
    let (now, tip) = (ctx.now(), &hosted.tip);
    let odd = |name: &str, value: &str| State::new(&ctx.identifier).reference(name, value).draft();
    let elsewhere =
        Announcement::new("elsewhere").clone_url("https://a.invalid/x.git").relay("wss://a.invalid").draft();
    let half = Announcement::new("half").relay(ctx.target.url.relay()).draft();
    let nowhere = events::coordinate(&stranger.public_key(), "nowhere");
    let pull = PullRequest::new(&hosted.coordinate, tip);
    let issue = sign(events::issue(&hosted.coordinate, "s", "c"));
    let to_waiting = events::coordinate(&owner.public_key(), &waiting);
    let announced = sign(ctx.announcement_of(owner, &waiting).draft());
    vec![
        ("duplicate", hosted.announcement.clone(), NIP01),
        ("note", note, UNRELATED),
        ("from the future", sign(events::note("x").at(now + 3600)), "G01/nip11/limits"),
        ("expired", sign(events::note("x").tag(["expiration", "1"])), NIP01),
        ("protected", sign(events::note("x").tag(["-"])), NIP01),
        ("authentication", sign(Draft::new(22242, "")), NIP01),
        ("older announcement", sign(ctx.announcement().draft().at(1000)), NIP01),
        ("older state", sign(ctx.state(tip).draft().at(1000)), NIP01),
        ("announcement of another service", sign(elsewhere), UNLISTED),
        ("announcement without clone", sign(half), UNLISTED),
        ("announcement without d", sign(ctx.announcement().draft().without("d")), REPOSITORY),
        ("announcement with a path as identifier", sign(Announcement::new("a/b").draft()), REPOSITORY),
        (
            "state of an unknown repository",
            ctx.sign(stranger, State::new("unknown").branch("main", tip).draft()),
            REPOSITORY,
        ),
        ("state of a stranger", ctx.sign(stranger, ctx.state(tip).draft()), REPOSITORY),
        ("state with an impossible name", sign(odd("refs/heads/a..b", tip)), REPOSITORY),
        ("state with an impossible value", sign(odd("refs/heads/a", "zz")), REPOSITORY),
        ("state with SHA-256", sign(odd("refs/heads/a", &"a".repeat(64))), REPOSITORY),
        ("pull request without tip", sign(pull.clone().without_tip().draft()), RELATED),
        ("pull request to nowhere", sign(PullRequest::new(&nowhere, tip).draft()), UNRELATED),
        ("issue of nowhere", sign(events::issue(&nowhere, "s", "c")), UNRELATED),
        ("pull request whose data is here", sign(pull.draft()), RELATED),
        ("deletion of somebody else's", ctx.sign(stranger, events::delete_ids([&hosted.state.id])), DELETION),
        ("deletion of nothing", ctx.sign(stranger, Draft::new(5, "")), DELETION),
        ("issue", issue.clone(), RELATED),
        ("deletion of it", sign(events::delete_ids([&issue.id])), DELETION),
        ("the same issue again", issue, DELETION),
        ("announcement", announced, "G01/purgatory/ok-message"),
        ("pull request to it", sign(PullRequest::new(&to_waiting, tip).draft()), RELATED),
    ]
}
