//! The v2 command `ls-refs` (gitprotocol-v2(5)), answered from a snapshot of refs. Pure.

use bytes::Bytes;

use super::advertise::visible;
use super::pkt_line::Writer;
use super::refs::{RefEntry, RefSnapshot};
use crate::nip34::Oid;
use crate::nip34::refname::MAX_REF_NAME;

/// From this many prefixes on git ignores them all, and so do we.
const TOO_MANY_PREFIXES: usize = 65_536;
/// The same for their bytes: `ref-prefix` is a wish, clients filter what they get.
const TOO_LONG_PREFIXES: usize = 4 << 20;

/// What a client asked `ls-refs` for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Query {
    peel: bool,
    symrefs: bool,
    unborn: bool,
    prefixes: Prefixes,
}

/// The `ref-prefix` arguments.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Prefixes {
    /// In the order they came; after [`Query::close`] sorted, and none begins with another.
    list: Vec<Box<[u8]>>,
    count: usize,
    bytes: usize,
}

/// An argument that `ls-refs` does not have.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("unexpected line: '{0}'")]
pub(crate) struct UnexpectedArgument(String);

impl Query {
    /// Takes one argument line.
    pub(crate) fn argument(&mut self, line: &[u8]) -> Result<(), UnexpectedArgument> {
        match line {
            b"peel" => self.peel = true,
            b"symrefs" => self.symrefs = true,
            b"unborn" => self.unborn = true,
            _ => {
                let prefix = line.strip_prefix(b"ref-prefix ").ok_or_else(|| {
                    UnexpectedArgument(String::from_utf8_lossy(line).chars().take(200).collect())
                })?;
                self.prefixes.add(prefix);
            }
        }
        Ok(())
    }

    /// All arguments are in.
    pub(crate) fn close(&mut self) {
        self.prefixes.close();
    }

    /// How many bytes the query itself takes as a key.
    pub(crate) fn size(&self) -> usize {
        self.prefixes.list.iter().map(|prefix| prefix.len() + 16).sum()
    }

    /// The answer. Git's own order and words: HEAD, then the refs by name.
    pub(crate) fn answer(&self, refs: &RefSnapshot) -> Bytes {
        let mut out = Writer::with_capacity(256 + refs.refs.len() * 100);
        if self.prefixes.allow("HEAD") {
            let head = refs.get(&refs.head);
            if head.is_some() || (self.unborn && self.symrefs) {
                let target = if self.symrefs { Some(refs.head.as_str()) } else { None };
                line(&mut out, head.map(|entry| &entry.oid), "HEAD", target, self.peeled(head));
            }
        }
        for entry in visible(refs).filter(|entry| self.prefixes.allow(entry.name.as_str())) {
            line(&mut out, Some(&entry.oid), entry.name.as_str(), None, self.peeled(Some(entry)));
        }
        out.flush().finish()
    }

    fn peeled<'a>(&self, entry: Option<&'a RefEntry>) -> Option<&'a Oid> {
        entry?.peeled.as_ref().filter(|_| self.peel)
    }
}

impl Prefixes {
    fn add(&mut self, prefix: &[u8]) {
        self.count += 1;
        self.bytes += prefix.len();
        if self.is_ignored() {
            self.list = Vec::new();
        } else if prefix.len() <= MAX_REF_NAME {
            // A longer one can match nothing, but it counts.
            self.list.push(prefix.into());
        }
    }

    const fn is_ignored(&self) -> bool {
        self.count == 0 || self.count >= TOO_MANY_PREFIXES || self.bytes > TOO_LONG_PREFIXES
    }

    fn close(&mut self) {
        self.list.sort_unstable();
        self.list.dedup_by(|longer, shorter| longer.starts_with(shorter));
    }

    /// Of a sorted list in which no entry begins with another, only the last that is not after `name` can begin it.
    fn allow(&self, name: &str) -> bool {
        let at = self.list.partition_point(|prefix| **prefix <= *name.as_bytes());
        self.is_ignored() || at > 0 && name.as_bytes().starts_with(&self.list[at - 1])
    }
}

fn line(out: &mut Writer, oid: Option<&Oid>, name: &str, symref: Option<&str>, peeled: Option<&Oid>) {
    let mut digits = [0; 40];
    let mut peeled_digits = [0; 40];
    let mut id: &[u8] = b"unborn";
    // 40 is twice 20, so neither can fail.
    if let Some(oid) = oid {
        let _ = hex::encode_to_slice(oid.as_bytes(), &mut digits);
        id = &digits;
    }
    if let Some(peeled) = peeled {
        let _ = hex::encode_to_slice(peeled.as_bytes(), &mut peeled_digits);
    }
    let (target_key, target) = symref.map_or(("", ""), |target| (" symref-target:", target));
    let (peeled_key, peeled): (&[u8], &[u8]) =
        if peeled.is_some() { (b" peeled:", &peeled_digits) } else { (b"", b"") };
    let name = name.as_bytes();
    out.data(&[id, b" ", name, target_key.as_bytes(), target.as_bytes(), peeled_key, peeled, b"\n"]);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;

    use super::*;

    fn query(prefixes: &[String]) -> Query {
        let mut query = Query::default();
        for prefix in prefixes {
            query.argument(format!("ref-prefix {prefix}").as_bytes()).unwrap();
        }
        query.close();
        query
    }

    #[test]
    fn an_unknown_argument_is_named() {
        let error = Query::default().argument(b"frobnicate").unwrap_err();
        assert_eq!(error.to_string(), "unexpected line: 'frobnicate'");
    }

    #[test]
    fn too_many_prefixes_are_none() {
        let mut prefixes: Vec<_> = (0..TOO_MANY_PREFIXES - 1).map(|n| format!("refs/heads/{n}")).collect();
        assert!(!query(&prefixes).prefixes.allow("refs/tags/a"));
        prefixes.push("refs/heads/x".into());
        assert!(query(&prefixes).prefixes.allow("refs/tags/a"));
    }

    #[test]
    fn a_prefix_longer_than_any_name_matches_nothing() {
        assert!(!query(&["a".repeat(5000)]).prefixes.allow("refs/heads/a"));
    }

    proptest! {
        #[test]
        fn prefixes_allow_what_begins_with_one(prefixes in prop::collection::vec("[ab/]{0,4}", 0..6), name in "[ab/]{0,6}") {
            let expected = prefixes.is_empty() || prefixes.iter().any(|prefix| name.starts_with(prefix));
            prop_assert_eq!(query(&prefixes).prefixes.allow(&name), expected);
        }
    }
}
