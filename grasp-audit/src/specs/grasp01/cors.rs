//! G01/cors: the same header fields on every response, whatever it is. One check per row and route.

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::check::{Check, CheckResult, expect, fail};
use crate::context::Context;
use crate::target::http::Response;
use crate::target::url::repository_path;

/// Header fields that browsers' git clients send and need allowed.
const NEEDED_HEADERS: [&str; 6] =
    ["Content-Type", "Git-Protocol", "Authorization", "Accept", "Content-Encoding", "X-Requested-With"];

/// A kind of response: its name, what it is, and how to get one.
type Route = (&'static str, &'static str, fn(&Context) -> BoxFuture<'_, CheckResult<Response>>);

const ROUTES: [Route; 9] = [
    ("nip11", "the NIP-11 document", |ctx| {
        async { Ok(ctx.http.get("/", &[("accept", "application/nostr+json")]).await?) }.boxed()
    }),
    ("landing-page", "the page at /", |ctx| {
        async { Ok(ctx.http.get("/", &[("accept", "text/html")]).await?) }.boxed()
    }),
    ("on-404", "a path that does not exist", |ctx| {
        async { Ok(ctx.http.get("/no/such/path", &[]).await?) }.boxed()
    }),
    ("unknown-repository", "info/refs of a repository that does not exist", |ctx| {
        unknown_repository(ctx).boxed()
    }),
    ("info-refs", "info/refs of a hosted repository", |ctx| info_refs(ctx).boxed()),
    ("upload-pack", "POST git-upload-pack", |ctx| upload_pack(ctx).boxed()),
    ("receive-pack-refused", "info/refs of a service that git does not have", |ctx| bad_service(ctx).boxed()),
    ("bad-post", "a POST where nothing takes one", |ctx| {
        async { Ok(ctx.http.post("/no/such/service", &[], "x").await?) }.boxed()
    }),
    ("upgrade", "the 101 response of the WebSocket upgrade", |ctx| upgrade(ctx).boxed()),
];

/// The checks of this section.
#[must_use]
pub fn checks() -> Vec<Check> {
    let mut checks = Vec::new();
    for (name, what, get) in ROUTES {
        let title = |field: &str| format!("{what}: {field}");
        checks.push(Check::new(
            "G01/cors/origin",
            name,
            title("Access-Control-Allow-Origin: *"),
            move |ctx| async move { origin(&get(&ctx).await?) },
        ));
        checks.push(Check::new(
            "G01/cors/methods",
            name,
            title("Access-Control-Allow-Methods holds GET, POST"),
            move |ctx| async move { methods(&get(&ctx).await?) },
        ));
        checks.push(Check::new(
            "G01/cors/headers",
            name,
            title("Access-Control-Allow-Headers holds what git clients send"),
            move |ctx| async move { headers(&get(&ctx).await?) },
        ));
    }
    for (name, what, path) in [
        ("root", "/", "/"),
        ("not-found", "a path that does not exist", "/no/such/path"),
        ("info-refs", "a repository's info/refs", "/npub1none/none.git/info/refs?service=git-upload-pack"),
        ("upload-pack", "a repository's git-upload-pack", "/npub1none/none.git/git-upload-pack"),
    ] {
        let title = format!("OPTIONS of {what} is answered 204 with the CORS fields");
        checks.push(Check::new("G01/cors/options", name, title, move |ctx| preflight(ctx, path)));
    }
    checks.push(Check::new(
        "G01/cors/options",
        "hosted",
        "OPTIONS of a hosted repository is answered 204 with the CORS fields",
        hosted_preflight,
    ));
    checks
}

fn origin(response: &Response) -> CheckResult {
    expect(
        response.header("access-control-allow-origin") == "*",
        "Access-Control-Allow-Origin: *",
        response.head(),
    )
}

fn methods(response: &Response) -> CheckResult {
    let both = ["GET", "POST"].iter().all(|method| response.lists("access-control-allow-methods", method));
    expect(both, "Access-Control-Allow-Methods contains GET, POST", response.head())
}

fn headers(response: &Response) -> CheckResult {
    for needed in NEEDED_HEADERS {
        let allowed = response.lists("access-control-allow-headers", needed);
        expect(allowed, format!("Access-Control-Allow-Headers contains {needed}"), response.head())?;
    }
    Ok(())
}

async fn unknown_repository(ctx: &Context) -> CheckResult<Response> {
    let path = repository_path(&ctx.someone().public_key(), "nothing");
    Ok(ctx.http.get(&format!("{path}/info/refs?service=git-upload-pack"), &[]).await?)
}

async fn info_refs(ctx: &Context) -> CheckResult<Response> {
    ctx.announce().await?;
    let path = repository_path(&ctx.owner.public_key(), &ctx.identifier);
    let response = ctx.http.get(&format!("{path}/info/refs?service=git-upload-pack"), &[]).await?;
    expect(response.status == 200, "status 200", response.head())?;
    Ok(response)
}

async fn upload_pack(ctx: &Context) -> CheckResult<Response> {
    ctx.announce().await?;
    let path = repository_path(&ctx.owner.public_key(), &ctx.identifier);
    let headers = [("content-type", "application/x-git-upload-pack-request"), ("git-protocol", "version=2")];
    let ask = Bytes::from_static(b"0014command=ls-refs\n0000");
    Ok(ctx.http.post(&format!("{path}/git-upload-pack"), &headers, ask).await?)
}

async fn bad_service(ctx: &Context) -> CheckResult<Response> {
    let path = repository_path(&ctx.someone().public_key(), "nothing");
    Ok(ctx.http.get(&format!("{path}/info/refs?service=git-no-such-service"), &[]).await?)
}

async fn upgrade(ctx: &Context) -> CheckResult<Response> {
    let headers = [
        ("connection", "Upgrade"),
        ("upgrade", "websocket"),
        ("sec-websocket-version", "13"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
    ];
    let response = ctx.http.get("/", &headers).await?;
    expect(response.status == 101, "101 Switching Protocols", response.head())?;
    Ok(response)
}

async fn preflight(ctx: Context, path: &'static str) -> CheckResult {
    preflight_of(&ctx, path).await
}

async fn hosted_preflight(ctx: Context) -> CheckResult {
    ctx.announce().await?;
    let path = repository_path(&ctx.owner.public_key(), &ctx.identifier);
    preflight_of(&ctx, &format!("{path}/git-upload-pack")).await
}

async fn preflight_of(ctx: &Context, path: &str) -> CheckResult {
    let asked = [
        ("origin", "https://client.example"),
        ("access-control-request-method", "POST"),
        ("access-control-request-headers", "content-type,git-protocol"),
    ];
    let response = ctx.http.options(path, &asked).await?;
    if response.status != 204 {
        return Err(fail("204", response.head()));
    }
    origin(&response)?;
    methods(&response)?;
    headers(&response)
}
