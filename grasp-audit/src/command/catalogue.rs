//! `grasp-audit list` and `grasp-audit explain`: what is asked of a server, and how it is examined.

use std::process::ExitCode;

use clap::Args;
use grasp_audit::catalogue::{self, REQUIREMENTS, Requirement};
use grasp_audit::counted::counted;
use grasp_audit::{Check, Options, Suite, hardening, specs};

pub(crate) const LIST_EXAMPLES: &str = "\
Examples:
  grasp-audit list                        everything
  grasp-audit list --filter G01/cors      a section
  grasp-audit list --filter '*/on-404'    what a pattern matches
  grasp-audit list --filter H/            the cases of --hardening

Exit code: 0, or 2 when nothing matches.";

pub(crate) const EXPLAIN_EXAMPLES: &str = "\
Examples:
  grasp-audit explain G01/cors/options        a requirement
  grasp-audit explain G01/cors/origin/on-404  what a check examines
  grasp-audit explain G01/cors                the requirements of a section; G01, of all its sections
  grasp-audit explain H/git                   the cases of --hardening about git

Exit code: 0, or 2 when there is no such thing.";

#[derive(Args)]
pub(crate) struct ListArgs {
    /// Only checks whose id holds this, or matches it as a pattern with *
    #[arg(long, value_name = "TEXT")]
    filter: Option<String>,
}

#[derive(Args)]
pub(crate) struct ExplainArgs {
    /// G01/cors/origin, G01/cors/origin/on-404, or the section G01/cors
    #[arg(value_name = "ID")]
    id: String,
}

impl ListArgs {
    pub(crate) fn run(self) -> Result<ExitCode, String> {
        list(self.filter)
    }
}

impl ExplainArgs {
    pub(crate) fn run(&self) -> Result<ExitCode, String> {
        explain(&self.id)
    }
}

/// What is said when a filter selects nothing.
pub(crate) fn nothing_matches(filter: Option<&str>) -> String {
    let filter = filter.unwrap_or_default();
    format!("no check matches {filter:?}; `grasp-audit list` shows all (H/… are cases of --hardening)")
}

/// Prints the requirements with their checks, and the cases of `--hardening`.
pub(crate) fn list(filter: Option<String>) -> Result<ExitCode, String> {
    let checks = Suite::new(Options { filter: filter.clone(), ..Options::default() }).selected();
    for row in REQUIREMENTS {
        let own: Vec<&Check> = checks.iter().filter(|check| check.requirement == row.id).collect();
        if own.is_empty() && filter.is_some() {
            continue;
        }
        println!("{:<6} {}", row.level, row.id);
        if own.is_empty() {
            println!("         no check: {}", unexamined(row));
        }
        for check in own {
            let patient = if check.needs.patient { " (--patient)" } else { "" };
            println!("         {:<52} {}{patient}", check.id, check.title);
        }
    }
    let cases = super::hardening::list(filter.clone());
    if checks.is_empty() && cases == 0 {
        return Err(nothing_matches(filter.as_deref()));
    }
    Ok(ExitCode::SUCCESS)
}

/// Prints what a requirement, a check, a section or a case of `--hardening` is about.
pub(crate) fn explain(id: &str) -> Result<ExitCode, String> {
    if let Some(case) = hardening::case(id) {
        super::hardening::explain(&case);
        return Ok(ExitCode::SUCCESS);
    }
    let checks = specs::all();
    let requirement = checks.iter().find(|check| check.id == id).map_or(id, |check| check.requirement);
    match catalogue::requirement(requirement) {
        Some(row) => explain_row(row, &checks),
        None if section(id, &checks) => {}
        None => {
            return Err(format!(
                "`{id}` is neither a requirement nor a check nor a case of --hardening, nor a section of them; \
                 `grasp-audit list` shows all"
            ));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn explain_row(row: &Requirement, checks: &[Check]) {
    println!("{} ({}, {})\n\n{}\n", row.id, row.level, catalogue::heading(row.section()), row.text);
    let own: Vec<&Check> = checks.iter().filter(|check| check.requirement == row.id).collect();
    if own.is_empty() {
        println!("No check examines it: {}.", unexamined(row));
        return;
    }
    println!("Examined by:");
    for check in own {
        println!("  {}\n    {}", check.id, check.title);
    }
}

fn unexamined(row: &Requirement) -> &'static str {
    catalogue::why_unexamined(row.id).unwrap_or("there is none yet")
}

/// Prints the requirements, or the cases of `--hardening`, whose ids begin with this section's; whether there are any.
fn section(id: &str, checks: &[Check]) -> bool {
    let id = id.trim_end_matches('/');
    let inside = |candidate: &str| candidate.strip_prefix(id).is_some_and(|rest| rest.starts_with('/'));
    let rows: Vec<&Requirement> = REQUIREMENTS.iter().filter(|row| inside(row.id)).collect();
    let mut heading = "";
    for row in &rows {
        if row.section() != heading {
            let space = if heading.is_empty() { "" } else { "\n" };
            heading = row.section();
            println!("{space}{heading}  {}", catalogue::heading(heading));
        }
        let count = checks.iter().filter(|check| check.requirement == row.id).count();
        println!("  {:<6} {} ({})\n         {}", row.level, row.id, counted(count, "check"), row.text);
    }
    let cases =
        if id == "H" || id.starts_with("H/") { super::hardening::list(Some(format!("{id}/*"))) } else { 0 };
    !rows.is_empty() || cases > 0
}
