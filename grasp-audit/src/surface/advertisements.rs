//! What git is told first: advertisements in every version, capabilities, and `ls-refs`, of a small repository and of
//! an empty one.

use serde_json::{Value, json};

use super::redaction::Redaction;
use super::world::{World, told};
use super::{Entry, SurfaceError};
use crate::check::CheckResult;
use crate::context::Context;
use crate::target::http::Response;
use crate::target::smart_http::{self, Packet};
use crate::target::url::repository_path;

pub(super) async fn entries(world: &World) -> Result<Vec<Entry>, SurfaceError> {
    let mut stage = match world.hosted("git").await? {
        Ok(stage) => stage,
        Err(entry) => return Ok(vec![entry]),
    };
    let mut entries = Vec::new();
    if let Err(ending) = with_more_refs(&mut stage).await {
        let seen = told(Err(ending), &stage.redaction)?;
        entries.push(Entry::new("git/a second branch and a tag", &["G01/git/push-aligned"], seen));
    }
    let (ctx, path) = (&stage.ctx, &stage.hosted.path);
    for (service, requirements) in [
        ("git-upload-pack", ["G01/git/serves", "G01/git/wants"].as_slice()),
        ("git-receive-pack", ["G01/git/push-aligned"].as_slice()),
    ] {
        for version in [0, 1, 2] {
            let at = format!("git/{service}, version {version}");
            let seen = advertised(ctx, path, service, version, &stage.redaction).await;
            entries.push(Entry::new(at, requirements, told(seen, &stage.redaction)?));
        }
    }
    let listed = listed(ctx, path, &stage.redaction).await;
    entries.push(Entry::new("git/ls-refs", &["G01/git/serves"], told(listed, &stage.redaction)?));
    entries.extend(empty(ctx, &stage.redaction).await?);
    Ok(entries)
}

/// A branch and an annotated tag beside `main`, which is pushed already.
async fn with_more_refs(stage: &mut super::world::Stage) -> CheckResult {
    let (ctx, hosted) = (&stage.ctx, &stage.hosted);
    let tag = hosted.repository.annotated_tag("v1", &hosted.tip).await?;
    stage.redaction.add_id(&tag, "<tag>");
    let state = ctx.state(&hosted.tip).git_tag("v1", &tag).branch("dev", &hosted.tip);
    ctx.state_by(&ctx.owner, &state).await?;
    let dev = format!("{}:refs/heads/dev", hosted.tip);
    ctx.push(hosted, &["refs/tags/v1", &dev]).await.map(drop)
}

/// The same of a repository that is announced and has nothing.
async fn empty(ctx: &Context, redaction: &Redaction) -> Result<Vec<Entry>, SurfaceError> {
    let identifier = ctx.other_identifier();
    let path = repository_path(&ctx.owner.public_key(), &identifier);
    let announced = ctx.publishes(&ctx.owner, ctx.announcement_of(&ctx.owner, &identifier).draft()).await;
    let requirements = ["G01/git/serves"];
    if let Err(ending) = announced {
        let seen = told(Err(ending), &redaction.clone().name(identifier, "<empty>"))?;
        return Ok(vec![Entry::new("git/an empty repository", &requirements, seen)]);
    }
    let redaction = redaction.clone().name(identifier, "<empty>");
    let advertised = told(advertised(ctx, &path, "git-upload-pack", 0, &redaction).await, &redaction)?;
    let listed = told(listed(ctx, &path, &redaction).await, &redaction)?;
    Ok(vec![
        Entry::new("git/an empty repository", &requirements, advertised),
        Entry::new("git/ls-refs of an empty repository", &requirements, listed),
    ])
}

async fn advertised(
    ctx: &Context,
    path: &str,
    service: &str,
    version: u8,
    redaction: &Redaction,
) -> CheckResult<Value> {
    let response = smart_http::info_refs(&ctx.http, path, service, version).await?;
    Ok(packets(&response, redaction))
}

async fn listed(ctx: &Context, path: &str, redaction: &Redaction) -> CheckResult<Value> {
    let (response, _) = smart_http::ls_refs(&ctx.http, path).await?;
    Ok(packets(&response, redaction))
}

/// The lines in their order, the capabilities behind the first NUL apart.
fn packets(response: &Response, redaction: &Redaction) -> Value {
    let Ok(packets) = smart_http::decode(&response.body) else {
        return json!({"status": response.status, "lines": "no pkt-lines"});
    };
    let (mut lines, mut capabilities) = (Vec::new(), Vec::new());
    for packet in packets {
        let text = match packet {
            Packet::Flush => "0000".to_owned(),
            Packet::Delimiter => "0001".to_owned(),
            Packet::ResponseEnd => "0002".to_owned(),
            data @ Packet::Data(_) => data.text(),
        };
        let (line, behind) = text.split_once('\0').unwrap_or((&text, ""));
        lines.push(redaction.apply(&own(line)));
        capabilities.extend(behind.split_whitespace().map(|capability| redaction.apply(&own(capability))));
    }
    let mut seen = json!({"status": response.status, "lines": lines});
    if !capabilities.is_empty() {
        capabilities.sort();
        seen["capabilities"] = json!(capabilities);
    }
    seen
}

/// A capability whose value is an implementation's own, by its name alone.
fn own(capability: &str) -> String {
    match capability.split_once('=') {
        Some((name @ ("agent" | "session-id" | "push-cert"), _)) => format!("{name}=<{name}>"),
        _ => capability.to_owned(),
    }
}
