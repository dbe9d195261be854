//! What was expected and what was seen, in words.

use std::collections::BTreeSet;

use nostr::event::EventId;

use super::cast::Cast;
use super::model::{Difference, Reply, Row};
use super::tell;

/// The answers that were allowed, and the rows that say so.
pub(super) fn replies(allowed: &BTreeSet<Reply>, is_push: bool, rows: &BTreeSet<Row>) -> String {
    let words = |reply: &Reply| match (reply, is_push) {
        (Reply::Taken, false) => "OK true",
        (Reply::Waits, false) => "OK true with `purgatory: …`",
        (Reply::Repeated, false) => "OK true, once more",
        (Reply::Refused, false) => "OK false",
        (Reply::Taken, true) => "`ok` for every ref",
        (Reply::Refused, true) => "`ng` with a reason for every ref",
        (Reply::NotHosted, _) => "404",
        (Reply::Waits | Reply::Repeated, true) => "no answer of a push",
    };
    let words: Vec<&str> = allowed.iter().map(words).collect();
    format!("{}{}", words.join(", or "), because(rows))
}

fn because(rows: &BTreeSet<Row>) -> String {
    let told: Vec<String> = rows.iter().map(|row| format!("{}: {}", row.text().0, row.text().1)).collect();
    if told.is_empty() { String::new() } else { format!(" ({})", told.join("; ")) }
}

/// Differences as what was expected and what was seen.
pub(super) fn differences(differences: &[Difference], cast: &Cast, rows: &BTreeSet<Row>) -> (String, String) {
    let sides: Vec<(String, String)> = differences.iter().map(|difference| sides(difference, cast)).collect();
    let (expected, seen): (Vec<String>, Vec<String>) = sides.into_iter().unzip();
    (format!("{}{}", expected.join("; "), because(rows)), seen.join("; "))
}

fn sides(difference: &Difference, cast: &Cast) -> (String, String) {
    let object = |object: &Option<super::story::Object>| {
        object.map_or_else(|| "nowhere".to_owned(), |object| format!("at {object}"))
    };
    match difference {
        Difference::Served(id) => {
            let event = cast.called(*id);
            (format!("{event} is not served"), format!("{event} is served"))
        }
        Difference::NotServed(id) => {
            let event = cast.called(*id);
            (format!("{event} is served"), format!("{event} is not served"))
        }
        Difference::Hosting { repo, expected } => {
            let words =
                |there: bool| format!("{repo} is {}", if there { "there" } else { "not there (404)" });
            (words(*expected), words(!*expected))
        }
        Difference::Refs { repo, expected, seen } => {
            (format!("{repo} has {}", tell::refs(expected)), format!("{repo} has {}", tell::refs(seen)))
        }
        Difference::Head { repo, expected, seen } => {
            let seen = seen.map_or_else(|| "nothing known".to_owned(), |name| name.to_string());
            (format!("HEAD of {repo} is {expected}"), format!("HEAD of {repo} is {seen}"))
        }
        Difference::Nostr { repo, id, expected, seen } => {
            let name = format!("refs/nostr/<{}> of {repo}", cast.called(*id));
            (format!("{name} is {}", object(expected)), format!("{name} is {}", object(seen)))
        }
        Difference::NoContributor(repo) => {
            let name = tell::contributor(*repo);
            (format!("{name} answers as a repository"), format!("{name} is not there (404)"))
        }
        Difference::Contributed { repo, id, expected, seen } => {
            let name = format!("refs/nostr/<{}> of {}", cast.called(*id), tell::contributor(*repo));
            (format!("{name} is {}", object(expected)), format!("{name} is {}", object(seen)))
        }
        Difference::Strange(seen) => ("nothing else".to_owned(), seen.clone()),
    }
}

impl Cast {
    /// What an event is called in the story.
    pub(super) fn called(&self, id: EventId) -> String {
        self.minted()
            .iter()
            .find(|minted| minted.event.id == id)
            .map_or_else(|| format!("event {id}"), |minted| self.name_of(minted))
    }
}
