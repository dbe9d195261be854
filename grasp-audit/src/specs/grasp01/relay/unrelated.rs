//! `G01/relay/rejects-unrelated`: what has nothing to do with a repository here is refused, with the exceptions
//! that clients need.

use grasp_fixtures::{Draft, PullRequest, events, keys};
use nostr::event::Event;
use nostr::key::Keys;

use super::repository_events::commit;
use super::{filed_issue, issue};
use crate::check::{Check, CheckResult};
use crate::context::{Context, Hosted};

const ROW: &str = "G01/relay/rejects-unrelated";

/// An event that looks related and is not.
type Stray = fn(&Context, &Hosted) -> Draft;

const STRAYS: [(&str, &str, Stray); 14] = [
    ("note", "a note without tags", |_, _| events::note("good morning")),
    ("hashtag", "a note with a topic", |_, _| events::note("#git").tag(["t", "git"])),
    ("mention", "a note that mentions the owner with `p`", |_, hosted| {
        events::note("hi").tag(["p", &hosted.owner.public_key().to_hex()])
    }),
    ("in-content", "a note with the coordinate in its text alone", |_, hosted| {
        events::note(&format!("nostr:{} {}", hosted.coordinate, hosted.url))
    }),
    ("wrong-tag", "a note with the coordinate under another tag", |_, hosted| {
        events::note("x").tag(["d", &hosted.coordinate]).tag(["r", &hosted.coordinate])
    }),
    ("unknown-event", "a comment on an event that is not here", |ctx, _| {
        let root = events::note("elsewhere").sign(&ctx.someone());
        events::comment(&root, "nice")
    }),
    ("issue-unknown-repository", "an issue about a repository that nobody announced", |ctx, _| {
        events::issue(&events::coordinate(&ctx.someone().public_key(), "nothing"), "x", "y")
    }),
    (
        "issue-other-identifier",
        "an issue about an identifier that the owner did not announce",
        |ctx, hosted| {
            let coordinate = events::coordinate(&hosted.owner.public_key(), &ctx.other_identifier());
            events::issue(&coordinate, "x", "y")
        },
    ),
    (
        "issue-other-owner",
        "an issue about somebody else's repository of the same identifier",
        |ctx, hosted| {
            events::issue(&events::coordinate(&ctx.someone().public_key(), &hosted.identifier), "x", "y")
        },
    ),
    ("other-kind", "a note about another kind of the owner's with the same `d`", |_, hosted| {
        events::note("x").tag(["a", &hosted.coordinate.replacen("30617", "30023", 1)])
    }),
    ("patch-unknown-repository", "a patch to a repository that nobody announced", |ctx, _| {
        events::patch(&events::coordinate(&ctx.someone().public_key(), "nothing"), "From 0\n")
    }),
    ("pr-unknown-repository", "a PR to a repository that nobody announced", |ctx, _| {
        PullRequest::new(events::coordinate(&ctx.someone().public_key(), "nothing"), commit()).draft()
    }),
    ("random-ids", "a note that tags random ids in every way", |_, _| {
        let id = keys::random_id;
        events::note("x").tag(["e", &id()]).tag(["E", &id()]).tag(["q", &id()])
    }),
    ("garbage-tags", "a note whose `a`, `e` and `q` hold no coordinate and no id", |_, _| {
        events::note("x").tag(["a", "30617::"]).tag(["e", "xyz"]).tag(["q", ""]).tag(["a"])
    }),
];

/// An event about its author that clients need: its name, what it is, and the draft.
type About = (&'static str, &'static str, fn() -> Draft);

const ABOUT_AUTHORS: [About; 3] = [
    ("profile", "profile (kind 0)", || events::profile("somebody")),
    ("relay-list", "relay list (kind 10002)", || events::relay_list(&["wss://relay.invalid"])),
    ("grasp-list", "list of GRASP servers (kind 10317)", || {
        Draft::new(10_317, "").tag(["g", "wss://grasp.invalid"])
    }),
];

pub(super) fn checks() -> Vec<Check> {
    let mut checks = Vec::new();
    for (name, what, draft) in STRAYS {
        let title = format!("{what} is refused `restricted:`, while an issue is taken");
        let title = if name == "pr-unknown-repository" { format!("{what} is refused") } else { title };
        checks.push(Check::new(ROW, name, title, move |ctx| stray(ctx, draft)));
    }
    for (name, what, draft) in ABOUT_AUTHORS {
        let mut check = |who: &str, text: String, run: fn(Context, fn() -> Draft) -> Run| {
            checks.push(Check::new(ROW, &format!("{name}-{who}"), text, move |ctx| run(ctx, draft)));
        };
        check("owner", format!("the {what} of an owner is taken"), |ctx, draft| {
            Box::pin(of_owner(ctx, draft))
        });
        check("maintainer", format!("the {what} of a listed maintainer is taken"), |ctx, draft| {
            Box::pin(of_maintainer(ctx, draft))
        });
        check("root-author", format!("the {what} of somebody who filed an issue is taken"), |ctx, draft| {
            Box::pin(of_root_author(ctx, draft))
        });
        check("stranger", format!("the {what} of a stranger is refused"), |ctx, draft| {
            Box::pin(of_stranger(ctx, draft))
        });
    }
    checks.extend([
        Check::new(
            ROW,
            "pr-waiting-repository",
            "a PR to a repository that itself still waits is refused",
            pr_to_waiting,
        ),
        Check::new(ROW, "pr-without-tip", "a PR without `c` is refused `invalid:`", |ctx| bad_pr(ctx, None)),
        Check::new(ROW, "pr-bad-tip", "a PR whose `c` is no object id is refused `invalid:`", |ctx| {
            bad_pr(ctx, Some("main".to_owned()))
        }),
        Check::new(ROW, "pr-short-tip", "a PR whose `c` has seven digits is refused `invalid:`", |ctx| {
            bad_pr(ctx, Some("0123456".to_owned()))
        }),
        Check::new(ROW, "below-refused", "what refers to a refused event is refused", below_refused),
        Check::new(
            ROW,
            "deletion-opens-no-door",
            "a kind 5 opens no door for what it names",
            deletion_opens_no_door,
        ),
        Check::new(
            ROW,
            "stranger-deletion",
            "a stranger's kind 5 about its own unknown events is refused",
            stranger_deletion,
        ),
    ]);
    checks
}

