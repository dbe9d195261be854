//! Mutants of G01/relay/accepts-repository-events: shapes of announcements and states, taken or refused wrongly.

use grasp_fixtures::faulty_proxy::{Fate, Heard, Lies, Side};
use serde_json::{Value, json};

use crate::lie::git::Remembered;
use crate::lie::relay::{Answers, all_tags, is_kind, pretends, refuses, says, tag, tags, yes_for_no};
use crate::mutant::{Mutant, fault, proxy};

pub(super) const ROW: &str = "G01/relay/accepts-repository-events";

/// Why identifiers of git's paths fail.
const NAMED_SO: &str = "it announces a repository that is named so";
/// Why repositories with maintainers fail elsewhere.
const UNANNOUNCED: &str = "its maintainers have announced nothing";
/// Why a chain of maintainers fails elsewhere.
pub(super) const CHAIN: &str = "its chain of maintainers is the same";

fn is_announcement(event: &Value) -> bool {
    is_kind(event, 30_617)
}

fn is_state(event: &Value) -> bool {
    is_kind(event, 30_618)
}

/// The refs that a state names.
fn refs(event: &Value) -> impl Iterator<Item = &str> {
    all_tags(event).filter_map(|tag| tag[0].as_str()).filter(|name| name.starts_with("refs/"))
}

/// The keys that an announcement lists.
fn listed(event: &Value) -> impl Iterator<Item = &str> {
    let lists = all_tags(event).filter(|tag| tag[0] == "maintainers").filter_map(Value::as_array);
    lists.flatten().skip(1).filter_map(Value::as_str)
}

fn author(event: &Value) -> &str {
    event["pubkey"].as_str().unwrap_or_default()
}

/// Takes states that are refused for want of authority, depending on what announcements have said before, those that
/// were refused included.
fn yes_after(said: fn(&Value) -> Vec<String>, which: fn(&Value, &Remembered) -> bool) -> impl Fn() -> Lies {
    move || {
        let known = Remembered::default();
        Lies::default().relay(move || {
            let (known, mut answers) = (known.clone(), Answers::default());
            move |heard: &Heard| {
                let event = &heard.json[1];
                if heard.verb_of(Side::Client) == "EVENT" && is_announcement(event) {
                    said(event).into_iter().for_each(|text| known.note(text));
                }
                match answers.hear(heard) {
                    Some(answer)
                        if is_state(&answer.event)
                            && answer.words.starts_with("restricted:")
                            && which(&answer.event, &known) =>
                    {
                        Fate::tell(json!(["OK", answer.event["id"], true, ""]))
                    }
                    _ => Fate::Pass,
                }
            }
        })
    }
}

/// Whether the event is an announcement whose identifier is so.
fn announces(event: &Value, which: impl Fn(&str) -> bool) -> bool {
    is_announcement(event) && all_tags(event).any(|tag| tag[0] == "d") && which(tag(event, "d"))
}

pub(super) fn mutants() -> Vec<Mutant> {
    [announcements(), identifiers(), states(), chains(), roles()].into_iter().flatten().collect()
}

fn announcements() -> Vec<Mutant> {
    vec![
        proxy("unknown-tags-refused", ROW, "an announcement with a tag nobody has heard of is refused", {
            refuses(
                |event| is_announcement(event) && all_tags(event).any(|tag| tag[0] == "something-new"),
                "invalid: unknown tag",
            )
        }),
        proxy("ssh-urls-refused", ROW, "an announcement that also lists an ssh URL is refused", {
            refuses(
                |event| {
                    let urls = all_tags(event).filter(|tag| tag[0] == "clone").filter_map(Value::as_array);
                    let mut urls = urls.flatten().skip(1).filter_map(Value::as_str);
                    is_announcement(event) && urls.any(|url| url.starts_with("git@"))
                },
                "invalid: not a URL",
            )
        }),
        proxy("one-clone-tag-only", ROW, "an announcement with two clone tags is refused", {
            refuses(
                |event| is_announcement(event) && tags(event, "clone").count() > 1,
                "invalid: two clone tags",
            )
        }),
        proxy("renaming-refused", ROW, "a repository keeps the name it was announced with", {
            refuses(
                |event| is_announcement(event) && tag(event, "name") == "renamed",
                "blocked: it has a name",
            )
        }),
        proxy(
            "older-announcements-welcome",
            ROW,
            "an announcement older than the known one is answered OK true",
            yes_for_no(is_announcement, "replaced:"),
        )
        .affects("G01/relay/nip01/announcement-older", "it is the rule of NIP-01 for replaceable events")
        .affects(
            "G01/relay/nip01/announcement-tie-low-first",
            "it is the rule of NIP-01 for replaceable events",
        )
        .affects("G01/purgatory/withdrawn/not-by-an-older-one", "the same rule, in purgatory"),
    ]
}

