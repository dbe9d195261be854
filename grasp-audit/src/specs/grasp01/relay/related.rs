//! `G01/relay/accepts-related`: whatever tags, or is tagged by, what is accepted here.

use grasp_fixtures::{Draft, PullRequest, events};
use nostr::event::Event;
use nostr::key::Keys;

use super::repository_events::commit;
use super::{filed_issue, issue};
use crate::check::{Check, CheckResult, expect};
use crate::context::{Context, Hosted};

const ROW: &str = "G01/relay/accepts-related";

/// An event about a hosted repository.
type AboutRepository = fn(&Hosted) -> Draft;
/// An event about an issue.
type AboutIssue = fn(&Event) -> Draft;
/// An issue (or its like) that tags an event that is not here yet.
type Names = fn(&Hosted, &Event) -> Draft;

const ABOUT_REPOSITORIES: [(&str, &str, AboutRepository); 12] = [
    ("by-a", "a note that tags the repository with `a`", |hosted| tagging("a", &hosted.coordinate)),
    ("by-A", "a note that tags the repository with `A`", |hosted| tagging("A", &hosted.coordinate)),
    ("by-q", "a note that quotes the repository with `q`", |hosted| tagging("q", &hosted.coordinate)),
    ("by-e-announcement", "a note that tags the announcement with `e`", |hosted| {
        tagging("e", &hosted.announcement.id.to_hex())
    }),
    ("by-E-announcement", "a note that tags the announcement with `E`", |hosted| {
        tagging("E", &hosted.announcement.id.to_hex())
    }),
    ("by-q-announcement", "a note that quotes the announcement by its id", |hosted| {
        tagging("q", &hosted.announcement.id.to_hex())
    }),
    ("issue", "an issue", issue),
    ("patch", "a patch", |hosted| {
        events::patch(&hosted.coordinate, "From 0000000 Mon Sep 17 00:00:00 2001\nSubject: [PATCH] x\n")
    }),
    ("repository-label", "a label (kind 1985) on the repository", |hosted| {
        Draft::new(1985, "").tag(["L", "#t"]).tag(["l", "good", "#t"]).tag(["a", &hosted.coordinate])
    }),
    ("star", "a reaction (kind 7) to the repository", |hosted| {
        Draft::new(7, "+").tag(["a", &hosted.coordinate]).tag(["e", &hosted.announcement.id.to_hex()])
    }),
    ("ci-result", "a CI result (kind 9842)", |hosted| {
        Draft::new(9842, "passed").tag(["a", &hosted.coordinate]).tag(["c", &commit()])
    }),
    ("among-others", "a note whose `a` tag comes behind tags of other things", |hosted| {
        let other = format!("30617:{}:elsewhere", grasp_fixtures::keys::fresh().public_key().to_hex());
        let note =
            events::note("about two").tag(["a", &other]).tag(["e", &grasp_fixtures::keys::random_id()]);
        note.tag(["a", &hosted.coordinate, "wss://relay.invalid"])
    }),
];

const ABOUT_ISSUES: [(&str, &str, AboutIssue); 11] = [
    ("comment", "a comment (kind 1111)", |issue| events::comment(issue, "same here")),
    ("reply-e", "a note that tags it with `e`", |issue| tagging("e", &issue.id.to_hex())),
    ("reply-E", "a note that tags it with `E`", |issue| tagging("E", &issue.id.to_hex())),
    ("quote", "a note that quotes it with `q`", |issue| tagging("q", &issue.id.to_hex())),
    ("status-open", "a status open (kind 1630)", |issue| events::status(1630, issue)),
    ("status-applied", "a status applied (kind 1631)", |issue| events::status(1631, issue)),
    ("status-closed", "a status closed (kind 1632)", |issue| events::status(1632, issue)),
    ("status-draft", "a status draft (kind 1633)", |issue| events::status(1633, issue)),
    ("reaction", "a reaction (kind 7)", |issue| Draft::new(7, "+").tag(["e", &issue.id.to_hex()])),
    ("label", "a label (kind 1985)", |issue| {
        Draft::new(1985, "").tag(["L", "#t"]).tag(["l", "bug", "#t"]).tag(["e", &issue.id.to_hex()])
    }),
    ("repost", "a generic repost (kind 16)", |issue| {
        Draft::new(16, "").tag(["e", &issue.id.to_hex()]).tag(["k", "1621"])
    }),
];

