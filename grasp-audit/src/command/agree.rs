//! `grasp-audit agree`: whether servers hold the same repositories, events and refs.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use grasp_audit::agreement::{Agreement, Question, Server, terminal};
use grasp_audit::report::terminal::takes_colour;
use grasp_audit::target::Target;
use grasp_audit::target::patience::Patience;
use grasp_audit::target::url::ServiceUrl;

use super::outputs::Outputs;
use super::reports::write;
use super::values;

pub(crate) const EXAMPLES: &str = "\
Examples:
  grasp-audit agree one.example.org two.example.org three.example.org
  grasp-audit agree one.example.org two.example.org --within 60     they may take a minute
  grasp-audit agree git.example.org=127.0.0.1:7334 two.example.org  reached elsewhere than under its name
  grasp-audit agree git.example.org archive.example.org --everywhere --identifier hello

Nothing is written to the servers.
Exit code: 0 they agree, 1 they do not, 2 it could not be found out, or there is nothing to compare.";

#[derive(Args, Debug)]
pub(crate) struct AgreeArgs {
    /// Two servers or more: ws(s)://host[:port], http(s)://host[:port] or host[:port]; NAME=URL for one that
    /// announcements list under another name than the one by which it is reached
    #[arg(required = true, num_args = 2.., value_name = "URL")]
    servers: Vec<String>,
    /// Also on servers that a repository's announcement does not list
    #[arg(long)]
    everywhere: bool,
    /// Only repositories with this identifier; may be given several times
    #[arg(long = "identifier", value_name = "IDENTIFIER")]
    identifiers: Vec<String>,
    /// Ask again until they agree, for so long at most
    #[arg(long, default_value_t = 0, value_name = "SECS")]
    within: u64,
    /// Write the result as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// PEM file with further root certificates
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Multiply every wait by this: more than 1 for a slow or distant server
    #[arg(long, default_value = "1", value_name = "FACTOR", value_parser = values::patience, allow_negative_numbers = true)]
    patience: Patience,
}

pub(crate) async fn run(args: AgreeArgs) -> Result<ExitCode, String> {
    let ca = crate::absolute(args.ca)?;
    let given = args.servers.iter().map(|given| named(given)).collect::<Result<Vec<_>, _>>()?;
    if let Some(twice) = twice(&given) {
        return Err(format!("{twice} is named twice; give each server once"));
    }
    Outputs::default().and("--json", args.json.as_ref()).check()?;
    let mut servers = Vec::new();
    for (name, url) in given {
        let target = Target::discover(url, ca.clone()).await.map_err(|error| error.to_string())?;
        let target = Arc::new(target.with_patience(args.patience));
        servers.push(Server::new(target).named(name));
    }
    let question =
        Question { everywhere: args.everywhere, identifiers: args.identifiers.into_iter().collect() };
    let within = Duration::from_secs(args.within);
    let agreement = Agreement::reached(&servers, &question, within).await;
    let agreement = agreement.map_err(|error| error.to_string())?;
    print!("{}", terminal::render(&agreement, takes_colour()));
    if let Some(path) = &args.json {
        write(path, &agreement.to_json().map_err(|error| error.to_string())?)?;
    }
    Ok(ExitCode::from(agreement.exit_code()))
}

/// `NAME=URL`, or a URL that is the name too.
fn named(given: &str) -> Result<(ServiceUrl, &str), String> {
    let (name, url) = given.split_once('=').unwrap_or((given, given));
    Ok((ServiceUrl::parse(name).map_err(|error| error.to_string())?, url))
}

fn twice(given: &[(ServiceUrl, &str)]) -> Option<String> {
    let names: Vec<String> = given.iter().map(|(name, _)| name.authority()).collect();
    names
        .iter()
        .enumerate()
        .find(|(place, name)| names[..*place].contains(name))
        .map(|(_, name)| name.clone())
}
