//! Which addresses are public: every class that is not, by the registries of IANA, embedded IPv4 addresses included.
//!
//! Pure. Sources: the IANA IPv4 and IPv6 special-purpose address registries (RFC 6890 and its successors), RFC 6052
//! (NAT64), RFC 3056 (6to4), RFC 4380 (Teredo), RFC 4291 (IPv4-mapped and -compatible addresses).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// What an address is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// A public address.
    Global,
    /// `127.0.0.0/8`, `::1`
    Loopback,
    /// `10.0.0.0/8`, `172.16.0.0/12`, `192.168.0.0/16` (RFC 1918)
    Private,
    /// `100.64.0.0/10` (RFC 6598)
    CarrierNat,
    /// `169.254.0.0/16`, `fe80::/10`
    LinkLocal,
    /// `fc00::/7` (RFC 4193)
    UniqueLocal,
    /// `fec0::/10`, deprecated (RFC 3879)
    SiteLocal,
    /// `192.0.2.0/24`, `198.51.100.0/24`, `203.0.113.0/24`, `2001:db8::/32`, `3fff::/20`
    Documentation,
    /// `198.18.0.0/15`, `2001:2::/48`
    Benchmarking,
    /// `0.0.0.0/8`, `::`
    Unspecified,
    /// `224.0.0.0/4`, `ff00::/8`
    Multicast,
    /// `255.255.255.255`
    Broadcast,
    /// Everything else that no host of the Internet has: `192.0.0.0/24`, `240.0.0.0/4`, `64:ff9b:1::/48`, `::/96`, …
    Reserved,
}

impl Class {
    /// Whether a host of some network, though not of the Internet, may have such an address.
    #[must_use]
    pub const fn is_of_a_host(self) -> bool {
        !matches!(self, Self::Unspecified | Self::Multicast | Self::Broadcast | Self::Reserved)
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Global => "public",
            Self::Loopback => "loopback",
            Self::Private => "private",
            Self::CarrierNat => "carrier-grade NAT",
            Self::LinkLocal => "link-local",
            Self::UniqueLocal => "unique local",
            Self::SiteLocal => "site-local",
            Self::Documentation => "documentation",
            Self::Benchmarking => "benchmarking",
            Self::Unspecified => "unspecified",
            Self::Multicast => "multicast",
            Self::Broadcast => "broadcast",
            Self::Reserved => "reserved",
        })
    }
}

/// The class of an address; of one that embeds an IPv4 address, the class of that.
#[must_use]
pub const fn class(address: IpAddr) -> Class {
    match address {
        IpAddr::V4(address) => v4(address),
        IpAddr::V6(address) => v6(address),
    }
}

const fn v4(address: Ipv4Addr) -> Class {
    match address.octets() {
        [0, ..] => Class::Unspecified,
        [127, ..] => Class::Loopback,
        [10, ..] | [172, 16..=31, ..] | [192, 168, ..] => Class::Private,
        [100, 64..=127, ..] => Class::CarrierNat,
        [169, 254, ..] => Class::LinkLocal,
        [192, 0, 2, _] | [198, 51, 100, _] | [203, 0, 113, _] => Class::Documentation,
        [198, 18 | 19, ..] => Class::Benchmarking,
        [224..=239, ..] => Class::Multicast,
        [255, 255, 255, 255] => Class::Broadcast,
        // Protocol assignments; the retired relays of 6to4; what was never given out.
        [192, 0, 0, _] | [192, 88, 99, _] | [240..=255, ..] => Class::Reserved,
        _ => Class::Global,
    }
}

const fn v6(address: Ipv6Addr) -> Class {
    let segments = address.segments();
    match segments {
        [0, 0, 0, 0, 0, 0, 0, 0] => Class::Unspecified,
        [0, 0, 0, 0, 0, 0, 0, 1] => Class::Loopback,
        // IPv4-mapped, and NAT64 with the well-known prefix.
        [0, 0, 0, 0, 0, 0xffff, high, low] | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => v4(embedded(high, low)),
        // 6to4.
        [0x2002, high, low, ..] => v4(embedded(high, low)),
        // Teredo: the server's address, and the client's with all bits turned over.
        [0x2001, 0, high, low, _, _, client_high, client_low] => match v4(embedded(high, low)) {
            Class::Global => v4(embedded(!client_high, !client_low)),
            class => class,
        },
        [0x2001, 0xdb8, ..] | [0x3fff, 0..=0x0fff, ..] => Class::Documentation,
        [0x2001, 2, 0, ..] => Class::Benchmarking,
        [0xfc00..=0xfdff, ..] => Class::UniqueLocal,
        [0xfe80..=0xfebf, ..] => Class::LinkLocal,
        [0xfec0..=0xfeff, ..] => Class::SiteLocal,
        [0xff00..=0xffff, ..] => Class::Multicast,
        // Protocol assignments (`2001::/23`); from here on only `2000::/3` has been given out.
        [0x2001, 0..=0x1ff, ..] => Class::Reserved,
        [0x2000..=0x3fff, ..] => Class::Global,
        _ => Class::Reserved,
    }
}

