//! A report beside an earlier one of the same server: what got worse, better, is new, is gone.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::outcome::Outcome;
use super::{CheckReport, Report};
use crate::calendar;
use crate::catalogue::Level;
use crate::runner::matches;

/// What became of one check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// It held and no longer does. This alone fails a run with a baseline.
    Worse,
    /// It could be carried out and no longer can.
    Broken,
    /// It failed and holds now.
    Better,
    /// It failed and still does.
    StillFails,
    /// The baseline does not know it, or had not proved anything by it.
    New,
    /// It was proved, well or ill, and now was skipped.
    Unproved,
    /// The baseline has it and this run does not.
    Gone,
}

impl Kind {
    /// All of them, in the order of their weight.
    pub const ALL: [Self; 7] =
        [Self::Worse, Self::Broken, Self::Better, Self::StillFails, Self::New, Self::Unproved, Self::Gone];

    /// A heading for a list of them.
    #[must_use]
    pub const fn heading(self) -> &'static str {
        match self {
            Self::Worse => "got worse",
            Self::Broken => "can no longer be carried out",
            Self::Better => "got better",
            Self::StillFails => "still fails",
            Self::New => "is new",
            Self::Unproved => "is no longer proved",
            Self::Gone => "is gone",
        }
    }
}

/// One check whose outcome is another than in the baseline, or that still fails.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// The check.
    pub id: String,
    /// How binding its requirement is, now or, for what is gone, then.
    pub level: Level,
    /// What became of it.
    pub kind: Kind,
    /// How it ended then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub before: Option<Outcome>,
    /// How it ended now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub now: Option<Outcome>,
}

/// What has changed since an earlier report.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Baseline {
    /// Version of the suite that made it.
    pub suite: String,
    /// Revision of its catalogue.
    pub catalogue: String,
    /// The server it is about.
    pub url: String,
    /// When it was made, unix time in seconds.
    pub started: u64,
    /// What a reader has to know before comparing: another suite, catalogue or server.
    pub remarks: Vec<String>,
    /// How many of its checks this run did not ask for, because of its filter.
    pub not_asked: usize,
    /// The changes, in the order of their weight.
    pub changes: Vec<Change>,
}

impl Baseline {
    /// Compares `now` with `before`.
    #[must_use]
    pub fn between(before: &Report, now: &Report) -> Self {
        let known: BTreeMap<&str, &CheckReport> =
            before.checks.iter().map(|check| (check.id.as_str(), check)).collect();
        let asked = |id: &str| now.filter.as_deref().is_none_or(|filter| matches(filter, id));
        let mut changes: Vec<Change> = now
            .checks
            .iter()
            .filter_map(|check| {
                let before = known.get(check.id.as_str()).map(|known| known.outcome());
                let kind = kind(before, check.outcome())?;
                Some(Change {
                    id: check.id.clone(),
                    level: check.level,
                    kind,
                    before,
                    now: Some(check.outcome()),
                })
            })
            .collect();
        let gone = before.checks.iter().filter(|check| now.checks.iter().all(|here| here.id != check.id));
        let (gone, not_asked): (Vec<_>, Vec<_>) = gone.partition(|check| asked(&check.id));
        changes.extend(gone.into_iter().map(|check| Change {
            id: check.id.clone(),
            level: check.level,
            kind: Kind::Gone,
            before: Some(check.outcome()),
            now: None,
        }));
        changes.sort_by_key(|change| change.kind);
        Self {
            suite: before.suite.clone(),
            catalogue: before.catalogue.clone(),
            url: before.url.clone(),
            started: before.started,
            remarks: remarks(before, now),
            not_asked: not_asked.len(),
            changes,
        }
    }

    /// The changes of one kind.
    pub fn of(&self, kind: Kind) -> impl Iterator<Item = &Change> {
        self.changes.iter().filter(move |change| change.kind == kind)
    }

    /// 1 when something got worse, at any level; 2 when something that could be carried out no longer can; otherwise 0.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        if self.of(Kind::Worse).next().is_some() {
            1
        } else if self.of(Kind::Broken).next().is_some() {
            2
        } else {
            0
        }
    }

    /// What it is compared with, in one line.
    #[must_use]
    pub fn description(&self) -> String {
        format!(
            "{} on {} (suite {}, catalogue {})",
            self.url,
            calendar::minute(self.started),
            self.suite,
            self.catalogue
        )
    }
}

fn kind(before: Option<Outcome>, now: Outcome) -> Option<Kind> {
    match (before, now) {
        (None, _) | (Some(Outcome::Skip), Outcome::Fail | Outcome::Pass | Outcome::Warn) => Some(Kind::New),
        (Some(Outcome::Error), Outcome::Pass | Outcome::Warn | Outcome::Fail) => Some(Kind::New),
        (Some(Outcome::Error), Outcome::Error) | (Some(Outcome::Skip), Outcome::Skip) => None,
        (Some(Outcome::Error), Outcome::Skip) => None,
        (Some(_), Outcome::Error) => Some(Kind::Broken),
        (Some(Outcome::Fail), Outcome::Fail) => Some(Kind::StillFails),
        (Some(Outcome::Fail), Outcome::Pass | Outcome::Warn) => Some(Kind::Better),
        (Some(_), Outcome::Skip) => Some(Kind::Unproved),
        (Some(_), Outcome::Fail) => Some(Kind::Worse),
        (Some(_), Outcome::Pass | Outcome::Warn) => None,
    }
}

fn remarks(before: &Report, now: &Report) -> Vec<String> {
    let mut remarks = Vec::new();
    if (&before.suite, &before.catalogue) != (&now.suite, &now.catalogue) {
        remarks.push(format!(
            "the baseline was made by suite {} with catalogue {}, this report by suite {} with catalogue {}: what is \
             new, gone or of another outcome may come from the suite and not from the server",
            before.suite, before.catalogue, now.suite, now.catalogue
        ));
    }
    if before.url != now.url {
        remarks.push(format!("the baseline is about {}, this report about {}", before.url, now.url));
    }
    if before.server != now.server {
        remarks.push(format!("the software was {:?} then and is {:?} now", before.server, now.server));
    }
    if let Some(filter) = &before.filter
        && before.filter != now.filter
    {
        remarks.push(format!("the baseline holds only what matches {filter:?}"));
    }
    remarks
}
