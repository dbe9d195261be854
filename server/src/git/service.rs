//! The door of the git shells: one request in, one answer out.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{ALLOW, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use http::{Method, Request, Response, StatusCode};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::advertise::{self, Version};
use super::answer::{self, GitBody};
use super::body::RequestBody;
use super::gate::{Gate, PushGate};
use super::limits::GitLimits;
use super::rendered::{Rendered, View};
use super::{receive_pack, upload_pack};
use crate::metrics::Meters;
use crate::nip34::Coordinate;

/// What follows `/<npub>/<identifier>.git/` in a request's path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GitPath {
    /// `info/refs`
    InfoRefs,
    /// `git-upload-pack`
    UploadPack,
    /// `git-receive-pack`
    ReceivePack,
    /// Anything else: files of the dumb protocol, which is not served.
    Other,
}

impl GitPath {
    /// From the path after `<identifier>.git/`, as it is in the URL.
    #[must_use]
    pub fn parse(path: &str) -> Self {
        match path {
            "info/refs" => Self::InfoRefs,
            "git-upload-pack" => Self::UploadPack,
            "git-receive-pack" => Self::ReceivePack,
            _ => Self::Other,
        }
    }
}

/// Everything the git shells share between requests.
pub struct GitService {
    /// Who decides about access and pushes.
    pub gate: Arc<dyn PushGate>,
    /// The bounds.
    pub limits: GitLimits,
    /// Cancelled when the server stops: nothing new begins, what runs ends within [`GitLimits::shutdown_grace`]
    /// (a push that lands already is not cut off).
    pub shutdown: CancellationToken,
    /// Every task that outlives the call of [`serve`], to wait for when the server stops.
    pub tasks: TaskTracker,
    pub(crate) rendered: Rendered,
    pub(crate) fetches: Arc<Semaphore>,
    pub(crate) pushes: Arc<Semaphore>,
    pub(crate) meters: Arc<Meters>,
}

impl std::fmt::Debug for GitService {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("GitService").field("limits", &self.limits).finish_non_exhaustive()
    }
}

impl GitService {
    /// A service over a gate.
    #[must_use]
    pub fn new(
        gate: Arc<dyn PushGate>,
        limits: GitLimits,
        shutdown: CancellationToken,
        tasks: TaskTracker,
    ) -> Self {
        Self {
            rendered: Rendered::new(limits.rendered_bytes),
            fetches: Arc::new(Semaphore::new(limits.max_fetches)),
            pushes: Arc::new(Semaphore::new(limits.max_pushes)),
            meters: Arc::default(),
            gate,
            limits,
            shutdown,
            tasks,
        }
    }

    /// The same service over another gate: bounds and turns are shared.
    #[must_use]
    pub fn over(&self, gate: Arc<dyn PushGate>) -> Self {
        Self {
            gate,
            limits: self.limits.clone(),
            shutdown: self.shutdown.clone(),
            tasks: self.tasks.clone(),
            rendered: Rendered::new(self.limits.rendered_bytes),
            fetches: Arc::clone(&self.fetches),
            pushes: Arc::clone(&self.pushes),
            meters: Arc::clone(&self.meters),
        }
    }

    /// Counts what clients do there.
    #[must_use]
    pub fn metered(mut self, meters: Arc<Meters>) -> Self {
        self.meters = meters;
        self
    }

    /// How many fetches and pushes run.
    #[must_use]
    pub fn running(&self) -> (usize, usize) {
        let running = |most: usize, turns: &Semaphore| most.saturating_sub(turns.available_permits());
        (running(self.limits.max_fetches, &self.fetches), running(self.limits.max_pushes, &self.pushes))
    }

    /// Waits for a turn; none when it takes too long or the server stops.
    pub(crate) async fn turn(&self, of: &Arc<Semaphore>) -> Option<OwnedSemaphorePermit> {
        let turn = tokio::time::timeout(self.limits.queue_wait, of.clone().acquire_owned());
        tokio::select! {
            turn = turn => turn.ok()?.ok(),
            () = self.shutdown.cancelled() => None,
        }
    }

    /// Ends when what runs must end because the server stops.
    pub(crate) async fn shutdown_bound(&self) {
        self.shutdown.cancelled().await;
        tokio::time::sleep(self.limits.shutdown_grace).await;
    }

    /// The answer to somebody whose turn did not come.
    pub(crate) fn busy() -> Response<GitBody> {
        let text = "this server has too many git requests at the moment; please try again in a minute";
        let mut response = answer::text(StatusCode::SERVICE_UNAVAILABLE, text);
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("30"));
        response
    }
}

