//! Mutants of G01/relay/rejects-unlisted: services taken for this one, this one not recognised, co-maintainers.

use serde_json::Value;

use super::repository_events::CHAIN;
use crate::lie::relay::{all_tags, is_kind, refuses};
use crate::mutant::{Mutant, fault, proxy};

const ROW: &str = "G01/relay/rejects-unlisted";

/// Why other announcements fail.
const AMONG_OTHERS: &str = "its announcement lists other services first";

/// Whether the event is an announcement with such a URL under `clone` or `relays`.
fn lists(event: &Value, which: impl Fn(&str) -> bool) -> bool {
    let listed =
        all_tags(event).filter(|tag| tag[0] == "clone" || tag[0] == "relays").filter_map(Value::as_array);
    let mut urls = listed.flatten().skip(1).filter_map(Value::as_str);
    is_kind(event, 30_617) && urls.any(which)
}

/// What is behind the scheme.
fn rest(url: &str) -> &str {
    url.split_once("://").map_or(url, |(_, rest)| rest)
}

pub(super) fn mutants() -> Vec<Mutant> {
    [taken(), refused(), co_maintainers()].into_iter().flatten().collect()
}

fn taken() -> Vec<Mutant> {
    vec![
        fault("unlisted-taken", ROW)
            .affects("G01/relay/accepts-repository-events/chain-one-way", "who lists nobody must be refused"),
        fault("clone-suffices", ROW),
        fault("relay-suffices", ROW),
        fault("clone-of-any-owner", ROW),
        fault("clone-of-any-identifier", ROW),
        fault("ports-ignored", ROW),
        fault("hosts-by-beginning", ROW),
        fault("userinfo-is-host", ROW),
        fault("base-path-ignored", ROW),
        fault("service-in-path", ROW),
        fault("any-scheme", ROW),
    ]
}

fn refused() -> Vec<Mutant> {
    vec![
        proxy("slash-at-the-end-refused", ROW, "a slash at the end of a URL makes another service of it", {
            refuses(
                |event| lists(event, |url| url.ends_with('/') && !url.ends_with("//")),
                "blocked: another service",
            )
        }),
        proxy("double-slash-refused", ROW, "a doubled slash makes another service of a URL", {
            refuses(|event| lists(event, |url| rest(url).contains("//")), "blocked: another service")
        }),
        fault("hosts-case-sensitive", ROW),
        proxy("escapes-refused", ROW, "an escape of two digits in a URL is not read", {
            refuses(|event| lists(event, |url| url.contains("%2d")), "blocked: another repository")
        }),
        proxy("escapes-in-capitals-refused", ROW, "an escape in capitals in a URL is not read", {
            refuses(|event| lists(event, |url| url.contains("%2D")), "blocked: another repository")
        }),
        fault("first-url-only", ROW)
            .affects("G01/relay/accepts-repository-events/announcement-mirrors", AMONG_OTHERS)
            .affects("G01/relay/accepts-repository-events/announcement-split", AMONG_OTHERS),
        fault("schemes-of-the-service-only", ROW),
    ]
}

fn co_maintainers() -> Vec<Mutant> {
    vec![
        fault("co-maintainers-must-list", ROW)
            .affects("G01/relay/accepts-repository-events/chain-*", CHAIN)
            .affects("G01/git/push-aligned/two-hops", CHAIN)
            .affects("G01/git/push-aligned/cycle", CHAIN),
        fault("co-maintainers-of-served-only", ROW)
            .affects("G01/relay/accepts-repository-events/chain-*", CHAIN)
            .affects("G01/git/push-aligned/two-hops", CHAIN)
            .affects("G01/git/push-aligned/cycle", CHAIN),
        fault("co-maintainers-are-anybody", ROW),
        fault("co-maintainers-wait", ROW),
        fault("moving-away-ignored", ROW),
        fault("moved-away-for-ever", ROW),
        fault("states-outlive-announcements", ROW).affects(
            "G01/relay/deletion/announcement-by-*",
            "a deleted announcement retires a repository as well",
        ),
    ]
}
