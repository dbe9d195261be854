//! How many connections are open, in all and per address.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;

/// Counts open connections. Bounded by the limits themselves.
#[derive(Debug)]
pub(super) struct Connections {
    most: usize,
    most_per_address: usize,
    open: Mutex<Open>,
}

#[derive(Debug, Default)]
struct Open {
    all: usize,
    by_address: HashMap<IpAddr, usize>,
}

/// Why there is no place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// The server has as many as it takes.
    Server,
    /// This address has.
    Address,
}

/// A counted connection; dropping it makes room.
#[derive(Debug)]
pub(super) struct Place {
    connections: Arc<Connections>,
    counts_for_all: bool,
    address: Option<IpAddr>,
}

impl Connections {
    pub(super) fn new(most: usize, most_per_address: usize) -> Arc<Self> {
        Arc::new(Self { most, most_per_address, open: Mutex::default() })
    }

    /// A place for an accepted connection. A trusted proxy brings many clients and counts for none of them.
    pub(super) fn enter(self: &Arc<Self>, peer: IpAddr, is_proxy: bool) -> Result<Place, Full> {
        self.take(true, (!is_proxy).then_some(peer))
    }

    /// A place for a lasting connection of a client behind a proxy, which is already counted among all.
    pub(super) fn enter_behind_proxy(self: &Arc<Self>, client: IpAddr) -> Result<Place, Full> {
        self.take(false, Some(client))
    }

    fn take(self: &Arc<Self>, counts_for_all: bool, address: Option<IpAddr>) -> Result<Place, Full> {
        let address = address.map(household);
        let mut open = self.open.lock();
        if counts_for_all && open.all >= self.most {
            return Err(Full::Server);
        }
        if let Some(address) = address {
            let count = open.by_address.entry(address).or_default();
            if *count >= self.most_per_address {
                return Err(Full::Address);
            }
            *count += 1;
        }
        open.all += usize::from(counts_for_all);
        drop(open);
        Ok(Place { connections: Arc::clone(self), counts_for_all, address })
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.connections.open.lock();
        open.all -= usize::from(self.counts_for_all);
        let Some(address) = self.address else { return };
        if let Some(count) = open.by_address.get_mut(&address) {
            *count -= 1;
            if *count == 0 {
                open.by_address.remove(&address);
            }
        }
    }
}

/// One client of IPv6 has a whole /64 to write from.
fn household(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(address) if !address.is_loopback() => {
            let prefix = u128::from(address) & (u128::MAX << 64);
            IpAddr::V6(Ipv6Addr::from(prefix))
        }
        address => address,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_address_has_its_share_and_gets_it_back() {
        let connections = Connections::new(10, 2);
        let first = connections.enter(ip("192.0.2.1"), false).unwrap();
        let _second = connections.enter(ip("::ffff:192.0.2.1"), false).unwrap();
        assert_eq!(connections.enter(ip("192.0.2.1"), false).unwrap_err(), Full::Address);
        assert!(connections.enter(ip("192.0.2.2"), false).is_ok());
        drop(first);
        assert!(connections.enter(ip("192.0.2.1"), false).is_ok());
    }

    #[test]
    fn a_prefix_of_64_bits_is_one_client() {
        let connections = Connections::new(10, 1);
        let _place = connections.enter(ip("2001:db8::1"), false).unwrap();
        assert_eq!(connections.enter(ip("2001:db8::ffff:2"), false).unwrap_err(), Full::Address);
        assert!(connections.enter(ip("2001:db8:0:1::1"), false).is_ok());
    }

    #[test]
    fn proxies_count_for_all_and_their_clients_for_themselves() {
        let connections = Connections::new(3, 1);
        let places: Vec<Place> = (0..3).map(|_| connections.enter(ip("10.0.0.1"), true).unwrap()).collect();
        assert_eq!(connections.enter(ip("10.0.0.1"), true).unwrap_err(), Full::Server);
        let _client = connections.enter_behind_proxy(ip("192.0.2.1")).unwrap();
        assert_eq!(connections.enter_behind_proxy(ip("192.0.2.1")).unwrap_err(), Full::Address);
        drop(places);
        assert_eq!(connections.open.lock().all, 0);
    }

    #[test]
    fn nothing_is_remembered_of_those_who_left() {
        let connections = Connections::new(3, 1);
        drop(connections.enter(ip("192.0.2.1"), false));
        assert!(connections.open.lock().by_address.is_empty());
    }
}
