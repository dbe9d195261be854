//! Relays give the newest first: what builds on something comes before that.

use grasp_fixtures::{events, keys};

use crate::foreign::{Foreign, announced_on};
use crate::network::{Project, arrives, servers, serves, setup};

#[tokio::test]
async fn a_comment_that_comes_before_its_root_is_taken_when_the_root_has_come() {
    let server = setup().start().await;
    let foreign = Foreign::start().await;
    let project = Project::new("order").await;
    let announcement = announced_on(&project, &server, &foreign.url).await;
    let (author, now) = (keys::fresh(), nostr::types::Timestamp::now().as_secs());
    let issue = events::issue(&project.coordinate(), "root", "").at(now - 100).sign(&author);
    // Tagging the repository, the comment is asked for together with its root, and comes first.
    let comment = events::comment(&issue, "leaf").at(now - 50).sign(&author);
    let below = events::comment_below(&issue, &comment, "leaf of a leaf").at(now - 10).sign(&author);
    for event in [&issue, &comment, &below] {
        foreign.publish(event).await;
    }
    project.publish_on(&server, &announcement).await;
    for event in [&below, &comment, &issue] {
        arrives(&server, event).await;
    }
}

#[tokio::test]
async fn a_state_that_comes_before_its_announcement_is_taken_when_that_has_come() {
    let [host] = servers().await;
    let foreign = Foreign::start().await;
    let server = setup().set("NGIT_SYNC_BOOTSTRAP_RELAY_URL", &foreign.url).start().await;
    let project = Project::new("early").await;
    let now = nostr::types::Timestamp::now().as_secs();
    let announcement =
        project.announcement(&[&host, &server]).await.draft().at(now - 100).sign(&project.owner);
    let state = project.publish_on(&host, &announcement).await;
    foreign.publish(&state).await;
    foreign.publish(&announcement).await;
    arrives(&server, &state).await;
    arrives(&server, &announcement).await;
    project.comes_to_show(&server, "refs/heads/main", &project.tip).await;
}

/// The newer one is known first, so the older one is refused as replaced.
#[tokio::test]
async fn a_state_whose_data_never_comes_gives_way_to_the_older_one_that_others_serve() {
    let [host] = servers().await;
    let foreign = Foreign::start().await;
    let server = setup()
        .set("NGIT_SYNC_BOOTSTRAP_RELAY_URL", &foreign.url)
        .set("NGIT_PURGATORY_EXPIRY_SECS", 5)
        .start()
        .await;
    let project = Project::new("vain").await;
    let announcement =
        project.announcement(&[&host, &server]).await.relay(&foreign.url).draft().sign(&project.owner);
    let state = project.publish_on(&host, &announcement).await;
    let newer = project.state(&"1".repeat(40));
    foreign.publish(&announcement).await;
    foreign.publish(&newer).await;
    project.comes_to_show(&server, "refs/heads/main", &project.tip).await;
    arrives(&server, &state).await;
    arrives(&server, &announcement).await;
    assert!(!serves(&server, &newer).await, "nobody has its data");
}
