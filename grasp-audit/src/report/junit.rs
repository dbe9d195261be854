//! The report as JUnit XML: a test suite per section, a test case per check.

use std::time::Duration;

use quick_junit::{
    NonSuccessKind, Report as JunitReport, SerializeError, TestCase, TestCaseStatus, TestSuite,
};

use super::Report;
use crate::catalogue::REQUIREMENTS;
use crate::check::Verdict;

/// The XML text.
///
/// # Errors
/// When the writer fails; in memory it does not.
pub fn render(report: &Report) -> Result<String, SerializeError> {
    let mut junit = JunitReport::new(format!(
        "grasp-audit {} catalogue {} {}",
        report.suite, report.catalogue, report.url
    ));
    junit.set_time(Duration::from_millis(report.duration_ms));
    let mut sections: Vec<&str> = REQUIREMENTS.iter().map(|row| row.section()).collect();
    sections.dedup();
    for section in sections {
        let mut suite = TestSuite::new(section);
        for check in report
            .checks
            .iter()
            .filter(|check| check.requirement.rsplit_once('/').is_some_and(|(s, _)| s == section))
        {
            let mut case = TestCase::new(check.id.as_str(), status(&check.verdict));
            case.set_classname(check.requirement).set_time(Duration::from_millis(check.duration_ms));
            let wire: Vec<String> = check
                .transcript
                .iter()
                .map(|entry| {
                    format!("{} ms {} {:?}: {}", entry.at_ms, entry.channel, entry.direction, entry.text)
                })
                .collect();
            if !wire.is_empty() {
                case.set_system_out(wire.join("\n"));
            }
            suite.add_test_case(case);
        }
        if !suite.test_cases.is_empty() {
            junit.add_test_suite(suite);
        }
    }
    junit.to_string()
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
