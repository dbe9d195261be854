//! The container engine of this machine, by its own client, which speaks to engines of every age.

use std::ffi::OsStr;
use std::process::{Command, Output};

/// What every container and volume that the gate makes is labelled with; the value is the run's name.
pub const LABEL: &str = "org.grasp.gate";

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
    let output = run(arguments)?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned());
    }
    let words = arguments.iter().map(|argument| argument.as_ref().to_string_lossy());
    let command = words.collect::<Vec<_>>().join(" ");
    Err(EngineError::Refused { command, said: String::from_utf8_lossy(&output.stderr).trim().to_owned() })
}

/// The last `lines` lines that a container has written, on standard output and on standard error.
#[must_use]
pub fn log(container: &str, lines: usize) -> String {
    match run(&["logs", "--tail", &lines.to_string(), container]) {
        Ok(output) => {
            [output.stdout, output.stderr].map(|text| String::from_utf8_lossy(&text).into_owned()).concat()
        }
        Err(error) => error.to_string(),
    }
}

fn run<S: AsRef<OsStr>>(arguments: &[S]) -> Result<Output, EngineError> {
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

/// What a run has left: ids of containers, names of volumes.
///
/// # Errors
/// When the engine does not answer.
pub fn left_by(run: &str) -> Result<(Vec<String>, Vec<String>), EngineError> {
    let label = format!("label={LABEL}={run}");
    let lines = |said: String| said.lines().map(str::to_owned).collect();
    let containers = docker(&["ps", "--all", "--quiet", "--no-trunc", "--filter", &label])?;
    let volumes = docker(&["volume", "ls", "--quiet", "--filter", &label])?;
    Ok((lines(containers), lines(volumes)))
}

/// Removes everything that a run has left.
///
/// # Errors
/// When the engine does not let us.
pub fn remove_all_of(run: &str) -> Result<(), EngineError> {
    let (containers, volumes) = left_by(run)?;
    for container in containers {
        docker(&["rm", "--force", "--volumes", &container])?;
    }
    for volume in volumes {
        docker(&["volume", "rm", "--force", &volume])?;
    }
    Ok(())
}
