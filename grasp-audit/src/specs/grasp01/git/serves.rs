//! G01/git/serves: the repository is there before its announcement is answered, for every kind of client.

use std::io::Write;

use flate2::{Compression, write::GzEncoder};
use grasp_fixtures::Repository;

use crate::check::{Check, CheckResult, Ending, expect, expect_eq};
use crate::context::{Context, Hosted};
use crate::target::http::Response;
use crate::target::receive_pack;
use crate::target::smart_http::{self, info_refs, line};
use crate::target::url::repository_path;

const ROW: &str = "G01/git/serves";

pub(super) fn checks() -> Vec<Check> {
    let mut checks = vec![
        Check::new(
            ROW,
            "before-ok",
            "right after the announcement's OK, while it waits, the repository answers as an empty one",
            before_ok,
        ),
        Check::new(
            ROW,
            "shallow-clone",
            "`clone --depth 1` brings one commit of three, `fetch --unshallow` the others",
            shallow_clone,
        ),
        Check::new(ROW, "shallow-clone-v0", "the same in protocol v0", shallow_clone_v0),
        Check::new(
            ROW,
            "protocol-versions",
            "`info/refs` answers in the protocol version that was asked for",
            protocol_versions,
        ),
        Check::new(
            ROW,
            "not-announced",
            "a repository that nobody announced is 404, for fetches and for pushes",
            not_announced,
        ),
        Check::new(
            ROW,
            "head-method",
            "HEAD on `info/refs` answers as GET does, without the body",
            head_method,
        ),
        Check::new(
            ROW,
            "probe",
            "the POST of `0000` with which git begins a big push is answered 200 and changes nothing",
            probe,
        ),
        Check::new(ROW, "gzip", "a request body with Content-Encoding gzip is understood", gzip),
        Check::new(
            ROW,
            "chunked",
            "a chunked request body after `Expect: 100-continue` is understood",
            chunked,
        ),
    ];
    for version in ["0", "1", "2"] {
        checks.push(Check::new(
            ROW,
            &format!("empty-clone-v{version}"),
            format!("a clone of the still empty repository succeeds in protocol v{version}"),
            move |ctx| empty_clone(ctx, version),
        ));
        checks.push(Check::new(
            ROW,
            &format!("clone-v{version}"),
            format!("a clone in protocol v{version} brings every branch, tag and commit"),
            move |ctx| clone_in(ctx, version),
        ));
    }
    checks
}

async fn before_ok(ctx: Context) -> CheckResult {
    let announcement = ctx.announce().await?;
    let listed = ctx.git.ls_remote(&[], &ctx.clone_url()).await?;
    expect(listed.ok(), "`git ls-remote` succeeds", listed.terminal())?;
    expect_eq("refs", &String::new(), &listed.text())?;
    for service in ["git-upload-pack", "git-receive-pack"] {
        let response = info_refs(&ctx.http, &path_of(&ctx), service, 0).await?;
        is_advertisement(&response, service)?;
    }
    ctx.not_served(&announcement).await
}

async fn empty_clone(ctx: Context, version: &'static str) -> CheckResult {
    ctx.announce().await?;
    let clone = clone_with(&ctx, &ctx.clone_url(), version, &[]).await?;
    expect_eq("refs of the clone", &vec![], &clone.refs().await?)
}

async fn clone_in(ctx: Context, version: &'static str) -> CheckResult {
    let hosted = three_commits(&ctx).await?;
    let clone = clone_with(&ctx, &hosted.url, version, &["--mirror"]).await?;
    expect_eq("refs", &hosted.repository.refs().await?, &clone.refs().await?)?;
    clone.git(&["fsck", "--full", "--strict"]).await?;
    Ok(())
}

async fn shallow_clone(ctx: Context) -> CheckResult {
    shallow(ctx, "2").await
}

async fn shallow_clone_v0(ctx: Context) -> CheckResult {
    shallow(ctx, "0").await
}

async fn shallow(ctx: Context, version: &'static str) -> CheckResult {
    let hosted = three_commits(&ctx).await?;
    let clone = clone_with(&ctx, &hosted.url, version, &["--depth", "1"]).await?;
    let count = ["rev-list", "--count", "HEAD"];
    expect_eq("commits", &"1".to_owned(), &clone.git(&count).await?)?;
    clone.git(&["fetch", "--unshallow"]).await?;
    expect_eq("commits", &"3".to_owned(), &clone.git(&count).await?)
}

async fn protocol_versions(ctx: Context) -> CheckResult {
    ctx.announce().await?;
    for (version, says) in [(0, None), (1, Some("version 1")), (2, Some("version 2"))] {
        let response = info_refs(&ctx.http, &path_of(&ctx), "git-upload-pack", version).await?;
        is_advertisement(&response, "git-upload-pack")?;
        let packets = smart_http::decode(&response.body).unwrap_or_default();
        let said = packets.iter().map(smart_http::Packet::text);
        let said = said.into_iter().find(|text| text.starts_with("version "));
        expect_eq("version line", &says.map(str::to_owned), &said)?;
    }
    Ok(())
}

