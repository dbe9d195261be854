//! `/metrics` of a server that syncs: what its reference says is there, and nothing else; what happens is counted; and
//! the dashboard draws what exists.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use grasp_audit::target::http::HttpClient;
use grasp_fixtures::{Repository, events, keys};
use serde_json::Value;
use spec_tests::{Instance, instance};

use crate::network::{Project, arrives, publish, servers, setup};

/// A family of metrics: its type, and each label with the values that it has.
#[derive(Debug, PartialEq, Eq)]
struct Family {
    sort: String,
    labels: BTreeMap<String, BTreeSet<String>>,
}

type Families = BTreeMap<String, Family>;

fn file(path: &str) -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../docs").join(path);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// What stands between backticks.
fn quoted(text: &str) -> impl Iterator<Item = String> {
    text.split('`').skip(1).step_by(2).map(str::to_owned)
}

/// The tables of `metrics.md`.
fn documented() -> Families {
    let mut families = Families::new();
    for line in file("reference/metrics.md").lines().filter(|line| line.starts_with("| `grasp_")) {
        let cells: Vec<&str> = line.trim_matches('|').split('|').map(str::trim).collect();
        let [name, sort, _unit, labels, _meaning] = cells[..] else { panic!("five cells: {line}") };
        let labels = labels.split(';').filter_map(|part| {
            let mut of = quoted(part);
            Some((of.next()?, of.collect()))
        });
        let family = Family { sort: sort.to_owned(), labels: labels.collect() };
        let before = families.insert(quoted(name).next().unwrap(), family);
        assert_eq!(before, None, "{name} is there once");
    }
    families
}

/// What `/metrics` says.
pub(crate) async fn text(server: &Instance) -> String {
    figures(&server.context("metrics").await.http).await
}

async fn figures(http: &HttpClient) -> String {
    let response = http.get("/metrics", &[]).await.unwrap();
    assert_eq!((response.status, response.header("access-control-allow-origin").as_str()), (200, "*"));
    assert_eq!(response.header("content-type"), "text/plain; version=0.0.4; charset=utf-8");
    response.text()
}

/// A line of the answer: the series, and its value.
fn samples(text: &str) -> impl Iterator<Item = (&str, f64)> {
    text.lines().filter(|line| !line.starts_with('#')).map(|line| {
        let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("no sample: {line}"));
        (series, value.parse().unwrap_or_else(|_| panic!("no number: {line}")))
    })
}

fn family_of<'a>(series: &'a str, families: &Families) -> &'a str {
    let name = series.split('{').next().unwrap();
    let parts = ["_bucket", "_sum", "_count"];
    let base = parts.iter().find_map(|part| name.strip_suffix(part));
    base.filter(|base| families.get(*base).is_some_and(|family| family.sort == "histogram")).unwrap_or(name)
}

/// What an answer holds.
fn told(text: &str) -> Families {
    let mut families = Families::new();
    for line in text.lines().filter_map(|line| line.strip_prefix("# TYPE ")) {
        let (name, sort) = line.split_once(' ').unwrap();
        let family = Family { sort: sort.to_owned(), labels: BTreeMap::new() };
        assert_eq!(families.insert(name.to_owned(), family), None, "{name} is told once");
    }
    for (series, _) in samples(text) {
        let name = family_of(series, &families).to_owned();
        let family = families.get_mut(&name).unwrap_or_else(|| panic!("{series} has no type"));
        let labels = series.split_once('{').map_or("", |(_, labels)| labels.trim_end_matches('}'));
        for (label, value) in labels.split(',').filter_map(|label| label.split_once('=')) {
            if label != "le" {
                family.labels.entry(label.to_owned()).or_default().insert(value.trim_matches('"').to_owned());
            }
        }
    }
    families
}

fn value(text: &str, series: &str) -> Option<f64> {
    samples(text).find(|(known, _)| *known == series).map(|(_, value)| value)
}

/// Waits until a figure is there and at least so much.
async fn comes_to(server: &Instance, series: &str, least: f64) {
    let http = server.context("metrics").await.http;
    let what = format!("{series} is {least} or more");
    instance::eventually(&what, async || value(&figures(&http).await, series) >= Some(least)).await;
}

