//! A real browser with a page that uses a server from another origin, and tells what came of it.
//!
//! The page is `spec-tests/browser`, bundled when it is needed. It is served from an origin of its own on loopback, and
//! so is what it tells, step by step. The browser has a profile of its own, which goes with it, and no way to any
//! other host.
#![allow(clippy::unwrap_used, clippy::expect_used)] // a test that has no browser cannot go on

use std::convert::Infallible;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{Method, Request, Response};
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustix::process::{Pid, Signal, kill_process_group};
use tempfile::TempDir;
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use tokio::task::{JoinHandle, JoinSet};

/// What browsers that understand Chromium's options are called.
const PROGRAMS: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// No graphics, no sandbox (tests run as root in containers), and nothing that calls home.
const OPTIONS: [&str; 10] = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--host-resolver-rules=MAP * ~NOTFOUND, EXCLUDE 127.0.0.1, EXCLUDE localhost",
];

/// How long one step of the page may take on a busy machine, the browser's start included.
const STEP_WITHIN: Duration = Duration::from_secs(120);

const INDEX: &str = include_str!("../browser/index.html");

/// What came of the page's steps, in their order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Account {
    /// The steps that held.
    pub held: Vec<String>,
    /// The first that did not, and what the page says about it. Nothing is tried after it.
    pub failed: Option<(String, String)>,
}

/// A browser, and the packages that the page is made of.
#[derive(Debug, Clone)]
pub struct Browser {
    program: PathBuf,
    packages: PathBuf,
}

impl Browser {
    /// The one on this machine.
    ///
    /// # Errors
    /// What is missing, and what to do about it.
    pub fn find() -> Result<Self, String> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let named = |name: &str| {
            std::env::split_paths(&path).map(|folder| folder.join(name)).find(|file| file.is_file())
        };
        let program = PROGRAMS.iter().find_map(|name| named(name));
        let program =
            program.ok_or("there is no chromium; `.ci/browser` installs it, and so does `make test`")?;
        let packages = repository().join("target/browser");
        if !packages.join("complete").exists() {
            return Err(
                "the page's npm packages are missing; `.ci/browser` installs them, and so does `make test`"
                    .into(),
            );
        }
        Ok(Self { program, packages })
    }

    /// Opens the page in a fresh browser, lets it use the server at `http://<authority>`, and returns what it told.
    ///
    /// # Panics
    /// When the page cannot be built, the browser does not start, or nothing is told for two minutes.
    pub async fn witness(&self, authority: &str) -> Account {
        let folder = tempfile::Builder::new().prefix("grasp-browser-").tempdir().unwrap();
        let mut page = Page::serve(self.bundle(folder.path())).await;
        let running =
            Running::start(&self.program, folder, &format!("{}/?server=http://{authority}", page.origin));
        let mut account = Account { held: Vec::new(), failed: None };
        loop {
            let told = tokio::time::timeout(STEP_WITHIN, page.told.recv()).await;
            let Ok(Some(told)) = told else {
                panic!("the page says nothing more; so far {account:?}\n{}", running.log());
            };
            let step = told["step"].as_str().unwrap_or_default().to_owned();
            match told["failed"].as_str() {
                Some(why) => account.failed = Some((step, format!("{why}\n{}", running.log()))),
                None if told["end"] == true => {}
                None => {
                    account.held.push(step);
                    continue;
                }
            }
            return account;
        }
    }

    /// The page's script with everything it imports.
    fn bundle(&self, folder: &Path) -> Vec<u8> {
        let bundle = folder.join("witness.js");
        let made = Command::new(self.packages.join("node_modules/.bin/esbuild"))
            .arg(repository().join("spec-tests/browser/witness.js"))
            .args(["--bundle", "--format=iife", "--define:global=globalThis", "--log-level=warning"])
            .arg(format!("--outfile={}", bundle.display()))
            .env("NODE_PATH", self.packages.join("node_modules"))
            .output()
            .expect("esbuild starts");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        std::fs::read(bundle).unwrap()
    }
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// The page's own server.
struct Page {
    origin: String,
    told: mpsc::UnboundedReceiver<serde_json::Value>,
    accepting: JoinHandle<()>,
}

impl Page {
    async fn serve(script: Vec<u8>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let origin = format!("http://{}", listener.local_addr().unwrap());
        let (tell, told) = mpsc::unbounded_channel();
        let script = Bytes::from(script);
        let accepting = tokio::spawn(async move {
            // they end with this task
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let (script, tell) = (script.clone(), tell.clone());
                let service = service_fn(move |request| answer(request, script.clone(), tell.clone()));
                connections.spawn(http1::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Self { origin, told, accepting }
    }
}

impl Drop for Page {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn answer(
    request: Request<Incoming>,
    script: Bytes,
    tell: mpsc::UnboundedSender<serde_json::Value>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let (kind, body) = match (request.method(), request.uri().path()) {
        (&Method::GET, "/witness.js") => ("text/javascript; charset=utf-8", script),
        (&Method::POST, "/told") => {
            let body = request.into_body().collect().await.map(|body| body.to_bytes()).unwrap_or_default();
            // Nobody listens any more once the account is complete.
            let _ = tell.send(serde_json::from_slice(&body).unwrap_or_default());
            ("text/plain", Bytes::new())
        }
        _ => ("text/html; charset=utf-8", Bytes::from_static(INDEX.as_bytes())),
    };
    let mut response = Response::new(Full::new(body));
    response.headers_mut().insert(CONTENT_TYPE, http::HeaderValue::from_static(kind));
    Ok(response)
}

/// A browser's processes, and its profile.
struct Running {
    browser: Child,
    folder: TempDir,
}

impl Running {
    fn start(program: &Path, folder: TempDir, url: &str) -> Self {
        use std::os::unix::process::CommandExt as _;
        let browser = Command::new(program)
            .args(OPTIONS)
            .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
            .args(["--enable-logging=stderr", "--log-level=0"])
            .arg(url)
            .env("HOME", folder.path())
            .env("TMPDIR", folder.path())
            .env("XDG_CONFIG_HOME", folder.path())
            .env("XDG_CACHE_HOME", folder.path())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(folder.path().join("log")).unwrap())
            .process_group(0)
            .spawn()
            .unwrap_or_else(|error| panic!("{} does not start: {error}", program.display()));
        Self { browser, folder }
    }

    /// What the page has written to its console, and what the browser says about it.
    fn log(&self) -> String {
        let log = std::fs::read(self.folder.path().join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log).into_owned();
        log.lines().filter(|line| line.contains("CONSOLE")).collect::<Vec<_>>().join("\n")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let group = i32::try_from(self.browser.id()).ok().and_then(Pid::from_raw);
        if let Some(group) = group {
            // It may be gone already, which is as good.
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.browser.wait();
    }
}
