//! Three nodes of our image, on a network that the test makes, and what happens to servers: they are cut off, paused,
//! stopped, killed, replaced, and join late. After each they end up level, which the suite's own `agreement` says over
//! the wire.
//!
//! What each node has used is printed, and written to `target/nodes`. Without an engine or an image these tests say so and
//! are skipped; `make test` and CI build and start what is missing, and there a skip is a failure.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod disorder;
mod joining;
mod leftovers;
mod mesh;
mod partition;
mod restarts;
