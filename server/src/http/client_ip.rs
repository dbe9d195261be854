//! Who is asking, when proxies may stand between. Pure.
//!
//! Anybody can write forwarding headers, so they count only from peers that the operator trusts, and are read from the
//! right: each trusted hop vouches for the one before it; the first address that is no trusted hop is the client.
//! What a stranger wrote further left is not looked at.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;
use http::header::{self, HeaderName};
use ipnet::IpNet;

const X_FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const X_REAL_IP: HeaderName = HeaderName::from_static("x-real-ip");

/// The client's address. `X-Forwarded-For` comes before `Forwarded` (RFC 7239) before `X-Real-IP`: a proxy is expected
/// to append to the first of them or to overwrite it.
#[must_use]
pub fn client_address(peer: IpAddr, headers: &HeaderMap, trusted: &[IpNet]) -> IpAddr {
    let peer = peer.to_canonical();
    if !is_trusted(peer, trusted) {
        return peer;
    }
    let hops = hops(headers);
    let mut nearest = peer;
    for hop in hops.iter().rev() {
        // A hop that does not say who it was (`unknown`, `_hidden`, rubbish): what is left of it has no witness.
        let Some(address) = address(hop) else { return nearest };
        nearest = address;
        if !is_trusted(address, trusted) {
            return address;
        }
    }
    nearest
}

/// Whether a peer is a proxy of the operator's.
#[must_use]
pub fn is_trusted(address: IpAddr, trusted: &[IpNet]) -> bool {
    trusted.iter().any(|network| network.contains(&address.to_canonical()))
}

/// The hops as they are written, nearest last.
fn hops(headers: &HeaderMap) -> Vec<String> {
    if headers.contains_key(X_FORWARDED_FOR) {
        return elements(headers, &X_FORWARDED_FOR);
    }
    if headers.contains_key(header::FORWARDED) {
        let elements = elements(headers, &header::FORWARDED);
        return elements.iter().map(|element| parameter_for(element).unwrap_or_default()).collect();
    }
    elements(headers, &X_REAL_IP)
}

/// The elements of a list header, over all its lines. One that is not text becomes an element that names nobody.
fn elements(headers: &HeaderMap, name: &HeaderName) -> Vec<String> {
    let lines = headers.get_all(name).iter().map(|line| line.to_str().unwrap_or("?"));
    lines.flat_map(|line| line.split(',')).map(|element| element.trim().to_owned()).collect()
}

/// `for=` of one element of `Forwarded`.
fn parameter_for(element: &str) -> Option<String> {
    let mut pairs = element.split(';').filter_map(|pair| pair.split_once('='));
    let (_, value) = pairs.find(|(name, _)| name.trim().eq_ignore_ascii_case("for"))?;
    Some(value.trim().trim_matches('"').to_owned())
}

/// `192.0.2.1`, `192.0.2.1:80`, `2001:db8::1`, `[2001:db8::1]`, `[2001:db8::1]:80`.
fn address(hop: &str) -> Option<IpAddr> {
    let bare = hop.strip_prefix('[').and_then(|hop| hop.strip_suffix(']')).unwrap_or(hop);
    let address = bare.parse::<IpAddr>().ok().or_else(|| Some(hop.parse::<SocketAddr>().ok()?.ip()));
    address.map(|address| address.to_canonical())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use proptest::prelude::*;

    fn asked(peer: &str, headers: &[(&'static str, &str)], trusted: &str) -> String {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.append(*name, value.parse().unwrap());
        }
        let trusted: Vec<IpNet> = trusted.split_whitespace().map(|net| net.parse().unwrap()).collect();
        client_address(peer.parse().unwrap(), &map, &trusted).to_string()
    }

    const PROXIES: &str = "10.0.0.0/8 fd00::/8";

    #[test]
    fn strangers_cannot_name_themselves() {
        let headers =
            [("x-forwarded-for", "1.2.3.4"), ("forwarded", "for=1.2.3.4"), ("x-real-ip", "1.2.3.4")];
        assert_eq!(asked("203.0.113.9", &headers, PROXIES), "203.0.113.9");
        assert_eq!(asked("10.0.0.1", &headers, ""), "10.0.0.1");
    }

    #[test]
    fn the_rightmost_address_that_is_no_proxy_is_the_client() {
        let forged = [("x-forwarded-for", "1.2.3.4, 203.0.113.9, 10.0.0.2")];
        assert_eq!(asked("10.0.0.1", &forged, PROXIES), "203.0.113.9");
        let lines = [("x-forwarded-for", "1.2.3.4"), ("x-forwarded-for", "203.0.113.9")];
        assert_eq!(asked("10.0.0.1", &lines, PROXIES), "203.0.113.9");
    }

    #[test]
    fn a_hop_that_names_nobody_ends_the_chain() {
        assert_eq!(asked("10.0.0.1", &[("x-forwarded-for", "203.0.113.9, unknown")], PROXIES), "10.0.0.1");
        assert_eq!(
            asked("10.0.0.1", &[("x-forwarded-for", "203.0.113.9, 10.0.0.2, ,")], PROXIES),
            "10.0.0.1"
        );
        assert_eq!(asked("10.0.0.1", &[("x-forwarded-for", "")], PROXIES), "10.0.0.1");
    }

    #[test]
    fn all_hops_trusted_means_the_farthest() {
        assert_eq!(asked("10.0.0.1", &[("x-forwarded-for", "10.0.0.3, 10.0.0.2")], PROXIES), "10.0.0.3");
    }

    #[test]
    fn the_other_headers_and_forms_are_understood() {
        let forwarded = [("forwarded", r#"for=1.2.3.4, For="[2001:db8::7]:4711";proto=https, for=10.0.0.2"#)];
        assert_eq!(asked("fd00::1", &forwarded, PROXIES), "2001:db8::7");
        assert_eq!(asked("10.0.0.1", &[("x-real-ip", "203.0.113.9")], PROXIES), "203.0.113.9");
        assert_eq!(asked("10.0.0.1", &[("x-forwarded-for", "203.0.113.9:5000")], PROXIES), "203.0.113.9");
        assert_eq!(asked("::ffff:10.0.0.1", &[("x-real-ip", "::ffff:203.0.113.9")], PROXIES), "203.0.113.9");
        assert_eq!(asked("10.0.0.1", &[], PROXIES), "10.0.0.1");
    }

    proptest! {
        #[test]
        fn what_a_client_writes_changes_nothing_once_a_proxy_has_appended(forged in "[ -~]{0,60}") {
            let header = format!("{forged}, 203.0.113.9");
            prop_assert_eq!(asked("10.0.0.1", &[("x-forwarded-for", &header)], PROXIES), "203.0.113.9");
        }
    }
}