const fn embedded(high: u16, low: u16) -> Ipv4Addr {
    let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
    Ipv4Addr::new(a, b, c, d)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::prelude::*;
    use rstest::rstest;

    use super::*;

    #[rstest]
    #[case("1.1.1.1", Class::Global)]
    #[case("100.63.255.255", Class::Global)]
    #[case("100.128.0.0", Class::Global)]
    #[case("172.15.255.255", Class::Global)]
    #[case("172.32.0.0", Class::Global)]
    #[case("2606:4700:4700::1111", Class::Global)]
    #[case("127.0.0.1", Class::Loopback)]
    #[case("127.255.255.254", Class::Loopback)]
    #[case("::1", Class::Loopback)]
    #[case("10.0.0.1", Class::Private)]
    #[case("172.16.0.1", Class::Private)]
    #[case("172.31.255.255", Class::Private)]
    #[case("192.168.1.1", Class::Private)]
    #[case("100.64.0.1", Class::CarrierNat)]
    #[case("100.127.255.255", Class::CarrierNat)]
    #[case("169.254.169.254", Class::LinkLocal)]
    #[case("fe80::1", Class::LinkLocal)]
    #[case("febf::1", Class::LinkLocal)]
    #[case("fc00::1", Class::UniqueLocal)]
    #[case("fdff::1", Class::UniqueLocal)]
    #[case("fec0::1", Class::SiteLocal)]
    #[case("192.0.2.1", Class::Documentation)]
    #[case("198.51.100.1", Class::Documentation)]
    #[case("203.0.113.1", Class::Documentation)]
    #[case("2001:db8::1", Class::Documentation)]
    #[case("3fff:fff::1", Class::Documentation)]
    #[case("198.18.0.1", Class::Benchmarking)]
    #[case("198.19.255.255", Class::Benchmarking)]
    #[case("2001:2::1", Class::Benchmarking)]
    #[case("0.0.0.0", Class::Unspecified)]
    #[case("0.1.2.3", Class::Unspecified)]
    #[case("::", Class::Unspecified)]
    #[case("224.0.0.1", Class::Multicast)]
    #[case("239.255.255.255", Class::Multicast)]
    #[case("ff02::1", Class::Multicast)]
    #[case("255.255.255.255", Class::Broadcast)]
    #[case("192.0.0.1", Class::Reserved)]
    #[case("192.88.99.1", Class::Reserved)]
    #[case("240.0.0.1", Class::Reserved)]
    #[case("64:ff9b:1::7f00:1", Class::Reserved)]
    #[case("100::1", Class::Reserved)]
    #[case("2001:20::1", Class::Reserved)]
    #[case("5f00::1", Class::Reserved)]
    #[case("4000::1", Class::Reserved)]
    // IPv4-compatible, whatever it embeds.
    #[case("::7f00:1", Class::Reserved)]
    #[case("::8.8.8.8", Class::Reserved)]
    // IPv4-mapped, NAT64, 6to4 and Teredo.
    #[case("::ffff:127.0.0.1", Class::Loopback)]
    #[case("::ffff:10.0.0.1", Class::Private)]
    #[case("::ffff:8.8.8.8", Class::Global)]
    #[case("64:ff9b::169.254.169.254", Class::LinkLocal)]
    #[case("64:ff9b::192.168.0.1", Class::Private)]
    #[case("64:ff9b::8.8.8.8", Class::Global)]
    #[case("2002:7f00:1::", Class::Loopback)]
    #[case("2002:a00:1::1", Class::Private)]
    #[case("2002:808:808::1", Class::Global)]
    #[case("2001:0:a00:1::f7f7:f7f7", Class::Private)]
    #[case("2001:0:808:808::f5ff:fffe", Class::Private)]
    #[case("2001:0:808:808::f7f7:f7f7", Class::Global)]
    fn every_address_has_its_class(#[case] address: &str, #[case] expected: Class) {
        assert_eq!(class(address.parse().unwrap()), expected, "{address}");
    }

    proptest! {
        #[test]
        fn what_embeds_an_address_is_as_public_as_that(bits: u32, prefix in 0usize..4) {
            let inner = Ipv4Addr::from_bits(bits);
            let [high, low] = [(bits >> 16) as u16, bits as u16];
            let outer = match prefix {
                0 => inner.to_ipv6_mapped(),
                1 => Ipv6Addr::new(0x64, 0xff9b, 0, 0, 0, 0, high, low),
                2 => Ipv6Addr::new(0x2002, high, low, 0, 0, 0, 0, 1),
                _ => Ipv6Addr::new(0x2001, 0, 0x808, 0x808, 0, 0, !high, !low),
            };
            prop_assert_eq!(class(outer.into()), class(inner.into()));
        }
    }
}
