//! Real input (acceptance 1): a history with 122 branches goes through whole, and real events of other services are
//! refused for the right reason.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use grasp_audit::target::url::repository_path;
use grasp_fixtures::{Announcement, Git, Repository, State, nips_bundle_path, real_events};
use rstest::rstest;
use spec_tests::view::{self, as_json};
use spec_tests::{Backend, Instance, Setup, disk, instance};

async fn start(backend: Backend) -> Instance {
    Setup::new(env!("CARGO_BIN_EXE_server-under-test"), backend).start().await
}

fn patient(git: Git) -> Git {
    git.time_limit(Duration::from_secs(120))
}

#[rstest]
#[case::lmdb(Backend::Lmdb)]
#[case::memory(Backend::Memory)]
#[tokio::test]
async fn a_real_history_is_announced_stated_pushed_at_once_and_cloned_back_identical(
    #[case] backend: Backend,
) {
    let server = start(backend).await;
    let ctx = server.context("nips").await;
    let bundle = nips_bundle_path();
    let (original, output) =
        Repository::clone_of(bundle.to_str().unwrap(), &["--mirror"], patient).await.unwrap();
    assert!(output.ok(), "{output}");
    let refs: BTreeMap<String, String> = original.refs().await.unwrap().into_iter().collect();
    let in_state = |name: &str| name.starts_with("refs/heads/") || name.starts_with("refs/tags/");
    let refs: BTreeMap<_, _> = refs.into_iter().filter(|(name, _)| in_state(name)).collect();
    assert!(refs.len() >= 122, "{} refs", refs.len());

    let announcement = Announcement { name: Some("NIPs".to_owned()), ..ctx.announcement() };
    let announcement = ctx.sign(&ctx.owner, announcement.draft());
    ctx.accepted(&announcement).await.unwrap();
    let state = State::new(&ctx.identifier).references(refs.clone()).head("master");
    let state = ctx.sign(&ctx.owner, state.draft());
    ctx.accepted(&state).await.unwrap();
    let url = ctx.clone_url();
    let pushed =
        original.push(&url, &["refs/heads/*:refs/heads/*", "refs/tags/*:refs/tags/*"]).await.unwrap();
    assert!(pushed.ok(), "{pushed}");
    ctx.served(&announcement).await.unwrap();
    ctx.served(&state).await.unwrap();

    let (clone, output) = Repository::clone_of(&url, &["--mirror"], patient).await.unwrap();
    assert!(output.ok(), "{output}");
    let cloned: BTreeMap<String, String> = clone.refs().await.unwrap().into_iter().collect();
    assert_eq!(cloned, refs, "every ref, and no other");
    clone.git(&["fsck", "--full"]).await.unwrap();
    let count = ["rev-list", "--objects", "--all", "--count"];
    assert_eq!(clone.git(&count).await.unwrap(), original.git(&count).await.unwrap(), "every object");
    let head = clone.git(&["symbolic-ref", "HEAD"]).await.unwrap();
    assert_eq!(head, "refs/heads/master");
    let seen = view::refs(&ctx.target, &ctx.owner.public_key(), &ctx.identifier).await;
    assert_eq!(seen.unwrap().refs, refs, "{}", repository_path(&ctx.owner.public_key(), &ctx.identifier));
    if backend == Backend::Lmdb {
        let git_data = server.git_data();
        disk::fsck(disk::repositories(&git_data).into_iter().chain(disk::families(&git_data))).await;
    }
}

#[tokio::test]
async fn real_events_of_other_services_are_refused_for_the_right_reason() {
    let server = start(Backend::Memory).await;
    let target = server.target().await;
    let relay = instance::relay(&target).await.unwrap();
    let mut answers: BTreeMap<(u16, String, String), usize> = BTreeMap::new();
    for event in real_events() {
        event.verify().expect("a real event verifies");
        let reply = relay.publish(&as_json(&event)).await.unwrap();
        assert!(!reply.accepted, "kind {} is about nothing here", event.kind);
        let (prefix, reason) = reply.message.split_once(": ").expect("a machine-readable prefix");
        let expected = match event.kind.as_u16() {
            _ if event.is_protected() => "auth-required", // NIP-70
            30617 => "blocked",
            _ => "restricted",
        };
        assert_eq!(prefix, expected, "kind {}: {reason}", event.kind);
        let reason = reason.replace(&server.authority(), "<service>");
        let reason = reason.split(' ').map(redacted).collect::<Vec<_>>().join(" ");
        *answers.entry((event.kind.as_u16(), prefix.to_owned(), reason)).or_default() += 1;
    }
    let mut text = String::new();
    for ((kind, prefix, reason), count) in answers {
        writeln!(text, "{count:>3} of kind {kind:<6} {prefix}: {reason}").unwrap();
    }
    insta::assert_snapshot!(text);
}

/// A word of a reason without what belongs to one event only.
fn redacted(word: &str) -> String {
    match word {
        word if word.contains("npub1") => "<clone URL>".to_owned(),
        word if word.starts_with('"') => "<identifier>".to_owned(),
        word if word.len() >= 64 && word.contains(|c: char| c.is_ascii_hexdigit()) => "<id>".to_owned(),
        word => word.to_owned(),
    }
}
