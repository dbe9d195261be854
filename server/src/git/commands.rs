//! The first part of a push: which refs shall become what, and what the client understands.

use bytes::Bytes;

use super::body::{BodyError, RequestBody};
use super::gate::RefCommand;
use super::limits::GitLimits;
use super::pkt_line::Packet;
use crate::fault;
use crate::nip34::Oid;

/// How the client wants to be told what became of its push.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum ReportStatus {
    /// Not at all.
    #[default]
    None,
    /// `report-status` or `report-status-v2`: what we say is the same in both.
    Wanted,
}

/// What the client understands, from the first command's line.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Capabilities {
    pub(crate) report: ReportStatus,
    pub(crate) side_band: bool,
    pub(crate) atomic: bool,
    pub(crate) quiet: bool,
    pub(crate) push_options: bool,
    /// An object format other than `sha1`.
    pub(crate) foreign_format: Option<String>,
}

/// One line of the command list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Line {
    /// The ref's name as the client wrote it.
    pub(crate) name: Bytes,
    /// The command, or why it is none.
    pub(crate) command: Result<RefCommand, &'static str>,
}

/// Everything before the pack.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct PushHead {
    pub(crate) lines: Vec<Line>,
    pub(crate) capabilities: Capabilities,
    /// What the client passed with `--push-option`.
    pub(crate) options: Vec<String>,
}

impl PushHead {
    /// Reads it, and waits only so long; no lines: a probe, which asks nothing.
    pub(crate) async fn read(body: &mut RequestBody, limits: &GitLimits) -> Result<Self, BodyError> {
        body.begin_pace();
        let head = Self::lines(body, limits).await;
        body.end_pace();
        head
    }

    async fn lines(body: &mut RequestBody, limits: &GitLimits) -> Result<Self, BodyError> {
        let mut head = Self::default();
        while let Some(line) = packet(body, limits).await? {
            // Shallow lines tell where the client's history is cut. What counts here is whether ours becomes complete.
            if line.starts_with(b"shallow ") && fault::is("shallow-pushes-refused") {
                return Err(BodyError::Malformed("shallow pushes are not taken".into()));
            }
            if line.starts_with(b"shallow ") {
                continue;
            }
            if line.starts_with(b"push-cert") {
                return Err(BodyError::Malformed("signed pushes were not offered".into()));
            }
            if head.lines.len() == limits.max_commands {
                return Err(BodyError::TooLong(limits.max_command_bytes));
            }
            let command = match line.iter().position(|byte| *byte == 0) {
                Some(nul) => {
                    head.capabilities = Capabilities::parse(&line[nul + 1..]);
                    line.slice(..nul)
                }
                None => line,
            };
            head.lines.push(Line::parse(&command, &head.capabilities)?);
        }
        if head.capabilities.push_options && !head.lines.is_empty() {
            while let Some(option) = packet(body, limits).await? {
                head.options.push(String::from_utf8_lossy(&option).into_owned());
            }
        }
        head.refuse_repetitions();
        Ok(head)
    }

    /// Two commands for one ref contradict each other; none of them is carried out.
    fn refuse_repetitions(&mut self) {
        let mut times = std::collections::HashMap::with_capacity(self.lines.len());
        for line in &self.lines {
            *times.entry(line.name.clone()).or_insert(0_u32) += 1;
        }
        for line in &mut self.lines {
            if times.get(&line.name).is_some_and(|times| *times > 1) {
                line.command = Err("multiple updates for one ref");
            }
        }
    }
}

/// The next line of the list, nothing at its end.
async fn packet(body: &mut RequestBody, limits: &GitLimits) -> Result<Option<Bytes>, BodyError> {
    let packet = body.packet().await?;
    if body.consumed() > limits.max_command_bytes {
        return Err(BodyError::TooLong(limits.max_command_bytes));
    }
    match packet {
        Some(Packet::Data(data)) => {
            let length = data.len() - usize::from(data.ends_with(b"\n"));
            Ok(Some(data.slice(..length)))
        }
        Some(Packet::Flush) => Ok(None),
        Some(_) => Err(BodyError::Malformed("a v2 packet in a push".into())),
        None if body.consumed() == 0 => Ok(None),
        None => Err(BodyError::Malformed("it ends before its list of commands does".into())),
    }
}

impl Line {
    fn parse(line: &Bytes, capabilities: &Capabilities) -> Result<Self, BodyError> {
        let malformed = || {
            let shown: String = String::from_utf8_lossy(line).chars().take(200).collect();
            BodyError::Malformed(format!("expected old/new/ref, got {shown:?}"))
        };
        let mut parts = line.splitn(3, |byte| *byte == b' ');
        let (Some(old), Some(new), Some(name)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(malformed());
        };
        let name = line.slice_ref(name);
        if capabilities.foreign_format.is_some() {
            return Ok(Self { name, command: Err("this service hosts SHA-1 repositories only") });
        }
        let (Some(old), Some(new)) = (oid(old), oid(new)) else { return Err(malformed()) };
        let parsed = std::str::from_utf8(&name).ok().and_then(|name| name.parse().ok());
        let command = parsed.map(|name| RefCommand { name, old, new }).ok_or("funny refname");
        Ok(Self { name, command })
    }
}

