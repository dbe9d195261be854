//! The answers to `info/refs`, written from a snapshot of refs as git itself would write them. Pure.

use std::collections::HashSet;
use std::iter::Peekable;

use bytes::Bytes;

use super::gate::Gate;
use super::pkt_line::Writer;
use super::refs::{RefEntry, RefSnapshot};
use crate::nip34::Oid;

/// How this service calls itself to git clients.
pub(crate) const AGENT: &str = concat!("agent=grasp-server/", env!("CARGO_PKG_VERSION"));

/// What a v0/v1 fetch may use; `symref` comes between the two.
const FETCH: &str = "multi_ack thin-pack side-band side-band-64k ofs-delta shallow deepen-since deepen-not \
                     deepen-relative no-progress include-tag multi_ack_detailed allow-tip-sha1-in-want \
                     allow-reachable-sha1-in-want no-done";
/// What a push may use.
const PUSH: &str = "report-status report-status-v2 delete-refs side-band-64k quiet atomic ofs-delta push-options \
                    object-format=sha1";

/// A version of git's wire protocol, by the `Git-Protocol` header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub(crate) enum Version {
    #[default]
    V0,
    V1,
    V2,
}

impl Version {
    /// The highest known version in a header value such as `version=2:key=value`.
    pub(crate) fn from_header(value: &str) -> Self {
        let known = |part: &str| match part.strip_prefix("version=") {
            Some("1") => Some(Self::V1),
            Some("2") => Some(Self::V2),
            _ => None,
        };
        value.split(':').filter_map(known).max().unwrap_or_default()
    }

    /// The value of `GIT_PROTOCOL` for a child.
    pub(crate) const fn environment(self) -> &'static str {
        match self {
            Self::V0 => "version=0",
            Self::V1 => "version=1",
            Self::V2 => "version=2",
        }
    }
}

/// What those who fetch see: refs, and uploads that no event has named yet, in one order.
pub(crate) fn visible(refs: &RefSnapshot) -> impl Iterator<Item = &RefEntry> {
    Merged { left: refs.refs.iter().peekable(), right: refs.unsigned.iter().peekable() }
}

/// Two sorted sequences as one; of entries with the same name, the left one.
struct Merged<I: Iterator> {
    left: Peekable<I>,
    right: Peekable<I>,
}

impl<'a, I: Iterator<Item = &'a RefEntry>> Iterator for Merged<I> {
    type Item = &'a RefEntry;

    fn next(&mut self) -> Option<&'a RefEntry> {
        let (Some(left), Some(right)) = (self.left.peek(), self.right.peek()) else {
            return self.left.next().or_else(|| self.right.next());
        };
        match left.name.cmp(&right.name) {
            std::cmp::Ordering::Less => self.left.next(),
            std::cmp::Ordering::Greater => self.right.next(),
            std::cmp::Ordering::Equal => {
                self.right.next();
                self.left.next()
            }
        }
    }
}

/// The whole body of `info/refs?service=git-upload-pack`.
pub(crate) fn upload_pack(refs: &RefSnapshot, version: Version) -> Bytes {
    if version == Version::V2 {
        return capabilities_v2();
    }
    let mut out = preamble("git-upload-pack", version, refs.refs.len() + refs.unsigned.len());
    let head = refs.get(&refs.head);
    let symref = head.map(|_| format!(" symref=HEAD:{}", refs.head)).unwrap_or_default();
    let capabilities = format!("{FETCH}{symref} filter object-format=sha1 {AGENT}");
    let mut lines = Lines { out: &mut out, capabilities: Some(&capabilities) };
    let named = head.map(|entry| ("HEAD", entry));
    for (name, entry) in named.into_iter().chain(visible(refs).map(|entry| (entry.name.as_str(), entry))) {
        lines.line(&entry.oid, name, "");
        if let Some(peeled) = &entry.peeled {
            lines.line(peeled, name, "^{}");
        }
    }
    lines.end();
    out.flush().finish()
}

/// The whole body of `info/refs?service=git-receive-pack`. There is no v2 of pushing: it is answered as v0.
pub(crate) fn receive_pack(gate: &Gate, version: Version) -> Bytes {
    let refs = &gate.refs;
    let mut out = preamble("git-receive-pack", version, refs.refs.len() + gate.haves.len());
    let capabilities = format!("{PUSH} {AGENT}");
    let mut lines = Lines { out: &mut out, capabilities: Some(&capabilities) };
    let mut told = HashSet::with_capacity(refs.refs.len() + gate.haves.len());
    for entry in &refs.refs {
        lines.line(&entry.oid, entry.name.as_str(), "");
        told.insert(entry.oid);
    }
    for have in &gate.haves {
        if told.insert(*have) {
            lines.line(have, ".have", "");
        }
    }
    lines.end();
    out.flush().finish()
}

fn preamble(service: &str, version: Version, entries: usize) -> Writer {
    let mut out = Writer::with_capacity(1024 + entries * 80);
    out.data(&[b"# service=", service.as_bytes(), b"\n"]).flush();
    if version == Version::V1 {
        out.data(&[b"version 1\n"]);
    }
    out
}

fn capabilities_v2() -> Bytes {
    let mut out = Writer::default();
    let lines = [
        "version 2",
        AGENT,
        "ls-refs=unborn",
        "fetch=shallow wait-for-done filter",
        "server-option",
        "object-format=sha1",
    ];
    for line in lines {
        out.data(&[line.as_bytes(), b"\n"]);
    }
    out.flush().finish()
}

/// Lines of an advertisement; the first carries the capabilities.
struct Lines<'a> {
    out: &'a mut Writer,
    capabilities: Option<&'a str>,
}

impl Lines<'_> {
    fn line(&mut self, oid: &Oid, name: &str, suffix: &str) {
        let mut digits = [0; 40];
        // 40 is twice 20, so this cannot fail.
        let _ = hex::encode_to_slice(oid.as_bytes(), &mut digits);
        let (nul, capabilities) = self.capabilities.take().map_or(("", ""), |text| ("\0", text));
        self.out.data(&[
            &digits,
            b" ",
            name.as_bytes(),
            suffix.as_bytes(),
            nul.as_bytes(),
            capabilities.as_bytes(),
            b"\n",
        ]);
    }

    fn end(mut self) {
        if self.capabilities.is_some() {
            self.line(&Oid::ZERO, "capabilities^{}", "");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_highest_known_version_counts() {
        assert_eq!(Version::from_header("version=2"), Version::V2);
        assert_eq!(Version::from_header("a=b:version=1:version=2:c"), Version::V2);
        assert_eq!(Version::from_header("version=1"), Version::V1);
        for other in ["", "version=3", "version=", "2", "version=02"] {
            assert_eq!(Version::from_header(other), Version::V0, "{other}");
        }
    }
}
