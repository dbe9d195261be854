//! Names of refs, as git-check-ref-format(1) allows them.

use std::fmt;
use std::str::FromStr;

/// A full ref name such as `refs/heads/main`, at most 1,024 bytes, valid by git-check-ref-format(1).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RefName(Box<str>);

/// What part of a repository a ref belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Namespace {
    /// `refs/heads/…`
    Branch,
    /// `refs/tags/…`
    Tag,
    /// `refs/nostr/…` (GRASP-01)
    Nostr,
    /// Anything else.
    Other,
}

/// The longest ref name taken, in bytes; file systems end at 4,096 for a whole path.
pub const MAX_REF_NAME: usize = 1024;

impl RefName {
    /// The whole name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Which namespace the name is in.
    #[must_use]
    pub fn namespace(&self) -> Namespace {
        match self.0.strip_prefix("refs/").and_then(|rest| rest.split_once('/')) {
            Some(("heads", _)) => Namespace::Branch,
            Some(("tags", _)) => Namespace::Tag,
            Some(("nostr", _)) => Namespace::Nostr,
            _ => Namespace::Other,
        }
    }

    /// Whether signed states speak about this ref: a branch or a tag.
    #[must_use]
    pub fn is_in_state(&self) -> bool {
        matches!(self.namespace(), Namespace::Branch | Namespace::Tag)
    }

    /// `refs/nostr/<event-id>`: where the data of a pull request lives.
    #[must_use]
    pub fn nostr(id: &nostr::event::EventId) -> Self {
        Self(format!("refs/nostr/{}", id.to_hex()).into())
    }

    /// The event id of a `refs/nostr/<event-id>` name: 64 lower-case hexadecimal digits.
    #[must_use]
    pub fn nostr_event(&self) -> Option<nostr::event::EventId> {
        let id = self.0.strip_prefix("refs/nostr/")?;
        let lower = id.bytes().all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
        if id.len() == 64 && lower { nostr::event::EventId::from_hex(id).ok() } else { None }
    }
}

/// The text is no ref name that git would take.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a valid ref name (see git-check-ref-format(1))")]
pub struct NotARefName;

impl FromStr for RefName {
    type Err = NotARefName;

    fn from_str(name: &str) -> Result<Self, NotARefName> {
        let forbidden = |b: u8| b < 0x20 || b == 0x7f || b" ~^:?*[\\".contains(&b);
        let component_ok = |part: &str| {
            !part.is_empty()
                && !part.starts_with('.')
                && !part.to_ascii_lowercase().ends_with(".lock")
                && part.len() <= 255
        };
        let ok = name.len() <= MAX_REF_NAME
            && name.starts_with("refs/")
            && name.split('/').count() >= 3
            && name.split('/').all(component_ok)
            && !name.bytes().any(forbidden)
            && !name.contains("..")
            && !name.contains("@{")
            && !name.ends_with('.');
        if ok { Ok(Self(name.into())) } else { Err(NotARefName) }
    }
}

impl fmt::Display for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RefName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl serde::Serialize for RefName {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for RefName {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
