//! `grasp-audit audit`: one server, or several one after the other.

use std::process::ExitCode;
use std::sync::Arc;

use grasp_audit::report::comparison::{Comparison, Examined};
use grasp_audit::target::url::ServiceUrl;
use grasp_audit::{Options, Suite};
use nostr::types::Timestamp;
use tokio_util::sync::CancellationToken;

use super::hardening::HardeningArgs;
use super::reports::ReportFiles;
use crate::progress::Shown;

/// Exit code of a run that Ctrl-C has ended, as shells count it.
const INTERRUPTED: u8 = 130;

/// Examines the servers and writes the reports. The exit code is the worst of theirs.
pub(crate) async fn run(
    urls: &[String],
    options: &Options,
    files: &ReportFiles,
    hardening: &HardeningArgs,
    quiet: bool,
) -> Result<ExitCode, String> {
    check(urls)?;
    let baseline = files.baseline(urls.len())?;
    files.check(urls)?;
    // Asked before anything is sent, so that nobody has to wait for the question.
    let hostile = hardening.agreed(urls, options)?;
    let stop = until_interrupted();
    let suite = || suite(options, quiet).until(stop.clone());
    let code = |code: u8| ExitCode::from(if stop.is_cancelled() { INTERRUPTED } else { code });
    if let [url] = urls {
        let mut report = suite().run(url).await.map_err(|error| error.to_string())?;
        if let Some(hostile) = hostile.filter(|_| !stop.is_cancelled()) {
            let run = hostile.with_progress(Arc::new(Shown::new(quiet))).run(url).await;
            report.hardening = Some(run.map_err(|error| error.to_string())?);
        }
        files.write_one(&mut report, baseline.as_ref(), quiet)?;
        return Ok(code(report.exit_code().max(hardening.exit_code(&report))));
    }
    let started = Timestamp::now().as_secs();
    let mut examined = Vec::with_capacity(urls.len());
    for (number, url) in urls.iter().enumerate() {
        if stop.is_cancelled() {
            break;
        }
        eprintln!("{url} ({} of {})", number + 1, urls.len());
        examined.push(match suite().run(url).await {
            Ok(report) => Examined::Report(report),
            Err(error) => Examined::Unreachable { url: url.clone(), error: error.to_string() },
        });
    }
    let comparison = Comparison::of(&examined, started);
    files.write_all(&comparison, &examined)?;
    Ok(code(comparison.exit_code()))
}

/// Is cancelled by the first Ctrl-C; the second ends the program at once.
fn until_interrupted() -> CancellationToken {
    let stop = CancellationToken::new();
    let told = stop.clone();
    tokio::spawn(async move {
        if tokio::signal::ctrl_c().await.is_ok() {
            eprintln!("interrupted: what was published is taken back; Ctrl-C again to end at once");
            told.cancel();
        }
        if tokio::signal::ctrl_c().await.is_ok() {
            std::process::exit(INTERRUPTED.into());
        }
    });
    stop
}

fn suite(options: &Options, quiet: bool) -> Suite {
    Suite::new(options.clone()).with_progress(Arc::new(Shown::new(quiet)))
}

/// All URLs make sense, and none is there twice, before the first is examined.
fn check(urls: &[String]) -> Result<(), String> {
    let mut seen: Vec<String> = Vec::with_capacity(urls.len());
    for url in urls {
        let authority = ServiceUrl::parse(url).map_err(|error| error.to_string())?.authority();
        if seen.contains(&authority) {
            return Err(format!("{authority} is named twice; name each server once"));
        }
        seen.push(authority);
    }
    Ok(())
}
