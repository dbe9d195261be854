//! The only way out to the network: the address guard.
//!
//! URLs come from strangers' events. A name is looked up once, its addresses are checked, and the connection is made to
//! an address that was checked: nobody looks it up again, so an answer that changes meanwhile changes nothing. Redirects
//! go through the same guard. No proxy of the environment, no credentials, no other transport than TCP and TLS; every
//! wait and every body is bounded.

pub mod address;
pub mod destination;
pub mod http;
pub mod reach;
mod resolver;
#[cfg(test)]
mod tests;
mod tls;

use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::timeout;

pub use destination::{Destination, NotADestination, Place};
pub use reach::Reach;
pub use resolver::{Resolver, SystemResolver};
pub use tls::Trust;

use address::{Class, class};

/// How many addresses of one name are tried.
const MAX_ADDRESSES: usize = 4;

/// How long things may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Looking up a name.
    pub lookup: Duration,
    /// Connecting to one address.
    pub connect: Duration,
    /// The TLS handshake.
    pub handshake: Duration,
    /// From the request to the head of its answer, and between two pieces of a body.
    pub idle: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            lookup: Duration::from_secs(5),
            connect: Duration::from_secs(5),
            handshake: Duration::from_secs(10),
            idle: Duration::from_secs(30),
        }
    }
}

/// Why there is no connection, or no answer.
#[derive(Debug, thiserror::Error)]
pub enum OutboundError {
    /// The URL leads nowhere.
    #[error("the URL cannot be used: {0}")]
    Url(#[from] NotADestination),
    /// The address, or all that the name has, is of a class that this server does not talk to.
    #[error(
        "{host} has the {class} address {address}, which this server does not talk to (NGIT_SYNC_ALLOW_NON_GLOBAL_TARGETS)"
    )]
    Forbidden {
        /// The host of the URL.
        host: String,
        /// The first address.
        address: IpAddr,
        /// Its class.
        class: Class,
    },
    /// A loopback service looks up no names.
    #[error(
        "this server's domain is a loopback address, so it talks to this machine only, and {0} is not on it (NGIT_SYNC_ALLOW_NON_GLOBAL_TARGETS)"
    )]
    Elsewhere(String),
    /// The name has no address, or nobody knows.
    #[error("{0} cannot be looked up: {1}")]
    Lookup(String, std::io::Error),
    /// Nobody listens at any of the addresses.
    #[error("no connection to {0}: {1}")]
    Connect(String, std::io::Error),
    /// The other side is not who it should be, or does not speak TLS.
    #[error("no secure connection to {0}: {1}")]
    Tls(String, std::io::Error),
    /// It took too long.
    #[error("{0} took longer than {1:?}")]
    Slow(&'static str, Duration),
    /// The answer is not HTTP, or broke off.
    #[error("the answer of {0} cannot be read: {1}")]
    Http(String, String),
    /// A redirect leads where this server does not go.
    #[error("redirected to {0}, where this server does not go: {1}")]
    Redirect(String, String),
    /// Too many redirects.
    #[error("redirected more than {0} times")]
    TooManyRedirects(usize),
    /// The body is longer than asked for.
    #[error("the answer is longer than {0} bytes")]
    TooLong(u64),
}

/// Bytes in both directions, encrypted or not.
pub trait Transport: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Transport for T {}

/// A connection to an address that was checked.
pub type Connection = Box<dyn Transport>;

/// The guard. Cheap to clone.
#[derive(Debug, Clone)]
pub struct Outbound {
    reach: Reach,
    resolver: Arc<dyn Resolver>,
    trust: Trust,
    patience: Patience,
}

impl Outbound {
    /// A guard that looks names up with the system's resolver and trusts the system's certificates.
    #[must_use]
    pub fn new(reach: Reach) -> Self {
        Self::with(reach, Arc::new(SystemResolver), Trust::system(), Patience::default())
    }

    /// A guard of these parts.
    #[must_use]
    pub fn with(reach: Reach, resolver: Arc<dyn Resolver>, trust: Trust, patience: Patience) -> Self {
        Self { reach, resolver, trust, patience }
    }

    /// Whom it talks to.
    #[must_use]
    pub const fn reach(&self) -> Reach {
        self.reach
    }

    /// The addresses of a destination that may be connected to: looked up, checked, at least one.
    ///
    /// # Errors
    /// When the name has no address, or none that may be connected to.
    pub async fn addresses(&self, to: &Destination) -> Result<Vec<SocketAddr>, OutboundError> {
        let (host, found) = match to.place() {
            Place::Address(address) => (address.to_string(), vec![*address]),
            Place::Name(name) => (name.clone(), self.look_up(name).await?),
        };
        let permitted = found.iter().filter(|address| self.reach.permits(**address)).take(MAX_ADDRESSES);
        let permitted: Vec<SocketAddr> =
            permitted.map(|address| SocketAddr::new(*address, to.port())).collect();
        match found.first() {
            Some(address) if permitted.is_empty() => {
                Err(OutboundError::Forbidden { host, address: *address, class: class(*address) })
            }
            _ => Ok(permitted),
        }
    }

    async fn look_up(&self, name: &str) -> Result<Vec<IpAddr>, OutboundError> {
        if let Some(addresses) = reach::localhost(name) {
            return Ok(addresses.into());
        }
        if !self.reach.permits_lookup() {
            return Err(OutboundError::Elsewhere(name.to_owned()));
        }
        let asked = timeout(self.patience.lookup, self.resolver.resolve(name)).await;
        let found = asked.map_err(|_| OutboundError::Slow("looking up the name", self.patience.lookup))?;
        let found = found.map_err(|error| OutboundError::Lookup(name.to_owned(), error))?;
        if found.is_empty() {
            let none = std::io::Error::new(std::io::ErrorKind::NotFound, "it has no address");
            return Err(OutboundError::Lookup(name.to_owned(), none));
        }
        Ok(found)
    }

    /// Connects, through TLS for https and wss.
    ///
    /// # Errors
    /// When the guard refuses, nobody listens, or the certificate is not to be trusted.
    pub async fn connect(&self, to: &Destination) -> Result<Connection, OutboundError> {
        let addresses = self.addresses(to).await?;
        let stream = self.dial(to, &addresses).await?;
        if !to.is_secure() {
            return Ok(Box::new(stream));
        }
        let encrypted = timeout(self.patience.handshake, self.trust.encrypt(to.place(), stream)).await;
        let encrypted = encrypted.map_err(|_| OutboundError::Slow("TLS", self.patience.handshake))?;
        Ok(Box::new(encrypted.map_err(|error| OutboundError::Tls(to.authority(), error))?))
    }

    async fn dial(&self, to: &Destination, addresses: &[SocketAddr]) -> Result<TcpStream, OutboundError> {
        let mut failed = None;
        for address in addresses {
            match timeout(self.patience.connect, TcpStream::connect(address)).await {
                Ok(Ok(stream)) => {
                    // Small messages go at once; where that cannot be set they go a little later.
                    let _ = stream.set_nodelay(true);
                    return Ok(stream);
                }
                Ok(Err(error)) => failed = Some(OutboundError::Connect(to.authority(), error)),
                Err(_) => failed = Some(OutboundError::Slow("connecting", self.patience.connect)),
            }
        }
        Err(failed
            .unwrap_or_else(|| OutboundError::Connect(to.authority(), std::io::ErrorKind::NotFound.into())))
    }
}
