//! Rules that pick repositories: by owner, by owner and identifier, or by identifier alone.

use std::fmt;
use std::str::FromStr;

use nostr::key::PublicKey;
use nostr::nips::nip19::{FromBech32, ToBech32};

use crate::nip34::{Coordinate, Identifier};

/// One entry of an allow list or block list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum RepositoryRule {
    /// `<npub>`: everything of this author.
    Owner(PublicKey),
    /// `<npub>/<identifier>`: this one repository.
    Repository(Coordinate),
    /// `<identifier>`: repositories of this name, whoever owns them.
    Identifier(Identifier),
}

/// The text is no rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotARule {
    /// The owner's part is no public key.
    #[error("contains the malformed npub {0:?}")]
    Npub(String),
    /// A key in another form than npub: as an identifier it would never match what was meant.
    #[error("contains a hex key; write it as npub1…")]
    HexKey,
    /// A private key, which has no place here and is not repeated.
    #[error("contains a private key; rules name public keys (npub1…). Consider that key disclosed")]
    PrivateKey,
    /// The identifier is empty or cannot be a path segment.
    #[error("contains a malformed identifier: {0}")]
    Identifier(String),
}

impl RepositoryRule {
    /// Whether the repository is meant.
    #[must_use]
    pub fn covers(&self, repository: &Coordinate) -> bool {
        match self {
            Self::Owner(owner) => *owner == repository.owner,
            Self::Repository(one) => one == repository,
            Self::Identifier(identifier) => *identifier == repository.identifier,
        }
    }

    /// Whether everything of this author is meant.
    #[must_use]
    pub fn covers_author(&self, author: &PublicKey) -> bool {
        matches!(self, Self::Owner(owner) if owner == author)
    }
}

impl FromStr for RepositoryRule {
    type Err = NotARule;

    fn from_str(text: &str) -> Result<Self, NotARule> {
        let identifier =
            |text: &str| Identifier::new(text).map_err(|wrong| NotARule::Identifier(wrong.to_string()));
        let npub = |text: &str| {
            let malformed = || NotARule::Npub(text.chars().take(80).collect());
            if text.starts_with("npub1") { PublicKey::from_bech32(text).ok() } else { None }
                .ok_or_else(malformed)
        };
        if text.contains("nsec1") {
            return Err(NotARule::PrivateKey);
        }
        let owner = text.split('/').next().unwrap_or(text);
        if owner.len() == 64 && owner.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(NotARule::HexKey);
        }
        match text.split_once('/') {
            Some((owner, name)) => Ok(Self::Repository(Coordinate::new(npub(owner)?, identifier(name)?))),
            None if text.starts_with("npub1") => Ok(Self::Owner(npub(text)?)),
            None => Ok(Self::Identifier(identifier(text)?)),
        }
    }
}

impl fmt::Display for RepositoryRule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Owner(owner) => f.write_str(&owner.to_bech32().unwrap_or_else(|never| match never {})),
            Self::Repository(one) => write!(f, "{}/{}", one.npub(), one.identifier),
            Self::Identifier(identifier) => fmt::Display::fmt(identifier, f),
        }
    }
}