#[tokio::test]
async fn the_reference_lists_what_is_told_and_what_happens_is_counted() {
    let [first, second] = servers().await;
    let project = Project::new("figures").await;
    let announcement = project.announce(&[&first, &second]).await;
    publish(&second, &announcement).await;
    let state = project.publish_on(&first, &announcement).await;
    arrives(&second, &state).await;
    let issue = events::issue(&project.coordinate(), "counted", "").sign(&keys::fresh());
    publish(&first, &issue).await;
    arrives(&second, &issue).await;
    let clone = Repository::init("main").await.unwrap();
    let output = clone.fetch(&project.url(&first).await, &["refs/heads/main:refs/fetched"]).await.unwrap();
    assert!(output.ok(), "{output}");
    let refused =
        project.repository.push(&project.url(&first).await, &["main:refs/heads/other"]).await.unwrap();
    assert!(!refused.ok(), "{refused}");

    for (series, least) in [
        ("grasp_relay_events_total{outcome=\"waiting\"}", 2.0),
        ("grasp_relay_events_total{outcome=\"accepted\"}", 1.0),
        ("grasp_relay_connections_total{outcome=\"admitted\"}", 1.0),
        ("grasp_relay_queries_total{kind=\"req\"}", 1.0),
        ("grasp_event_served_seconds_count{waited=\"yes\"}", 2.0),
        ("grasp_event_served_seconds_count{waited=\"no\"}", 1.0),
        ("grasp_promotion_seconds_count", 1.0),
        ("grasp_git_pushes_total{outcome=\"accepted\"}", 1.0),
        ("grasp_git_pushes_total{outcome=\"refused\"}", 1.0),
        ("grasp_git_pushed_refs_total{outcome=\"refused\"}", 1.0),
        ("grasp_git_received_bytes_total", 100.0),
        ("grasp_git_sent_bytes_total", 100.0),
        ("grasp_git_fetches_total{outcome=\"served\"}", 1.0),
        ("grasp_git_listings_total", 2.0),
        ("grasp_repositories{state=\"served\"}", 1.0),
    ] {
        comes_to(&first, series, least).await;
    }
    let peer = first.url();
    for (series, least) in [
        ("grasp_sync_relays{state=\"connected\"}".to_owned(), 1.0),
        ("grasp_sync_events_total{outcome=\"taken\"}".to_owned(), 2.0),
        (format!("grasp_sync_relay_connected{{relay=\"{peer}\"}}"), 1.0),
        (format!("grasp_sync_relay_events_total{{outcome=\"taken\",relay=\"{peer}\"}}"), 2.0),
        (format!("grasp_sync_relay_items{{relay=\"{peer}\",state=\"live\"}}"), 2.0),
        ("grasp_hunt_completed_events_total".to_owned(), 1.0),
    ] {
        comes_to(&second, &series, least).await;
    }

    let (told, documented) = (told(&text(&second).await), documented());
    let names = |families: &Families| families.keys().cloned().collect::<BTreeSet<_>>();
    assert_eq!(names(&told), names(&documented));
    for (name, family) in &told {
        let known = &documented[name];
        assert_eq!(family.sort, known.sort, "{name}");
        assert_eq!(
            family.labels.keys().collect::<Vec<_>>(),
            known.labels.keys().collect::<Vec<_>>(),
            "{name}"
        );
        for (label, values) in known.labels.iter().filter(|(_, values)| !values.is_empty()) {
            assert_eq!(family.labels[label], *values, "{label} of {name}");
        }
    }
}

#[tokio::test]
async fn figures_can_be_turned_off_and_a_server_that_does_not_sync_has_none_of_sync() {
    let off = setup().set("NGIT_METRICS_ENABLED", false).start().await;
    let response = off.context("metrics").await.http.get("/metrics", &[]).await.unwrap();
    assert_eq!(response.status, 404);
    let alone = setup().set("NGIT_SYNC_ENABLE", false).start().await;
    let told = told(&text(&alone).await);
    assert!(told.contains_key("grasp_relay_connections"));
    assert!(!told.keys().any(|name| name.starts_with("grasp_sync_relay") || name.starts_with("grasp_hunt")));
}

/// Every text under one of these keys, however deep.
fn texts<'a>(of: &'a Value, keys: &[&str], into: &mut Vec<&'a str>) {
    match of {
        Value::Object(fields) => {
            for (key, value) in fields {
                if let Some(text) = value.as_str().filter(|_| keys.contains(&key.as_str())) {
                    into.push(text);
                }
                texts(value, keys, into);
            }
        }
        Value::Array(items) => items.iter().for_each(|item| texts(item, keys, into)),
        _ => {}
    }
}

fn metrics_in(expression: &str) -> impl Iterator<Item = &str> {
    let is_name = |letter: char| letter.is_ascii_alphanumeric() || letter == '_';
    expression.split(move |letter| !is_name(letter)).filter(|word| word.starts_with("grasp_"))
}

#[test]
fn the_dashboard_and_the_guide_use_metrics_that_exist() {
    let documented = documented();
    let dashboard: Value = serde_json::from_str(&file("how-to/grafana-dashboard.json")).unwrap();
    let panels = dashboard["panels"].as_array().unwrap().iter().filter(|panel| panel["type"] != "row");
    let mut used = BTreeSet::new();
    for panel in panels {
        let mut expressions = Vec::new();
        texts(panel, &["expr"], &mut expressions);
        assert!(!expressions.is_empty(), "{} shows nothing", panel["title"]);
        for expression in expressions {
            assert!(metrics_in(expression).next().is_some(), "{expression} is about no metric");
            used.extend(metrics_in(expression).map(|name| family_of(name, &documented).to_owned()));
        }
    }
    let mut definitions = Vec::new();
    texts(&dashboard["templating"], &["definition", "query"], &mut definitions);
    used.extend(definitions.iter().flat_map(|text| metrics_in(text)).map(str::to_owned));
    let guide = file("how-to/watch-a-server.md");
    used.extend(metrics_in(&guide).map(|name| family_of(name, &documented).to_owned()));
    let known: BTreeSet<String> = documented.into_keys().collect();
    assert_eq!(used.difference(&known).collect::<Vec<_>>(), Vec::<&String>::new());
    let unused: Vec<&String> = known.difference(&used).collect();
    assert_eq!(unused, Vec::<&String>::new(), "on no panel");
}