const NAMED: [(&str, &str, Names); 5] = [
    ("named-by-q", "an issue quotes it with `q`", |hosted, note| issue(hosted).tag(["q", &note.id.to_hex()])),
    ("named-by-e", "an issue tags it with `e`", |hosted, note| issue(hosted).tag(["e", &note.id.to_hex()])),
    ("named-by-E", "an issue tags it with `E`", |hosted, note| issue(hosted).tag(["E", &note.id.to_hex()])),
    ("named-by-note", "a note about the repository quotes it", |hosted, note| {
        tagging("a", &hosted.coordinate).tag(["q", &note.id.to_hex()])
    }),
    ("named-by-patch", "a patch tags it with `e`", |hosted, note| {
        events::patch(&hosted.coordinate, "From 0\n").tag(["e", &note.id.to_hex()])
    }),
];

fn tagging(name: &str, value: &str) -> Draft {
    events::note("about this").tag([name, value])
}

pub(super) fn checks() -> Vec<Check> {
    let mut checks = Vec::new();
    for (name, what, draft) in ABOUT_REPOSITORIES {
        let title = format!("{what}, by anybody, is taken and served");
        checks.push(Check::new(ROW, name, title, move |ctx| about_repository(ctx, draft)));
    }
    for (name, what, draft) in ABOUT_ISSUES {
        let title = format!("{what} on an issue, by anybody, is taken and served");
        checks.push(Check::new(ROW, name, title, move |ctx| about_issue(ctx, draft)));
    }
    for (name, what, draft) in NAMED {
        let title = format!("a note is refused before {what}, and taken afterwards");
        checks.push(Check::new(ROW, name, title, move |ctx| named(ctx, draft)));
    }
    checks.extend([
        Check::new(
            ROW,
            "named-by-announcement",
            "a note is taken when a served announcement quotes it",
            named_by_announcement,
        ),
        Check::new(ROW, "named-address-q", "an article is taken when an issue quotes its address", |ctx| {
            named_address(ctx, "q")
        }),
        Check::new(ROW, "named-address-a", "an article is taken when an issue tags its address", |ctx| {
            named_address(ctx, "a")
        }),
        Check::new(
            ROW,
            "named-twice",
            "a note is taken that is quoted by a note that an issue quotes",
            named_twice,
        ),
        Check::new(
            ROW,
            "comment-on-comment",
            "comments on comments are taken, five deep, by `e` alone",
            comments_on_comments,
        ),
        Check::new(ROW, "comment-on-patch", "a comment on a patch is taken", comment_on_patch),
        Check::new(
            ROW,
            "comment-on-pr",
            "a PR is taken, and a comment on it once it is served",
            comment_on_pr,
        ),
        Check::new(ROW, "pr-update", "an update of a served PR is taken", pr_update),
        Check::new(
            ROW,
            "either-repository",
            "an issue that names two repositories is taken when one is here",
            two_repositories,
        ),
    ]);
    checks
}

async fn about_repository(ctx: Context, draft: AboutRepository) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let event = ctx.publishes(&ctx.someone(), draft(&hosted)).await?;
    ctx.served(&event).await
}

async fn about_issue(ctx: Context, draft: AboutIssue) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let issue = filed_issue(&ctx, &hosted, &ctx.someone()).await?;
    let event = ctx.publishes(&ctx.someone(), draft(&issue)).await?;
    ctx.served(&event).await
}

async fn named(ctx: Context, draft: Names) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let note = ctx.sign(&ctx.someone(), events::note("found something"));
    ctx.refused(&note).await?;
    ctx.publishes(&ctx.someone(), draft(&hosted, &note)).await?;
    ctx.accepted(&note).await?;
    ctx.served(&note).await
}

