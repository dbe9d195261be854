//! REQ: which stored events a filter finds.

use grasp_fixtures::events;
use nostr::event::Event;
use nostr::key::Keys;
use serde_json::{Value, json};

use super::ROW;
use crate::check::{Check, CheckResult, expect, expect_eq};
use crate::context::Context;
use crate::specs::grasp01::relay::issue;

/// Four events about one repository, a second apart each: what filters choose from.
struct Library {
    coordinate: String,
    owner: Keys,
    stranger: Keys,
    /// 0: issue of the owner; 1: issue of the stranger; 2: the stranger's note, red; 3: the owner's note, red and blue.
    events: [Event; 4],
}

/// A filter over the library, and the positions of the events it must find.
type Question = fn(&Library) -> Vec<(Vec<Value>, Vec<usize>)>;

const QUESTIONS: [(&str, &str, Question); 12] = [
    ("filter-ids", "ids finds the events of these ids", |library| {
        let id = |position: usize| library.events[position].id.to_hex();
        vec![
            (vec![json!({"ids": [id(0), id(3)]})], vec![0, 3]),
            (vec![json!({"ids": [grasp_fixtures::keys::random_id()]})], vec![]),
        ]
    }),
    ("filter-authors", "authors finds what these keys signed", |library| {
        let (owner, stranger) = (library.owner.public_key().to_hex(), library.stranger.public_key().to_hex());
        let of = |authors: Value| vec![json!({"authors": authors, "#a": [library.coordinate]})];
        vec![
            (vec![json!({"authors": [stranger]})], vec![1, 2]),
            (of(json!([owner])), vec![0, 3]),
            (of(json!([owner, stranger])), vec![0, 1, 2, 3]),
        ]
    }),
    ("filter-kinds", "kinds finds the events of these kinds", |library| {
        let of = |kinds: Value| vec![json!({"kinds": kinds, "#a": [library.coordinate]})];
        vec![
            (of(json!([1621])), vec![0, 1]),
            (of(json!([1])), vec![2, 3]),
            (of(json!([1, 1621])), vec![0, 1, 2, 3]),
            (of(json!([7])), vec![]),
        ]
    }),
    (
        "filter-tags",
        "a tag filter finds events with one of the values, and all tag filters must match",
        |library| {
            let of = |filter: Value| vec![filter];
            let a = &library.coordinate;
            vec![
                (of(json!({"#a": [a]})), vec![0, 1, 2, 3]),
                (of(json!({"#a": [a], "#t": ["red"]})), vec![2, 3]),
                (of(json!({"#a": [a], "#t": ["blue", "green"]})), vec![3]),
                (of(json!({"#a": [a], "#t": ["green"]})), vec![]),
            ]
        },
    ),
    ("filter-tag-value", "only a tag's first value counts, and case matters", |library| {
        let of = |value: &str| vec![json!({"#a": [library.coordinate], "#t": [value]})];
        // note 3 has the tag ["t", "blue", "second"]
        vec![(of("blue"), vec![3]), (of("second"), vec![]), (of("BLUE"), vec![])]
    }),
    ("filter-tag-case", "#a and #A are different tags", |library| {
        vec![
            (vec![json!({"#a": [library.coordinate]})], vec![0, 1, 2, 3]),
            (vec![json!({"#A": [library.coordinate]})], vec![]),
        ]
    }),
    ("filter-since-until", "since and until include the second they name", |library| {
        let at = |position: usize| library.events[position].created_at.as_secs();
        let a = &library.coordinate;
        vec![
            (vec![json!({"#a": [a], "since": at(2)})], vec![2, 3]),
            (vec![json!({"#a": [a], "until": at(1)})], vec![0, 1]),
            (vec![json!({"#a": [a], "since": at(1), "until": at(2)})], vec![1, 2]),
            (vec![json!({"#a": [a], "since": at(2), "until": at(1)})], vec![]),
        ]
    }),
    ("filter-limit", "limit keeps the newest", |library| {
        let of = |limit: u64| vec![json!({"#a": [library.coordinate], "limit": limit})];
        vec![(of(1), vec![3]), (of(2), vec![2, 3]), (of(4), vec![0, 1, 2, 3])]
    }),
    ("filter-limit-zero", "limit 0 finds nothing stored", |library| {
        let of = |limit: u64| vec![json!({"#a": [library.coordinate], "limit": limit})];
        vec![(of(1), vec![3]), (of(0), vec![])]
    }),
    ("filter-empty-lists", "an empty list matches nothing", |library| {
        let of = |field: &str| {
            let mut filter = json!({"#a": [library.coordinate]});
            filter[field] = json!([]);
            vec![filter]
        };
        vec![
            (vec![json!({"#a": [library.coordinate]})], vec![0, 1, 2, 3]),
            (of("ids"), vec![]),
            (of("authors"), vec![]),
            (of("kinds"), vec![]),
            (of("#t"), vec![]),
        ]
    }),
    (
        "filter-several",
        "several filters of one REQ are joined, and an event that several match comes once",
        |library| {
            let a = &library.coordinate;
            vec![
                (vec![json!({"#a": [a], "kinds": [1]}), json!({"#a": [a], "#t": ["red"]})], vec![2, 3]),
                (
                    vec![json!({"#a": [a], "kinds": [7]}), json!({"ids": [library.events[0].id.to_hex()]})],
                    vec![0],
                ),
                (
                    vec![
                        json!({"#a": [a], "kinds": [1621], "limit": 1}),
                        json!({"#a": [a], "kinds": [1], "limit": 1}),
                    ],
                    vec![1, 3],
                ),
            ]
        },
    ),
    ("filter-combined", "all conditions of one filter must hold", |library| {
        let stranger = library.stranger.public_key().to_hex();
        let (a, at) = (&library.coordinate, library.events[2].created_at.as_secs());
        let filter = json!({"#a": [a], "authors": [stranger], "kinds": [1, 1621], "since": at, "#t": ["red"], "limit": 9});
        let mut elsewhere = filter.clone();
        elsewhere["ids"] = json!([library.events[3].id.to_hex()]);
        vec![(vec![filter], vec![2]), (vec![elsewhere], vec![])]
    }),
];

