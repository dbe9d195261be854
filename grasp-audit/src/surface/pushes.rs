//! What the person at the terminal reads when a push is refused.

use grasp_fixtures::{Output, PullRequest};
use serde_json::{Value, json};

use super::world::{Stage, World, told};
use super::{Entry, SurfaceError};
use crate::check::CheckResult;

const UNAUTHORISED: [&str; 1] = ["G01/git/push-unauthorised"];
const NOSTR_REFS: [&str; 1] = ["G01/git/nostr-refs"];

pub(super) async fn entries(world: &World) -> Result<Vec<Entry>, SurfaceError> {
    let mut stage = match world.hosted("push").await? {
        Ok(stage) => stage,
        Err(entry) => return Ok(vec![entry]),
    };
    let names = match prepare(&mut stage).await {
        Ok(names) => names,
        Err(ending) => {
            return Ok(vec![Entry::new("push/commits", &UNAUTHORISED, told(Err(ending), &stage.redaction)?)]);
        }
    };
    let Commits { next, other } = &names;
    let to = |oid: &str, name: &str| format!("+{oid}:{name}");
    let mut entries = Vec::new();
    for (what, refspec, requirements) in [
        ("without a state", to(next, "refs/heads/main"), UNAUTHORISED),
        ("a branch that is not listed", to(next, "refs/heads/dev"), UNAUTHORISED),
        ("a tag that is not listed", to(next, "refs/tags/v1"), UNAUTHORISED),
        ("a branch of a pull request", to(next, "refs/heads/pr/fix"), UNAUTHORISED),
        ("a deletion without a state", ":refs/heads/main".to_owned(), UNAUTHORISED),
        ("a ref outside heads and tags", to(next, "refs/notes/commits"), UNAUTHORISED),
        ("refs/nostr without an id", to(next, "refs/nostr/abc"), NOSTR_REFS),
    ] {
        entries.push(entry(&stage, what, &[&refspec], &requirements).await?);
    }
    let (ctx, hosted) = (&stage.ctx, &stage.hosted);
    let pull = ctx.sign(&ctx.someone(), PullRequest::new(&hosted.coordinate, next).draft());
    let name = format!("refs/nostr/{}", pull.id.to_hex());
    let state = ctx.sign(&ctx.owner, ctx.state(next).branch("dev", &hosted.tip).draft());
    // what a server does not take shows in what it then says about the pushes
    let _ = ctx.publish(&pull).await;
    stage.redaction.add_event(&pull);
    let what = "another tip than the pull request names";
    entries.push(entry(&stage, what, &[&to(other, &name)], &NOSTR_REFS).await?);
    let _ = stage.ctx.publish(&state).await;
    stage.redaction.add_event(&state);
    let (main, dev) = (to(next, "refs/heads/main"), to(&stage.hosted.tip, "refs/heads/dev"));
    for (what, refspecs) in [
        ("another commit than the waiting state", vec![to(other, "refs/heads/main")]),
        ("a part of the waiting state", vec![main.clone()]),
        ("more than the waiting state", vec![main, dev, to(next, "refs/heads/more")]),
    ] {
        let refspecs: Vec<&str> = refspecs.iter().map(String::as_str).collect();
        entries.push(entry(&stage, what, &refspecs, &UNAUTHORISED).await?);
    }
    Ok(entries)
}

struct Commits {
    next: String,
    other: String,
}

async fn prepare(stage: &mut Stage) -> CheckResult<Commits> {
    let repository = &stage.hosted.repository;
    let next = repository.commit("a", "next\n", &[&stage.hosted.tip]).await?;
    let other = repository.commit("a", "other\n", &[&stage.hosted.tip]).await?;
    stage.redaction.add_id(&next, "<next>");
    stage.redaction.add_id(&other, "<other>");
    Ok(Commits { next, other })
}

async fn entry(
    stage: &Stage,
    what: &str,
    refspecs: &[&str],
    requirements: &[&str],
) -> Result<Entry, SurfaceError> {
    let output = stage.ctx.git.push(&stage.hosted.repository, &stage.hosted.url, refspecs).await;
    let seen = output.map(|output| shown(&output)).map_err(Into::into);
    Ok(Entry::new(format!("push/{what}"), requirements, told(seen, &stage.redaction)?))
}

/// What the server said, without what git itself says around it in its various versions.
fn shown(output: &Output) -> Value {
    let terminal = output.terminal();
    let lines: Vec<&str> = terminal
        .lines()
        .map(str::trim)
        .filter(|line| {
            ["remote: ", "! [", "fatal:", "error: RPC", "= [", "* ["]
                .iter()
                .any(|begin| line.starts_with(begin))
        })
        .collect();
    json!({"refused": !output.ok(), "terminal": lines})
}
