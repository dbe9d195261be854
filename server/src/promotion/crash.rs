//! Named points at which the crash tests end the process as abruptly as a power cut would.
//!
//! Only with the cargo feature `crash-points`, which no release has: the variable `GRASP_CRASH_AT` names the point,
//! with `:<n>` for its n-th passing.

/// A moment inside a promotion, in order.
pub const POINTS: [&str; 8] = [
    "objects-moved",
    "record-written",
    "tips-kept",
    "refs-written",
    "before-serve",
    "served",
    "record-closed",
    "waiting-written",
];

/// A moment while the data of a retired repository goes, in order, beside those of the promotion that this is.
pub const PURGE_POINTS: [&str; 3] = ["put-aside-removed", "tips-forgotten", "family-shrunk"];

/// Ends the process here if the crash tests ask for it.
#[cfg(feature = "crash-points")]
pub(crate) fn point(name: &str) {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static PASSED: AtomicUsize = AtomicUsize::new(0);
    let Ok(wanted) = std::env::var("GRASP_CRASH_AT") else { return };
    let (point, nth) = wanted.split_once(':').unwrap_or((&wanted, "1"));
    if point == name && PASSED.fetch_add(1, Ordering::SeqCst) + 1 == nth.parse().unwrap_or(1) {
        std::process::abort();
    }
}

/// Ends the process here if the crash tests ask for it; without the feature there is nothing to ask.
#[cfg(not(feature = "crash-points"))]
pub(crate) const fn point(_name: &str) {}
