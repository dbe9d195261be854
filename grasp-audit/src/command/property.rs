//! `grasp-audit property`: generated stories against a server.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use grasp_audit::property::{
    Failure, Findings, Outcome, Plan, Progress, Record, Row, Scope, Telling, Told, explore, tell,
};
use grasp_audit::target::Target;
use indicatif::{ProgressBar, ProgressStyle};
use serde_json::json;

use super::outputs::Outputs;
use super::server::{ServerArgs, is_here};
use super::values;

pub(crate) const EXAMPLES: &str = "\
Generates stories: a few people announce repositories, publish states, push, open pull requests, delete. After every \
step the server's answer and everything it shows (events, refs, HEAD) is held against a reference model of the \
specification's decision table. A story that fails is made as short as possible, told in words, and written to a file. \
With --sync, things happen at the server and at a peer that the auditor plays; in the end the server has to show what \
the two had together.

Examples:
  grasp-audit property ws://127.0.0.1:7334                          100 stories
  grasp-audit property ws://127.0.0.1:7334 --cases 2000 --seed 7    the same 2,000 each time
  grasp-audit property wss://grasp.example.org --for 600            ten minutes, one story at a time
  grasp-audit property ws://127.0.0.1:7334 --sync                   what comes from another server
  grasp-audit replay story.json ws://127.0.0.1:7334                 a story that failed, once more

Exit code: 0 every story held, 1 one did not, 2 it could not be examined.";

/// How many stories, and how many steps each has at most, unless somebody says so.
const CASES: u64 = 100;
const STEPS: u16 = 12;
/// The same of two servers: a story takes seconds until everything has come.
const SYNC_CASES: u64 = 40;
const SYNC_STEPS: u16 = 8;

#[derive(Args)]
pub(crate) struct PropertyArgs {
    /// ws(s)://host[:port], http(s)://host[:port] or host[:port]
    url: String,
    /// Stories of two servers (GRASP-02): the auditor plays the other one
    #[arg(long)]
    sync: bool,
    /// How many stories [default: 100, with --sync 40]
    #[arg(long, value_name = "N", value_parser = values::at_least_one::<u64>)]
    cases: Option<u64>,
    /// Which stories: the same seed, the same stories [default: a random one, which is told]
    #[arg(long, value_name = "S")]
    seed: Option<u64>,
    /// The number of the first story
    #[arg(long, default_value_t = 0, value_name = "N")]
    first: u64,
    /// Stories at the same time [default: 4 on loopback, 1 elsewhere]
    #[arg(long, value_name = "N", value_parser = values::at_least_one::<usize>)]
    jobs: Option<usize>,
    /// Steps a story may have [default: 12, with --sync 8]
    #[arg(long, value_name = "MAX", value_parser = clap::value_parser!(u16).range(1..=60))]
    steps: Option<u16>,
    /// Begin no further story after this many seconds
    #[arg(long = "for", value_name = "SECS")]
    within: Option<u64>,
    /// Where a failing story is written
    #[arg(long, default_value = "grasp-audit-story.json", value_name = "FILE")]
    out: PathBuf,
    /// Write what was found as JSON
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Do not begin with the stories that were bugs somewhere once
    #[arg(long)]
    no_regressions: bool,
    #[command(flatten)]
    server: ServerArgs,
}

pub(crate) async fn run(args: PropertyArgs) -> Result<ExitCode, String> {
    Outputs::default().and("--out", Some(&args.out)).and("--json", args.json.as_ref()).check()?;
    let target = args.server.reach(&args.url).await?;
    let seed = args.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
    let telling = args.server.telling(&target, seed, args.sync)?;
    println!("GRASP stories for {}, seed {seed}\n{}", target.url.base(), grasp_audit::versions());
    if !args.no_regressions && !args.sync {
        let code = regressions(&target, &telling).await?;
        if code != ExitCode::SUCCESS {
            return Ok(code);
        }
    }
    let plan = Plan {
        cases: args.cases.unwrap_or(if args.sync { SYNC_CASES } else { CASES }),
        first: args.first,
        steps: usize::from(args.steps.unwrap_or(if args.sync { SYNC_STEPS } else { STEPS })),
        scope: if args.sync { Scope::TwoServers } else { Scope::of(&target) },
        jobs: args.jobs.unwrap_or(if is_here(&target) { 4 } else { 1 }),
        within: args.within.map(Duration::from_secs),
        telling,
    };
    let shown = Arc::new(Shown::new(plan.cases));
    let progress: Arc<dyn Progress> = shown.clone();
    let findings = explore(&target, &plan, &progress).await;
    shown.ends();
    let rows = plan.scope.rows();
    print!("\n{}", report(&findings, &plan, &rows));
    if let Some(failure) = &findings.failure {
        print!("\n{}", story(&failure.record));
        keep(&args.out, &failure.record)?;
        println!(
            "it is in {}; once more: grasp-audit replay {} {}",
            args.out.display(),
            args.out.display(),
            args.url
        );
    }
    if let Some(path) = &args.json {
        let text = serde_json::to_string_pretty(&as_json(&findings, &plan, &rows))
            .map_err(|error| error.to_string())?;
        std::fs::write(path, text + "\n")
            .map_err(|error| format!("cannot write {}: {error}", path.display()))?;
    }
    Ok(verdict(&findings))
}

