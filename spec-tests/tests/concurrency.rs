//! Several things at once to one repository, and clients that go away in the middle of it.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;

use futures_util::future::{join, join_all};
use grasp_audit::Context;
use grasp_fixtures::{Repository, State, nips_bundle_path};
use nostr::event::Event;
use nostr::key::Keys;
use spec_tests::raw_push::RawPush;
use spec_tests::{Backend, Instance, Setup, disk, instance, view};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

async fn start() -> Instance {
    Setup::new(env!("CARGO_BIN_EXE_server-under-test"), Backend::Lmdb).start().await
}

async fn state_at(ctx: &Context, by: &Keys, tip: &str) -> Event {
    let state = ctx.sign(by, State::new(&ctx.identifier).branch("main", tip).head("main").draft());
    ctx.accepted(&state).await.unwrap();
    state
}

async fn holds(ctx: &Context) {
    let relay = ctx.relay().await.unwrap();
    view::refs_are_the_authorised_state(&ctx.target, &relay, &ctx.identifier, &[]).await;
}

#[tokio::test]
async fn the_same_push_twice_at_once_succeeds_twice() {
    let server = start().await;
    for round in 0..5 {
        let ctx = server.context("same").await;
        let waiting = ctx.waiting_repository().await.unwrap();
        let push = || waiting.repository.push(&waiting.url, &["refs/heads/main"]);
        for output in join_all((0..4).map(|_| push())).await {
            let output = output.unwrap();
            // Who comes second may find that git itself sees the ref in place, or the server does: no conflict.
            assert!(output.ok(), "round {round}: {output}");
        }
        ctx.served(&waiting.state).await.unwrap();
        holds(&ctx).await;
    }
}

#[tokio::test]
async fn of_two_states_that_race_the_newer_one_wins() {
    let server = start().await;
    for round in 0..6 {
        let ctx = server.context("race").await;
        let other = ctx.someone();
        let listed = ctx.announcement().maintainer(other.public_key());
        let announcement = ctx.sign(&ctx.owner, listed.draft());
        ctx.accepted(&announcement).await.unwrap();
        let repository = Repository::init("main").await.unwrap();
        let root = repository.commit("a", "root\n", &[]).await.unwrap();
        let old = repository.commit("a", &format!("old {round}\n"), &[&root]).await.unwrap();
        let new = repository.commit("a", &format!("new {round}\n"), &[&root]).await.unwrap();
        let older = state_at(&ctx, &ctx.owner, &old).await;
        let newer = state_at(&ctx, &other, &new).await;
        let url = ctx.clone_url();
        let refspec = |oid: &str| format!("+{oid}:refs/heads/main");
        let (old_refspec, new_refspec) = (refspec(&old), refspec(&new));
        let (old_args, new_args) = ([old_refspec.as_str()], [new_refspec.as_str()]);
        let (first, second) = join(repository.push(&url, &old_args), repository.push(&url, &new_args)).await;
        let (first, second) = (first.unwrap(), second.unwrap());
        // git may have told the server a value that the other push has changed since: that one is pushed again.
        if !second.ok() {
            let again = repository.push(&url, &[&new_refspec]).await.unwrap();
            assert!(again.ok(), "round {round}: {second}\n{again}");
        }
        ctx.served(&newer).await.unwrap();
        let refs = view::refs(&ctx.target, &ctx.owner.public_key(), &ctx.identifier).await.unwrap();
        assert_eq!(
            refs.refs,
            BTreeMap::from([("refs/heads/main".to_owned(), new)]),
            "round {round}: {first}"
        );
        if first.ok() {
            ctx.served(&older).await.unwrap();
        }
        holds(&ctx).await;
    }
}

