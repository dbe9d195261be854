//! What a pushing client is told: report-status, and what a person reads as `remote: …`. Pure.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use bytes::Bytes;

use super::commands::{Capabilities, ReportStatus};
use super::gate::CommandResult;
use super::pkt_line::Writer;

/// The longest reason on a `ng` line, in bytes.
const MAX_REASON: usize = 1000;
/// Reasons longer than this are also written out on the side band, in columns.
const LONG_REASON: usize = 80;
/// How many different reasons are written out.
const MAX_WRITTEN_OUT: usize = 10;

/// What became of a push.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Report {
    /// Whether the pack was taken, or why not: the reason on the first line, explanations on others.
    pub(crate) unpack: Result<(), String>,
    /// Every ref as the client named it, in the client's order.
    pub(crate) refs: Vec<(Bytes, CommandResult)>,
}

impl Report {
    /// The last bytes of the answer, as the client understands them.
    pub(crate) fn render(&self, capabilities: &Capabilities) -> Bytes {
        let status = match capabilities.report {
            ReportStatus::None => Bytes::new(),
            ReportStatus::Wanted => self.status(),
        };
        if !capabilities.side_band {
            return status;
        }
        let mut out = Writer::with_capacity(status.len() + 256);
        out.band(2, self.written_out().as_bytes()).band(1, &status).flush().finish()
    }

    fn status(&self) -> Bytes {
        let mut out = Writer::with_capacity(self.refs.len() * 64);
        match &self.unpack {
            Ok(()) => out.data(&[b"unpack ok\n"]),
            Err(reason) => out.data(&[b"unpack ", one_line(reason).as_bytes(), b"\n"]),
        };
        for (name, result) in &self.refs {
            match result {
                Ok(()) => out.data(&[b"ok ", name, b"\n"]),
                Err(reason) => out.data(&[b"ng ", name, b" ", one_line(reason).as_bytes(), b"\n"]),
            };
        }
        out.flush().finish()
    }

    /// Why the pack was not taken; long reasons of refs and those of several lines, each once.
    fn written_out(&self) -> String {
        let mut reasons: BTreeMap<&str, Vec<&Bytes>> = BTreeMap::new();
        for (name, result) in &self.refs {
            if let Err(reason) = result
                && (reason.len() > LONG_REASON || reason.trim_end().contains('\n'))
            {
                reasons.entry(reason).or_default().push(name);
            }
        }
        let mut text = String::new();
        if let Err(reason) = &self.unpack {
            for line in reason.lines() {
                text.push_str(&printable(line));
                text.push('\n');
            }
        }
        for (reason, names) in reasons.into_iter().take(MAX_WRITTEN_OUT) {
            let first = String::from_utf8_lossy(names[0]).into_owned();
            let more = if names.len() > 1 { format!(" and {} more", names.len() - 1) } else { String::new() };
            // Writing to a string cannot fail.
            let _ = writeln!(text, "{}{more} refused:", printable(&first));
            for line in reason.trim_end().lines() {
                wrap(&printable(line), &mut text);
            }
        }
        text
    }
}

/// Breaks a line between words; one that was indented by its author (a command to copy) stays whole.
fn wrap(line: &str, text: &mut String) {
    let mut column = 0;
    if line.starts_with(' ') {
        text.push_str("  ");
        text.push_str(line);
        text.push('\n');
        return;
    }
    for word in line.split(' ') {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > LONG_REASON {
            text.push('\n');
            column = 0;
        }
        text.push_str(if column == 0 { "  " } else { " " });
        text.push_str(word);
        column += length + if column == 0 { 2 } else { 1 };
    }
    text.push('\n');
}

fn one_line(reason: &str) -> String {
    let line = printable(reason.trim().lines().next().unwrap_or_default());
    let mut end = line.len().min(MAX_REASON);
    while !line.is_char_boundary(end) {
        end -= 1;
    }
    match &line[..end] {
        "" => "refused".into(),
        line => line.into(),
    }
}

/// Without what would move the cursor of the person's terminal.
fn printable(text: &str) -> String {
    text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn report(refs: &[(&'static str, CommandResult)]) -> Report {
        let refs =
            refs.iter().map(|(name, result)| (Bytes::from_static(name.as_bytes()), result.clone())).collect();
        Report { unpack: Ok(()), refs }
    }

    fn text(bytes: &Bytes) -> String {
        String::from_utf8_lossy(bytes).into_owned()
    }

    const WANTED: Capabilities = Capabilities {
        report: ReportStatus::Wanted,
        side_band: false,
        atomic: false,
        quiet: false,
        push_options: false,
        foreign_format: None,
    };

    #[test]
    fn one_line_per_ref() {
        let report = report(&[("refs/heads/a", Ok(())), ("refs/heads/b", Err("no\nbecause".into()))]);
        let bare = report.render(&WANTED);
        assert_eq!(text(&bare), "000eunpack ok\n0014ok refs/heads/a\n0017ng refs/heads/b no\n0000");
        let banded = report.render(&Capabilities { side_band: true, ..WANTED });
        assert!(text(&banded).contains("\x02refs/heads/b refused:\n  no\n  because\n"), "{banded:?}");
        assert!(
            text(&banded)
                .ends_with("\x01000eunpack ok\n0014ok refs/heads/a\n0017ng refs/heads/b no\n00000000")
        );
    }

    #[test]
    fn who_wants_no_report_gets_none() {
        let report = report(&[("refs/heads/a", Ok(()))]);
        assert!(report.render(&Capabilities::default()).is_empty());
        assert_eq!(report.render(&Capabilities { side_band: true, ..Capabilities::default() }), "0000");
    }

    #[test]
    fn the_same_long_reason_is_written_out_once() {
        let reason = "word ".repeat(40);
        let written =
            report(&[("refs/heads/a", Err(reason.clone())), ("refs/heads/b", Err(reason))]).written_out();
        assert!(written.starts_with("refs/heads/a and 1 more refused:\n  word"), "{written}");
        assert!(written.lines().all(|line| line.len() <= LONG_REASON + 2), "{written}");
        assert_eq!(written.matches("word").count(), 40);
    }

    #[test]
    fn reasons_cannot_move_the_cursor_or_grow() {
        assert_eq!(one_line("a\x1b[2Jb"), "a [2Jb");
        assert_eq!(one_line(" \n"), "refused");
        assert_eq!(one_line(&"ä".repeat(1000)).len(), MAX_REASON);
    }
}
