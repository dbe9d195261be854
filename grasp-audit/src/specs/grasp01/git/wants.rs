//! G01/git/wants: partial clones, and wants of objects that are no tips.

use crate::check::{Check, CheckResult, expect, expect_eq};
use crate::context::{Context, Hosted};
use crate::target::smart_http::{Advertisement, decode, info_refs, line, upload_pack_v2};
use crate::target::url::repository_path;

const ROW: &str = "G01/git/wants";

pub(super) fn checks() -> Vec<Check> {
    let mut checks = vec![
        Check::new(
            ROW,
            "advertised",
            "the v0 and v1 advertisements list what wants by id and filters need",
            advertised,
        ),
        Check::new(
            ROW,
            "advertised-when-empty",
            "so does the advertisement of an empty repository",
            advertised_when_empty,
        ),
        Check::new(ROW, "fetch-with-filter", "protocol v2 offers `fetch` with `filter`", fetch_with_filter),
        Check::new(
            ROW,
            "as-browsers-ask",
            "one blob, by its id, in one raw protocol v2 `fetch`",
            as_browsers_ask,
        ),
        Check::new(ROW, "not-here", "a want of an object that is not here is refused, soon", not_here),
    ];
    for version in ["0", "2"] {
        for filter in ["blob:none", "tree:0"] {
            checks.push(Check::new(
                ROW,
                &format!("{}-v{version}", filter.replace(':', "-")),
                format!("a clone with `--filter={filter}` in protocol v{version} leaves them out and gets them when asked"),
                move |ctx| partial_clone(ctx, version, filter),
            ));
        }
        for (what, revision) in
            [("commit", "{first}"), ("tree", "{first}^{tree}"), ("blob", "{first}:README.md")]
        {
            checks.push(Check::new(
                ROW,
                &format!("{what}-by-id-v{version}"),
                format!("a {what} below the tip is fetched by its id in protocol v{version}"),
                move |ctx| by_id(ctx, version, revision),
            ));
        }
    }
    checks
}

async fn advertised(ctx: Context) -> CheckResult {
    let hosted = two_commits(&ctx).await?;
    capabilities(&ctx, &hosted.path).await
}

async fn advertised_when_empty(ctx: Context) -> CheckResult {
    ctx.announce().await?;
    let path = repository_path(&ctx.owner.public_key(), &ctx.identifier);
    capabilities(&ctx, &path).await
}

async fn capabilities(ctx: &Context, path: &str) -> CheckResult {
    for version in [0, 1] {
        let response = info_refs(&ctx.http, path, "git-upload-pack", version).await?;
        let advertisement = Advertisement::parse(&response.body).unwrap_or_default();
        for wanted in ["allow-reachable-sha1-in-want", "allow-tip-sha1-in-want", "filter"] {
            let listed = advertisement.has(wanted);
            let seen = advertisement.capabilities.join(" ");
            expect(listed, format!("{wanted} in protocol v{version}"), seen)?;
        }
    }
    Ok(())
}

async fn fetch_with_filter(ctx: Context) -> CheckResult {
    let hosted = two_commits(&ctx).await?;
    let response = info_refs(&ctx.http, &hosted.path, "git-upload-pack", 2).await?;
    let lines = decode(&response.body).unwrap_or_default();
    let lines: Vec<String> = lines.iter().map(|line| line.text()).collect();
    let offered = lines.iter().find_map(|line| line.strip_prefix("fetch="));
    let offered = offered.unwrap_or_default().split(' ');
    let filter = offered.into_iter().any(|feature| feature == "filter");
    expect(filter, "`fetch=… filter …`", format!("{lines:?}"))
}

async fn partial_clone(ctx: Context, version: &'static str, filter: &'static str) -> CheckResult {
    let hosted = two_commits(&ctx).await?;
    let tree = hosted.repository.oid("main^{tree}").await?;
    let blob = hosted.repository.oid("main:second").await?;
    let (version, filtered) = (format!("protocol.version={version}"), format!("--filter={filter}"));
    let options = ["-c", &version, &filtered, "--no-checkout"];
    let (clone, output) = ctx.git.clone(&hosted.url, &options).await?;
    expect(output.ok(), "the clone succeeds", output.terminal())?;
    expect(!clone.has(&blob).await?, "the file is left out", &blob)?;
    let has_tree = clone.has(&tree).await?;
    expect_eq("the tree is there", &(filter == "blob:none"), &has_tree)?;
    let content = hosted.repository.git(&["cat-file", "blob", &blob]).await?;
    let asked = clone.git(&["cat-file", "blob", "HEAD:second"]).await?;
    expect_eq("the file, asked for", &content, &asked)?;
    clone.git(&["checkout", "main"]).await?;
    Ok(())
}

async fn by_id(ctx: Context, version: &'static str, revision: &'static str) -> CheckResult {
    let hosted = two_commits(&ctx).await?;
    let revision = revision.replace("{first}", &hosted.tip);
    let wanted = hosted.repository.oid(&revision).await?;
    let elsewhere = ctx.git.init().await?;
    elsewhere.git(&["config", "protocol.version", version]).await?;
    let fetched = ctx.git.fetch(&elsewhere, &hosted.url, &[&wanted]).await?;
    expect(fetched.ok(), "the fetch succeeds", fetched.terminal())?;
    expect(elsewhere.has(&wanted).await?, "it is here", &wanted)
}

async fn as_browsers_ask(ctx: Context) -> CheckResult {
    let hosted = two_commits(&ctx).await?;
    let blob = hosted.repository.oid("main:second").await?;
    let response = upload_pack_v2(&ctx.http, &hosted.path, fetch(&blob)).await?;
    let text = String::from_utf8_lossy(&response.body);
    let pack = response.status == 200 && text.contains("packfile\n") && text.contains("PACK");
    expect(pack, "200 with a packfile section", response.head())
}

async fn not_here(ctx: Context) -> CheckResult {
    let hosted = two_commits(&ctx).await?;
    let response = upload_pack_v2(&ctx.http, &hosted.path, fetch(&"12".repeat(20))).await?;
    let none = !String::from_utf8_lossy(&response.body).contains("PACK");
    expect(none, "no pack", response.text())?;
    ctx.shows(&hosted.path, &hosted.main_at(&second_of(&hosted).await?)).await
}

fn fetch(wanted: &str) -> Vec<u8> {
    let mut body = line("command=fetch\n");
    body.extend(line("object-format=sha1\n"));
    body.extend(b"0001");
    for argument in ["no-progress\n", &format!("want {wanted}\n"), "done\n"] {
        body.extend(line(argument));
    }
    body.extend(b"0000");
    body
}

/// A hosted repository with a second commit, which adds the file `second`.
async fn two_commits(ctx: &Context) -> CheckResult<Hosted> {
    let hosted = ctx.waiting_repository().await?;
    let second = hosted.commit("second").await?;
    hosted.repository.branch("main", &second).await?;
    ctx.state_by(&hosted.owner, &hosted.main_at(&second)).await?;
    ctx.push(&hosted, &["refs/heads/main"]).await?;
    Ok(hosted)
}

async fn second_of(hosted: &Hosted) -> CheckResult<String> {
    Ok(hosted.repository.oid("refs/heads/main").await?)
}
