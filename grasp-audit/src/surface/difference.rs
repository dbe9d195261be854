//! Two surfaces side by side: what changed, and which requirements it touches.

pub mod html;
pub mod markdown;
pub mod terminal;

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::Value;

use super::{Entry, Surface};
use crate::catalogue::{self, Level, REQUIREMENTS};

/// One of the two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Side {
    /// What was given: a file, or a URL.
    pub given: String,
    /// The server's URL.
    pub url: String,
    /// Version of the suite that recorded it.
    pub suite: String,
    /// Revision of its catalogue.
    pub catalogue: String,
}

/// A place inside an entry where the two differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Line {
    /// Where inside the entry: `fields.content-type`; empty for the entry itself.
    pub at: String,
    /// What the first shows; `None` when it shows nothing there.
    pub a: Option<String>,
    /// What the second shows.
    pub b: Option<String>,
}

/// An entry in which the two differ.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// The entry.
    pub at: String,
    /// The requirements it touches.
    pub requirements: Vec<String>,
    /// What differs.
    pub lines: Vec<Line>,
}

impl Change {
    /// The part of the surface: `http`.
    #[must_use]
    pub fn part(&self) -> &str {
        self.at.split('/').next().unwrap_or_default()
    }
}

/// What differs between two surfaces.
#[derive(Debug, Clone, Serialize)]
pub struct Difference {
    /// [`Difference::FORMAT`].
    pub format: &'static str,
    /// [`Difference::SCHEMA`].
    pub schema: u32,
    /// The first.
    pub a: Side,
    /// The second.
    pub b: Side,
    /// What a reader has to know before comparing: another suite or catalogue.
    pub remarks: Vec<String>,
    /// How many entries there are in either.
    pub entries: usize,
    /// Those that differ, in the order of the recording.
    pub changes: Vec<Change>,
}

impl Difference {
    /// What the field `format` says.
    pub const FORMAT: &'static str = "grasp-audit/difference";
    /// The form of this document; it goes up when a field changes its meaning or goes.
    pub const SCHEMA: u32 = 1;

    /// Compares two surfaces, each with the name under which it was given.
    #[must_use]
    pub fn between(a: (&str, &Surface), b: (&str, &Surface)) -> Self {
        let side = |(given, surface): (&str, &Surface)| Side {
            given: given.to_owned(),
            url: surface.url.clone(),
            suite: surface.suite.clone(),
            catalogue: surface.catalogue.clone(),
        };
        let only_b = b.1.entries.iter().filter(|entry| find(a.1, &entry.at).is_none());
        let pairs = a.1.entries.iter().map(|entry| (Some(entry), find(b.1, &entry.at)));
        let pairs: Vec<_> = pairs.chain(only_b.map(|entry| (None, Some(entry)))).collect();
        Self {
            format: Self::FORMAT,
            schema: Self::SCHEMA,
            a: side(a),
            b: side(b),
            remarks: remarks(a.1, b.1),
            entries: pairs.len(),
            changes: pairs.into_iter().filter_map(|(a, b)| change(a, b)).collect(),
        }
    }

    /// 0 when the two show the same, 1 when they differ.
    #[must_use]
    pub fn exit_code(&self) -> u8 {
        u8::from(!self.changes.is_empty())
    }

    /// The requirements that the changes touch, in the order of the catalogue, each with the number of changes.
    #[must_use]
    pub fn touched(&self) -> Vec<(&'static str, Level, usize)> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        for id in self.changes.iter().flat_map(|change| &change.requirements) {
            *counts.entry(id).or_default() += 1;
        }
        let touched = |row: &catalogue::Requirement| Some((row.id, row.level, *counts.get(row.id)?));
        REQUIREMENTS.iter().filter_map(touched).collect()
    }

    /// The changes by part of the surface, each with a heading.
    #[must_use]
    pub fn parts(&self) -> Vec<(&str, &'static str, Vec<&Change>)> {
        let mut parts: Vec<(&str, &'static str, Vec<&Change>)> = Vec::new();
        for change in &self.changes {
            match parts.iter_mut().find(|(part, ..)| *part == change.part()) {
                Some((.., changes)) => changes.push(change),
                None => parts.push((change.part(), heading(change.part()), vec![change])),
            }
        }
        parts
    }

    /// The result in one sentence.
    #[must_use]
    pub fn sentence(&self) -> String {
        match (self.changes.len(), self.touched().len()) {
            (0, _) => format!("they show the same in all {} entries", self.entries),
            (changes, 0) => {
                format!("they differ in {changes} of {} entries; no requirement is touched", self.entries)
            }
            (changes, 1) => {
                format!("they differ in {changes} of {} entries, which touch 1 requirement", self.entries)
            }
            (changes, touched) => {
                format!(
                    "they differ in {changes} of {} entries, which touch {touched} requirements",
                    self.entries
                )
            }
        }
    }

    /// The whole difference as JSON.
    ///
    /// # Errors
    /// Never in practice: every field is plain data.
    pub fn to_json(&self) -> Result<String, serde_json::Error> {
        serde_json::to_string_pretty(self)
    }
}

/// A heading for a part of the surface.
#[must_use]
pub fn heading(part: &str) -> &'static str {
    match part {
        "nip11" => "Relay information document",
        "http" => "Routes, status and header fields",
        "git" => "Git advertisements",
        "push" => "Refused pushes",
        "event" => "Answers to events",
        "message" => "Answers to malformed messages",
        "close" => "Close codes",
        _ => "Other",
    }
}

fn find<'a>(surface: &'a Surface, at: &str) -> Option<&'a Entry> {
    surface.entries.iter().find(|entry| entry.at == at)
}

