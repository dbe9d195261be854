//! A server on loopback, a client's folder, and git without this machine's configuration.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::{Arc, MutexGuard};
use std::time::{Duration, Instant};

use grasp_server::git::{GitLimits, GitPath, GitService, serve};
use grasp_server::nip34::Coordinate;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::gate::{OneRepository, State};

const OWNER: &str = "79be667ef9dcbbac55a06295ce870b07029bfcdb2dce28d959f2815b16f81798";
/// No condition takes longer than this.
const BOUND: Duration = Duration::from_secs(60);

pub(crate) struct World {
    pub(crate) folder: tempfile::TempDir,
    pub(crate) gate: Arc<OneRepository>,
    pub(crate) service: Arc<GitService>,
    pub(crate) address: SocketAddr,
    _runtime: tokio::runtime::Runtime,
}

/// An HTTP answer.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: Vec<u8>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::with(GitLimits::default())
    }

    pub(crate) fn with(limits: GitLimits) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        for name in ["thin.git", "odd:\"family\".git"] {
            let mut options = git2::RepositoryInitOptions::new();
            options.bare(true).external_template(false).initial_head("main");
            git2::Repository::init_opts(path(name), &options).unwrap();
        }
        std::fs::create_dir(path("quarantine")).unwrap();
        let family = path("odd:\"family\".git");
        // The file's own quoting is like that of the environment variable's entries.
        let line = format!("{}\n", family.join("objects").display());
        std::fs::create_dir_all(path("thin.git/objects/info")).unwrap();
        std::fs::create_dir_all(family.join("objects/pack")).unwrap();
        std::fs::write(path("thin.git/objects/info/alternates"), line).unwrap();
        let gate = Arc::new(OneRepository {
            thin: path("thin.git"),
            family,
            quarantines: path("quarantine"),
            state: std::sync::Mutex::default(),
        });
        let service =
            Arc::new(GitService::new(gate.clone(), limits, CancellationToken::new(), TaskTracker::new()));
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let listener = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0")).unwrap();
        let address = listener.local_addr().unwrap();
        runtime.spawn(accept(listener, service.clone()));
        Self { folder, gate, service, address, _runtime: runtime }
    }

    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        self.gate.state.lock().unwrap()
    }

    pub(crate) fn coordinate() -> Coordinate {
        format!("30617:{OWNER}:project").parse().unwrap()
    }

    pub(crate) fn path(&self) -> String {
        Self::coordinate().url_path()
    }

    pub(crate) fn url(&self) -> String {
        format!("http://{}{}", self.address, self.path())
    }

    pub(crate) fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Runs git in a folder below the world's, successful or not.
    pub(crate) fn try_git(&self, at: &str, args: &[&str]) -> Output {
        hermetic(Command::new("git"), self.folder.path())
            .current_dir(self.file(at))
            .args(args)
            .output()
            .unwrap()
    }

    /// Runs git, which must succeed; returns what it printed.
    pub(crate) fn git(&self, at: &str, args: &[&str]) -> String {
        let output = self.try_git(at, args);
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim().to_owned()
    }

    /// Runs git, which must fail; returns what it said.
    pub(crate) fn git_fails(&self, at: &str, args: &[&str]) -> String {
        let output = self.try_git(at, args);
        assert!(!output.status.success(), "git {args:?} succeeded");
        String::from_utf8_lossy(&output.stderr).into_owned()
    }

    /// A client's repository `name` with `commits` commits on main and the server as `origin`.
    pub(crate) fn client(&self, name: &str, commits: usize) {
        self.git("", &["init", "-q", "-b", "main", name]);
        self.git(name, &["remote", "add", "origin", &self.url()]);
        for n in 0..commits {
            self.commit(name, &format!("file{n}"), format!("content {n}\n").as_bytes());
        }
    }

    pub(crate) fn commit(&self, at: &str, file: &str, content: &[u8]) -> String {
        std::fs::write(self.file(at).join(file), content).unwrap();
        self.git(at, &["add", file]);
        self.git(at, &["commit", "-q", "-m", file]);
        self.git(at, &["rev-parse", "HEAD"])
    }

    /// The refs of the hosted repository, `<oid> <name>` per line.
    pub(crate) fn refs(&self) -> String {
        self.git("thin.git", &["for-each-ref", "--format=%(objectname) %(refname)"])
    }

    /// One request over a connection of its own. HTTP/1.0: the answer ends with the connection.
    pub(crate) fn http(&self, method: &str, sub_path: &str, headers: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut stream = self.open(method, sub_path, headers, Some(body.len()));
        // A server that refuses may stop reading.
        let _ = stream.write_all(body);
        read(stream)
    }

    /// Sends the head of a request, `HTTP/1.0`.
    pub(crate) fn open(
        &self,
        method: &str,
        sub_path: &str,
        headers: &[(&str, &str)],
        length: Option<usize>,
    ) -> TcpStream {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(BOUND)).unwrap();
        let mut head = format!("{method} {}/{sub_path} HTTP/1.0\r\nHost: localhost\r\n", self.path());
        for (name, value) in headers {
            head += &format!("{name}: {value}\r\n");
        }
        if let Some(length) = length.filter(|_| method == "POST") {
            head += &format!("Content-Length: {length}\r\n");
        }
        stream.write_all((head + "\r\n").as_bytes()).unwrap();
        stream
    }

    /// Whether any process works for this world's server.
    pub(crate) fn has_children(&self) -> bool {
        let ours = |file: PathBuf| {
            let content = std::fs::read(file).unwrap_or_default();
            let needle = self.gate.thin.as_os_str().as_encoded_bytes();
            content.windows(needle.len()).any(|window| window == needle)
        };
        let processes = std::fs::read_dir("/proc").unwrap().flatten();
        processes.map(|entry| entry.path()).any(|process| {
            std::fs::read_to_string(process.join("stat")).is_ok_and(|stat| stat.contains("(git)"))
                && (std::fs::read_link(process.join("cwd"))
                    .is_ok_and(|folder| folder.starts_with(&self.gate.thin))
                    || ours(process.join("environ"))
                    || ours(process.join("cmdline")))
        })
    }

    pub(crate) fn quarantine_is_empty(&self) -> bool {
        std::fs::read_dir(self.file("quarantine")).unwrap().next().is_none()
    }

    /// Waits until nothing that a request has started is left.
    pub(crate) fn settle(&self) {
        until("everything has ended", || {
            !self.has_children() && self.quarantine_is_empty() && self.service.tasks.is_empty()
        });
    }
}

