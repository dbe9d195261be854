//! REQ: filters that mean something else.

use std::collections::{BTreeMap, BTreeSet};

use grasp_fixtures::faulty_proxy::{Fate, Heard, Lies, Side, Step};
use serde_json::{Value, json};

use super::ROW;
use crate::lie::relay::{asks, asks_each};
use crate::mutant::{Mutant, proxy};

/// Keeps only the first entry of a list.
fn first_only(filter: &mut Value, field: &str) {
    if let Some(list) = filter.get_mut(field).and_then(Value::as_array_mut) {
        list.truncate(1);
    }
}

/// Moves a time, where there is one.
fn moved(filter: &mut Value, field: &str, by: i64) {
    if let Some(time) = filter[field].as_i64() {
        filter[field] = json!(time + by);
    }
}

fn fields(filter: &Value, which: fn(&str, &Value) -> bool) -> Vec<String> {
    let all = filter.as_object().into_iter().flatten();
    all.filter(|(name, value)| which(name, value)).map(|(name, _)| name.clone()).collect()
}

fn remove(filter: &mut Value, names: &[String]) {
    if let Some(fields) = filter.as_object_mut() {
        fields.retain(|name, _| !names.contains(name));
    }
}

pub(super) fn mutants() -> Vec<Mutant> {
    vec![
        proxy("first-id-only", ROW, "of several ids the first counts", asks_each(|f| first_only(f, "ids"))),
        proxy(
            "first-author-only",
            ROW,
            "of several authors the first counts",
            asks_each(|f| first_only(f, "authors")),
        ),
        proxy(
            "first-kind-only",
            ROW,
            "of several kinds the first counts",
            asks_each(|f| first_only(f, "kinds")),
        ),
        proxy(
            "last-tag-value-only",
            ROW,
            "of several values of a tag the last counts",
            asks_each(|filter| {
                for name in fields(filter, |name, _| name.starts_with('#')) {
                    if let Some(list) = filter[&name].as_array_mut().filter(|list| list.len() > 1) {
                        list.drain(..list.len() - 1);
                    }
                }
            }),
        ),
        proxy(
            "one-tag-only",
            ROW,
            "of several tag conditions one counts",
            asks_each(|filter| {
                let names = fields(filter, |name, _| name.starts_with('#'));
                remove(filter, names.get(1..).unwrap_or_default());
            }),
        ),
        proxy(
            "values-in-any-case",
            ROW,
            "the values of `#t` match in any case",
            asks_each(|filter| {
                if let Some(topics) = filter["#t"].as_array() {
                    let small = topics.iter().filter_map(|topic| topic.as_str().map(str::to_lowercase));
                    filter["#t"] = small.collect();
                }
            }),
        ),
        proxy(
            "names-in-any-case",
            ROW,
            "`#A` asks for `a` tags",
            asks_each(|filter| {
                if let Some(fields) = filter.as_object_mut()
                    && let Some(values) = fields.remove("#A")
                {
                    fields.insert("#a".to_owned(), values);
                }
            }),
        ),
        proxy(
            "since-exclusive",
            ROW,
            "since leaves out the second it names",
            asks_each(|filter| moved(filter, "since", 1)),
        )
        .affects("G01/purgatory/released/*", "it asks for what is signed from the event's second on"),
        proxy(
            "until-exclusive",
            ROW,
            "until leaves out the second it names",
            asks_each(|filter| moved(filter, "until", -1)),
        ),
        proxy(
            "limit-one-more",
            ROW,
            "a REQ gets one event more than its limit",
            asks_each(|filter| {
                if let Some(limit) = filter["limit"].as_u64().filter(|limit| *limit > 0) {
                    filter["limit"] = json!(limit + 1);
                }
            }),
        ),
        proxy(
            "limit-zero-is-one",
            ROW,
            "limit 0 finds something",
            asks_each(|filter| {
                if filter["limit"] == 0 {
                    filter["limit"] = json!(1);
                }
            }),
        ),
        proxy(
            "empty-list-is-no-condition",
            ROW,
            "an empty list is no condition",
            asks_each(|filter| {
                let empty = fields(filter, |_, value| value.as_array().is_some_and(Vec::is_empty));
                remove(filter, &empty);
            }),
        ),
        proxy(
            "first-filter-only",
            ROW,
            "of several filters the first counts",
            asks(|filters| filters.truncate(1)),
        ),
        proxy(
            "ids-outweigh",
            ROW,
            "a filter with ids has no other condition",
            asks_each(|filter| {
                if filter["ids"].as_array().is_some_and(|ids| !ids.is_empty()) {
                    let others = fields(filter, |name, _| name != "ids");
                    remove(filter, &others);
                }
            }),
        ),
        proxy("twice-for-two-filters", ROW, "what two filters may match comes twice", || {
            Lies::default().relay(|| {
                let mut several = BTreeMap::new();
                move |heard: &Heard| {
                    let id = heard.json[1].as_str().unwrap_or_default();
                    if heard.verb_of(Side::Client) == "REQ" {
                        several.insert(id.to_owned(), heard.json.as_array().map_or(0, Vec::len) > 3);
                    }
                    if heard.verb_of(Side::Relay) == "EVENT" && several.get(id) == Some(&true) {
                        let again = || Step::ToClient(heard.json.clone());
                        return Fate::Instead(vec![again(), again()]);
                    }
                    Fate::Pass
                }
            })
        }),
        proxy("eose-twice", ROW, "the end of what is stored about an address is told twice", || {
            Lies::default().relay(|| {
                let mut by_address = BTreeSet::new();
                move |heard: &Heard| {
                    let subscription = heard.json[1].as_str().unwrap_or_default();
                    let keys = heard.json[2].as_object().map_or(0, serde_json::Map::len);
                    if heard.verb_of(Side::Client) == "REQ" && keys == 1 && heard.json[2]["#a"].is_array() {
                        by_address.insert(subscription.to_owned());
                    }
                    if heard.verb_of(Side::Relay) != "EOSE" || !by_address.remove(subscription) {
                        return Fate::Pass;
                    }
                    let again = || Step::ToClient(heard.json.clone());
                    Fate::Instead(vec![again(), again()])
                }
            })
        }),
    ]
}
