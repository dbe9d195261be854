//! G01/git/nostr-refs: `refs/nostr/<event-id>`, the place of a pull request's data. Anybody may push there.

use std::time::Duration;

use grasp_fixtures::{PullRequest, keys};
use nostr::event::Event;

use crate::check::{Check, CheckResult, expect};
use crate::context::{Context, Hosted, gone_after, pushed, refused_push};

const ROW: &str = "G01/git/nostr-refs";

pub(super) fn checks() -> Vec<Check> {
    vec![
        Check::new(
            ROW,
            "data-first",
            "the data is pushed before the pull request is published: it is served, with its ref",
            data_first,
        ),
        Check::new(
            ROW,
            "event-first",
            "the pull request waits until its data is pushed, and is served when the push returns",
            event_first,
        ),
        Check::new(ROW, "update", "a pull request update (1619) is taken in both orders as well", update),
        Check::new(
            ROW,
            "other-tip",
            "a push of another tip than the known event names is refused",
            other_tip,
        ),
        Check::new(
            ROW,
            "other-tip-first",
            "a ref with another tip goes when the event arrives, and the event waits for the right one",
            other_tip_first,
        ),
        Check::new(
            ROW,
            "other-repository",
            "a push to a repository of an identifier that the known event does not name is refused",
            other_repository,
        ),
        Check::new(ROW, "deletion", "nobody deletes the ref of a known pull request by a push", deletion),
        Check::new(ROW, "malformed", "names that are no event id are refused", malformed),
        Check::new(
            ROW,
            "every-named-owner",
            "the ref appears in the repositories of all owners that the event names",
            |ctx| every_named(ctx, true, false),
        ),
        Check::new(
            ROW,
            "every-named-owner-data-first",
            "also when the data came first, to one of them",
            |ctx| every_named(ctx, true, true),
        ),
        Check::new(
            ROW,
            "every-named-identifier",
            "the ref appears in repositories of other identifiers that the event names",
            |ctx| every_named(ctx, false, false),
        ),
        Check::new(
            ROW,
            "every-named-identifier-data-first",
            "also when the data came first, to one of them",
            |ctx| every_named(ctx, false, true),
        ),
        Check::new(
            ROW,
            "beside-heads",
            "pushes to heads go on beside it, the merge of the pull request included",
            beside_heads,
        ),
        Check::new(
            ROW,
            "expires",
            "without its event the ref is gone after the stated time, and so is its data",
            expires,
        )
        .patient(Duration::from_secs(1_800)),
    ]
}

async fn data_first(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let (pr, tip) = pull_request(&ctx, &hosted).await?;
    push(&ctx, &hosted, &tip, &pr).await?;
    ctx.accepted(&pr).await?;
    ctx.served(&pr).await?;
    is_there(&ctx, &hosted, &pr, &tip).await
}

async fn event_first(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let (pr, tip) = pull_request(&ctx, &hosted).await?;
    ctx.accepted(&pr).await?;
    ctx.not_served(&pr).await?;
    push(&ctx, &hosted, &tip, &pr).await?;
    ctx.served_already(&pr).await?;
    is_there(&ctx, &hosted, &pr, &tip).await?;
    let elsewhere = ctx.git.init().await?;
    let fetched = ctx.git.fetch(&elsewhere, &hosted.url, &[&name_of(&pr)]).await?;
    fetched.success()?;
    expect(elsewhere.has(&tip).await?, "the fetch brings it", &tip)
}

async fn update(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let author = ctx.someone();
    let tip = hosted.commit("contribution").await?;
    let said = |tip: &str| PullRequest::new(&hosted.coordinate, tip).clone_url(&hosted.url);
    let root = ctx.sign(&author, said(&tip).draft());
    push(&ctx, &hosted, &tip, &root).await?;
    ctx.accepted(&root).await?;

    let second = hosted.commit_on("contribution", &[&tip]).await?;
    let waits = ctx.sign(&author, said(&second).update_of(&root));
    ctx.accepted(&waits).await?;
    ctx.not_served(&waits).await?;
    push(&ctx, &hosted, &second, &waits).await?;
    ctx.served_already(&waits).await?;
    is_there(&ctx, &hosted, &waits, &second).await?;

    let third = hosted.commit_on("contribution", &[&second]).await?;
    let comes = ctx.sign(&author, said(&third).update_of(&root));
    push(&ctx, &hosted, &third, &comes).await?;
    ctx.accepted(&comes).await?;
    ctx.served(&comes).await?;
    is_there(&ctx, &hosted, &comes, &third).await
}

async fn other_tip(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let (pr, tip) = pull_request(&ctx, &hosted).await?;
    ctx.accepted(&pr).await?;
    let other = hosted.commit("other").await?;
    let refspec = format!("{other}:{}", name_of(&pr));
    ctx.push_refused(&hosted, &[&refspec]).await?;
    is_not_there(&ctx, &hosted, &pr).await?;
    ctx.not_served(&pr).await?;
    push(&ctx, &hosted, &tip, &pr).await?;
    ctx.push_refused(&hosted, &["--force", &refspec]).await?;
    is_there(&ctx, &hosted, &pr, &tip).await
}

async fn other_tip_first(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let (pr, tip) = pull_request(&ctx, &hosted).await?;
    let other = hosted.commit("other").await?;
    push(&ctx, &hosted, &other, &pr).await?;
    ctx.accepted(&pr).await?;
    is_not_there(&ctx, &hosted, &pr).await?;
    ctx.not_served(&pr).await?;
    push(&ctx, &hosted, &tip, &pr).await?;
    ctx.served_already(&pr).await?;
    is_there(&ctx, &hosted, &pr, &tip).await
}

