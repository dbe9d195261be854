//! The container engine of this machine, by its own client, which speaks to engines of every age.

use std::ffi::OsStr;
use std::process::{Command, Output};
use std::time::Duration;

/// What every container, volume and network that the gate makes is labelled with; the value is the run's name.
pub const LABEL: &str = "org.grasp.gate";

/// How often a network is tried to be removed.
const TRIES: usize = 50;

/// The client cannot be run, or the engine says no.
#[derive(Debug, thiserror::Error)]
pub enum EngineError {
    /// There is no client.
    #[error("there is no `docker`; `make test` installs it and starts an engine: {0}")]
    NoClient(std::io::Error),
    /// The engine, or the client in its name, says no.
    #[error("docker {command}: {said}")]
    Refused {
        /// What was asked.
        command: String,
        /// What it said.
        said: String,
    },
}

/// Standard output of `docker <arguments>`, trimmed.
///
/// # Errors
/// When it fails.
pub fn docker<S: AsRef<OsStr>>(arguments: &[S]) -> Result<String, EngineError> {
    let output = output_of(arguments)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let words = arguments.iter().map(|argument| argument.as_ref().to_string_lossy());
    let command = words.collect::<Vec<_>>().join(" ");
    Err(EngineError::Refused { command, said: String::from_utf8_lossy(&output.stderr).trim().to_owned() })
}

/// The same while other tasks go on, of what has to succeed.
///
/// # Panics
/// When it fails.
pub async fn run(arguments: &[&str]) -> String {
    let arguments: Vec<String> = arguments.iter().map(|argument| (*argument).to_owned()).collect();
    let done = tokio::task::spawn_blocking(move || docker(&arguments)).await;
    done.unwrap_or_else(|error| panic!("{error}")).unwrap_or_else(|error| panic!("{error}"))
}

/// The last `lines` lines that a container has written, on standard output and on standard error.
#[must_use]
pub fn log(container: &str, lines: usize) -> String {
    match output_of(&["logs", "--tail", &lines.to_string(), container]) {
        Ok(output) => {
            [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat()
        }
        Err(error) => error.to_string(),
    }
}

fn output_of<S: AsRef<OsStr>>(arguments: &[S]) -> Result<Output, EngineError> {
    Command::new("docker").args(arguments).output().map_err(EngineError::NoClient)
}

/// The version of its programming interface, `1.41`, when an engine answers.
///
/// # Errors
/// When none does.
pub fn version() -> Result<String, EngineError> {
    docker(&["version", "--format", "{{.Server.APIVersion}}"])
}

/// Where it listens, as `DOCKER_HOST` would say it.
///
/// # Errors
/// When the client does not know.
pub fn host() -> Result<String, EngineError> {
    match std::env::var("DOCKER_HOST") {
        Ok(host) if !host.is_empty() => Ok(host),
        _ => docker(&["context", "inspect", "--format", "{{.Endpoints.docker.Host}}"]),
    }
}

/// What a run has left.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Left {
    /// Ids of containers.
    pub containers: Vec<String>,
    /// Names of volumes.
    pub volumes: Vec<String>,
    /// Ids of networks.
    pub networks: Vec<String>,
}

/// What a run has left.
///
/// # Errors
/// When the engine does not answer.
pub fn left_by(run: &str) -> Result<Left, EngineError> {
    let label = format!("label={LABEL}={run}");
    let lines = |said: String| said.lines().map(str::to_owned).collect();
    Ok(Left {
        containers: lines(docker(&["ps", "--all", "--quiet", "--no-trunc", "--filter", &label])?),
        volumes: lines(docker(&["volume", "ls", "--quiet", "--filter", &label])?),
        networks: lines(docker(&["network", "ls", "--quiet", "--no-trunc", "--filter", &label])?),
    })
}

/// Removes everything that a run has left.
///
/// # Errors
/// When the engine does not let us.
pub fn remove_all_of(run: &str) -> Result<(), EngineError> {
    let left = left_by(run)?;
    for container in left.containers {
        docker(&["rm", "--force", "--volumes", &container])?;
    }
    for volume in left.volumes {
        docker(&["volume", "rm", "--force", &volume])?;
    }
    left.networks.iter().try_for_each(|network| remove_network(network))
}

/// Removes a network, whoever is still on it. Its containers may be going at this moment, too: then the engine says no
/// for a while.
fn remove_network(network: &str) -> Result<(), EngineError> {
    let members =
        ["network", "inspect", "--format", "{{range $id, $_ := .Containers}}{{$id}} {{end}}", network];
    let mut tries = 0;
    loop {
        for container in docker(&members).unwrap_or_default().split_whitespace() {
            // One that has gone by itself is off the network as well.
            let _ = docker(&["network", "disconnect", "--force", network, container]);
        }
        tries += 1;
        match docker(&["network", "rm", network]) {
            Err(_) if tries < TRIES => std::thread::sleep(Duration::from_millis(100)),
            done => return done.map(drop),
        }
    }
}
