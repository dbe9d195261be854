//! Which repository: the owner's key and the identifier.

use std::fmt;
use std::str::FromStr;

use nostr::key::PublicKey;
use nostr::nips::nip19::{FromBech32, ToBech32};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

use super::ShapeError;

/// A repository's identifier: the announcement's `d` value, safe as one path segment.
///
/// Not empty, at most 251 bytes, no `/`, no NUL or other control character, not `.` or `..`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identifier(Box<str>);

/// The longest identifier, in bytes: 255 is the limit of file names, less `.git`.
pub const MAX_IDENTIFIER: usize = 251;

/// What RFC 3986 calls unreserved stays as it is in URLs.
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

impl Identifier {
    /// Checks a `d` value.
    ///
    /// # Errors
    /// [`ShapeError::NoIdentifier`] when empty, [`ShapeError::Identifier`] when it cannot be one path segment.
    pub fn new(text: &str) -> Result<Self, ShapeError> {
        let bad = |why| Err(ShapeError::Identifier(text.chars().take(80).collect(), why));
        if text.is_empty() {
            return Err(ShapeError::NoIdentifier);
        }
        if text.len() > MAX_IDENTIFIER {
            return bad("is longer than 251 bytes");
        }
        if text == "." || text == ".." {
            return bad("is a path, not a name");
        }
        if text.contains('/') {
            return bad("contains `/`");
        }
        if text.chars().any(char::is_control) {
            return bad("contains a control character");
        }
        Ok(Self(text.into()))
    }

    /// Decodes one raw path segment (without `.git`), once, and checks it.
    #[must_use]
    pub fn from_path_segment(raw: &str) -> Option<Self> {
        let decoded = percent_decode_str(raw).decode_utf8().ok()?;
        Self::new(&decoded).ok()
    }

    /// As it is in the event.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Percent-encoded, for URLs.
    #[must_use]
    pub fn encoded(&self) -> String {
        utf8_percent_encode(&self.0, SEGMENT).to_string()
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Identifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &self.0)
    }
}

impl serde::Serialize for Identifier {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> serde::Deserialize<'de> for Identifier {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

/// A repository: `30617:<owner-pubkey-hex>:<identifier>`.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
pub struct Coordinate {
    /// Whose repository it is.
    pub owner: PublicKey,
    /// Its name.
    pub identifier: Identifier,
}

impl Coordinate {
    /// Both parts.
    #[must_use]
    pub const fn new(owner: PublicKey, identifier: Identifier) -> Self {
        Self { owner, identifier }
    }

    /// The owner's key as `npub1…` (NIP-19).
    #[must_use]
    pub fn npub(&self) -> String {
        self.owner.to_bech32().unwrap_or_else(|never| match never {})
    }

    /// From the raw, still percent-encoded path segments `<npub>` and `<identifier>.git`.
    ///
    /// The only door from URLs to repositories: segments are split before decoding and decoded once.
    #[must_use]
    pub fn from_path(npub: &str, repository: &str) -> Option<Self> {
        let owner = npub.starts_with("npub1").then(|| PublicKey::from_bech32(npub).ok()).flatten()?;
        // The only spelling of a key that leads to a repository is the canonical one.
        if Self::new(owner, Identifier("x".into())).npub() != npub {
            return None;
        }
        let identifier = Identifier::from_path_segment(repository.strip_suffix(".git")?)?;
        Some(Self { owner, identifier })
    }

    /// `/<npub>/<percent-encoded identifier>.git`.
    #[must_use]
    pub fn url_path(&self) -> String {
        format!("/{}/{}.git", self.npub(), self.identifier.encoded())
    }
}

/// The text is no `30617:<pubkey-hex>:<identifier>`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a repository coordinate (30617:<pubkey-hex>:<identifier>)")]
pub struct NotACoordinate;

impl FromStr for Coordinate {
    type Err = NotACoordinate;

    fn from_str(text: &str) -> Result<Self, NotACoordinate> {
        let mut parts = text.splitn(3, ':');
        let (Some("30617"), Some(owner), Some(identifier)) = (parts.next(), parts.next(), parts.next())
        else {
            return Err(NotACoordinate);
        };
        Ok(Self {
            owner: PublicKey::from_hex(owner).map_err(|_| NotACoordinate)?,
            identifier: Identifier::new(identifier).map_err(|_| NotACoordinate)?,
        })
    }
}

impl fmt::Display for Coordinate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "30617:{}:{}", self.owner.to_hex(), self.identifier)
    }
}

impl fmt::Debug for Coordinate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
