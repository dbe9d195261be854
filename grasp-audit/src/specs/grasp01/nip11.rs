//! G01/nip11: the relay information document. That its limits are the enforced ones: the module `limits`.

mod limits;

use serde_json::Value;

use crate::attachment::Attachment;
use crate::check::{Check, CheckResult, expect, fail};
use crate::context::Context;

/// The checks of this section.
#[must_use]
pub fn checks() -> Vec<Check> {
    let mut checks = vec![
        Check::new(
            "G01/nip11/document",
            "is-json",
            "GET / with Accept: application/nostr+json yields a JSON object",
            is_json,
        ),
        Check::new(
            "G01/nip11/document",
            "has-cors",
            "the document carries Access-Control-Allow-Origin: *",
            has_cors,
        ),
        Check::new(
            "G01/nip11/document",
            "among-other-types",
            "it also comes when other types are accepted beside it",
            among_other_types,
        ),
        Check::new(
            "G01/nip11/supported-grasps",
            "well-formed",
            "supported_grasps is an array of GRASP-XX that holds GRASP-01",
            supported_grasps,
        ),
        Check::new(
            "G01/nip11/acceptance",
            "is-string",
            "repo_acceptance_criteria is a text for people",
            acceptance,
        ),
        Check::new("G01/nip11/curation", "absent-or-string", "curation is a text, or absent", curation),
        Check::new(
            "G01/nip11/limits",
            "well-formed",
            "limitation is an object whose limits are positive numbers or booleans",
            well_formed,
        ),
        Check::new(
            "G01/nip11/limits",
            "message-length",
            "max_message_length is stated: every relay has one",
            message_length,
        ),
    ];
    checks.extend(limits::checks());
    checks
}

async fn document(ctx: &Context) -> CheckResult<Value> {
    let response = ctx.http.get("/", &[("accept", "application/nostr+json")]).await?;
    expect(response.status == 200, "status 200", response.status)?;
    let document = response.json().filter(Value::is_object);
    document.ok_or_else(|| fail("a JSON object", response.text()))
}

async fn is_json(ctx: Context) -> CheckResult {
    document(&ctx).await?;
    let response = ctx.http.get("/", &[("accept", "application/nostr+json")]).await?;
    ctx.attach(Attachment::text("the document as it came", &response.text()));
    let kind = response.header("content-type");
    expect(kind.contains("json"), "Content-Type: application/nostr+json", kind)
}

async fn has_cors(ctx: Context) -> CheckResult {
    document(&ctx).await?;
    let response = ctx.http.get("/", &[("accept", "application/nostr+json")]).await?;
    expect(
        response.header("access-control-allow-origin") == "*",
        "Access-Control-Allow-Origin: *",
        response.head(),
    )
}

async fn among_other_types(ctx: Context) -> CheckResult {
    let response = ctx.http.get("/", &[("accept", "application/nostr+json, application/json;q=0.9")]).await?;
    expect(response.json().is_some_and(|body| body.is_object()), "a JSON object", response.head())
}

async fn supported_grasps(ctx: Context) -> CheckResult {
    let document = document(&ctx).await?;
    let stated = &document["supported_grasps"];
    let listed = stated.as_array().ok_or_else(|| fail("supported_grasps is an array", stated))?;
    let well_formed = |entry: &Value| {
        let number = entry.as_str().and_then(|text| text.strip_prefix("GRASP-"));
        number.is_some_and(|number| number.len() == 2 && number.bytes().all(|byte| byte.is_ascii_digit()))
    };
    expect(listed.iter().all(well_formed), "every entry is GRASP-XX", stated)?;
    expect(listed.iter().any(|entry| entry == "GRASP-01"), "GRASP-01 is listed", stated)
}

async fn acceptance(ctx: Context) -> CheckResult {
    let document = document(&ctx).await?;
    let stated = &document["repo_acceptance_criteria"];
    expect(
        stated.as_str().is_some_and(|text| !text.trim().is_empty()),
        "repo_acceptance_criteria is a text",
        stated,
    )
}

async fn curation(ctx: Context) -> CheckResult {
    let document = document(&ctx).await?;
    let stated = document.get("curation");
    let fine = stated.is_none_or(|value| value.as_str().is_some_and(|text| !text.trim().is_empty()));
    expect(fine, "curation is a text, or absent", stated.unwrap_or(&Value::Null))
}

async fn well_formed(ctx: Context) -> CheckResult {
    let document = document(&ctx).await?;
    let stated = &document["limitation"];
    let limits = stated.as_object().ok_or_else(|| fail("limitation is an object", stated))?;
    for (name, value) in
        limits.iter().filter(|(name, _)| name.starts_with("max_") || *name == "default_limit")
    {
        expect(value.as_u64().is_some_and(|limit| limit > 0), format!("{name} is a positive number"), value)?;
    }
    for name in ["auth_required", "payment_required", "restricted_writes"] {
        let fine = limits.get(name).is_none_or(Value::is_boolean);
        expect(fine, format!("{name} is a boolean, or absent"), &stated[name])?;
    }
    Ok(())
}

async fn message_length(ctx: Context) -> CheckResult {
    let document = document(&ctx).await?;
    let stated = &document["limitation"]["max_message_length"];
    expect(stated.as_u64().is_some_and(|bytes| bytes > 0), "limitation.max_message_length", stated)
}
