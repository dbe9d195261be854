//! Where peers live: a port of their own on loopback, each; or, when the server under test reaches the auditor under one
//! address only, that address, with a path for each.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use grasp_fixtures::keys;
use tokio::sync::OnceCell;

use super::door::Door;
use super::{Peer, PeerError};
use crate::target::url::ServiceUrl;

/// Where peers are to be found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PeerAddress {
    /// The address that is listened at. Port 0: each peer has a port of its own, of the system's choice.
    pub bind: SocketAddr,
    /// The address under which the server reaches what is bound, through a tunnel for example.
    pub url: Option<ServiceUrl>,
    /// The server can reach it, somebody knows: not to come is a failure then, and no reason to skip.
    pub reachable: bool,
}

impl Default for PeerAddress {
    fn default() -> Self {
        let bind = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0);
        Self { bind, url: None, reachable: false }
    }
}

impl PeerAddress {
    /// Whether peers can be addressed at all.
    ///
    /// # Errors
    /// What is missing, with the fix.
    pub fn check(&self) -> Result<(), String> {
        if self.url.is_none() && self.bind.ip().is_unspecified() {
            return Err(format!(
                "--peer-bind {} listens everywhere, which is no address to be reached at; add --peer-url, for example \
                 --peer-url ws://192.0.2.7:{}, or bind to one address",
                self.bind,
                if self.bind.port() == 0 { 7777 } else { self.bind.port() }
            ));
        }
        if self.url.is_some() && self.bind.port() == 0 {
            return Err(format!(
                "--peer-url leads to one port, and --peer-bind {} lets the system choose another each time; give the \
                 port, for example --peer-bind {}:7777",
                self.bind,
                self.bind.ip()
            ));
        }
        Ok(())
    }

    /// Whether all peers share one port.
    #[must_use]
    pub fn is_shared(&self) -> bool {
        self.bind.port() != 0
    }
}

/// Gives peers a place to live.
#[derive(Debug, Default)]
pub struct Lodging {
    address: PeerAddress,
    shared: OnceCell<Arc<Door>>,
    /// Whether the server has come to a peer, once that was tried; why not.
    pub(crate) reached: OnceCell<Result<(), String>>,
}

impl Lodging {
    /// Peers at this address.
    #[must_use]
    pub fn new(address: PeerAddress) -> Self {
        Self { address, ..Self::default() }
    }

    /// Where that is.
    #[must_use]
    pub fn address(&self) -> &PeerAddress {
        &self.address
    }

    /// A new peer.
    ///
    /// # Errors
    /// When there is no port or no temporary folder.
    pub async fn peer(&self) -> Result<Peer, PeerError> {
        if !self.address.is_shared() {
            let door = Arc::new(self.open().await?);
            let url =
                ServiceUrl { tls: false, host: door.address.ip().to_string(), port: door.address.port() };
            return Peer::enter(door, &url, String::new());
        }
        let door = self.shared.get_or_try_init(|| async { self.open().await.map(Arc::new) }).await?;
        let own =
            || ServiceUrl { tls: false, host: door.address.ip().to_string(), port: door.address.port() };
        let url = self.address.url.clone().unwrap_or_else(own);
        Peer::enter(Arc::clone(door), &url, format!("peer-{}", keys::random_suffix(8)))
    }

    async fn open(&self) -> Result<Door, PeerError> {
        let bind = self.address.bind;
        Door::open(bind).await.map_err(|source| PeerError::Bind { bind, source })
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn address(bind: &str, url: Option<&str>) -> PeerAddress {
        let url = url.map(|url| ServiceUrl::parse(url).unwrap());
        PeerAddress { bind: bind.parse().unwrap(), url, reachable: false }
    }

    #[test]
    fn an_address_that_leads_nowhere_is_refused_with_the_fix() {
        assert!(PeerAddress::default().check().is_ok());
        assert!(address("0.0.0.0:7777", Some("wss://audit.example.org")).check().is_ok());
        let error = address("0.0.0.0:7777", None).check().unwrap_err();
        assert!(error.contains("--peer-url ws://192.0.2.7:7777"), "{error}");
        let error = address("127.0.0.1:0", Some("wss://audit.example.org")).check().unwrap_err();
        assert!(error.contains("--peer-bind 127.0.0.1:7777"), "{error}");
    }

    #[tokio::test]
    async fn peers_have_a_port_each_or_a_path_each() {
        let each = Lodging::default();
        let (one, other) = (each.peer().await.unwrap(), each.peer().await.unwrap());
        assert_ne!(one.relay(), other.relay());
        assert!(one.relay().starts_with("ws://127.0.0.1:"), "{}", one.relay());

        let door = Arc::new(Door::open(PeerAddress::default().bind).await.unwrap());
        let url = ServiceUrl::parse("wss://audit.example").unwrap();
        let enter = |token: &str| Peer::enter(door.clone(), &url, token.to_owned()).unwrap();
        let (one, other) = (enter("peer-a"), enter("peer-b"));
        assert_eq!(
            (one.relay(), other.relay()),
            ("wss://audit.example/peer-a", "wss://audit.example/peer-b")
        );
        let at = |token: &str| format!("ws://{}/{token}", door.address);
        assert!(tokio_tungstenite::connect_async(at("peer-a")).await.is_ok());
        assert!(tokio_tungstenite::connect_async(at("peer-c")).await.is_err());
        let came = |peer: &Peer| peer.visits().read(<[_]>::len);
        assert!(came(&one) > 0 && came(&other) == 0);
    }
}
