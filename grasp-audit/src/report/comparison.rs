//! Several servers side by side: one row per requirement, one column per server, in every form.

pub mod html;
pub mod markdown;
pub mod terminal;

use std::collections::BTreeMap;

use serde::Serialize;

use super::outcome::{Outcome, Tally};
use super::outline::{Section, outline};
use super::{Report, Totals};
use crate::catalogue::{self, Level, REQUIREMENTS};

/// What became of one server.
#[derive(Debug, Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "there are as many as URLs on a command line, and nearly all are reports"
)]
pub enum Examined {
    /// It was examined.
    Report(Report),
    /// No check could begin.
    Unreachable {
        /// The URL as it was given.
        url: String,
        /// Why not.
        error: String,
    },
}

impl Examined {
    /// As [`Report::exit_code`]; 2 for a server that could not be reached.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Report(report) => report.exit_code(),
            Self::Unreachable { .. } => 2,
        }
    }
}

/// One server of the comparison.
#[derive(Debug, Clone, Serialize)]
pub struct Server {
    /// Its URL.
    pub url: String,
    /// `name` and `software version` as its NIP-11 document has them.
    pub server: String,
    /// How its own run would have ended: 0, 1 or 2.
    pub exit_code: u8,
    /// How it went; `None` when it could not be reached.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub totals: Option<Totals>,
    /// When its run began, unix time in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub started: Option<u64>,
    /// How long it took, milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub duration_ms: Option<u64>,
    /// Why it could not be examined.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
}

/// A requirement, server by server.
#[derive(Debug, Clone, Serialize)]
pub struct Row {
    /// `G01/cors/origin`.
    pub id: String,
    /// How binding it is.
    pub level: Level,
    /// How it went with each server, in their order; `None` where it was not examined.
    pub servers: Vec<Option<Cell>>,
    /// Its checks.
    pub checks: Vec<CheckRow>,
}

impl Row {
    /// What it asks for.
    #[must_use]
    pub fn text(&self) -> &'static str {
        catalogue::requirement(&self.id).map_or("", |row| row.text)
    }

    /// Whether the servers do not agree in any of its checks.
    #[must_use]
    pub fn differs(&self) -> bool {
        self.checks.iter().any(CheckRow::differs)
    }
}

/// A requirement with one server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Cell {
    /// All checks together.
    pub outcome: Outcome,
    /// How they ended.
    pub checks: Tally,
}

/// A check, server by server.
#[derive(Debug, Clone, Serialize)]
pub struct CheckRow {
    /// The check.
    pub id: String,
    /// What it does.
    pub title: String,
    /// How it ended with each server, in their order; `None` where it did not run.
    pub servers: Vec<Option<Outcome>>,
}

impl CheckRow {
    /// Whether the servers that could be examined do not agree: it holds with one and not with another.
    #[must_use]
    pub fn differs(&self) -> bool {
        let mut known = self.servers.iter().flatten();
        known.next().is_some_and(|first| known.any(|other| other != first))
    }
}

/// Several reports side by side.
#[derive(Debug, Clone, Serialize)]
pub struct Comparison {
    /// [`Comparison::FORMAT`].
    pub format: &'static str,
    /// [`Comparison::SCHEMA`].
    pub schema: u32,
    /// Version of the suite.
    pub suite: &'static str,
    /// Revision of the catalogue.
    pub catalogue: &'static str,
    /// When the comparison began, unix time in seconds by the auditor's clock.
    pub started: u64,
    /// The servers, in the order in which they were named.
    pub servers: Vec<Server>,
    /// The requirements, in the order of the specification.
    pub requirements: Vec<Row>,
}

impl Comparison {
    /// What the field `format` says.
    pub const FORMAT: &'static str = "grasp-audit/comparison";
    /// The form of this comparison; it goes up when a field changes its meaning or goes.
    pub const SCHEMA: u32 = 1;

    /// Puts the results side by side. `started` is unix time in seconds.
    #[must_use]
    pub fn of(examined: &[Examined], started: u64) -> Self {
        let columns: Vec<Vec<Section<'_>>> = examined
            .iter()
            .map(|one| match one {
                Examined::Report(report) => outline(report),
                Examined::Unreachable { .. } => Vec::new(),
            })
            .collect();
        Self {
            format: Self::FORMAT,
            schema: Self::SCHEMA,
            suite: crate::VERSION,
            catalogue: catalogue::REVISION,
            started,
            servers: examined.iter().map(server).collect(),
            requirements: rows(&columns),
        }
    }

    /// The worst of the servers' exit codes.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        self.servers.iter().map(|server| server.exit_code).max().unwrap_or(2)
    }

    /// How many requirements the servers do not agree in.
    #[must_use]
    pub fn differing(&self) -> usize {
        self.requirements.iter().filter(|row| row.differs()).count()
    }

    /// The requirements of each section, with its heading.
    #[must_use]
    pub fn sections(&self) -> Vec<(&str, &'static str, Vec<&Row>)> {
        let mut sections: Vec<(&str, &'static str, Vec<&Row>)> = Vec::new();
        for row in &self.requirements {
            let id = catalogue::section_of(&row.id);
            match sections.iter_mut().find(|(known, ..)| *known == id) {
                Some((.., rows)) => rows.push(row),
                None => sections.push((id, catalogue::heading(id), vec![row])),
            }
        }
        sections
    }

    /// The whole comparison as JSON.
    ///
    /// # Errors
    /// Never in practice: every field is plain data.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }
}

fn server(examined: &Examined) -> Server {
    match examined {
        Examined::Report(report) => Server {
            url: report.url.clone(),
            server: report.server.clone(),
            exit_code: report.exit_code(),
            totals: Some(report.totals),
            started: Some(report.started),
            duration_ms: Some(report.duration_ms),
            error: None,
        },
        Examined::Unreachable { url, error } => Server {
            url: url.clone(),
            server: String::new(),
            exit_code: examined.exit_code(),
            totals: None,
            started: None,
            duration_ms: None,
            error: Some(error.clone()),
        },
    }
}

fn rows(columns: &[Vec<Section<'_>>]) -> Vec<Row> {
    let mut rows: BTreeMap<(usize, &str), Row> = BTreeMap::new();
    for (column, sections) in columns.iter().enumerate() {
        for row in sections.iter().flat_map(|section| &section.rows) {
            let place = REQUIREMENTS.iter().position(|known| known.id == row.id).unwrap_or(usize::MAX);
            let compared = rows.entry((place, row.id)).or_insert_with(|| Row {
                id: row.id.to_owned(),
                level: row.level,
                servers: vec![None; columns.len()],
                checks: Vec::new(),
            });
            compared.servers[column] = Some(Cell { outcome: row.outcome(), checks: row.tally() });
            for check in &row.checks {
                let at = compared.checks.iter().position(|known| known.id == check.id).unwrap_or_else(|| {
                    compared.checks.push(CheckRow {
                        id: check.id.clone(),
                        title: check.title.clone(),
                        servers: vec![None; columns.len()],
                    });
                    compared.checks.len() - 1
                });
                compared.checks[at].servers[column] = Some(check.outcome());
            }
        }
    }
    rows.into_values().collect()
}
