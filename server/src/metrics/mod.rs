//! Figures for monitoring systems, in the text format of Prometheus.
//!
//! What happens is counted where it happens ([`Meters`]: an atomic addition each, no lock, no name looked up). How things
//! stand is read when somebody asks ([`Gauges`]), from what the rooms know of themselves anyway.
//! `docs/reference/metrics.md` lists all of them; a test holds it against a running server.

mod gauges;
mod meters;

pub use gauges::{Gauge, Gauges};
pub use meters::{Fetches, GitMeters, HouseMeters, Meters, Pushes, RelayMeters, SyncMeters};
