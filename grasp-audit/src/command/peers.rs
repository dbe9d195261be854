//! `grasp-audit audit --peer-…`: where the server finds the auditor when it plays another server (GRASP-02).

use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};

use clap::Args;
use grasp_audit::peer::PeerAddress;
use grasp_audit::target::url::ServiceUrl;

/// Where the auditor's peers are.
#[derive(Args, Debug)]
#[command(
    next_help_heading = "Sync (GRASP-02): the auditor plays another server, from which yours is to fetch"
)]
pub(crate) struct PeerArgs {
    /// Listen here. Port 0: a port of its own for each check
    #[arg(long, value_name = "ADDRESS:PORT", default_value_t = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 0))]
    peer_bind: SocketAddr,
    /// The server reaches what is bound under this address: ws(s)://host[:port], a tunnel's for example
    #[arg(long, value_name = "URL")]
    peer_url: Option<String>,
    /// The server can reach the peer, I know: if it does not come, that is a failure and no reason to skip
    #[arg(long)]
    peer_reachable: bool,
}

/// Whether it can be listened at, said once and not by every check.
fn free(bind: SocketAddr) -> Result<(), String> {
    let listener = TcpListener::bind(bind);
    listener.map(drop).map_err(|error| {
        format!("--peer-bind {bind} cannot be listened at ({error}); give an address of this machine with a free port")
    })
}

impl PeerArgs {
    /// Where they are, tried.
    pub(crate) fn address(&self) -> Result<PeerAddress, String> {
        let url = self.peer_url.as_deref().map(ServiceUrl::parse).transpose();
        let url = url.map_err(|error| format!("--peer-url: {error}"))?;
        let address = PeerAddress { bind: self.peer_bind, url, reachable: self.peer_reachable };
        address.check()?;
        free(self.peer_bind)?;
        Ok(address)
    }
}