/// Answers a request for a repository's git data (`G01/git/serves`, `G01/git/wants`, `G01/git/push-*`).
///
/// Never fails: what goes wrong is an answer of the git protocol where there can be one, else an HTTP status with a
/// text that git shows to the person. CORS headers are the caller's.
pub async fn serve<B>(
    service: Arc<GitService>,
    repository: Coordinate,
    sub_path: GitPath,
    request: Request<B>,
) -> Response<GitBody>
where
    B: hyper::body::Body<Data = Bytes> + Send + 'static,
    B::Error: Into<Box<dyn std::error::Error + Send + Sync>>,
{
    if service.shutdown.is_cancelled() {
        return GitService::busy();
    }
    let (name, method) = match sub_path {
        GitPath::InfoRefs => ("", Method::GET),
        GitPath::UploadPack => ("git-upload-pack", Method::POST),
        GitPath::ReceivePack => ("git-receive-pack", Method::POST),
        GitPath::Other => {
            return answer::text(StatusCode::NOT_FOUND, "only git's smart HTTP protocol is served here");
        }
    };
    if *request.method() != method && !(method == Method::GET && *request.method() == Method::HEAD) {
        return wrong_method(&method);
    }
    if let Some(refusal) = wrong_content_type(name, request.headers().get(CONTENT_TYPE)) {
        return refusal;
    }
    let gate = match service.gate.open(&repository).await {
        Ok(Some(gate)) => gate,
        Ok(None) => return not_hosted(&repository),
        Err(error) => {
            tracing::error!(%repository, error, "a repository cannot be read");
            return answer::text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "the repository cannot be read at the moment",
            );
        }
    };
    let protocol = request.headers().get("git-protocol").and_then(|value| value.to_str().ok());
    let version = Version::from_header(protocol.unwrap_or_default());
    let limit = match sub_path {
        GitPath::InfoRefs | GitPath::Other => {
            return info_refs(&service, &gate, version, request.uri().query());
        }
        GitPath::UploadPack => service.limits.max_negotiation_bytes,
        // index-pack bounds the pack and says so inside the protocol; this is only the last bound.
        GitPath::ReceivePack => service.limits.max_push_bytes.saturating_mul(2).max(64 << 20),
    };
    let (parts, body) = request.into_parts();
    match RequestBody::new(&parts.headers, body, limit, &service.limits) {
        Ok(body) if sub_path == GitPath::UploadPack => upload_pack::post(&service, gate, version, body).await,
        Ok(body) => receive_pack::post(&service, repository, gate, body).await,
        Err(error) => error.response(),
    }
}

fn info_refs(service: &GitService, gate: &Gate, version: Version, query: Option<&str>) -> Response<GitBody> {
    let asked = query.unwrap_or_default().split('&').find_map(|pair| pair.strip_prefix("service="));
    match asked {
        Some("git-upload-pack") => {
            service.meters.git.listings.inc();
            let refs = &gate.refs;
            let render = || advertise::upload_pack(refs, version);
            let body = service.rendered.get(refs, View::Advertisement(version), render);
            answer::whole("application/x-git-upload-pack-advertisement", body)
        }
        Some("git-receive-pack") => {
            service.meters.git.listings.inc();
            let body = advertise::receive_pack(gate, version);
            answer::whole("application/x-git-receive-pack-advertisement", body)
        }
        Some(other) => {
            let shown: String = other.chars().filter(char::is_ascii_graphic).take(80).collect();
            answer::text(StatusCode::FORBIDDEN, &format!("Unsupported service: '{shown}'"))
        }
        None => answer::text(
            StatusCode::FORBIDDEN,
            "only git's smart HTTP protocol is served here; please upgrade git",
        ),
    }
}

fn wrong_method(method: &Method) -> Response<GitBody> {
    let allow = if *method == Method::GET { "GET, HEAD" } else { "POST" };
    let mut response =
        answer::text(StatusCode::METHOD_NOT_ALLOWED, &format!("only {allow} is answered here"));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allow));
    response
}

/// As git-http-backend: another content type is refused. None at all is let through, some clients forget it.
fn wrong_content_type(service: &str, sent: Option<&HeaderValue>) -> Option<Response<GitBody>> {
    let expected = format!("application/x-{service}-request");
    let sent = sent.filter(|sent| !service.is_empty() && sent.as_bytes() != expected.as_bytes())?;
    let shown: String = String::from_utf8_lossy(sent.as_bytes()).chars().take(80).collect();
    let text = format!("Expected POST with Content-Type '{expected}', but received '{shown}' instead.");
    Some(answer::text(StatusCode::UNSUPPORTED_MEDIA_TYPE, &text))
}

fn not_hosted(repository: &Coordinate) -> Response<GitBody> {
    let text = format!(
        "there is no repository {:?} of {} here; announce it to this server's relay first (kind 30617, with this \
         server in its `clone` and `relays` tags)",
        repository.identifier.as_str(),
        repository.npub()
    );
    answer::text(StatusCode::NOT_FOUND, &text)
}
