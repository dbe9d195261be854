//! From a route to a response. The one place that puts on what every response carries.

use std::net::IpAddr;
use std::sync::Arc;

use http::header::{
    ALLOW, CACHE_CONTROL, CONNECTION, CONTENT_TYPE, HeaderName, RETRY_AFTER, SEC_WEBSOCKET_VERSION, VARY,
    X_CONTENT_TYPE_OPTIONS,
};
use http::{HeaderValue, Request, Response, StatusCode};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper_util::rt::TokioIo;

use super::connections::{Full, Place};
use super::door::Shared;
use super::handshake::{self, BadHandshake};
use super::pages::{self, Problem};
use super::router::{Route, names_one_host, route};
use super::{About, Body, Client, GitCall, GitResource, METRICS_TYPE, accept, client_ip, cors, whole};
use crate::nip34::Coordinate;

const TEXT: &str = "text/plain; charset=utf-8";

/// Why nothing can be served.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Refusal {
    /// The server is closing.
    Stopping,
    /// There are too many connections.
    ServerFull,
    /// There are too many of this address.
    AddressFull,
}

/// Answers one request.
pub(super) async fn answer(
    shared: &Arc<Shared>,
    peer: IpAddr,
    place: Arc<Place>,
    request: Request<Incoming>,
) -> Response<Body> {
    finish(respond(shared, peer, place, request).await)
}

/// The answer for those who cannot be served.
pub(super) fn refuse(refusal: Refusal) -> Response<Body> {
    let (status, text) = match refusal {
        Refusal::Stopping => (StatusCode::SERVICE_UNAVAILABLE, "the server is stopping"),
        Refusal::ServerFull => (StatusCode::SERVICE_UNAVAILABLE, "too many connections; try again soon"),
        Refusal::AddressFull => (StatusCode::TOO_MANY_REQUESTS, "too many connections from your address"),
    };
    let mut response = plain(status, text);
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("10"));
    response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    finish(response)
}

fn finish(mut response: Response<Body>) -> Response<Body> {
    cors::apply(response.headers_mut());
    response.headers_mut().insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

async fn respond(
    shared: &Arc<Shared>,
    peer: IpAddr,
    place: Arc<Place>,
    request: Request<Incoming>,
) -> Response<Body> {
    if !names_one_host(request.version(), request.headers()) {
        return plain(StatusCode::BAD_REQUEST, "a request needs one Host field (RFC 9112, 3.2)");
    }
    let contributions = shared.services.about.contributions;
    let route = route(request.method(), request.uri().path(), request.headers(), contributions);
    let html = accept::wants_html(request.headers());
    let pages = &shared.pages;
    match route {
        Route::Preflight => preflight(),
        Route::Health if shared.stopping.is_cancelled() => refuse(Refusal::Stopping),
        Route::Health => fresh(plain(StatusCode::OK, "ok")),
        Route::Sync => sync(shared, accept::wants_json(request.headers())),
        Route::Metrics => match shared.services.overview.metrics() {
            Some(figures) => fresh(typed(StatusCode::OK, METRICS_TYPE, whole(figures))),
            None => problem(shared, Problem::NoPage, html),
        },
        Route::Relay => upgrade(shared, peer, place, request),
        Route::RelayDocument => {
            let document = shared.services.relay.nip11();
            vary(typed(StatusCode::OK, "application/nostr+json", whole(document)), "Accept, Upgrade")
        }
        Route::Landing => vary(page(StatusCode::OK, pages.landing()), "Accept, Upgrade"),
        Route::Git(repository, resource) => {
            git(shared, peer, request, (repository, false), resource, html).await
        }
        Route::Contribution(repository, resource) => {
            git(shared, peer, request, (repository, true), resource, html).await
        }
        Route::RepositoryPage(repository) => match shared.services.repositories.describe(&repository).await {
            Some(view) => page(StatusCode::OK, pages.repository(&repository, &view)),
            None => problem(shared, Problem::NoRepository, html),
        },
        Route::Names => names(&shared.services.about, request.uri().query()),
        Route::Icon => icon(),
        Route::NotAllowed(allow) => {
            let text = format!("{} is not possible here; allowed: {allow}", request.method());
            with(plain(StatusCode::METHOD_NOT_ALLOWED, &text), ALLOW, HeaderValue::from_static(allow))
        }
        Route::NotFound => problem(shared, Problem::NoPage, html),
    }
}

/// How proactive sync stands: for people, or the same as data.
fn sync(shared: &Shared, json: bool) -> Response<Body> {
    let view = shared.services.overview.sync();
    let response = if json {
        let document = serde_json::json!({ "enabled": view.is_some(), "standing": view.as_deref() });
        typed(StatusCode::OK, "application/json", whole(document.to_string()))
    } else {
        page(StatusCode::OK, shared.pages.sync(view.as_deref()))
    };
    fresh(vary(response, "Accept"))
}

async fn git(
    shared: &Shared,
    peer: IpAddr,
    request: Request<Incoming>,
    (repository, contributed): (Coordinate, bool),
    resource: GitResource,
    html: bool,
) -> Response<Body> {
    let client = client(shared, peer, &request);
    let call = GitCall { repository, contributed, resource, client };
    let request = request.map(|body| body.map_err(Into::into).boxed_unsync());
    let answered = shared.services.git.serve(call, request).await;
    answered.unwrap_or_else(|| problem(shared, Problem::NoRepository, html))
}

fn upgrade(
    shared: &Arc<Shared>,
    peer: IpAddr,
    place: Arc<Place>,
    mut request: Request<Incoming>,
) -> Response<Body> {
    if shared.stopping.is_cancelled() {
        return refuse(Refusal::Stopping);
    }
    let agreed = match handshake::accept(request.headers()) {
        Ok(agreed) => agreed,
        Err(wrong @ BadHandshake::Key) => return plain(StatusCode::BAD_REQUEST, &wrong.to_string()),
        Err(wrong @ BadHandshake::Version) => {
            let response = plain(StatusCode::UPGRADE_REQUIRED, &wrong.to_string());
            return with(response, SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));
        }
    };
    let client = client(shared, peer, &request);
    let behind_proxy = client_ip::is_trusted(peer, &shared.services.trusted_proxies);
    let own_place = behind_proxy.then(|| shared.connections.enter_behind_proxy(client.address)).transpose();
    let (Ok(own_place), Some(permit)) = (own_place, shared.services.relay.admit(client.address)) else {
        tracing::info!(address = %client.address, reason = ?Full::Address, "relay client turned away");
        return refuse(Refusal::AddressFull);
    };
    let upgraded = hyper::upgrade::on(&mut request);
    let (relay, abandon) = (Arc::clone(&shared.services.relay), shared.abandon.clone());
    shared.work.spawn(async move {
        let session = async {
            match upgraded.await {
                Ok(stream) => relay.serve(TokioIo::new(stream), client, permit).await,
                Err(failed) => tracing::debug!(%failed, "a WebSocket handshake was not completed"),
            }
        };
        tokio::select! {
            () = session => {}
            () = abandon.cancelled() => {}
        }
        drop((place, own_place));
    });
    let mut response = Response::new(whole(""));
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().extend(agreed);
    response
}

