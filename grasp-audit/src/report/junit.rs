//! The report as JUnit XML: a test suite per section, a test case per check.

use std::time::Duration;

use quick_junit::{
    NonSuccessKind, Report as JunitReport, SerializeError, TestCase, TestCaseStatus, TestSuite,
};

use super::outline::outline;
use super::terminal::arrow;
use super::{CheckReport, Report};
use crate::calendar::minute;
use crate::check::Verdict;
use crate::escape::visible;

/// The XML text: of one report, or of several, whose test suites then begin with the server's URL.
///
/// # Errors
/// When the writer fails; in memory it does not.
pub fn render(reports: &[&Report]) -> Result<String, SerializeError> {
    let made = reports.first().map_or_else(String::new, |report| {
        format!(
            "grasp-audit {} catalogue {}, begun {}",
            report.suite,
            report.catalogue,
            minute(report.started)
        )
    });
    let urls: Vec<&str> = reports.iter().map(|report| report.url.as_str()).collect();
    let mut junit = JunitReport::new(format!("{made}, {}", urls.join(" ")));
    junit.set_time(reports.iter().map(|report| Duration::from_millis(report.duration_ms)).sum());
    for report in reports {
        for section in outline(report) {
            let name = match reports.len() {
                1 => section.id.to_owned(),
                _ => format!("{} {}", report.url, section.id),
            };
            let mut suite = TestSuite::new(name);
            suite.add_test_cases(section.rows.iter().flat_map(|row| &row.checks).map(|check| case(check)));
            junit.add_test_suite(suite);
        }
    }
    junit.to_string()
}

fn case(check: &CheckReport) -> TestCase {
    let mut case = TestCase::new(check.id.as_str(), status(&check.verdict));
    case.set_classname(check.requirement.as_str()).set_time(Duration::from_millis(check.duration_ms));
    let wire: Vec<String> = check
        .transcript
        .iter()
        .map(|entry| {
            let text = visible(&entry.text);
            format!("{} ms {} {} {text}", entry.at_ms, entry.channel, arrow(entry.direction))
        })
        .collect();
    if !wire.is_empty() {
        case.set_system_out(wire.join("\n"));
    }
    case
}

fn status(verdict: &Verdict) -> TestCaseStatus {
    match verdict {
        Verdict::Pass | Verdict::Warn { .. } => TestCaseStatus::success(),
        Verdict::Skip { why } => {
            let mut status = TestCaseStatus::skipped();
            status.set_message(why.as_str());
            status
        }
        Verdict::Fail { expected, seen } => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Failure);
            status.set_message(format!("expected {expected}; seen {seen}"));
            status
        }
        Verdict::Error { text } => {
            let mut status = TestCaseStatus::non_success(NonSuccessKind::Error);
            status.set_message(text.as_str());
            status
        }
    }
}
