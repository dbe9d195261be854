//! A read-only look at a running service, over in seconds: is it up, and does a repository match its state?

use std::sync::Arc;

use nostr::event::Event;
use serde_json::json;

use crate::counted::counted;
use crate::target::http::HttpClient;
use crate::target::smart_http;
use crate::target::transcript::Transcript;
use crate::target::url::repository_path;
use crate::target::websocket::Relay;
use crate::target::{Target, TargetError};

/// One thing that was looked at.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// What.
    pub what: &'static str,
    /// Whether it is as it should be.
    pub healthy: bool,
    /// In words.
    pub detail: String,
}

fn finding(what: &'static str, healthy: bool, detail: impl Into<String>) -> Finding {
    Finding { what, healthy, detail: detail.into() }
}

/// Looks at the service once.
///
/// # Errors
/// When it cannot be reached at all.
pub async fn probe(url: &str, ca: Option<std::path::PathBuf>) -> Result<Vec<Finding>, TargetError> {
    let target = Target::discover(url, ca).await?;
    let transcript = Arc::new(Transcript::new());
    let mut findings = vec![match &target.nip11 {
        Some(document) => finding(
            "nip11",
            target.supports("GRASP-01"),
            format!("supported_grasps {}", document["supported_grasps"]),
        ),
        None => finding("nip11", false, "no JSON document at / for Accept: application/nostr+json"),
    }];
    match relay(&target, &transcript).await {
        Ok(more) => findings.extend(more),
        Err(why) => findings.push(finding("relay", false, why)),
    }
    Ok(findings)
}

async fn relay(target: &Target, transcript: &Arc<Transcript>) -> Result<[Finding; 2], String> {
    let relay = Relay::connect(target, transcript.clone(), "ws".to_owned())
        .await
        .map_err(|error| error.to_string())?;
    let filter = json!({"kinds": [30617], "limit": 50});
    let announcements = relay.req(&[filter]).await.map_err(|error| error.to_string())?;
    let answers =
        finding("relay", true, format!("answers; {} seen", counted(announcements.len(), "announcement")));
    let hosted = repository(target, &relay, &announcements, transcript).await;
    Ok([answers, hosted.unwrap_or_else(|why| finding("repository", false, why))])
}

async fn repository(
    target: &Target,
    relay: &Relay,
    announcements: &[Event],
    transcript: &Arc<Transcript>,
) -> Result<Finding, String> {
    let http = HttpClient::new(target.url.clone(), target.dialer.clone(), transcript.clone());
    for announcement in announcements {
        let Some(identifier) = announcement.tags.identifier() else {
            continue;
        };
        let url = target.url.clone_url(&announcement.pubkey, &identifier);
        let listed = |tag: &nostr::event::Tag| tag.kind() == "clone" && tag.as_slice().contains(&url);
        if !announcement.tags.iter().any(listed) {
            continue;
        }
        let filter = json!({"kinds": [30618], "#d": [identifier]});
        let states = relay.req(&[filter]).await.map_err(|error| error.to_string())?;
        if states.is_empty() {
            continue;
        }
        let path = repository_path(&announcement.pubkey, &identifier);
        let (response, refs) =
            smart_http::ls_refs(&http, &path).await.map_err(|error| format!("{url}: {error}"))?;
        if response.status != 200 {
            return Err(format!("{url}: ls-refs is answered {}", response.status));
        }
        let served = sorted(refs.into_iter().map(|listed| (listed.name, listed.oid)));
        // any state's refs will do: whose is authoritative depends on the maintainers
        let matching = states.iter().any(|state| stated(state) == served);
        let detail = format!(
            "{url}: {}, {}",
            counted(served.len(), "ref"),
            if matching { "as its state says" } else { "not those of any served state" }
        );
        return Ok(finding("repository", matching, detail));
    }
    Ok(finding("repository", true, "none with a state to look at"))
}

fn stated(state: &Event) -> Vec<(String, String)> {
    let pairs = state.tags.iter().filter_map(|tag| match tag.as_slice() {
        [name, oid, ..] if !name.ends_with("^{}") => Some((name.clone(), oid.clone())),
        _ => None,
    });
    sorted(pairs)
}

fn sorted(refs: impl Iterator<Item = (String, String)>) -> Vec<(String, String)> {
    let mut refs: Vec<_> =
        refs.filter(|(name, _)| name.starts_with("refs/heads/") || name.starts_with("refs/tags/")).collect();
    refs.sort();
    refs
}
