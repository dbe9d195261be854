//! The command line of the suite: audit, property, replay, snapshot, diff, agree, probe, list, explain.

#[macro_use]
mod out;

mod command;
mod progress;

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::LazyLock;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use grasp_audit::catalogue;
use grasp_audit::context::Expiry;
use grasp_audit::target::patience::Patience;
use grasp_audit::{Options, Suite, hardening, probe};
use nostr::key::Keys;

use self::command::values;

const EXAMPLES: &str = "\
Examples:
  grasp-audit audit ws://127.0.0.1:7334                 examine a server on this machine
  grasp-audit audit wss://grasp.example.org --jobs 2    a public one, gently
  grasp-audit audit 127.0.0.1:7334 --filter G01/cors    one section only
  grasp-audit audit … --html report.html --markdown report.md --junit report.xml
  grasp-audit audit … --baseline last.json              fail only on what got worse
  grasp-audit audit … --filter G02 --peer-bind 127.0.0.1:7777 --peer-url wss://tunnel.example
                                                        sync, examined through a tunnel
  grasp-audit audit one.example two.example --html c.html   side by side
  grasp-audit audit 127.0.0.1:7334 --hardening          and hostile input; explains itself and asks first
  grasp-audit audit … --hardening --filter H/git        hostile input only, and only git's
  grasp-audit probe grasp.example.org --watch 60        healthy? every minute
  grasp-audit explain G01/cors/options                  what is asked, and how it is examined

Exit code: 0 every MUST holds, 1 a MUST does not, 2 it could not be examined, or nothing was, 130 after Ctrl-C (what was published is taken back first). Hardening changes it only \
with --hardening-must-hold.";

const PROBE_EXAMPLES: &str = "\
Examples:
  grasp-audit probe grasp.example.org             once
  grasp-audit probe grasp.example.org --watch     every 30 seconds, until Ctrl-C
  grasp-audit probe 127.0.0.1:7334 --watch 5      every 5 seconds

Nothing is written to the server.
Exit code: 0 all is well, 1 something is not, 2 the server could not be reached; with --watch, that of the last look.";

/// Examines GRASP servers (git hosting authorised by signed Nostr events) from outside, by the public protocols.
#[derive(Parser)]
#[command(version = version(), after_help = EXAMPLES)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

/// Of the suite, and of what it implements.
fn version() -> &'static str {
    static TEXT: LazyLock<String> = LazyLock::new(|| {
        let (catalogue, cases) = (catalogue::REVISION, hardening::REVISION);
        format!("{} (catalogue {catalogue}, hardening cases {cases})", grasp_audit::VERSION)
    });
    &TEXT
}

#[derive(Subcommand)]
enum Command {
    /// Examine a server: every check, or those of --filter
    #[command(after_help = EXAMPLES)]
    Audit(Box<AuditArgs>),
    /// Tell generated stories to a server, each step held against a model of the specification
    #[command(after_help = command::property::EXAMPLES)]
    Property(Box<command::property::PropertyArgs>),
    /// Tell a story again that `property` has written to a file
    #[command(after_help = command::replay::EXAMPLES)]
    Replay(Box<command::replay::ReplayArgs>),
    /// Record what a server shows to the outside, in a form that can be compared
    #[command(after_help = command::snapshot::EXAMPLES)]
    Snapshot(Box<command::snapshot::SnapshotArgs>),
    /// Compare two snapshots, or servers: what changed, and which requirements it touches
    #[command(after_help = command::diff::EXAMPLES)]
    Diff(Box<command::diff::DiffArgs>),
    /// Tell whether servers hold the same: each repository's events, by id, and refs
    #[command(after_help = command::agree::EXAMPLES)]
    Agree(Box<command::agree::AgreeArgs>),
    /// Read-only health check, over in seconds
    #[command(after_help = PROBE_EXAMPLES)]
    Probe(ProbeArgs),
    /// List the requirements, the checks that prove them, and the cases of --hardening
    #[command(after_help = command::catalogue::LIST_EXAMPLES)]
    List(command::catalogue::ListArgs),
    /// Explain a requirement, a check, a case of --hardening, or a section of them
    #[command(after_help = command::catalogue::EXPLAIN_EXAMPLES)]
    Explain(command::catalogue::ExplainArgs),
}

