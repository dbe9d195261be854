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
use super::values;

/// How long a server on this machine may take to show what it has answered.
const SETTLES_HERE: Duration = Duration::from_secs(1);
/// The same for a server elsewhere.
const SETTLES_ELSEWHERE: Duration = Duration::from_secs(10);
/// How long it may take, after a story of two servers, until the one shows what the two had together.
const SYNCED_WITHIN: Duration = Duration::from_secs(60);

#[derive(Args)]
pub(crate) struct ServerArgs {
    /// Repository identifiers begin with this
    #[arg(long, default_value = MARK, value_name = "PREFIX", value_parser = values::prefix)]
    identifier_prefix: String,
    /// PEM file with further root certificates
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// How long the server may take to show what it has answered [default: 1 on loopback, 10 elsewhere], or what two
    /// servers had together [60]
    #[arg(long, value_name = "SECS", value_parser = values::seconds, allow_negative_numbers = true)]
    settles: Option<Duration>,
    /// Multiply every wait by this: more than 1 for a slow or distant server
    #[arg(long, default_value = "1", value_name = "FACTOR", value_parser = values::patience, allow_negative_numbers = true)]
    patience: Patience,
    /// Leave on the server what was published
    #[arg(long)]
    no_cleanup: bool,
    #[command(flatten)]
    peers: PeerArgs,
}

impl ServerArgs {
    pub(crate) async fn reach(&self, url: &str) -> Result<Arc<Target>, String> {
        // before anything is asked of the server
        self.peers.address()?;
        let target = Target::discover(url, self.ca.clone()).await.map_err(|error| error.to_string())?;
        Ok(Arc::new(target.with_patience(self.patience)))
    }

    /// How stories are told to `target`, whether of it alone or of two servers.
    pub(crate) fn telling(&self, target: &Target, seed: u64, two_servers: bool) -> Result<Telling, String> {
        let usual = match (two_servers, is_here(target)) {
            (true, _) => SYNCED_WITHIN,
            (false, true) => SETTLES_HERE,
            (false, false) => SETTLES_ELSEWHERE,
        };
        let settles = self.settles.unwrap_or(usual);
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
