//! What everybody can see of sync: its page, and what has no business there.

use grasp_audit::target::http::HttpClient;
use grasp_audit::target::url::contribution_path;
use grasp_fixtures::{PullRequest, events, keys};
use serde_json::Value;
use spec_tests::{Instance, instance};

use crate::figures;
use crate::foreign::Lying;
use crate::network::{Project, arrives, publish, publish_all, servers, serves, setup};

/// Where nobody listens: port 1 of this machine.
const NOBODY: &str = "ws://127.0.0.1:1/hush";

/// What `/sync` says, as data.
async fn standing(server: &Instance) -> Value {
    ask(&server.context("sync").await.http).await
}

async fn ask(http: &HttpClient) -> Value {
    let response = http.get("/sync", &[("accept", "application/json")]).await.unwrap();
    let document = response.json().unwrap();
    assert_eq!(document["enabled"], true);
    document["standing"].clone()
}

/// What `/sync` says to people.
async fn page(server: &Instance) -> String {
    let http = server.context("sync").await.http;
    http.get("/sync", &[("accept", "text/html")]).await.unwrap().text()
}

fn peer<'a>(standing: &'a Value, relay: &str) -> Option<&'a Value> {
    standing["peers"].as_array()?.iter().find(|peer| peer["relay"] == relay)
}

/// Waits until `/sync` says something of a peer.
async fn comes_to_say(server: &Instance, relay: &str, what: &str, says: impl Fn(&Value) -> bool) {
    let http = server.context("sync").await.http;
    instance::eventually(what, async || peer(&ask(&http).await, relay).is_some_and(&says)).await;
}

#[tokio::test]
async fn the_page_tells_how_each_peer_stands() {
    let [first, mut second] = servers().await;
    let project = Project::new("page").await;
    let announcement = project.announce(&[&first, &second]).await;
    publish(&second, &announcement).await;
    project.publish_on(&first, &announcement).await;
    arrives(&second, &announcement).await;
    comes_to_say(&second, &first.url(), "the first is connected and level", |peer| {
        peer["state"] == "connected"
            && peer["since"].is_u64()
            && peer["last_event"].is_u64()
            && peer["confirmed"] == peer["wanted"]
            && peer["events"]["taken"].as_u64() >= Some(1)
    })
    .await;
    let shown = page(&second).await;
    for told in [first.url().as_str(), "Connected", "Last event", "<!DOCTYPE html>"] {
        assert!(shown.contains(told), "{told}: {shown}");
    }
    assert!(!shown.contains("<script"));

    second.stop().await;
    comes_to_say(&first, &second.url(), "the second is away", |peer| {
        peer["state"] == "away"
            && peer["since"].is_u64()
            && peer["next_try"].is_u64()
            && peer["why"].is_string()
    })
    .await;
}

#[tokio::test]
async fn what_only_a_waiting_announcement_names_is_counted_and_told_when_it_is_served() {
    let server = setup().start().await;
    let project = Project::new("hush").await;
    let announcement = project.announcement(&[&server]).await.relay(NOBODY);
    let announcement = announcement.draft().sign(&project.owner);
    publish(&server, &announcement).await;
    instance::eventually("the relay is counted", async || {
        let standing = standing(&server).await;
        standing["unlisted_peers"] == 1 && standing["waiting_repositories"] == 1
    })
    .await;
    for shown in [page(&server).await, standing(&server).await.to_string(), figures::text(&server).await] {
        assert!(!shown.contains(NOBODY) && !shown.contains(&project.identifier), "{shown}");
    }
    project.publish_on(&server, &announcement).await;
    comes_to_say(&server, NOBODY, "the relay is named", |peer| peer["state"] == "away").await;
}

#[tokio::test]
async fn a_hunt_is_told_of_a_served_repository() {
    let [first, second] = servers().await;
    let mut project = Project::new("hunt").await;
    let announcement = project.announce(&[&first, &second]).await;
    publish(&second, &announcement).await;
    project.publish_on(&first, &announcement).await;
    project.comes_to_show(&second, "refs/heads/main", &project.tip).await;
    let tip = project.commit("nobody has this yet\n").await;
    publish(&second, &project.state(&tip)).await;
    instance::eventually("the page tells what is missing", async || {
        let standing = standing(&second).await;
        standing["hunted"][0]["identifier"] == project.identifier.as_str()
            && standing["hunted"][0]["missing"] == 1
    })
    .await;
    assert!(page(&second).await.contains(&project.identifier));
}

#[tokio::test]
async fn a_pull_request_for_a_repository_that_is_not_here_is_none_of_syncs_business() {
    let mut server = setup().set("NGIT_GRASP06_ENABLE", true).start().await;
    let peer = Lying::start().await;
    let project = Project::new("hosted").await;
    let announcement = project.announcement(&[&server]).await.relay(&peer.url).draft().sign(&project.owner);
    project.publish_on(&server, &announcement).await;

    // Its data lies in its author's own repository here; the one that it names is hosted nowhere.
    let (elsewhere, author) = (Project::new("elsewhere").await, keys::fresh());
    let path = contribution_path(&author.public_key(), &elsewhere.identifier);
    let url = format!("http://{}{path}", server.authority());
    let pull = PullRequest::new(elsewhere.coordinate(), &elsewhere.tip).clone_url(&url).draft().sign(&author);
    let refspec = format!("{}:refs/nostr/{}", elsewhere.tip, pull.id);
    let output = elsewhere.repository.push(&url, &[&refspec]).await.unwrap();
    assert!(output.ok(), "{output}");
    publish(&server, &pull).await;
    assert!(serves(&server, &pull).await);

    // What comes after it is asked for; when that is so, it would have been asked for, too.
    let issues = ["one", "two"].map(|n| events::issue(&project.coordinate(), n, "").sign(&keys::fresh()));
    for (issue, restarts) in issues.iter().zip([false, true]) {
        publish_all(&server, std::slice::from_ref(issue)).await;
        if restarts {
            server.kill();
            peer.forget_questions();
            server.restart().await;
        }
        instance::eventually("the peer is asked about an issue", async || peer.was_asked(&issue.id.to_hex()))
            .await;
        assert!(!peer.was_asked(&pull.id.to_hex()), "about a pull request for another place");
        assert!(!peer.was_asked(&elsewhere.identifier), "about a repository that is not here");
    }
    for shown in [page(&server).await, standing(&server).await.to_string()] {
        assert!(!shown.contains(&elsewhere.identifier) && !shown.contains(&pull.id.to_hex()), "{shown}");
    }
}
