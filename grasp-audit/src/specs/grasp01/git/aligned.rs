//! G01/git/push-aligned: a push that makes heads and tags exactly those of an authorised state is taken.

use grasp_fixtures::keys::random_suffix;

use super::bytes::twice_at_once;
use crate::check::{Check, CheckResult, expect, expect_eq, skip};
use crate::context::{Context, pushed};

const ROW: &str = "G01/git/push-aligned";

pub(super) fn checks() -> Vec<Check> {
    vec![
        Check::new(
            ROW,
            "round-trip",
            "announce, state, push: a clone has the same commit on the same branch",
            round_trip,
        ),
        Check::new(
            ROW,
            "many-refs",
            "branches and tags go in one push; a later push creates, moves and deletes at once",
            many_refs,
        ),
        Check::new(
            ROW,
            "annotated-tag",
            "a state with a peeled entry beside an annotated tag admits the push of the tag",
            annotated_tag,
        ),
        Check::new(
            ROW,
            "with-what-is-there",
            "only what is new has to be pushed, the rest may be there already",
            with_what_is_there,
        ),
        Check::new(
            ROW,
            "fast-forward",
            "a second push on top of the first is taken, its pack thin",
            fast_forward,
        ),
        Check::new(ROW, "force-push", "a branch is rewritten when the state says so", force_push),
        Check::new(
            ROW,
            "branch-becomes-folder",
            "one push deletes the branch `a` and creates `a/b`",
            branch_becomes_folder,
        ),
        Check::new(ROW, "big", "a push larger than the client's buffer (probe, then chunks) is taken", big),
        Check::new(ROW, "from-shallow-clone", "a push out of a shallow clone is taken", from_shallow_clone),
        Check::new(ROW, "atomic", "`git push --atomic` is taken where the server offers it", atomic),
        Check::new(ROW, "twice-at-once", "two identical pushes that race both succeed", twice_at_once),
        Check::new(
            ROW,
            "repeated",
            "to a second push of the same everything is up to date, and nothing changes",
            repeated,
        ),
    ]
}

async fn round_trip(ctx: Context) -> CheckResult {
    let hosted = ctx.waiting_repository().await?;
    ctx.push(&hosted, &["refs/heads/main"]).await?;
    let (clone, output) = ctx.git.clone(&hosted.url, &[]).await?;
    expect(output.ok(), "the clone succeeds", output.terminal())?;
    expect_eq("HEAD of the clone", &hosted.tip, &clone.oid("HEAD").await?)?;
    expect_eq("branch of the clone", &"main".to_owned(), &clone.git(&["branch", "--show-current"]).await?)
}

async fn many_refs(ctx: Context) -> CheckResult {
    let hosted = ctx.waiting_repository().await?;
    let (data, second) = (&hosted.repository, hosted.commit("second").await?);
    data.branch("moves", &hosted.tip).await?;
    data.branch("goes", &second).await?;
    data.lightweight_tag("light", &hosted.tip).await?;
    data.annotated_tag("heavy", &second).await?;
    let everything = ["refs/heads/*:refs/heads/*", "refs/tags/*:refs/tags/*"];
    let state = hosted.no_refs().references(data.refs().await?).head("main");
    ctx.state_by(&hosted.owner, &state).await?;
    ctx.push(&hosted, &everything).await?;
    ctx.shows(&hosted.path, &state).await?;

    let third = hosted.commit_on("third", &[&second]).await?;
    data.branch("moves", &third).await?;
    data.branch("comes", &second).await?;
    data.lightweight_tag("light", &third).await?;
    data.git(&["branch", "-D", "goes"]).await?;
    data.git(&["tag", "-d", "heavy"]).await?;
    let state = hosted.no_refs().references(data.refs().await?).head("main");
    ctx.state_by(&hosted.owner, &state).await?;
    let mirror = [&["--force", "--prune"], everything.as_slice()].concat();
    ctx.push(&hosted, &mirror).await?;
    ctx.shows(&hosted.path, &state).await
}

async fn annotated_tag(ctx: Context) -> CheckResult {
    let hosted = ctx.waiting_repository().await?;
    let tag = hosted.repository.annotated_tag("v1", &hosted.tip).await?;
    let state = hosted.main_at(&hosted.tip).git_tag("v1", &tag).git_tag("v1^{}", &hosted.tip);
    ctx.state_by(&hosted.owner, &state).await?;
    ctx.push(&hosted, &["refs/heads/main", "refs/tags/v1"]).await?;
    ctx.shows(&hosted.path, &state).await?;
    let listed = ctx.git.ls_remote(&["--tags"], &hosted.url).await?.text();
    for wanted in [format!("{tag}\trefs/tags/v1"), format!("{}\trefs/tags/v1^{{}}", hosted.tip)] {
        expect(listed.lines().any(|line| line == wanted), wanted, &listed)?;
    }
    Ok(())
}

