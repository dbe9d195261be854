//! Contributors' own repositories (GRASP-06) where the suite cannot look: on disk, across restarts, switched off.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use grasp_audit::Context;
use grasp_audit::target::smart_http;
use grasp_audit::target::url::contribution_path;
use grasp_fixtures::{Git, PullRequest, Repository, events};
use nostr::event::Event;
use nostr::key::Keys;
use spec_tests::instance::eventually;
use spec_tests::view::refs_at;
use spec_tests::{Backend, Instance, Setup, disk};

/// An upload that takes its time to be forgotten.
const UPLOAD: usize = 50 << 20;

fn setup() -> Setup {
    Setup::new(env!("CARGO_BIN_EXE_server-under-test"), Backend::Lmdb).set("NGIT_GRASP06_ENABLE", true)
}

/// Somebody's commit for a repository that is hosted elsewhere, and the pull request that names it.
struct Contribution {
    author: Keys,
    path: String,
    url: String,
    repository: Repository,
    tip: String,
    pull: Event,
}

impl Contribution {
    async fn new(ctx: &Context) -> Self {
        let (repository, tip) = ctx.local_repository().await.unwrap();
        let author = ctx.someone();
        let path = contribution_path(&author.public_key(), &ctx.identifier);
        let url = format!("{}{path}", ctx.target.url.base());
        let target = events::coordinate(&ctx.someone().public_key(), &ctx.identifier);
        let pull = ctx.sign(&author, PullRequest::new(target, &tip).clone_url(&url).draft());
        Self { author, path, url, repository, tip, pull }
    }

    fn name(&self) -> String {
        format!("refs/nostr/{}", self.pull.id.to_hex())
    }

    async fn push(&self, tip: &str) {
        let refspec = format!("{tip}:{}", self.name());
        let output = self.repository.push(&self.url, &[&refspec]).await.unwrap();
        assert!(output.ok(), "{output}");
    }

    async fn tip_shown(&self, ctx: &Context) -> Option<String> {
        refs_at(&ctx.target, &self.path).await?.refs.remove(&self.name())
    }
}

/// Bytes that no compression makes fewer.
fn noise(len: usize) -> Vec<u8> {
    let mut bytes = vec![0; len];
    rand::fill(&mut bytes[..]);
    bytes
}

/// Every file below a folder with its size.
fn sizes(folder: &Path) -> BTreeMap<PathBuf, u64> {
    let size = |file: &PathBuf| folder.join(file).metadata().map_or(0, |data| data.len());
    disk::files(folder).into_iter().map(|file| (file.clone(), size(&file))).collect()
}

#[tokio::test]
async fn an_upload_that_nobody_signs_leaves_the_disk_as_it_was() {
    let server = setup().set("NGIT_NOSTR_REF_EXPIRY_SECS", 5).start().await;
    let ctx = server.context("unsigned").await;
    let contribution = Contribution::new(&ctx).await;
    let before = sizes(&server.git_data());

    let blob = contribution.repository.blob(&noise(UPLOAD)).await.unwrap();
    let tree = format!("100644 blob {blob}\tlarge\n");
    let tree = contribution.repository.run_with_input(&["mktree"], tree.as_bytes()).await.unwrap().text();
    let tip = contribution.repository.git(&["commit-tree", "-m", "large", tree.trim()]).await.unwrap();
    contribution.push(tip.trim()).await;
    let during: u64 = sizes(&server.git_data()).values().sum();
    assert!(during >= before.values().sum::<u64>() + UPLOAD as u64, "the upload is on disk");

    eventually("the upload is forgotten", async || sizes(&server.git_data()) == before).await;
    assert_eq!(refs_at(&ctx.target, &contribution.path).await.unwrap().refs, BTreeMap::new());
}

#[tokio::test]
async fn an_empty_answer_puts_nothing_on_disk() {
    let server = setup().start().await;
    let ctx = server.context("empty").await;
    let before = disk::files(&server.git_data());
    for _ in 0..3 {
        let path = contribution_path(&ctx.someone().public_key(), &ctx.identifier);
        let url = format!("{}{path}", ctx.target.url.base());
        let (_, cloned) = ctx.git.clone(&url, &[]).await.unwrap();
        assert!(cloned.ok(), "{cloned}");
        let refused = ctx.local_repository().await.unwrap().0.push(&url, &["refs/heads/main"]).await.unwrap();
        assert!(refused.terminal().contains("only refs/nostr/<event-id>"), "{refused}");
    }
    assert_eq!(disk::files(&server.git_data()), before);
    assert!(!server.git_data().join("prs").exists());
}

