//! Fetches from a host whose answers real git makes, in both protocols, and from hosts that lie.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::sync::Arc;

use parking_lot::Mutex;
use rstest::rstest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_util::task::AbortOnDropHandle;

use super::*;
use crate::git::sift::count_objects;
use crate::outbound::Reach;

/// A request, its head in lower case.
struct Request {
    head: String,
    body: Vec<u8>,
}

/// What a host answers: content type and body, or another status with a `Location`.
enum Reply {
    Is(&'static str, Vec<u8>),
    Redirect(String),
    Status(u16),
}

type Behaviour = Arc<dyn Fn(&Request) -> Reply + Send + Sync>;

/// A git host on loopback.
struct World {
    folder: tempfile::TempDir,
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    _task: AbortOnDropHandle<()>,
}

impl World {
    /// A host that answers like this.
    async fn of(folder: tempfile::TempDir, behave: Behaviour) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&requests);
        let task = tokio::spawn(async move {
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                tokio::spawn(answer(stream, Arc::clone(&behave), Arc::clone(&seen)));
            }
        });
        let world = Self { folder, port, requests, _task: AbortOnDropHandle::new(task) };
        world.git("", &["init", "-q", "--bare", "family.git"]);
        world
    }

    /// Real git's answers about `<folder>/host.git`; `old`: in protocol v0 only.
    async fn real(old: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("host.git");
        let world = Self::of(folder, Arc::new(move |request| real_git(&path, request, old))).await;
        world.git("", &["init", "-q", "-b", "main", "work"]);
        world.git("", &["init", "-q", "--bare", "-b", "main", "host.git"]);
        world
    }

    fn git(&self, at: &str, args: &[&str]) -> String {
        let output = git(&self.folder.path().join(at)).args(args).output().unwrap();
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// A commit on top of the last one, pushed to the host as `branch`.
    fn commit(&self, name: &str, branch: &str) -> Oid {
        std::fs::write(self.folder.path().join("work").join(name), name).unwrap();
        self.git("work", &["add", name]);
        self.git("work", &["commit", "-q", "-m", name]);
        self.git("work", &["push", "-q", "../host.git", &format!("HEAD:refs/heads/{branch}")]);
        self.git("work", &["rev-parse", "HEAD"]).parse().unwrap()
    }

    fn family(&self) -> PathBuf {
        self.folder.path().join("family.git")
    }

    fn url(&self) -> Destination {
        Destination::parse(&format!("http://127.0.0.1:{}/host.git", self.port)).unwrap()
    }

    fn quarantine(&self) -> Quarantine {
        let folder = tempfile::Builder::new().prefix("quarantine-").tempdir_in(self.folder.path()).unwrap();
        std::fs::create_dir(folder.path().join("pack")).unwrap();
        Quarantine::new(folder)
    }

    async fn fetch(&self, wants: &[Oid], haves: &[Oid]) -> Result<Option<Fetched>, FetchError> {
        self.fetch_within(wants, haves, &FetchLimits::default()).await
    }

    async fn fetch_within(
        &self,
        wants: &[Oid],
        haves: &[Oid],
        limits: &FetchLimits,
    ) -> Result<Option<Fetched>, FetchError> {
        let (oids, family) = (wants.iter().copied().collect(), self.family());
        let wants = Wants { oids: &oids, haves, family: &family };
        fetch(&Outbound::new(Reach::Loopback), &self.url(), wants, self.quarantine(), limits).await
    }

    /// Nothing is left of a fetch that failed.
    fn is_clean(&self) -> bool {
        let entries = std::fs::read_dir(self.folder.path()).unwrap().flatten();
        entries.into_iter().all(|entry| !entry.file_name().to_string_lossy().starts_with("quarantine-"))
    }
}

fn git(at: &std::path::Path) -> Command {
    let mut command = Command::new("git");
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", at).current_dir(at);
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_CONFIG_GLOBAL", "/dev/null");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "Somebody").env(format!("GIT_{role}_EMAIL"), "a@example.com");
    }
    command
}

async fn answer(mut stream: TcpStream, behave: Behaviour, seen: Arc<Mutex<Vec<String>>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        let Ok(byte) = stream.read_u8().await else { return };
        head.push(byte);
    }
    let head = String::from_utf8(head).unwrap().to_ascii_lowercase();
    let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
    let mut body = vec![0; length.map_or(0, |length| length.trim().parse().unwrap())];
    stream.read_exact(&mut body).await.unwrap();
    seen.lock().push(head.lines().next().unwrap().to_owned());
    let reply = tokio::task::spawn_blocking(move || behave(&Request { head, body })).await.unwrap();
    let (fields, body) = match reply {
        Reply::Is(sort, body) => (format!("200 OK\r\nContent-Type: {sort}"), body),
        Reply::Redirect(to) => (format!("301 Moved\r\nLocation: {to}"), Vec::new()),
        Reply::Status(status) => (format!("{status} No"), Vec::new()),
    };
    let head = format!("HTTP/1.1 {fields}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
    let _ = stream.write_all(head.as_bytes()).await;
    let _ = stream.write_all(&body).await;
}

