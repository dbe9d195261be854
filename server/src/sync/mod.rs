//! Proactive sync (GRASP-02).

pub mod history;
pub mod relay_client;