#[tokio::test]
async fn a_push_and_the_replacement_of_its_state_at_once_leave_one_of_the_two() {
    let server = start().await;
    for round in 0..6 {
        let ctx = server.context("replaced").await;
        let hosted = ctx.hosted_repository().await.unwrap();
        let old = hosted.repository.commit("a", &format!("old {round}\n"), &[&hosted.tip]).await.unwrap();
        let new = hosted.repository.commit("a", &format!("new {round}\n"), &[&old]).await.unwrap();
        state_at(&ctx, &ctx.owner, &old).await;
        let refspec = format!("{old}:refs/heads/main");
        let refspecs = [refspec.as_str()];
        let push = hosted.repository.push(&hosted.url, &refspecs);
        let (pushed, newest) = join(push, state_at(&ctx, &ctx.owner, &new)).await;
        let pushed = pushed.unwrap();
        holds(&ctx).await;
        let refs = view::refs(&ctx.target, &ctx.owner.public_key(), &ctx.identifier).await.unwrap();
        let main = &refs.refs["refs/heads/main"];
        assert_eq!(*main, if pushed.ok() { old } else { hosted.tip.clone() }, "round {round}: {pushed}");

        let refspec = format!("{new}:refs/heads/main");
        let pushed = hosted.repository.push(&hosted.url, &[&refspec]).await.unwrap();
        assert!(pushed.ok(), "round {round}: {pushed}");
        ctx.served(&newest).await.unwrap();
        holds(&ctx).await;
    }
}

/// A repository with a real history that waits for its push.
async fn big(ctx: &Context) -> (Repository, String) {
    let bundle = nips_bundle_path();
    let (repository, output) =
        Repository::clone_of(bundle.to_str().unwrap(), &["--mirror"], |git| git).await.unwrap();
    assert!(output.ok(), "{output}");
    let tip = repository.oid("refs/heads/master").await.unwrap();
    ctx.announce().await.unwrap();
    state_at(ctx, &ctx.owner, &tip).await;
    (repository, tip)
}

#[tokio::test]
async fn clients_that_disconnect_in_the_middle_leave_nothing_running_and_nothing_behind() {
    let server = start().await;
    let ctx = server.context("leaving").await;
    let (repository, tip) = big(&ctx).await;
    let path = grasp_audit::target::url::repository_path(&ctx.owner.public_key(), &ctx.identifier);
    let url = &ctx.target.url;
    let push = RawPush::new(url, &path, &repository, "refs/heads/main", &tip).await;
    let begun = join_all((0..10).map(|_| push.begin(url))).await;
    instance::eventually("git indexes a pack", async || !server.children().is_empty()).await;
    drop(begun);
    let at_rest = async || server.children().is_empty() && disk::quarantine(&server.git_data()).is_empty();
    instance::eventually("the pushes leave nothing", at_rest).await;
    let refs = view::refs(&ctx.target, &ctx.owner.public_key(), &ctx.identifier).await.unwrap();
    assert!(refs.refs.is_empty(), "nothing of a push that did not arrive whole is kept");

    let response = push.begin(url).await.finish().await;
    assert!(response.contains("ok refs/heads/main"), "{response}");

    // The same with clones: they read the beginning of the answer and are gone.
    let body = format!("0011command=fetch00010032want {tip}\n0009done\n0000");
    let request = format!(
        "POST {path}/git-upload-pack HTTP/1.1\r\nHost: {}\r\nGit-Protocol: version=2\r\n\
         Content-Type: application/x-git-upload-pack-request\r\nContent-Length: {}\r\n\r\n{body}",
        url.authority(),
        body.len()
    );
    let clones = join_all((0..10).map(|_| async {
        let mut stream = TcpStream::connect(url.authority()).await.unwrap();
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut beginning = [0; 400];
        stream.read_exact(&mut beginning).await.unwrap();
        let beginning = String::from_utf8_lossy(&beginning).into_owned();
        assert!(beginning.starts_with("HTTP/1.1 200"), "{beginning}");
        stream
    }));
    drop(clones.await);
    instance::eventually("the clones leave nothing", at_rest).await;
    let git_data = server.git_data();
    disk::fsck(disk::repositories(&git_data).into_iter().chain(disk::families(&git_data))).await;
}