fn identifiers() -> Vec<Mutant> {
    vec![
        proxy("identifiers-up-to-200", ROW, "identifiers past 200 bytes are refused", {
            refuses(|event| announces(event, |d| d.len() > 200), "invalid: the identifier is too long")
        }),
        proxy("identifiers-past-251", ROW, "identifiers past 251 bytes are taken", {
            pretends(|event| announces(event, |d| d.len() > 251))
        }),
        proxy(
            "identifiers-ascii-words",
            ROW,
            "identifiers hold letters, digits and punctuation of file names only",
            {
                refuses(
                    |event| {
                        announces(event, |d| {
                            !d.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.\0\n/".contains(&b))
                        })
                    },
                    "invalid: the identifier has odd characters",
                )
            },
        )
        .affects("G01/git/serves/*", NAMED_SO),
        proxy("identifiers-small-letters", ROW, "identifiers hold small letters only", {
            refuses(
                |event| announces(event, |d| d.starts_with("UPPER")),
                "invalid: the identifier has capitals",
            )
        }),
        proxy("identifiers-no-leading-dot", ROW, "identifiers do not begin with a dot", {
            refuses(
                |event| announces(event, |d| d.starts_with('.') && d.len() > 2),
                "invalid: the identifier is hidden",
            )
        }),
        proxy(
            "identifiers-empty-taken",
            ROW,
            "an empty identifier is taken",
            pretends(|event| announces(event, str::is_empty)),
        ),
        proxy("identifiers-missing-taken", ROW, "an announcement without `d` is taken", {
            pretends(|event| is_announcement(event) && !all_tags(event).any(|tag| tag[0] == "d"))
        }),
        proxy("identifiers-with-slash-taken", ROW, "an identifier with a slash is taken", {
            pretends(|event| announces(event, |d| d.contains('/')))
        }),
        proxy("identifiers-dots-taken", ROW, "the identifiers `.` and `..` are taken", {
            pretends(|event| announces(event, |d| d == "." || d == ".."))
        }),
        proxy("identifiers-control-taken", ROW, "identifiers with control characters are taken", {
            pretends(|event| announces(event, |d| d.chars().any(char::is_control)))
        }),
    ]
}

