//! Every bound of the relay, in one place: what a client is told (NIP-11 `limitation`) is read from here, and so is
//! what is enforced. The defaults are generous; a CI bot that publishes 5,000 results in a burst is a normal user.

use std::time::Duration;

use tokio::time::Instant;

/// The bounds of the relay. A rate of `0` means "no bound".
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Longest message taken, in bytes; a state of 10,000 refs is about 1 MB.
    pub max_message_length: usize,
    /// Open subscriptions per connection.
    pub max_subscriptions: usize,
    /// Filters per REQ or COUNT.
    pub max_filters: usize,
    /// Ids, authors, kinds and tag values in all filters of a connection's open subscriptions together.
    pub max_filter_values: usize,
    /// Longest subscription id, in bytes.
    pub max_subid_length: usize,
    /// Stored events per filter, at most, whatever its `limit` says.
    pub max_limit: usize,
    /// Stored events per filter without `limit`.
    pub default_limit: usize,
    /// Stored events per REQ, all filters together.
    pub max_results: usize,
    /// Up to here COUNT counts; beyond, the answer says `approximate`.
    pub max_count: usize,
    /// Events per minute and connection; the burst is the same number.
    pub events_per_minute: u32,
    /// Events per minute and address; the burst is the same number.
    pub events_per_minute_per_address: u32,
    /// REQ, COUNT and NEG-OPEN per minute and connection; the burst is the same number.
    pub queries_per_minute: u32,
    /// REQ, COUNT and NEG-OPEN per minute and address; the burst is the same number.
    pub queries_per_minute_per_address: u32,
    /// Queries that run or stream at the same time on one connection; more wait.
    pub running_queries: usize,
    /// Questions to the event database at the same time, all connections together; more wait.
    pub running_store_calls: usize,
    /// Connections at the same time.
    pub max_connections: usize,
    /// Connections at the same time from one address (IPv6: one /64).
    pub max_connections_per_address: usize,
    /// Addresses whose rates are remembered.
    pub max_addresses: usize,
    /// Events of one connection that are being decided; reading pauses beyond.
    pub events_in_flight: usize,
    /// Live events that wait for a slow reader; the subscription ends beyond.
    pub queue_live_events: usize,
    /// Bytes of live events that wait for a slow reader; the subscription ends beyond.
    pub queue_live_bytes: usize,
    /// Bytes of stored events that wait for a slow reader; the query pauses beyond.
    pub queue_stored_bytes: usize,
    /// Answers (OK, EOSE, NOTICE, CLOSED, …) that wait; reading pauses beyond, the connection ends at twice as many.
    pub queue_answers: usize,
    /// Keys that one connection may prove to hold (NIP-42).
    pub max_authenticated_keys: usize,
    /// Reconciliations open at the same time on one connection (NIP-77).
    pub max_neg_sessions: usize,
    /// Events in one reconciliation; more are answered `NEG-ERR … blocked:`.
    pub max_neg_records: usize,
    /// Events in all reconciliations of all connections together.
    pub max_neg_records_total: usize,
    /// Longest NEG-MSG sent, in bytes before hex encoding; at least 4096.
    pub neg_frame_size: u64,
    /// A reconciliation that is silent for this long is ended.
    pub neg_idle: Duration,
    /// A connection from which nothing has come for this long is pinged.
    pub idle_ping: Duration,
    /// A connection that does not answer a ping within this time is ended.
    pub pong_timeout: Duration,
    /// A connection that takes none of the bytes that wait for it for this long is ended.
    pub write_timeout: Duration,
    /// How long the closing handshake may take, and the last answers at shutdown.
    pub close_timeout: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_message_length: 4 << 20,
            max_subscriptions: 200,
            max_filters: 100,
            max_filter_values: 200_000,
            max_subid_length: 64,
            max_limit: 5_000,
            default_limit: 500,
            max_results: 100_000,
            max_count: 200_000,
            events_per_minute: 30_000,
            events_per_minute_per_address: 120_000,
            queries_per_minute: 12_000,
            queries_per_minute_per_address: 60_000,
            running_queries: 4,
            running_store_calls: 16,
            max_connections: 4_096,
            max_connections_per_address: 1_024,
            max_addresses: 65_536,
            events_in_flight: 256,
            queue_live_events: 8_192,
            queue_live_bytes: 8 << 20,
            queue_stored_bytes: 256 << 10,
            queue_answers: 20_000,
            max_authenticated_keys: 16,
            max_neg_sessions: 8,
            max_neg_records: 500_000,
            max_neg_records_total: 4_000_000,
            neg_frame_size: 60_000,
            neg_idle: Duration::from_secs(120),
            idle_ping: Duration::from_secs(60),
            pong_timeout: Duration::from_secs(60),
            write_timeout: Duration::from_secs(60),
            close_timeout: Duration::from_secs(3),
        }
    }
}

/// A token bucket: so many a minute, and as many in one burst.
#[derive(Debug)]
pub struct Rate {
    per_minute: u32,
    tokens: f64,
    filled: Instant,
}

impl Rate {
    /// A full bucket; `0` per minute means "no bound".
    #[must_use]
    pub fn new(per_minute: u32, now: Instant) -> Self {
        Self { per_minute, tokens: f64::from(per_minute), filled: now }
    }

    /// Takes one, if there is one.
    pub fn take(&mut self, now: Instant) -> bool {
        if self.per_minute == 0 {
            return true;
        }
        self.refill(now);
        if self.tokens < 1.0 {
            return false;
        }
        self.tokens -= 1.0;
        true
    }

    /// Whether nothing is owed, so that forgetting the bucket gives nothing away.
    pub fn is_full(&mut self, now: Instant) -> bool {
        self.refill(now);
        self.tokens >= f64::from(self.per_minute)
    }

    fn refill(&mut self, now: Instant) {
        let minutes = now.saturating_duration_since(self.filled).as_secs_f64() / 60.0;
        self.tokens = (self.tokens + minutes * f64::from(self.per_minute)).min(f64::from(self.per_minute));
        self.filled = now;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_gives_its_burst_and_then_its_share_of_a_minute() {
        let start = Instant::now();
        let mut rate = Rate::new(60, start);
        assert_eq!((0..100).filter(|_| rate.take(start)).count(), 60);
        let later = start + Duration::from_secs(5);
        assert_eq!((0..100).filter(|_| rate.take(later)).count(), 5);
        assert!(!rate.is_full(later));
        assert!(rate.is_full(later + Duration::from_secs(61)));
    }

    #[test]
    fn a_rate_of_zero_is_no_bound() {
        let mut rate = Rate::new(0, Instant::now());
        assert!((0..1000).all(|_| rate.take(Instant::now())));
    }
}
