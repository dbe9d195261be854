//! Where a URL of a stranger's leads: scheme, host and port, in the one form that counts.

use std::fmt;
use std::net::IpAddr;

use url::{Host, Url};

/// The longest URL that is looked at, in bytes.
pub const MAX_URL: usize = 2048;

/// Why a URL leads nowhere from here.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotADestination {
    /// It is no URL at all, or too long.
    #[error("it is no URL of at most {MAX_URL} bytes")]
    Malformed,
    /// Another scheme than http, https, ws and wss.
    #[error("its scheme is none of http, https, ws and wss")]
    Scheme,
    /// It names a user or a password.
    #[error("it carries credentials")]
    Credentials,
    /// It has no host.
    #[error("it names no host")]
    NoHost,
    /// An address as nobody writes it: decimal, octal, hexadecimal, abridged.
    #[error("its host is an address in a disguised form")]
    Disguised,
    /// Port 0.
    #[error("no connection can be made to port 0")]
    Port,
}

/// The host of a URL.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Place {
    /// A name that has to be looked up; lower case, without a dot at its end.
    Name(String),
    /// An address.
    Address(IpAddr),
}

/// A URL that was read and may be guarded: http(s) or ws(s), a host, a port, no credentials, no fragment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Destination {
    url: Url,
    place: Place,
    port: u16,
}

impl Destination {
    /// Reads a URL.
    ///
    /// # Errors
    /// [`NotADestination`] says what it lacks.
    pub fn parse(text: &str) -> Result<Self, NotADestination> {
        let text = text.trim();
        if text.len() > MAX_URL {
            return Err(NotADestination::Malformed);
        }
        let url = Url::parse(text).map_err(|_| NotADestination::Malformed)?;
        let destination = Self::of(url)?;
        if let Place::Address(IpAddr::V4(address)) = &destination.place {
            // A URL parser reads 2130706433, 0x7f.1 and 0177.0.0.1 as 127.0.0.1; nobody honest writes them.
            let authority =
                text.split_once("//").map_or("", |(_, rest)| rest.trim_start_matches(['/', '\\']));
            let written = authority.split(['/', '?', '#', ':', '\\']).next().unwrap_or_default();
            if written.trim_end_matches('.') != address.to_string() {
                return Err(NotADestination::Disguised);
            }
        }
        Ok(destination)
    }

    /// Where a redirect leads that was met here.
    ///
    /// # Errors
    /// [`NotADestination`].
    pub fn join(&self, location: &str) -> Result<Self, NotADestination> {
        if location.len() > MAX_URL {
            return Err(NotADestination::Malformed);
        }
        // Relative ones keep this host, absolute ones are read as strictly as any.
        match Url::parse(location) {
            Ok(_) => Self::parse(location),
            Err(url::ParseError::RelativeUrlWithoutBase) => {
                let joined = self.url.join(location).map_err(|_| NotADestination::Malformed)?;
                Self::parse(joined.as_str())
            }
            Err(_) => Err(NotADestination::Malformed),
        }
    }

    fn of(mut url: Url) -> Result<Self, NotADestination> {
        if !matches!(url.scheme(), "http" | "https" | "ws" | "wss") {
            return Err(NotADestination::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(NotADestination::Credentials);
        }
        url.set_fragment(None);
        let port = url.port_or_known_default().filter(|port| *port != 0).ok_or(NotADestination::Port)?;
        let place = match url.host() {
            Some(Host::Domain(name)) => {
                let name = name.trim_end_matches('.').to_ascii_lowercase();
                if name.is_empty() {
                    return Err(NotADestination::NoHost);
                }
                Place::Name(name)
            }
            Some(Host::Ipv4(address)) => Place::Address(address.into()),
            Some(Host::Ipv6(address)) => Place::Address(address.into()),
            None => return Err(NotADestination::NoHost),
        };
        Ok(Self { url, place, port })
    }

    /// Host name or address.
    #[must_use]
    pub const fn place(&self) -> &Place {
        &self.place
    }

    /// The port, the scheme's own if the URL names none.
    #[must_use]
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// Whether it is reached through TLS.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        matches!(self.url.scheme(), "https" | "wss")
    }

    /// Whether it is a relay (`ws`, `wss`) rather than a web server.
    #[must_use]
    pub fn is_relay(&self) -> bool {
        matches!(self.url.scheme(), "ws" | "wss")
    }

    /// The same place for web requests: `ws` becomes `http`, `wss` becomes `https`.
    #[must_use]
    pub fn as_web(&self) -> Self {
        let mut url = self.url.clone();
        let scheme = if self.is_secure() { "https" } else { "http" };
        // Among these four schemes every change is allowed (WHATWG URL, scheme setter).
        let changed = url.set_scheme(scheme);
        debug_assert!(changed.is_ok(), "{url} cannot become {scheme}");
        Self { url, place: self.place.clone(), port: self.port }
    }