async fn regressions(target: &Arc<Target>, telling: &Telling) -> Result<ExitCode, String> {
    let all = grasp_fixtures::data::regressions();
    for (name, text) in all {
        let record = Record::parse(text).map_err(|error| format!("{name}: {error}"))?;
        let told = tell(target, &record.story, telling).await;
        match &told.outcome {
            Outcome::Broken(broken) => {
                print!("\n{}", told_story(&told.sentences, &broken.expected, &broken.seen));
                println!("this story was a bug somewhere before: {name} ({})", record.about);
                return Ok(ExitCode::from(1));
            }
            Outcome::CannotRun(why) => return Err(why.clone()),
            Outcome::Limited(why) => eprintln!("{name} was left out: {why}"),
            Outcome::Held | Outcome::Undecided => {}
        }
    }
    println!("stories that were bugs somewhere once: {}, all told first, all hold", all.len());
    Ok(ExitCode::SUCCESS)
}

/// The failing story in words.
fn story(record: &Record) -> String {
    told_story(&record.told, &record.expected, &record.seen)
}

pub(crate) fn told_story(told: &[String], expected: &str, seen: &str) -> String {
    let mut text = String::new();
    for (number, sentence) in told.iter().enumerate() {
        text.push_str(&format!("{:>3}. {sentence}\n", number + 1));
    }
    text.push_str(&format!("     expected: {expected}\n     seen:     {seen}\n"));
    text
}

fn keep(path: &PathBuf, record: &Record) -> Result<(), String> {
    let text = record.to_json().map_err(|error| error.to_string())?;
    std::fs::write(path, text).map_err(|error| format!("cannot write {}: {error}", path.display()))
}

fn report(findings: &Findings, plan: &Plan, rows: &[Row]) -> String {
    let mut text = String::new();
    if !rows.is_empty() {
        text.push_str("how often each row of the decision table was exercised:\n");
        text.push_str(&findings.coverage.table(rows));
    }
    let seconds = findings.elapsed.as_secs_f64();
    text.push_str(&format!(
        "\n{} stories of {} in {seconds:.1} s, {} steps: {} held, {} left open by the specification, {} left out because of limits, {} could not be carried out\n",
        findings.begun, plan.cases, findings.steps, findings.held, findings.undecided, findings.limited.0, findings.not_carried_out.0
    ));
    for (count, why) in [&findings.limited, &findings.not_carried_out] {
        if *count > 0 {
            text.push_str(&format!("  one of them: {why}\n"));
        }
    }
    text.push_str(&format!("{}\n", findings.cleanup.sentence()));
    match &findings.failure {
        None if findings.held > 0 => text.push_str("every story that was told to its end holds\n"),
        None => text.push_str("no story was told to its end\n"),
        Some(failure) => text.push_str(&failed(failure)),
    }
    text
}

fn failed(failure: &Failure) -> String {
    let (case, steps) = (failure.record.case, failure.record.story.steps.len());
    if failure.server_gone {
        format!("during story {case} the server went away; the story as far as it came:\n")
    } else if failure.reproducible {
        format!(
            "story {case} does not hold; of its {} steps {steps} are needed (told {} times):\n",
            failure.first_steps, failure.tellings
        )
    } else {
        format!(
            "story {case} did not hold, and held when it was told again: the server does not always do the same\n"
        )
    }
}

fn verdict(findings: &Findings) -> ExitCode {
    if findings.failure.is_some() {
        ExitCode::from(1)
    } else if findings.not_carried_out.0 > 0 || findings.held + findings.undecided == 0 {
        ExitCode::from(2)
    } else {
        ExitCode::SUCCESS
    }
}

fn as_json(findings: &Findings, plan: &Plan, rows: &[Row]) -> serde_json::Value {
    let rows = rows.iter().map(|row| {
        let (event, case) = row.text();
        json!({"event": event, "case": case, "exercised": findings.coverage.of(*row)})
    });
    json!({
        "suite": grasp_audit::VERSION,
        "catalogue": grasp_audit::catalogue::REVISION,
        "seed": plan.telling.seed,
        "first": plan.first,
        "cases": plan.cases,
        "begun": findings.begun,
        "steps": findings.steps,
        "held": findings.held,
        "undecided": findings.undecided,
        "limited": findings.limited.0,
        "not_carried_out": findings.not_carried_out.0,
        "duration_ms": findings.elapsed.as_millis(),
        "published": findings.cleanup.published,
        "deleted": findings.cleanup.deleted,
        "left": findings.cleanup.left,
        "rows": rows.collect::<Vec<_>>(),
        "failure": findings.failure.as_ref().map(|failure| json!({
            "story": failure.record,
            "first_steps": failure.first_steps,
            "tellings": failure.tellings,
            "reproducible": failure.reproducible,
            "server_gone": failure.server_gone,
            "transcript": failure.transcript,
        })),
    })
}

/// A bar where there is a terminal, a line now and then where there is none.
struct Shown {
    bar: Option<ProgressBar>,
    cases: u64,
    told: std::sync::atomic::AtomicU64,
}

impl Shown {
    fn new(cases: u64) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:30} {pos}/{len} stories {wide_msg}");
            ProgressBar::new(cases).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { bar, cases, told: std::sync::atomic::AtomicU64::new(0) }
    }

    fn ends(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}

impl Progress for Shown {
    fn case_ends(&self, case: u64, told: &Told) {
        let count = self.told.fetch_add(1, std::sync::atomic::Ordering::Relaxed) + 1;
        let failed = matches!(told.outcome, Outcome::Broken(_));
        match &self.bar {
            Some(bar) => {
                bar.inc(1);
                if failed {
                    bar.println(format!("FAIL story {case}"));
                }
            }
            None if failed => eprintln!("FAIL story {case}"),
            None if count.is_multiple_of(100) => eprintln!("{count} of {} stories", self.cases),
            None => {}
        }
    }

    fn shrinking(&self, case: u64, steps: usize, tellings: usize) {
        let text = format!("story {case} fails with {steps} steps too (told {tellings} times)");
        match &self.bar {
            Some(bar) => bar.set_message(text),
            None => eprintln!("{text}"),
        }
    }
}
