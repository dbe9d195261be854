//! What is counted per client address: connections, and the rates of events and queries. Bounded: an address without
//! connections that owes nothing is forgotten, and beyond [`Limits::max_addresses`] strangers share one entry.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::limits::{Limits, Rate};

/// The counters of one address.
#[derive(Debug)]
pub(crate) struct AddressCounters {
    connections: usize,
    events: Rate,
    queries: Rate,
}

impl AddressCounters {
    fn new(limits: &Limits, now: Instant) -> Self {
        Self {
            connections: 0,
            events: Rate::new(limits.events_per_minute_per_address, now),
            queries: Rate::new(limits.queries_per_minute_per_address, now),
        }
    }

    /// Whether one more event is within the rate; counts it.
    pub(crate) fn take_event(&mut self, now: Instant) -> bool {
        self.events.take(now)
    }

    /// Whether one more query is within the rate; counts it.
    pub(crate) fn take_query(&mut self, now: Instant) -> bool {
        self.queries.take(now)
    }
}

/// A shared handle to the counters of one address.
pub(crate) type Counters = Arc<Mutex<AddressCounters>>;

#[derive(Debug)]
struct Known {
    total: usize,
    by_address: HashMap<IpAddr, Counters>,
    strangers: Counters,
}

/// All addresses that are known.
#[derive(Debug)]
pub(crate) struct Addresses {
    limits: Limits,
    known: Mutex<Known>,
}

impl Addresses {
    pub(crate) fn new(limits: &Limits) -> Self {
        let strangers = Arc::new(Mutex::new(AddressCounters::new(limits, Instant::now())));
        let known = Known { total: 0, by_address: HashMap::new(), strangers };
        Self { limits: limits.clone(), known: Mutex::new(known) }
    }

    /// How many connections are open.
    pub(crate) fn connections(&self) -> usize {
        self.known.lock().total
    }

    /// The counters of an address.
    pub(crate) fn counters(&self, address: IpAddr) -> Counters {
        let mut known = self.known.lock();
        let now = Instant::now();
        let address = block_of(address);
        if let Some(counters) = known.by_address.get(&address) {
            return counters.clone();
        }
        if known.by_address.len() >= self.limits.max_addresses {
            known.by_address.retain(|_, counters| {
                let in_use = Arc::strong_count(counters) > 1;
                let mut counters = counters.lock();
                in_use
                    || counters.connections > 0
                    || !counters.events.is_full(now)
                    || !counters.queries.is_full(now)
            });
        }
        if known.by_address.len() >= self.limits.max_addresses {
            return known.strangers.clone();
        }
        let counters = Arc::new(Mutex::new(AddressCounters::new(&self.limits, now)));
        known.by_address.insert(address, counters.clone());
        counters
    }

    /// Takes a place for one more connection, if there is one.
    pub(crate) fn admit(self: &Arc<Self>, address: IpAddr) -> Option<ConnectionPermit> {
        let counters = self.counters(address);
        let mut known = self.known.lock();
        let mut own = counters.lock();
        if known.total >= self.limits.max_connections
            || own.connections >= self.limits.max_connections_per_address
        {
            return None;
        }
        known.total += 1;
        own.connections += 1;
        drop(own);
        drop(known);
        Some(ConnectionPermit { addresses: self.clone(), counters })
    }
}

/// A place among the connections; given back when dropped. Hold it as long as the connection lives.
#[derive(Debug)]
pub struct ConnectionPermit {
    addresses: Arc<Addresses>,
    counters: Counters,
}

impl Drop for ConnectionPermit {
    fn drop(&mut self) {
        self.addresses.known.lock().total -= 1;
        self.counters.lock().connections -= 1;
    }
}

/// The unit that is counted: an IPv4 address, or the /64 that one IPv6 subscriber usually has.
fn block_of(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V4(address) => IpAddr::V4(address),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            IpAddr::V6(Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn address(last: u8) -> IpAddr {
        IpAddr::from([192, 0, 2, last])
    }

    #[test]
    fn connections_are_bounded_in_total_and_per_address_and_given_back() {
        let limits = Limits { max_connections: 3, max_connections_per_address: 2, ..Limits::default() };
        let addresses = Arc::new(Addresses::new(&limits));
        let first = addresses.admit(address(1)).unwrap();
        let _second = addresses.admit(address(1)).unwrap();
        assert!(addresses.admit(address(1)).is_none());
        let _third = addresses.admit(address(2)).unwrap();
        assert!(addresses.admit(address(3)).is_none());
        drop(first);
        assert!(addresses.admit(address(1)).is_some());
        assert_eq!(addresses.connections(), 2);
    }

    #[test]
    fn addresses_are_forgotten_when_they_owe_nothing_and_strangers_share_when_all_do() {
        let limits = Limits { max_addresses: 2, events_per_minute_per_address: 1, ..Limits::default() };
        let addresses = Addresses::new(&limits);
        let now = Instant::now();
        for last in 0..100 {
            addresses.counters(address(last));
        }
        assert!(addresses.known.lock().by_address.len() <= 2);
        let addresses = Addresses::new(&limits);
        assert!(addresses.counters(address(1)).lock().take_event(now));
        assert!(addresses.counters(address(2)).lock().take_event(now));
        assert!(addresses.counters(address(3)).lock().take_event(now));
        assert!(!addresses.counters(address(4)).lock().take_event(now));
    }

    #[test]
    fn one_ipv6_subscriber_is_one_address() {
        let of = |text: &str| block_of(text.parse().unwrap());
        assert_eq!(of("2001:db8::1"), of("2001:db8::ffff:1"));
        assert_ne!(of("2001:db8::1"), of("2001:db8:0:1::1"));
        assert_eq!(of("::ffff:192.0.2.1"), address(1));
    }
}