    /// The URL, without a fragment.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.url.as_str()
    }

    /// Path and query, for the request line.
    #[must_use]
    pub fn path_and_query(&self) -> String {
        match self.url.query() {
            Some(query) => format!("{}?{query}", self.url.path()),
            None => self.url.path().to_owned(),
        }
    }

    /// `host[:port]`, for the `Host` field; the port only if it is not the scheme's own.
    #[must_use]
    pub fn authority(&self) -> String {
        let host = self.url.host_str().unwrap_or_default();
        self.url.port().map_or_else(|| host.to_owned(), |port| format!("{host}:{port}"))
    }

    /// `host:port`: what throttling counts by.
    #[must_use]
    pub fn host_and_port(&self) -> String {
        format!("{}:{}", self.url.host_str().unwrap_or_default(), self.port)
    }

    /// The same place with `suffix` behind the path, which loses the slashes at its end; and another query.
    #[must_use]
    pub fn below(&self, suffix: &str, query: Option<&str>) -> Self {
        let mut url = self.url.clone();
        url.set_path(&format!("{}/{suffix}", self.url.path().trim_end_matches('/')));
        url.set_query(query);
        Self { url, place: self.place.clone(), port: self.port }
    }

    /// The same place without `suffix` at the path's end and without a query; `None` when the path does not end so.
    #[must_use]
    pub fn above(&self, suffix: &str) -> Option<Self> {
        let mut url = self.url.clone();
        url.set_path(self.url.path().strip_suffix(suffix)?);
        url.set_query(None);
        Some(Self { url, place: self.place.clone(), port: self.port })
    }
}

impl fmt::Display for Destination {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("http://2130706433/", NotADestination::Disguised)]
    #[case("http://0x7f000001/", NotADestination::Disguised)]
    #[case("http://0x7f.1/", NotADestination::Disguised)]
    #[case("http://0177.0.0.1/", NotADestination::Disguised)]
    #[case("http://127.1/", NotADestination::Disguised)]
    #[case("https:\\\\017700000001\\", NotADestination::Disguised)]
    #[case("http:127.1", NotADestination::Disguised)]
    #[case("ws://①②⑦.0.0.1/", NotADestination::Disguised)]
    #[case("http://user@host.example/", NotADestination::Credentials)]
    #[case("https://user:secret@127.0.0.1/", NotADestination::Credentials)]
    #[case("file:///etc/passwd", NotADestination::Scheme)]
    #[case("git://host.example/x.git", NotADestination::Scheme)]
    #[case("ssh://git@host.example/x.git", NotADestination::Scheme)]
    #[case("ext::sh -c id", NotADestination::Scheme)]
    #[case("gopher://host.example/", NotADestination::Scheme)]
    #[case("host.example/x.git", NotADestination::Malformed)]
    #[case("git@host.example:x.git", NotADestination::Malformed)]
    #[case("http://", NotADestination::Malformed)]
    #[case("http://host.example:0/", NotADestination::Port)]
    #[case("http://./", NotADestination::NoHost)]
    fn what_leads_nowhere_is_told(#[case] url: &str, #[case] expected: NotADestination) {
        assert_eq!(Destination::parse(url).unwrap_err(), expected, "{url}");
    }

    #[rstest]
    #[case("wss://Relay.Example.", "relay.example", 443)]
    #[case("ws://127.0.0.1:7000/", "127.0.0.1", 7000)]
    #[case("http://127.0.0.1./x", "127.0.0.1", 80)]
    #[case("https://host.example:8443/a?b#c", "host.example", 8443)]
    #[case("https://bücher.example/", "xn--bcher-kva.example", 443)]
    fn what_leads_somewhere_is_read_in_one_form(#[case] url: &str, #[case] place: &str, #[case] port: u16) {
        let destination = Destination::parse(url).unwrap();
        let read = match destination.place() {
            Place::Name(name) => name.clone(),
            Place::Address(address) => address.to_string(),
        };
        assert_eq!((read.as_str(), destination.port()), (place, port));
        assert!(!destination.as_str().contains('#'));
    }

    #[test]
    fn an_address_that_embeds_another_is_an_address() {
        let destination = Destination::parse("http://[::ffff:7f00:1]:80/").unwrap();
        assert_eq!(destination.place(), &Place::Address("::ffff:127.0.0.1".parse().unwrap()));
    }

    #[test]
    fn a_redirect_is_read_as_strictly_as_any_url() {
        let here = Destination::parse("https://host.example/a/b.git/info/refs?service=x").unwrap();
        assert_eq!(here.join("/c").unwrap().as_str(), "https://host.example/c");
        assert_eq!(here.join("//other.example/c").unwrap().as_str(), "https://other.example/c");
        assert_eq!(here.join("http://2130706433/"), Err(NotADestination::Disguised));
        assert_eq!(here.join("file:///etc/passwd"), Err(NotADestination::Scheme));
        assert_eq!(here.join("https://a:b@c.example/"), Err(NotADestination::Credentials));
    }

    #[test]
    fn a_relay_has_a_web_page_at_the_same_place() {
        for (relay, web) in
            [("wss://a.example/x", "https://a.example/x"), ("ws://[::1]:7/", "http://[::1]:7/")]
        {
            assert_eq!(Destination::parse(relay).unwrap().as_web(), Destination::parse(web).unwrap());
        }
    }

    #[test]
    fn paths_are_added_and_taken_off() {
        let repository = Destination::parse("https://host.example/a/b.git/").unwrap();
        let refs = repository.below("info/refs", Some("service=git-upload-pack"));
        assert_eq!(refs.as_str(), "https://host.example/a/b.git/info/refs?service=git-upload-pack");
        assert_eq!(refs.above("/info/refs").unwrap().as_str(), "https://host.example/a/b.git");
        assert_eq!(refs.above("/HEAD"), None);
    }
}
