//! The report as JUnit XML: a test suite per section, a test case per check.

use std::time::Duration;

use quick_junit::{
    NonSuccessKind, Report as JunitReport, SerializeError, TestCase, TestCaseStatus, TestSuite,
};

use super::outline::outline;
use super::terminal::arrow;
use super::{CheckReport, Report};
use crate::calendar::rfc3339;
use crate::check::Verdict;
use crate::escape::visible;

/// The XML text: of one report, or of several, whose test suites then begin with the server's URL.
///
/// # Errors
/// When the writer fails; in memory it does not.
pub fn render(reports: &[&Report]) -> Result<String, SerializeError> {
    // what is the same in every run is the name, so that a CI knows it for the same tests
    let mut junit = JunitReport::new("grasp-audit");
    junit.timestamp = reports.first().and_then(|report| rfc3339(report.started)?.parse().ok());
    junit.set_time(reports.iter().map(|report| Duration::from_millis(report.duration_ms)).sum());
    for report in reports {
        for section in outline(report) {
            let name = match reports.len() {
                1 => section.id.to_owned(),
                _ => format!("{} {}", report.url, section.id),
            };
            let mut suite = TestSuite::new(name);
            suite.timestamp = rfc3339(report.started).and_then(|text| text.parse().ok());
            suite.add_properties([
                ("url", report.url.as_str()),
                ("suite", report.suite.as_str()),
                ("catalogue", report.catalogue.as_str()),
            ]);
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
