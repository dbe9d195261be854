//! The port of peers: HTTP, the relay's upgrade and git, for one peer or, under a path each, for many.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use http::header::{CONNECTION, CONTENT_TYPE, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, UPGRADE};
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;
use tokio_util::task::AbortOnDropHandle;

use super::git_host::{MAX_BODY, status};
use super::manners::{Git, Manners, Negentropy, Relay};
use super::visits::What;
use super::{Room, front};

/// What peers share when they share a port: who is behind which path.
pub(super) type Rooms = Arc<Mutex<BTreeMap<String, Arc<Room>>>>;

/// A port at which peers are found; it is closed when this is dropped.
#[derive(Debug)]
pub(super) struct Door {
    pub(super) address: SocketAddr,
    rooms: Rooms,
    _accepting: AbortOnDropHandle<()>,
}

/// Why a connection is ended without an answer.
#[derive(Debug, thiserror::Error)]
#[error("the peer turns everybody away")]
struct TurnedAway;

type Answer = Response<Full<Bytes>>;

impl Door {
    pub(super) async fn open(bind: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(bind).await?;
        let (address, rooms) = (listener.local_addr()?, Rooms::default());
        let accepting = AbortOnDropHandle::new(tokio::spawn(accept(listener, rooms.clone())));
        Ok(Self { address, rooms, _accepting: accepting })
    }

    /// Puts a room behind a path, `/<token>`; an empty token: behind every path that is nobody else's.
    pub(super) fn enter(&self, token: &str, room: Arc<Room>) {
        lock(&self.rooms).insert(token.to_owned(), room);
    }

    pub(super) fn leave(&self, token: &str) {
        lock(&self.rooms).remove(token);
    }
}

fn lock(rooms: &Rooms) -> MutexGuard<'_, BTreeMap<String, Arc<Room>>> {
    rooms.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn accept(listener: TcpListener, rooms: Rooms) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                // what fails here is one connection, not the port
                let Ok((stream, _)) = accepted else { continue };
                let rooms = rooms.clone();
                connections.spawn(async move {
                    let service = service_fn(move |request| answer(rooms.clone(), request));
                    let connection = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .with_upgrades();
                    // one that is turned away ends with an error, as it should
                    let _ = connection.await;
                });
            }
            Some(_) = connections.join_next(), if !connections.is_empty() => {}
        }
    }
}

async fn answer(rooms: Rooms, request: Request<Incoming>) -> Result<Answer, TurnedAway> {
    let path = request.uri().path().to_owned();
    let (token, rest) = split(&path);
    let room = {
        let rooms = lock(&rooms);
        let named =
            rooms.get(token).filter(|_| !token.is_empty()).cloned().map(|room| (room, rest.to_owned()));
        named.or_else(|| rooms.get("").cloned().map(|room| (room, path.clone())))
    };
    let Some((room, path)) = room else { return Ok(status(StatusCode::NOT_FOUND)) };
    if request.headers().contains_key(SEC_WEBSOCKET_KEY) {
        return upgrade(room, request);
    }
    let wants_document =
        request.headers().get("accept").is_some_and(|accept| accept == "application/nostr+json");
    if wants_document && matches!(path.as_str(), "" | "/") {
        room.visits.record(What::Document);
        return match room.manners().relay {
            Relay::Open => Ok(document(&room.manners())),
            Relay::Refuses => Err(TurnedAway),
        };
    }
    Ok(git(&room, &path, request).await)
}

/// `/token/rest` as `token` and `/rest`.
fn split(path: &str) -> (&str, &str) {
    let path = path.strip_prefix('/').unwrap_or(path);
    path.find('/').map_or((path, ""), |at| (&path[..at], &path[at..]))
}

fn upgrade(room: Arc<Room>, mut request: Request<Incoming>) -> Result<Answer, TurnedAway> {
    let taken = room.manners().relay == Relay::Open;
    let connection = room.next_connection();
    room.visits.record(What::Connects { connection, taken });
    if !taken {
        return Err(TurnedAway);
    }
    let key = request.headers().get(SEC_WEBSOCKET_KEY).map(|key| derive_accept_key(key.as_bytes()));
    let accept = key.and_then(|key| HeaderValue::from_str(&key).ok());
    let mut response = status(StatusCode::SWITCHING_PROTOCOLS);
    let headers = response.headers_mut();
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.extend(accept.map(|accept| (SEC_WEBSOCKET_ACCEPT, accept)));
    tokio::spawn(async move {
        let gone = room.gone.clone();
        let serve = async {
            match hyper::upgrade::on(&mut request).await {
                Ok(upgraded) => front::serve(&room, connection, TokioIo::new(upgraded)).await,
                Err(_) => room.visits.record(What::Leaves { connection }),
            }
        };
        tokio::select! {
            () = serve => {}
            () = gone.cancelled() => {}
        }
    });
    Ok(response)
}

fn document(manners: &Manners) -> Answer {
    let mut nips = vec![1, 11];
    if manners.negentropy != Negentropy::Unknown {
        nips.push(77);
    }
    let mut document = json!({
        "name": "grasp-audit peer",
        "description": "A relay of an audit, there for minutes; nothing is kept",
        "software": "grasp-audit",
        "version": env!("CARGO_PKG_VERSION"),
        "supported_nips": nips,
        "limitation": {"max_limit": manners.page},
    });
    if let Some(most) = manners.max_subscriptions {
        document["limitation"]["max_subscriptions"] = json!(most);
    }
    let mut response = Response::new(Full::from(document.to_string()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/nostr+json"));
    response
}

async fn git(room: &Room, path: &str, request: Request<Incoming>) -> Answer {
    let services = ["/info/refs", "/git-upload-pack", "/git-receive-pack"];
    let service = services.iter().find_map(|service| Some((path.strip_suffix(service)?, &service[1..])));
    let Some((repository, service)) = service else { return status(StatusCode::NOT_FOUND) };
    let headers = request.headers().clone();
    let is_push = request.uri().query().is_some_and(|query| query.contains("git-receive-pack"));
    let method = if service == "info/refs" { Method::GET } else { Method::POST };
    let fits = *request.method() == method && !is_push;
    let body = Limited::new(request.into_body(), MAX_BODY).collect().await;
    let answer = match (room.manners().git, body) {
        (Git::Status(code), _) => {
            let mut answer = status(StatusCode::from_u16(code).unwrap_or(StatusCode::SERVICE_UNAVAILABLE));
            answer.headers_mut().insert("retry-after", HeaderValue::from_static("1"));
            answer
        }
        (Git::Serves, Ok(body)) if fits => {
            room.git.answer(repository, service, &headers, &body.to_bytes()).await
        }
        (Git::Serves, Ok(_)) => status(StatusCode::FORBIDDEN),
        (Git::Serves, Err(_)) => status(StatusCode::PAYLOAD_TOO_LARGE),
    };
    room.visits.record(What::Git {
        path: repository.to_owned(),
        service: service.to_owned(),
        status: answer.status().as_u16(),
    });
    answer
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_segment_names_the_peer() {
        assert_eq!(split("/abc/npub1x/y.git/info/refs"), ("abc", "/npub1x/y.git/info/refs"));
        assert_eq!(split("/abc"), ("abc", ""));
        assert_eq!(split("/"), ("", ""));
    }
}
