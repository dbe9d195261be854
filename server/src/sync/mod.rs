//! Proactive sync (GRASP-02).

pub mod history;
pub mod refused;
pub mod relay_client;
pub mod self_subscriber;
