//! Wrong behaviour on demand, so that checks can be seen to fail where a proxy in front cannot lie well enough.
//!
//! Only with the cargo feature `faults`, which no release has: the variable `GRASP_FAULT` names one fault, and the server
//! then breaks exactly that rule. `spec-tests` holds every check of the suite against them.

/// Every fault: its name and what is wrong with such a server. In the order of the catalogue.
pub const FAULTS: &[(&str, &str)] = &[
    ("unlisted-taken", "takes announcements that do not list it, and creates their repositories"),
    ("older-state-authorises", "a push to the content of an older state than the served one is taken"),
    ("superset-authorised", "a push of more refs than the state names is taken"),
    ("ties-by-highest-id", "of two events of one second the one with the higher id counts as the newer"),
    ("head-forgotten", "HEAD does not follow the state"),
    ("siblings-forgotten", "only one of the repositories for which a state is authoritative follows it"),
    ("other-tip-kept", "refs/nostr/<id> with another tip stays when the pull request comes"),
    ("others-deleted", "a deletion request counts for others' events, too"),
    ("deleted-comes-again", "what was deleted is taken when it is published again"),
    ("retired-is-served", "a repository whose announcement was deleted can still be reached"),
];

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