#[tokio::test]
async fn a_release_is_where_operators_look_for_it_and_survives_a_kill() {
    let mut server = setup().start().await;
    let ctx = server.context("released").await;
    let (signed, unsigned) = (Contribution::new(&ctx).await, Contribution::new(&ctx).await);
    ctx.accepted(&signed.pull).await.unwrap();
    signed.push(&signed.tip).await;
    unsigned.push(&unsigned.tip).await;

    server.restart().await;
    for contribution in [&signed, &unsigned] {
        assert_eq!(contribution.tip_shown(&ctx).await.as_ref(), Some(&contribution.tip));
    }
    let folder = server
        .git_data()
        .join("prs")
        .join(signed.author.public_key().to_hex())
        .join(format!("{}.git", ctx.identifier));
    let home = tempfile::tempdir().unwrap();
    let listed = Git::new(home.path()).config("safe.directory", "*").run(&folder, &["for-each-ref"]).await;
    let listed = listed.unwrap().text();
    assert!(listed.contains(&signed.tip) && listed.contains(&signed.name()), "{listed}");
    disk::fsck([folder]).await;
}

#[tokio::test]
async fn switched_off_it_is_404_and_switched_on_again_nothing_is_lost() {
    let mut server = setup().start().await;
    let ctx = server.context("switch").await;
    let contribution = Contribution::new(&ctx).await;
    ctx.accepted(&contribution.pull).await.unwrap();
    contribution.push(&contribution.tip).await;

    server.restart_with("NGIT_GRASP06_ENABLE", "false").await;
    assert_eq!(refs_at(&ctx.target, &contribution.path).await, None);
    let document = ctx.http.get("/", &[("accept", "application/nostr+json")]).await.unwrap().text();
    assert!(!document.contains("GRASP-06"), "{document}");

    server.restart_with("NGIT_GRASP06_ENABLE", "true").await;
    assert_eq!(contribution.tip_shown(&ctx).await.as_ref(), Some(&contribution.tip));
}

#[tokio::test]
async fn a_contributor_need_not_send_the_history_of_a_hosted_repository() {
    let server: Instance = setup().start().await;
    let ctx = server.context("history").await;
    let hosted = ctx.hosted_repository().await.unwrap();
    let path = contribution_path(&ctx.someone().public_key(), &hosted.identifier);
    let told = smart_http::info_refs(&ctx.http, &path, "git-receive-pack", 0).await.unwrap().text();
    assert!(told.contains(&format!("{} .have", hosted.tip)), "{told}");
}

#[tokio::test]
async fn people_find_no_page_and_no_listing_of_contributions() {
    let server = setup().start().await;
    let ctx = server.context("pages").await;
    let contribution = Contribution::new(&ctx).await;
    ctx.accepted(&contribution.pull).await.unwrap();
    contribution.push(&contribution.tip).await;
    for path in [contribution.path.as_str(), "/prs", "/prs/"] {
        let response = ctx.http.get(path, &[("accept", "text/html")]).await.unwrap();
        assert_eq!(response.status, 404, "{path}");
    }
    let landing = ctx.http.get("/", &[("accept", "text/html")]).await.unwrap().text();
    assert!(!landing.contains(&ctx.identifier));
}

#[tokio::test]
async fn what_is_pushed_where_nothing_named_is_hosted_is_shown_there_and_goes_with_its_event() {
    let mut server = setup().start().await;
    let ctx = server.context("beside").await;
    let hosted = ctx.hosted_repository().await.unwrap();
    let contribution = Contribution::new(&ctx).await;
    ctx.accepted(&contribution.pull).await.unwrap();
    let refspec = format!("{}:{}", contribution.tip, contribution.name());
    let pushed = contribution.repository.push(&hosted.url, &[&refspec]).await.unwrap();
    assert!(pushed.ok(), "{pushed}");
    ctx.served(&contribution.pull).await.unwrap();

    server.restart().await;
    let shown = async || refs_at(&ctx.target, &hosted.path).await.unwrap().refs.remove(&contribution.name());
    assert_eq!(shown().await.as_ref(), Some(&contribution.tip));
    let deletion = events::delete_ids([&contribution.pull.id]);
    ctx.publishes(&contribution.author, deletion).await.unwrap();
    assert_eq!((shown().await, contribution.tip_shown(&ctx).await), (None, None));
    disk::fsck([server.git_data().join(hosted.path.trim_start_matches('/'))]).await;
}
