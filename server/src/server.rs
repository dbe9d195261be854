//! The whole server: opens the rooms, connects them, and closes them in good order.

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use bytes::Bytes;
use futures_util::future::BoxFuture;
use tokio::net::TcpListener;

use crate::config::Config;
use crate::http::{
    About, Body, Client, Door, GitCall, GitDoor, Limits, Permit, RelayDoor, RelayStream, Repositories,
    RepositoryView, RequestBody, Services,
};
use crate::nip34::Coordinate;
use crate::owner_key::{self, OwnerKeyError};

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {0} (NGIT_BIND_ADDRESS): {1}")]
    Bind(SocketAddr, std::io::Error),
    /// There is no key for the relay's owner.
    #[error(transparent)]
    OwnerKey(#[from] OwnerKeyError),
}

/// Starts servers.
#[derive(Debug)]
pub struct Server;

/// A server that runs.
#[derive(Debug)]
pub struct Running {
    door: Door,
    config: Config,
}

impl Server {
    /// Starts a server.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(config: Config) -> Result<Running, StartError> {
        let keys = owner_key::load_or_create(config.relay_owner_nsec.as_ref(), std::path::Path::new("."))?;
        let failed = |failed| StartError::Bind(config.bind_address, failed);
        let listener = TcpListener::bind(config.bind_address).await.map_err(failed)?;
        let bound = listener.local_addr().map_err(failed)?;
        let nothing_yet = Arc::new(NothingYet);
        let services = Services {
            relay: nothing_yet.clone(),
            git: nothing_yet.clone(),
            repositories: nothing_yet,
            about: About {
                domain: config.domain_at(bound),
                name: config.relay_name.clone(),
                description: config.relay_description.clone(),
                owner: keys.public_key(),
            },
            trusted_proxies: config.trusted_proxy_cidrs.clone().into(),
        };
        let limits = Limits {
            connections: config.max_connections,
            connections_per_address: config.max_connections_per_address,
            ..Limits::default()
        };
        let door = Door::open(listener, services, limits).map_err(failed)?;
        Ok(Running { door, config })
    }
}

impl Running {
    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.door.address()
    }

    /// Stops: nothing new begins, what runs may finish within the configured grace.
    pub async fn stop(self) {
        if !self.door.close(self.config.shutdown_grace).await {
            tracing::warn!("the time to stop was over before everything had finished");
        }
    }
}

/// Stands in for the rooms that are not connected yet.
struct NothingYet;

impl RelayDoor for NothingYet {
    fn nip11(&self) -> Bytes {
        Bytes::from_static(b"{}")
    }

    fn admit(&self, _: IpAddr) -> Option<Permit> {
        Some(Box::new(()))
    }

    fn serve(self: Arc<Self>, _: RelayStream, _: Client, _: Permit) -> BoxFuture<'static, ()> {
        Box::pin(async {})
    }
}

#[async_trait::async_trait]
impl GitDoor for NothingYet {
    async fn serve(&self, _: GitCall, _: http::Request<RequestBody>) -> Option<http::Response<Body>> {
        None
    }
}

#[async_trait::async_trait]
impl Repositories for NothingYet {
    async fn describe(&self, _: &Coordinate) -> Option<RepositoryView> {
        None
    }
}
