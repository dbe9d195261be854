//! URLs of other servers, checked and normalised: two spellings of one place are one value.
//!
//! Where a name leads is not checked here (the address guard does that, when it connects).

use std::fmt;
use std::sync::Arc;

use nostr::types::url::Url;

use super::bounds::MAX_URL;

/// The URL of a relay: `ws` or `wss`, without credentials, fragment, default port and trailing slash.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelayUrl(Arc<str>);

/// The URL of a git repository: `http` or `https`, without credentials, fragment, default port and trailing slash.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CloneUrl {
    url: Arc<str>,
    host: Arc<str>,
}

/// Why a text is no URL of another server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAPeer {
    /// Too long.
    #[error("it is longer than {MAX_URL} bytes")]
    TooLong,
    /// No URL.
    #[error("it is no URL")]
    Malformed,
    /// Another scheme.
    #[error("its scheme is another than {0}")]
    Scheme(&'static str),
    /// User name or password.
    #[error("it carries credentials")]
    Credentials,
    /// No host.
    #[error("it names no host")]
    NoHost,
}

impl RelayUrl {
    /// Checks and normalises.
    ///
    /// # Errors
    /// [`NotAPeer`], saying what is wrong.
    pub fn parse(text: &str) -> Result<Self, NotAPeer> {
        let url = parse(text, ["ws", "wss"], "ws or wss")?;
        Ok(Self(normalised(&url)))
    }

    /// As a text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl CloneUrl {
    /// Checks and normalises.
    ///
    /// # Errors
    /// [`NotAPeer`], saying what is wrong.
    pub fn parse(text: &str) -> Result<Self, NotAPeer> {
        let url = parse(text, ["http", "https"], "http or https")?;
        let port = url.port_or_known_default().unwrap_or_default();
        let host = format!("{}:{port}", url.host_str().unwrap_or_default());
        Ok(Self { url: normalised(&url), host: host.into() })
    }

    /// As a text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.url
    }

    /// Host and port: what a host's limits are counted by.
    #[must_use]
    pub const fn host(&self) -> &Arc<str> {
        &self.host
    }
}

fn parse(text: &str, schemes: [&str; 2], named: &'static str) -> Result<Url, NotAPeer> {
    let text = text.trim();
    if text.len() > MAX_URL {
        return Err(NotAPeer::TooLong);
    }
    let url = Url::parse(text).map_err(|_| NotAPeer::Malformed)?;
    if !schemes.contains(&url.scheme()) {
        return Err(NotAPeer::Scheme(named));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(NotAPeer::Credentials);
    }
    if url.host_str().is_none_or(str::is_empty) {
        return Err(NotAPeer::NoHost);
    }
    Ok(url)
}

/// Lower-case host without a trailing dot and no default port; the path without doubled and trailing slashes.
fn normalised(url: &Url) -> Arc<str> {
    let host = url.host_str().unwrap_or_default().trim_end_matches('.');
    let port = url.port().map_or_else(String::new, |port| format!(":{port}"));
    let path: String =
        url.path().split('/').filter(|part| !part.is_empty()).flat_map(|part| ["/", part]).collect();
    let query = url.query().filter(|query| !query.is_empty());
    let query = query.map_or_else(String::new, |query| format!("?{query}"));
    format!("{}://{host}{port}{path}{query}", url.scheme()).into()
}

impl fmt::Display for RelayUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RelayUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for CloneUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

impl fmt::Debug for CloneUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.url)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn two_spellings_of_one_relay_are_one() {
        for text in [
            "wss://relay.example.org",
            "WSS://Relay.Example.org:443/",
            " wss://relay.example.org.// ",
            "wss://relay.example.org#top",
            "wss://relay.example.org/?",
        ] {
            assert_eq!(RelayUrl::parse(text).unwrap().as_str(), "wss://relay.example.org", "{text}");
        }
        assert_eq!(RelayUrl::parse("ws://[::1]:80//a/").unwrap().as_str(), "ws://[::1]/a");
        assert_ne!(RelayUrl::parse("ws://a.example").unwrap(), RelayUrl::parse("wss://a.example").unwrap());
    }

    #[test]
    fn what_is_no_relay_is_refused_with_the_reason() {
        for (text, why) in [
            ("https://relay.example.org", NotAPeer::Scheme("ws or wss")),
            ("wss://me:secret@relay.example.org", NotAPeer::Credentials),
            ("relay.example.org", NotAPeer::Malformed),
            ("wss://", NotAPeer::Malformed),
            ("", NotAPeer::Malformed),
        ] {
            assert_eq!(RelayUrl::parse(text), Err(why), "{text}");
        }
        assert_eq!(
            RelayUrl::parse(&format!("wss://a.example/{}", "x".repeat(MAX_URL))),
            Err(NotAPeer::TooLong)
        );
    }

    #[test]
    fn a_clone_url_knows_its_host_and_port() {
        let url = CloneUrl::parse("https://Git.Example.org/npub1x/a%20b.git/").unwrap();
        assert_eq!(url.as_str(), "https://git.example.org/npub1x/a%20b.git");
        assert_eq!(&**url.host(), "git.example.org:443");
        for text in ["ssh://git@example.org/x", "git@example.org:x", "file:///etc", "/etc"] {
            assert!(CloneUrl::parse(text).is_err(), "{text}");
        }
    }
}
