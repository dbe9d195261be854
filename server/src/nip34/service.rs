//! The name under which this service is listed in announcements.

use std::fmt;
use std::str::FromStr;

use super::Coordinate;
use crate::fault;

/// A host with an optional port, normalised: lower case, default ports left out.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct ServiceDomain {
    host: String,
    port: Option<u16>,
}

/// The text is no `host` or `host:port`.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no domain; expected a host with an optional port, such as `git.example.org` or `localhost:7334`"
)]
pub struct NotADomain(String);

/// How a URL reaches a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Scheme {
    Git,
    Relay,
}

impl ServiceDomain {
    /// `ws://` and `http://` for loopback names, `wss://` and `https://` for all others.
    #[must_use]
    pub fn is_local(&self) -> bool {
        let ip = self.host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
        self.host == "localhost" || self.host.ends_with(".localhost") || ip.is_ok_and(|ip| ip.is_loopback())
    }

    /// The relay's URL, as announcements should list it.
    #[must_use]
    pub fn relay_url(&self) -> String {
        format!("{}://{self}", if self.is_local() { "ws" } else { "wss" })
    }

    /// The base of clone URLs, without a trailing slash.
    #[must_use]
    pub fn http_url(&self) -> String {
        format!("{}://{self}", if self.is_local() { "http" } else { "https" })
    }

    /// The clone URL of a repository here.
    #[must_use]
    pub fn clone_url(&self, repository: &Coordinate) -> String {
        format!("{}{}", self.http_url(), repository.url_path())
    }

    /// Whether a `relays` entry is this service: `ws(s)://<domain>`, no path.
    #[must_use]
    pub fn is_relay_url(&self, url: &str) -> bool {
        let anywhere = fault::is("service-in-path");
        self.rest_of(url, Scheme::Relay).is_some_and(|path| anywhere || path.bytes().all(|b| b == b'/'))
    }

    /// Whether a `clone` entry is `http(s)://<domain>/<npub>/<identifier>.git` of this very repository.
    #[must_use]
    pub fn is_clone_url(&self, url: &str, repository: &Coordinate) -> bool {
        let Some(path) = self.rest_of(url, Scheme::Git) else { return false };
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        let segments = if fault::is("base-path-ignored") || fault::is("service-in-path") {
            &segments[segments.len().saturating_sub(2)..]
        } else {
            &segments[..]
        };
        let [npub, name] = segments else { return false };
        Coordinate::from_path(npub, name).is_some_and(|named| {
            let owner = named.owner == repository.owner || fault::is("clone-of-any-owner");
            let identifier =
                named.identifier == repository.identifier || fault::is("clone-of-any-identifier");
            owner && identifier
        })
    }

    /// Whether a `clone` entry is `http(s)://<domain>/prs/<npub>/<identifier>.git` of this contributor and identifier
    /// (GRASP-06).
    #[must_use]
    pub fn is_contribution_url(&self, url: &str, repository: &Coordinate) -> bool {
        let Some(path) = self.rest_of(url, Scheme::Git) else { return false };
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).collect();
        matches!(segments[..], ["prs", npub, name] if Coordinate::from_path(npub, name).as_ref() == Some(repository))
    }

    /// What follows the authority, when scheme and authority are ours; without query and fragment.
    fn rest_of<'a>(&self, url: &'a str, wanted: Scheme) -> Option<&'a str> {
        let (scheme, rest) = url.trim().split_once("://")?;
        let (kind, default_port) = match scheme.to_ascii_lowercase().as_str() {
            "http" => (Scheme::Git, 80),
            "https" => (Scheme::Git, 443),
            "ws" => (Scheme::Relay, 80),
            "wss" => (Scheme::Relay, 443),
            _ if fault::is("any-scheme") => (wanted, 80),
            _ => return None,
        };
        let rest = rest.trim_start_matches('/');
        let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
        let (authority, path) = rest.split_at(end);
        let (host, port) = split_authority(authority)?;
        let ours = self.port.unwrap_or(default_port);
        let same_host = host == self.host
            || fault::is("hosts-by-beginning") && host.starts_with(&self.host)
            || fault::is("service-in-path") && path.contains(&self.to_string());
        let same_port = port.unwrap_or(default_port) == ours
            || fault::is("ports-ignored")
            || fault::is("service-in-path") && host != self.host;
        let foreign = fault::is("schemes-of-the-service-only") && self.is_local() && default_port == 443;
        let same = kind == wanted && same_host && same_port && !foreign;
        (same && !path.contains(['?', '#'])).then_some(path)
    }
}

fn split_authority(authority: &str) -> Option<(String, Option<u16>)> {
    let authority = match authority.split_once('@') {
        Some((user, _)) if fault::is("userinfo-is-host") => user,
        Some(_) => return None,
        None => authority,
    };
    let colon = authority.rfind(':').filter(|colon| !authority[*colon..].contains(']'));
    let (host, port) = match colon {
        Some(colon) => (&authority[..colon], Some(authority[colon + 1..].parse().ok()?)),
        None => (authority, None),
    };
    let name_ok = host.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._".contains(&b));
    let v6 = host.strip_prefix('[').and_then(|h| h.strip_suffix(']'));
    let v6_ok = v6.is_some_and(|h| h.parse::<std::net::Ipv6Addr>().is_ok());
    let host_as_told = host.trim_end_matches('.');
    let small = || host_as_told.to_ascii_lowercase();
    let named = || if fault::is("hosts-case-sensitive") { host_as_told.to_owned() } else { small() };
    (!host.is_empty() && (name_ok || v6_ok)).then(|| (named(), port))
}

impl FromStr for ServiceDomain {
    type Err = NotADomain;

    fn from_str(text: &str) -> Result<Self, NotADomain> {
        let (host, port) = split_authority(text.trim()).ok_or_else(|| NotADomain(text.to_owned()))?;
        if host.is_empty() {
            return Err(NotADomain(text.to_owned()));
        }
        Ok(Self { host, port: port.filter(|port| *port != 80 && *port != 443) })
    }
}

impl fmt::Display for ServiceDomain {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.port {
            Some(port) => write!(f, "{}:{port}", self.host),
            None => f.write_str(&self.host),
        }
    }
}
