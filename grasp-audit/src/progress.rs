//! Progress in the terminal: a bar where there is one, a line per check where there is none.

use std::io::IsTerminal;

use grasp_audit::counted::counted;
use grasp_audit::hardening::report::CaseReport;
use grasp_audit::hardening::{Case, Grade};
use grasp_audit::report::CheckReport;
use grasp_audit::report::outcome::Outcome;
use grasp_audit::{Check, Progress};
use indicatif::{ProgressBar, ProgressStyle};

/// Shows progress on standard error.
pub(crate) struct Shown {
    bar: Option<ProgressBar>,
    /// No lines where there is no bar.
    quiet: bool,
}

impl Shown {
    pub(crate) fn new(quiet: bool) -> Self {
        let bar = std::io::stderr().is_terminal().then(|| {
            let style = ProgressStyle::with_template("{bar:30} {pos}/{len} {wide_msg}");
            ProgressBar::new(0).with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
        });
        Self { bar, quiet }
    }
}

impl Progress for Shown {
    fn begins(&self, checks: usize) {
        match &self.bar {
            Some(bar) => bar.set_length(checks as u64),
            None if self.quiet => {}
            None => eprintln!("{}", counted(checks, "check")),
        }
    }

    fn check_begins(&self, check: &Check) {
        if let Some(bar) = &self.bar {
            bar.set_message(check.id.clone());
        }
    }

    fn check_ends(&self, report: &CheckReport) {
        let verdict = report.outcome().mark();
        match &self.bar {
            Some(bar) => {
                if matches!(report.outcome(), Outcome::Fail | Outcome::Error) {
                    bar.println(format!("{verdict} {}", report.id));
                }
                bar.inc(1);
            }
            None if self.quiet => {}
            None => eprintln!("{verdict} {} ({} ms)", report.id, report.duration_ms),
        }
    }

    fn case_begins(&self, case: &Case) {
        if let Some(bar) = &self.bar {
            bar.set_message(case.id.clone());
        }
    }

    fn case_ends(&self, report: &CaseReport) {
        let line = format!("{:<9} {} ({} ms)", report.grade.word(), report.id, report.duration_ms);
        match &self.bar {
            Some(bar) => {
                if matches!(report.grade, Grade::Weak { .. } | Grade::Error { .. }) {
                    bar.println(line);
                }
                bar.inc(1);
            }
            None if self.quiet => {}
            None => eprintln!("{line}"),
        }
    }

    fn ends(&self) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
    }
}