async fn with_what_is_there(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let tip = hosted.commit("dev").await?;
    let state = hosted.main_at(&hosted.tip).branch("dev", &tip);
    ctx.state_by(&hosted.owner, &state).await?;
    ctx.push(&hosted, &[&format!("{tip}:refs/heads/dev")]).await?;
    ctx.shows(&hosted.path, &state).await
}

async fn fast_forward(ctx: Context) -> CheckResult {
    let hosted = ctx.waiting_repository().await?;
    let text: String = (0..400).map(|n| format!("line {n} {}\n", random_suffix(8))).collect();
    let data = &hosted.repository;
    let first = data.commit("long", &text, &[&hosted.tip]).await?;
    ctx.state_by(&hosted.owner, &hosted.main_at(&first)).await?;
    ctx.push(&hosted, &[&format!("{first}:refs/heads/main")]).await?;

    // the pack holds the changed file as a delta against the one that is there
    let changed = text.replacen("line 200", "LINE 200", 1);
    let second = data.commit("long", &changed, &[&first]).await?;
    ctx.state_by(&hosted.owner, &hosted.main_at(&second)).await?;
    ctx.push(&hosted, &["--thin", &format!("{second}:refs/heads/main")]).await?;
    ctx.shows(&hosted.path, &hosted.main_at(&second)).await
}

async fn force_push(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let rewritten = hosted.commit_on("rewritten", &[]).await?;
    let state = hosted.main_at(&rewritten);
    ctx.state_by(&hosted.owner, &state).await?;
    ctx.push(&hosted, &[&format!("+{rewritten}:refs/heads/main")]).await?;
    ctx.shows(&hosted.path, &state).await
}

async fn branch_becomes_folder(ctx: Context) -> CheckResult {
    let hosted = ctx.waiting_repository().await?;
    let state = hosted.main_at(&hosted.tip).branch("a", &hosted.tip);
    ctx.state_by(&hosted.owner, &state).await?;
    let branch = format!("{}:refs/heads/a", hosted.tip);
    ctx.push(&hosted, &["refs/heads/main", &branch]).await?;

    let tip = hosted.commit("b").await?;
    let state = hosted.main_at(&hosted.tip).branch("a/b", &tip);
    ctx.state_by(&hosted.owner, &state).await?;
    let folder = format!("{tip}:refs/heads/a/b");
    ctx.push(&hosted, &[":refs/heads/a", &folder]).await?;
    ctx.shows(&hosted.path, &state).await
}

async fn big(ctx: Context) -> CheckResult {
    let hosted = ctx.waiting_repository().await?;
    let data = &hosted.repository;
    let content = random_suffix(600_000);
    let tip = data.commit("big", &content, &[&hosted.tip]).await?;
    ctx.state_by(&hosted.owner, &hosted.main_at(&tip)).await?;
    data.git(&["config", "http.postBuffer", "65536"]).await?;
    ctx.push(&hosted, &[&format!("{tip}:refs/heads/main")]).await?;
    ctx.shows(&hosted.path, &hosted.main_at(&tip)).await
}

async fn from_shallow_clone(ctx: Context) -> CheckResult {
    let hosted = ctx.waiting_repository().await?;
    let second = hosted.commit("second").await?;
    ctx.state_by(&hosted.owner, &hosted.main_at(&second)).await?;
    ctx.push(&hosted, &[&format!("{second}:refs/heads/main")]).await?;
    let (clone, output) = ctx.git.clone(&hosted.url, &["--depth", "1"]).await?;
    expect(output.ok(), "the clone succeeds", output.terminal())?;
    let third = clone.commit("third", &random_suffix(20), &[&second]).await?;
    ctx.state_by(&hosted.owner, &hosted.main_at(&third)).await?;
    let branch = format!("{third}:refs/heads/main");
    pushed(ctx.git.push(&clone, &hosted.url, &[&branch]).await?)?;
    ctx.shows(&hosted.path, &hosted.main_at(&third)).await
}

async fn atomic(ctx: Context) -> CheckResult {
    let hosted = ctx.waiting_repository().await?;
    let state = hosted.main_at(&hosted.tip).branch("dev", &hosted.tip);
    ctx.state_by(&hosted.owner, &state).await?;
    let dev = format!("{}:refs/heads/dev", hosted.tip);
    let arguments = ["--atomic", "refs/heads/main", &dev];
    let output = ctx.git.push(&hosted.repository, &hosted.url, &arguments);
    let output = output.await?;
    if output.terminal().contains("does not support --atomic") {
        return Err(skip("the server does not offer atomic pushes"));
    }
    pushed(output)?;
    ctx.shows(&hosted.path, &state).await
}

async fn repeated(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let again = ctx.push(&hosted, &["--force", "refs/heads/main"]).await?;
    let nothing_sent = again.terminal().contains("Everything up-to-date");
    expect(nothing_sent, "the server tells git that everything is up to date", again.terminal())?;
    ctx.shows(&hosted.path, &hosted.main_at(&hosted.tip)).await
}
