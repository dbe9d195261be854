//! Makes an engine that is older than testcontainers understand it.
//!
//! testcontainers always names the newest version of the interface in its paths, `/v1.53/containers/json`, which an older
//! engine refuses without looking further, although it would understand the request: fields it does not know are passed
//! over. So the version in the path is replaced by the engine's own. Streams pass; upgrades (`exec`, `attach`) do not.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use http::{Request, Response, Uri};
use hyper::body::Incoming;
use hyper::client::conn::http1 as client;
use hyper::server::conn::http1 as server;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Runtime;

type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Forwards until it is dropped.
pub(crate) struct Forwarder(Option<Runtime>);

impl Forwarder {
    /// Listens on `here` and speaks `version` to the engine at `engine`.
    pub(crate) fn start(here: &Path, engine: PathBuf, version: &str) -> std::io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        let listener = {
            let _in_runtime = runtime.enter();
            UnixListener::bind(here)?
        };
        let (engine, version): (Arc<Path>, Arc<str>) = (engine.into(), version.into());
        runtime.spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (engine, version) = (engine.clone(), version.clone());
                let service = service_fn(move |request| forward(request, engine.clone(), version.clone()));
                // A client that breaks off has its reasons.
                tokio::spawn(server::Builder::new().serve_connection(TokioIo::new(stream), service));
            }
        });
        Ok(Self(Some(runtime)))
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}

async fn forward(
    mut request: Request<Incoming>,
    engine: Arc<Path>,
    version: Arc<str>,
) -> Result<Response<Incoming>, Failure> {
    *request.uri_mut() = spoken_in(request.uri(), &version)?;
    let stream = UnixStream::connect(engine).await?;
    let (mut sender, connection) = client::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender.send_request(request).await?)
}

/// The same path in another version of the interface.
fn spoken_in(uri: &Uri, version: &str) -> Result<Uri, http::uri::InvalidUri> {
    let path = uri.path_and_query().map_or("/", |path| path.as_str());
    let unversioned = path.strip_prefix("/v1.").and_then(|rest| rest.split_once('/'));
    match unversioned {
        Some((_, rest)) => format!("/v{version}/{rest}").parse(),
        None => path.parse(),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn only_the_version_of_a_path_is_replaced() {
        let spoken = |path: &str| spoken_in(&path.parse().unwrap(), "1.41").unwrap().to_string();
        assert_eq!(spoken("/v1.53/containers/json?all=true"), "/v1.41/containers/json?all=true");
        assert_eq!(spoken("/version"), "/version");
        assert_eq!(spoken("/images/v1.53/json"), "/images/v1.53/json");
    }
}
