//! What a server shows of everything a story is about: events by REQ, refs and HEAD by `ls-refs`.

use std::collections::BTreeSet;

use nostr::event::EventId;
use serde_json::json;

use super::cast::Cast;
use super::model::{Seen, Shown};
use super::story::{Name, Project, Repo};
use super::tell;
use crate::check::{CheckResult, fail};
use crate::context::Context;
use crate::target::smart_http::{ListedRef, ls_refs};

/// Looks at all of it once.
///
/// # Errors
/// When the server gives no answer, or a limit stands in the way.
pub(super) async fn look(ctx: &Context, cast: &Cast) -> CheckResult<Seen> {
    let mut seen = Seen::default();
    seen.asked.extend(cast.minted().iter().map(|minted| minted.event.id));
    look_at_events(ctx, cast, &mut seen).await?;
    for repo in cast.announced() {
        let shown = look_at_repository(ctx, cast, repo).await?;
        seen.repositories.insert(repo, shown);
    }
    for repo in cast.contributors() {
        let shown = look_at_contributor(ctx, cast, *repo).await?;
        seen.contributors.insert(*repo, shown);
    }
    Ok(seen)
}

/// By their ids, and by identifier: what one of the two finds, is served.
async fn look_at_events(ctx: &Context, cast: &Cast, seen: &mut Seen) -> CheckResult {
    if seen.asked.is_empty() {
        return Ok(());
    }
    let ids: Vec<String> = seen.asked.iter().map(EventId::to_hex).collect();
    let identifiers = Project::ALL.map(|project| cast.identifier(project));
    let by_id = ctx.query(json!({"ids": ids})).await?;
    let by_identifier = ctx.query(json!({"kinds": [30617, 30618], "#d": identifiers})).await?;
    let addressed: BTreeSet<EventId> = by_id
        .iter()
        .filter(|event| matches!(event.kind.as_u16(), 30617 | 30618))
        .map(|event| event.id)
        .collect();
    let listed: BTreeSet<EventId> = by_identifier.iter().map(|event| event.id).collect();
    for id in addressed.difference(&listed) {
        seen.strange.push(format!("{} is found by its id and not by its identifier", describe(*id)));
    }
    for event in by_id.iter().chain(&by_identifier) {
        if seen.asked.contains(&event.id) {
            seen.served.insert(event.id);
        } else {
            seen.strange.push(format!("{} is served, which nobody has published", describe(event.id)));
        }
    }
    Ok(())
}

fn describe(id: EventId) -> String {
    format!("event {}…", id.to_hex().chars().take(8).collect::<String>())
}

async fn look_at_repository(ctx: &Context, cast: &Cast, repo: Repo) -> CheckResult<Option<Shown>> {
    look_at_path(ctx, cast, &cast.path(repo), &repo.to_string()).await
}

/// Heads and tags have no place there.
async fn look_at_contributor(ctx: &Context, cast: &Cast, repo: Repo) -> CheckResult<Option<Shown>> {
    let name = tell::contributor(repo);
    let mut shown = look_at_path(ctx, cast, &cast.contribution_path(repo), &name).await?;
    if let Some(shown) = &mut shown {
        let strange = shown.refs.iter().map(|(branch, object)| format!("{name} shows {branch} at {object}"));
        shown.strange.extend(strange);
    }
    Ok(shown)
}

async fn look_at_path(ctx: &Context, cast: &Cast, path: &str, name: &str) -> CheckResult<Option<Shown>> {
    let (response, listed) = ls_refs(&ctx.http, path).await?;
    match response.status {
        404 => return Ok(None),
        200 => {}
        _ => return Err(fail(format!("the refs of {name}, or 404"), response.head())),
    }
    let mut shown = Shown::default();
    for listed in listed {
        shown.add(cast, name, &listed);
    }
    Ok(Some(shown))
}

impl Shown {
    fn add(&mut self, cast: &Cast, place: &str, listed: &ListedRef) {
        if listed.name == "HEAD" {
            let target = listed.symref_target.as_deref();
            self.head = Name::ALL.into_iter().find(|name| Some(name.full()) == target);
            return;
        }
        let object = cast.graph.object(&listed.oid);
        let name = Name::ALL.into_iter().find(|name| name.full() == listed.name);
        let nostr = listed.name.strip_prefix("refs/nostr/").and_then(|id| EventId::parse(id).ok());
        match (name, nostr, object) {
            (Some(name), _, Some(object)) => drop(self.refs.insert(name, object)),
            (_, Some(id), Some(object)) => drop(self.nostr.insert(id, object)),
            _ => self.strange.push(format!("{place} shows {} at {}", listed.name, listed.oid)),
        }
    }
}
