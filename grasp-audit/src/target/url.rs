//! Where the service is: one host and port that speaks HTTP and WebSocket, plain or over TLS.

use std::net::IpAddr;

use nostr::key::PublicKey;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};

/// What stays as it is in a path segment (RFC 3986 unreserved).
const SEGMENT: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Why a URL cannot name a GRASP service.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum UrlError {
    /// Another scheme.
    #[error("`{0}` is no scheme of a GRASP service; use ws, wss, http or https")]
    Scheme(String),
    /// A path, query, fragment or credentials.
    #[error(
        "`{0}` has more than host and port; a GRASP service has no base path, give for example wss://grasp.example.org"
    )]
    Extra(String),
    /// No host, or a port that is no port.
    #[error("`{0}` names no host and port; give for example ws://127.0.0.1:7334")]
    Authority(String),
}

/// The service's address.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceUrl {
    /// Whether TLS is spoken.
    pub tls: bool,
    /// Host name or address (IPv6 without brackets), lower case.
    pub host: String,
    /// Port, also when it is the scheme's default.
    pub port: u16,
}

impl ServiceUrl {
    /// Takes `ws(s)://`, `http(s)://` or a bare host with optional port. A bare host is reached with TLS unless
    /// it is an address or `localhost`.
    ///
    /// # Errors
    /// When it is something else, with an example of what would do.
    pub fn parse(text: &str) -> Result<Self, UrlError> {
        let (scheme, rest) = match text.trim().split_once("://") {
            Some((scheme, rest)) => (Some(scheme.to_ascii_lowercase()), rest),
            None => (None, text.trim()),
        };
        let rest = rest.trim_end_matches('/');
        if rest.contains(['/', '?', '#', '@']) || rest.contains(char::is_whitespace) {
            return Err(UrlError::Extra(text.to_owned()));
        }
        let (host, port) = split_authority(rest).ok_or_else(|| UrlError::Authority(text.to_owned()))?;
        let tls = match scheme.as_deref() {
            Some("ws" | "http") => false,
            Some("wss" | "https") => true,
            Some(other) => return Err(UrlError::Scheme(other.to_owned())),
            None => host != "localhost" && host.parse::<IpAddr>().is_err(),
        };
        let port = port.unwrap_or(if tls { 443 } else { 80 });
        Ok(Self { tls, host, port })
    }

    /// Host and port as they stand in URLs and in the `Host` header; a default port is left out.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let default = if self.tls { 443 } else { 80 };
        if self.port == default { host } else { format!("{host}:{}", self.port) }
    }

    /// `http(s)://<authority>`, without a slash at the end.
    #[must_use]
    pub fn base(&self) -> String {
        format!("{}://{}", if self.tls { "https" } else { "http" }, self.authority())
    }

    /// `ws(s)://<authority>`, as it stands under `relays`.
    #[must_use]
    pub fn relay(&self) -> String {
        format!("{}://{}", if self.tls { "wss" } else { "ws" }, self.authority())
    }

    /// `http(s)://<authority>/<npub>/<identifier>.git`, as it stands under `clone`.
    #[must_use]
    pub fn clone_url(&self, owner: &PublicKey, identifier: &str) -> String {
        format!("{}{}", self.base(), repository_path(owner, identifier))
    }
}

/// `/<npub>/<percent-encoded identifier>.git`
#[must_use]
pub fn repository_path(owner: &PublicKey, identifier: &str) -> String {
    let npub = grasp_fixtures::keys::npub(owner);
    format!("/{npub}/{}.git", utf8_percent_encode(identifier, SEGMENT))
}

/// `/prs/<npub>/<percent-encoded identifier>.git`: a contributor's own repository (GRASP-06).
#[must_use]
pub fn contribution_path(contributor: &PublicKey, identifier: &str) -> String {
    format!("/prs{}", repository_path(contributor, identifier))
}

fn split_authority(text: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = if let Some(rest) = text.strip_prefix('[') {
        let (host, after) = rest.split_once(']')?;
        host.parse::<std::net::Ipv6Addr>().ok()?;
        (host, after.strip_prefix(':').or_else(|| after.is_empty().then_some(""))?)
    } else {
        text.split_once(':').unwrap_or((text, ""))
    };
    if host.is_empty() {
        return None;
    }
    let port = match port {
        "" => None,
        digits => Some(digits.parse().ok().filter(|port| *port != 0)?),
    };
    Some((host.to_ascii_lowercase(), port))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn all_forms_name_the_same_service() {
        for form in ["ws://h.example", "http://H.example/", "ws://h.example:80"] {
            let url = ServiceUrl::parse(form).unwrap();
            assert_eq!((url.base(), url.relay()), ("http://h.example".into(), "ws://h.example".into()));
        }
        assert_eq!(ServiceUrl::parse("h.example").unwrap().base(), "https://h.example");
        assert_eq!(ServiceUrl::parse("127.0.0.1:7334").unwrap().relay(), "ws://127.0.0.1:7334");
        assert_eq!(ServiceUrl::parse("wss://[::1]:8").unwrap().base(), "https://[::1]:8");
    }

    #[test]
    fn what_is_no_service_is_said() {
        assert!(matches!(ServiceUrl::parse("ftp://h"), Err(UrlError::Scheme(_))));
        assert!(matches!(ServiceUrl::parse("ws://h/relay"), Err(UrlError::Extra(_))));
        assert!(matches!(ServiceUrl::parse("ws://"), Err(UrlError::Authority(_))));
        assert!(matches!(ServiceUrl::parse("ws://h:99999"), Err(UrlError::Authority(_))));
    }

    #[test]
    fn identifiers_are_one_encoded_segment() {
        let owner = grasp_fixtures::keys::fresh().public_key();
        assert!(repository_path(&owner, "a b/ü%").ends_with("/a%20b%2F%C3%BC%25.git"));
    }
}
