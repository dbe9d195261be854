//! `grasp-audit replay`: a story from a file, told again.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use grasp_audit::escape::in_a_line;
use grasp_audit::property::{Outcome, Record, tell};

use super::property::told_story;
use super::server::ServerArgs;

pub(crate) const EXAMPLES: &str = "\
Examples:
  grasp-audit replay grasp-audit-story.json ws://127.0.0.1:7334

Identifiers and keys are fresh each time, so that a story does not meet what an earlier telling has left.
Exit code: 0 the story holds, 1 it does not, 2 it could not be told.";

#[derive(Args)]
pub(crate) struct ReplayArgs {
    /// A file that `grasp-audit property` has written
    file: PathBuf,
    /// ws(s)://host[:port], http(s)://host[:port] or host[:port]
    url: String,
    /// Show what goes over the wire, too
    #[arg(long)]
    wire: bool,
    #[command(flatten)]
    server: ServerArgs,
}

pub(crate) async fn run(args: ReplayArgs) -> Result<ExitCode, String> {
    let path = args.file.display();
    let text = std::fs::read_to_string(&args.file).map_err(|error| format!("cannot read {path}: {error}"))?;
    let record = Record::parse(&text).map_err(|error| format!("{path}: {error}"))?;
    let target = args.server.reach(&args.url).await?;
    println!(
        "a story for {}, written by suite {}, catalogue {}\ntold by {}",
        target.url.base(),
        in_a_line(&record.suite),
        in_a_line(&record.catalogue),
        grasp_audit::versions()
    );
    let told =
        tell(&target, &record.story, &args.server.telling(&target, record.seed, record.story.two_servers)?)
            .await;
    if args.wire {
        for entry in &told.transcript {
            println!("{:>6} ms {:<5} {:?} {}", entry.at_ms, entry.channel, entry.direction, entry.text);
        }
    }
    match told.outcome {
        Outcome::Broken(broken) => {
            print!("{}", told_story(&told.sentences, &broken.expected, &broken.seen));
            Ok(ExitCode::from(1))
        }
        Outcome::Held => {
            for (number, sentence) in told.sentences.iter().enumerate() {
                println!("{:>3}. {sentence}", number + 1);
            }
            println!("it holds");
            Ok(ExitCode::SUCCESS)
        }
        Outcome::Undecided => Err("the specification leaves too much open in this story".to_owned()),
        Outcome::Limited(why) | Outcome::CannotRun(why) => Err(why),
    }
}