fn client(shared: &Shared, peer: IpAddr, request: &Request<Incoming>) -> Client {
    let address = client_ip::client_address(peer, request.headers(), &shared.services.trusted_proxies);
    Client { address, stopping: shared.stopping.clone() }
}

/// 204 for anything: whatever is not allowed is told by the request itself.
fn preflight() -> Response<Body> {
    let mut response = Response::new(whole(""));
    *response.status_mut() = StatusCode::NO_CONTENT;
    response
}

/// NIP-05: `_` is the owner. Nobody else has a name here.
fn names(about: &About, query: Option<&str>) -> Response<Body> {
    let asked = query.and_then(|query| query.split('&').find_map(|pair| pair.strip_prefix("name=")));
    // The one name we know may come percent-encoded, like any other.
    let known = asked.is_none_or(|name| percent_encoding::percent_decode_str(name).eq(*b"_"));
    let owner = about.owner.to_hex();
    let document = if known {
        serde_json::json!({ "names": { "_": owner }, "relays": { owner: [about.domain.relay_url()] } })
    } else {
        serde_json::json!({ "names": {} })
    };
    typed(StatusCode::OK, "application/json", whole(document.to_string()))
}

fn icon() -> Response<Body> {
    let response = typed(StatusCode::OK, "image/svg+xml", whole(pages::ICON));
    let response = with(response, CACHE_CONTROL, HeaderValue::from_static("public, max-age=86400"));
    with(response, http::header::CONTENT_SECURITY_POLICY, HeaderValue::from_static(pages::IMAGE_POLICY))
}

/// 404: a page for people, a line for programs (git shows it to the person as `remote: …`).
fn problem(shared: &Shared, problem: Problem, html: bool) -> Response<Body> {
    if html {
        page(StatusCode::NOT_FOUND, shared.pages.problem(problem))
    } else {
        plain(StatusCode::NOT_FOUND, problem.explanation())
    }
}

fn page(status: StatusCode, html: String) -> Response<Body> {
    let mut response = typed(status, "text/html; charset=utf-8", whole(html));
    let headers = response.headers_mut();
    headers.insert(http::header::CONTENT_SECURITY_POLICY, pages::policy());
    headers.insert(http::header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

fn plain(status: StatusCode, text: &str) -> Response<Body> {
    typed(status, TEXT, whole(format!("{text}\n")))
}

fn typed(status: StatusCode, content_type: &'static str, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn with(mut response: Response<Body>, name: HeaderName, value: HeaderValue) -> Response<Body> {
    response.headers_mut().insert(name, value);
    response
}

/// What a path answers is several things; caches must know by which headers.
fn vary(response: Response<Body>, by: &'static str) -> Response<Body> {
    with(response, VARY, HeaderValue::from_static(by))
}

/// What is true at this moment only.
fn fresh(response: Response<Body>) -> Response<Body> {
    with(response, CACHE_CONTROL, HeaderValue::from_static("no-store"))
}
