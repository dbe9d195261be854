//! `grasp-audit diff`: two surfaces side by side, each a file or a server.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use grasp_audit::report::terminal::takes_colour;
use grasp_audit::surface::difference::{Difference, html, markdown, terminal};
use grasp_audit::{Options, Surface, document};

use super::guest::{Guest, is_file, recorded};
use super::outputs::Outputs;
use super::reports::write;

pub(crate) const EXAMPLES: &str = "\
Examples:
  grasp-audit diff before.json after.json
  grasp-audit diff before.json 127.0.0.1:7334 --markdown changes.md
  grasp-audit diff one.example.org two.example.org --html difference.html

Exit code: 0 they show the same, 1 they differ, 2 it could not be found out.";

#[derive(Args, Debug)]
pub(crate) struct DiffArgs {
    /// A file of `grasp-audit snapshot`, or the URL of a server
    a: String,
    /// The same, to be compared with it
    b: String,
    /// Write the difference as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write it as Markdown
    #[arg(long, value_name = "FILE")]
    markdown: Option<PathBuf>,
    /// Write it as one HTML page
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    #[command(flatten)]
    guest: Guest,
}

pub(crate) async fn run(args: DiffArgs) -> Result<ExitCode, String> {
    let options = args.guest.options()?;
    // files first: a wrong one is told before a server is troubled
    let (known_a, known_b) = (from_file(&args.a)?, from_file(&args.b)?);
    let outputs = Outputs::default().and("--json", args.json.as_ref());
    outputs.and("--markdown", args.markdown.as_ref()).and("--html", args.html.as_ref()).check()?;
    let a = or_from_server(known_a, &args.a, &options).await?;
    let b = or_from_server(known_b, &args.b, &options).await?;
    let difference = Difference::between((&args.a, &a), (&args.b, &b));
    print!("{}", terminal::render(&difference, takes_colour()));
    if let Some(path) = &args.json {
        write(path, &difference.to_json().map_err(|error| error.to_string())?)?;
    }
    if let Some(path) = &args.markdown {
        write(path, &markdown::render(&difference))?;
    }
    if let Some(path) = &args.html {
        write(path, &html::render(&difference))?;
    }
    Ok(ExitCode::from(difference.exit_code()))
}

fn from_file(given: &str) -> Result<Option<Surface>, String> {
    if !is_file(given) {
        return Ok(None);
    }
    document::read(Path::new(given)).map(Some).map_err(|error| error.to_string())
}

async fn or_from_server(known: Option<Surface>, url: &str, options: &Options) -> Result<Surface, String> {
    match known {
        Some(surface) => Ok(surface),
        None => recorded(url, options).await,
    }
}
