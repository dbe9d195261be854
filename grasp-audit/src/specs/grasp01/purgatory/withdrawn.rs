//! G01/purgatory/withdrawn: an author takes back what waits, or puts something newer in its place.

use grasp_fixtures::{Draft, State, events};
use nostr::event::Event;

use super::waiting::{Kind, Waiting};
use crate::check::{Check, CheckResult, expect};
use crate::context::{Context, Hosted};
use crate::target::smart_http::info_refs;

const ROW: &str = "G01/purgatory/withdrawn";

pub(super) fn checks() -> Vec<Check> {
    let mut checks = vec![
        Check::new(
            ROW,
            "announced-again",
            "after a withdrawal a newer announcement starts anew",
            announced_again,
        ),
        Check::new(ROW, "by-a-stranger", "a stranger's kind 5 withdraws nothing", by_a_stranger),
        Check::new(
            ROW,
            "older-than-the-event",
            "a kind 5 by coordinate reaches only what is not newer than itself",
            older_than_the_event,
        ),
        Check::new(
            ROW,
            "replaced-announcement",
            "a newer announcement takes the waiting one's place, and waits too",
            replaced_announcement,
        ),
        Check::new(
            ROW,
            "replaced-state",
            "a newer state takes the waiting one's place: the older one's data is refused",
            replaced_state,
        ),
        Check::new(
            ROW,
            "not-by-an-older-one",
            "an older state or announcement than the waiting one is refused",
            not_by_older,
        ),
        Check::new(
            ROW,
            "state-without-refs",
            "a state that names no refs releases no announcement",
            without_refs,
        ),
    ];
    for (lower_first, order) in [(true, "lower-first"), (false, "lower-second")] {
        checks.push(Check::new(
            ROW,
            &format!("tie-of-states-{order}"),
            "of two states of one second the one with the lower id is the newer",
            move |ctx| tie_of_states(ctx, lower_first),
        ));
        checks.push(Check::new(
            ROW,
            &format!("tie-of-announcements-{order}"),
            "of two announcements of one second the one with the lower id is the newer",
            move |ctx| tie_of_announcements(ctx, lower_first),
        ));
    }
    for kind in Kind::ALL {
        let name = kind.name();
        checks.push(Check::new(
            ROW,
            &format!("{name}-by-id"),
            format!("a kind 5 with its id removes a waiting {name}; its data releases nothing"),
            move |ctx| by_id(ctx, kind),
        ));
        if kind != Kind::PullRequest {
            checks.push(Check::new(
                ROW,
                &format!("{name}-by-coordinate"),
                format!("so does a kind 5 with the coordinate of a waiting {name}"),
                move |ctx| by_coordinate(ctx, kind),
            ));
        }
    }
    checks
}

async fn by_id(ctx: Context, kind: Kind) -> CheckResult {
    withdraw(ctx, kind, |event| events::delete_ids([&event.id])).await
}

async fn by_coordinate(ctx: Context, kind: Kind) -> CheckResult {
    withdraw(ctx, kind, |event| events::delete_address(&address(event))).await
}

async fn withdraw(ctx: Context, kind: Kind, deletion: fn(&Event) -> Draft) -> CheckResult {
    let waiting = Waiting::prepare(&ctx, kind).await?;
    ctx.accepted(&waiting.event).await?;
    if let Some(state) = &waiting.state {
        ctx.accepted(state).await?;
    }
    let deletion = ctx.sign(&waiting.author, deletion(&waiting.event));
    ctx.accepted(&deletion).await?;
    if kind == Kind::Announcement {
        is_404(&ctx, &waiting.path).await?;
    }
    let taken = waiting.try_push(&ctx).await?;
    // a ref for an event that nobody knows (any more) may be pushed by anybody
    if kind != Kind::PullRequest {
        expect(!taken, "the push is refused", "it succeeded")?;
    }
    ctx.not_served(&waiting.event).await
}

async fn announced_again(ctx: Context) -> CheckResult {
    let first = ctx.waiting_repository().await?;
    let address = address(&first.announcement);
    let deletion = ctx.sign(&ctx.owner, events::delete_address(&address));
    ctx.accepted(&deletion).await?;
    is_404(&ctx, &first.path).await?;
    let again = ctx.hosted_repository().await?;
    ctx.not_served(&first.announcement).await?;
    ctx.shows(&again.path, &again.main_at(&again.tip)).await
}

async fn by_a_stranger(ctx: Context) -> CheckResult {
    let stranger = ctx.someone();
    let hosted = ctx.waiting_repository().await?;
    for event in [&hosted.announcement, &hosted.state] {
        for deletion in [events::delete_ids([&event.id]), events::delete_address(&address(event))] {
            ctx.publish(&ctx.sign(&stranger, deletion)).await?;
        }
    }
    still_there(&ctx, &hosted).await
}

async fn older_than_the_event(ctx: Context) -> CheckResult {
    let early = ctx.later(); // a second before everything that follows
    let hosted = ctx.waiting_repository().await?;
    for event in [&hosted.announcement, &hosted.state] {
        let deletion = events::delete_address(&address(event)).at(early);
        ctx.publish(&ctx.sign(&ctx.owner, deletion)).await?;
    }
    still_there(&ctx, &hosted).await
}

