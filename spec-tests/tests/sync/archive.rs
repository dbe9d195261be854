//! An archive (GRASP-05) beside a server that hosts: what does not list the archive arrives there by sync alone.

use grasp_fixtures::{events, keys};
use serde_json::json;
use spec_tests::{Instance, view};

use crate::network::{Project, arrives, publish, relay, serves, setup};

/// The setting that archives what another service has.
const SERVICES: &str = "NGIT_ARCHIVE_GRASP_SERVICES";

/// A server that hosts, and an archive of what it has.
async fn pair() -> (Instance, Instance) {
    let hosting = setup().start().await;
    let archive = setup().set(SERVICES, hosting.authority()).start().await;
    (hosting, archive)
}

#[tokio::test]
async fn an_archive_follows_a_repository_that_does_not_list_it_and_takes_no_pushes() {
    let (hosting, mut archive) = pair().await;
    let mut project = Project::new("kept").await;
    let announcement = project.announce(&[&hosting]).await;
    let state = project.publish_on(&hosting, &announcement).await;
    let issue = events::issue(&project.coordinate(), "broken", "it is").sign(&keys::fresh());
    publish(&hosting, &issue).await;
    for event in [&announcement, &state, &issue] {
        arrives(&archive, event).await;
    }
    project.comes_to_show(&archive, "refs/heads/main", &project.tip).await;

    // What comes later comes, too: a push, and a pull request with its data.
    let tip = project.commit("second\n").await;
    let state = project.state(&tip);
    publish(&hosting, &state).await;
    project.push(&hosting, "main").await;
    arrives(&archive, &state).await;
    project.comes_to_show(&archive, "refs/heads/main", &tip).await;
    let (pull, change) = project.pull_request(&hosting, "mend it").await;
    publish(&hosting, &pull).await;
    arrives(&archive, &pull).await;
    project.comes_to_show(&archive, &format!("refs/nostr/{}", pull.id), &change).await;

    // A state that is signed and waits authorises a push everywhere but here.
    let next = project.commit("third\n").await;
    publish(&archive, &project.state(&next)).await;
    let url = project.url(&archive).await;
    for refspec in ["main".to_owned(), format!("{next}:refs/nostr/{}", "ab".repeat(32))] {
        let output = project.repository.push(&url, &[&refspec]).await.unwrap();
        let told = output.terminal();
        assert!(!output.ok() && told.contains("[remote rejected]") && told.contains("read-only"), "{told}");
        assert!(told.contains(&hosting.authority()), "it says where to push instead: {told}");
    }

    archive.restart().await;
    for event in [&announcement, &state, &issue, &pull] {
        arrives(&archive, event).await;
    }
    project.comes_to_show(&archive, "refs/heads/main", &tip).await;
}

#[tokio::test]
async fn without_its_rule_an_archived_repository_is_put_aside_and_with_it_again_it_is_back() {
    let (mut hosting, mut archive) = pair().await;
    let project = Project::new("rules").await;
    let announcement = project.announce(&[&hosting]).await;
    let state = project.publish_on(&hosting, &announcement).await;
    project.comes_to_show(&archive, "refs/heads/main", &project.tip).await;
    let service = hosting.authority();
    // From here on nobody could bring anything again.
    hosting.kill();

    archive.restart_with(SERVICES, "").await;
    for event in [&announcement, &state] {
        assert!(!serves(&archive, event).await);
    }
    let owner = project.owner.public_key();
    assert_eq!(view::refs(&*archive.target().await, &owner, &project.identifier).await, None);
    assert_eq!(
        archive.target().await.nip11.clone().unwrap()["supported_grasps"],
        json!(["GRASP-01", "GRASP-02"])
    );

    archive.restart_with(SERVICES, &service).await;
    for event in [&announcement, &state] {
        assert!(serves(&archive, event).await, "at the start, before sync has brought anything");
    }
    project.comes_to_show(&archive, "refs/heads/main", &project.tip).await;
}

#[tokio::test]
async fn an_archive_takes_what_its_rules_cover_and_says_that_it_is_one() {
    let hosting = setup().start().await;
    let (kept, left) = (Project::new("kept").await, Project::new("left").await);
    let archive = setup().set("NGIT_ARCHIVE_WHITELIST", &kept.identifier).start().await;
    let told = &archive.target().await.nip11.clone().unwrap();
    assert_eq!(told["supported_grasps"], json!(["GRASP-01", "GRASP-02", "GRASP-05"]));
    assert!(told["curation"].as_str().unwrap().contains("read-only"), "{told}");

    // Nobody but a person tells it: that one announcement leads to the relay and to the data.
    let announcements = [kept.announce(&[&hosting]).await, left.announce(&[&hosting]).await];
    let state = kept.publish_on(&hosting, &announcements[0]).await;
    left.publish_on(&hosting, &announcements[1]).await;
    publish(&archive, &announcements[0]).await;
    arrives(&archive, &announcements[0]).await;
    arrives(&archive, &state).await;
    let (_target, relay) = relay(&archive).await;
    let refused = relay.publish(&view::as_json(&announcements[1])).await.unwrap();
    assert!(!refused.accepted && refused.message.starts_with("blocked:"), "{}", refused.message);
    assert!(!serves(&archive, &announcements[1]).await);
}

#[tokio::test]
async fn what_was_deleted_here_is_not_brought_back_by_a_server_that_has_it_still() {
    // The first server reaches out to nobody: it never hears of the deletion.
    let first = setup().set("NGIT_SYNC_ENABLE", false).start().await;
    let mut second = setup().set("NGIT_SYNC_BOOTSTRAP_RELAY_URL", first.url()).start().await;
    let (gone, marker) = (Project::new("gone").await, Project::new("marker").await);
    let announcement = gone.announce(&[&first, &second]).await;
    let state = gone.publish_on(&first, &announcement).await;
    gone.comes_to_show(&second, "refs/heads/main", &gone.tip).await;
    publish(&second, &events::delete_address(&gone.coordinate()).sign(&gone.owner)).await;

    second.restart().await;
    // What comes in after everything that the first server announces has been looked at.
    let announced = marker.announce(&[&first, &second]).await;
    marker.publish_on(&first, &announced).await;
    let issue = events::issue(&marker.coordinate(), "later", "").sign(&keys::fresh());
    publish(&first, &issue).await;
    arrives(&second, &issue).await;
    for event in [&announcement, &state] {
        assert!(serves(&first, event).await && !serves(&second, event).await);
    }
    let refs = view::refs(&*second.target().await, &gone.owner.public_key(), &gone.identifier).await;
    assert_eq!(refs, None);
}