#[derive(Args)]
struct AuditArgs {
    /// ws(s)://host[:port], http(s)://host[:port] or host[:port]; not needed with --list and --explain.
    /// Several are examined one after the other and compared
    #[arg(required_unless_present_any = ["list", "explain"], value_name = "URL")]
    urls: Vec<String>,
    /// Checks at the same time
    #[arg(long, default_value = "4", value_name = "N", value_parser = values::at_least_one::<usize>)]
    jobs: usize,
    /// Only checks whose id holds this, or matches it as a pattern with *
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
    /// List the checks and end
    #[arg(long)]
    list: bool,
    /// Explain a requirement or a check and end
    #[arg(long, value_name = "ID")]
    explain: Option<String>,
    /// Secret key that owns everything, for servers with allow lists (nsec1… or hex)
    #[arg(long, env = "GRASP_AUDIT_NSEC", hide_env_values = true)]
    nsec: Option<String>,
    /// Repository identifiers begin with this
    #[arg(long, default_value = "grasp-audit", value_name = "PREFIX", value_parser = values::prefix)]
    identifier_prefix: String,
    /// PEM file with further root certificates
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Also run the checks that wait for expiry, tens of minutes each
    #[arg(long)]
    patient: bool,
    /// After how many seconds the server forgets what waits in purgatory
    #[arg(long, default_value_t = 1800, value_name = "SECS")]
    purgatory_expiry: u64,
    /// After how many seconds the server removes refs/nostr/… without an event
    #[arg(long, default_value_t = 1200, value_name = "SECS")]
    nostr_ref_expiry: u64,
    /// An identifier that the server archives whoever owns the repository (GRASP-05); not needed where it archives all
    #[arg(long, value_name = "IDENTIFIER", value_parser = values::identifier)]
    archived: Option<String>,
    /// Multiply every wait by this: more than 1 for a slow or distant server
    #[arg(long, default_value = "1", value_name = "FACTOR", value_parser = values::patience, allow_negative_numbers = true)]
    patience: Patience,
    /// Leave on the server what was published
    #[arg(long)]
    no_cleanup: bool,
    /// No line for what passed: only failures, remarks, the reasons for skips, and the totals
    #[arg(long, short)]
    quiet: bool,
    #[command(flatten)]
    peers: command::peers::PeerArgs,
    #[command(flatten)]
    hardening: command::hardening::HardeningArgs,
    #[command(flatten)]
    reports: command::reports::ReportFiles,
}

#[derive(Args)]
struct ProbeArgs {
    /// ws(s)://host[:port], http(s)://host[:port] or host[:port]
    url: String,
    /// Again and again, every SECS seconds, 30 when not given
    #[arg(long, value_name = "SECS", num_args = 0..=1, default_missing_value = "30", value_parser = values::at_least_one::<u64>)]
    watch: Option<u64>,
    /// PEM file with further root certificates
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
}

#[tokio::main]
async fn main() -> ExitCode {
    let outcome = match Cli::parse().command {
        Command::Audit(args) => audit(*args).await,
        Command::Property(args) => command::property::run(*args).await,
        Command::Replay(args) => command::replay::run(*args).await,
        Command::Snapshot(args) => command::snapshot::run(*args).await,
        Command::Diff(args) => command::diff::run(*args).await,
        Command::Agree(args) => command::agree::run(*args).await,
        Command::Probe(args) => probe_command(args).await,
        Command::List(args) => args.run(),
        Command::Explain(args) => args.run(),
    };
    outcome.unwrap_or_else(|error| {
        eprintln!("error: {error}");
        ExitCode::from(2)
    })
}

async fn audit(args: AuditArgs) -> Result<ExitCode, String> {
    if let Some(id) = &args.explain {
        return command::catalogue::explain(id);
    }
    if args.list {
        return command::catalogue::list(args.filter);
    }
    let options = Options {
        jobs: args.jobs,
        filter: args.filter.clone(),
        owner: args.nsec.as_deref().map(parse_key).transpose()?,
        identifier_prefix: args.identifier_prefix,
        ca: absolute(args.ca)?,
        patient: args.patient,
        expiry: Expiry {
            purgatory: Duration::from_secs(args.purgatory_expiry),
            nostr_ref: Duration::from_secs(args.nostr_ref_expiry),
        },
        cleanup: !args.no_cleanup,
        patience: args.patience,
        peers: args.peers.address()?,
        archived: args.archived,
    };
    if Suite::new(options.clone()).selected().is_empty() && !args.hardening.selects_any(&options) {
        return Err(command::catalogue::nothing_matches(args.filter.as_deref()));
    }
    command::audit::run(&args.urls, &options, &args.reports, &args.hardening, args.quiet).await
}

async fn probe_command(args: ProbeArgs) -> Result<ExitCode, String> {
    loop {
        let looked = probe::probe(&args.url, args.ca.clone()).await;
        let code = match &looked {
            Ok(findings) => {
                for finding in findings {
                    println!(
                        "{} {:<10} {}",
                        if finding.healthy { "ok  " } else { "FAIL" },
                        finding.what,
                        finding.detail
                    );
                }
                u8::from(!findings.iter().all(|finding| finding.healthy))
            }
            Err(error) => {
                eprintln!("error: {error}");
                2
            }
        };
        let Some(seconds) = args.watch.filter(|_| !out::is_unread()) else {
            return Ok(ExitCode::from(code));
        };
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(seconds)) => println!(),
            _ = tokio::signal::ctrl_c() => return Ok(ExitCode::from(code)),
        }
    }
}

/// Git runs in folders of its own, so a path has to mean the same everywhere.
fn absolute(path: Option<PathBuf>) -> Result<Option<PathBuf>, String> {
    let Some(path) = path else { return Ok(None) };
    let found = path.canonicalize();
    found
        .map(Some)
        .map_err(|error| format!("--ca: {} cannot be read ({error}); give a PEM file", path.display()))
}

fn parse_key(text: &str) -> Result<Keys, String> {
    let from_environment = std::env::var("GRASP_AUDIT_NSEC").is_ok_and(|value| value == text);
    let source = if from_environment { "the variable GRASP_AUDIT_NSEC" } else { "--nsec" };
    Keys::parse(text)
        .map_err(|error| format!("{source} is no secret key ({error}); give nsec1… or 64 hex digits"))
}
