//! What a repository shows to everybody: its refs and `HEAD`, held against a state.

use std::collections::BTreeMap;

use grasp_fixtures::{Head, State};

use super::{Context, SETTLES_WITHIN};
use crate::check::{CheckResult, expect, fail};
use crate::target::smart_http::ls_refs;

/// Refs and `HEAD` of a repository as `ls-refs` lists them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Shown {
    /// The branch `HEAD` names, by its full name, born or not.
    pub head: Option<String>,
    /// Every other ref, by its full name.
    pub refs: BTreeMap<String, String>,
}

impl Shown {
    /// Heads and tags alone.
    #[must_use]
    pub fn heads_and_tags(&self) -> BTreeMap<String, String> {
        let own = |name: &str| name.starts_with("refs/heads/") || name.starts_with("refs/tags/");
        let own = self.refs.iter().filter(|(name, _)| own(name));
        own.map(|(name, oid)| (name.clone(), oid.clone())).collect()
    }

    /// Whether heads and tags are exactly those of `state`, and `HEAD` its `HEAD` when it has one.
    #[must_use]
    pub fn is(&self, state: &State) -> bool {
        let named = state.refs.iter().filter(|(name, _)| !name.ends_with("^{}"));
        let named: BTreeMap<String, String> = named.cloned().collect();
        let head = match &state.head {
            Some(Head::Ref(branch) | Head::Bare(branch)) => {
                self.head.as_deref() == Some(format!("refs/heads/{branch}").as_str())
            }
            None => true,
        };
        head && self.heads_and_tags() == named
    }
}

impl Context {
    /// What the repository at `path` shows now.
    ///
    /// # Errors
    /// A failure when it is not there.
    pub async fn shown(&self, path: &str) -> CheckResult<Shown> {
        let (response, listed) = ls_refs(&self.http, path).await?;
        if response.status != 200 {
            return Err(fail(format!("the refs of {path}"), response.head()));
        }
        let mut shown = Shown::default();
        for listed in listed {
            if listed.name == "HEAD" {
                shown.head = listed.symref_target;
            } else {
                shown.refs.insert(listed.name, listed.oid);
            }
        }
        Ok(shown)
    }

    /// The repository at `path` must show exactly this state, now.
    ///
    /// # Errors
    /// A failure when it shows anything else.
    pub async fn shows(&self, path: &str, state: &State) -> CheckResult {
        let shown = self.shown(path).await?;
        expect(
            shown.is(state),
            format!("{path} shows {:?}, HEAD {:?}", state.refs, state.head),
            format!("{:?}, HEAD {:?}", shown.heads_and_tags(), shown.head),
        )
    }

    /// The repository at `path` must show exactly this state, now or soon.
    ///
    /// # Errors
    /// A failure when it keeps showing something else.
    pub async fn comes_to_show(&self, path: &str, state: &State) -> CheckResult {
        let matches = || async { Ok(self.shown(path).await?.is(state)) };
        // the last look tells what is there instead
        let _ = self.eventually("the state", SETTLES_WITHIN, matches).await;
        self.shows(path, state).await
    }

    /// The repository at `path` must show neither a head nor a tag.
    ///
    /// # Errors
    /// A failure when it does.
    pub async fn shows_nothing(&self, path: &str) -> CheckResult {
        let refs = self.shown(path).await?.heads_and_tags();
        expect(refs.is_empty(), format!("{path} has no refs"), format!("{refs:?}"))
    }

    /// The repository at `path` must show `name` at `oid` (or not at all), now or soon.
    ///
    /// # Errors
    /// A failure when it keeps showing something else.
    pub async fn ref_becomes(&self, path: &str, name: &str, oid: Option<&str>) -> CheckResult {
        let is = || async { Ok(self.shown(path).await?.refs.get(name).map(String::as_str) == oid) };
        // the last look tells what is there instead
        let _ = self.eventually("the ref", SETTLES_WITHIN, is).await;
        let seen = self.shown(path).await?.refs.remove(name);
        expect(seen.as_deref() == oid, format!("{path} has {name} at {oid:?}"), format!("{seen:?}"))
    }
}