pub(super) fn checks() -> Vec<Check> {
    let question = |(name, title, question): (&str, &str, Question)| {
        Check::new(ROW, name, title, move |ctx| asks(ctx, question))
    };
    let mut checks: Vec<Check> = QUESTIONS.into_iter().map(question).collect();
    checks.push(Check::new(ROW, "eose-once", "a REQ is answered with exactly one EOSE", eose_once));
    checks
}

async fn asks(ctx: Context, question: Question) -> CheckResult {
    let library = library(&ctx).await?;
    let relay = ctx.publisher().await?;
    for (filters, positions) in question(&library) {
        let mut expected: Vec<String> =
            positions.iter().map(|position| library.events[*position].id.to_hex()).collect();
        let mut found: Vec<String> =
            relay.req(&filters).await?.iter().map(|event| event.id.to_hex()).collect();
        expected.sort();
        found.sort();
        expect_eq(&format!("ids that {} finds", Value::from(filters)), &expected, &found)?;
    }
    Ok(())
}

async fn library(ctx: &Context) -> CheckResult<Library> {
    let hosted = ctx.hosted_repository().await?;
    let stranger = ctx.someone();
    let note = |text: &str| events::note(text).tag(["a", &hosted.coordinate]).tag(["t", "red"]);
    let events = [
        ctx.publishes(&ctx.owner, issue(&hosted)).await?,
        ctx.publishes(&stranger, issue(&hosted)).await?,
        ctx.publishes(&stranger, note("one")).await?,
        ctx.publishes(&ctx.owner, note("two").tag(["t", "blue", "second"])).await?,
    ];
    Ok(Library { coordinate: hosted.coordinate, owner: hosted.owner, stranger, events })
}

async fn eose_once(ctx: Context) -> CheckResult {
    let library = library(&ctx).await?;
    let relay = ctx.relay().await?;
    let found = relay.ask("first", &[json!({"#a": [library.coordinate]})]).await?;
    expect_eq("stored events", &4, &found.len())?;
    relay.ask("second", &[json!({"limit": 0})]).await?;
    // the second answer has come, so everything of the first is here
    let more = relay.heard("first", std::time::Duration::ZERO).await;
    expect(more.is_err(), "nothing more for the first REQ", format!("{more:?}"))
}
