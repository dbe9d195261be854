//! The process aborts at a named point of a promotion: every point, at every passing, in every scenario.

use std::collections::BTreeSet;

use grasp_audit::Context;
use grasp_fixtures::Repository;
use nostr::event::Event;
use rstest::rstest;
use spec_tests::{Instance, disk, instance, view};

use crate::act::{Act, Outcome};
use crate::scenarios::{self, Scenario};
use crate::setup;

/// The variable that names the point.
pub(crate) const CRASH_AT: &str = "GRASP_CRASH_AT";

#[rstest]
#[tokio::test]
async fn first_push(
    #[values(
        "objects-moved",
        "record-written",
        "tips-kept",
        "refs-written",
        "before-serve",
        "served",
        "record-closed",
        "waiting-written"
    )]
    point: &str,
) {
    let crashes = survives(point, async |ctx| scenarios::first_push(ctx).await).await;
    assert!(crashes > 0, "the point is never reached");
    assert!(grasp_server::promotion::crash::POINTS.contains(&point));
    assert_eq!(grasp_server::promotion::crash::POINTS.len(), 8, "every point is listed above");
}

#[rstest]
#[case::pull_request_event_first(1)]
#[case::pull_request_data_first(2)]
#[case::siblings(3)]
#[case::replacement(4)]
#[case::deletion(5)]
#[case::contribution_event_first(6)]
#[case::contribution_deleted(7)]
#[case::restoration(8)]
#[tokio::test]
async fn in_the_course_of(
    #[case] scenario: usize,
    #[values(
        "objects-moved",
        "record-written",
        "tips-kept",
        "refs-written",
        "before-serve",
        "served",
        "record-closed",
        "waiting-written"
    )]
    point: &str,
) {
    survives(point, async |ctx: &Context| match scenario {
        1 => scenarios::pull_request_event_first(ctx).await,
        2 => scenarios::pull_request_data_first(ctx).await,
        3 => scenarios::siblings(ctx).await,
        4 => scenarios::replacement(ctx).await,
        5 => scenarios::deletion(ctx).await,
        6 => scenarios::contribution_event_first(ctx).await,
        7 => scenarios::contribution_deleted(ctx).await,
        _ => scenarios::restoration(ctx).await,
    })
    .await;
}

/// Runs the scenario again and again, with a crash at the first, second, … passing of the point, until none comes.
/// How many crashes there were.
async fn survives(point: &str, build: impl AsyncFn(&Context) -> Scenario) -> usize {
    for passing in 1.. {
        let mut server = setup().start().await;
        let ctx = server.context("crash").await;
        let scenario = build(&ctx).await;
        for act in &scenario.before {
            act.succeeds(&ctx.target).await;
        }
        server.restart_with(CRASH_AT, &format!("{point}:{passing}")).await;
        let mut done = 0;
        while let Some(act) = scenario.acts.get(done) {
            match act.carry_out(&ctx.target).await {
                Outcome::Acknowledged(_) => done += 1,
                Outcome::Refused(words) => panic!("{act:?} was refused: {words}"),
                Outcome::Lost => break,
            }
        }
        if done == scenario.acts.len() && server.is_running() {
            ends_well(&server, &ctx, &scenario).await;
            return passing - 1;
        }
        server.ended().await;
        // It may crash again while it recovers, at the same point.
        server.tries_to_restart_with(CRASH_AT, point).await;
        server.restart_with(CRASH_AT, "").await;
        holds(&server, &ctx, &announcements(&scenario)).await;
        for act in &scenario.acts[done..] {
            act.succeeds(&ctx.target).await;
        }
        ends_well(&server, &ctx, &scenario).await;
    }
    unreachable!("it ends when no crash comes")
}

/// The announcements of a scenario: those that are not served yet count for the maintainer sets too.
fn announcements(scenario: &Scenario) -> Vec<Event> {
    let acts = scenario.before.iter().chain(&scenario.acts);
    let events = acts.filter_map(|act| match act {
        Act::Publish(event) => Some(event.clone()),
        Act::Push { .. } => None,
    });
    events.filter(|event| event.kind.as_u16() == 30617).collect()
}

/// What holds at every moment: refs are the authorised state, and nothing is missing or left over on disk.
pub(crate) async fn holds(server: &Instance, ctx: &Context, announcements: &[Event]) {
    let relay = instance::relay(&ctx.target).await.unwrap();
    view::refs_are_the_authorised_state(&ctx.target, &relay, &ctx.identifier, announcements).await;
    let git_data = server.git_data();
    let all = disk::repositories(&git_data).into_iter().chain(disk::families(&git_data));
    disk::fsck(all.chain(disk::contributed(&git_data))).await;
    assert_eq!(disk::quarantine(&git_data), Vec::<String>::new(), "quarantine is swept at the start");
}

async fn ends_well(server: &Instance, ctx: &Context, scenario: &Scenario) {
    holds(server, ctx, &[]).await;
    for repository in disk::contributed(&server.git_data()) {
        assert!(repository.join("packed-refs").exists(), "{} has no refs and stays", repository.display());
    }
    let relay = instance::relay(&ctx.target).await.unwrap();
    let all = scenario.served.iter().chain(&scenario.gone).map(|event| event.id.to_hex()).collect();
    let expected: BTreeSet<String> = scenario.served.iter().map(|event| event.id.to_hex()).collect();
    assert_eq!(view::served_ids(&relay, &all).await, expected, "what is served in the end");
    for (path, refs) in &scenario.refs {
        let seen = view::refs_at(&ctx.target, path).await;
        assert_eq!(seen.as_ref().map(|seen| &seen.refs), refs.as_ref(), "refs of {path}");
        let Some(refs) = refs else { continue };
        let url = format!("{}{path}", ctx.target.url.base());
        let (clone, output) = Repository::clone_of(&url, &["--mirror"], |git| git).await.unwrap();
        assert!(output.ok(), "{output}");
        assert_eq!(
            clone.refs().await.unwrap().into_iter().collect::<std::collections::BTreeMap<_, _>>(),
            *refs
        );
    }
}
