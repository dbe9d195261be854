//! `G01/relay/accepts-repository-events`: announcements and states, of every form the protocol allows.

use grasp_fixtures::{Announcement, Draft, State, keys};
use nostr::event::Event;

use crate::check::{Check, CheckResult, expect, skip};
use crate::context::Context;
use crate::specs::grasp01::relay::path_answers;
use crate::target::url::repository_path;

pub(super) const ROW: &str = "G01/relay/accepts-repository-events";

/// How many refs a large repository has; its state is about a megabyte.
const MANY_REFS: usize = 10_000;

/// Identifiers that are safe as one path segment.
const GOOD_IDENTIFIERS: [(&str, &str, &str); 6] = [
    ("spaces", "with spaces", "my own repo"),
    ("emoji", "with emoji", "crab-🦀"),
    ("script", "in another script, with combining marks", "глаз-e\u{301}-漢字"),
    ("punctuation", "with the punctuation of URLs", "a%20b?c=d&e#f+g;h:i@j"),
    ("dots", "with dots", "..a..b.git"),
    ("case", "in upper case", "UPPER"),
];

/// Identifiers that are not.
const BAD_IDENTIFIERS: [(&str, &str, &str); 6] = [
    ("empty", "an empty identifier", ""),
    ("slash", "an identifier with a slash", "a/b"),
    ("dot", "the identifier `.`", "."),
    ("dot-dot", "the identifier `..`", ".."),
    ("nul", "an identifier with NUL", "a\u{0}b"),
    ("control", "an identifier with a line break", "a\nb"),
];

/// Refs that no repository can have, and why.
const BAD_REFS: [(&str, &str, &str, Value); 8] = [
    ("name-dots", "a ref name with `..`", "refs/heads/a..b", Value::Commit),
    ("name-lock", "a ref name that ends in `.lock`", "refs/heads/a.lock", Value::Commit),
    ("name-space", "a ref name with a space", "refs/heads/a b", Value::Commit),
    ("name-empty", "a ref name that ends with a slash", "refs/heads/", Value::Commit),
    ("name-control", "a ref name with a control character", "refs/tags/a\u{7}", Value::Commit),
    ("value-text", "a value that is no object id", "refs/heads/main", Value::Text("main")),
    ("value-short", "a value of seven digits", "refs/heads/main", Value::Text("1234567")),
    ("value-sha256", "a SHA-256 value", "refs/heads/main", Value::Sha256),
];