async fn other_repository(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let identifier = ctx.other_identifier();
    let other = ctx.hosted_repository_of(&ctx.owner, &identifier).await?;
    let (pr, tip) = pull_request(&ctx, &hosted).await?;
    ctx.accepted(&pr).await?;
    let refspec = format!("{tip}:{}", name_of(&pr));
    let output = ctx.git.push(&hosted.repository, &other.url, &[&refspec]).await?;
    refused_push(output)?;
    is_not_there(&ctx, &other, &pr).await?;
    ctx.not_served(&pr).await
}

async fn deletion(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let (pr, tip) = pull_request(&ctx, &hosted).await?;
    ctx.accepted(&pr).await?;
    push(&ctx, &hosted, &tip, &pr).await?;
    is_there(&ctx, &hosted, &pr, &tip).await?;
    let refspec = format!(":{}", name_of(&pr));
    ctx.push_refused(&hosted, &[&refspec]).await?;
    is_there(&ctx, &hosted, &pr, &tip).await
}

async fn malformed(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let tip = hosted.commit("contribution").await?;
    let id = keys::random_id();
    for name in [
        "contribution".to_owned(),
        id[..63].to_owned(),
        format!("{id}0"),
        format!("{}g", &id[..63]),
        format!("{id}/head"),
        format!("x/{id}"),
    ] {
        let refspec = format!("{tip}:refs/nostr/{name}");
        ctx.push_refused(&hosted, &[&refspec]).await?;
    }
    let shown = ctx.shown(&hosted.path).await?.refs;
    let none = shown.keys().all(|name| !name.starts_with("refs/nostr/"));
    expect(none, "no refs/nostr/…", format!("{shown:?}"))
}

async fn every_named(ctx: Context, same_identifier: bool, data_first: bool) -> CheckResult {
    let one = ctx.hosted_repository().await?;
    let identifier = match same_identifier {
        true => ctx.identifier.clone(),
        false => ctx.other_identifier(),
    };
    let two = ctx.hosted_repository_of(&ctx.someone(), &identifier).await?;
    let (pr, tip) = for_both(&ctx, &one, Some(&two)).await?;
    if data_first {
        push(&ctx, &one, &tip, &pr).await?;
        ctx.accepted(&pr).await?;
    } else {
        ctx.accepted(&pr).await?;
        push(&ctx, &one, &tip, &pr).await?;
    }
    ctx.served(&pr).await?;
    for hosted in [&one, &two] {
        is_there(&ctx, hosted, &pr, &tip).await?;
        // and really: the data is here, not only the name
        let (elsewhere, name) = (ctx.git.init().await?, name_of(&pr));
        let fetched = ctx.git.fetch(&elsewhere, &hosted.url, &[&name]).await?;
        fetched.success()?;
    }
    Ok(())
}

async fn beside_heads(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let (pr, tip) = pull_request(&ctx, &hosted).await?;
    ctx.accepted(&pr).await?;
    push(&ctx, &hosted, &tip, &pr).await?;
    let merge = hosted.commit_on("merge", &[&hosted.tip, &tip]).await?;
    ctx.state_by(&hosted.owner, &hosted.main_at(&merge)).await?;
    ctx.push(&hosted, &[&format!("{merge}:refs/heads/main")]).await?;
    ctx.shows(&hosted.path, &hosted.main_at(&merge)).await?;
    is_there(&ctx, &hosted, &pr, &tip).await
}

async fn expires(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let (pr, tip) = pull_request(&ctx, &hosted).await?;
    push(&ctx, &hosted, &tip, &pr).await?;
    tokio::time::sleep(gone_after(ctx.expiry.nostr_ref)).await;
    is_not_there(&ctx, &hosted, &pr).await?;
    let elsewhere = ctx.git.init().await?;
    let fetched = ctx.git.fetch(&elsewhere, &hosted.url, &[&tip]).await?;
    expect(!fetched.ok(), "its data is gone", fetched.terminal())?;
    ctx.accepted(&pr).await?;
    ctx.not_served(&pr).await
}

/// A stranger's pull request for `hosted`, not published yet, and its tip.
async fn pull_request(ctx: &Context, hosted: &Hosted) -> CheckResult<(Event, String)> {
    for_both(ctx, hosted, None).await
}

async fn for_both(ctx: &Context, one: &Hosted, two: Option<&Hosted>) -> CheckResult<(Event, String)> {
    let tip = one.commit("contribution").await?;
    let mut said = PullRequest::new(&one.coordinate, &tip).clone_url(&one.url);
    said.repositories.extend(two.map(|hosted| hosted.coordinate.clone()));
    let pr = ctx.sign(&ctx.someone(), said.subject("Contribution").draft());
    Ok((pr, tip))
}

fn name_of(event: &Event) -> String {
    format!("refs/nostr/{}", event.id.to_hex())
}

async fn push(ctx: &Context, hosted: &Hosted, tip: &str, event: &Event) -> CheckResult {
    let refspec = format!("{tip}:{}", name_of(event));
    let output = ctx.git.push(&hosted.repository, &hosted.url, &[&refspec]).await?;
    pushed(output).map(drop)
}

async fn is_there(ctx: &Context, hosted: &Hosted, event: &Event, tip: &str) -> CheckResult {
    ctx.ref_becomes(&hosted.path, &name_of(event), Some(tip)).await
}

async fn is_not_there(ctx: &Context, hosted: &Hosted, event: &Event) -> CheckResult {
    ctx.ref_becomes(&hosted.path, &name_of(event), None).await
}
