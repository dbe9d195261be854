//! Whom this server may talk to: it follows from its own address, unless the operator says otherwise.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use super::address::{Class, class};
use crate::nip34::ServiceDomain;

/// The addresses that may be connected to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// This machine only, and no name is looked up but `localhost`: what only this machine reaches has its peers here.
    Loopback,
    /// Public addresses only.
    Public,
    /// Public, private and loopback addresses.
    Anywhere,
}

impl Reach {
    /// What follows from the service's domain, unless `NGIT_SYNC_ALLOW_NON_GLOBAL_TARGETS` says something.
    #[must_use]
    pub fn of(service: &ServiceDomain, allow_non_global: Option<bool>) -> Self {
        match allow_non_global {
            Some(true) => Self::Anywhere,
            Some(false) => Self::Public,
            None if service.is_local() => Self::Loopback,
            None => match service.address().map(class) {
                None | Some(Class::Global) => Self::Public,
                Some(_) => Self::Anywhere,
            },
        }
    }

    /// Whether an address may be connected to.
    #[must_use]
    pub fn permits(self, address: IpAddr) -> bool {
        let class = class(address);
        match self {
            Self::Loopback => class == Class::Loopback,
            Self::Public => class == Class::Global,
            Self::Anywhere => class.is_of_a_host(),
        }
    }

    /// Whether a name may be looked up.
    #[must_use]
    pub fn permits_lookup(self) -> bool {
        self != Self::Loopback
    }
}

/// The addresses of `localhost` and what is below it, which no resolver is asked about (RFC 6761, section 6.3).
#[must_use]
pub fn localhost(name: &str) -> Option<[IpAddr; 2]> {
    let is_local = name == "localhost" || name.ends_with(".localhost");
    is_local.then_some([IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("127.0.0.1:7334", None, Reach::Loopback)]
    #[case("localhost:7334", None, Reach::Loopback)]
    #[case("[::1]:7334", None, Reach::Loopback)]
    #[case("10.0.0.7", None, Reach::Anywhere)]
    #[case("[fd00::7]:80", None, Reach::Anywhere)]
    #[case("git.example.org", None, Reach::Public)]
    #[case("1.1.1.1", None, Reach::Public)]
    #[case("git.example.org", Some(true), Reach::Anywhere)]
    #[case("127.0.0.1:7334", Some(true), Reach::Anywhere)]
    #[case("127.0.0.1:7334", Some(false), Reach::Public)]
    fn it_follows_from_the_domain_unless_the_operator_says_otherwise(
        #[case] domain: &str,
        #[case] said: Option<bool>,
        #[case] expected: Reach,
    ) {
        assert_eq!(Reach::of(&domain.parse().unwrap(), said), expected);
    }

    #[test]
    fn a_public_service_talks_to_public_addresses_only() {
        for refused in
            ["127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "fd00::1", "0.0.0.0", "::ffff:10.0.0.1"]
        {
            assert!(!Reach::Public.permits(refused.parse().unwrap()), "{refused}");
        }
        assert!(Reach::Public.permits("1.1.1.1".parse().unwrap()));
    }

    #[test]
    fn no_service_talks_to_what_is_no_host() {
        for refused in
            ["0.0.0.0", "::", "224.0.0.1", "255.255.255.255", "240.0.0.1", "ff02::1", "::127.0.0.1"]
        {
            for reach in [Reach::Loopback, Reach::Public, Reach::Anywhere] {
                assert!(!reach.permits(refused.parse().unwrap()), "{refused} {reach:?}");
            }
        }
    }
}
