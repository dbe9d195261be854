//! What a client sees of a repository, and what it has to be: refs and HEAD are the served authorised state.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that cannot look cannot go on

use std::collections::{BTreeMap, BTreeSet};

use grasp_audit::target::Target;
use grasp_audit::target::http::HttpClient;
use grasp_audit::target::smart_http;
use grasp_audit::target::transcript::Transcript;
use grasp_audit::target::url::repository_path;
use grasp_audit::target::websocket::Relay;
use nostr::event::Event;
use nostr::key::PublicKey;
use serde_json::{Value, json};

/// Refs and HEAD of a repository.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refs {
    /// Every ref but HEAD.
    pub refs: BTreeMap<String, String>,
    /// The branch HEAD points to, born or unborn.
    pub head: String,
}

impl Refs {
    /// Heads and tags alone.
    #[must_use]
    pub fn of_state(&self) -> BTreeMap<String, String> {
        let kept = self.refs.iter().filter(|(name, _)| is_in_state(name));
        kept.map(|(name, oid)| (name.clone(), oid.clone())).collect()
    }
}

fn is_in_state(name: &str) -> bool {
    (name.starts_with("refs/heads/") || name.starts_with("refs/tags/")) && !name.ends_with("^{}")
}

/// The refs as `ls-refs` of protocol v2 lists them; `None` when the repository is not hosted.
///
/// # Panics
/// When the server gives no answer.
pub async fn refs(target: &Target, owner: &PublicKey, identifier: &str) -> Option<Refs> {
    refs_at(target, &repository_path(owner, identifier)).await
}

/// The same of the repository at a path.
///
/// # Panics
/// When the server gives no answer.
pub async fn refs_at(target: &Target, path: &str) -> Option<Refs> {
    let http = HttpClient::new(target.url.clone(), target.dialer.clone(), Transcript::new().into());
    let (response, listed) = smart_http::ls_refs(&http, path).await.expect("the server answers");
    if response.status == 404 {
        return None;
    }
    assert_eq!(response.status, 200, "{}", response.text());
    let mut refs = Refs::default();
    for listed in listed {
        if listed.name == "HEAD" {
            refs.head = listed.symref_target.unwrap_or(listed.oid);
        } else {
            refs.refs.insert(listed.name, listed.oid);
        }
    }
    Some(refs)
}

/// What is served of one identifier.
#[derive(Debug, Clone, Default)]
pub struct Served {
    /// The newest announcement of each author.
    pub announcements: BTreeMap<PublicKey, Event>,
    /// The newest state of each author.
    pub states: BTreeMap<PublicKey, Event>,
}

impl Served {
    /// Asks the relay. An address may be served with one event only.
    ///
    /// # Panics
    /// When the relay does not answer, or serves two events of one address.
    pub async fn ask(relay: &Relay, identifier: &str) -> Self {
        let mut served = Self::default();
        let filter = json!({"kinds": [30617, 30618], "#d": [identifier]});
        for event in relay.req(&[filter]).await.expect("the relay answers") {
            let slot = match event.kind.as_u16() {
                30617 => &mut served.announcements,
                _ => &mut served.states,
            };
            let other = slot.insert(event.pubkey, event);
            assert!(other.is_none(), "two events of one address are served: {other:?}");
        }
        served
    }

    /// The maintainer set of an owner: itself, whom its announcement lists, and so on. `waiting`: announcements that
    /// the test knows to wait.
    #[must_use]
    pub fn maintainers(&self, owner: &PublicKey, waiting: &[Event]) -> BTreeSet<PublicKey> {
        let mut set = BTreeSet::from([*owner]);
        let mut open = vec![*owner];
        while let Some(next) = open.pop() {
            let known =
                waiting.iter().filter(|event| event.pubkey == next).chain(self.announcements.get(&next));
            let Some(newest) = known.max_by_key(|event| event.created_at) else { continue };
            for listed in values(newest, "maintainers") {
                let Ok(listed) = PublicKey::parse(&listed) else { continue };
                if set.insert(listed) {
                    open.push(listed);
                }
            }
        }
        set
    }

    /// The newest served state by any of these, the lower id winning a tie.
    #[must_use]
    pub fn authorised(&self, maintainers: &BTreeSet<PublicKey>) -> Option<&Event> {
        let states = self.states.values().filter(|state| maintainers.contains(&state.pubkey));
        states.max_by(|a, b| a.created_at.cmp(&b.created_at).then(b.id.cmp(&a.id)))
    }
}

/// The refs a state names, and the branch its HEAD names if the state lists it.
#[must_use]
pub fn of_state(state: &Event) -> (BTreeMap<String, String>, Option<String>) {
    let tags = state.tags.iter().map(|tag| tag.as_slice());
    let named = tags.filter(|tag| tag.len() > 1 && is_in_state(&tag[0]));
    let refs: BTreeMap<String, String> = named.map(|tag| (tag[0].clone(), tag[1].clone())).collect();
    let head = values(state, "HEAD").into_iter().next();
    let head = head.map(|head| head.trim_start_matches("ref: ").to_owned());
    let head = head.filter(|head| refs.contains_key(head));
    (refs, head)
}

/// Heads, tags and HEAD of a hosted repository must be what its served authorised state says.
///
/// # Panics
/// When they are not.
pub async fn refs_are_the_authorised_state(
    target: &Target,
    relay: &Relay,
    identifier: &str,
    waiting: &[Event],
) {
    let served = Served::ask(relay, identifier).await;
    for owner in served.announcements.keys() {
        let Some(seen) = refs(target, owner, identifier).await else { continue };
        let state = served.authorised(&served.maintainers(owner, waiting));
        let state = state.unwrap_or_else(|| panic!("{identifier} of {owner} is served without a state"));
        let (expected, head) = of_state(state);
        assert_eq!(seen.of_state(), expected, "{identifier} of {owner} shows its authorised state");
        if let Some(head) = head {
            assert_eq!(seen.head, head, "HEAD of {identifier} of {owner}");
        }
    }
}

/// Which of these events the relay serves.
///
/// # Panics
/// When the relay does not answer.
pub async fn served_ids(relay: &Relay, ids: &BTreeSet<String>) -> BTreeSet<String> {
    let all: Vec<&String> = ids.iter().collect();
    let mut served = BTreeSet::new();
    for some in all.chunks(400) {
        let found = relay.req(&[json!({"ids": some})]).await.expect("the relay answers");
        served.extend(found.iter().map(|event| event.id.to_hex()));
    }
    served
}

/// The event as JSON, for clients that publish any JSON.
///
/// # Panics
/// Never: an event is JSON.
#[must_use]
pub fn as_json(event: &Event) -> Value {
    serde_json::to_value(event).unwrap()
}

fn values(event: &Event, name: &str) -> Vec<String> {
    let tags = event.tags.iter().map(|tag| tag.as_slice());
    tags.filter(|tag| tag[0] == name).flat_map(|tag| tag[1..].to_vec()).collect()
}
