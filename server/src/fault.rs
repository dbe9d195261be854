//! Wrong behaviour on demand, so that checks can be seen to fail where a proxy in front cannot lie well enough.
//!
//! Only with the cargo feature `faults`, which no release has: the variable `GRASP_FAULT` names one fault, and the server
//! then breaks exactly that rule. `spec-tests` holds every check of the suite against them.

/// Every fault: its name and what is wrong with such a server. In the order of the catalogue.
pub const FAULTS: &[(&str, &str)] = &[
    ("signature-unchecked", "the signature of an event is not checked"),
    ("id-unchecked", "the id of an event is not compared with its content"),
    ("id-recomputed", "an event is taken under any id, if its signature fits its content"),
    ("auth-signature-unchecked", "the signature of an answer to a challenge is not checked"),
    ("auth-challenge-unchecked", "an answer to another challenge is taken"),
    ("auth-relay-unchecked", "an answer to another relay's challenge is taken"),
    ("auth-time-unchecked", "an answer to a challenge is taken however old it is"),
    ("auth-kind-unchecked", "an answer to a challenge may be of any kind"),
    ("protected-from-anybody", "a protected event is taken from anybody"),
    ("protected-from-any-key", "a protected event is taken from everybody who has authenticated"),
    ("reconciliations-without-the-newest", "negentropy leaves out the newest event"),
    ("ref-names-unchecked", "a ref with an impossible name is left out of a state, which is taken"),
    ("ref-values-unchecked", "a ref whose value is no object id is left out of a state, which is taken"),
    ("sha256-as-unknown-refs", "a ref with a SHA-256 value is left out of a state, which is taken"),
    ("anybody-signs-states", "anybody's state of an announced repository is taken"),
    ("direct-maintainers-only", "maintainers' maintainers count for nothing"),
    ("three-hops-at-most", "a chain of maintainers ends after three hops"),
    ("maintainers-must-list-back", "a maintainer counts only once its own announcement lists back"),
    (
        "hosted-announcements-only",
        "a chain of maintainers leads only through announcements that list the service",
    ),
    ("roles-ignored", "role tags count for nothing"),
    ("role-history-ignored", "a role that has ended counts"),
    ("role-ends-for-ever", "a role that has ended and begun again does not count"),
    ("role-starts-unread", "a role with a history does not count"),
    ("moderators-count", "a moderator may sign states"),
    ("maintainers-beside-roles", "`maintainers` counts beside role tags"),
    ("leads-ignored", "a lead may not sign states"),
    ("owners-without-role-left", "an owner without a role beside others' roles may not sign"),
    ("owners-never-leave", "an owner whose role has ended may sign"),
    ("unlisted-taken", "takes announcements that do not list it, and creates their repositories"),
    ("clone-suffices", "an announcement need not list the relay"),
    ("relay-suffices", "an announcement need not list the clone URL"),
    ("clone-of-any-owner", "the clone URL may be somebody else's of the same identifier"),
    ("clone-of-any-identifier", "the clone URL may be another repository's of the same owner"),
    ("ports-ignored", "a service on another port of this host is taken for this one"),
    ("hosts-by-beginning", "a host whose name begins like this one's is taken for this one"),
    ("userinfo-is-host", "what stands before an `@` is taken for the host"),
    ("base-path-ignored", "a clone URL may have a base path"),
    ("service-in-path", "another service with this one's name in its path is taken for this one"),
    ("any-scheme", "the service is recognised under schemes that it does not speak"),
    ("hosts-case-sensitive", "the host in capitals is another host"),
    ("first-url-only", "of several clone URLs and relays the first counts"),
    ("schemes-of-the-service-only", "a service without TLS is not recognised under https and wss"),
    ("co-maintainers-must-list", "a co-maintainer's announcement has to list the service, too"),
    ("co-maintainers-of-served-only", "a maintainer is one only of repositories that are served"),
    ("co-maintainers-are-anybody", "anybody's announcement of an identifier that is hosted is served"),
    ("co-maintainers-wait", "a co-maintainer's announcement waits for git data"),
    ("moving-away-ignored", "a repository is hosted on when its announcement no longer lists the service"),
    ("moved-away-for-ever", "a repository that has moved away cannot come back"),
    ("states-outlive-announcements", "the owner's states are served when the repository is retired"),
    ("capital-a-ignored", "`A` tags relate to nothing"),
    ("quoted-addresses-ignored", "an address under `q` relates to nothing"),
    ("small-e-ignored", "`e` tags relate to nothing"),
    ("capital-e-ignored", "`E` tags relate to nothing"),
    ("quoted-events-ignored", "an event id under `q` relates to nothing"),
    ("first-relation-only", "of several addresses the first is looked at"),
    ("named-events-not-looked-up", "an event that something served names by its id is refused"),
    ("named-by-e-only", "an event that something served quotes by its id is refused"),
    ("named-by-q-only", "an event that something served tags by its id is refused"),
    ("named-addresses-not-looked-up", "an event that something served names by its address is refused"),
    ("announcements-open-no-doors", "what names an announcement by its id, or is named by one, is refused"),
    ("comments-open-no-doors", "comments on comments are refused"),
    ("notes-open-no-doors", "what a note names is refused"),
    ("patches-open-no-doors", "what names a patch, or is named by one, is refused"),
    ("pull-requests-open-no-doors", "what names a pull request is refused"),
    ("repositories-by-identifier", "anybody's repository of a known identifier relates"),
    ("repositories-by-owner", "any repository of a known owner relates"),
    ("owners-unknown", "profiles and lists of owners are refused"),
    ("maintainers-unknown", "profiles and lists of maintainers are refused"),
    ("root-authors-unknown", "profiles and lists of those who filed an issue are refused"),
    ("pull-requests-to-waiting", "a pull request to a repository that itself waits is taken"),
    ("deletions-open-doors", "a deletion request opens a door for what it names"),
    ("first-deletion-only", "a deletion request deletes the first event that it names"),
    ("pull-request-refs-stay", "the ref of a pull request stays when that is deleted"),
    ("refs-stay-when-states-go", "refs do not go back when a newer state is deleted"),
    ("anybody-deletes", "anybody deletes anything"),
    ("owners-delete-issues", "an owner deletes anybody's issues about its repository"),
    ("deletions-reach-newer-versions", "deleting an address also deletes a version newer than the request"),
    ("refs-go-with-states", "a repository is emptied when its last state is deleted"),
    ("deleted-comes-again", "what was deleted by its id is taken again"),
    ("deleted-addresses-come-again", "a version as old as the deletion of its address is taken"),
    ("deleted-for-ever", "what was deleted by its address never comes back"),
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
