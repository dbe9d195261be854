//! The command: reads the settings, runs the server until it is told to stop, or asks one that runs how it is.

use std::collections::BTreeMap;
use std::io::{self, IsTerminal as _, Write as _};
use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;

use crate::config::{self, Cli, Config, ConfigError, EffectiveValue};
use crate::healthcheck;
use crate::owner_key;
use crate::server::Server;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

/// Exit code for settings that cannot be used.
const BAD_SETTINGS: u8 = 2;

/// The event database says on an empty folder, too, that it migrates.
const QUIET: &str = "nostr_lmdb=warn";

/// Exit code after a second signal, as shells count an interrupt.
const INTERRUPTED: i32 = 130;

/// Runs the program by its command line and the environment; returns its exit code.
#[must_use]
pub fn run() -> ExitCode {
    let matches = Cli::command().get_matches();
    let (config, values, unknown) = match settings(&Cli::from_matches(&matches)) {
        Ok(settings) => settings,
        Err(errors) => {
            for error in &errors {
                complain(&format!("error: {error}"));
            }
            return ExitCode::from(BAD_SETTINGS);
        }
    };
    match matches.subcommand_name() {
        Some("check-config") => return show(&config, &values, &unknown),
        Some("healthcheck") => return block_on(healthcheck(config.bind_address)),
        _ => {}
    }
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal())
        // Checked when the settings were.
        .with_env_filter(EnvFilter::new(format!("{QUIET},{}", config.log_level)))
        .init();
    for name in unknown {
        tracing::warn!(name, "this variable is no setting of this server");
    }
    block_on(serve(config))
}

type Settings = (Config, Vec<EffectiveValue>, Vec<String>);

/// From the command line, the environment and `.env`.
fn settings(cli: &Cli) -> Result<Settings, Vec<ConfigError>> {
    let dotenv = dotenv().map_err(|wrong| vec![wrong])?;
    let environment = |name: &str| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned());
    let (config, values) = Config::load(cli, environment, |name| dotenv.get(name).cloned())?;
    let names = std::env::vars_os().map(|(name, _)| name.to_string_lossy().into_owned());
    let mut unknown = config::unknown_names(names.chain(dotenv.into_keys()));
    unknown.sort();
    unknown.dedup();
    Ok((config, values, unknown))
}

/// The lines of `.env` in the working directory; none when there is no such file.
fn dotenv() -> Result<BTreeMap<String, String>, ConfigError> {
    let wrong = |wrong: dotenvy::Error| match wrong {
        // Its text may be a secret.
        dotenvy::Error::LineParse(text, _) => {
            let lines = std::fs::read_to_string(".env").unwrap_or_default();
            let number = lines.lines().position(|line| line.contains(text.trim())).unwrap_or_default() + 1;
            ConfigError::DotEnv(format!("line {number} cannot be read; a value with spaces needs quotes"))
        }
        other => ConfigError::DotEnv(other.to_string()),
    };
    match dotenvy::from_path_iter(".env") {
        Ok(lines) => lines.collect::<Result<_, _>>().map_err(wrong),
        Err(missing) if missing.not_found() => Ok(BTreeMap::new()),
        Err(other) => Err(wrong(other)),
    }
}

fn show(config: &Config, values: &[EffectiveValue], unknown: &[String]) -> ExitCode {
    let text: String = values.iter().map(|value| format!("{value}\n")).collect();
    for name in unknown {
        complain(&format!("{name} is set and is no setting of this server"));
    }
    let key = owner_key::check(config.relay_owner_nsec.as_ref(), Path::new("."));
    if let Err(wrong) = &key {
        complain(&format!("error: {wrong}"));
    }
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) if key.is_err() => ExitCode::from(BAD_SETTINGS),
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn block_on(work: impl Future<Output = Result<(), Box<dyn std::error::Error>>>) -> ExitCode {
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(failed) => {
            complain(&format!("error: no runtime: {failed}"));
            return ExitCode::FAILURE;
        }
    };
    match runtime.block_on(work) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            complain(&format!("error: {failed}"));
            ExitCode::FAILURE
        }
    }
}

async fn healthcheck(bind: SocketAddr) -> Result<(), Box<dyn std::error::Error>> {
    healthcheck::ask(bind).await?;
    writeln!(io::stdout(), "ok")?;
    Ok(())
}

async fn serve(config: Config) -> Result<(), Box<dyn std::error::Error>> {
    // Before anything is opened, so that no signal finds us without an answer.
    let mut signals =
        Signals { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? };
    let running = Server::start(config).await?;
    tracing::info!(address = %running.address(), "listening");
    signals.next().await;
    tracing::info!("stopping; a second signal ends at once");
    tokio::select! {
        () = running.stop() => tracing::info!("stopped"),
        () = signals.next() => {
            tracing::warn!("ended at once");
            std::process::exit(INTERRUPTED);
        }
    }
    Ok(())
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

/// To the person at the terminal; when even that is closed, nothing is left to be done.
fn complain(text: &str) {
    let _ = writeln!(io::stderr(), "{text}");
}
