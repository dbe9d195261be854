//! One server in a container, or a network for some of them, for a test that holds this process by a pipe: when standard
//! input ends, whatever the reason, everything goes that was made.
//!
//! testcontainers leaves that to a container of its own (ryuk), whose image must be pulled from a registry. Here two
//! processes do it: the outer one keeps the engine at hand and cleans up, also when the inner one, which speaks
//! to the engine through testcontainers, has died.
#![allow(clippy::print_stderr)]

mod forwarder;
mod inner;

use std::io::Read as _;
use std::process::{Command, ExitCode};

use serde_json::json;
use spec_tests::companion::Kept;
use spec_tests::engine;
use tempfile::TempDir;
use testcontainers::bollard::API_DEFAULT_VERSION;

/// Set for the inner process.
const INNER: &str = "GRASP_CONTAINER_INNER";

fn main() -> ExitCode {
    let argument = std::env::args().nth(1).unwrap_or_default();
    let Ok(kept) = serde_json::from_str::<Kept>(&argument) else {
        eprintln!("usage: container-under-test JSON (spec_tests::companion starts this)");
        return ExitCode::from(2);
    };
    let done = match &kept {
        Kept::Container(wanted) if std::env::var_os(INNER).is_some() => return inner::run(wanted),
        Kept::Container(_) => outer(&argument),
        Kept::Network { run } => network(run).map(|()| true),
    };
    let succeeded = done.unwrap_or_else(|why| inner::tell_failure(&why));
    let removed = engine::remove_all_of(kept.run())
        .inspect_err(|error| eprintln!("not everything is removed: {error}"));
    if succeeded && removed.is_ok() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Makes a network that leads nowhere else, says what it is called, and waits until standard input ends.
fn network(run: &str) -> Result<(), String> {
    let (name, label) = (format!("grasp-gate-{run}"), format!("{}={run}", engine::LABEL));
    engine::docker(&["network", "create", "--internal", "--label", &label, &name])
        .map_err(|error| error.to_string())?;
    inner::tell(&json!({ "network": name }));
    std::io::stdin().read_to_end(&mut Vec::new()).map(drop).map_err(|error| error.to_string())
}

/// Runs the inner process on an engine that understands it; whether that ended well.
fn outer(argument: &str) -> Result<bool, String> {
    let folder = TempDir::with_prefix("grasp-companion-").map_err(|error| error.to_string())?;
    let engine = Engine::reached_from(&folder)?;
    let this = std::env::current_exe().map_err(|error| error.to_string())?;
    let status = Command::new(this).arg(argument).env(INNER, "1").env("DOCKER_HOST", engine.host).status();
    status.map(|status| status.success()).map_err(|error| error.to_string())
}

/// An engine that understands what testcontainers says.
struct Engine {
    host: String,
    _forwarding: Option<forwarder::Forwarder>,
}

impl Engine {
    /// The engine itself when it is as new as testcontainers, or a socket in `folder` that leads to it.
    fn reached_from(folder: &TempDir) -> Result<Self, String> {
        let version = engine::version().map_err(|error| error.to_string())?;
        let host = engine::host().map_err(|error| error.to_string())?;
        if number(&version) >= number(&API_DEFAULT_VERSION.to_string()) {
            return Ok(Self { host, _forwarding: None });
        }
        let Some(socket) = host.strip_prefix("unix://") else {
            return Err(format!(
                "the engine at {host} speaks {version} of its interface, and testcontainers {API_DEFAULT_VERSION}; \
                 this is bridged for engines on a unix socket only"
            ));
        };
        let here = folder.path().join("engine");
        let forwarder = forwarder::Forwarder::start(&here, socket.into(), &version)
            .map_err(|error| format!("cannot forward to the engine: {error}"))?;
        Ok(Self { host: format!("unix://{}", here.display()), _forwarding: Some(forwarder) })
    }
}

/// `1.41` as (1, 41).
fn number(version: &str) -> (u32, u32) {
    let (major, minor) = version.split_once('.').unwrap_or((version, "0"));
    (major.parse().unwrap_or(0), minor.parse().unwrap_or(0))
}