async fn named_by_announcement(ctx: Context) -> CheckResult {
    ctx.hosted_repository().await?;
    let note = ctx.sign(&ctx.someone(), events::note("see my new repository"));
    ctx.refused(&note).await?;
    let quoting = ctx.announcement().draft().tag(["q", &note.id.to_hex()]);
    ctx.publishes(&ctx.owner, quoting).await?;
    ctx.accepted(&note).await?;
    ctx.served(&note).await
}

async fn named_address(ctx: Context, tag: &str) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let author = ctx.someone();
    let article = ctx.sign(&author, Draft::new(30_023, "long text").tag(["d", "how-to"]));
    ctx.refused(&article).await?;
    let address = format!("30023:{}:how-to", author.public_key().to_hex());
    ctx.publishes(&ctx.someone(), issue(&hosted).tag([tag, &address])).await?;
    ctx.accepted(&article).await?;
    ctx.served(&article).await
}

async fn named_twice(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let far = ctx.sign(&ctx.someone(), events::note("far"));
    let near = ctx.sign(&ctx.someone(), tagging("q", &far.id.to_hex()));
    ctx.publishes(&ctx.someone(), issue(&hosted).tag(["q", &near.id.to_hex()])).await?;
    ctx.refused(&far).await?;
    ctx.accepted(&near).await?;
    ctx.accepted(&far).await?;
    ctx.served(&far).await
}

async fn comments_on_comments(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let mut parent = filed_issue(&ctx, &hosted, &ctx.someone()).await?;
    for depth in 0..5 {
        let comment = events::comment_below(&parent, &parent, &format!("depth {depth}"));
        // without `E`, `K` and `P` nothing names the issue itself
        let comment = comment.without("E").without("K").without("P");
        parent = ctx.publishes(&ctx.someone(), comment).await?;
    }
    ctx.served(&parent).await
}

async fn comment_on_patch(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let patch = ctx.publishes(&ctx.someone(), events::patch(&hosted.coordinate, "From 0\n")).await?;
    let comment = ctx.publishes(&ctx.someone(), events::comment(&patch, "nice")).await?;
    ctx.served(&comment).await
}

/// A PR of somebody whose data is pushed before it is published.
pub(super) async fn served_pr(ctx: &Context, hosted: &Hosted, author: &Keys) -> CheckResult<(Event, String)> {
    let tip = hosted.commit("contribution.txt").await?;
    let pr = ctx.sign(author, PullRequest::new(&hosted.coordinate, &tip).subject("a change").draft());
    ctx.push(hosted, &[&format!("{tip}:refs/nostr/{}", pr.id.to_hex())]).await?;
    ctx.accepted(&pr).await?;
    ctx.served(&pr).await?;
    Ok((pr, tip))
}

async fn comment_on_pr(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let (pr, _) = served_pr(&ctx, &hosted, &ctx.someone()).await?;
    let comment = ctx.publishes(&ctx.someone(), events::comment(&pr, "nice")).await?;
    ctx.served(&comment).await
}

async fn pr_update(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let author = ctx.someone();
    let (pr, tip) = served_pr(&ctx, &hosted, &author).await?;
    let next = hosted.commit_on("contribution.txt", &[&tip]).await?;
    let update = ctx.sign(&author, PullRequest::new(&hosted.coordinate, &next).update_of(&pr));
    ctx.push(&hosted, &[&format!("{next}:refs/nostr/{}", update.id.to_hex())]).await?;
    ctx.accepted(&update).await?;
    ctx.served(&update).await
}

async fn two_repositories(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let elsewhere = events::coordinate(&ctx.someone().public_key(), "elsewhere");
    let event = ctx
        .publishes(&ctx.someone(), events::issue(&elsewhere, "x", "y").tag(["a", &hosted.coordinate]))
        .await?;
    ctx.served(&event).await?;
    let alone = ctx.sign(&ctx.someone(), events::issue(&elsewhere, "x", "y"));
    let reply = ctx.publish(&alone).await?;
    expect(!reply.accepted, "OK false for an issue about the other one alone", &reply)
}
