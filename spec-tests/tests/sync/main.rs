//! Proactive sync (GRASP-02) between real servers on loopback: events and git data find their way by themselves.
#![allow(clippy::unwrap_used, clippy::expect_used, missing_docs)]

mod agreement;
mod archive;
mod figures;
mod foreign;
mod git_data;
mod hostile;
mod network;
mod order;
mod restarts;
mod two_servers;
mod visible;