async fn replaced_announcement(ctx: Context) -> CheckResult {
    let hosted = ctx.waiting_repository().await?;
    let newer = ctx.announcement().name("newer");
    let newer = ctx.sign(&ctx.owner, newer.draft());
    ctx.accepted(&newer).await?;
    ctx.not_served(&newer).await?;
    ctx.push(&hosted, &["refs/heads/main"]).await?;
    ctx.served_already(&newer).await?;
    ctx.not_served(&hosted.announcement).await
}

async fn replaced_state(ctx: Context) -> CheckResult {
    let hosted = ctx.waiting_repository().await?;
    let tip = hosted.commit("newer").await?;
    let newer = ctx.state_by(&ctx.owner, &hosted.main_at(&tip)).await?;
    ctx.push_refused(&hosted, &["refs/heads/main"]).await?;
    ctx.push(&hosted, &[&format!("{tip}:refs/heads/main")]).await?;
    ctx.served_already(&newer).await?;
    ctx.not_served(&hosted.state).await
}

async fn not_by_older(ctx: Context) -> CheckResult {
    let early = ctx.later(); // a second before everything that follows
    let hosted = ctx.waiting_repository().await?;
    let tip = hosted.commit("older").await?;
    let older = ctx.sign(&ctx.owner, hosted.main_at(&tip).draft().at(early));
    ctx.refused(&older).await?;
    let older = ctx.announcement().name("older").draft().at(early);
    ctx.refused(&ctx.sign(&ctx.owner, older)).await?;
    ctx.push_refused(&hosted, &[&format!("{tip}:refs/heads/main")]).await?;
    still_there(&ctx, &hosted).await
}

async fn without_refs(ctx: Context) -> CheckResult {
    let announcement = ctx.announce().await?;
    let empty = ctx.sign(&ctx.owner, State::new(&ctx.identifier).draft());
    ctx.publish(&empty).await?;
    ctx.not_served(&announcement).await?;
    let hosted = ctx.hosted_repository().await?; // and it blocks nothing
    ctx.shows(&hosted.path, &hosted.main_at(&hosted.tip)).await
}

async fn tie_of_states(ctx: Context, lower_first: bool) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let second = ctx.later();
    let mut states = Vec::new();
    for file in ["one", "two"] {
        let tip = hosted.commit(file).await?;
        let event = ctx.sign(&ctx.owner, hosted.main_at(&tip).draft().at(second));
        states.push((event, format!("{tip}:refs/heads/main")));
    }
    states.sort_by_key(|(event, _)| event.id);
    let [(lower, its_data), (higher, other_data)] = [&states[0], &states[1]];
    publish_tied(&ctx, lower, higher, lower_first).await?;
    ctx.push_refused(&hosted, &[other_data]).await?;
    ctx.push(&hosted, &[its_data]).await?;
    ctx.served_already(lower).await?;
    ctx.not_served(higher).await
}

async fn tie_of_announcements(ctx: Context, lower_first: bool) -> CheckResult {
    let second = ctx.later();
    let named = |name: &str| ctx.announcement().name(name).draft().at(second);
    let mut tied = ["one", "two"].map(|name| ctx.sign(&ctx.owner, named(name)));
    tied.sort_by_key(|event| event.id);
    let [lower, higher] = tied;
    publish_tied(&ctx, &lower, &higher, lower_first).await?;
    let (data, tip) = ctx.local_repository().await?;
    ctx.state_by(&ctx.owner, &ctx.state(&tip)).await?;
    let url = ctx.clone_url();
    let output = ctx.git.push(&data, &url, &["refs/heads/main"]).await?;
    crate::context::pushed(output)?;
    ctx.served_already(&lower).await?;
    ctx.not_served(&higher).await
}

/// Both, in this order: the lower one is always taken, what is said to a higher one that comes late is left open.
async fn publish_tied(ctx: &Context, lower: &Event, higher: &Event, lower_first: bool) -> CheckResult {
    if lower_first {
        ctx.accepted(lower).await?;
        ctx.publish(higher).await?;
    } else {
        ctx.accepted(higher).await?;
        ctx.accepted(lower).await?;
    }
    Ok(())
}

/// What waits must still be released by its data.
async fn still_there(ctx: &Context, hosted: &Hosted) -> CheckResult {
    ctx.push(hosted, &["refs/heads/main"]).await?;
    ctx.served_already(&hosted.announcement).await?;
    ctx.served_already(&hosted.state).await
}

async fn is_404(ctx: &Context, path: &str) -> CheckResult {
    ctx.eventually("404", crate::context::SETTLES_WITHIN, || async {
        let response = info_refs(&ctx.http, path, "git-upload-pack", 2).await?;
        Ok(response.status == 404)
    })
    .await
}

fn address(event: &Event) -> String {
    let identifier = event.tags.identifier().unwrap_or_default();
    let author = event.pubkey.to_hex();
    format!("{}:{author}:{identifier}", event.kind.as_u16())
}
