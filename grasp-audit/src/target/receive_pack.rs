//! Pushes made of bytes: commands and packs that no git client would send, and the server's report on them.

use bytes::Bytes;

use super::http::{HttpClient, HttpError, Response};
use super::smart_http::{decode, line};

/// The object id that stands for "no such ref".
pub const NOTHING: &str = "0000000000000000000000000000000000000000";

/// One ref that a push wants changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Command {
    /// The value the client believes it has, [`NOTHING`] for none.
    pub old: String,
    /// The value it shall get, [`NOTHING`] to delete it.
    pub new: String,
    /// Its full name.
    pub name: String,
}

impl Command {
    /// Creates `name` at `new`.
    #[must_use]
    pub fn create(name: &str, new: &str) -> Self {
        Self::update(name, NOTHING, new)
    }

    /// Moves `name` from `old` to `new`.
    #[must_use]
    pub fn update(name: &str, old: &str, new: &str) -> Self {
        Self { old: old.to_owned(), new: new.to_owned(), name: name.to_owned() }
    }

    /// Deletes `name`, which is at `old`.
    #[must_use]
    pub fn delete(name: &str, old: &str) -> Self {
        Self::update(name, old, NOTHING)
    }
}

/// What the server said about a push.
#[derive(Debug, Clone)]
pub struct PushReport {
    /// The HTTP response.
    pub response: Response,
    /// The lines of `report-status`: `unpack ok`, `ok <ref>`, `ng <ref> <reason>`.
    pub lines: Vec<String>,
}

impl PushReport {
    /// Whether the report says `ok` to the ref.
    #[must_use]
    pub fn took(&self, name: &str) -> bool {
        self.lines.iter().any(|said| *said == format!("ok {name}"))
    }

    /// The reason why the ref was refused, when the report refuses it and says why.
    #[must_use]
    pub fn refused(&self, name: &str) -> Option<&str> {
        let said = format!("ng {name} ");
        let reason = self.lines.iter().find_map(|line| line.strip_prefix(&said));
        reason.filter(|reason| !reason.trim().is_empty())
    }

    /// Status and report, for failures.
    #[must_use]
    pub fn seen(&self) -> String {
        format!("HTTP {}, {:?}", self.response.status, self.lines)
    }
}

/// The body of a push: these commands and this pack. Asks for `report-status` without a side-band, so that the report is
/// the body of the answer.
#[must_use]
pub fn request(commands: &[Command], pack: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    for (position, Command { old, new, name }) in commands.iter().enumerate() {
        let capabilities = if position == 0 { "\0 report-status delete-refs agent=grasp-audit" } else { "" };
        body.extend(line(&format!("{old} {new} {name}{capabilities}")));
    }
    body.extend(b"0000");
    body.extend(pack);
    body
}

/// `POST <repository>/git-receive-pack` with these commands and this pack (none for deletions alone), as [`request`] has
/// it.
///
/// # Errors
/// When no response came; a body that is no report is an empty report.
pub async fn receive_pack(
    http: &HttpClient,
    repository: &str,
    commands: &[Command],
    pack: &[u8],
) -> Result<PushReport, HttpError> {
    let body = request(commands, pack);
    let response = post(http, repository, body).await?;
    let lines = decode(&response.body)
        .unwrap_or_default()
        .iter()
        .map(super::smart_http::Packet::text)
        .filter(|text| !text.is_empty())
        .collect();
    Ok(PushReport { response, lines })
}

/// `POST <repository>/git-receive-pack` with any body.
///
/// # Errors
/// When no response came.
pub async fn post(
    http: &HttpClient,
    repository: &str,
    body: impl Into<Bytes>,
) -> Result<Response, HttpError> {
    let headers = [
        ("content-type", "application/x-git-receive-pack-request"),
        ("accept", "application/x-git-receive-pack-result"),
    ];
    http.post(&format!("{repository}/git-receive-pack"), &headers, body).await
}