type Run = futures_util::future::BoxFuture<'static, CheckResult>;

async fn stray(ctx: Context, draft: Stray) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let stranger = ctx.someone();
    let stray = ctx.sign(&stranger, draft(&ctx, &hosted));
    // a PR is refused for want of its repository, whatever the prefix
    match stray.kind.as_u16() {
        events::PULL_REQUEST => ctx.refused(&stray).await?,
        _ => ctx.refused_as(&stray, "restricted:").await?,
    };
    ctx.not_served(&stray).await?;
    filed_issue(&ctx, &hosted, &stranger).await.map(drop)
}

async fn of_owner(ctx: Context, draft: fn() -> Draft) -> CheckResult {
    ctx.hosted_repository().await?;
    let event = ctx.publishes(&ctx.owner, draft()).await?;
    ctx.served(&event).await
}

async fn of_maintainer(ctx: Context, draft: fn() -> Draft) -> CheckResult {
    let maintainer = ctx.someone();
    let announcement = ctx.announcement().maintainer(maintainer.public_key());
    ctx.hosted_repository_as(&ctx.owner, &announcement).await?;
    let event = ctx.publishes(&maintainer, draft()).await?;
    ctx.served(&event).await
}

async fn of_root_author(ctx: Context, draft: fn() -> Draft) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let author = ctx.someone();
    let event = ctx.sign(&author, draft());
    ctx.refused(&event).await?;
    filed_issue(&ctx, &hosted, &author).await?;
    ctx.accepted(&event).await?;
    ctx.served(&event).await
}

async fn of_stranger(ctx: Context, draft: fn() -> Draft) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let mentioned = ctx.someone();
    let issue = issue(&hosted).tag(["p", &mentioned.public_key().to_hex()]);
    ctx.publishes(&ctx.someone(), issue).await?;
    for stranger in [&mentioned, &ctx.someone()] {
        let event = ctx.sign(stranger, draft());
        ctx.refused(&event).await?;
        ctx.not_served(&event).await?;
    }
    Ok(())
}

async fn pr_to_waiting(ctx: Context) -> CheckResult {
    let waiting = ctx.waiting_repository().await?;
    let pr = ctx.sign(&ctx.someone(), PullRequest::new(&waiting.coordinate, commit()).draft());
    ctx.refused(&pr).await.map(drop)
}

async fn bad_pr(ctx: Context, tip: Option<String>) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let pr = |tip| PullRequest { tip, ..PullRequest::new(&hosted.coordinate, "") }.draft();
    ctx.refused_as(&ctx.sign(&ctx.someone(), pr(tip)), "invalid:").await?;
    ctx.publishes(&ctx.someone(), pr(Some(commit()))).await.map(drop)
}

async fn below_refused(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let refused = ctx.sign(&ctx.someone(), events::note("unrelated"));
    ctx.refused(&refused).await?;
    let below = ctx.sign(&ctx.someone(), events::comment(&refused, "indeed"));
    ctx.refused(&below).await?;
    filed_issue(&ctx, &hosted, &ctx.someone()).await.map(drop)
}

async fn deletion_opens_no_door(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let (known, stranger) = (ctx.someone(), ctx.someone());
    let theirs = filed_issue(&ctx, &hosted, &known).await?;
    let note = ctx.sign(&stranger, events::note("let me in"));
    // taken, for it deletes an issue of its author's
    let deletion = ctx.publishes(&known, events::delete_ids([&theirs.id, &note.id])).await?;
    ctx.gone(&theirs).await?;
    ctx.refused(&note).await?;
    let below: Event = ctx.sign(&stranger, events::note("x").tag(["e", &deletion.id.to_hex()]));
    ctx.publish(&below).await?; // related to something that is served: either answer will do
    ctx.refused(&note).await?;
    ctx.not_served(&note).await
}

async fn stranger_deletion(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let stranger: Keys = ctx.someone();
    let note = ctx.sign(&stranger, events::note("mine"));
    ctx.refused(&ctx.sign(&stranger, events::delete_ids([&note.id]))).await?;
    ctx.refused(&note).await?;
    filed_issue(&ctx, &hosted, &stranger).await.map(drop)
}
