#![allow(clippy::unwrap_used)]
use grasp_fixtures::{Announcement, keys};
use nostr::key::Keys;

use super::*;

const NAMES: [&str; 3] = ["one.example", "two.example", "three.example"];

/// What servers show of one repository: the value of each of its items, none where they do not have it.
struct Shown {
    owner: Keys,
    announcement: Announcement,
    held: Vec<Holdings>,
}

impl Shown {
    /// A repository that an announcement puts on these servers.
    fn on(names: &[&str]) -> Self {
        let listed = |announcement: Announcement, name: &&str| {
            announcement.clone_url(format!("https://{name}/x/y.git")).relay(format!("wss://{name}"))
        };
        let announcement = names.iter().fold(Announcement::new("hello"), listed);
        Self { owner: keys::fresh(), announcement, held: Vec::new() }
    }

    /// One more server, with these items, or without the repository.
    fn server(mut self, name: &str, items: Option<&[(Item, &str)]>) -> Self {
        let announcement = self.announcement.draft().at(1_000).sign(&self.owner);
        let repository = |items: &[(Item, &str)]| {
            let items = items.iter().map(|(item, value)| (item.clone(), (*value).to_owned())).collect();
            ("30617:a:hello".to_owned(), Repository { announcement, items })
        };
        let name = ServiceUrl::parse(name).unwrap();
        self.held.push(Holdings { name, repositories: items.map(repository).into_iter().collect() });
        self
    }
}

fn main_at(oid: &str) -> [(Item, &str); 1] {
    [(Item::Ref("refs/heads/main".to_owned()), oid)]
}

fn seen(difference: &Difference) -> Vec<(&str, Option<&str>)> {
    difference.seen.iter().map(|(server, value)| (server.as_str(), value.as_deref())).collect()
}

#[test]
fn servers_that_show_the_same_agree() {
    let shown = NAMES.iter().fold(Shown::on(&NAMES), |shown, name| shown.server(name, Some(&main_at("1"))));
    let agreement = Agreement::between(&shown.held, false);
    assert_eq!((agreement.repositories, agreement.items, agreement.exit_code()), (1, 1, 0));
    assert_eq!(agreement.sentence(), "they agree (repositories: 1; events and refs: 1)");
}

#[test]
fn what_one_has_otherwise_or_not_at_all_is_told_with_what_each_has() {
    let shown = Shown::on(&NAMES)
        .server(NAMES[0], Some(&main_at("1")))
        .server(NAMES[1], Some(&main_at("2")))
        .server(NAMES[2], Some(&[]));
    let agreement = Agreement::between(&shown.held, false);
    assert_eq!((agreement.items, agreement.exit_code()), (1, 1));
    let [difference] = &agreement.differences[..] else { panic!("{:?}", agreement.differences) };
    assert_eq!(difference.item.to_string(), "refs/heads/main");
    assert_eq!(
        seen(difference),
        [("one.example", Some("1")), ("three.example", None), ("two.example", Some("2"))]
    );
    let text = terminal::render(&agreement, false);
    assert!(text.contains("one.example    1") && text.contains("three.example  not there"), "{text}");
}

#[test]
fn a_repository_that_is_missing_as_a_whole_is_told_once() {
    let shown = Shown::on(&NAMES)
        .server(NAMES[0], Some(&main_at("1")))
        .server(NAMES[1], Some(&main_at("1")))
        .server(NAMES[2], None);
    let agreement = Agreement::between(&shown.held, false);
    let [difference] = &agreement.differences[..] else { panic!("{:?}", agreement.differences) };
    assert_eq!(difference.item, Item::Repository);
    assert_eq!(seen(difference)[1], ("three.example", None));
}

#[test]
fn a_server_that_is_not_listed_need_not_have_it_unless_all_are_asked_for_everything() {
    let shown = Shown::on(&NAMES[..2])
        .server(NAMES[0], Some(&main_at("1")))
        .server(NAMES[1], Some(&main_at("1")))
        .server(NAMES[2], None);
    assert!(Agreement::between(&shown.held, false).is_reached());
    assert_eq!(Agreement::between(&shown.held, true).differences.len(), 1);

    // Listed under `clone` alone, it is not expected to follow the events.
    let mut shown = Shown::on(&NAMES[..1]);
    shown.announcement = shown.announcement.clone_url("https://two.example/x/y.git");
    let shown = shown.server(NAMES[0], Some(&main_at("1"))).server(NAMES[1], None);
    let agreement = Agreement::between(&shown.held, false);
    assert_eq!((agreement.repositories, agreement.exit_code()), (0, 2), "nothing was found out");
    assert!(!agreement.is_reached() && agreement.sentence().contains("NAME=URL"));
}

#[test]
fn the_newest_announcement_says_who_is_to_have_it() {
    let old = Shown::on(&NAMES).server(NAMES[0], Some(&[])).held;
    let mut shown = Shown::on(&NAMES[..2]);
    shown = shown.server(NAMES[1], Some(&[])).server(NAMES[2], None);
    let newer = shown.announcement.draft().at(1_001).sign(&shown.owner);
    shown.held[0].repositories.get_mut("30617:a:hello").unwrap().announcement = newer;
    let held: Vec<Holdings> = old.into_iter().chain(shown.held).collect();
    assert!(Agreement::between(&held, false).is_reached(), "the third is not listed any more");
}

#[test]
fn the_json_names_items_in_words() {
    let shown = Shown::on(&NAMES[..2]).server(NAMES[0], Some(&main_at("1"))).server(NAMES[1], Some(&[]));
    let json = Agreement::between(&shown.held, false).to_json().unwrap();
    let json: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(json["format"], "grasp-audit/agreement");
    assert_eq!(json["servers"], serde_json::json!(["one.example", "two.example"]));
    let expected = serde_json::json!([{
        "repository": "30617:a:hello",
        "item": "refs/heads/main",
        "seen": {"one.example": "1", "two.example": null},
    }]);
    assert_eq!(json["differences"], expected);
}
