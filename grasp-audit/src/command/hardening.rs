//! `grasp-audit audit --hardening`: what it is, the question before it, and what it does to the exit code.

use std::io::{BufRead, IsTerminal as _, Write as _};

use clap::Args;
use grasp_audit::hardening::{Area, Case, HardeningSuite, statement};
use grasp_audit::{Options, Report};

/// Whether hostile input is sent as well.
#[derive(Args, Debug)]
#[command(next_help_heading = "Hardening (reported apart from conformance)")]
pub(crate) struct HardeningArgs {
    /// Afterwards, also send hostile input: malformed, oversized and exploding requests, floods, slow clients.
    /// Says first what will be sent, and asks. `--filter H/` sends only that
    #[arg(long)]
    hardening: bool,
    /// Do not ask: the server is mine, or its operator has agreed. Needed where there is no terminal to ask on
    #[arg(long, requires = "hardening")]
    i_have_permission: bool,
    /// Exit with 1 when a case finds the server weak or it did not recover, with 2 when a case could not be carried out;
    /// without this, hardening does not change the exit code
    #[arg(long, requires = "hardening")]
    hardening_must_hold: bool,
}

impl HardeningArgs {
    /// Whether any case is asked for.
    pub(crate) fn selects_any(&self, options: &Options) -> bool {
        self.hardening && !HardeningSuite::new(options.clone()).selected().is_empty()
    }

    /// The cases to run, once somebody has agreed; none when hardening was not asked for.
    pub(crate) fn agreed(
        &self,
        urls: &[String],
        options: &Options,
    ) -> Result<Option<HardeningSuite>, String> {
        if !self.hardening {
            return Ok(None);
        }
        let [url] = urls else {
            return Err("--hardening attacks one server at a time: give one URL with it".to_owned());
        };
        let suite = HardeningSuite::new(options.clone());
        if suite.selected().is_empty() {
            return Ok(None);
        }
        eprintln!("{}\n", statement(url, suite.selected(), options.patience));
        if self.i_have_permission {
            return Ok(Some(suite));
        }
        if !(std::io::stdin().is_terminal() && std::io::stderr().is_terminal()) {
            return Err(
                "--hardening asks before it starts, and there is no terminal to ask on; nothing was sent. \
                        Add --i-have-permission when the server is yours or its operator has agreed"
                    .to_owned(),
            );
        }
        eprint!("Send all this to {url}? [y/N] ");
        // Without the question on the screen nobody answers it.
        let _ = std::io::stderr().flush();
        if confirmed(std::io::stdin().lock()) {
            Ok(Some(suite))
        } else {
            Err("not confirmed; nothing was sent".to_owned())
        }
    }

    /// What hardening adds to the exit code.
    pub(crate) fn exit_code(&self, report: &Report) -> u8 {
        match &report.hardening {
            Some(hardening) if self.hardening_must_hold => match (hardening.holds(), hardening.totals.errors)
            {
                (false, _) => 1,
                (true, 0) => 0,
                (true, _) => 2,
            },
            _ => 0,
        }
    }
}

/// Only a plain yes is one.
fn confirmed(mut input: impl BufRead) -> bool {
    let mut line = String::new();
    let read = input.read_line(&mut line).is_ok();
    read && ["y", "yes"].contains(&line.trim().to_ascii_lowercase().as_str())
}

/// The cases, for `grasp-audit list`; how many they are.
pub(crate) fn list(filter: Option<String>) -> usize {
    let suite = HardeningSuite::new(Options { filter, ..Options::default() });
    for area in Area::ALL {
        let cases: Vec<&Case> = suite.selected().iter().filter(|case| case.area == area).collect();
        if !cases.is_empty() {
            println!("{} (--hardening)  {}", area.id(), area.heading());
        }
        for case in cases {
            println!("         {:<36} {}", case.id, case.sends);
        }
    }
    suite.selected().len()
}

/// One case, for `grasp-audit explain`.
pub(crate) fn explain(case: &Case) {
    let load = case.load;
    println!("{} (hardening, not conformance)\n", case.id);
    println!("Sends:            {}", case.sends);
    println!("A robust server:  {}", case.robust);
    println!(
        "At most:          {} connections at a time, {} requests and messages, {} KB sent, {} s",
        load.at_once,
        load.messages,
        load.bytes.div_ceil(1000),
        case.bound.as_secs()
    );
    println!("\n`grasp-audit audit <url> --hardening --filter {}` runs it alone.", case.id);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_yes_is_one() {
        for yes in ["y\n", "Y\n", "yes\n", " YES \n"] {
            assert!(confirmed(yes.as_bytes()), "{yes:?}");
        }
        for no in ["", "\n", "n\n", "yeah\n", "no, yes\n", "\u{ff}y\n"] {
            assert!(!confirmed(no.as_bytes()), "{no:?}");
        }
    }
}
