//! Whether the suite sees what servers have otherwise than others, on servers that do not sync and so stay as they are.

use std::time::Duration;

use grasp_audit::agreement::{Agreement, AgreementError, Question, Server};
use grasp_fixtures::{State, events, keys};
use nostr::event::Event;
use nostr::types::Timestamp;
use spec_tests::{Instance, Setup};

use crate::network::{Project, publish, publish_all, setup};

/// A server that does not sync.
fn alone() -> Setup {
    setup().set("NGIT_SYNC_ENABLE", false)
}

async fn ask(servers: &[&Instance]) -> Result<Agreement, AgreementError> {
    let mut asked = Vec::new();
    for server in servers {
        asked.push(Server::new(server.target().await));
    }
    Agreement::ask(&asked, &Question::default()).await
}

/// What servers differ in, in words, and which of the two has it: `<` the first, `>` the second, `!` both, otherwise.
async fn differences(first: &Instance, second: &Instance) -> Vec<String> {
    let agreement = ask(&[first, second]).await.unwrap();
    let seen_by = |difference: &grasp_audit::agreement::Difference, server: &Instance| {
        difference.seen[&server.authority()].is_some()
    };
    let told = agreement.differences.iter().map(|difference| {
        let sign = match (seen_by(difference, first), seen_by(difference, second)) {
            (true, false) => '<',
            (false, true) => '>',
            _ => '!',
        };
        format!("{sign} {}", difference.item)
    });
    told.collect()
}

#[tokio::test]
async fn whatever_one_server_lacks_or_has_otherwise_is_named_and_nothing_else() {
    let (first, second) = (alone().start().await, alone().start().await);
    let mut project = Project::new("level").await;
    let announcement = project.announce(&[&first, &second]).await;
    project.publish_on(&first, &announcement).await;
    assert_eq!(differences(&first, &second).await, ["< repository"]);

    let tip = project.commit("elsewhere\n").await;
    publish(&second, &announcement).await;
    let state = project.state_on(&second).await;
    let owner = project.owner.public_key().to_hex();
    let apart = [format!("! state of {owner}"), "! refs/heads/main".to_owned()];
    assert_eq!(differences(&first, &second).await, apart);

    publish(&first, &state).await;
    project.push(&first, "main").await;
    assert_eq!(differences(&first, &second).await, [""; 0]);

    // A conversation is followed to its end, whatever tags what.
    let somebody = keys::fresh();
    let issue = events::issue(&project.coordinate(), "a", "").sign(&somebody);
    let comment = events::comment(&issue, "b").sign(&somebody);
    let below = events::comment_below(&issue, &comment, "c").sign(&somebody);
    let status = events::status(1632, &issue).sign(&somebody);
    let (pull, change) = project.pull_request(&second, "d").await;
    publish_all(&first, &[issue.clone(), comment.clone(), below.clone(), status.clone()]).await;
    publish_all(&second, &[issue.clone(), pull.clone()]).await;
    let mut told = differences(&first, &second).await;
    told.sort();
    let mut expected = vec![
        format!("< comment {}", comment.id),
        format!("< comment {}", below.id),
        format!("< status {}", status.id),
        format!("> pull request {}", pull.id),
        format!("> refs/nostr/{}", pull.id),
    ];
    expected.sort();
    assert_eq!(told, expected);

    publish_all(&second, &[comment, below, status]).await;
    project.push(&first, &format!("{change}:refs/nostr/{}", pull.id)).await;
    publish(&first, &pull).await;
    let agreement = ask(&[&first, &second]).await.unwrap();
    assert!(agreement.is_reached(), "{:?}", agreement.differences);
    // Announcement, state, issue, two comments, status, pull request, HEAD, main, and the ref of the pull request.
    assert_eq!((agreement.repositories, agreement.items), (1, 10));
    project.comes_to_show(&first, "refs/heads/main", &tip).await;
}

#[tokio::test]
async fn the_state_of_a_maintainer_counts_and_that_of_somebody_elses_repository_does_not() {
    let (first, second) = (alone().start().await, alone().start().await);
    let (project, helper) = (Project::new("shared").await, keys::fresh());
    let announcement = project.announcement(&[&first, &second]).await.maintainer(helper.public_key());
    let announcement = announcement.draft().sign(&project.owner);
    let state = project.state(&project.tip);
    for server in [&first, &second] {
        publish_all(server, &[announcement.clone(), state.clone()]).await;
        project.push(server, "main").await;
    }
    let mut other = Project::new("other").await;
    other.identifier.clone_from(&project.identifier);
    other.publish_on(&first, &other.announce(&[&first]).await).await;
    assert_eq!(differences(&first, &second).await, [""; 0]);

    let state = State::new(&project.identifier).branch("main", &project.tip).head("main");
    publish(&first, &state.draft().sign(&helper)).await;
    let expected = format!("< state of {}", helper.public_key().to_hex());
    assert_eq!(differences(&first, &second).await, [expected]);
}

#[tokio::test]
async fn all_pages_are_read_and_a_second_that_is_larger_than_a_page_is_told() {
    let small = || alone().set("NGIT_MAX_LIMIT", 5).set("NGIT_DEFAULT_LIMIT", 5);
    let (first, second) = (small().start().await, small().start().await);
    let project = Project::new("pages").await;
    let announcement = project.announce(&[&first, &second]).await;
    project.publish_on(&first, &announcement).await;
    let state = project.state(&project.tip);
    publish(&first, &state).await;
    publish(&second, &announcement).await;
    publish(&second, &state).await;
    project.push(&second, "main").await;
    let now = Timestamp::now().as_secs();
    let issue = |second: u64, text: &str| -> Event {
        events::issue(&project.coordinate(), text, "").at(now - second).sign(&keys::fresh())
    };
    let issues: Vec<Event> = (0..24).map(|number| issue(number / 2 + 1, &number.to_string())).collect();
    for server in [&first, &second] {
        publish_all(server, &issues).await;
    }
    let agreement = ask(&[&first, &second]).await.unwrap();
    assert!(agreement.is_reached(), "{:?}", agreement.differences);
    assert_eq!(agreement.items, 24 + 4);

    let crowd: Vec<Event> = (0..6).map(|number| issue(60, &number.to_string())).collect();
    publish_all(&first, &crowd).await;
    let told = ask(&[&first, &second]).await.expect_err("it cannot be asked for").to_string();
    assert!(told.contains("5 events or more of one second"), "{told}");
}

#[tokio::test]
async fn servers_are_asked_again_until_they_agree() {
    let (first, second) = (alone().start().await, alone().start().await);
    let project = Project::new("again").await;
    let announcement = project.announce(&[&first, &second]).await;
    let state = project.publish_on(&first, &announcement).await;
    let servers = [&first, &second].map(|server| server.target());
    let servers: Vec<Server> =
        futures_util::future::join_all(servers).await.into_iter().map(Server::new).collect();
    let question = Question::default();
    let now = Agreement::reached(&servers, &question, Duration::ZERO).await.unwrap();
    assert!(!now.is_reached());
    let (later, ()) = tokio::join!(Agreement::reached(&servers, &question, Duration::from_secs(60)), async {
        publish_all(&second, &[announcement, state]).await;
        project.push(&second, "main").await;
    });
    assert!(later.unwrap().is_reached());
}
