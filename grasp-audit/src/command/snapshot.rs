//! `grasp-audit snapshot`: a server's surface, written to a file.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::guest::{Guest, recorded};
use super::outputs::Outputs;
use super::reports::write;

pub(crate) const EXAMPLES: &str = "\
Examples:
  grasp-audit snapshot 127.0.0.1:7334 --out before.json
  grasp-audit diff before.json 127.0.0.1:7334           has anything changed since?

What varies (ids, dates, ports, our own names) is replaced by a name in angle brackets: two snapshots of a server that \
has not changed are the same bytes. It publishes a few dozen events, pushes to a few repositories of its own, and \
deletes them at the end.

Exit code: 0 written, 2 it could not be.";

#[derive(Args, Debug)]
pub(crate) struct SnapshotArgs {
    /// ws(s)://host[:port], http(s)://host[:port] or host[:port]
    url: String,
    /// Where to write it, JSON; standard output when not given
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    #[command(flatten)]
    guest: Guest,
}

pub(crate) async fn run(args: SnapshotArgs) -> Result<ExitCode, String> {
    Outputs::default().and("--out", args.out.as_ref()).check()?;
    let surface = recorded(&args.url, &args.guest.options()?).await?;
    let json = surface.to_json().map_err(|error| error.to_string())?;
    match &args.out {
        Some(path) => write(path, &json)?,
        None => print!("{json}"),
    }
    Ok(ExitCode::SUCCESS)
}
