//! What was answered `OK true, purgatory: …` is there after `kill -9`.

use grasp_fixtures::PullRequest;
use spec_tests::view::as_json;

use crate::act::Act;
use crate::setup;

#[tokio::test]
async fn a_killed_server_remembers_what_it_agreed_to_wait_for() {
    let mut server = setup().start().await;
    let ctx = server.context("waiting").await;
    let waiting = ctx.waiting_repository().await.unwrap();
    ctx.not_served(&waiting.state).await.unwrap();
    server.restart().await;

    ctx.not_served(&waiting.state).await.unwrap();
    let push = Act::push(&waiting.repository, &waiting.url, &["refs/heads/main"]);
    push.succeeds(&ctx.target).await;
    ctx.served(&waiting.announcement).await.unwrap();
    ctx.served(&waiting.state).await.unwrap();

    let tip = waiting.repository.commit("pr.txt", "change\n", &[&waiting.tip]).await.unwrap();
    let pull = ctx.sign(&ctx.someone(), PullRequest::new(&waiting.coordinate, &tip).draft());
    let reply = ctx.accepted(&pull).await.unwrap();
    assert!(reply.message.starts_with("purgatory: won't be served until git data arrives"), "{reply}");
    server.restart().await;

    let refspec = format!("{tip}:refs/nostr/{}", pull.id.to_hex());
    Act::push(&waiting.repository, &waiting.url, &[&refspec]).succeeds(&ctx.target).await;
    ctx.served(&pull).await.unwrap();
}

#[tokio::test]
async fn a_killed_server_remembers_an_upload_that_no_event_names_yet() {
    let mut server = setup().start().await;
    let ctx = server.context("upload").await;
    let hosted = ctx.hosted_repository().await.unwrap();
    let tip = hosted.repository.commit("pr.txt", "change\n", &[&hosted.tip]).await.unwrap();
    let pull = ctx.sign(&ctx.someone(), PullRequest::new(&hosted.coordinate, &tip).draft());
    let refspec = format!("{tip}:refs/nostr/{}", pull.id.to_hex());
    Act::push(&hosted.repository, &hosted.url, &[&refspec]).succeeds(&ctx.target).await;
    server.restart().await;

    let reply = ctx.publisher().await.unwrap().publish(&as_json(&pull)).await.unwrap();
    assert!(reply.accepted && !reply.message.starts_with("purgatory:"), "{reply}");
    ctx.served(&pull).await.unwrap();
}

#[tokio::test]
async fn a_graceful_stop_keeps_everything_too() {
    let mut server = setup().start().await;
    let ctx = server.context("stopped").await;
    let hosted = ctx.hosted_repository().await.unwrap();
    let other = ctx.other_identifier();
    let waiting = ctx.waiting_repository_of(&ctx.owner, &other).await.unwrap();
    assert!(server.stop().await.success(), "a stop that was asked for is a success");
    server.restart().await;
    ctx.served(&hosted.state).await.unwrap();
    Act::push(&waiting.repository, &waiting.url, &["refs/heads/main"]).succeeds(&ctx.target).await;
    ctx.served(&waiting.state).await.unwrap();
}