fn states() -> Vec<Mutant> {
    vec![
        proxy("peeled-entries-refused", ROW, "a state with a peeled entry is refused", {
            refuses(
                |event| is_state(event) && refs(event).any(|name| name.ends_with("^{}")),
                "invalid: not a ref",
            )
        })
        .affects("G01/git/push-aligned/annotated-tag", "its state has one"),
        proxy("bare-heads-refused", ROW, "a state whose HEAD lacks `ref: ` is refused", {
            refuses(
                |event| is_state(event) && tags(event, "HEAD").any(|head| !head.starts_with("ref: ")),
                "invalid: HEAD is no symbolic ref",
            )
        })
        .affects("G01/git/release/head-without-ref", "its state has such a HEAD"),
        proxy("other-refs-refused", ROW, "a state with refs outside heads and tags is refused", {
            refuses(
                |event| is_state(event) && refs(event).any(|name| name.starts_with("refs/notes/")),
                "invalid: not a ref",
            )
        }),
        proxy("symbolic-refs-refused", ROW, "a state with a symbolic ref is refused", {
            refuses(
                |event| is_state(event) && refs(event).any(|name| name.starts_with("refs/remotes/")),
                "invalid: not a ref",
            )
        }),
        proxy("empty-states-refused", ROW, "a state without refs is refused", {
            refuses(|event| is_state(event) && refs(event).count() == 0, "invalid: it says nothing")
        }),
        proxy("dangling-heads-refused", ROW, "a state whose HEAD names no branch of it is refused", {
            refuses(
                |event| {
                    let head = tag(event, "HEAD").trim_start_matches("ref: ");
                    is_state(event) && !head.is_empty() && refs(event).all(|name| name != head)
                },
                "invalid: HEAD dangles",
            )
        })
        .affects("G01/git/release/head-not-listed", "its state has such a HEAD"),
        proxy("large-states-refused", ROW, "a state of more than 1,000 refs is refused", {
            refuses(|event| is_state(event) && refs(event).count() > 1_000, "invalid: too many refs")
        }),
        proxy("older-states-welcome", ROW, "a state older than the known one is answered OK true", {
            yes_for_no(is_state, "replaced:")
        })
        .affects("G01/purgatory/withdrawn/not-by-an-older-one", "the same rule, in purgatory"),
        proxy("orphan-states-welcome", ROW, "a state of what nobody announced is answered OK true", {
            yes_after(
                |event| is_announcement(event).then(|| tag(event, "d").to_owned()).into_iter().collect(),
                |event, known| !known.has(tag(event, "d")),
            )
        }),
        proxy("nameless-states-welcome", ROW, "a state without `d` is answered OK true", {
            pretends(|event| is_state(event) && !all_tags(event).any(|tag| tag[0] == "d"))
        }),
        fault("ref-names-unchecked", ROW),
        fault("ref-values-unchecked", ROW),
        fault("sha256-as-unknown-refs", ROW),
        proxy("bad-refs-restricted", ROW, "a state with an impossible ref is refused with another prefix", {
            says(|answer| {
                let words = answer.words.strip_prefix("invalid:")?;
                is_state(&answer.event).then(|| (false, format!("restricted:{words}")))
            })
        }),
    ]
}

fn chains() -> Vec<Mutant> {
    vec![
        fault("anybody-signs-states", ROW)
            .affects("G01/git/push-unauthorised/stranger", "its state must be refused first")
            .affects("G01/git/push-unauthorised/removed-maintainer", "its state must be refused first"),
        fault("direct-maintainers-only", ROW)
            .affects("G01/relay/rejects-unlisted/co-maintainer-two-hops", CHAIN)
            .affects("G01/git/push-aligned/*", CHAIN)
            .affects("G01/git/release/sibling-two-hops", CHAIN),
        fault("three-hops-at-most", ROW),
        fault("maintainers-must-list-back", ROW)
            .affects("G01/relay/rejects-unlisted/*", UNANNOUNCED)
            .affects("G01/relay/deletion/state-falls-back", UNANNOUNCED)
            .affects("G01/purgatory/nothing-to-wait-for/maintainers-state", UNANNOUNCED)
            .affects("G01/git/push-*", UNANNOUNCED)
            .affects("G01/git/release/*", UNANNOUNCED),
        fault("hosted-announcements-only", ROW).affects("G01/git/push-aligned/*", CHAIN),
        proxy(
            "maintainers-stay",
            ROW,
            "the state of a maintainer who is no longer listed is answered OK true",
            {
                yes_after(
                    |event| listed(event).map(|key| format!("{key} {}", tag(event, "d"))).collect(),
                    |event, known| known.has(&format!("{} {}", author(event), tag(event, "d"))),
                )
            },
        )
        .affects("G01/git/push-unauthorised/removed-maintainer", "its state must be refused first"),
        proxy("maintainers-of-anything", ROW, "a maintainer of one repository may sign for others", {
            yes_after(
                |event| listed(event).map(str::to_owned).collect(),
                |event, known| known.has(author(event)) && tag(event, "d").matches('-').count() > 3,
            )
        }),
        proxy("listing-makes-a-maintainer", ROW, "who lists a maintainer of others may sign for them", {
            yes_after(
                |event| listed(event).map(|_| author(event).to_owned()).collect(),
                |event, known| known.has(author(event)),
            )
        }),
    ]
}

fn roles() -> Vec<Mutant> {
    vec![
        fault("roles-ignored", ROW).affects("G01/git/push-aligned/role-tag", "its maintainer has a role"),
        fault("role-history-ignored", ROW),
        fault("role-ends-for-ever", ROW),
        fault("role-starts-unread", ROW),
        fault("moderators-count", ROW),
        fault("maintainers-beside-roles", ROW),
        fault("leads-ignored", ROW),
        fault("owners-without-role-left", ROW),
        fault("owners-never-leave", ROW),
    ]
}
