//! The report in the order of the specification: sections, their requirements, the checks of each. All forms of the
//! report that people read follow it.

use super::outcome::{Outcome, Tally};
use super::{CheckReport, Report};
use crate::catalogue::{self, Level, REQUIREMENTS};

/// A section with what was examined of it.
#[derive(Debug)]
pub struct Section<'a> {
    /// `G01/cors`.
    pub id: &'a str,
    /// `Core service: CORS on every response`.
    pub heading: &'static str,
    /// Its requirements that have checks here.
    pub rows: Vec<Row<'a>>,
}

impl Section<'_> {
    /// How its checks ended.
    #[must_use]
    pub fn tally(&self) -> Tally {
        Tally::of(self.rows.iter().flat_map(|row| &row.checks).map(|check| check.outcome()))
    }

    /// How long its checks took together, milliseconds: more than the clock says where they ran side by side.
    #[must_use]
    pub fn duration_ms(&self) -> u64 {
        self.rows.iter().map(Row::duration_ms).sum()
    }
}

/// A requirement with its checks.
#[derive(Debug)]
pub struct Row<'a> {
    /// `G01/cors/origin`.
    pub id: &'a str,
    /// How binding it is.
    pub level: Level,
    /// What it asks for; empty when this suite's catalogue does not have it.
    pub text: &'static str,
    /// Its checks, never none.
    pub checks: Vec<&'a CheckReport>,
}

impl Row<'_> {
    /// How its checks ended.
    #[must_use]
    pub fn tally(&self) -> Tally {
        Tally::of(self.checks.iter().map(|check| check.outcome()))
    }

    /// The outcome of all of them together.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        self.tally().outcome()
    }

    /// How long its checks took together, milliseconds.
    #[must_use]
    pub fn duration_ms(&self) -> u64 {
        self.checks.iter().map(|check| check.duration_ms).sum()
    }
}

/// The report by section. Requirements that the catalogue does not have (a report of another version) come last.
#[must_use]
pub fn outline(report: &Report) -> Vec<Section<'_>> {
    let mut sections: Vec<Section<'_>> = Vec::new();
    let mut rows: Vec<Row<'_>> = Vec::new();
    for check in &report.checks {
        match rows.iter_mut().find(|row| row.id == check.requirement) {
            Some(row) => row.checks.push(check),
            None => rows.push(Row {
                id: &check.requirement,
                level: check.level,
                text: catalogue::requirement(&check.requirement).map_or("", |row| row.text),
                checks: vec![check],
            }),
        }
    }
    rows.sort_by_key(|row| place(row.id));
    for row in rows {
        let id = catalogue::section_of(row.id);
        match sections.iter_mut().find(|section| section.id == id) {
            Some(section) => section.rows.push(row),
            None => sections.push(Section { id, heading: catalogue::heading(id), rows: vec![row] }),
        }
    }
    sections
}

fn place(requirement: &str) -> usize {
    REQUIREMENTS.iter().position(|row| row.id == requirement).unwrap_or(REQUIREMENTS.len())
}