async fn not_announced(ctx: Context) -> CheckResult {
    ctx.announce().await?; // the owner is known, the repository is not
    let path = repository_path(&ctx.owner.public_key(), &ctx.other_identifier());
    for service in ["git-upload-pack", "git-receive-pack"] {
        for version in [0, 2] {
            let response = info_refs(&ctx.http, &path, service, version).await?;
            expect(response.status == 404, "404", response.head())?;
        }
    }
    let response = receive_pack::post(&ctx.http, &path, "0000").await?;
    expect(response.status == 404, "404", response.head())?;
    let response = smart_http::upload_pack_v2(&ctx.http, &path, list_request()).await?;
    expect(response.status == 404, "404", response.head())
}

async fn head_method(ctx: Context) -> CheckResult {
    ctx.announce().await?;
    let path = format!("{}/info/refs?service=git-upload-pack", path_of(&ctx));
    let response = ctx.http.request("HEAD", &path, &[], "".into()).await?;
    is_advertisement(&response, "git-upload-pack")?;
    expect(response.body.is_empty(), "no body", response.text())
}

async fn probe(ctx: Context) -> CheckResult {
    let hosted = ctx.waiting_repository().await?;
    let response = receive_pack::post(&ctx.http, &hosted.path, "0000").await?;
    expect(response.status == 200, "200", response.head())?;
    expect(response.body.is_empty(), "no body", response.text())?;
    ctx.not_served(&hosted.announcement).await?;
    ctx.shows_nothing(&hosted.path).await?;
    ctx.push(&hosted, &["refs/heads/main"]).await.map(drop)
}

async fn gzip(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let mut packed = GzEncoder::new(Vec::new(), Compression::default());
    let written = packed.write_all(&list_request());
    let body = written.and_then(|()| packed.finish());
    let body = body.map_err(|error| Ending::CannotRun(error.to_string()))?;
    let headers = [
        ("git-protocol", "version=2"),
        ("content-type", "application/x-git-upload-pack-request"),
        ("content-encoding", "gzip"),
    ];
    let path = format!("{}/git-upload-pack", hosted.path);
    let response = ctx.http.post(&path, &headers, body).await?;
    expect(response.status == 200, "200", response.head())?;
    let listing = format!("{} refs/heads/main", hosted.tip);
    expect(response.text().contains(&listing), listing, response.text())
}

async fn chunked(ctx: Context) -> CheckResult {
    let hosted = ctx.hosted_repository().await?;
    let mut request = format!(
        "POST {}/git-upload-pack HTTP/1.1\r\nHost: {}\r\nGit-Protocol: version=2\r\n\
         Content-Type: application/x-git-upload-pack-request\r\nExpect: 100-continue\r\n\
         Transfer-Encoding: chunked\r\nConnection: close\r\n\r\n",
        hosted.path,
        ctx.target.url.authority()
    )
    .into_bytes();
    for chunk in list_request().chunks(7) {
        request.extend(format!("{:x}\r\n", chunk.len()).as_bytes());
        request.extend(chunk);
        request.extend(b"\r\n");
    }
    request.extend(b"0\r\n\r\n");
    let answer = String::from_utf8_lossy(&ctx.http.raw(&request).await?).into_owned();
    let listing = format!("{} refs/heads/main", hosted.tip);
    expect(answer.contains(&listing), listing, answer)
}

/// `ls-refs` in protocol v2, without arguments.
fn list_request() -> Vec<u8> {
    let mut body = line("command=ls-refs\n");
    body.extend(line("object-format=sha1\n"));
    body.extend(b"00010000");
    body
}

fn path_of(ctx: &Context) -> String {
    repository_path(&ctx.owner.public_key(), &ctx.identifier)
}

fn is_advertisement(response: &Response, service: &str) -> CheckResult {
    expect(response.status == 200, "200", response.head())?;
    let wanted = format!("application/x-{service}-advertisement");
    expect_eq("Content-Type", &wanted, &response.header("content-type"))
}

async fn clone_with(ctx: &Context, url: &str, version: &str, options: &[&str]) -> CheckResult<Repository> {
    let version = format!("protocol.version={version}");
    let options = [&["-c", version.as_str()], options].concat();
    let (clone, output) = ctx.git.clone(url, &options).await?;
    expect(output.ok(), "the clone succeeds", output.terminal())?;
    Ok(clone)
}

/// A hosted repository with three commits, two branches and two tags.
async fn three_commits(ctx: &Context) -> CheckResult<Hosted> {
    let hosted = ctx.waiting_repository().await?;
    let second = hosted.commit("second").await?;
    let third = hosted.commit_on("third", &[&second]).await?;
    let data = &hosted.repository;
    data.branch("main", &third).await?;
    data.branch("old", &second).await?;
    data.lightweight_tag("light", &hosted.tip).await?;
    data.annotated_tag("heavy", &second).await?;
    let state = hosted.no_refs().references(data.refs().await?).head("main");
    ctx.state_by(&hosted.owner, &state).await?;
    ctx.push(&hosted, &["refs/heads/*", "refs/tags/*"]).await?;
    Ok(hosted)
}
