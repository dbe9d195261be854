//! TLS of outgoing connections: rustls, with the certificates that the system trusts.

use std::io;
use std::sync::{Arc, OnceLock};

use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::Place;

/// Whose certificates are trusted. The system's are read at the first encrypted connection.
#[derive(Debug, Clone)]
pub struct Trust {
    config: Arc<OnceLock<Arc<ClientConfig>>>,
}

impl Trust {
    /// The certificates that the operating system trusts.
    #[must_use]
    pub fn system() -> Self {
        Self { config: Arc::default() }
    }

    /// These root certificates only.
    ///
    /// # Errors
    /// When one of them cannot be read.
    pub fn only(roots: impl IntoIterator<Item = CertificateDer<'static>>) -> io::Result<Self> {
        let mut store = RootCertStore::empty();
        for root in roots {
            store.add(root).map_err(io::Error::other)?;
        }
        let config = OnceLock::new();
        let _ = config.set(client(store)?);
        Ok(Self { config: Arc::new(config) })
    }

    async fn config(&self) -> io::Result<Arc<ClientConfig>> {
        if let Some(config) = self.config.get() {
            return Ok(Arc::clone(config));
        }
        let read = tokio::task::spawn_blocking(system_roots).await.map_err(io::Error::other)??;
        Ok(Arc::clone(self.config.get_or_init(|| read)))
    }

    /// Makes a connection an encrypted one, and holds the certificate against the name.
    pub(super) async fn encrypt(&self, place: &Place, stream: TcpStream) -> io::Result<TlsStream<TcpStream>> {
        let name = match place {
            Place::Name(name) => ServerName::try_from(name.clone()).map_err(io::Error::other)?,
            Place::Address(address) => ServerName::from(*address),
        };
        TlsConnector::from(self.config().await?).connect(name, stream).await
    }
}

fn system_roots() -> io::Result<Arc<ClientConfig>> {
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(found.certs);
    if store.is_empty() {
        let why = found.errors.first().map(|error| format!(" ({error})")).unwrap_or_default();
        return Err(io::Error::other(format!(
            "this system has no root certificates{why}; install them (Debian: apt install ca-certificates)"
        )));
    }
    client(store)
}

fn client(roots: RootCertStore) -> io::Result<Arc<ClientConfig>> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(io::Error::other)?.with_root_certificates(roots).with_no_client_auth();
    Ok(Arc::new(config))
}
