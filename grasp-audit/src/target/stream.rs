//! Connections to the service: TCP, and TLS with the system's roots and those of `--ca`.

use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::TargetError;
use super::url::ServiceUrl;

/// How long connecting may take, TLS included.
const CONNECT_WITHIN: Duration = Duration::from_secs(10);

/// A connection, plain or encrypted.
#[derive(Debug)]
pub enum Stream {
    /// TCP.
    Plain(TcpStream),
    /// TLS over TCP.
    Tls(Box<TlsStream<TcpStream>>),
}

/// Opens connections to one service.
#[derive(Clone)]
pub struct Dialer {
    host: String,
    port: u16,
    tls: Option<(TlsConnector, ServerName<'static>)>,
}

impl std::fmt::Debug for Dialer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Dialer({}:{})", self.host, self.port)
    }
}

impl Dialer {
    /// A dialer for `url`; `ca` names a PEM file with further roots.
    ///
    /// # Errors
    /// When the file cannot be used, or the host can be no name of a certificate.
    pub fn new(url: &ServiceUrl, ca: Option<&Path>) -> Result<Self, TargetError> {
        let tls = if url.tls { Some(connector(&url.host, ca)?) } else { None };
        Ok(Self { host: url.host.clone(), port: url.port, tls })
    }

    /// Opens one connection.
    ///
    /// # Errors
    /// What the operating system or TLS said, or a time-out after 10 s.
    pub async fn dial(&self) -> std::io::Result<Stream> {
        let open = async {
            let tcp = TcpStream::connect((self.host.as_str(), self.port)).await?;
            tcp.set_nodelay(true)?;
            match &self.tls {
                None => Ok(Stream::Plain(tcp)),
                Some((connector, name)) => {
                    let stream = connector.connect(name.clone(), tcp).await?;
                    Ok(Stream::Tls(Box::new(stream)))
                }
            }
        };
        match tokio::time::timeout(CONNECT_WITHIN, open).await {
            Ok(result) => result,
            Err(_) => Err(std::io::Error::new(std::io::ErrorKind::TimedOut, "no connection within 10 s")),
        }
    }
}

fn connector(host: &str, ca: Option<&Path>) -> Result<(TlsConnector, ServerName<'static>), TargetError> {
    let mut roots = rustls::RootCertStore::empty();
    roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    if let Some(path) = ca {
        let refuse = |reason: String| TargetError::Certificates { path: path.to_owned(), reason };
        let mut found = false;
        for certificate in CertificateDer::pem_file_iter(path).map_err(|error| refuse(error.to_string()))? {
            let certificate = certificate.map_err(|error| refuse(error.to_string()))?;
            roots.add(certificate).map_err(|error| refuse(error.to_string()))?;
            found = true;
        }
        if !found {
            return Err(refuse("it holds no certificate".to_owned()));
        }
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| TargetError::Certificates {
            path: "the TLS library".into(),
            reason: error.to_string(),
        })?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let name = ServerName::try_from(host.to_owned())
        .map_err(|_| TargetError::Url(super::url::UrlError::Authority(host.to_owned())))?;
    Ok((TlsConnector::from(Arc::new(config)), name))
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<std::io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_write(cx, buf),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tls(stream) => Pin::new(stream.as_mut()).poll_shutdown(cx),
        }
    }
}
