//! The gate: the reference server as a process of its own, examined by the suite, by crashes, races and properties.
//!
//! This library is the harness that the tests share. What it cannot do ends the test with a reason, so it panics
//! where other code would return an error. It knows the server's folders, which the suite does not.

pub mod browser;
pub mod companion;
pub mod container;
pub mod disk;
pub mod elsewhere;
pub mod engine;
pub mod gate;
pub mod home;
pub mod image;
pub mod instance;
pub mod namespace;
pub mod network;
pub mod process;
pub mod project;
pub mod raw_push;
pub mod usage;
pub mod view;

pub use instance::{Backend, Instance, Setup};