fn change(a: Option<&Entry>, b: Option<&Entry>) -> Option<Change> {
    let mut lines = Vec::new();
    compare("", a.map(|entry| &entry.seen), b.map(|entry| &entry.seen), &mut lines);
    let entry = a.or(b)?;
    let named = [a, b].into_iter().flatten().flat_map(|entry| &entry.requirements);
    let mut requirements: Vec<String> = Vec::new();
    for id in named {
        if !requirements.contains(id) {
            requirements.push(id.clone());
        }
    }
    (!lines.is_empty()).then(|| Change { at: entry.at.clone(), requirements, lines })
}

fn compare(at: &str, a: Option<&Value>, b: Option<&Value>, lines: &mut Vec<Line>) {
    if a == b {
        return;
    }
    let inside = |name: &str| if at.is_empty() { name.to_owned() } else { format!("{at}.{name}") };
    match (a, b) {
        (Some(Value::Object(a)), Some(Value::Object(b))) => {
            let only_b = b.keys().filter(|name| !a.contains_key(*name));
            for name in a.keys().chain(only_b) {
                compare(&inside(name), a.get(name), b.get(name), lines);
            }
        }
        (Some(Value::Array(a)), Some(Value::Array(b))) => compare_lists(at, a, b, lines),
        _ => lines.push(Line { at: at.to_owned(), a: a.map(text), b: b.map(text) }),
    }
}

/// What only one of two lists has; or, when both have the same, that its order is another.
fn compare_lists(at: &str, a: &[Value], b: &[Value], lines: &mut Vec<Line>) {
    let before = lines.len();
    let mut left: Vec<&Value> = b.iter().collect();
    for value in a {
        match left.iter().position(|other| *other == value) {
            Some(place) => drop(left.remove(place)),
            None => lines.push(Line { at: at.to_owned(), a: Some(text(value)), b: None }),
        }
    }
    lines.extend(left.into_iter().map(|value| Line { at: at.to_owned(), a: None, b: Some(text(value)) }));
    if lines.len() == before {
        let whole = |list: &[Value]| Some(list.iter().map(text).collect::<Vec<_>>().join("\n"));
        lines.push(Line { at: format!("{at} (order)"), a: whole(a), b: whole(b) });
    }
}

fn text(value: &Value) -> String {
    match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

fn remarks(a: &Surface, b: &Surface) -> Vec<String> {
    let mut remarks = Vec::new();
    if (&a.suite, &a.catalogue) != (&b.suite, &b.catalogue) {
        remarks.push(format!(
            "the first was recorded by suite {} with catalogue {}, the second by suite {} with catalogue {}: what only \
             one of them has may come from the suite and not from the server",
            a.suite, a.catalogue, b.suite, b.catalogue
        ));
    }
    remarks
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn surface(suite: &str, entries: Vec<Entry>) -> Surface {
        Surface {
            format: String::new(),
            schema: 1,
            suite: suite.to_owned(),
            catalogue: "2026-09".to_owned(),
            url: "http://a.example".to_owned(),
            entries,
        }
    }

    fn between(a: Value, b: Value) -> Vec<(String, Option<String>, Option<String>)> {
        let of = |seen| surface("1", vec![Entry::new("http/GET /", &["G01/git/web"], seen)]);
        let difference = Difference::between(("a", &of(a)), ("b", &of(b)));
        let lines = difference.changes.into_iter().flat_map(|change| change.lines);
        lines.map(|line| (line.at, line.a, line.b)).collect()
    }

    fn some(text: &str) -> Option<String> {
        Some(text.to_owned())
    }

    #[test]
    fn only_what_differs_is_told() {
        let a = json!({"status": 200, "fields": {"vary": "Accept", "x": "1"}, "lines": ["a", "b", "b"]});
        let b = json!({"status": 404, "fields": {"vary": "Accept", "y": "1"}, "lines": ["b", "c", "a"]});
        assert_eq!(
            between(a.clone(), b),
            [
                ("fields.x".to_owned(), some("1"), None),
                ("fields.y".to_owned(), None, some("1")),
                ("lines".to_owned(), some("b"), None),
                ("lines".to_owned(), None, some("c")),
                ("status".to_owned(), some("200"), some("404")),
            ]
        );
        assert_eq!(between(a.clone(), a), []);
        assert_eq!(
            between(json!(["a", "b"]), json!(["b", "a"])),
            [(" (order)".to_owned(), some("a\nb"), some("b\na"))]
        );
        assert_eq!(between(json!("x"), json!({"y": 1})), [(String::new(), some("x"), some(r#"{"y":1}"#))]);
    }

    #[test]
    fn entries_of_one_side_and_touched_requirements_are_told() {
        let a = surface(
            "1",
            vec![
                Entry::new("http/GET /", &["G01/git/web"], json!(1)),
                Entry::new("close/x", &["G01/relay/nip01"], json!(1)),
            ],
        );
        let b = surface(
            "2",
            vec![
                Entry::new("http/GET /", &["G01/git/web"], json!(1)),
                Entry::new("git/y", &["G01/git/web"], json!(2)),
            ],
        );
        let difference = Difference::between(("a", &a), ("b", &b));
        assert_eq!(difference.entries, 3);
        assert_eq!(difference.exit_code(), 1);
        let touched = difference.touched();
        assert_eq!(
            touched,
            [("G01/relay/nip01", Level::Must, 1), ("G01/git/web", Level::Should, 1)],
            "in the order of the catalogue"
        );
        assert!(difference.remarks[0].contains("suite 1") && difference.remarks[0].contains("suite 2"));
        assert_eq!(difference.sentence(), "they differ in 2 of 3 entries, which touch 2 requirements");
    }
}
