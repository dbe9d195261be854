//! Figures for monitoring systems, in the text format of Prometheus.
//!
//! What happens is counted where it happens ([`Meters`]: an atomic addition each, no lock, no name looked up). How things
//! stand is read when somebody asks ([`Gauges`]), from what the rooms know of themselves anyway.
//! `docs/reference/metrics.md` lists all of them; a test holds it against a running server.

mod gauges;
mod meters;

use prometheus::Registry;
use prometheus::core::Collector;

pub use gauges::{Gauge, Gauges};
pub use meters::{Fetches, GitMeters, HouseMeters, Meters, Pushes, RelayMeters, SyncMeters};

fn registered<C: Collector + Clone + 'static>(to: &Registry, made: prometheus::Result<C>) -> C {
    // Names, labels and buckets are constants, each name is there once, and tests make all of them.
    #[allow(clippy::expect_used)]
    let made = made.expect("a well-formed metric");
    #[allow(clippy::expect_used)]
    to.register(Box::new(made.clone())).expect("a name that is there once");
    made
}
