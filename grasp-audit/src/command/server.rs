//! How a story's server is reached: what `property` and `replay` have in common.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use grasp_audit::context::MARK;
use grasp_audit::peer::Lodging;
use grasp_audit::property::{Peers, Telling};
use grasp_audit::target::Target;
use grasp_audit::target::patience::Patience;

use super::peers::PeerArgs;

/// How long a server on this machine may take to show what it has answered.
const SETTLES_HERE: f64 = 1.0;
/// The same for a server elsewhere.
const SETTLES_ELSEWHERE: f64 = 10.0;
/// How long it may take, after a story of two servers, until the one shows what the two had together.
const SYNCED_WITHIN: f64 = 60.0;

#[derive(Args)]
pub(crate) struct ServerArgs {
    /// Repository identifiers begin with this
    #[arg(long, default_value = MARK, value_name = "PREFIX")]
    identifier_prefix: String,
    /// PEM file with further root certificates
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// How long the server may take to show what it has answered [default: 1 on loopback, 10 elsewhere], or what two
    /// servers had together [60]
    #[arg(long, value_name = "SECS")]
    settles: Option<f64>,
    /// Multiply every wait by this: more than 1 for a slow or distant server
    #[arg(long, default_value_t = 1.0, value_name = "FACTOR")]
    patience: f64,
    /// Leave on the server what was published
    #[arg(long)]
    no_cleanup: bool,
    #[command(flatten)]
    peers: PeerArgs,
}

impl ServerArgs {
    pub(crate) async fn reach(&self, url: &str) -> Result<Arc<Target>, String> {
        let target = Target::discover(url, self.ca.clone()).await.map_err(|error| error.to_string())?;
        Ok(Arc::new(target.with_patience(Patience::new(self.patience))))
    }

    /// How stories are told to `target`, whether of it alone or of two servers.
    pub(crate) fn telling(&self, target: &Target, seed: u64, two_servers: bool) -> Result<Telling, String> {
        let usual = match (two_servers, is_here(target)) {
            (true, _) => SYNCED_WITHIN,
            (false, true) => SETTLES_HERE,
            (false, false) => SETTLES_ELSEWHERE,
        };
        let settles = self.settles.unwrap_or(usual);
        let settles = Duration::try_from_secs_f64(settles)
            .map_err(|_| format!("--settles {settles} is no number of seconds; give for example 2.5"))?;
        let peers = Arc::new(Peers::new(Lodging::new(self.peers.address()?)));
        let prefix = self.identifier_prefix.clone();
        Ok(Telling { seed, prefix, settles, cleanup: !self.no_cleanup, peers })
    }
}

/// Whether the server is on this machine: nobody else minds what is done to it.
pub(crate) fn is_here(target: &Target) -> bool {
    let host = target.url.host.as_str();
    host == "localhost" || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}