fn oid(text: &[u8]) -> Option<Oid> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

impl Capabilities {
    fn parse(list: &[u8]) -> Self {
        let mut capabilities = Self::default();
        for word in String::from_utf8_lossy(list).split_ascii_whitespace() {
            match word.split_once('=').unwrap_or((word, "")) {
                ("report-status" | "report-status-v2", _) => capabilities.report = ReportStatus::Wanted,
                ("side-band-64k", _) => capabilities.side_band = true,
                ("atomic", _) => capabilities.atomic = true,
                ("quiet", _) => capabilities.quiet = true,
                ("push-options", _) => capabilities.push_options = true,
                ("object-format", format) if format != "sha1" => {
                    capabilities.foreign_format = Some(format.chars().take(40).collect());
                }
                _ => {}
            }
        }
        capabilities
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use http::HeaderMap;
    use http_body_util::Full;

    use super::super::pkt_line::Writer;
    use super::*;

    const ONE: &str = "1111111111111111111111111111111111111111";
    const NONE: &str = "0000000000000000000000000000000000000000";

    async fn read_raw(bytes: Bytes) -> Result<PushHead, BodyError> {
        let limits = GitLimits { max_commands: 10, ..GitLimits::default() };
        let mut body = RequestBody::new(&HeaderMap::new(), Full::new(bytes), 1 << 20, &limits).unwrap();
        PushHead::read(&mut body, &limits).await
    }

    async fn read(lines: &[String]) -> Result<PushHead, BodyError> {
        let mut writer = Writer::default();
        for line in lines {
            writer.data(&[line.as_bytes()]);
        }
        read_raw(writer.flush().finish()).await
    }

    #[tokio::test]
    async fn commands_and_capabilities_are_read() {
        let head = read(&[
            format!("shallow {ONE}\n"),
            format!(
                "{NONE} {ONE} refs/heads/a\0 report-status-v2 side-band-64k object-format=sha1 agent=git/2\n"
            ),
            format!("{ONE} {NONE} refs/tags/b"),
        ])
        .await
        .unwrap();
        let command = head.lines[1].command.clone().unwrap();
        assert_eq!((command.name.as_str(), command.new.is_zero()), ("refs/tags/b", true));
        assert_eq!(head.lines.len(), 2);
        let understood =
            Capabilities { report: ReportStatus::Wanted, side_band: true, ..Capabilities::default() };
        assert_eq!(head.capabilities, understood);
    }

    #[tokio::test]
    async fn a_probe_asks_nothing() {
        assert_eq!(read(&[]).await.unwrap(), PushHead::default());
        assert_eq!(read_raw(Bytes::new()).await.unwrap(), PushHead::default());
    }

    #[tokio::test]
    async fn names_git_would_not_take_are_refused_one_by_one() {
        let head =
            read(&[format!("{NONE} {ONE} HEAD\0"), format!("{NONE} {ONE} refs/heads/a..b")]).await.unwrap();
        assert!(head.lines.iter().all(|line| line.command == Err("funny refname")));
    }

    #[tokio::test]
    async fn a_ref_named_twice_is_refused_twice() {
        let line = format!("{NONE} {ONE} refs/heads/a");
        let head = read(&[line.clone(), format!("{NONE} {ONE} refs/heads/b"), line]).await.unwrap();
        assert_eq!(head.lines.iter().filter(|line| line.command.is_err()).count(), 2);
    }

    #[tokio::test]
    async fn sha256_is_refused_with_a_reason() {
        let head =
            read(&[format!("{} {} refs/heads/a\0object-format=sha256", "0".repeat(64), "1".repeat(64))])
                .await;
        assert_eq!(head.unwrap().lines[0].command, Err("this service hosts SHA-1 repositories only"));
    }

    #[tokio::test]
    async fn malformed_lists_are_errors() {
        let many: Vec<_> = (0..11).map(|n| format!("{NONE} {ONE} refs/heads/{n}")).collect();
        assert!(matches!(read(&many).await, Err(BodyError::TooLong(_))));
        for bad in ["hello", "a b refs/heads/a", "push-cert\0"] {
            assert!(matches!(read(&[bad.into()]).await, Err(BodyError::Malformed(_))), "{bad}");
        }
        let cut = format!("0067{NONE} {ONE} refs/heads/main\n");
        assert!(matches!(read_raw(cut.into()).await, Err(BodyError::Malformed(_))));
    }
}
