//! `make bench`: speed and memory of the server, each figure beside a baseline measured in the same run.
//!
//! The server is the release binary that stands beside this program, started fresh for each row on a loopback port of
//! the system's choice; what it writes goes into a temporary folder that goes at the end. Ours and the baseline take
//! turns, round by round, so that what else the machine does meets both; the ratio, not the figure, is the result.

mod broadcast;
mod events;
mod fanout;
mod figure;
mod history;
mod http;
mod idle;
mod in_step;
mod info_refs;
mod large;
mod planner;
mod process;
mod push_refs;
mod server;
mod silence;
mod socket;
mod sync;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use figure::Line;

/// What can go wrong in a benchmark: anything, and nobody could do more about it than read it.
pub(crate) type Result<T> = std::result::Result<T, Box<dyn std::error::Error + Send + Sync>>;

/// The rows, in the order of the report.
const ROWS: &[(&str, &str)] = &[
    ("info-refs", "info/refs and ls-refs of 1,000 refs"),
    ("push-refs", "a push that creates 1,000 refs"),
    ("memory", "peak memory while 300 MiB and 1 GiB are pushed and cloned"),
    ("clone", "a clone right after a push of 100 MiB"),
    ("silence", "the longest silence that a pushing client sees"),
    ("events", "accepted issue events"),
    ("fanout", "live delivery to 200 subscribers"),
    ("fanout-few", "live delivery to 2 of 200 subscribers"),
    ("sync", "a fresh server brought level with a full one"),
    ("in-step", "a second server that serves what has come to a first one"),
    ("planner", "a changed repository, with few and with many known to sync"),
    ("idle", "memory of an idle server and of idle connections"),
];

const USAGE: &str = "usage: bench [--json FILE] [--rounds COUNT] [--server PROGRAM] [ROW…]";

/// What all rows need to know.
pub(crate) struct Bench {
    /// The server's program.
    pub(crate) server: PathBuf,
    /// Where everything is written; gone at the end.
    pub(crate) folder: tempfile::TempDir,
    rounds: Option<usize>,
}

impl Bench {
    /// How often to repeat, unless the command line says.
    pub(crate) fn rounds(&self, usual: usize) -> usize {
        self.rounds.unwrap_or(usual)
    }

    /// A fresh folder below the one that goes at the end.
    pub(crate) fn subfolder(&self) -> Result<tempfile::TempDir> {
        Ok(tempfile::tempdir_in(self.folder.path())?)
    }
}

#[derive(Debug, Default)]
struct Arguments {
    json: Option<PathBuf>,
    rounds: Option<usize>,
    server: Option<PathBuf>,
    rows: Vec<String>,
}

impl Arguments {
    fn read(mut from: impl Iterator<Item = String>) -> Result<Self> {
        let mut read = Self::default();
        while let Some(argument) = from.next() {
            let mut value = || from.next().ok_or_else(|| format!("{argument} needs a value; {USAGE}"));
            match argument.as_str() {
                "--json" => read.json = Some(value()?.into()),
                "--server" => read.server = Some(value()?.into()),
                "--rounds" => read.rounds = Some(value()?.parse()?),
                row if ROWS.iter().any(|(name, _)| *name == row) => read.rows.push(argument),
                other => {
                    let rows: Vec<_> =
                        ROWS.iter().map(|(name, about)| format!("  {name:<12}{about}")).collect();
                    return Err(format!("no row is called {other:?}; {USAGE}\n{}", rows.join("\n")).into());
                }
            }
        }
        Ok(read)
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).peekable();
    let runtime = match tokio::runtime::Runtime::new() {
        Ok(runtime) => runtime,
        Err(error) => return failed(&error),
    };
    let ended = if arguments.next_if_eq(broadcast::COMMAND).is_some() {
        runtime.block_on(broadcast::serve(arguments.next().as_deref()))
    } else {
        Arguments::read(arguments).and_then(|arguments| {
            runtime.block_on(async {
                // What was begun is dropped, and with it servers and folders.
                tokio::select! {
                    ended = run(&arguments) => ended,
                    _ = tokio::signal::ctrl_c() => Err("interrupted".into()),
                }
            })
        })
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&*error),
    }
}

fn failed(error: &dyn std::error::Error) -> ExitCode {
    let _ = writeln!(std::io::stderr(), "bench: {error}");
    ExitCode::from(2)
}

async fn run(arguments: &Arguments) -> Result<()> {
    process::allow_many_files()?;
    let beside = std::env::current_exe()?.with_file_name("grasp-server");
    let server = arguments.server.clone().unwrap_or(beside);
    if !server.exists() {
        return Err(format!("{} is missing; `make bench` builds it", server.display()).into());
    }
    let bench = Bench { server: std::path::absolute(server)?, folder: folder()?, rounds: arguments.rounds };
    let mut lines = Vec::new();
    print(&figure::heading())?;
    for (name, about) in ROWS {
        if !arguments.rows.is_empty() && !arguments.rows.iter().any(|row| row == name) {
            continue;
        }
        let measured = match *name {
            "info-refs" => info_refs::measure(&bench).await,
            "push-refs" => push_refs::measure(&bench).await,
            "memory" => large::memory(&bench).await,
            "clone" => large::clone(&bench).await,
            "silence" => silence::measure(&bench).await,
            "events" => events::measure(&bench).await,
            "fanout" => fanout::all(&bench).await,
            "fanout-few" => fanout::few(&bench).await,
            "sync" => sync::measure(&bench).await,
            "in-step" => in_step::measure(&bench).await,
            "planner" => planner::measure(&bench),
            _ => idle::measure(&bench).await,
        };
        let measured: Vec<Line> = measured.map_err(|error| format!("{name} ({about}): {error}"))?;
        for line in &measured {
            print(&line.to_string())?;
        }
        lines.extend(measured.into_iter().map(|line| line.json(name)));
    }
    if let Some(path) = &arguments.json {
        std::fs::write(path, serde_json::to_string_pretty(&lines)?)?;
    }
    Ok(())
}

/// On a disk rather than in memory: what is durable must cost here what it costs.
fn folder() -> Result<tempfile::TempDir> {
    let usual = PathBuf::from("/var/tmp");
    let root = std::env::var_os("TMPDIR").map(PathBuf::from).unwrap_or(usual);
    let root = if root.is_dir() { root } else { std::env::temp_dir() };
    Ok(tempfile::Builder::new().prefix("grasp-bench-").tempdir_in(root)?)
}

fn print(text: &str) -> Result<()> {
    Ok(writeln!(std::io::stdout(), "{text}")?)
}