/// What a ref of a test's state points at.
#[derive(Clone, Copy)]
enum Value {
    /// 40 hex digits.
    Commit,
    /// 64 hex digits.
    Sha256,
    /// This.
    Text(&'static str),
}

impl Value {
    fn text(self) -> String {
        match self {
            Self::Commit => commit(),
            Self::Sha256 => keys::random_id(),
            Self::Text(text) => text.to_owned(),
        }
    }
}

/// The id of a commit nobody has.
pub(super) fn commit() -> String {
    keys::random_id().chars().take(40).collect()
}

pub(super) fn checks() -> Vec<Check> {
    let mut checks = vec![
        Check::new(
            ROW,
            "announcement",
            "an announcement that lists the service is taken, and git answers at its path",
            announcement,
        ),
        Check::new(
            ROW,
            "announcement-full",
            "an announcement with every tag of NIP-34, and unknown ones, is taken",
            full,
        ),
        Check::new(
            ROW,
            "announcement-mirrors",
            "an announcement that lists the service among others is taken",
            mirrors,
        ),
        Check::new(
            ROW,
            "announcement-split",
            "an announcement with several clone and relays tags is taken",
            split,
        ),
        Check::new(
            ROW,
            "announcement-again",
            "a newer announcement of a served repository is served at once",
            again,
        ),
        Check::new(
            ROW,
            "announcement-older",
            "an announcement older than the accepted one is refused",
            older,
        ),
        Check::new(
            ROW,
            "identifier-longest",
            "an announcement with an identifier of 251 bytes is taken",
            |ctx| {
                let identifier = format!(
                    "{}-{}",
                    ctx.identifier,
                    "x".repeat(250_usize.saturating_sub(ctx.identifier.len()))
                );
                identifier_taken(ctx, identifier)
            },
        ),
        Check::new(
            ROW,
            "identifier-too-long",
            "an announcement with an identifier of 252 bytes is refused",
            |ctx| {
                let identifier = format!(
                    "{}-{}",
                    ctx.identifier,
                    "x".repeat(251_usize.saturating_sub(ctx.identifier.len()))
                );
                identifier_refused(ctx, identifier)
            },
        ),
        Check::new(ROW, "identifier-missing", "an announcement without `d` is refused", |ctx| async move {
            ctx.refused(&ctx.sign(&ctx.owner, ctx.announcement().draft().without("d"))).await.map(drop)
        }),
        Check::new(ROW, "state", "a state of the announced repository is taken", |ctx| {
            state_taken(ctx, |state| state.branch("main", commit()).head("main").draft())
        }),
        Check::new(ROW, "state-many", "a state with branches, tags and peeled entries is taken", |ctx| {
            state_taken(ctx, |state| {
                let state =
                    state.branch("main", commit()).branch("feature/a", commit()).git_tag("v1", commit());
                state.git_tag("v1^{}", commit()).head("main").draft()
            })
        }),
        Check::new(ROW, "state-bare-head", "a state whose HEAD lacks `ref: ` is taken", |ctx| {
            state_taken(ctx, |state| state.branch("main", commit()).bare_head("main").draft())
        }),
        Check::new(
            ROW,
            "state-other-refs",
            "a state with refs outside heads and tags, and symbolic ones, is taken",
            |ctx| {
                state_taken(ctx, |state| {
                    let state = state.branch("main", commit()).reference("refs/notes/commits", commit());
                    state.reference("refs/remotes/origin/HEAD", "ref: refs/heads/main").head("main").draft()
                })
            },
        ),
        Check::new(ROW, "state-empty", "a state without refs is taken", |ctx| {
            state_taken(ctx, |state| state.draft())
        }),
        Check::new(
            ROW,
            "state-dangling-head",
            "a state whose HEAD names a branch it does not list is taken",
            |ctx| state_taken(ctx, |state| state.branch("main", commit()).head("gone").draft()),
        ),
        Check::new(
            ROW,
            "state-large",
            "a state of 10,000 refs is taken, unless one of them is impossible",
            large_state,
        ),
        Check::new(ROW, "state-older", "a state older than the accepted one is refused", older_state),
        Check::new(
            ROW,
            "state-unknown-repository",
            "a state of a repository nobody announced is refused `restricted:`",
            |ctx| async move {
                ctx.refused_as(&ctx.sign(&ctx.owner, ctx.state(&commit()).draft()), "restricted:")
                    .await
                    .map(drop)
            },
        ),
        Check::new(ROW, "state-without-identifier", "a state without `d` is refused", |ctx| async move {
            ctx.announce().await?;
            ctx.refused(&ctx.sign(&ctx.owner, ctx.state(&commit()).draft().without("d"))).await.map(drop)
        }),
    ];
    for (name, what, identifier) in GOOD_IDENTIFIERS {
        let title = format!("an identifier {what} is taken");
        checks.push(Check::new(ROW, &format!("identifier-{name}"), title, move |ctx| {
            let identifier = format!("{identifier}-{}", ctx.identifier);
            identifier_taken(ctx, identifier)
        }));
    }
    for (name, what, identifier) in BAD_IDENTIFIERS {
        let title = format!("{what} is refused");
        checks.push(Check::new(ROW, &format!("identifier-{name}"), title, move |ctx| {
            identifier_refused(ctx, identifier.to_owned())
        }));
    }
    for (name, what, reference, value) in BAD_REFS {
        let title = format!("a state with {what} is refused `invalid:`");
        checks.push(Check::new(ROW, &format!("state-{name}"), title, move |ctx| {
            state_invalid(ctx, reference, value.text())
        }));
    }
    checks
}

async fn announcement(ctx: Context) -> CheckResult {
    ctx.announce().await?;
    path_answers(&ctx, &repository_path(&ctx.owner.public_key(), &ctx.identifier), 200).await
}

async fn full(ctx: Context) -> CheckResult {
    let announcement =
        Announcement { description: Some("several\nlines, \"quoted\"".into()), ..ctx.announcement() };
    let draft = announcement.euc(commit()).topic("audit").draft();
    let draft = draft.tag(["web", "https://example.invalid/a", "https://example.invalid/b"]);
    let draft = draft.tag(["u", &format!("30617:{}:upstream", ctx.someone().public_key().to_hex())]);
    taken(&ctx, draft.tag(["something-new", "1", "2"])).await
}

async fn mirrors(ctx: Context) -> CheckResult {
    let elsewhere = Announcement::new(&ctx.identifier)
        .clone_url("https://github.invalid/x/y.git")
        .clone_url("git@github.invalid:x/y.git")
        .clone_url(ctx.clone_url())
        .relay("wss://relay.invalid/path")
        .relay(ctx.target.url.relay());
    taken(&ctx, elsewhere.draft()).await
}

async fn split(ctx: Context) -> CheckResult {
    let draft = Announcement::new(&ctx.identifier).draft();
    let draft = draft.tag(["clone", "https://github.invalid/x/y.git"]).tag(["clone", &ctx.clone_url()]);
    let draft = draft.tag(["relays", "wss://relay.invalid"]).tag(["relays", &ctx.target.url.relay()]);
    taken(&ctx, draft).await
}

async fn taken(ctx: &Context, draft: Draft) -> CheckResult {
    ctx.publishes(&ctx.owner, draft).await.map(drop)
}

async fn again(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let newer = ctx.publishes(&ctx.owner, ctx.announcement().name("renamed").draft()).await?;
    ctx.served(&newer).await?;
    ctx.not_served(&hosted.announcement).await?;
    ctx.shows(&hosted.path, &hosted.main_at(&hosted.tip)).await
}

async fn older(ctx: Context) -> CheckResult {
    let older = ctx.sign(&ctx.owner, ctx.announcement().name("older").draft());
    ctx.announce().await?;
    ctx.refused(&older).await.map(drop)
}

fn named(ctx: &Context, identifier: &str) -> Event {
    ctx.sign(&ctx.owner, ctx.announcement_of(&ctx.owner, identifier).draft())
}

async fn identifier_taken(ctx: Context, identifier: String) -> CheckResult {
    ctx.accepted(&named(&ctx, &identifier)).await?;
    path_answers(&ctx, &repository_path(&ctx.owner.public_key(), &identifier), 200).await
}

async fn identifier_refused(ctx: Context, identifier: String) -> CheckResult {
    ctx.refused(&named(&ctx, &identifier)).await?;
    ctx.announce().await.map(drop) // while a good one is taken
}

async fn state_taken(ctx: Context, make: fn(State) -> Draft) -> CheckResult {
    ctx.announce().await?;
    ctx.publishes(&ctx.owner, make(State::new(&ctx.identifier))).await.map(drop)
}

async fn state_invalid(ctx: Context, reference: &str, value: String) -> CheckResult {
    ctx.announce().await?;
    let state = State::new(&ctx.identifier).branch("fine", commit()).reference(reference, value);
    ctx.refused_as(&ctx.sign(&ctx.owner, state.draft()), "invalid:").await?;
    let good = State::new(&ctx.identifier).branch("fine", commit());
    ctx.state_by(&ctx.owner, &good).await.map(drop)
}

async fn large_state(ctx: Context) -> CheckResult {
    let refs = (0..MANY_REFS).map(|number| (format!("refs/heads/topic/{number:05}"), commit()));
    let state = State::new(&ctx.identifier).references(refs);
    let event = ctx.sign(&ctx.owner, state.draft());
    let length = serde_json::to_vec(&event).map_or(0, |bytes| bytes.len() + 1_000);
    if ctx.target.limits.max_message_length.is_none_or(|limit| limit < length) {
        return Err(skip(format!("it makes a message of {length} bytes; the server states no such length")));
    }
    ctx.announce().await?;
    ctx.refused_as(&ctx.sign(&ctx.owner, state.branch("last", "none").draft()), "invalid:").await?;
    ctx.accepted(&event).await.map(drop)
}

async fn older_state(ctx: Context) -> CheckResult {
    ctx.announce().await?;
    let older = ctx.sign(&ctx.owner, ctx.state(&commit()).draft());
    ctx.state_by(&ctx.owner, &ctx.state(&commit())).await?;
    let reply = ctx.refused(&older).await?;
    expect(!reply.message.is_empty(), "a reason", &reply)
}
