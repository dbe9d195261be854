//! Asks the server that runs with these settings, on this machine, whether it is well: for containers and
//! supervisors, where no other HTTP client may be at hand. It looks at nothing but the answer of `/healthz`.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use bytes::Bytes;
use http::{Request, StatusCode, header};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// How long the answer may take, the connection included.
const WITHIN: Duration = Duration::from_secs(4);

/// Why the server is not well, or cannot be asked.
#[derive(Debug, thiserror::Error)]
pub enum Unwell {
    /// The settings leave the port to the system, so it cannot be known here.
    #[error(
        "NGIT_BIND_ADDRESS leaves the port to the system, so where the server listens cannot be told; name a port"
    )]
    PortUnknown,
    /// Nobody listens, or whoever does speaks no HTTP.
    #[error("no answer from http://{address}/healthz: {why}")]
    NoAnswer {
        /// Who was asked.
        address: SocketAddr,
        /// What the system or the HTTP client says.
        why: String,
    },
    /// Nothing came in time.
    #[error("no answer from http://{0}/healthz within {within} seconds", within = WITHIN.as_secs())]
    Silent(SocketAddr),
    /// It answers, and not with 200: 503 while it stops or is full.
    #[error("http://{address}/healthz answers {status}")]
    Answers {
        /// Who was asked.
        address: SocketAddr,
        /// What it said.
        status: StatusCode,
    },
}

/// Asks the server that is bound to `bind`.
///
/// # Errors
/// When it does not answer 200 within four seconds.
pub async fn ask(bind: SocketAddr) -> Result<(), Unwell> {
    let address = reached_at(bind).ok_or(Unwell::PortUnknown)?;
    let status = tokio::time::timeout(WITHIN, status(address)).await.map_err(|_| Unwell::Silent(address))?;
    match status {
        Ok(StatusCode::OK) => Ok(()),
        Ok(status) => Err(Unwell::Answers { address, status }),
        Err(why) => Err(Unwell::NoAnswer { address, why: why.to_string() }),
    }
}

/// Where somebody on this machine reaches a server bound to `bind`.
fn reached_at(bind: SocketAddr) -> Option<SocketAddr> {
    let ip = match bind.ip() {
        ip if !ip.is_unspecified() => ip,
        IpAddr::V4(_) => IpAddr::V4(Ipv4Addr::LOCALHOST),
        IpAddr::V6(_) => IpAddr::V6(Ipv6Addr::LOCALHOST),
    };
    (bind.port() != 0).then(|| SocketAddr::new(ip, bind.port()))
}

async fn status(address: SocketAddr) -> Result<StatusCode, Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(address).await?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let request =
        Request::get("/healthz").header(header::HOST, address.to_string()).body(Empty::<Bytes>::new())?;
    tokio::select! {
        response = sender.send_request(request) => Ok(response?.status()),
        ended = connection => Err(ended.err().map_or_else(|| "the connection was closed".into(), Into::into)),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn a_server_bound_to_every_address_is_asked_on_loopback() {
        let reached = |bind: &str| reached_at(bind.parse().unwrap()).map(|address| address.to_string());
        assert_eq!(reached("0.0.0.0:7334").as_deref(), Some("127.0.0.1:7334"));
        assert_eq!(reached("[::]:7334").as_deref(), Some("[::1]:7334"));
        assert_eq!(reached("192.0.2.7:80").as_deref(), Some("192.0.2.7:80"));
        assert_eq!(reached("127.0.0.1:0"), None);
    }
}
