//! The files that the suite writes and reads back: JSON whose first two fields say what it is and in which form.

use std::path::{Path, PathBuf};

use serde::de::DeserializeOwned;
use serde_json::Value;

/// A kind of file.
pub trait Document: DeserializeOwned {
    /// What the field `format` says, `grasp-audit/report`.
    const FORMAT: &'static str;
    /// The newest form this suite knows, in the field `schema`. It goes up when a field changes its meaning or goes;
    /// new fields may come at any time.
    const SCHEMA: u32;
    /// The command that writes such a file, for people who gave another one.
    const MADE_BY: &'static str;
}

/// Why a file cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DocumentError {
    /// It cannot be read.
    #[error("{path} cannot be read: {source}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What happened.
        source: std::io::Error,
    },
    /// It is no JSON.
    #[error("{path} is no {wanted}: it is not JSON ({reason}); {made_by} writes one")]
    NotJson {
        /// The file.
        path: PathBuf,
        /// The format that was expected.
        wanted: &'static str,
        /// Where it stops being JSON.
        reason: serde_json::Error,
        /// The command that writes the right one.
        made_by: &'static str,
    },
    /// It is JSON of another kind.
    #[error("{path} is no {wanted}: {found}; {made_by} writes one")]
    Other {
        /// The file.
        path: PathBuf,
        /// The format that was expected.
        wanted: &'static str,
        /// What it says it is.
        found: String,
        /// The command that writes the right one.
        made_by: &'static str,
    },
    /// A newer suite has written it.
    #[error(
        "{path} is a {wanted} of schema {found}, this suite ({}) reads up to {known}; use the suite that wrote it, or a newer one",
        crate::VERSION
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its format.
        wanted: &'static str,
        /// Its schema.
        found: u64,
        /// The newest schema known here.
        known: u32,
    },
    /// It says that it is right, and is not.
    #[error("{path} is a damaged {wanted}: {reason}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// Its format.
        wanted: &'static str,
        /// What is missing or wrong.
        reason: serde_json::Error,
    },
}

/// Reads such a file.
///
/// # Errors
/// When it cannot be read, is something else, or has been written by a newer suite.
pub fn read<D: Document>(path: &Path) -> Result<D, DocumentError> {
    let bytes =
        std::fs::read(path).map_err(|source| DocumentError::Unreadable { path: path.to_owned(), source })?;
    let (wanted, made_by) = (D::FORMAT, D::MADE_BY);
    let value: Value = serde_json::from_slice(&bytes).map_err(|reason| DocumentError::NotJson {
        path: path.to_owned(),
        wanted,
        reason,
        made_by,
    })?;
    let other = |found: String| DocumentError::Other { path: path.to_owned(), wanted, found, made_by };
    match value["format"].as_str() {
        Some(format) if format == wanted => {}
        Some(format) => return Err(other(format!("it says that it is a {format:?}"))),
        None => return Err(other("it has no field `format`".to_owned())),
    }
    let found = value["schema"].as_u64().ok_or_else(|| other("its `schema` is no number".to_owned()))?;
    if found > u64::from(D::SCHEMA) {
        return Err(DocumentError::Newer { path: path.to_owned(), wanted, found, known: D::SCHEMA });
    }
    serde_json::from_value(value).map_err(|reason| DocumentError::Damaged {
        path: path.to_owned(),
        wanted,
        reason,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::Report;

    fn told(content: &str) -> String {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file.json");
        std::fs::write(&path, content).unwrap();
        let error = read::<Report>(&path).unwrap_err().to_string();
        error.replace(folder.path().to_str().unwrap(), "")
    }

    #[test]
    fn a_file_that_is_no_report_is_named_with_what_it_is() {
        assert_eq!(
            told("<html>"),
            "/file.json is no grasp-audit/report: it is not JSON (expected value at line 1 column 1); \
             `grasp-audit audit URL --json FILE` writes one"
        );
        assert!(told("[1]").contains("it has no field `format`"));
        assert!(told("{}").contains("it has no field `format`"));
        let surface = r#"{"format": "grasp-audit/surface", "schema": 1}"#;
        assert!(told(surface).contains(r#"it says that it is a "grasp-audit/surface""#));
        let vague = r#"{"format": "grasp-audit/report", "schema": "new"}"#;
        assert!(told(vague).contains("its `schema` is no number"));
        let newer = r#"{"format": "grasp-audit/report", "schema": 99}"#;
        assert!(told(newer).contains("of schema 99, this suite"), "{}", told(newer));
        let damaged = r#"{"format": "grasp-audit/report", "schema": 1}"#;
        assert!(told(damaged).contains("damaged grasp-audit/report: missing field"), "{}", told(damaged));
    }

    #[test]
    fn a_file_that_is_not_there_is_named() {
        let error = read::<Report>(Path::new("/nowhere/report.json")).unwrap_err().to_string();
        assert!(error.starts_with("/nowhere/report.json cannot be read: No such file"), "{error}");
    }
}
