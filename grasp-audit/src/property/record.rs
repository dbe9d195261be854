//! A failing story in a file: told again by `grasp-audit replay`, kept in `fixtures/data/regressions`.

use serde::{Deserialize, Serialize};

use super::play::Break;
use super::story::Story;
use crate::catalogue;

/// The version of this format.
const FORMAT: u32 = 1;

/// Why a file is no story.
#[derive(Debug, thiserror::Error)]
pub enum RecordError {
    /// Not such JSON.
    #[error("it is no story of `grasp-audit property`: {0}")]
    Json(#[from] serde_json::Error),
    /// Written by another version.
    #[error("its format is {0}, this version of grasp-audit reads format {FORMAT}")]
    Format(u32),
}

/// A story and where it came from.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The version of the format.
    pub format: u32,
    /// The catalogue's revision it was held against.
    pub catalogue: String,
    /// The suite's version.
    pub suite: String,
    /// What it shows, in a sentence or two.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub about: String,
    /// The seed it was found with.
    pub seed: u64,
    /// The case it was.
    pub case: u64,
    /// The steps in words, with the server's answers; for people.
    pub told: Vec<String>,
    /// What should have been at the last step.
    pub expected: String,
    /// What was.
    pub seen: String,
    /// The story itself.
    pub story: Story,
}

impl Record {
    /// A failing story of this seed and case.
    #[must_use]
    pub fn new(seed: u64, case: u64, story: Story, told: Vec<String>, broken: &Break) -> Self {
        Self {
            format: FORMAT,
            catalogue: catalogue::REVISION.to_owned(),
            suite: crate::VERSION.to_owned(),
            about: String::new(),
            seed,
            case,
            told,
            expected: broken.expected.clone(),
            seen: broken.seen.clone(),
            story,
        }
    }

    /// Reads a file's text.
    ///
    /// # Errors
    /// When it is no story, or one of another format.
    pub fn parse(text: &str) -> Result<Self, RecordError> {
        let record: Self = serde_json::from_str(text)?;
        if record.format == FORMAT { Ok(record) } else { Err(RecordError::Format(record.format)) }
    }

    /// The text of a file.
    ///
    /// # Errors
    /// Never in practice: a story is JSON.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self).map(|text| text + "\n")
    }
}