fn real_git(host: &std::path::Path, request: &Request, old: bool) -> Reply {
    let mut command = git(host);
    if request.head.contains("git-protocol: version=2") && !old {
        command.env("GIT_PROTOCOL", "version=2");
    }
    let advertise = request.head.starts_with("get /host.git/info/refs?service=git-upload-pack ");
    command.args(["upload-pack", "--stateless-rpc"]);
    command.args(advertise.then_some("--http-backend-info-refs")).arg(host);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let body = request.body.clone();
    let feeding = std::thread::spawn(move || drop(std::io::Write::write_all(&mut stdin, &body)));
    let output = child.wait_with_output().unwrap().stdout;
    feeding.join().unwrap();
    if advertise {
        let service = b"001e# service=git-upload-pack\n0000";
        return Reply::Is(ADVERTISEMENT, [service, output.as_slice()].concat());
    }
    Reply::Is("application/x-git-upload-pack-result", output)
}

/// Whether a commit is in quarantine, with everything it reaches there or in the family.
fn is_complete(world: &World, fetched: &Fetched, oid: Oid) -> bool {
    git(&world.family())
        .env("GIT_OBJECT_DIRECTORY", fetched.quarantine.objects())
        .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", world.family().join("objects"))
        .args(["rev-list", "--objects", &oid.to_string()])
        .output()
        .is_ok_and(|output| output.status.success())
}

#[rstest]
#[case::v2(false)]
#[case::v0(true)]
#[tokio::test(flavor = "multi_thread")]
async fn what_is_wanted_comes_with_all_it_reaches(#[case] old: bool) {
    let world = World::real(old).await;
    world.commit("a", "main");
    let tip = world.commit("b", "main");
    let fetched = world.fetch(&[tip], &[]).await.unwrap().unwrap();
    assert_eq!(fetched.tips, BTreeSet::from([tip]));
    assert!(is_complete(&world, &fetched, tip));
}

