//! Wrong behaviour on demand, so that checks can be seen to fail where a proxy in front cannot lie well enough.
//!
//! Only with the cargo feature `faults`, which no release has: the variable `GRASP_FAULT` names one fault, and the server
//! then breaks exactly that rule. `spec-tests` holds every check of the suite against them.

/// Every fault: its name and what is wrong with such a server. In the order of the catalogue.
pub const FAULTS: &[(&str, &str)] =
    &[("unlisted-taken", "takes announcements that do not list it, and creates their repositories")];

/// Whether this server is to behave wrongly in this way.
#[cfg(feature = "faults")]
pub(crate) fn is(name: &str) -> bool {
    use std::sync::OnceLock;
    static WANTED: OnceLock<Option<String>> = OnceLock::new();
    debug_assert!(FAULTS.iter().any(|(known, _)| *known == name), "{name} is not listed");
    WANTED.get_or_init(|| std::env::var("GRASP_FAULT").ok()).as_deref() == Some(name)
}

/// Whether this server is to behave wrongly in this way: without the feature it never is.
#[cfg(not(feature = "faults"))]
#[must_use]
pub(crate) const fn is(_name: &str) -> bool {
    false
}
