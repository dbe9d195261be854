//! G01/git/serves: what a path means. The identifier is any string; it is decoded once and is one segment.

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

use crate::check::{Check, CheckResult, Ending, expect, expect_eq};
use crate::context::{Context, Hosted};
use crate::target::smart_http::info_refs;

const ROW: &str = "G01/git/serves";

/// What JavaScript's `encodeURIComponent` leaves as it is.
const COMPONENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~')
    .remove(b'!')
    .remove(b'*')
    .remove(b'\'')
    .remove(b'(')
    .remove(b')');

pub(super) fn checks() -> Vec<Check> {
    let mut checks = vec![
        Check::new(
            ROW,
            "identifier-encodings",
            "every percent-encoding of an identifier leads to the same repository",
            encodings,
        ),
        Check::new(
            ROW,
            "identifier-raw-utf8",
            "an emoji that a client leaves unencoded in the URL leads to the repository",
            raw_utf8,
        ),
        Check::new(
            ROW,
            "encoded-twice",
            "an identifier is decoded once: encoded twice it names another repository",
            encoded_twice,
        ),
        Check::new(
            ROW,
            "traversal",
            "encoded slashes and dots reach no other repository, for fetches and for pushes",
            traversal,
        ),
        Check::new(
            ROW,
            "same-identifier",
            "two owners of one identifier have two repositories",
            same_identifier,
        ),
    ];
    for (name, suffix) in [
        ("spaces", " with  spaces"),
        ("emoji", "-🦀-日本語"),
        ("percent", "-100%-%41%2F"),
        ("punctuation", "-it's(1)!*,;=@&+$#?"),
        ("dots", "..dots..git"),
        ("case", "-CaSe"),
    ] {
        checks.push(Check::new(
            ROW,
            &format!("identifier-{name}"),
            format!("announce, state, push and clone work under an identifier with {name}"),
            move |ctx| round_trip(ctx, suffix),
        ));
    }
    checks
}

async fn round_trip(ctx: Context, suffix: &'static str) -> CheckResult {
    let identifier = format!("{}{suffix}", ctx.identifier);
    let hosted = ctx.hosted_repository_of(&ctx.owner, &identifier).await?;
    let (clone, output) = ctx.git.clone(&hosted.url, &[]).await?;
    expect(output.ok(), "the clone succeeds", output.terminal())?;
    expect_eq("HEAD of the clone", &hosted.tip, &clone.oid("HEAD").await?)
}

async fn encodings(ctx: Context) -> CheckResult {
    let identifier = format!("{} it's (ü) ~1!", ctx.identifier);
    let hosted = ctx.hosted_repository_of(&ctx.owner, &identifier).await?;
    let every_byte: String = identifier.bytes().map(|b| format!("%{b:02X}")).collect();
    for encoded in [
        utf8_percent_encode(&identifier, NON_ALPHANUMERIC).to_string(),
        utf8_percent_encode(&identifier, COMPONENT).to_string(),
        every_byte.clone(),
        every_byte.to_lowercase(),
    ] {
        ctx.shows(&beside(&hosted, &encoded), &hosted.main_at(&hosted.tip)).await?;
    }
    Ok(())
}

async fn raw_utf8(ctx: Context) -> CheckResult {
    let identifier = format!("{}-🦀", ctx.identifier);
    let hosted = ctx.hosted_repository_of(&ctx.owner, &identifier).await?;
    let url = format!("{}{}", ctx.target.url.base(), beside(&hosted, &identifier));
    let listed = ctx.git.ls_remote(&["--heads"], &url).await?;
    // RFC 3986 wants it encoded; servers that insist on that are within their rights
    if listed.ok() && listed.text().contains(&hosted.tip) {
        return Ok(());
    }
    let text = "git sends what is typed: a URL with an unencoded emoji is not understood";
    Err(Ending::Warn(format!("{text}: {}", listed.terminal())))
}

async fn encoded_twice(ctx: Context) -> CheckResult {
    let identifier = format!("{} a", ctx.identifier);
    let hosted = ctx.hosted_repository_of(&ctx.owner, &identifier).await?;
    let twice = format!("{}%2520a", ctx.identifier);
    is_not_there(&ctx, &beside(&hosted, &twice)).await?;
    let other = ctx.hosted_repository_of(&ctx.owner, &format!("{}%20a", ctx.identifier)).await?;
    ctx.shows(&beside(&hosted, &twice), &other.main_at(&other.tip)).await?;
    ctx.shows(&hosted.path, &hosted.main_at(&hosted.tip)).await
}

async fn traversal(ctx: Context) -> CheckResult {
    let stranger = ctx.someone();
    let victim = ctx.hosted_repository().await?;
    let own = ctx.hosted_repository_of(&stranger, &ctx.other_identifier()).await?;
    let path = victim.path.trim_start_matches('/').replace(".git", "");
    for up in ["..", "%2e%2e", "%252e%252e", "x%2f..%2f..", "x/..%2f.."] {
        for slash in ["%2f", "%2F", "%252f", "%5c", "%00"] {
            let rest = path.replace('/', slash);
            is_not_there(&ctx, &beside(&own, &format!("{up}{slash}{rest}"))).await?;
        }
    }
    for name in ["", ".", "%2e", "..", "%2e%2e", "%00", "%2f", "%ff", "%zz"] {
        is_not_there(&ctx, &beside(&own, name)).await?;
    }
    ctx.shows(&victim.path, &victim.main_at(&victim.tip)).await
}

async fn same_identifier(ctx: Context) -> CheckResult {
    let other = ctx.someone();
    let first = ctx.hosted_repository().await?;
    let second = ctx.hosted_repository_of(&other, &ctx.identifier).await?;
    ctx.shows(&first.path, &first.main_at(&first.tip)).await?;
    ctx.shows(&second.path, &second.main_at(&second.tip)).await
}

/// The path of another repository of the same owner, its identifier already encoded.
fn beside(hosted: &Hosted, encoded: &str) -> String {
    let owner = hosted.path.split('/').nth(1).unwrap_or_default();
    format!("/{owner}/{encoded}.git")
}

/// No repository answers there: any refusal will do.
async fn is_not_there(ctx: &Context, path: &str) -> CheckResult {
    for service in ["git-upload-pack", "git-receive-pack"] {
        let response = info_refs(&ctx.http, path, service, 0).await?;
        let refused = (400..500).contains(&response.status);
        expect(refused, format!("4xx for {path}"), response.head())?;
    }
    Ok(())
}