#[rstest]
#[case::v2(false)]
#[case::v0(true)]
#[tokio::test(flavor = "multi_thread")]
async fn what_the_family_has_is_not_sent_again(#[case] old: bool) {
    let world = World::real(old).await;
    let base = world.commit("a", "main");
    world.git("family.git", &["fetch", "-q", "../host.git", "main:refs/keep/base"]);
    let tip = world.commit("b", "main");
    let fetched = world.fetch(&[tip], &[base]).await.unwrap().unwrap();
    assert!(is_complete(&world, &fetched, tip));
    // The commit, its tree and its file; not those of the base.
    assert_eq!(count_objects(&fetched.quarantine.objects().join("pack")).unwrap(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn v2_gives_what_no_ref_shows_any_more() {
    let world = World::real(false).await;
    let old = world.commit("a", "main");
    world.commit("b", "main");
    assert_eq!(world.fetch(&[old], &[]).await.unwrap().unwrap().tips, BTreeSet::from([old]));
}

#[tokio::test(flavor = "multi_thread")]
async fn v0_gives_what_no_ref_shows_only_where_the_host_allows_it() {
    let world = World::real(true).await;
    let old = world.commit("a", "main");
    world.commit("b", "main");
    assert!(world.fetch(&[old], &[]).await.unwrap().is_none());
    assert_eq!(world.requests.lock().len(), 1, "it was asked although it had said no");
    world.git("host.git", &["config", "uploadpack.allowReachableSHA1InWant", "true"]);
    assert_eq!(world.fetch(&[old], &[]).await.unwrap().unwrap().tips, BTreeSet::from([old]));
}

#[rstest]
#[case::v2(false)]
#[case::v0(true)]
#[tokio::test(flavor = "multi_thread")]
async fn a_host_that_has_a_part_gives_that(#[case] old: bool) {
    let world = World::real(old).await;
    let here = world.commit("a", "main");
    let elsewhere: Vec<Oid> = (1..=9).map(|n| format!("{n:040x}").parse().unwrap()).collect();
    for count in [1, MAX_RETRIES, MAX_RETRIES + 1, 9] {
        let wants: Vec<Oid> = elsewhere[..count].iter().copied().chain([here]).collect();
        let fetched = world.fetch(&wants, &[]).await.unwrap().unwrap();
        assert_eq!(fetched.tips, BTreeSet::from([here]), "{count} are elsewhere");
    }
    assert!(world.fetch(&elsewhere, &[]).await.unwrap().is_none());
    assert!(world.is_clean());
}

#[tokio::test(flavor = "multi_thread")]
async fn an_empty_host_has_nothing() {
    for old in [false, true] {
        let world = World::real(old).await;
        let wanted = "1".repeat(40).parse().unwrap();
        let nothing = world.fetch(&[wanted], &[]).await;
        // In protocol v0 an empty repository shows no capabilities worth talking about.
        assert!(matches!(nothing, Ok(None)), "{nothing:?}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pack_beyond_the_bound_is_refused_and_nothing_is_left() {
    let world = World::real(false).await;
    let tip = world.commit("a", "main");
    let limits = FetchLimits { pack_bytes: 100, ..FetchLimits::default() };
    let refused = world.fetch_within(&[tip], &[], &limits).await.unwrap_err();
    assert!(matches!(refused, FetchError::Pack(_)), "{refused}");
    assert!(world.is_clean());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_history_with_a_hole_is_refused() {
    let world = World::real(false).await;
    let base = world.commit("a", "main");
    let tip = world.commit("b", "main");
    // The host believes that we have the base, which the family lacks.
    let refused = world.fetch(&[tip], &[base]).await.unwrap_err();
    assert!(matches!(refused, FetchError::Pack(_)), "{refused}");
    assert!(world.is_clean());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_is_followed_once_and_the_pack_comes_from_where_it_leads() {
    let world = World::real(false).await;
    let tip = world.commit("a", "main");
    let (url, target) = (world.url(), world.port);
    let behave = move |request: &Request| {
        let path = request.head.split(' ').nth(1).unwrap();
        Reply::Redirect(format!("http://127.0.0.1:{target}{}", path.replace("/moved.git", "/host.git")))
    };
    let front = World::of(tempfile::tempdir().unwrap(), Arc::new(behave)).await;
    let moved = Destination::parse(&format!("http://127.0.0.1:{}/moved.git/", front.port)).unwrap();
    let (oids, family) = (BTreeSet::from([tip]), world.family());
    let wants = Wants { oids: &oids, haves: &[], family: &family };
    let guard = Outbound::new(Reach::Loopback);
    let fetched = fetch(&guard, &moved, wants, world.quarantine(), &FetchLimits::default()).await.unwrap();
    assert!(is_complete(&world, &fetched.unwrap(), tip), "{url}");
    assert_eq!(front.requests.lock().len(), 1);
}

#[rstest]
#[case::nowhere("http://10.0.0.1/host.git/info/refs?service=git-upload-pack")]
#[case::metadata("http://169.254.169.254/info/refs")]
#[case::file("file:///host.git/info/refs")]
#[tokio::test(flavor = "multi_thread")]
async fn a_redirect_goes_through_the_guard(#[case] location: &'static str) {
    let behave = move |_: &Request| Reply::Redirect(location.to_owned());
    let world = World::of(tempfile::tempdir().unwrap(), Arc::new(behave)).await;
    let refused = world.fetch(&["1".repeat(40).parse().unwrap()], &[]).await.unwrap_err();
    assert!(matches!(refused, FetchError::Outbound(_)), "{refused}");
}

#[tokio::test(flavor = "multi_thread")]
async fn hosts_that_are_none_are_told_apart() {
    let wanted = ["1".repeat(40).parse().unwrap()];
    let host = |behave: Behaviour| World::of(tempfile::tempdir().unwrap(), behave);
    let missing = host(Arc::new(|_| Reply::Status(404))).await.fetch(&wanted, &[]).await.unwrap_err();
    assert!(matches!(missing, FetchError::Status(StatusCode::NOT_FOUND)), "{missing}");
    let page = host(Arc::new(|_| Reply::Is("text/html", b"<html>".to_vec()))).await;
    let page = page.fetch(&wanted, &[]).await.unwrap_err();
    assert!(matches!(page, FetchError::Host(Unspeakable::NotSmart)), "{page}");
    let nonsense = host(Arc::new(|_| Reply::Is(ADVERTISEMENT, b"zzzz".to_vec()))).await;
    let nonsense = nonsense.fetch(&wanted, &[]).await.unwrap_err();
    assert!(matches!(nonsense, FetchError::Host(Unspeakable::Malformed(_))), "{nonsense}");
}

#[rstest]
#[case::nothing(b"")]
#[case::no_pack(b"000dpackfile\n0000")]
#[case::breaks_off(b"000dpackfile\n0009\x01PACK")]
#[case::no_pack_format(b"000dpackfile\n0009\x01CRAP0000")]
#[case::another_pack(b"000dpackfile\n0025\x01PACK\x00\x00\x00\x02\x00\x00\x00\x00\x02\x9d\x08\x82\x3b\xd8\xa8\xea\xb5\x10\xad\x6a\xc7\x5c\x82\x3c\xfd\x3e\xd3\x1e0000")]
#[tokio::test(flavor = "multi_thread")]
async fn a_pack_that_lies_brings_nothing_in(#[case] result: &'static [u8]) {
    let behave = move |request: &Request| {
        if request.head.starts_with("get ") {
            Reply::Is(ADVERTISEMENT, b"000eversion 2\n000afetch\n0000".to_vec())
        } else {
            Reply::Is("application/x-git-upload-pack-result", result.to_vec())
        }
    };
    let world = World::of(tempfile::tempdir().unwrap(), Arc::new(behave)).await;
    let refused = world.fetch(&["1".repeat(40).parse().unwrap()], &[]).await;
    assert!(refused.is_err(), "{refused:?}");
    assert!(world.is_clean());
}
