//! The git shells over the wire: real git clients against `git::serve`, with a gate that hosts one repository.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod advertise;
mod fetch;
mod gate;
mod hostile;
mod push;
mod world;