async fn accept(listener: tokio::net::TcpListener, service: Arc<GitService>) {
    loop {
        let Ok((stream, _)) = listener.accept().await else { return };
        let service = service.clone();
        tokio::spawn(async move {
            let route = service_fn(move |request: http::Request<hyper::body::Incoming>| {
                let service = service.clone();
                async move {
                    let path = request.uri().path().to_owned();
                    let mut parts = path.splitn(4, '/').skip(1);
                    let (npub, name, rest) = (parts.next(), parts.next(), parts.next());
                    let coordinate = Coordinate::from_path(npub.unwrap(), name.unwrap()).unwrap();
                    Ok::<_, std::convert::Infallible>(
                        serve(service, coordinate, GitPath::parse(rest.unwrap()), request).await,
                    )
                }
            });
            let _ = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), route)
                .await;
        });
    }
}

/// Waits for a condition, not for a time.
pub(crate) fn until(what: &str, condition: impl Fn() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < BOUND, "never: {what}");
        std::thread::park_timeout(Duration::from_millis(10));
    }
}

/// Reads an answer to the connection's end.
pub(crate) fn read(mut stream: TcpStream) -> Answer {
    let mut all = Vec::new();
    // A reset after the answer does not matter.
    let _ = stream.read_to_end(&mut all);
    let end = all.windows(4).position(|window| window == b"\r\n\r\n").expect("an HTTP answer");
    let head = String::from_utf8(all[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer { status, head: head.to_ascii_lowercase(), body: all[end + 4..].to_vec() }
}

pub(crate) fn hermetic(mut command: Command, home: &Path) -> Command {
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", home);
    command
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("GIT_CONFIG_GLOBAL", "/dev/null")
        .env("GIT_TERMINAL_PROMPT", "0");
    command.env("GIT_AUTHOR_DATE", "1700000000 +0000").env("GIT_COMMITTER_DATE", "1700000000 +0000");
    for role in ["AUTHOR", "COMMITTER"] {
        command.env(format!("GIT_{role}_NAME"), "Somebody").env(format!("GIT_{role}_EMAIL"), "a@example.com");
    }
    command
}

/// A pkt-line.
pub(crate) fn packet(payload: &str) -> Vec<u8> {
    format!("{:04x}{payload}", payload.len() + 4).into_bytes()
}

/// All packets of a message; special ones as their four digits.
pub(crate) fn packets(mut bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut packets = Vec::new();
    while !bytes.is_empty() {
        let length = usize::from_str_radix(std::str::from_utf8(&bytes[..4]).unwrap(), 16).unwrap();
        let (from, to) = if length < 4 { (0, 4) } else { (4, length) };
        packets.push(bytes[from..to].to_vec());
        bytes = &bytes[to..];
    }
    packets
}

/// `size` bytes that do not compress.
pub(crate) fn noise(size: usize, mut seed: u64) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(size + 8);
    while bytes.len() < size {
        seed ^= seed << 13;
        seed ^= seed >> 7;
        seed ^= seed << 17;
        bytes.extend_from_slice(&seed.to_le_bytes());
    }
    bytes.truncate(size);
    bytes
}
