//! The planner held against a world of relays: first by properties over random histories, then by scenarios that each
//! show one rule.

#![allow(clippy::unwrap_used, clippy::expect_used)]

mod cost;
mod properties;
mod roots;
mod scenarios;
mod simulation;
mod world;
