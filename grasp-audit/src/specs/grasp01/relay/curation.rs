//! `G01/relay/curation`: a server may refuse for spam or curation. When it does, it says so.

use serde_json::Value;

use crate::check::{Check, CheckResult, Ending, expect};
use crate::context::Context;

const ROW: &str = "G01/relay/curation";

pub(super) fn checks() -> Vec<Check> {
    vec![Check::new(
        ROW,
        "told",
        "an ordinary repository and an issue about it are taken, or NIP-11 says what is curated",
        told,
    )]
}

async fn told(ctx: Context) -> CheckResult {
    let announcement = ctx.sign(&ctx.owner, ctx.announcement().draft());
    let reply = ctx.publish(&announcement).await?;
    if reply.accepted {
        let hosted = ctx.hosted_repository_of(&ctx.owner, &ctx.other_identifier()).await?;
        return super::filed_issue(&ctx, &hosted, &ctx.someone()).await.map(drop);
    }
    let stated = |name: &str| {
        let document = ctx.target.nip11.as_ref().map(|document| &document[name]);
        document.and_then(Value::as_str).is_some_and(|text| !text.trim().is_empty())
    };
    let says = stated("curation") || stated("repo_acceptance_criteria");
    expect(
        says,
        "`curation` or `repo_acceptance_criteria` in NIP-11: an ordinary repository was refused",
        &reply,
    )?;
    Err(Ending::Warn(format!("the server curates: {reply}")))
}
