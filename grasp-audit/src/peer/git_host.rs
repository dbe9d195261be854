//! The git host inside a peer: bare repositories in a temporary folder, served over smart HTTP by `git upload-pack`.

use std::collections::BTreeMap;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::{Mutex, PoisonError};

use bytes::Bytes;
use flate2::read::GzDecoder;
use grasp_fixtures::{Git, GitError, Repository};
use http::header::{CACHE_CONTROL, CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::Full;
use tempfile::TempDir;

/// The longest request body, in bytes, also when it comes compressed.
pub(super) const MAX_BODY: usize = 4 << 20;

/// See the module.
#[derive(Debug)]
pub(super) struct GitHost {
    folder: TempDir,
    git: Git,
    repositories: Mutex<BTreeMap<String, PathBuf>>,
}

impl GitHost {
    pub(super) fn new() -> std::io::Result<Self> {
        let folder = tempfile::Builder::new().prefix("grasp-peer-").tempdir()?;
        let git = Git::new(folder.path())
            .config("uploadpack.allowAnySHA1InWant", "true")
            .config("uploadpack.allowFilter", "true");
        Ok(Self { folder, git, repositories: Mutex::default() })
    }

    /// Has these refs of a repository from now on, with all that they reach: `<oid>:refs/heads/main`.
    pub(super) async fn take(&self, path: &str, from: &Repository, refs: &[String]) -> Result<(), GitError> {
        let known = self.repository(path);
        let bare = match known {
            Some(bare) => bare,
            None => {
                let number = self.repositories.lock().unwrap_or_else(PoisonError::into_inner).len();
                let name = format!("{number}.git");
                self.git.run(self.folder.path(), &["init", "--quiet", "--bare", &name]).await?.success()?;
                let bare = self.folder.path().join(name);
                let mut all = self.repositories.lock().unwrap_or_else(PoisonError::into_inner);
                all.insert(path.to_owned(), bare.clone());
                bare
            }
        };
        let forced: Vec<String> = refs.iter().map(|refspec| format!("+{refspec}")).collect();
        let forced: Vec<&str> = forced.iter().map(String::as_str).collect();
        from.push(&bare.to_string_lossy(), &forced).await?.success().map(drop)
    }

    fn repository(&self, path: &str) -> Option<PathBuf> {
        self.repositories.lock().unwrap_or_else(PoisonError::into_inner).get(path).cloned()
    }

    /// Answers a request: `path` is the repository's, `service` what follows it.
    pub(super) async fn answer(
        &self,
        path: &str,
        service: &str,
        headers: &HeaderMap,
        body: &[u8],
    ) -> Response<Full<Bytes>> {
        let Some(bare) = self.repository(path) else { return status(StatusCode::NOT_FOUND) };
        let protocol = headers.get("git-protocol").and_then(|value| value.to_str().ok()).unwrap_or_default();
        let git = self.git.clone().environment("GIT_PROTOCOL", protocol);
        let bare = bare.to_string_lossy().into_owned();
        let (arguments, input, kind): (Vec<&str>, Vec<u8>, &'static str) = match service {
            "info/refs" => {
                let arguments = vec!["upload-pack", "--stateless-rpc", "--advertise-refs", &bare];
                (arguments, Vec::new(), "application/x-git-upload-pack-advertisement")
            }
            "git-upload-pack" => {
                let Some(input) = plain(headers, body) else { return status(StatusCode::BAD_REQUEST) };
                let arguments = vec!["upload-pack", "--stateless-rpc", &bare];
                (arguments, input, "application/x-git-upload-pack-result")
            }
            _ => return status(StatusCode::FORBIDDEN),
        };
        let Ok(output) = git.run_with_input(self.folder.path(), &arguments, &input).await else {
            return status(StatusCode::INTERNAL_SERVER_ERROR);
        };
        let mut answer = Vec::new();
        if service == "info/refs" && !protocol.contains("version=2") {
            answer.extend_from_slice(b"001e# service=git-upload-pack\n0000");
        }
        answer.extend_from_slice(&output.stdout);
        let mut response = Response::new(Full::from(answer));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        response
    }
}

/// The body, unpacked when it came compressed: git compresses long requests.
fn plain(headers: &HeaderMap, body: &[u8]) -> Option<Vec<u8>> {
    if headers.get(CONTENT_ENCODING).is_none_or(|encoding| encoding != "gzip") {
        return Some(body.to_vec());
    }
    let mut unpacked = Vec::new();
    GzDecoder::new(body).take(MAX_BODY as u64).read_to_end(&mut unpacked).ok()?;
    Some(unpacked)
}

/// An answer without a body.
pub(super) fn status(status: StatusCode) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::default());
    *response.status_mut() = status;
    response
}
