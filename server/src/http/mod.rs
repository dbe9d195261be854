//! The door: one port for the relay, git, pages and discovery documents.
//!
//! [`router`] says what a request is for, without looking at anything but the request; `answers` asks the room that
//! knows. Those rooms come in as [`Services`], so that the door knows neither stores nor protocols. Whatever leaves
//! here carries the CORS headers of G01/cors, put on in one place.

mod accept;
mod answers;
pub mod client_ip;
mod connections;
pub mod cors;
mod door;
mod early_answer;
mod handshake;
mod overview;
mod pages;
pub mod router;
mod sync_page;
mod turn;

use std::net::IpAddr;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http_body_util::BodyExt as _;
use http_body_util::combinators::UnsyncBoxBody;
use hyper::upgrade::Upgraded;
use hyper_util::rt::TokioIo;
use ipnet::IpNet;
use nostr::key::PublicKey;
use tokio_util::sync::CancellationToken;

pub use door::{Door, Limits};
pub use overview::{
    HuntedView, METRICS_TYPE, Overview, PeerEvents, PeerHealth, PeerState, PeerView, SyncView,
};

use crate::nip34::{Coordinate, ServiceDomain};

/// Whatever went wrong while a body was made or read.
pub type BodyError = Box<dyn std::error::Error + Send + Sync>;

/// The body of a response: whole, or streamed with back-pressure.
pub type Body = UnsyncBoxBody<Bytes, BodyError>;

/// The body of a request, as it arrives. Not bounded here: who reads it bounds it.
pub type RequestBody = UnsyncBoxBody<Bytes, BodyError>;

/// A client's connection after the WebSocket handshake; both directions are the WebSocket's from here.
pub type RelayStream = TokioIo<Upgraded>;

/// A body that is there as a whole.
#[must_use]
pub fn whole(bytes: impl Into<Bytes>) -> Body {
    http_body_util::Full::new(bytes.into()).map_err(|never| match never {}).boxed_unsync()
}

/// Who is asking.
#[derive(Debug, Clone)]
pub struct Client {
    /// The client's address; behind trusted proxies the one that they name. IPv4 is never written as IPv6.
    pub address: IpAddr,
    /// Cancelled when the server stops: finish what runs, begin nothing new.
    pub stopping: CancellationToken,
}

/// A place among the relay's clients, given back when dropped.
pub type Permit = Box<dyn Send + Sync>;

/// What the door asks of the relay.
pub trait RelayDoor: Send + Sync {
    /// The NIP-11 document, as JSON.
    fn nip11(&self) -> Bytes;

    /// Whether one more client of this address is welcome; asked before the handshake is answered.
    fn admit(&self, address: IpAddr) -> Option<Permit>;

    /// Serves one client until it goes or [`Client::stopping`] is cancelled. The handshake is done, no extension and
    /// no subprotocol was agreed. When the time to stop is over, the future is dropped.
    fn serve(self: Arc<Self>, stream: RelayStream, client: Client, permit: Permit) -> BoxFuture<'static, ()>;
}

/// What a git client asks of a repository.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GitResource {
    /// `GET` or `HEAD` of `info/refs?service=…`; the query is in the request's URI.
    InfoRefs,
    /// `POST git-upload-pack`.
    UploadPack,
    /// `POST git-receive-pack`.
    ReceivePack,
}

/// One git request, after routing.
#[derive(Debug, Clone)]
pub struct GitCall {
    /// Which repository; it need not exist.
    pub repository: Coordinate,
    /// Its owner is a contributor, and it is below `/prs/` (GRASP-06).
    pub contributed: bool,
    /// What of it. The request's method fits.
    pub resource: GitResource,
    /// Who asks.
    pub client: Client,
}

/// What the door asks of the git shells.
#[async_trait::async_trait]
pub trait GitDoor: Send + Sync {
    /// Answers one request; `None` when the repository is not hosted, which becomes the 404 page.
    ///
    /// Headers of caching and content are the answer's own. CORS headers are added by the door.
    async fn serve(&self, call: GitCall, request: http::Request<RequestBody>)
    -> Option<http::Response<Body>>;
}

/// What a repository's page shows.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct RepositoryView {
    /// The announced name; empty: the identifier stands in.
    pub name: String,
    /// The announced description; may be empty.
    pub description: String,
    /// Where to clone it from here.
    pub clone_url: String,
    /// Whether it still waits in purgatory for its git data.
    pub waiting: bool,
    /// Whether it is an archive's copy of a repository that does not list this service.
    pub archived: bool,
    /// Who may say what its refs are, owner first, as `npub1…`.
    pub maintainers: Vec<String>,
    /// Its branches, without `refs/heads/`.
    pub branches: Vec<String>,
    /// The branch that HEAD names, without `refs/heads/`.
    pub head: Option<String>,
}

/// What the door asks about repositories, for people who look with a browser.
#[async_trait::async_trait]
pub trait Repositories: Send + Sync {
    /// What is known about a hosted repository, waiting ones included; `None` when it is not hosted here.
    async fn describe(&self, repository: &Coordinate) -> Option<RepositoryView>;
}

/// What pages and discovery documents tell about the service.
#[derive(Debug, Clone)]
pub struct About {
    /// The name under which announcements list it.
    pub domain: ServiceDomain,
    /// The relay's name.
    pub name: String,
    /// What it is for.
    pub description: String,
    /// The key of its owner.
    pub owner: PublicKey,
    /// Contributors have repositories here (GRASP-06).
    pub contributions: bool,
}

/// The rooms behind the door.
#[derive(Clone)]
pub struct Services {
    /// The relay.
    pub relay: Arc<dyn RelayDoor>,
    /// The git shells.
    pub git: Arc<dyn GitDoor>,
    /// What pages tell about repositories.
    pub repositories: Arc<dyn Repositories>,
    /// How the server does.
    pub overview: Arc<dyn Overview>,
    /// What pages tell about the service.
    pub about: About,
    /// Networks whose forwarding headers name the client.
    pub trusted_proxies: Arc<[IpNet]>,
}
