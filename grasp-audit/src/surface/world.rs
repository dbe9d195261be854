//! What the parts of a recording have in common: the server, fresh names, and what is taken back at the end.

use std::sync::Arc;

use grasp_fixtures::keys;
use serde_json::{Value, json};

use super::redaction::Redaction;
use super::{Entry, SurfaceError};
use crate::check::{CheckResult, Ending};
use crate::context::{Context, Hosted};
use crate::ledger::Ledger;
use crate::runner::Options;
use crate::target::Target;
use crate::target::transcript::Transcript;

pub(super) struct World {
    pub(super) target: Arc<Target>,
    pub(super) ledger: Arc<Ledger>,
    options: Options,
}

impl World {
    pub(super) fn new(target: Arc<Target>, options: &Options) -> Self {
        Self { target, ledger: Arc::default(), options: options.clone() }
    }

    /// A context of its own for a part.
    pub(super) fn context(&self, part: &str) -> Context {
        Context::new(
            self.target.clone(),
            self.options.owner.clone().unwrap_or_else(keys::fresh),
            format!("{}-{part}-{}", self.options.identifier_prefix, keys::random_suffix(8)),
            self.options.expiry,
            Arc::new(Transcript::new()),
            self.ledger.clone(),
        )
    }

    /// What is replaced in every part.
    pub(super) fn redaction(&self) -> Redaction {
        Redaction::default().name(self.target.url.authority(), "<service>")
    }

    /// A hosted repository of a part's own, with its names redacted; or the entry that says why the server does not
    /// host one.
    pub(super) async fn hosted(&self, part: &str) -> Result<Result<Stage, Entry>, SurfaceError> {
        let ctx = self.context(part);
        let hosted = match ctx.hosted_repository().await {
            Ok(hosted) => hosted,
            Err(ending) => {
                let redaction = self.redaction().of_context(&ctx);
                let seen = json!({"hosts no repository": told(Err::<Value, _>(ending), &redaction)?});
                return Ok(Err(Entry::new(format!("{part}/repository"), &["G01/git/serves"], seen)));
            }
        };
        let redaction = self.redaction().of_context(&ctx).of_hosted(&hosted);
        Ok(Ok(Stage { ctx, hosted, redaction }))
    }
}

/// A part's context with its repository.
pub(super) struct Stage {
    pub(super) ctx: Context,
    pub(super) hosted: Hosted,
    pub(super) redaction: Redaction,
}

/// What was seen, or what stood in its place.
pub(super) fn told(result: CheckResult<Value>, redaction: &Redaction) -> Result<Value, SurfaceError> {
    match result {
        Ok(seen) => Ok(redaction.of(seen)),
        Err(Ending::Fail { expected, seen }) => {
            Ok(redaction.of(json!({"instead of": expected, "there was": seen})))
        }
        Err(Ending::Skip(why)) => Ok(redaction.of(json!({"not looked at": why}))),
        Err(Ending::Warn(text)) => Ok(redaction.of(json!({"remark": text}))),
        Err(Ending::CannotRun(why)) => Err(SurfaceError::CannotRun(why)),
    }
}
